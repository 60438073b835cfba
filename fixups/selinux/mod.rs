//! SELinux labels, after all other fixups.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod labels;

use std::sync::LazyLock;

use anyhow::bail;
use refit_engine::{Change, Evidence, Fixup, Guest, Info, Os, Proposal, Request, Verdict};

use crate::assignments::assignments;
use crate::boot_loader::{BootFiles, Carrier};
use crate::parameters::text;
use labels::Labels;

/// Asks for a relabel at the next boot (selinux(8)).
const AUTORELABEL: &str = "/.autorelabel";
const CONFIG: &str = "/etc/selinux/config";
/// What a relabel costs.
const COST: &str = "it reads and labels every file before services start, which takes from a minute to hours \
     by their number, and reboots once";

/// The fixup `selinux`.
#[derive(Debug)]
pub struct Selinux;

impl Fixup for Selinux {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("selinux/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        let not_applicable = |reason: &str| {
            let reason = reason.to_owned();
            Ok(Verdict::NotApplicable { reason }.into())
        };
        if guest.facts().os != Some(Os::Linux) {
            return not_applicable("the guest is no Linux");
        }
        let Some(policy) = guest.facts().selinux.clone() else {
            return not_applicable("SELinux is off in this guest, or not there");
        };
        if off_by_kernel(guest)? {
            return not_applicable("the kernel's arguments switch SELinux off");
        }
        if !has_policy(guest, &policy)? {
            return without_policy(guest, &policy);
        }
        let labels = Labels::read(guest, &policy)?;
        let mut evidence = vec![labels.evidence(&policy)];
        let requested = guest.exists(AUTORELABEL)?;
        if requested {
            evidence.push(Evidence::from([("relabel", AUTORELABEL.to_owned())]));
        }
        let mut warnings = Vec::new();
        let verdict = match (text(self.info(), request, "relabel"), requested) {
            ("request", false) => Verdict::Change {
                reason: format!("the guest relabels itself at its next boot, as you ask: {COST}"),
                changes: vec![Change::Write {
                    path: AUTORELABEL.into(),
                    content: Vec::new(),
                    mode: None,
                }],
            },
            ("keep" | "request", true) => Verdict::Fine {
                reason: format!(
                    "the guest relabels itself at its next boot ({AUTORELABEL}): {COST}"
                ),
            },
            ("skip", true) => match labels.why_relabel() {
                Some(why) => Verdict::Blocked {
                    reason: format!(
                        "the guest has to relabel itself at its next boot ({AUTORELABEL} stays): {why}"
                    ),
                },
                None => Verdict::Change {
                    reason:
                        "the guest does not relabel itself, for the files looked at have labels"
                            .to_owned(),
                    changes: vec![Change::Remove {
                        path: AUTORELABEL.into(),
                    }],
                },
            },
            ("keep" | "skip", false) => {
                warnings.extend(labels.warning());
                Verdict::Fine {
                    reason: labels.fine(),
                }
            }
            (other, _) => {
                bail!("selinux.relabel is {other:?} instead of \"keep\", \"request\" or \"skip\"")
            }
        };
        Ok(Proposal {
            verdict,
            evidence,
            warnings,
        })
    }
}

/// Whether every entry that boots has `selinux=0`.
fn off_by_kernel(guest: &Guest<'_>) -> anyhow::Result<bool> {
    let boot = BootFiles::read(guest)?;
    let mut entries = boot.files.iter().flat_map(|file| {
        let lines = file.lines.iter();
        let lines = lines.filter(|line| matches!(line.carrier, Carrier::Entry { .. }));
        lines.map(move |line| file.arguments(line).any(|(_, word)| word == "selinux=0"))
    });
    let Some(first) = entries.next() else {
        return Ok(false);
    };
    Ok(first && entries.all(|off| off))
}

fn has_policy(guest: &Guest<'_>, policy: &str) -> anyhow::Result<bool> {
    let dir = format!("/etc/selinux/{policy}");
    let binary = guest.files(format!("{dir}/policy").as_str(), |name| {
        name.starts_with("policy.")
    })?;
    let contexts = format!("{dir}/contexts/files/file_contexts");
    Ok(!binary.is_empty() && guest.exists(contexts.as_str())?)
}

fn without_policy(guest: &Guest<'_>, policy: &str) -> anyhow::Result<Proposal> {
    let config = guest.read_text(CONFIG)?.unwrap_or_default();
    let enforcing = assignments(&config)
        .0
        .iter()
        .any(|one| one.name == "SELINUX" && one.value.trim() == "enforcing");
    let reason = format!("the policy {policy:?} that {CONFIG} names is not installed");
    Ok(if enforcing {
        Proposal {
            warnings: vec![format!(
                "{reason}, and the guest insists on one: a kernel with SELinux stops at boot; install \
                 the policy, or put SELINUX=permissive there"
            )],
            ..Verdict::NotApplicable { reason }.into()
        }
    } else {
        Verdict::NotApplicable { reason }.into()
    })
}
