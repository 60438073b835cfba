//! The OVF environment for Windows guests that ask VMware Tools for it.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod consumers;
mod text;

use std::sync::LazyLock;

use refit_engine::{Change, Evidence, Fixup, Guest, Info, Proposal, Request, Verdict};

use crate::firstboot_service::program::{self, Missing};
use crate::parameters;

/// Where VMware Tools have their programs, and where scripts look for them.
const FOLDER: &str = "/Program Files/VMware/VMware Tools";
/// The programs that are asked; the stand-in goes by its name.
const PROGRAMS: [&str; 2] = ["vmtoolsd.exe", "rpctool.exe"];
/// Says whose the programs beside it are, to people and to `windows-vmware-tools`.
const NOTE: &str = "refit-ovf-env.txt";
const NOTE_TEXT: &str = "vmtoolsd.exe and rpctool.exe in this folder are no part of VMware Tools. refit has put them here so that\r\n\
    scripts which ask for guestinfo values get them from the CD-ROM with the label \"OVF ENV\".\r\n";

/// The fixup `windows-ovf-env`.
#[derive(Debug)]
pub struct WindowsOvfEnv;

/// The stand-ins' names, if this folder has them: they are no part of the product whose folder it is.
///
/// # Errors
/// If the guest's files cannot be read.
pub(crate) fn stand_ins(
    guest: &Guest<'_>,
    folder: &refit_engine::GuestPath,
) -> anyhow::Result<Vec<&'static str>> {
    let note = guest.read_start(folder.join(NOTE), NOTE_TEXT.len());
    Ok(
        match guest.exists(folder.join(NOTE))? && note? == NOTE_TEXT.as_bytes() {
            true => PROGRAMS.into_iter().chain([NOTE]).collect(),
            false => Vec::new(),
        },
    )
}

impl Fixup for WindowsOvfEnv {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("ovf-env/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        let Some(windows) = &guest.facts().windows else {
            let reason = "the guest is no Windows".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        let found = consumers::find(guest, windows)?;
        let mut evidence: Vec<Evidence> = found
            .iter()
            .map(|(place, how)| {
                Evidence::from([("asks", place.clone()), ("how", (*how).to_owned())])
            })
            .collect();
        if parameters::flag(self.info(), request, "force") {
            evidence.push(Evidence::from([(
                "wanted_by",
                "windows-ovf-env.force".to_owned(),
            )]));
        }
        let verdict = if evidence.is_empty() {
            let reason = "nothing was found that asks VMware Tools for settings".to_owned();
            Verdict::NotApplicable { reason }
        } else {
            let given = parameters::text(self.info(), request, "directory");
            verdict(guest, given)?
        };
        Ok(Proposal {
            verdict,
            evidence,
            warnings: Vec::new(),
        })
    }
}

fn verdict(guest: &Guest<'_>, directory: &str) -> anyhow::Result<Verdict> {
    let note = format!("{FOLDER}/{NOTE}");
    let is_ours = guest.exists(note.as_str())?;
    if !is_ours && guest.exists(format!("{FOLDER}/{}", PROGRAMS[0]).as_str())? {
        let reason = "VMware Tools stay, and answer on VMware only; let windows-vmware-tools remove them, so that a stand-in \
                      can answer from the OVF environment"
            .to_owned();
        return Ok(Verdict::Blocked { reason });
    }
    let arch = guest.facts().arch.as_deref();
    let content = match program::find(arch, &program::places(directory)) {
        Ok((_, content)) => content,
        Err(missing) => {
            let missing = match missing {
                Missing::Arch(Some(arch)) => format!("the stand-in is not built for {arch}"),
                other => other.to_string(),
            };
            let reason = format!("the guest asks VMware Tools for settings, but {missing}");
            return Ok(Verdict::Blocked { reason });
        }
    };
    let files = PROGRAMS
        .map(|name| (name, content.clone()))
        .into_iter()
        .chain([(NOTE, NOTE_TEXT.as_bytes().to_vec())]);
    let mut changes = Vec::new();
    for (name, content) in files {
        let path = format!("{FOLDER}/{name}");
        if guest.read(path.as_str())?.as_deref() != Some(content.as_slice()) {
            changes.push(Change::Write {
                path: path.as_str().into(),
                content,
                mode: None,
            });
        }
    }
    if changes.is_empty() {
        let reason = "the stand-in for VMware Tools is in place".to_owned();
        return Ok(Verdict::Fine { reason });
    }
    Ok(Verdict::Change {
        reason:
            "what asks VMware Tools for settings gets them from the OVF environment on a CD-ROM"
                .to_owned(),
        changes,
    })
}
