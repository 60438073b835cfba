//! Users' scripts from a mounted ConfigMap, by Forklift's naming rules.

mod name;
mod signal;
mod windows;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use refit_engine::{Fixup, Guest, Info, Proposal, Request, Verdict};
use refit_plugins::{UserFixup, When};

use name::{Kind, ScriptName};
pub(crate) use signal::Signal;
use windows::WindowsScript;

/// No script is longer, in bytes: a ConfigMap holds 1 MiB.
const LONGEST: u64 = 1 << 20;
/// No more are run.
const MOST: usize = 1000;

/// The scripts in `dir` as fixups, in the order of their numbers. What has another name is left alone, and the log says
/// so.
///
/// # Errors
/// If the directory is there and cannot be listed.
pub(crate) fn load(dir: &Path) -> anyhow::Result<Vec<Box<dyn Fixup>>> {
    let mut scripts = Vec::new();
    for (name, path) in files(dir)? {
        match ScriptName::parse(&name) {
            Some(parsed) => scripts.push((parsed, name, path)),
            None => tracing::warn!(
                "{}: left alone: its name is none of NUMBER_linux_run_TEXT.sh, \
                 NUMBER_linux_firstboot_TEXT.sh and NUMBER_win_firstboot_TEXT.ps1",
                path.display()
            ),
        }
    }
    scripts.sort_by(|(a, name_a, _), (b, name_b, _)| (&a.number, name_a).cmp(&(&b.number, name_b)));
    let mut fixups: Vec<Box<dyn Fixup>> = Vec::new();
    let mut ids = Vec::new();
    let mut last_boot: Option<String> = None;
    for (parsed, name, path) in scripts.into_iter().take(MOST) {
        let id = unique(&name, &mut ids);
        let text = read(&path).map_err(|error| format!("{error:#}"));
        match parsed.kind {
            Kind::LinuxRun => fixups.push(Box::new(Once::new(refit_plugins::single(
                &id,
                &path,
                text,
                When::Now,
            )))),
            Kind::LinuxFirstBoot => {
                let after = last_boot.replace(id.clone());
                let when = When::FirstBoot { after };
                fixups.push(Box::new(refit_plugins::single(&id, &path, text, when)));
            }
            Kind::WindowsFirstBoot => {
                let place = fixups.len();
                fixups.push(Box::new(WindowsScript::new(&id, &name, place, text)));
            }
        }
    }
    Ok(fixups)
}

/// A script that changes the guest each time that it runs is still one of the contract's: it is run for the first
/// plan, and the plan that checks the result takes it for done.
struct Once {
    script: UserFixup,
    planned: AtomicBool,
}

impl Once {
    fn new(script: UserFixup) -> Self {
        Self {
            script,
            planned: AtomicBool::new(false),
        }
    }
}

impl Fixup for Once {
    fn info(&self) -> &Info {
        self.script.info()
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        if self.planned.swap(true, Ordering::SeqCst) {
            return Ok(Verdict::Fine {
                reason: "the script has run".to_owned(),
            }
            .into());
        }
        self.script.plan(guest, request)
    }
}

/// Regular files and links to such, as a mounted ConfigMap has them.
fn files(dir: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let listing = || format!("listing the users' scripts in {}", dir.display());
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(listing)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(listing)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && entry.path().is_file() {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text))
        .context("reading it")?;
    anyhow::ensure!(
        text.len() as u64 <= LONGEST,
        "it is longer than {LONGEST} bytes"
    );
    Ok(text)
}

/// `script-` and the name, in letters that a fixup's identifier and a task's name may have, and of which no other
/// script has the same.
fn unique(name: &str, taken: &mut Vec<String>) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let safe: String = stem
        .to_ascii_lowercase()
        .chars()
        .take(48)
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let mut id = format!("script-{safe}");
    let mut number = 2;
    while taken.contains(&id) {
        id = format!("script-{safe}-{number}");
        number += 1;
    }
    taken.push(id.clone());
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_come_by_number_and_others_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("..data")).unwrap();
        fs::create_dir(dir.path().join("1_linux_run_dir.sh")).unwrap();
        for name in [
            "10_linux_run_b.sh",
            "2_linux_firstboot_a.sh",
            "3_linux_firstboot_c.sh",
            "2_win_firstboot_x.ps1",
            "10_linux_run-b.sh",
            "4_linux_later.sh",
            "readme.txt",
        ] {
            fs::write(dir.path().join("..data").join(name), "true\n").unwrap();
            std::os::unix::fs::symlink(format!("..data/{name}"), dir.path().join(name)).unwrap();
        }
        let fixups = load(dir.path()).unwrap();
        let ids: Vec<&str> = fixups.iter().map(|f| f.info().id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "script-2-linux-firstboot-a",
                "script-2-win-firstboot-x",
                "script-3-linux-firstboot-c",
                "script-10-linux-run-b",
                "script-10-linux-run-b-2",
            ]
        );
        assert!(load(&dir.path().join("none")).unwrap().is_empty());
    }
}
