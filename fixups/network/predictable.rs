//! Whether the guest names network cards by slot and path, or leaves them the kernel's names.

use refit_engine::{Facts, Guest, GuestPath};

/// Where boot loaders and their generators keep the kernel's command line.
const FILES: [&str; 11] = [
    "/etc/default/grub",
    "/etc/kernel/cmdline",
    "/boot/grub2/grub.cfg",
    "/boot/grub2/grubenv",
    "/boot/grub/grub.cfg",
    "/boot/grub/grub.conf",
    "/boot/grub/menu.lst",
    "/boot/extlinux/extlinux.conf",
    "/boot/extlinux.conf",
    // Photon's menu takes the arguments from here.
    "/boot/photon.cfg",
    "/boot/systemd.cfg",
];
/// The rules by which udev applies `.link` files, since 209.
const LINK_RULES: &str = "80-net-setup-link.rules";
/// The rules by which it named cards before.
const SLOT_RULES: &str = "80-net-name-slot.rules";
/// The `.link` file that asks for names by slot and path.
const DEFAULT_LINK: &str = "/etc/systemd/network/99-default.link";
/// Boot Loader Specification entries.
const ENTRIES: &str = "/boot/loader/entries";
/// First systemd that names network cards by slot and path (its NEWS, 197).
const FIRST_PREDICTABLE: u32 = 197;

/// A name such as udev gives a virtio card where none is written down: that of a slot on a PCI
/// Express root port, or the kernel's.
pub(crate) fn new_name(predictable: bool) -> &'static str {
    if predictable { "enp1s0" } else { "eth0" }
}

/// Whether udev names network cards by slot and path in this guest: systemd does since 197, unless
/// `net.ifnames=0` is on the kernel's command line (systemd-udevd.service(8)) or the files that ask
/// for it are masked. Debian's did not before 9.
///
/// # Errors
/// If a file of a boot loader cannot be read.
pub(crate) fn has_predictable_names(guest: &Guest<'_>) -> anyhow::Result<bool> {
    if !udev_has_them(guest.facts()) {
        return Ok(false);
    }
    if !applies_links(guest)?
        || is_masked(guest, &udev_rules(SLOT_RULES))?
        || is_masked(guest, &DEFAULT_LINK.into())?
    {
        return Ok(false);
    }
    for path in command_line_files(guest)? {
        if guest
            .read_text(&path)?
            .is_some_and(|text| turned_off(&text))
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The files with the kernel's command line, whether they exist or not.
///
/// # Errors
/// If the guest cannot be read.
pub(crate) fn command_line_files(guest: &Guest<'_>) -> anyhow::Result<Vec<GuestPath>> {
    let entries = guest.files(ENTRIES, |name| name.ends_with(".conf"))?;
    Ok(FILES.into_iter().map(Into::into).chain(entries).collect())
}

/// Whether udev applies `.link` files in this guest, as it does unless an administrator masks the
/// rules for it.
///
/// # Errors
/// If the guest cannot be read.
pub(crate) fn applies_links(guest: &Guest<'_>) -> anyhow::Result<bool> {
    Ok(!is_masked(guest, &udev_rules(LINK_RULES))?)
}

fn udev_rules(name: &str) -> GuestPath {
    GuestPath::new("/etc/udev/rules.d").join(name)
}

/// Whether an empty file, or a link to `/dev/null`, hides the distribution's of the same name.
fn is_masked(guest: &Guest<'_>, path: &GuestPath) -> anyhow::Result<bool> {
    Ok(match guest.resolve(path)? {
        Some(target) if target == GuestPath::new("/dev/null") => true,
        Some(_) => guest.stat(path)?.is_some_and(|stat| stat.size == 0),
        // A link that leads nowhere, as a guest's /dev is mostly empty; or there is no directory.
        None => guest.resolve_parent(path)?.is_some(),
    })
}

fn udev_has_them(facts: &Facts) -> bool {
    if facts.distro.as_deref() == Some("debian") && facts.systemd.is_some_and(|one| one < 220) {
        return false;
    }
    match facts.systemd {
        Some(version) => version >= FIRST_PREDICTABLE,
        None => facts.init.as_deref().is_none_or(|init| init == "systemd"),
    }
}

/// Whether a line that is no comment has the argument.
fn turned_off(text: &str) -> bool {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=')))
        .scan("", |last, word| Some((std::mem::replace(last, word), word)))
        .any(|pair| pair == ("net.ifnames", "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_counts_where_it_is_one() {
        for (text, expected) in [
            ("GRUB_CMDLINE_LINUX=\"net.ifnames=0 biosdevname=0\"\n", true),
            ("GRUB_CMDLINE_LINUX=net.ifnames=0\n", true),
            ("options root=/dev/sda1 net.ifnames=0\n", true),
            ("  linux /vmlinuz ro net.ifnames=1\n", false),
            ("# net.ifnames=0\n", false),
            ("xnet.ifnames=0\n", false),
            ("net.ifnames=00\n", false),
            ("", false),
        ] {
            assert_eq!(turned_off(text), expected, "{text}");
        }
    }
}
