//! LVM's lists of devices that it may use: on other hardware they would hide its physical volumes.

mod conf;
mod filter;

use std::collections::BTreeSet;

use refit_engine::{Change, Evidence, Guest, GuestPath, InitramfsFile};

use super::part::Part;
use filter::Filter;

const CONF: &str = "/etc/lvm/lvm.conf";
/// lvmdevices(8).
const DEVICES_FILE: &str = "/etc/lvm/devices/system.devices";
/// Identifiers that are on the disk itself, of a volume below (lvmdevices(8), "Device ID types").
const STABLE_TYPES: [&str; 3] = ["lvmlv_uuid", "md_uuid", "crypt_uuid"];
/// Lists that devices have to pass, all of them (lvm.conf(5)).
const FILTERS: [&str; 2] = ["devices/filter", "devices/global_filter"];
/// Whole disks and partitions as they were called, and as virtio calls them.
const OLD_NAMES: [&str; 6] = [
    "/dev/sda",
    "/dev/sda1",
    "/dev/sda2",
    "/dev/sda3",
    "/dev/sdb",
    "/dev/sdb1",
];
const NEW_NAMES: [&str; 6] = [
    "/dev/vda",
    "/dev/vda1",
    "/dev/vda2",
    "/dev/vda3",
    "/dev/vdb",
    "/dev/vdb1",
];
/// Lets virtio's names through.
const ACCEPT: &str = "a|^/dev/vd[a-z]+[0-9]*$|";

/// The devices file, and the filters in lvm.conf with their copies in the initramfs images.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn plan(guest: &Guest<'_>) -> anyhow::Result<Part> {
    let mut part = Part::default();
    devices_file(guest, &mut part)?;
    filters(guest, &mut part)?;
    Ok(part)
}

/// An entry goes by the disk's serial number or name, and is the only way to its physical volume.
/// Without the file LVM looks at all devices, as it did before it had such files. To rewrite the
/// entries would not do: by names LVM finds only disks without a serial number of their own.
fn devices_file(guest: &Guest<'_>, part: &mut Part) -> anyhow::Result<()> {
    let Some(text) = guest.read_text(DEVICES_FILE)? else {
        return Ok(());
    };
    let value = |line: &str, key: &str| -> Option<String> {
        let mut words = line.split_ascii_whitespace();
        words.find_map(|word| Some(word.strip_prefix(key)?.strip_prefix('=')?.to_owned()))
    };
    let lost: Vec<String> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter(|line| {
            let kind = value(line, "IDTYPE");
            kind.is_some_and(|kind| !STABLE_TYPES.contains(&kind.as_str()))
        })
        .map(|line| value(line, "IDNAME").unwrap_or_default())
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    part.evidence.push(Evidence::from([
        ("file", DEVICES_FILE.to_owned()),
        ("devices", lost.join(" ")),
    ]));
    part.reasons.push(format!(
        "{DEVICES_FILE} admits the old machine's disks alone, by their serial numbers; without it LVM uses all \
         disks, and `vgimportdevices -a` in the guest makes a new one"
    ));
    part.changes.push(Change::Remove {
        path: DEVICES_FILE.into(),
    });
    Ok(())
}

fn filters(guest: &Guest<'_>, part: &mut Part) -> anyhow::Result<()> {
    let Some(text) = guest.read_text(CONF)? else {
        return Ok(());
    };
    let settings = match conf::parse(&text) {
        Ok(settings) => settings,
        Err(error) => {
            part.warnings
                .push(format!("{CONF} is left alone: {error:#}"));
            return Ok(());
        }
    };
    let mut inserts = BTreeSet::new();
    for setting in settings {
        if !FILTERS.contains(&setting.path.as_str()) {
            continue;
        }
        let filter = match Filter::new(&setting.strings) {
            Ok(filter) => filter,
            Err(error) => {
                let what = &setting.path;
                part.warnings
                    .push(format!("{CONF}: {what} is left alone: {error:#}"));
                continue;
            }
        };
        let hidden: Vec<&str> = OLD_NAMES
            .iter()
            .zip(NEW_NAMES)
            .filter(|(old, new)| filter.accepts(old) && !filter.accepts(new))
            .map(|(_, new)| new)
            .collect();
        if let Some(first) = hidden.first() {
            part.reasons.push(format!(
                "{CONF}: {} lets {} through, but not {first}",
                setting.path,
                first.replace("/dev/vd", "/dev/sd")
            ));
            inserts.insert(setting.list_start);
        }
    }
    if inserts.is_empty() {
        return Ok(());
    }
    let mut edited = text;
    for at in inserts.into_iter().rev() {
        edited.insert_str(at, &format!(" \"{ACCEPT}\","));
    }
    // An initramfs has a copy, and there the volume with the root file system is looked for.
    let mut images: BTreeSet<GuestPath> = BTreeSet::new();
    for kernel in &guest.facts().kernels {
        if let Some(image) = &kernel.initramfs
            && let Some(real) = guest.resolve(image)?
        {
            images.insert(real);
        }
    }
    for path in images {
        part.changes.push(Change::InitramfsAppend {
            path,
            files: vec![InitramfsFile {
                path: CONF.into(),
                mode: 0o644,
                content: edited.clone().into_bytes(),
            }],
        });
    }
    part.changes.push(Change::Write {
        path: CONF.into(),
        content: edited.into_bytes(),
        mode: None,
    });
    Ok(())
}
