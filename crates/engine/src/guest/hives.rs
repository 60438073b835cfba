//! The registry as the plan will leave it.

use std::rc::Rc;

use anyhow::{Context as _, anyhow, ensure};
use refit_hive::Hive;

use super::Guest;
use crate::backend::{FileKind, Stat};
use crate::change::Change;
use crate::path::GuestPath;
use crate::registry::{self, HIVE_LIMIT, HiveName};
use crate::stage::Staged;

/// Endings of a hive's transaction logs: two since Windows Vista, one before.
const LOGS: [&str; 3] = [".LOG1", ".LOG2", ".LOG"];

/// Where profiles are: since Windows Vista, and before.
const PROFILES: [&str; 2] = ["/Users", "/Documents and Settings"];

/// A hive of the guest.
#[derive(Debug, Clone)]
pub(super) struct OpenedHive {
    hive: Rc<Hive>,
    /// The transaction logs that it was recovered with.
    logs: Vec<GuestPath>,
}

/// Whether `path` is below `root`, without regard to case.
fn is_below(path: &GuestPath, root: &GuestPath) -> bool {
    let (path, root) = (path.as_bytes(), root.as_bytes());
    path.get(..root.len()).is_some_and(|start| {
        start.eq_ignore_ascii_case(root) && path.get(root.len()) == Some(&b'/')
    })
}

impl Guest<'_> {
    /// A hive of the registry, with the planned changes in it; `None` if the guest has no such hive. It is
    /// read once. One that Windows left with changes in its transaction logs alone is shown with these
    /// applied.
    ///
    /// # Errors
    /// If it cannot be read, is longer than [`HIVE_LIMIT`], is damaged, or lacks changes that its logs do not
    /// hold. The message says what the user can do.
    pub fn hive(&self, name: &HiveName) -> anyhow::Result<Option<Rc<Hive>>> {
        let Some(real) = self.hive_file(name)? else {
            return Ok(None);
        };
        match self.stage.nodes.get(&real) {
            Some(Staged::Hive { hive, .. }) => Ok(Some(Rc::clone(hive))),
            Some(Staged::File { content, .. }) => {
                let hive = Hive::parse(content.to_vec())
                    .with_context(|| format!("reading the planned registry hive {real}"))?;
                Ok(Some(Rc::new(hive)))
            }
            _ => Ok(self.open_hive(&real)?.map(|opened| opened.hive)),
        }
    }

    /// The hives of users (`NTUSER.DAT`): those in the usual places of profiles, that of new users among them, and
    /// those that Windows' list of profiles has elsewhere on the system's drive. Not those of services.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub fn user_hives(&self) -> anyhow::Result<Vec<HiveName>> {
        let mut profiles = Vec::new();
        for place in PROFILES {
            let place = GuestPath::from(place);
            let names = self.list(&place)?.into_iter();
            profiles.extend(names.map(|profile| place.join(profile.name)));
        }
        profiles.extend(self.listed_profiles());
        let mut found = Vec::new();
        for profile in profiles {
            let hive = profile.join("NTUSER.DAT");
            let real = self.regular_file(&hive)?.map(HiveName::User);
            // Some profiles are links to others.
            found.extend(real.filter(|hive| !found.contains(hive)));
        }
        Ok(found)
    }

    /// Profiles outside Windows' own directory that `SOFTWARE` lists. Without that hive there are none.
    fn listed_profiles(&self) -> Vec<GuestPath> {
        let (Some(windows), Ok(Some(software))) =
            (&self.facts.windows, self.hive(&HiveName::Software))
        else {
            return Vec::new();
        };
        let list = software.key("Microsoft\\Windows NT\\CurrentVersion\\ProfileList");
        let profiles = list.iter().flat_map(|list| list.subkeys());
        profiles
            .filter_map(|profile| profile.value("ProfileImagePath")?.as_str())
            .filter_map(|path| windows.guest_path(&path))
            .filter(|path| !is_below(path, &windows.system_root))
            .collect()
    }

    /// Lays a change of the registry over the view; whether it makes a difference.
    pub(super) fn stage_registry(&mut self, change: &Change) -> anyhow::Result<bool> {
        let (name, _) = change.key().context("it is no change of the registry")?;
        let real = self.hive_file(name)?;
        let real = real.with_context(|| format!("the guest has no registry hive {name}"))?;
        if let Some(Staged::Hive { hive, .. }) = self.stage.nodes.get_mut(&real) {
            return registry::edit(hive, change);
        }
        let mut hive = self
            .hive(name)?
            .with_context(|| format!("{real} is no file"))?;
        if !registry::edit(&mut hive, change)? {
            return Ok(false);
        }
        let stat = self.lstat_real(&real)?.context("it vanished")?;
        let logs = match self.stage.nodes.get(&real) {
            Some(Staged::File { .. }) => Vec::new(),
            _ => self
                .open_hive(&real)?
                .map(|opened| opened.logs)
                .unwrap_or_default(),
        };
        let (mode, owner) = (stat.mode, stat.owner());
        self.stage
            .nodes
            .insert(real, Staged::Hive { hive, mode, owner });
        // What the logs held is in the hive now. Windows goes by them only if the hive says that it was
        // not written completely, but other programs may not be so careful.
        for log in logs {
            let stat = self.lstat_real(&log)?.context("it vanished")?;
            let (content, mode, owner) = (Rc::default(), stat.mode, stat.owner());
            let empty = Staged::File {
                content,
                mode,
                owner,
            };
            self.stage.nodes.insert(log, empty);
        }
        Ok(true)
    }

    /// The hive's file, without links in its path, if there is one.
    fn hive_file(&self, name: &HiveName) -> anyhow::Result<Option<GuestPath>> {
        let Some(windows) = &self.facts.windows else {
            return Ok(None);
        };
        self.regular_file(&name.path(&windows.system_root))
    }

    fn regular_file(&self, path: &GuestPath) -> anyhow::Result<Option<GuestPath>> {
        let Some(real) = self.resolve(path)? else {
            return Ok(None);
        };
        let found = self.lstat_real(&real)?;
        Ok(found
            .filter(|stat| stat.kind == FileKind::File)
            .map(|_| real))
    }

    /// The hive as it is on the guest's disks.
    fn open_hive(&self, real: &GuestPath) -> anyhow::Result<Option<OpenedHive>> {
        if let Some(known) = self.hives.borrow().get(real) {
            return match known {
                Ok(opened) => Ok(Some(opened.clone())),
                Err(reason) => Err(anyhow!("{reason}")),
            };
        }
        let Some(stat) = self.lstat_real(real)? else {
            return Ok(None);
        };
        let opened = self
            .read_hive(real, &stat)
            .with_context(|| format!("reading the registry hive {real}"));
        let known = match &opened {
            Ok(opened) => Ok(opened.clone()),
            Err(error) => Err(format!("{error:#}")),
        };
        self.hives.borrow_mut().insert(real.clone(), known);
        opened.map(Some)
    }

    fn read_hive(&self, real: &GuestPath, stat: &Stat) -> anyhow::Result<OpenedHive> {
        ensure!(
            stat.size <= HIVE_LIMIT,
            "{} bytes is too long for a hive",
            stat.size
        );
        let content = self.seen.backend.read(real)?;
        const DAMAGED: &str =
            "it is damaged. Repair the guest where it ran, or restore it from a backup";
        if !Hive::is_dirty(&content).context(DAMAGED)? {
            let hive = Hive::parse(content).context(DAMAGED)?;
            return Ok(OpenedHive {
                hive: Rc::new(hive),
                logs: Vec::new(),
            });
        }
        let mut paths = Vec::new();
        let mut logs = Vec::new();
        for ending in LOGS {
            let log = [real.as_bytes(), ending.as_bytes()].concat();
            let Some(log) = self.regular_file(&GuestPath::new(log))? else {
                continue;
            };
            let size = self.lstat_real(&log)?.map_or(0, |stat| stat.size);
            if (1..=HIVE_LIMIT).contains(&size) {
                logs.push(self.seen.backend.read(&log)?);
                paths.push(log);
            }
        }
        let slices: Vec<&[u8]> = logs.iter().map(Vec::as_slice).collect();
        let hive = Hive::recover(content, &slices)
            .context("recovering what Windows had not written to it yet")?;
        tracing::info!(hive = %real, "recovered a registry hive with its transaction logs");
        Ok(OpenedHive {
            hive: Rc::new(hive),
            logs: paths,
        })
    }
}
