//! The OVF environment for guests that ask VMware Tools for it.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod backdoor;
mod consumers;
mod files;
mod places;

use std::sync::LazyLock;

use refit_engine::{
    Change, Evidence, Fixup, Guest, GuestPath, Info, Os, Proposal, Request, Verdict,
};

use crate::parameters::flag;
use consumers::Consumer;
use places::{PROGRAM, Places};

/// The stand-in.
const SCRIPT: &[u8] = include_bytes!("guestinfo.sh");

/// The fixup `ovf-env`.
#[derive(Debug)]
pub struct OvfEnv;

impl Fixup for OvfEnv {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("ovf-env/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        if guest.facts().os != Some(Os::Linux) {
            let reason = "the guest is no Linux".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        }
        let mut consumers = consumers::consumers(guest)?;
        if flag(self.info(), request, "force") {
            consumers.push(Consumer {
                path: "/".into(),
                programs: ["vmtoolsd", "vmware-rpctool"].map(str::to_owned).into(),
            });
        }
        let direct = backdoor::readers(guest)?;
        let mut evidence: Vec<Evidence> = consumers.iter().map(asks).collect();
        evidence.extend(direct.iter().map(|reader| {
            Evidence::from([
                ("asks", reader.name.to_owned()),
                ("source", reader.source.clone()),
            ])
        }));
        let advice = direct.iter().map(|reader| reader.advice());
        let told = request.ovf_environment.as_ref();
        let files = told.map_or_else(
            || Ok(Vec::new()),
            |told| files::wanted(guest, told, !consumers.is_empty()),
        )?;
        let (verdict, warnings) = if !(consumers.is_empty() && files.is_empty()) {
            let places = Places::find(guest, &consumers)?;
            let warnings = places.warnings.iter().cloned().chain(advice).collect();
            (verdict(guest, &places, &consumers, files)?, warnings)
        } else if direct.is_empty() {
            let reason = "nothing was found that asks VMware Tools for settings".to_owned();
            (Verdict::NotApplicable { reason }, Vec::new())
        } else {
            let reason = advice.collect::<Vec<_>>().join("; ");
            (Verdict::Blocked { reason }, Vec::new())
        };
        Ok(Proposal {
            verdict,
            evidence,
            warnings,
        })
    }
}

fn asks(consumer: &Consumer) -> Evidence {
    if consumer.path == GuestPath::new("/") {
        return Evidence::from([("wanted_by", "ovf-env.force".to_owned())]);
    }
    let programs: Vec<&str> = consumer.programs.iter().map(String::as_str).collect();
    Evidence::from([
        ("asks", consumer.path.to_string()),
        ("through", programs.join(", ")),
    ])
}

fn verdict(
    guest: &Guest<'_>,
    places: &Places,
    consumers: &[Consumer],
    files: Vec<Change>,
) -> anyhow::Result<Verdict> {
    let mut changes = files::different(guest, files)?;
    let tells = !changes.is_empty();
    let same = consumers.is_empty()
        || guest.read(PROGRAM)?.as_deref() == Some(SCRIPT)
            && guest.stat(PROGRAM)?.is_some_and(|stat| stat.mode == 0o755);
    if !same {
        changes.push(Change::Write {
            path: PROGRAM.into(),
            content: SCRIPT.to_vec(),
            mode: Some(0o755),
        });
    }
    changes.extend(places.free.iter().map(|path| Change::Link {
        path: path.clone(),
        target: PROGRAM.as_bytes().to_vec(),
    }));
    let all: Vec<String> = places
        .free
        .iter()
        .chain(&places.ours)
        .map(ToString::to_string)
        .collect();
    let all = all.join(", ");
    Ok(if changes.is_empty() {
        let reason = match consumers {
            [] => "the OVF environment is in the guest".to_owned(),
            _ => format!("a stand-in answers at {all}"),
        };
        Verdict::Fine { reason }
    } else {
        let stand_in =
            format!("a stand-in for VMware Tools answers from the OVF environment, at {all}");
        let reason = match (consumers, tells) {
            ([], _) => "the OVF environment is kept in the guest, for cloud-init".to_owned(),
            (_, true) => format!("{stand_in}; it is kept in the guest"),
            (_, false) => stand_in,
        };
        Verdict::Change { reason, changes }
    })
}
