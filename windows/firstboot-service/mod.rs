//! The first-boot service, where something is left to do for it.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

pub(crate) mod program;
mod service;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use refit_engine::{
    Change, Evidence, Fixup, Guest, HiveName, Info, Proposal, Request, Verdict, WindowsFacts,
};

use crate::parameters;
use crate::tasks::FOLDER;
use program::{Arch, Missing};

/// The fixup `windows-firstboot`.
#[derive(Debug)]
pub struct WindowsFirstboot;

impl Fixup for WindowsFirstboot {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml"))
                .expect("firstboot-service/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        let Some(windows) = &guest.facts().windows else {
            let reason = "the guest is no Windows".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        let tasks = tasks(guest)?;
        if tasks.is_empty() {
            let reason = "nothing is left to do at first boot".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        }
        let evidence = tasks
            .iter()
            .map(|task| Evidence::from([("task", task.clone())]))
            .collect();
        let given = parameters::text(self.info(), request, "directory");
        let verdict = match program::find(guest.facts().arch.as_deref(), &program::places(given)) {
            Ok((arch, content)) => install(guest, windows, arch, content)?,
            Err(missing) => blocked(&missing, tasks.len()),
        };
        Ok(Proposal {
            verdict,
            evidence,
            warnings: Vec::new(),
        })
    }
}

fn tasks(guest: &Guest<'_>) -> anyhow::Result<Vec<String>> {
    let folder = format!("{FOLDER}/tasks");
    if !guest.exists(folder.as_str())? {
        return Ok(Vec::new());
    }
    let names = guest
        .list(folder.as_str())?
        .into_iter()
        .map(|entry| String::from_utf8_lossy(&entry.name).into_owned());
    let mut tasks: Vec<String> = names.filter(|name| name.ends_with(".task")).collect();
    tasks.sort();
    Ok(tasks)
}

fn install(
    guest: &Guest<'_>,
    windows: &WindowsFacts,
    arch: Arch,
    content: Vec<u8>,
) -> anyhow::Result<Verdict> {
    let Some(system) = guest.hive(&HiveName::System)? else {
        let reason = "the guest has no SYSTEM hive to register a service in".to_owned();
        return Ok(Verdict::Blocked { reason });
    };
    let mut changes = Vec::new();
    let path = format!("{FOLDER}/{}", program::NAME);
    if guest.read(path.as_str())?.as_deref() != Some(content.as_slice()) {
        changes.push(Change::Write {
            path: path.as_str().into(),
            content,
            mode: None,
        });
    }
    // From an earlier conversion: it says that all is done.
    let complete = format!("{FOLDER}/complete");
    if guest.exists(complete.as_str())? {
        changes.push(Change::Remove {
            path: complete.as_str().into(),
        });
    }
    for set in windows.control_set_names() {
        changes.extend(service::changes(
            &system,
            &set,
            windows.system_drive.unwrap_or('C'),
        ));
    }
    if changes.is_empty() {
        return Ok(Verdict::Fine {
            reason: "the first-boot service is installed".to_owned(),
        });
    }
    Ok(Verdict::Change {
        reason: format!(
            "what only the running Windows can do is done by a service ({}), which removes itself afterwards",
            arch.name()
        ),
        changes,
    })
}

fn blocked(missing: &Missing, tasks: usize) -> Verdict {
    Verdict::Blocked {
        reason: format!("{tasks} tasks are left for the first boot, but {missing}"),
    }
}
