//! Which mechanism names a guest's cards.

use refit_engine::{Facts, Guest};

use crate::network::predictable;

/// A mechanism that gives a card its name by MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// A systemd `.link` file.
    Link,
    /// A udev rule with `NAME=`.
    Rules,
    /// BusyBox's nameif(8), in a guest without udev.
    Mactab,
}

/// The first systemd whose `.link` files can match the permanent MAC and `Type=ether` (its NEWS,
/// 245). Before, a file that matches a MAC also catches VLANs and bonds on that card; and before
/// 240, it never renames a card that the initramfs has named. A rule does both right.
const FIRST_STRICT_LINKS: u32 = 245;

/// Programs of udev: systemd's, eudev's, and its own from before systemd took it in.
const UDEV: [&str; 7] = [
    "/usr/lib/systemd/systemd-udevd",
    "/lib/systemd/systemd-udevd",
    "/sbin/udevd",
    "/usr/sbin/udevd",
    "/lib/udev/udevd",
    "/sbin/udevadm",
    "/usr/bin/udevadm",
];

/// OpenRC runs the services that have a link in one of its runlevels.
const NAMEIF_SERVICES: [&str; 3] = [
    "/etc/runlevels/sysinit/nameif",
    "/etc/runlevels/boot/nameif",
    "/etc/runlevels/default/nameif",
];

/// The mechanism for `guest`; `None` if it has none.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn of(guest: &Guest<'_>) -> anyhow::Result<Option<Mechanism>> {
    let facts = guest.facts();
    let exists = |paths: &[&str]| -> anyhow::Result<bool> {
        for path in paths {
            if guest.exists(*path)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let has_mdev = facts.distro.as_deref() == Some("alpine") || guest.exists("/etc/mdev.conf")?;
    if has_mdev && facts.systemd.is_none() && !exists(&UDEV)? {
        return Ok(exists(&NAMEIF_SERVICES)?.then_some(Mechanism::Mactab));
    }
    let links = takes_strict_links(facts) && predictable::applies_links(guest)?;
    Ok(Some(if links {
        Mechanism::Link
    } else {
        Mechanism::Rules
    }))
}

fn takes_strict_links(facts: &Facts) -> bool {
    let distro = facts.distro.as_deref().unwrap_or_default();
    let version = facts.version.as_deref().unwrap_or_default();
    let major = version.split(|c: char| !c.is_ascii_digit()).next();
    let major: Option<u32> = major.and_then(|digits| digits.parse().ok());
    // SUSE keeps the naming scheme of 238 in later systemds: no second renaming.
    if matches!(distro, "sles" | "sled" | "sles_sap" | "opensuse-leap") && major == Some(15) {
        return false;
    }
    if let Some(systemd) = facts.systemd {
        return systemd >= FIRST_STRICT_LINKS;
    }
    // Where no file tells systemd's version, the distribution's does.
    let first = match distro {
        "debian" => 11,
        "ubuntu" => 20,
        "rhel" | "centos" | "rocky" | "almalinux" | "ol" => 9,
        "fedora" => 32,
        "sles" | "opensuse-leap" => 16,
        "photon" => 4,
        "amzn" => 2023,
        _ => return false,
    };
    major.is_some_and(|major| major >= first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_where_systemd_takes_them() {
        for (distro, version, systemd, expected) in [
            ("debian", "12.5", Some(252), true),
            ("debian", "10.13", Some(241), false),
            ("debian", "12", None, true),
            ("debian", "trixie/sid", None, false),
            ("ubuntu", "18.04", None, false),
            ("ubuntu", "20.04", Some(245), true),
            ("rhel", "8.10", Some(239), false),
            ("rhel", "9.4", Some(252), true),
            ("sles", "15.5", Some(249), false),
            ("sles", "16.0", None, true),
            ("centos", "6.10", None, false),
            ("amzn", "2", None, false),
            ("", "", None, false),
        ] {
            let facts = Facts {
                distro: Some(distro.to_owned()),
                version: Some(version.to_owned()),
                systemd,
                ..Facts::default()
            };
            assert_eq!(
                takes_strict_links(&facts),
                expected,
                "{distro} {version} {systemd:?}"
            );
        }
    }
}
