//! Drivers, absent devices, and waiting for both.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use super::{Done, Result, poll};
use crate::mac::Mac;
use crate::task::Driver;
use crate::vars::Folders;
use crate::win32;

pub fn wait(macs: &[Mac], deadline: Instant) -> Result {
    let left = deadline.saturating_duration_since(Instant::now());
    let milliseconds = u32::try_from(left.as_millis()).unwrap_or(u32::MAX - 1);
    match win32::devices::wait_settled(milliseconds) {
        Ok(true) => {}
        Ok(false) => return Err("Plug and Play is still busy".into()),
        Err(error) => return Err(format!("waiting for Plug and Play: {error}")),
    }
    let missing = || -> BTreeSet<Mac> {
        let present: Vec<Mac> = win32::adapters::all()
            .unwrap_or_default()
            .iter()
            .map(|adapter| adapter.mac)
            .collect();
        macs.iter()
            .filter(|mac| !present.contains(mac))
            .copied()
            .collect()
    };
    match poll(deadline, || missing().is_empty().then_some(())) {
        Some(()) => Ok(Done::new("settled")),
        None => {
            let list: Vec<String> = missing().iter().map(Mac::to_string).collect();
            Err(format!(
                "no network interface with the address {}",
                list.join(", ")
            ))
        }
    }
}

pub fn install(driver: &Driver, folders: &Folders) -> Result {
    let mut infs: Vec<String> = driver.infs.iter().map(|inf| folders.expand(inf)).collect();
    let mut failed = Vec::new();
    for dir in driver.dirs.iter().map(|dir| folders.expand(dir)) {
        match infs_in(Path::new(&dir)) {
            Ok(found) => infs.extend(found),
            Err(error) => failed.push(format!("{dir}: {error}")),
        }
    }
    let mut restart = false;
    for inf in &infs {
        match win32::drivers::install(inf) {
            Ok(needed) => {
                println!(
                    "{inf}: installed{}",
                    if needed { ", needs a restart" } else { "" }
                );
                restart |= needed;
            }
            Err(error) => {
                println!("{inf}: {error}");
                failed.push(format!("{inf}: {error}"));
            }
        }
    }
    if !failed.is_empty() {
        return Err(failed.join("; "));
    }
    Ok(Done {
        restart,
        message: format!("{} driver packages", infs.len()),
    })
}

fn infs_in(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_inf = path
            .extension()
            .map_or(false, |extension| extension.eq_ignore_ascii_case("inf"));
        if is_inf {
            found.push(path.to_string_lossy().into_owned());
        }
    }
    found.sort();
    Ok(found)
}

pub fn remove(ids: &[String]) -> Result {
    let wanted = |id: &str| ids.iter().any(|start| id.starts_with(start.as_str()));
    let result = win32::devices::remove_absent(&wanted)
        .map_err(|error| format!("listing devices: {error}"))?;
    for id in &result.removed {
        println!("removed {id}");
    }
    if !result.failed.is_empty() {
        return Err(result.failed.join("; "));
    }
    Ok(Done::new(format!(
        "{} absent devices removed",
        result.removed.len()
    )))
}
