//! Golden cases of a fixup: `cases/<case>/{guest/,params.toml,changes.json}` in its folder.
//!
//! Each guest tree is planned, and the plan compared with `changes.json` in full. Then it is applied
//! for real; planned again, which must find nothing to do; and undone, which must give back the
//! tree as it was. That happens on a directory ([`Case::on_directory`]) or, for fixups that run
//! programs of the guest, on a disk made of the tree ([`on_disks`]).
//!
//! A registry hive is kept as text, or compressed: `SYSTEM.reg` ("Windows Registry Editor Version 5.00", keys from
//! the hive's root: `[\\Select]`) or `SYSTEM.xz`, which may be a link to one that several cases share.

mod compare;
mod disk;
mod hives;
mod initramfs;
mod params;
mod programs;
mod setup;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use refit_engine::backend::{Backend, RootBackend};
use refit_engine::{Fixup, Guest, Planned, Selection, VerdictKind, plan, prepare};

use params::Params;

pub use disk::{Appliance, on_disks};

/// What to do with `changes.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Golden {
    /// Compare the plan with it.
    Compare,
    /// Write it anew. The rest is checked all the same.
    Bless,
}

/// What a case is run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Directory,
    Disk,
}

/// The folders of a fixup's golden cases, sorted; empty if it has none.
///
/// # Errors
/// If `cases` is there and cannot be read.
pub fn find(fixup_folder: &Path) -> Result<Vec<PathBuf>> {
    let dir = fixup_folder.join("cases");
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The case could not be run: what its fixup does is not possible on this host.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotRun(pub String);

/// One golden case.
#[derive(Debug)]
pub struct Case {
    folder: PathBuf,
    params: Params,
}

impl Case {
    /// Reads `params.toml` in the case's folder; a case without one has no parameters.
    ///
    /// # Errors
    /// If it cannot be read, or has a key or value that does not belong there; the message has its line.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("params.toml");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", path.display()));
            }
        };
        let params =
            toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            params,
        })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs it on a directory of this host, as with `--root`.
    ///
    /// # Errors
    /// What differs, or what failed.
    pub fn on_directory(&self, fixup: &dyn Fixup, golden: Golden) -> Result<()> {
        let root = tempfile::tempdir().context("making a directory for the guest")?;
        self.make_tree(root.path())?;
        let mut backend = RootBackend::open(root.path())?;
        self.walk(fixup, &mut backend, golden, Place::Directory)
    }

    /// Carries out what several fixups plan together, on a directory; `owner` is the one whose case
    /// this is. Afterwards none may find anything to do.
    ///
    /// # Errors
    /// What they still want, or what failed.
    pub fn together(&self, owner: &dyn Fixup, fixups: &[&dyn Fixup]) -> Result<()> {
        let root = tempfile::tempdir().context("making a directory for the guest")?;
        self.make_tree(root.path())?;
        let mut backend = RootBackend::open(root.path())?;
        let hints = self.params.hints();
        let info = owner.info();
        let request = self
            .params
            .request(&self.folder, &info.parameters, &info.id)?;
        let mut guest = Guest::inspect(&backend, &hints)?;
        plan(&mut guest, fixups, &Selection::default(), &request);
        let prepared = prepare(guest, &backend, Vec::new()).context("preparing the changes")?;
        prepared
            .execute(&mut backend)
            .context("applying the changes")?;
        let mut guest = Guest::inspect(&backend, &hints)?;
        for again in plan(&mut guest, fixups, &Selection::default(), &request) {
            ensure!(
                again.changes.is_empty(),
                "a second plan must find nothing to do, but it is: {}",
                serde_json::to_string_pretty(&again)?
            );
        }
        Ok(())
    }

    /// Makes the guest's tree in `root`, an empty directory.
    ///
    /// # Errors
    /// If a file of the case cannot be read, or one of the tree cannot be written.
    pub fn make_tree(&self, root: &Path) -> Result<()> {
        let guest = self.folder.join("guest");
        if guest.exists() {
            setup::copy(&guest, root)
                .with_context(|| format!("copying the guest from {}", guest.display()))?;
        }
        setup::set_up(&self.params.setup, root).context("setting up the guest (params.toml)")
    }

    /// Plan, apply, plan again, undo.
    fn walk(
        &self,
        fixup: &dyn Fixup,
        backend: &mut dyn Backend,
        golden: Golden,
        place: Place,
    ) -> Result<()> {
        let id = fixup.info().id.clone();
        let hints = self.params.hints();
        let request = self
            .params
            .request(&self.folder, &fixup.info().parameters, &id)?;
        let before = tree::read(backend)?;

        let mut guest = Guest::inspect(backend, &hints)?;
        let planned = plan_one(fixup, &mut guest, &request)?;
        // On a disk, only a script is blocked by what this host lacks.
        if place == Place::Disk && planned.verdict == VerdictKind::Blocked {
            return Err(NotRun(planned.reason).into());
        }
        let expected = compare::verdict(&self.folder.join("changes.json"))?;
        ensure!(
            planned.verdict != VerdictKind::Failed || expected.as_deref() == Some("failed"),
            "the fixup failed: {}",
            planned.reason
        );
        compare::with_golden(&planned, &self.folder.join("changes.json"), golden)?;
        if let Some(expected) = &self.params.devices {
            let found = serde_json::to_value(fixup.devices(&guest)?)?;
            ensure!(
                found == serde_json::to_value(expected)?,
                "params.toml: devices must be {found}"
            );
        }

        let prepared = prepare(guest, backend, vec![id]).context("preparing the changes")?;
        prepared.execute(backend).context("applying the changes")?;
        let mut guest = Guest::inspect(backend, &hints)?;
        let again = plan_one(fixup, &mut guest, &request)?;
        drop(guest);
        ensure!(
            again.changes.is_empty(),
            "after the changes were made, a second plan must find nothing to do, but it is: {}",
            serde_json::to_string_pretty(&again)?
        );
        let expected = match planned.verdict {
            VerdictKind::Change => VerdictKind::Fine,
            same => same,
        };
        ensure!(
            again.verdict == expected,
            "after the changes were made, the second verdict must be {expected:?}, but it is {:?}: {}",
            again.verdict,
            again.reason
        );

        prepared
            .undo()
            .restore(backend, false)
            .context("undoing the changes")?;
        let after = tree::read(backend)?;
        ensure!(
            before == after,
            "undone, the guest must be as before, but it differs: {}",
            tree::differences(&before, &after).join("; ")
        );
        Ok(())
    }
}

fn plan_one(
    fixup: &dyn Fixup,
    guest: &mut Guest<'_>,
    request: &refit_engine::Request,
) -> Result<Planned> {
    let planned = plan(guest, &[fixup], &Selection::default(), request);
    planned.into_iter().next().context("the fixup was left out")
}
