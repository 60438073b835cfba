//! The QEMU guest agent.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod enable;
mod first_boot;
mod package;
mod systemd;

use std::path::Path;
use std::sync::LazyLock;

use anyhow::bail;
use refit_engine::{Change, Evidence, Fixup, Guest, Info, Os, Proposal, Request, Verdict};

use crate::assignments::assignments;
use crate::parameters::text;

/// Where distributions install the program.
const PROGRAMS: [&str; 3] = [
    "/usr/bin/qemu-ga",
    "/usr/sbin/qemu-ga",
    "/usr/local/bin/qemu-ga",
];
/// Red Hat's and SUSE's settings for it.
const SETTINGS: &str = "/etc/sysconfig/qemu-ga";

/// The fixup `guest-agent`.
#[derive(Debug)]
pub struct GuestAgent;

/// How an installed agent stands.
enum Started {
    /// Something starts it already.
    Yes(String),
    /// It takes these changes.
    With(String, Vec<Change>),
    /// It is not known how.
    Unknown(String),
}

impl Fixup for GuestAgent {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("guest-agent/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        if guest.facts().os != Some(Os::Linux) {
            let reason = "the guest is no Linux".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        }
        for program in PROGRAMS {
            if guest.exists(program)? {
                return installed(guest, program);
            }
        }
        let package = text(self.info(), request, "package");
        let verdict = match text(self.info(), request, "install") {
            _ if !package.is_empty() => package::install(guest, Path::new(package))?,
            "no" => Verdict::NotApplicable {
                reason: "the guest has no QEMU guest agent; to install it, give --set \
                         guest-agent.package=FILE, or --set guest-agent.install=firstboot if the guest's \
                         repositories have it"
                    .to_owned(),
            },
            "firstboot" => first_boot::install(guest, self.info())?,
            other => bail!("guest-agent.install is {other:?} instead of \"no\" or \"firstboot\""),
        };
        Ok(verdict.into())
    }
}

fn installed(guest: &Guest<'_>, program: &str) -> anyhow::Result<Proposal> {
    let mut evidence = vec![Evidence::from([("agent", program.to_owned())])];
    if let Some(settings) = guest.read_text(SETTINGS)? {
        for one in assignments(&settings).0 {
            let filters = ["BLACKLIST_RPC", "BLOCK_RPCS", "FILTER_RPC_ARGS"];
            if filters.contains(&one.name) && !one.value.is_empty() {
                evidence.push(Evidence::from([
                    ("limited_by", one.name.to_owned()),
                    ("source", SETTINGS.to_owned()),
                ]));
            }
        }
    }
    let started = match guest.facts().init.as_deref() {
        Some("systemd") => systemd::started(guest)?,
        _ => enable::started(guest)?,
    };
    let mut warnings = Vec::new();
    let verdict = match started {
        Started::Yes(reason) => Verdict::Fine { reason },
        Started::With(reason, changes) => Verdict::Change { reason, changes },
        Started::Unknown(why) => {
            warnings.push(why);
            Verdict::Fine {
                reason: format!("{program} is installed"),
            }
        }
    };
    Ok(Proposal {
        verdict,
        evidence,
        warnings,
    })
}
