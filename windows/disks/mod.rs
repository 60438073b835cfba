//! Disks of a Windows guest: online, with their letters.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod letters;
mod policy;
mod state;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use refit_engine::{
    Change, Evidence, Fixup, Guest, HiveName, Info, Proposal, Request, Verdict, WindowsFacts,
};
use refit_hive::{Hive, Value};

use crate::tasks::Task;
use letters::{Letter, Volume};
use policy::{Met, Policy};

/// The fixup `windows-disks`.
#[derive(Debug)]
pub struct WindowsDisks;

impl Fixup for WindowsDisks {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("disks/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, _request: &Request) -> anyhow::Result<Proposal> {
        let Some(windows) = &guest.facts().windows else {
            let reason = "the guest is no Windows".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        if let Some(reason) = state::blocked(windows) {
            return Ok(Verdict::Blocked { reason }.into());
        }
        let Some(system) = guest.hive(&HiveName::System)? else {
            let reason = "the guest has no SYSTEM hive".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        let (mut evidence, mut warnings) = state::found(guest.facts(), windows, &system);
        let (letters, odd) = letters::read(&system);
        warnings.extend(odd);
        evidence.extend(letters.iter().map(told));
        let data: Vec<&Letter> = letters
            .iter()
            .filter(|letter| letter.volume != Volume::Removable)
            .filter(|letter| letter.letter != windows.system_drive.unwrap_or('C'))
            .collect();
        let planned = guest.exists(task(&[], None)?.path())?;
        if !planned && policy::met(&system, &windows.control_set()) == Met::Online {
            let reason = "Windows has met its disks on virtio, and they are online".to_owned();
            return Ok(Proposal {
                verdict: Verdict::Fine { reason },
                evidence,
                warnings,
            });
        }
        let changes = changes(guest, windows, &system, &data, &letters, &mut warnings)?;
        let verdict = match (changes.is_empty(), planned) {
            (false, _) => Verdict::Change {
                reason:
                    "data disks could stay offline on the new machine, or find their letters taken"
                        .to_owned(),
                changes,
            },
            (true, true) => Verdict::Fine {
                reason: "data disks get their letters at first boot".to_owned(),
            },
            (true, false) => Verdict::Fine {
                reason: "there are no data disks with letters, and disks come online by themselves"
                    .to_owned(),
            },
        };
        Ok(Proposal {
            verdict,
            evidence,
            warnings,
        })
    }
}

fn changes(
    guest: &Guest<'_>,
    windows: &WindowsFacts,
    system: &Hive,
    data: &[&Letter],
    letters: &[Letter],
    warnings: &mut Vec<String>,
) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    let path = task(&[], None)?.path();
    let planned = guest.read_text(path)?.as_deref().and_then(policy::planned);
    let mut restore = None;
    let several = !data.is_empty()
        || guest
            .facts()
            .devices
            .iter()
            .filter_map(|one| one.disk)
            .any(|disk| disk > 0)
        || letters::signatures(letters) > 1;
    if several && windows.major >= 6 {
        if policy::is_clustered(system, &windows.control_set()) {
            warnings.push(
                "the guest is a node of a failover cluster: the policy for new disks stays, and disks of the cluster \
                 are left to it"
                    .to_owned(),
            );
        } else {
            let was = policy::read(system, &windows.control_set(), windows.server);
            // What this plan has changed already is in its task.
            restore = planned.or_else(|| (was != Policy::OnlineAll).then_some(was));
            for set in windows.control_set_names() {
                if policy::read(system, &set, windows.server) != Policy::OnlineAll {
                    changes.push(Change::RegistrySet {
                        hive: HiveName::System,
                        key: policy::key(&set),
                        name: policy::VALUE.to_owned(),
                        value: Value::dword(Policy::OnlineAll.number()),
                    });
                }
            }
        }
    }
    if !data.is_empty() || restore.is_some() {
        changes.extend(task(data, restore)?.change(guest)?);
    }
    Ok(changes)
}

fn task(data: &[&Letter], restore: Option<Policy>) -> anyhow::Result<Task> {
    let mut task = Task::new(50, "disks", "online-disks");
    task.line("title", "Data disks online, with their letters")?;
    for letter in data {
        match &letter.volume {
            Volume::Mbr(signature, offset) => {
                task.line(
                    "letter",
                    format_args!("{} mbr {signature:08x} {offset}", letter.letter),
                )?;
            }
            Volume::Gpt(id) => {
                task.line(
                    "letter",
                    format_args!("{} gpt {}", letter.letter, letters::guid(id)),
                )?;
            }
            Volume::Removable => {}
        }
    }
    if let Some(policy) = restore {
        task.line("san-policy", policy.number())?;
    }
    Ok(task)
}

fn told(letter: &Letter) -> Evidence {
    let of = match &letter.volume {
        Volume::Mbr(signature, offset) => {
            format!("MBR disk {signature:08x}, volume at byte {offset}")
        }
        Volume::Gpt(id) => format!("GPT partition {}", letters::guid(id)),
        Volume::Removable => "removable media".to_owned(),
    };
    Evidence::from([
        ("letter", format!("{}:", letter.letter)),
        ("of", of),
        ("source", "MountedDevices".to_owned()),
    ])
}
