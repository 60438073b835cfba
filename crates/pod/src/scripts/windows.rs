//! A PowerShell script for the first boot of Windows: a task of our first-boot service.

use std::collections::BTreeMap;

use refit_engine::{Change, Fixup, Guest, Info, Os, Phase, Proposal, Request, Verdict};
use refit_windows::tasks::{FOLDER, Task};

/// Where users' scripts are among the tasks (`windows/firstboot/TASKS.md`).
const ORDER: u8 = 70;
/// Seconds that one may take.
const TIMEOUT: u32 = 3600;

/// One script.
#[derive(Debug)]
pub(super) struct WindowsScript {
    info: Info,
    /// Its place among the scripts: the service goes by the names of tasks.
    place: usize,
    text: Result<Vec<u8>, String>,
}

impl WindowsScript {
    pub(super) fn new(id: &str, name: &str, place: usize, text: Result<Vec<u8>, String>) -> Self {
        Self {
            info: Info {
                id: id.to_owned(),
                summary: format!("Runs {name} when Windows boots"),
                phase: Phase::User,
                parameters: BTreeMap::new(),
            },
            place,
            text,
        }
    }

    fn task(&self) -> anyhow::Result<Task> {
        // A task's id has 64 characters at most.
        let name: String = self
            .info
            .id
            .chars()
            .skip("script-".len())
            .take(56)
            .collect();
        let mut task = Task::new(ORDER, &format!("u{:03}-{name}", self.place), "script");
        task.line("title", &self.info.summary)?;
        task.line("interpreter", "powershell")?;
        task.line("script", format!(r"%Refit%\files\{}.ps1", self.info.id))?;
        // As with virt-v2v's own service: once, whatever comes of it.
        task.line("attempts", 1)?;
        task.line("timeout", TIMEOUT)?;
        Ok(task)
    }
}

impl Fixup for WindowsScript {
    fn info(&self) -> &Info {
        &self.info
    }

    fn plan(&self, guest: &Guest<'_>, _: &Request) -> anyhow::Result<Proposal> {
        if guest.facts().os != Some(Os::Windows) {
            return Ok(Verdict::NotApplicable {
                reason: "the guest is no Windows".to_owned(),
            }
            .into());
        }
        let text = match &self.text {
            Ok(text) => text,
            Err(problem) => anyhow::bail!("{problem}"),
        };
        let mut changes = Vec::new();
        let path = format!("{FOLDER}/files/{}.ps1", self.info.id);
        if guest.read(path.as_str())?.as_ref() != Some(text) {
            changes.push(Change::Write {
                path: path.as_str().into(),
                content: text.clone(),
                mode: None,
            });
        }
        changes.extend(self.task()?.change(guest)?);
        Ok(if changes.is_empty() {
            Verdict::Fine {
                reason: "the script waits for the guest's next boot".to_owned(),
            }
        } else {
            Verdict::Change {
                reason: self.info.summary.clone(),
                changes,
            }
        }
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tasks_keep_the_scripts_order_and_the_services_limits() {
        let long = format!("script-{}", "x".repeat(80));
        for (place, id, expected) in [
            (
                2,
                "script-2-win-firstboot-a",
                "70-u002-2-win-firstboot-a.task".to_owned(),
            ),
            (
                10,
                long.as_str(),
                format!("70-u010-{}.task", "x".repeat(56)),
            ),
        ] {
            let script = WindowsScript::new(id, "n.ps1", place, Ok(Vec::new()));
            let path = script.task().unwrap().path().to_string();
            assert!(path.ends_with(&expected), "{path}");
        }
    }
}
