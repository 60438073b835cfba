//! virt-v2v's own first-boot service: it goes first.
//!
//! It installs drivers that our tasks need, and since virt-v2v 2.6 restarts the machine after each of
//! its scripts. So its scripts are waited for, with limits: a script of virt-v2v 2.10 and later may ask
//! for another start without end. Then it is switched off.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::folder::Folder;
use crate::schedule::Schedule;
use crate::task::Data;
use crate::vars::Folders;
use crate::win32::registry::Key;
use crate::win32::{service, system};

/// The service's name (virt-v2v, libguestfs-common `firstboot.ml`).
const SERVICE: &str = "firstboot";
/// Starts with the same scripts left until it is switched off.
const MAX_STUCK: u32 = 8;
const DISABLED: u32 = 4;

fn dir(names: &Folders) -> PathBuf {
    PathBuf::from(format!("{}\\Program Files\\Guestfs", names.system_drive))
}

/// Scripts that it has not run.
fn scripts(names: &Folders) -> u32 {
    let entries = match fs::read_dir(dir(names).join("Firstboot").join("scripts")) {
        Ok(entries) => entries,
        _ => return 0,
    };
    let is_script = |name: &str| name.to_ascii_lowercase().ends_with(".bat");
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| is_script(name))
        .count()
        .try_into()
        .unwrap_or(u32::MAX)
}

/// Whether it still has something to do.
fn is_busy(names: &Folders) -> bool {
    let key = format!("SYSTEM\\CurrentControlSet\\Services\\{SERVICE}");
    let key = match Key::open(&key) {
        Ok(Some(key)) => key,
        _ => return false,
    };
    let image = key.string("ImagePath").unwrap_or_default();
    if !image.to_ascii_lowercase().contains("guestfs") || key.dword("Start") == Some(DISABLED) {
        return false;
    }
    match service::is_active(SERVICE) {
        Ok(Some(active)) => active || scripts(names) > 0,
        _ => false,
    }
}

/// Waits for it, `limit` at most. Counts starts in which it made no progress.
pub fn wait(folder: &Folder, schedule: &mut Schedule, names: &Folders, limit: Duration) {
    if dir(names).exists() {
        // virt-v2v before 2.10 leaves its folder writable by everybody.
        if let Err(error) = system::protect(&dir(names)) {
            folder.log(&format!(
                "{}: its permissions cannot be set: {error}",
                dir(names).display()
            ));
        }
    }
    if !is_busy(names) {
        return;
    }
    let left = scripts(names);
    let state = &mut schedule.state;
    state.peer_stuck = if left == state.peer_left {
        state.peer_stuck + 1
    } else {
        0
    };
    state.peer_left = left;
    if let Err(error) = folder.save(state) {
        folder.log(&format!("the file state cannot be written: {error}"));
    }
    if schedule.state.peer_stuck >= MAX_STUCK {
        folder.log(&format!(
            "virt-v2v's first-boot service has made no progress in {MAX_STUCK} starts: it is switched off; see {}",
            dir(names).join("Firstboot").join("log.txt").display()
        ));
        let key = format!("SYSTEM\\CurrentControlSet\\Services\\{SERVICE}");
        let result = Key::create(&key).and_then(|key| {
            key.set("Start", &Data::Dword(DISABLED))?;
            key.flush()
        });
        if let Err(error) = result {
            folder.log(&format!("HKLM\\{key}: {error}"));
        }
        return;
    }
    folder.log(&format!(
        "waiting for virt-v2v's first-boot service, which has {left} scripts left"
    ));
    let deadline = Instant::now() + limit;
    while is_busy(names) && !service::stopping() {
        if Instant::now() >= deadline {
            folder.log("virt-v2v's first-boot service is still busy: not waiting any longer");
            return;
        }
        sleep(Duration::from_secs(1));
    }
}
