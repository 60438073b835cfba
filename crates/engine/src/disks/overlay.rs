use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use super::{
    Access, DiskError, DiskSpec, Format, Image, Options, Result,
    commit::{self, Member, Step},
    inuse,
    lock::Lock,
    qemu, recover, space,
    state::StateDir,
};

/// One overlay for each disk of a run. Dropped without a commit, it leaves the disks as they were.
#[derive(Debug)]
pub struct Overlays {
    disks: Vec<Disk>,
    /// What is on the disk is needed by `recover`: nothing may be removed.
    keep: bool,
}

#[derive(Debug)]
struct Disk {
    base: Image,
    fingerprints: Vec<Fingerprint>,
    member: Member,
    overlay: PathBuf,
}

impl Overlays {
    /// Probes the disks for writing, locks them and puts an empty overlay over each.
    ///
    /// What an earlier run left that never began to write is removed.
    ///
    /// # Errors
    ///
    /// What [`Image::probe`] finds; [`DiskError::Duplicate`]; [`DiskError::Busy`] if another refit works on
    /// one; [`DiskError::Interrupted`] if a commit must be finished first. Nothing was changed.
    pub fn create(disks: &[DiskSpec], options: &Options) -> Result<Self> {
        // An interrupted commit may have left a base in any condition: ask before probing.
        for disk in disks {
            recover::clean_leftovers(&disk.path, options)?;
        }
        let mut overlays = Self {
            disks: Vec::new(),
            keep: false,
        };
        for spec in disks {
            let base = Image::probe(spec, Access::Write, &options.image)?;
            overlays.refuse_duplicate(&base)?;
            let state = StateDir::create(base.path(), options)?;
            let lock = Lock::take(base.path(), &state)?;
            if state.record().exists() || state.overlay().exists() {
                // Another refit came, and was killed, since the leftovers were removed.
                return Err(DiskError::Busy {
                    path: base.path().into(),
                    by: "just ended".into(),
                });
            }
            let fingerprints = base
                .files()
                .iter()
                .map(|file| Fingerprint::of(file))
                .collect::<Result<_>>()?;
            let overlay = state.overlay();
            let member = Member::new(&base, state, lock);
            let base_path = base.path().to_owned();
            let format = base.format();
            // Known to `overlays` before it exists: whatever fails now, it is removed.
            overlays.disks.push(Disk {
                base,
                fingerprints,
                member,
                overlay: overlay.clone(),
            });
            qemu::create(&overlay, &base_path, format, None)?;
        }
        Ok(overlays)
    }

    fn refuse_duplicate(&self, image: &Image) -> Result<()> {
        for earlier in self.bases() {
            let why = if shares(earlier.files(), image.files())? {
                "it is given twice"
            } else if shares(earlier.chain(), image.files())?
                || shares(earlier.files(), image.chain())?
            {
                "one is a backing file of the other"
            } else {
                continue;
            };
            return Err(DiskError::Duplicate {
                path: image.path().into(),
                why: format!("{why} (with {})", earlier.path().display()),
            });
        }
        Ok(())
    }

    /// The overlays (qcow2), in the order of the disks. Whoever opens them must have closed them before
    /// [`Overlays::commit`].
    pub fn images(&self) -> impl Iterator<Item = &Path> {
        self.disks.iter().map(|disk| disk.overlay.as_path())
    }

    /// The disks under the overlays, in order.
    pub fn bases(&self) -> impl Iterator<Item = &Image> {
        self.disks.iter().map(|disk| &disk.base)
    }

    /// Removes the overlays; the disks are as they were.
    ///
    /// # Errors
    ///
    /// [`DiskError::Io`] if a file cannot be removed; the disks are untouched all the same.
    pub fn discard(mut self) -> Result<()> {
        self.keep = true; // not again on drop
        self.remove()
    }

    fn remove(&mut self) -> Result<()> {
        commit::remove(self.disks.iter().map(|disk| &disk.member), |_| ())
    }

    /// Writes the overlays into their disks: all or none, as the module's documentation describes.
    ///
    /// `progress` is told of each step when it is complete ([`Step::Copying`]: when it begins).
    ///
    /// # Errors
    ///
    /// Before the commit point: [`DiskError::NoSpace`], [`DiskError::Changed`], [`ImageError::InUse`](super::ImageError::InUse), ...; the disks
    /// are as they were, and the overlays are gone. After it: [`DiskError::CommitIncomplete`], and all is
    /// kept for [`recover`](super::recover()).
    pub fn commit(mut self, progress: &mut dyn FnMut(Step)) -> Result<()> {
        self.rehearse()?;
        progress(Step::Flushed);
        let members: Vec<_> = self.disks.iter().map(|disk| &disk.member).collect();
        let Some(commit) = commit::prepare(&members, progress)? else {
            return Ok(());
        };
        // From here on the record on the disk decides, not this process.
        self.keep = true;
        commit.run(progress)
    }

    /// All that can go wrong is tried before the commit point, as far as it can be tried.
    fn rehearse(&self) -> Result<()> {
        for disk in &self.disks {
            for (file, before) in disk.base.files().iter().zip(&disk.fingerprints) {
                inuse::refuse(file, Access::Write)?;
                if Fingerprint::of(file)? != *before {
                    return Err(DiskError::Changed { path: file.clone() });
                }
            }
            inuse::refuse(&disk.overlay, Access::Write)?;
            commit::check_overlay(&disk.overlay, &disk.member.disk)?;
            qemu::check(&disk.overlay, Format::Qcow2)?;
            inuse::sync(&disk.overlay)?;
        }
        let overlays: Vec<_> = self
            .disks
            .iter()
            .map(|disk| (disk.overlay.as_path(), &disk.base))
            .collect();
        space::refuse_if_short(&overlays)
    }
}

impl Drop for Overlays {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        tracing::debug!("discarding the overlays");
        if let Err(error) = self.remove() {
            tracing::warn!(%error, "an overlay could not be removed; the disks are unchanged");
        }
    }
}

/// What changes when somebody writes to a file. A block device tells nothing.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint {
    identity: (u64, u64),
    length: u64,
    modified: (i64, i64),
}

impl Fingerprint {
    fn of(path: &Path) -> Result<Self> {
        let found = fs::metadata(path).map_err(DiskError::io(path, "reading its attributes"))?;
        let device = found.file_type().is_block_device();
        Ok(Self {
            identity: (found.dev(), found.ino()),
            length: inuse::length(path)?,
            modified: if device {
                (0, 0)
            } else {
                (found.mtime(), found.mtime_nsec())
            },
        })
    }
}

/// Whether the lists have a file in common, by whatever name.
fn shares(a: &[PathBuf], b: &[PathBuf]) -> Result<bool> {
    let identity = |path: &PathBuf| {
        let found = fs::metadata(path).map_err(DiskError::io(path, "reading its attributes"))?;
        // Two nodes in /dev may be one device.
        Ok(if found.file_type().is_block_device() {
            (u64::MAX, found.rdev())
        } else {
            (found.dev(), found.ino())
        })
    };
    let known: Vec<_> = a.iter().map(identity).collect::<Result<_>>()?;
    let mut others = b
        .iter()
        .map(identity)
        .collect::<Result<Vec<_>>>()?
        .into_iter();
    Ok(others.any(|other| known.contains(&other)))
}
