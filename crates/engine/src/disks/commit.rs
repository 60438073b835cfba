use std::path::Path;

use refit_image::files_of;

use super::{
    DiskError, Format, Image, ImageOptions, Result, inuse,
    lock::Lock,
    qemu,
    record::{Phase, Record, RecordedDisk},
    state::StateDir,
};

/// A step of a commit, for progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The overlays are complete on disk, and nothing speaks against the commit.
    Flushed,
    /// The record of a disk is written.
    Prepared {
        /// Index of the disk.
        disk: usize,
    },
    /// The commit point: from here on the disks will be new.
    Committing,
    /// The overlay of a disk is about to be copied into it; an unchanged disk is skipped.
    Copying {
        /// Index of the disk.
        disk: usize,
    },
    /// A disk is new, durably.
    Copied {
        /// Index of the disk.
        disk: usize,
    },
    /// All disks are new.
    Committed,
    /// Overlay and record of a disk are gone.
    Removed {
        /// Index of the disk.
        disk: usize,
    },
}

/// A disk of a run together with its locked state directory.
#[derive(Debug)]
pub(super) struct Member {
    pub disk: RecordedDisk,
    pub state: StateDir,
    lock: Lock,
}

impl Member {
    pub(super) fn new(base: &Image, state: StateDir, lock: Lock) -> Self {
        let disk = RecordedDisk {
            path: base.path().into(),
            format: base.format(),
            virtual_size: base.virtual_size(),
        };
        Self::recorded(disk, state, lock)
    }

    pub(super) fn recorded(disk: RecordedDisk, state: StateDir, lock: Lock) -> Self {
        Self { disk, state, lock }
    }
}

/// A commit that is past its point of no return, or about to be.
pub(super) struct Commit<'a> {
    members: Vec<&'a Member>,
    /// The record of the first disk.
    record: Record,
}

/// Writes the records; the first disk's first, so that a record of another always finds it.
/// Nothing to commit if there are no disks.
pub(super) fn prepare<'a>(
    members: &[&'a Member],
    progress: &mut dyn FnMut(Step),
) -> Result<Option<Commit<'a>>> {
    let disks: Vec<_> = members.iter().map(|member| member.disk.clone()).collect();
    let record = Record::new(uuid::Uuid::new_v4().to_string(), 0, disks);
    for (disk, member) in members.iter().enumerate() {
        record.beside(disk).write(&member.state)?;
        progress(Step::Prepared { disk });
    }
    Ok((!members.is_empty()).then(|| Commit {
        members: members.to_vec(),
        record,
    }))
}

impl<'a> Commit<'a> {
    /// A commit that was interrupted, from its first disk's record.
    pub(super) fn resume(members: Vec<&'a Member>, record: Record) -> Self {
        Self { members, record }
    }

    /// Passes the commit point (again) and goes on to the end. Whatever was done before may be done again.
    pub(super) fn run(mut self, progress: &mut dyn FnMut(Step)) -> Result<()> {
        self.finish(progress)
            .map_err(|source| DiskError::CommitIncomplete {
                path: self.record.disks[0].path.clone(),
                source: Box::new(source),
            })
    }

    fn finish(&mut self, progress: &mut dyn FnMut(Step)) -> Result<()> {
        if self.record.phase != Phase::Committed {
            self.enter(Phase::Committing)?;
            progress(Step::Committing);
            for (disk, member) in self.members.iter().enumerate() {
                if is_empty(&member.state.overlay())? {
                    continue;
                }
                progress(Step::Copying { disk });
                copy(member)?;
                progress(Step::Copied { disk });
            }
            self.enter(Phase::Committed)?;
            progress(Step::Committed);
        }
        remove(self.members.iter().copied(), |disk| {
            progress(Step::Removed { disk });
        })
    }

    fn enter(&mut self, phase: Phase) -> Result<()> {
        self.record.phase = phase;
        self.record.write(&self.members[0].state)
    }
}

/// Removes overlays and records, the first disk's last: whoever finds a record of another disk can still
/// ask the first's.
pub(super) fn remove<'a>(
    members: impl DoubleEndedIterator<Item = &'a Member> + ExactSizeIterator,
    mut removed: impl FnMut(usize),
) -> Result<()> {
    for (disk, member) in members.enumerate().rev() {
        member.state.clear()?;
        member.state.remove();
        removed(disk);
    }
    Ok(())
}

/// Whether nothing was written to the overlay.
fn is_empty(overlay: &Path) -> Result<bool> {
    let mut empty = true;
    qemu::map(overlay, Format::Qcow2, |extent| empty &= extent.depth > 0)?;
    Ok(empty)
}

/// Copies an overlay into its base, durably.
fn copy(member: &Member) -> Result<()> {
    let RecordedDisk { path, format, .. } = &member.disk;
    qemu::commit(&member.state.overlay(), member.lock.file())?;
    // Only to find the files: the image was accepted with them.
    let options = ImageOptions {
        allow_outside: true,
    };
    for file in files_of(path, *format, &options)? {
        inuse::sync(&file)?;
    }
    Ok(())
}

/// Makes sure that the overlay is one that refit made for this disk: `qemu-img commit` writes to whatever
/// an overlay names as its backing file.
///
/// # Errors
///
/// [`DiskError::State`] if not.
pub(super) fn check_overlay(overlay: &Path, disk: &RecordedDisk) -> Result<()> {
    let info = qemu::info(overlay, Format::Qcow2)?;
    let base = disk.path.to_str();
    if info.backing_filename.as_deref() == base
        && info
            .full_backing_filename
            .as_deref()
            .is_none_or(|full| Some(full) == base)
        && info.backing_filename_format.as_deref() == Some(disk.format.as_str())
        && info.virtual_size == disk.virtual_size
    {
        return Ok(());
    }
    Err(DiskError::State {
        path: overlay.into(),
        detail: format!(
            "this is not an overlay that refit made for {}; nothing was written",
            disk.path.display()
        ),
    })
}
