//! What the kernel command line says of network names.

use refit_engine::{Facts, Guest};

/// Where boot loaders and their generators keep the kernel's command line.
const FILES: [&str; 9] = [
    "/etc/default/grub",
    "/etc/kernel/cmdline",
    "/boot/grub2/grub.cfg",
    "/boot/grub2/grubenv",
    "/boot/grub/grub.cfg",
    "/boot/grub/grub.conf",
    "/boot/grub/menu.lst",
    "/boot/extlinux/extlinux.conf",
    "/boot/extlinux.conf",
];
/// Boot Loader Specification entries.
const ENTRIES: &str = "/boot/loader/entries";
/// First systemd that names network cards by slot and path (its NEWS, 197).
const FIRST_PREDICTABLE: u32 = 197;

/// Whether udev names network cards by slot and path in this guest: systemd does since 197, if
/// `net.ifnames=0` is not on the kernel's command line (systemd-udevd.service(8)). Debian's did
/// not before 9.
///
/// # Errors
/// If a file of a boot loader cannot be read.
pub(super) fn has_predictable_names(guest: &Guest<'_>) -> anyhow::Result<bool> {
    if !udev_has_them(guest.facts()) {
        return Ok(false);
    }
    let entries = guest.files(ENTRIES, |name| name.ends_with(".conf"))?;
    for path in FILES.into_iter().map(Into::into).chain(entries) {
        if guest
            .read_text(&path)?
            .is_some_and(|text| turned_off(&text))
        {
            return Ok(false);
        }
    }
    Ok(true)
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
