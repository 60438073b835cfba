//! The QEMU guest agent of a Windows guest.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod installed;
mod installer;
mod version;

use std::sync::LazyLock;

use refit_engine::{Change, Evidence, Fixup, Guest, HiveName, Info, Proposal, Request, Verdict};
use refit_virtio_win::Source;

use crate::tasks::{FOLDER, Task};
use installer::Installer;

/// The agent's service, by the name that its installer gives it.
const SERVICE: &str = "QEMU-GA";

/// The fixup `windows-guest-agent`.
#[derive(Debug)]
pub struct WindowsGuestAgent;

impl Fixup for WindowsGuestAgent {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("guest-agent/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        let Some(windows) = &guest.facts().windows else {
            let reason = "the guest is no Windows".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        let Some(system) = guest.hive(&HiveName::System)? else {
            let reason = "the guest has no SYSTEM hive".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        let service = format!(r"{}\Services\{SERVICE}", windows.control_set());
        let present = system.key(&service).is_some();
        let software = guest.hive(&HiveName::Software)?;
        let has = software.as_ref().and_then(|hive| installed::version(hive));
        let Some(path) = &request.virtio_win else {
            return Ok(without_source(present).into());
        };
        let source = Source::open(path)?;
        let found = installer::find(&source, guest.facts().arch.as_deref())?;
        let mut evidence = Vec::new();
        if present {
            evidence.push(Evidence::from([
                (
                    "installed",
                    has.clone().unwrap_or_else(|| "unknown version".to_owned()),
                ),
                ("service", SERVICE.to_owned()),
            ]));
        }
        let Some(installer) = found else {
            return Ok(Proposal {
                verdict: without_installer(present, guest.facts().arch.as_deref()),
                evidence,
                warnings: Vec::new(),
            });
        };
        evidence.push(Evidence::from([
            ("installer", installer.path.clone()),
            (
                "version",
                installer
                    .version
                    .clone()
                    .unwrap_or_else(|| "unknown".to_owned()),
            ),
        ]));
        let newer = match (&installer.version, &has) {
            (Some(offered), Some(has)) => version::is_newer(offered, has),
            _ => false,
        };
        let verdict = if present && !newer {
            Verdict::Fine {
                reason: "the guest agent is installed".to_owned(),
            }
        } else {
            install(guest, &installer, present)?
        };
        Ok(Proposal {
            verdict,
            evidence,
            warnings: Vec::new(),
        })
    }
}

fn without_source(present: bool) -> Verdict {
    if present {
        let reason = "the guest agent is installed".to_owned();
        return Verdict::Fine { reason };
    }
    Verdict::NotApplicable {
        reason: "the guest has no QEMU guest agent, and its installer is not here; give virtio-win with --virtio-win"
            .to_owned(),
    }
}

fn without_installer(present: bool, arch: Option<&str>) -> Verdict {
    if present {
        let reason = "the guest agent is installed".to_owned();
        return Verdict::Fine { reason };
    }
    Verdict::Blocked {
        reason: format!(
            "the drivers that are given have no installer of the guest agent for {}; give a complete virtio-win, with its \
             folder guest-agent",
            arch.unwrap_or("an unknown architecture")
        ),
    }
}

fn install(guest: &Guest<'_>, installer: &Installer, upgrade: bool) -> anyhow::Result<Verdict> {
    let target = format!("{FOLDER}/files/{}", installer.name);
    let mut task = Task::new(60, "guest-agent", "run");
    task.line("title", "Install the QEMU guest agent")?;
    task.line("attempts", 5)?;
    if !upgrade {
        task.line("unless-service", SERVICE)?;
    }
    task.line("program", r"%SystemRoot%\System32\msiexec.exe")?;
    for argument in [
        "/i",
        &format!(r"%Refit%\files\{}", installer.name),
        "/qn",
        "/norestart",
    ] {
        task.line("arg", argument)?;
    }
    // Windows Installer: done; a restart is wanted; another version is there already, a newer one.
    for code in [0, 1638] {
        task.line("success", code)?;
    }
    let mut changes = Vec::new();
    if guest.read(target.as_str())?.as_deref() != Some(installer.content.as_slice()) {
        changes.push(Change::Write {
            path: target.as_str().into(),
            content: installer.content.clone(),
            mode: None,
        });
    }
    changes.extend(task.change(guest)?);
    if changes.is_empty() {
        let reason = "the guest agent is installed at first boot".to_owned();
        return Ok(Verdict::Fine { reason });
    }
    let what = if upgrade { "has an older" } else { "has no" };
    Ok(Verdict::Change {
        reason: format!("the guest {what} QEMU guest agent"),
        changes,
    })
}
