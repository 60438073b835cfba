//! Removes VMware Tools.
//!
//! Which files, packages, services and modules these are say the rules in `fixup.toml`; here is
//! what takes a program: the tarball installer's database, and what only deserves a warning.
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod blocks;
mod locations;
mod uninstall;
mod xorg;

use std::sync::LazyLock;

use refit_engine::{Evidence, Fixup, Guest, Info, Proposal, Request, Verdict};
use refit_rules::{Draft, Findings, FixupToml, Values};

/// The fixup `vmware-tools`.
#[derive(Debug)]
pub struct VmwareTools;

fn declared() -> &'static FixupToml {
    #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
    static DECLARED: LazyLock<FixupToml> = LazyLock::new(|| {
        FixupToml::parse(include_str!("fixup.toml"), "vmware-tools/fixup.toml")
            .expect("vmware-tools/fixup.toml is valid")
    });
    &DECLARED
}

impl Fixup for VmwareTools {
    fn info(&self) -> &Info {
        &declared().info
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        let FixupToml { info, rules } = declared();
        let values = Values::of(info, request);
        let mut draft = Draft::new(guest)?;
        if let Some(reason) = rules.obstacle(&draft, &values)? {
            return Ok(Verdict::NotApplicable { reason }.into());
        }
        let mut findings = Findings::default();
        uninstall::uninstall(&mut draft, &mut findings)?;
        rules.apply(&mut draft, &values, &mut findings)?;
        for (why, packages) in rules.switched_off(&draft, &values)? {
            findings.evidence.push(Evidence::from([
                ("left", packages.join(", ")),
                ("why", why.to_owned()),
                ("with", "--set vmware-tools.others=true".to_owned()),
            ]));
        }
        warn(draft.guest(), &mut findings)?;
        findings.into_proposal(draft, info)
    }
}

/// What the user should look at, for the guest as it will be.
fn warn(guest: &Guest<'_>, findings: &mut Findings) -> anyhow::Result<()> {
    for (file, driver, installed) in xorg::named(guest)? {
        let state = if installed {
            "drives VMware's hardware alone"
        } else {
            "is not installed"
        };
        findings.warnings.push(format!(
            "{file} names the driver {driver}, which {state}; remove that section if the X server \
             does not start"
        ));
    }
    Ok(())
}
