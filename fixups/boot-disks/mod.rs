//! Lets the guest find its disks on other virtual hardware.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod devices;
mod drivers;
mod evidence;
mod fallback;
mod index;
mod initramfs;
mod lvm;
mod mdadm;
mod modules;
mod names;
mod part;
mod rebuild;
mod stable;
mod tool;

use std::sync::LazyLock;

use refit_engine::{Fixup, Guest, Info, Os, Proposal, Request, Verdict};
use refit_machine::Devices;

/// The fixup `boot-disks`.
#[derive(Debug)]
pub struct BootDisks;

impl Fixup for BootDisks {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("boot-disks/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, _request: &Request) -> anyhow::Result<Proposal> {
        let facts = guest.facts();
        let not_applicable = |reason: &str| {
            Ok(Verdict::NotApplicable {
                reason: reason.to_owned(),
            }
            .into())
        };
        if facts.os != Some(Os::Linux) {
            return not_applicable("the guest is no Linux");
        }
        if facts.arch.as_deref() == Some("s390x") {
            return not_applicable("virtio devices of s390x are on no PCI bus, and not covered");
        }
        if facts.kernels.is_empty() {
            return not_applicable("the guest has no kernel of its own");
        }
        Ok(part::proposal([
            drivers::plan(guest)?,
            stable::plan(guest)?,
            lvm::plan(guest)?,
            mdadm::plan(guest)?,
            fallback::plan(guest)?,
        ]))
    }

    fn devices(&self, guest: &Guest<'_>) -> anyhow::Result<Option<Devices>> {
        let facts = guest.facts();
        if facts.os != Some(Os::Linux) || facts.arch.as_deref() == Some("s390x") {
            return Ok(None);
        }
        devices::of(guest)
    }
}
