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
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut infs: Vec<String> = Vec::new();
    for choice in choices {
        let Ok(chosen) = &choice.driver else { continue };
        let name = format!("{}.inf", chosen.files.stem());
        let offered = chosen.files.package.driver_ver;
        if infs.contains(&name) || installed.keeps(choice.device.id, offered) {
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
        let package = read(source, chosen, &name)?;
        let other = package
            .iter()
            .find(|(name, content)| files.get(*name).is_some_and(|other| other != *content));
        if let Some((other, _)) = other {
            report.warn(format!(
                "{} is not installed: {other} of another driver has the same name and other content",
                chosen.files.inf
            ));
            continue;
        }
        files.extend(package);
        infs.push(name);
    }
    if infs.is_empty() {
        return Ok(());
    }
    for (name, content) in files {
        write(guest, registry, folder.join(name), content)?;
    }
    add_device_path(registry, report);
    // Before Vista there is no driver store to put them in: Plug and Play takes them from the folder.
    if windows.version >= (6, 0) {
        write(guest, registry, TASK.into(), task(&infs).into_bytes())?;
    }
    report.staged(infs.len());
    Ok(())
}

/// The files of a package by their names.
fn read(
    source: &Source,
    chosen: &Chosen<'_>,
    inf: &str,
) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::from([(inf.to_owned(), source.read(&chosen.files.inf)?)]);
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

fn add_device_path(registry: &mut Registry, report: &mut Report) {
    let hive = &HiveName::Software;
    if registry.key(hive, VERSION).is_none() {
        report.warn(format!(
            "the hive SOFTWARE has no key {VERSION}: Plug and Play is not told of the drivers' folder"
        ));
        return;
    }
    let value = registry.text(hive, VERSION, "DevicePath");
    if let Some(value) = device_path::with_folder(value.as_deref()) {
        registry.set(hive, VERSION, "DevicePath", Value::expand_sz(&value));
    }
}

fn task(infs: &[String]) -> String {
    let mut task = "refit-task 1\nkind driver\ntitle Install the virtio drivers\n".to_owned();
    for inf in infs {
        // Writing to a string does not fail.
        let _ = writeln!(task, r"inf %SystemRoot%\Drivers\VirtIO\{inf}");
    }
    task
}
