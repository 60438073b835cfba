//! Devices of the old hypervisor, which Windows keeps as hidden ones.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod find;
mod origin;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use refit_engine::{Evidence, Fixup, Guest, HiveName, Info, Proposal, Request, Verdict};

use crate::adapters::Guid;
use crate::parameters;
use crate::tasks::{FOLDER, Task};
use find::Ghost;

/// The fixup `windows-ghost-devices`.
#[derive(Debug)]
pub struct WindowsGhostDevices;

/// A task may have 1000 lines.
const MOST_IDS: usize = 900;

impl Fixup for WindowsGhostDevices {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("ghost-devices/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        let origins = origin::parse(parameters::text(self.info(), request, "from"))?;
        let Some(windows) = &guest.facts().windows else {
            let reason = "the guest is no Windows".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        let Some(system) = guest.hive(&HiveName::System)? else {
            let reason = "the guest has no SYSTEM hive".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        let released = released(guest)?;
        let found = find::find(&system, &windows.control_set(), &origins, &released);
        propose(guest, &found)
    }
}

/// The interfaces whose settings the planned network tasks give to new ones.
fn released(guest: &Guest<'_>) -> anyhow::Result<Vec<Guid>> {
    let mut released = Vec::new();
    let folder = format!("{FOLDER}/tasks");
    if !guest.exists(folder.as_str())? {
        return Ok(released);
    }
    for entry in guest.list(folder.as_str())? {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        if !name.starts_with("40-network-") || !name.ends_with(".task") {
            continue;
        }
        let text = guest.read_text(format!("{folder}/{name}").as_str())?;
        let text = text.unwrap_or_default();
        let guids = text
            .lines()
            .filter_map(|line| line.strip_prefix("release-interface ")?.parse().ok());
        released.extend(guids);
    }
    Ok(released)
}

fn propose(guest: &Guest<'_>, ghosts: &[Ghost]) -> anyhow::Result<Proposal> {
    let evidence = ghosts
        .iter()
        .map(|ghost| {
            Evidence::from([
                ("device", ghost.name.clone()),
                ("id", ghost.id.clone()),
                (
                    "fate",
                    ghost.kept.clone().unwrap_or_else(|| "removed".to_owned()),
                ),
            ])
        })
        .collect();
    let remove: Vec<&Ghost> = ghosts.iter().filter(|ghost| ghost.kept.is_none()).collect();
    let mut warnings: Vec<String> = ghosts
        .iter()
        .filter(|ghost| ghost.has_settings)
        .filter_map(|ghost| {
            Some(format!(
                "{} ({}): {}",
                ghost.name,
                ghost.id,
                ghost.kept.as_ref()?
            ))
        })
        .collect();
    if remove.len() > MOST_IDS {
        warnings.push(format!(
            "of {} devices only the first {MOST_IDS} are removed",
            remove.len()
        ));
    }
    let verdict = if remove.is_empty() {
        let reason = "there are no devices of the old hypervisor to remove".to_owned();
        Verdict::Fine { reason }
    } else {
        let mut task = Task::new(30, "ghost-devices", "remove-devices");
        task.line("title", "Remove hidden devices of the old hypervisor")?;
        for ghost in remove.iter().take(MOST_IDS) {
            task.line("hardware-id", &ghost.id)?;
        }
        match task.change(guest)? {
            Some(change) => Verdict::Change {
                reason: "devices of the old hypervisor would stay as hidden ones, with addresses and names that the \
                         new ones are to have"
                    .to_owned(),
                changes: vec![change],
            },
            None => Verdict::Fine {
                reason: "devices of the old hypervisor are removed at first boot".to_owned(),
            },
        }
    };
    Ok(Proposal {
        verdict,
        evidence,
        warnings,
    })
}
