//! Where configuration files have hardware addresses, and putting others in their place.

mod lines;
mod tree;

use std::collections::BTreeMap;
use std::ops::Range;

use refit_engine::{Guest, GuestPath};
use refit_machine::Mac;

pub(super) use self::lines::words;

use super::edit::{Edits, Files};
use super::pairing::Replacement;
use crate::network::sources::{ifcfg, ifupdown, keyfile};

/// One hardware address in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pin {
    pub mac: Mac,
    /// Where it is, without quotes.
    pub bytes: Range<usize>,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a file has a hardware address for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To find the card that has it.
    Find,
    /// To give it to a card, instead of its own.
    SetCard,
    /// To give it to a bond, bridge or VLAN.
    SetOther,
}

type Reader = fn(&str) -> Vec<Pin>;

/// Most files of one kind.
const FILE_LIMIT: usize = 1024;

/// The files that may have hardware addresses, each with its reader.
fn places(guest: &Guest<'_>) -> anyhow::Result<Vec<(GuestPath, Reader)>> {
    let mut all: Vec<(GuestPath, Reader)> = Vec::new();
    let mut add = |paths: Vec<GuestPath>, reader: Reader| {
        all.extend(
            paths
                .into_iter()
                .take(FILE_LIMIT)
                .map(|path| (path, reader)),
        );
    };
    add(ifupdown::files(guest)?, lines::ifupdown);
    for (_, path) in ifcfg::files(guest)? {
        add(vec![path], lines::ifcfg);
    }
    add(keyfile::files(guest)?, lines::keyfile);
    let conf = |name: &str| name.ends_with(".conf");
    add(
        vec!["/etc/NetworkManager/NetworkManager.conf".into()],
        lines::network_manager,
    );
    add(
        guest.files("/etc/NetworkManager/conf.d", conf)?,
        lines::network_manager,
    );
    add(
        guest.files("/etc/netplan", |name| name.ends_with(".yaml"))?,
        tree::netplan,
    );
    add(vec!["/etc/cloud/cloud.cfg".into()], tree::cloud_init);
    add(
        guest.files("/etc/cloud/cloud.cfg.d", |name| name.ends_with(".cfg"))?,
        tree::cloud_init,
    );
    for seed in guest.list("/var/lib/cloud/seed")? {
        let dir = GuestPath::new("/var/lib/cloud/seed").join(seed.name);
        add(vec![dir.join("network-config")], tree::cloud_init);
    }
    add(networkd_files(guest)?, lines::networkd);
    let rules = |name: &str| name.ends_with(".rules");
    add(guest.files("/etc/udev/rules.d", rules)?, lines::rules);
    add(vec!["/etc/iftab".into()], lines::iftab);
    let boot = crate::network::predictable::command_line_files(guest)?;
    add(boot, lines::command_line);
    Ok(all)
}

/// Unit files and their drop-ins.
pub(super) fn networkd_files(guest: &Guest<'_>) -> anyhow::Result<Vec<GuestPath>> {
    const DIR: &str = "/etc/systemd/network";
    let kinds = [".network", ".link", ".netdev"];
    let mut files = guest.files(DIR, |name| kinds.iter().any(|kind| name.ends_with(kind)))?;
    for entry in guest.list(DIR)?.into_iter().take(FILE_LIMIT) {
        let is_drop_in = kinds
            .iter()
            .any(|kind| entry.name.ends_with(format!("{kind}.d").as_bytes()));
        if is_drop_in {
            let dir = GuestPath::new(DIR).join(entry.name);
            files.extend(guest.files(dir, |name| name.ends_with(".conf"))?);
        }
    }
    Ok(files)
}

/// Puts the new addresses in the place of the old ones, also where an old one is given to a card
/// or bond: it was the card's own, so that nothing was changed by it; from now on it would.
///
/// Gives back the old addresses that were found, and whether some file found its card by them.
///
/// # Errors
/// If a directory cannot be read.
pub(super) fn replace(
    files: &mut Files<'_, '_>,
    replacements: &[Replacement],
) -> anyhow::Result<BTreeMap<Mac, bool>> {
    let mut found = BTreeMap::new();
    let new_of = |mac: Mac| replacements.iter().find(|one| one.old == mac);
    for (path, read) in places(files.guest)? {
        let Some(text) = files.text(&path)? else {
            continue;
        };
        let mut edits = Edits::default();
        for pin in read(&text) {
            if let Some(replacement) = new_of(pin.mac) {
                let new = restyle(&text[pin.bytes.clone()], replacement.new);
                edits.replace(pin.bytes, new);
                *found.entry(pin.mac).or_default() |= pin.purpose == Purpose::Find;
            }
        }
        files.edit(&path, edits)?;
    }
    for (dialect, path) in ifcfg::files(files.guest)? {
        if dialect == ifcfg::Dialect::Suse
            && let Some((mac, name)) = suse_name(&path, new_of)
        {
            files.text(&path)?;
            files.rename(&path, &name)?;
            found.insert(mac, true);
        }
    }
    Ok(found)
}

/// The new name of a file that is named after an old address (`ifcfg-eth-id-00:0c:29:01:02:03`).
fn suse_name<'r>(
    path: &GuestPath,
    new_of: impl Fn(Mac) -> Option<&'r Replacement>,
) -> Option<(Mac, String)> {
    let name = path.file_name_str()?;
    let mac = ifcfg::mac_in_name(name.strip_prefix("ifcfg-")?)?;
    let replacement = new_of(mac)?;
    let old = name.get(name.len().checked_sub(17)?..)?;
    let start = name.strip_suffix(old)?;
    Some((mac, format!("{start}{}", restyle(old, replacement.new))))
}

/// Addresses that files give to cards and that no NIC has, with the file. Made-up addresses (those
/// with the bit for local administration) are meant to be none of a card's own.
///
/// # Errors
/// If a directory cannot be read.
pub(super) fn set_to_unknown(
    files: &mut Files<'_, '_>,
    is_known: impl Fn(Mac) -> bool,
) -> anyhow::Result<Vec<(Mac, GuestPath)>> {
    let mut found = Vec::new();
    for (path, read) in places(files.guest)? {
        let Some(text) = files.text(&path)? else {
            continue;
        };
        for pin in read(&text) {
            let made_up = pin.mac.0[0] & 2 != 0;
            if pin.purpose == Purpose::SetCard && !made_up && !is_known(pin.mac) {
                found.push((pin.mac, path.clone()));
            }
        }
    }
    Ok(found)
}

/// `new` in the form of `old`: letters, separators, or the numbers that NetworkManager once wrote.
fn restyle(old: &str, new: Mac) -> String {
    if old.contains(';') {
        return new.0.iter().map(|octet| format!("{octet};")).collect();
    }
    let colons = new.to_string();
    let text = if old.contains('-') {
        colons.replace(':', "-")
    } else if old.contains('.') {
        let digits = colons.replace(':', "");
        format!("{}.{}.{}", &digits[..4], &digits[4..8], &digits[8..])
    } else {
        colons
    };
    let upper = old.bytes().any(|b| b.is_ascii_uppercase());
    let lower = old.bytes().any(|b| b.is_ascii_lowercase());
    if upper && !lower {
        text.to_uppercase()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_address_is_written_like_the_old_one() {
        let new = "52:54:00:ab:cd:ef".parse().unwrap();
        for (old, expected) in [
            ("00:50:56:aa:bb:01", "52:54:00:ab:cd:ef"),
            ("00:50:56:AA:BB:01", "52:54:00:AB:CD:EF"),
            ("00-50-56-AA-BB-01", "52-54-00-AB-CD-EF"),
            ("00:50:56:11:22:33", "52:54:00:ab:cd:ef"),
            ("0050.56aa.bb01", "5254.00ab.cdef"),
            ("0;80;86;170;187;1;", "82;84;0;171;205;239;"),
        ] {
            assert_eq!(restyle(old, new), expected, "{old}");
        }
    }
}
