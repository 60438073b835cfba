//! Questions answered on the running system.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::call::Call;
use super::document::{digest, keys, property};
use super::is_medium;
use super::store::{DOCUMENT, Store};
use crate::win32::{devices, system, volumes};

/// Names of the document in the medium's root folder; Windows does not regard case.
const NAMES: &[&str] = &["ovf-env.xml", "ovf_env.xml"];
/// The descriptor's own settings for the guest (`vmw:ExtraConfig`), beside the document.
const SETTINGS: &[&str] = &["guestinfo.xml"];
/// Largest document, in bytes.
const LARGEST: u64 = 4 << 20;
/// How long Plug and Play may still be looking for the drive, in milliseconds.
const SETTLE: u32 = 10_000;

/// Answers; gives the exit code.
pub fn run(program: &str, arguments: &[String]) -> i32 {
    let folder = folder();
    let store = Store::new(&folder);
    match Call::parse(program, arguments) {
        Call::Get(key) => match get(&store, &key) {
            Some(value) => say(&value),
            None => refuse("No value found"),
        },
        Call::Set(key, value) => set(&store, &key, &value),
        Call::List => {
            let document = get(&store, DOCUMENT).map(|_| "guestinfo.ovfEnv".to_owned());
            let settings = medium(SETTINGS).unwrap_or_default();
            let set = keys(&String::from_utf8_lossy(&settings))
                .into_iter()
                // What the guest has set follows, or is gone.
                .filter(|key| store.get(&key.to_lowercase(), None).is_none());
            for key in document.into_iter().chain(set).chain(store.keys()) {
                say(key.as_bytes());
            }
            0
        }
        Call::Version => {
            say(b"VMware Tools daemon, version 0 (refit's stand-in: the machine is not on VMware)")
        }
        Call::Nothing => 0,
        Call::Unknown => refuse("Unknown command"),
        Call::Wrong => 1,
    }
}

fn say(text: &[u8]) -> i32 {
    let mut out = io::stdout();
    match out.write_all(text).and_then(|()| out.write_all(b"\r\n")) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn refuse(why: &str) -> i32 {
    eprintln!("{why}");
    1
}

/// Where is kept what the guest has set.
fn folder() -> PathBuf {
    let windows = system::windows_folder();
    let drive = windows.get(..2).unwrap_or("C:");
    PathBuf::from(format!("{drive}\\Program Files\\refit\\ovf-env"))
}

/// A value, never an empty one: that means none.
fn get(store: &Store, key: &str) -> Option<Vec<u8>> {
    if !key.starts_with("guestinfo.") {
        return None;
    }
    let value = if key == DOCUMENT {
        let document = medium(NAMES)?;
        store.get(key, Some(&digest(&document))).unwrap_or(document)
    } else {
        match store.get(key, None) {
            Some(value) => value,
            None => match setting(key) {
                Some(value) => value,
                // Hidden with the whole document.
                None => {
                    let document = get(store, DOCUMENT)?;
                    property(&String::from_utf8_lossy(&document), key)?.into_bytes()
                }
            },
        }
    };
    let end = value
        .iter()
        .rposition(|byte| *byte != b'\n' && *byte != b'\r');
    end.map(|end| value[..=end].to_vec())
}

/// What the descriptor sets; it needs no document.
fn setting(key: &str) -> Option<Vec<u8>> {
    let settings = medium(SETTINGS)?;
    property(&String::from_utf8_lossy(&settings), key).map(String::into_bytes)
}

fn set(store: &Store, key: &str, value: &str) -> i32 {
    if !key.starts_with("guestinfo.") || key.len() == "guestinfo.".len() {
        return refuse("Permission denied");
    }
    let digest = (key == DOCUMENT).then(|| digest(&medium(NAMES).unwrap_or_default()));
    let result = prepare().and_then(|()| store.set(key, digest.as_deref(), value));
    match result {
        Ok(()) => say(b""),
        Err(error) => refuse(&format!("{key} cannot be kept: {error}")),
    }
}

/// Makes the folder, for the system and administrators to write.
fn prepare() -> io::Result<()> {
    let folder = folder();
    if folder.exists() {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    system::protect_secret(&folder)
}

/// A file on the medium.
fn medium(names: &[&str]) -> Option<Vec<u8>> {
    read_medium(names).or_else(|| {
        // Early at the start the drive may still be on its way.
        devices::wait_settled(SETTLE).ok()?;
        read_medium(names)
    })
}

/// The first of these files on a medium.
fn read_medium(names: &[&str]) -> Option<Vec<u8>> {
    let drives = volumes::cdroms();
    let found = drives.iter().filter(|(_, label)| is_medium(label));
    found
        .flat_map(|(letter, _)| names.iter().map(move |name| format!("{letter}:\\{name}")))
        .find_map(|path| {
            let mut content = Vec::new();
            let size = File::open(path)
                .ok()?
                .take(LARGEST + 1)
                .read_to_end(&mut content)
                .ok()?;
            (size as u64 <= LARGEST).then_some(content)
        })
}
