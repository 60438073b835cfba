//! A serial console beside the old one.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod getty;
mod inittab;
mod kernel;

use std::sync::LazyLock;

use refit_engine::{Fixup, Guest, Info, Os, Proposal, Request, Verdict};

use crate::parameters::flag;
use kernel::Serial;

/// The serial port that every hypervisor of a PC gives first.
const PORT: &str = "ttyS0";
/// Bits per second; 8 data bits, no parity. A virtual port takes any, this is what peers use.
const SPEED: u32 = 115_200;
/// Consoles that only Xen has; `xvc0` is the older name.
const XEN_CONSOLES: [&str; 2] = ["hvc0", "xvc0"];

/// The fixup `console`.
#[derive(Debug)]
pub struct Console;

impl Fixup for Console {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("console/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        let facts = guest.facts();
        let not_applicable = |reason: &str| {
            let reason = reason.to_owned();
            Ok(Verdict::NotApplicable { reason }.into())
        };
        if facts.os != Some(Os::Linux) {
            return not_applicable("the guest is no Linux");
        }
        if !flag(self.info(), request, "serial") {
            return not_applicable("no serial console is wanted (serial=false)");
        }
        // Others have consoles of other names, and a port that the kernel finds by itself.
        if !matches!(facts.arch.as_deref(), None | Some("x86_64" | "i386")) {
            return not_applicable("ttyS0 is the console of PCs alone");
        }
        let mut kernel = kernel::plan(guest)?;
        let reason = match &kernel.serial {
            Serial::Added => None,
            Serial::Named(name) => Some(format!("the kernel's arguments name {name}")),
            Serial::Silenced => {
                return not_applicable("the kernel's arguments switch its console off");
            }
            Serial::NoArguments => {
                return not_applicable(
                    "no boot loader with kernel arguments that can be changed was found",
                );
            }
        };
        let mut said: Vec<String> = std::mem::take(&mut kernel.reasons);
        let mut fine: Vec<String> = reason.into_iter().collect();
        // A getty on another port is the business of who chose that port.
        if !matches!(&kernel.serial, Serial::Named(name) if name != PORT) {
            let login = getty::plan(guest)?;
            said.extend(login.reasons);
            fine.extend(login.fine);
            kernel.changes.extend(login.changes);
            kernel.warnings.extend(login.warnings);
        }
        let verdict = if kernel.changes.is_empty() {
            Verdict::Fine {
                reason: fine.join("; "),
            }
        } else {
            Verdict::Change {
                reason: said.join("; "),
                changes: kernel.changes,
            }
        };
        Ok(Proposal {
            verdict,
            evidence: kernel.evidence,
            warnings: kernel.warnings,
        })
    }
}
