//! The sign that Windows is ready, for a controller that waits for it.
//!
//! Our first-boot service writes `CONVERSION_DONE` to COM1 when it has finished, but it is only there if it has
//! something to do. This is the least that it can have: waiting for Plug and Play, which it does anyway.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use refit_engine::{Fixup, Guest, Info, Os, Phase, Proposal, Request, Verdict};
use refit_windows::tasks::Task;

/// After all others (`windows/firstboot/TASKS.md`).
const ORDER: u8 = 90;

/// The fixup `windows-signal`.
#[derive(Debug)]
pub(crate) struct Signal;

impl Fixup for Signal {
    fn info(&self) -> &Info {
        static INFO: LazyLock<Info> = LazyLock::new(|| Info {
            id: "windows-signal".to_owned(),
            summary: "Has Windows say on its serial port when its first boot is done".to_owned(),
            phase: Phase::User,
            parameters: BTreeMap::new(),
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, _: &Request) -> anyhow::Result<Proposal> {
        if guest.facts().os != Some(Os::Windows) {
            return Ok(Verdict::NotApplicable {
                reason: "the guest is no Windows".to_owned(),
            }
            .into());
        }
        let mut task = Task::new(ORDER, "signal", "wait-pnp");
        task.line("title", "Wait until all devices are there")?;
        Ok(match task.change(guest)? {
            None => Verdict::Fine {
                reason: "the service says when it has finished".to_owned(),
            },
            Some(change) => Verdict::Change {
                reason: "the controller waits until the first boot is done".to_owned(),
                changes: vec![change],
            },
        }
        .into())
    }
}
