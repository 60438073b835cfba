use std::{
    fmt,
    path::{Path, PathBuf},
};

use refit_image::{canonical, check_kind};

use super::{
    Access, DiskError, Format, Options, Result,
    commit::{self, Commit, Member},
    inuse,
    lock::Lock,
    qemu,
    record::{Phase, Record},
    state::StateDir,
};

/// What an earlier or another run has under way on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// What it means.
    pub kind: PendingKind,
    /// Where it was found.
    pub state_dir: PathBuf,
    /// All disks of that run as far as known; this one if nothing else is.
    pub disks: Vec<PathBuf>,
}

/// What a [`Pending`] run means for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingKind {
    /// A refit (or a qemu-img that it started) works on it now: wait.
    Busy,
    /// A commit was interrupted: the disk may be half written. Refuse, and name `refit recover`.
    Commit,
    /// A run was killed before it wrote to the disk, or after it had written everything. Harmless; the next
    /// [`Overlays::create`](super::Overlays::create) or [`recover`] removes what is left.
    Leftover,
}

impl Pending {
    /// Whether the disk is whole and nobody works on it, so that a command may go on.
    pub fn is_harmless(&self) -> bool {
        self.kind == PendingKind::Leftover
    }
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.disks.first().map_or(Path::new(""), |disk| disk);
        match self.kind {
            PendingKind::Busy => write!(f, "another refit is working on {}", first.display()),
            PendingKind::Commit => write!(
                f,
                "an earlier run was interrupted while it wrote to {}: run `refit recover {}`",
                first.display(),
                first.display()
            ),
            PendingKind::Leftover => write!(
                f,
                "an earlier run on {} was interrupted, but the disk is whole; \
                 what it left will be removed",
                first.display()
            ),
        }
    }
}

/// What [`recover`] did, for each disk of each run that was concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The commit was finished: these disks are new.
    pub finished: Vec<PathBuf>,
    /// The run was abandoned before it wrote: these disks are as they were.
    pub abandoned: Vec<PathBuf>,
    /// Nothing was pending on these.
    pub clean: Vec<PathBuf>,
}

/// What is pending on `disk`.
///
/// # Errors
///
/// [`ImageError::Missing`](super::ImageError::Missing) for a disk that is not there, [`DiskError::State`] for state that cannot be trusted.
pub fn pending(disk: &Path, options: &Options) -> Result<Option<Pending>> {
    let disk = canonical(disk)?;
    for state in StateDir::existing(&disk, options)? {
        let pending = |kind, disks| Pending {
            kind,
            state_dir: state.path().into(),
            disks,
        };
        if Lock::is_held(&state) {
            return Ok(Some(pending(PendingKind::Busy, vec![disk])));
        }
        match Record::read(&state, &disk)? {
            Some(record) => {
                let kind = match record.first(options)?.phase {
                    Phase::Committing => PendingKind::Commit,
                    Phase::Prepared | Phase::Committed => PendingKind::Leftover,
                };
                let disks = record.disks.into_iter().map(|disk| disk.path).collect();
                return Ok(Some(pending(kind, disks)));
            }
            None if state.overlay().exists() => {
                return Ok(Some(pending(PendingKind::Leftover, vec![disk])));
            }
            None => {}
        }
    }
    Ok(None)
}

/// Finishes or abandons what an interrupted run left on `disks` and on the other disks of that run.
///
/// Past the commit point it is finished: all disks are new. Before it is abandoned: all disks are as they
/// were. May itself be interrupted, and repeated.
///
/// # Errors
///
/// [`ImageError::NotAFile`](super::ImageError::NotAFile) for what cannot be a disk; [`DiskError::Busy`] while the run lives; [`ImageError::Missing`](super::ImageError::Missing), [`DiskError::State`] if disks or state of the run are
/// not there or not trustworthy; [`DiskError::CommitIncomplete`] if the disks still cannot be written.
pub fn recover(disks: &[PathBuf], options: &Options) -> Result<Recovered> {
    let mut recovered = Recovered::default();
    for disk in disks {
        let disk = canonical(disk)?;
        check_kind(&disk)?;
        let known = [&recovered.finished, &recovered.abandoned];
        if known.iter().any(|list| list.contains(&disk)) {
            continue; // a disk of a run that was just dealt with
        }
        let mut clean = true;
        for state in StateDir::existing(&disk, options)? {
            let Some(run) = Run::lock(&disk, state, options)? else {
                continue;
            };
            clean = false;
            let (list, paths) = match run.first.as_ref().map(|record| record.phase) {
                Some(Phase::Committing | Phase::Committed) => {
                    let paths = run.finish()?;
                    (&mut recovered.finished, paths)
                }
                Some(Phase::Prepared) | None => (&mut recovered.abandoned, run.abandon()?),
            };
            list.extend(paths);
        }
        if clean {
            recovered.clean.push(disk);
        }
    }
    Ok(recovered)
}

/// Removes what is left of runs that never wrote, or that had finished writing.
///
/// # Errors
///
/// [`DiskError::Interrupted`] if a commit must be finished first, [`DiskError::Busy`] if a run lives.
pub(super) fn clean_leftovers(disk: &Path, options: &Options) -> Result<()> {
    let disk = canonical(disk)?;
    for state in StateDir::existing(&disk, options)? {
        let Some(run) = Run::lock(&disk, state, options)? else {
            continue;
        };
        match run.first.as_ref().map(|record| record.phase) {
            Some(Phase::Committing) => return Err(DiskError::Interrupted { path: disk }),
            Some(Phase::Committed) => run.finish().map(drop)?,
            Some(Phase::Prepared) | None => {
                tracing::info!(
                    disk = %disk.display(),
                    "removing what an interrupted run left; it had not written to the disk"
                );
                run.abandon().map(drop)?;
            }
        }
    }
    Ok(())
}

/// The locked state of an interrupted run.
struct Run {
    /// Those disks of the run whose state is still there, in order.
    members: Vec<Member>,
    /// The first disk's record; none for an overlay without a record.
    first: Option<Record>,
    /// The disk and state directory of an overlay without a record, with its lock.
    orphan: Option<(PathBuf, StateDir, Lock)>,
}

impl Run {
    /// Locks all disks of the run that left its state in `state`. None if there is nothing.
    fn lock(disk: &Path, state: StateDir, options: &Options) -> Result<Option<Self>> {
        if !state.record().exists() && !state.overlay().exists() && !Lock::is_held(&state) {
            // At most a lock file, of a run that was killed when it began or ended.
            let _lock = Lock::take(disk, &state)?;
            state.clear()?;
            state.remove();
            return Ok(None);
        }
        let own = Lock::take(disk, &state)?;
        let Some(record) = Record::read(&state, disk)? else {
            return Ok(Some(Self {
                members: Vec::new(),
                first: None,
                orphan: Some((disk.into(), state, own)),
            }));
        };
        let mut own = Some((state, own));
        let mut members = Vec::new();
        for (index, recorded) in record.disks.iter().enumerate() {
            let (state, lock) = if index == record.index {
                let Some(own) = own.take() else { continue };
                own
            } else {
                let Some((state, _)) = record.member(index, options)? else {
                    continue;
                };
                let lock = Lock::take(&recorded.path, &state)?;
                (state, lock)
            };
            members.push(Member::recorded(recorded.clone(), state, lock));
        }
        // With all locks held nobody moves on.
        let first = Some(record.first(options)?);
        Ok(Some(Self {
            members,
            first,
            orphan: None,
        }))
    }

    /// Brings the run to its end. Returns all its disks.
    fn finish(self) -> Result<Vec<PathBuf>> {
        let Some(record) = self.first else {
            return Ok(Vec::new());
        };
        let paths: Vec<_> = record.disks.iter().map(|disk| disk.path.clone()).collect();
        if record.phase != Phase::Committed {
            self.members.iter().try_for_each(check_member)?;
            if let Some(missing) = paths
                .iter()
                .find(|path| !self.members.iter().any(|member| member.disk.path == **path))
            {
                return Err(DiskError::State {
                    path: missing.clone(),
                    detail: "an interrupted commit cannot be finished: the record of this disk, or its overlay, \
                             is missing; bring it back (the directory .refit-* beside the disk), or restore all disks of the \
                             run from a backup"
                        .into(),
                });
            }
        }
        let leaks: Vec<_> = self
            .members
            .iter()
            .filter(|member| member.disk.format == Format::Qcow2)
            .map(|member| member.disk.path.clone())
            .collect();
        let copied = record.phase != Phase::Committed;
        Commit::resume(self.members.iter().collect(), record).run(&mut |_| ())?;
        if copied {
            for path in leaks {
                free_leaks(&path);
            }
        }
        Ok(paths)
    }

    /// Removes the overlays. Returns the disks.
    fn abandon(self) -> Result<Vec<PathBuf>> {
        if let Some((disk, state, _lock)) = self.orphan {
            state.clear()?;
            state.remove();
            return Ok(vec![disk]);
        }
        commit::remove(self.members.iter(), |_| ())?;
        Ok(self
            .members
            .into_iter()
            .map(|member| member.disk.path)
            .collect())
    }
}

/// Before an interrupted commit goes on: the disk is there, its overlay belongs to it, nobody uses it.
fn check_member(member: &Member) -> Result<()> {
    let (path, overlay) = (&member.disk.path, member.state.overlay());
    if canonical(path)? != *path {
        return Err(DiskError::State {
            path: path.clone(),
            detail: "the disk of an interrupted run is a symbolic link now; restore it".into(),
        });
    }
    if !overlay.exists() {
        return Err(DiskError::State {
            path: overlay,
            detail: "the overlay of an interrupted commit is missing; bring it back, or restore all disks of \
                     the run from a backup"
                .into(),
        });
    }
    commit::check_overlay(&overlay, &member.disk)?;
    inuse::refuse(&overlay, Access::Write)?;
    Ok(inuse::refuse(path, Access::Write)?)
}

/// A killed qemu-img may have allocated clusters without use for them. They only waste space, so that a
/// failure here is no failure of the recovery; `check` tells of anything worse.
fn free_leaks(path: &Path) {
    let result = match qemu::check(path, Format::Qcow2) {
        Ok(qemu::Check::Leaks) => qemu::repair_leaks(path),
        other => other.map(drop),
    };
    if let Err(error) = result {
        tracing::warn!(%error, "after finishing the commit");
    }
}
