//! Driver packages in a folder where Plug and Play finds them, and the task that installs them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use refit_engine::{Change, Guest, GuestPath, HiveName};
use refit_hive::Value;
use refit_virtio_win::{Choice, Chosen, Source, Windows};

use super::device_path;
use super::installed::Installed;
use super::registry::Registry;
use super::report::Report;

/// What the first-boot service is to do.
const TASK: &str = "/Program Files/refit/firstboot/tasks/20-virtio.task";

const VERSION: &str = r"Microsoft\Windows\CurrentVersion";

/// The folder, which is virt-v2v's as well: its `DevicePath` is this one, and what it put there is replaced, not
/// doubled.
pub(super) fn folder(system_root: &GuestPath) -> GuestPath {
    system_root.join("Drivers/VirtIO")
}

/// Stages all packages that the guest does not have, or only in an older version.
pub(super) fn plan(
    guest: &Guest<'_>,
    registry: &mut Registry,
    source: &Source,
    windows: &Windows,
    choices: &[Choice<'_>],
    installed: &Installed,
    report: &mut Report,
) -> anyhow::Result<()> {
    let facts = guest.facts().windows.as_ref();
    let folder = folder(&facts.context("the guest is no Windows")?.system_root);
    let mut staged = Staged::default();
    for choice in choices {
        let Ok(chosen) = &choice.driver else { continue };
        let offered = chosen.files.package.driver_ver;
        if staged.has(chosen) || installed.keeps(choice.device.id, offered) {
            continue;
        }
        if !chosen.missing.is_empty() {
            let missing: Vec<&str> = chosen.missing.iter().map(String::as_str).collect();
            report.warn(format!(
                "{} is not installed: the driver set lacks {} beside it",
                chosen.files.inf,
                missing.join(", ")
            ));
            continue;
        }
        staged.add(chosen, read(source, chosen)?);
    }
    if staged.infs.is_empty() {
        return Ok(());
    }
    for (name, content) in staged.files {
        write(guest, registry, folder.join(name), content)?;
    }
    add_device_path(registry, &staged.below, report);
    // Before Vista there is no driver store to put them in: Plug and Play takes them from the folders.
    if windows.version >= (6, 0) {
        let task = task(&staged.infs).into_bytes();
        write(guest, registry, TASK.into(), task)?;
    }
    report.staged(staged.infs.len());
    Ok(())
}

/// What is to lie in the folder.
#[derive(Debug, Default)]
struct Staged {
    /// Contents by the path below the folder.
    files: BTreeMap<String, Vec<u8>>,
    /// Paths of INF files below the folder, as Windows writes them.
    infs: Vec<String>,
    /// Folders below it that are needed.
    below: Vec<String>,
    /// Paths of the INF files in the source.
    sources: Vec<String>,
}

impl Staged {
    /// One package may be for several devices.
    fn has(&self, chosen: &Chosen<'_>) -> bool {
        self.sources.contains(&chosen.files.inf)
    }

    /// Adds a package. If a file of it has the name of another package's and not its content, it goes into a
    /// folder of its own: the catalog signs just the file that came with it.
    fn add(&mut self, chosen: &Chosen<'_>, package: BTreeMap<String, Vec<u8>>) {
        let stem = chosen.files.stem();
        let clash = package.iter().any(|(name, content)| {
            let other = self.files.get(name);
            other.is_some_and(|other| other != content)
        });
        if clash {
            let files = package.into_iter();
            let files = files.map(|(name, content)| (format!("{stem}/{name}"), content));
            self.files.extend(files);
            self.infs.push(format!("{stem}\\{stem}.inf"));
            self.below.push(stem);
        } else {
            self.files.extend(package);
            self.infs.push(format!("{stem}.inf"));
        }
        self.sources.push(chosen.files.inf.clone());
    }
}

/// The files of a package by their names.
fn read(source: &Source, chosen: &Chosen<'_>) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let inf = format!("{}.inf", chosen.files.stem());
    let mut files = BTreeMap::from([(inf, source.read(&chosen.files.inf)?)]);
    for name in &chosen.present {
        if let Some(path) = chosen.files.beside.get(name) {
            files.insert(name.clone(), source.read(path)?);
        }
    }
    Ok(files)
}

fn write(
    guest: &Guest<'_>,
    registry: &mut Registry,
    path: GuestPath,
    content: Vec<u8>,
) -> anyhow::Result<()> {
    if guest.read(&path)?.as_ref() != Some(&content) {
        registry.push(Change::Write {
            path,
            content,
            mode: None,
        });
    }
    Ok(())
}

fn add_device_path(registry: &mut Registry, below: &[String], report: &mut Report) {
    let hive = &HiveName::Software;
    if registry.key(hive, VERSION).is_none() {
        report.warn(format!(
            "the hive SOFTWARE has no key {VERSION}: Plug and Play is not told of the drivers' folder"
        ));
        return;
    }
    let value = registry.text(hive, VERSION, "DevicePath");
    if let Some(value) = device_path::with_folders(value.as_deref(), below) {
        registry.set(hive, VERSION, "DevicePath", Value::expand_sz(&value));
    }
}

fn task(infs: &[String]) -> String {
    let mut task = "refit-task 1\nkind driver\ntitle Install the virtio drivers\n".to_owned();
    for inf in infs {
        // Writing to a string does not fail.
        let _ = writeln!(task, "inf {}\\{inf}", device_path::FOLDER);
    }
    task
}
