//! Disks online, volumes with their letters.

use std::time::{Duration, Instant};

use super::{Done, Result, poll, registry};
use crate::task::{Data, Edit, Letter, OnlineDisks};
use crate::win32::disks::{self, Disk};
use crate::win32::volumes::{self, Holder};

const PARTITION_MANAGER: &str = "SYSTEM\\CurrentControlSet\\Services\\partmgr\\Parameters";
/// How long volumes may take to appear on a disk that came online.
const SETTLE: Duration = Duration::from_secs(60);

pub fn online(want: &OnlineDisks, deadline: Instant) -> Result {
    let mut failed = Vec::new();
    if let Some(policy) = want.san_policy {
        let key = PARTITION_MANAGER.to_owned();
        let name = "SanPolicy".to_owned();
        registry::one(&Edit::Set {
            key,
            name,
            data: Data::Dword(policy),
        })?;
    }
    let mut count = 0;
    for disk in disks::all() {
        match bring_online(&disk) {
            Ok(true) => {
                println!("disk {} is online and writable", disk.number);
                count += 1;
            }
            Ok(false) => {}
            Err(error) => failed.push(format!("disk {}: {error}", disk.number)),
        }
    }
    let deadline = deadline.min(Instant::now() + SETTLE);
    for letter in &want.letters {
        if let Err(error) = give(letter, want, deadline) {
            failed.push(format!("{}: {error}", letter.letter));
        }
    }
    if !failed.is_empty() {
        return Err(failed.join("; "));
    }
    Ok(Done::new(format!(
        "{count} disks brought online, {} letters right",
        want.letters.len()
    )))
}

/// Whether something had to be done.
fn bring_online(disk: &Disk) -> std::io::Result<bool> {
    match disk.is_held_back() {
        Ok(true) => {}
        Ok(false) => return Ok(false),
        // Card readers and the like know no such attributes.
        Err(error) => {
            println!(
                "disk {}: its attributes cannot be read: {error}",
                disk.number
            );
            return Ok(false);
        }
    }
    if disk.is_clustered() {
        println!("disk {} belongs to a cluster", disk.number);
        return Ok(false);
    }
    disk.release()?;
    Ok(true)
}

fn give(want: &Letter, all: &OnlineDisks, deadline: Instant) -> std::result::Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let volume = match poll(deadline, || volume_of(want)) {
        Some(volume) => volume,
        None => {
            // What the registry knew of a disk that was taken out long ago.
            println!("{}: there is no such volume", want.letter);
            return Ok(());
        }
    };
    let letters = volumes::letters(&volume).map_err(text)?;
    if letters.contains(&want.letter) {
        return Ok(());
    }
    match volumes::holder(want.letter) {
        Holder::Nobody => {}
        Holder::Cdrom => {
            let cdrom = volumes::of_letter(want.letter).map_err(text)?;
            let is_free = |letter: &char| {
                volumes::holder(*letter) == Holder::Nobody
                    && all.letters.iter().all(|wanted| wanted.letter != *letter)
            };
            let free = ('D'..='Z').find(is_free).ok_or("no drive letter is free")?;
            volumes::release(want.letter).map_err(text)?;
            volumes::assign(free, &cdrom).map_err(text)?;
            println!("the CD-ROM drive moved from {} to {free}", want.letter);
        }
        Holder::Other => return Err("another volume has this letter".into()),
    }
    // Windows chose these when the disk came online.
    for letter in letters {
        volumes::release(letter).map_err(text)?;
    }
    volumes::assign(want.letter, &volume).map_err(text)?;
    println!("{} is {volume}", want.letter);
    Ok(())
}

fn volume_of(want: &Letter) -> Option<String> {
    let place = disks::all().into_iter().find_map(|disk| {
        let offset = disk.layout().ok()?.offset_of(&want.partition)?;
        Some((disk.number, offset))
    })?;
    let is_there = |volume: &String| matches!(disks::place_of_volume(volume), Ok(Some(found)) if found == place);
    volumes::all().ok()?.into_iter().find(is_there)
}
