//! Facts of a Linux guest, from its own files.

use crate::backend::FileKind;
use crate::facts::{Facts, Os, kernels};
use crate::guest::Guest;

/// ELF machine numbers (`e_machine`, elf(5)) of the architectures that KVM runs.
const MACHINES: [(u16, &str); 6] = [
    (3, "i386"),
    (62, "x86_64"),
    (40, "arm"),
    (183, "aarch64"),
    (22, "s390x"),
    (243, "riscv64"),
];

pub(super) fn collect(guest: &Guest<'_>) -> anyhow::Result<Facts> {
    let mut facts = Facts::default();
    let etc = guest.list("/etc")?;
    if etc.is_empty() {
        return Ok(facts);
    }
    os_release(guest, &mut facts)?;
    if facts.distro.is_none() {
        older_release_files(guest, &mut facts)?;
    }
    let looks_like_linux = facts.distro.is_some()
        || guest.exists("/etc/fstab")?
        || guest.exists("/lib/modules")?
        || guest.exists("/etc/passwd")?;
    if !looks_like_linux {
        return Ok(facts);
    }
    facts.os = Some(Os::Linux);
    facts.arch = architecture(guest)?;
    facts.hostname = hostname(guest)?;
    facts.package_format = first_existing(
        guest,
        &[
            ("/var/lib/dpkg/status", "dpkg"),
            ("/var/lib/rpm", "rpm"),
            ("/usr/lib/sysimage/rpm", "rpm"),
            ("/lib/apk/db/installed", "apk"),
            ("/var/lib/pacman/local", "pacman"),
        ],
    )?;
    facts.systemd = systemd_version(guest)?;
    facts.init = init(guest, facts.systemd.is_some())?;
    facts.boot_loader = boot_loader(guest)?;
    facts.firmware = guest
        .list("/boot/efi/EFI")?
        .iter()
        .any(|entry| entry.kind == FileKind::Dir)
        .then_some(refit_machine::Firmware::Uefi);
    facts.selinux = selinux(guest)?;
    facts.kernels = kernels::installed(guest)?;
    Ok(facts)
}

/// `KEY=value` lines with shell quoting, as os-release(5) and Red Hat's sysconfig files have them.
fn shell_value(text: &str, key: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let value = line.trim().strip_prefix(key)?.strip_prefix('=')?.trim();
        let unquoted = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .or_else(|| {
                value
                    .strip_prefix('\'')
                    .and_then(|rest| rest.strip_suffix('\''))
            })
            .unwrap_or(value);
        Some(unquoted.replace("\\\"", "\"").replace("\\$", "$")).filter(|value| !value.is_empty())
    })
}

fn os_release(guest: &Guest<'_>, facts: &mut Facts) -> anyhow::Result<()> {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        let Some(text) = guest.read_text(path)? else {
            continue;
        };
        facts.distro = shell_value(&text, "ID");
        facts.version = shell_value(&text, "VERSION_ID");
        facts.product = shell_value(&text, "PRETTY_NAME").or_else(|| shell_value(&text, "NAME"));
        facts.distro_like = shell_value(&text, "ID_LIKE")
            .map(|like| like.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default();
        break;
    }
    // Debian's os-release has the major version alone.
    if facts.distro.as_deref() == Some("debian")
        && let Some(full) = guest.read_text("/etc/debian_version")?
    {
        let full = full.trim();
        if full.starts_with(|c: char| c.is_ascii_digit()) {
            facts.version = Some(full.to_owned());
        }
    }
    Ok(())
}

/// Systems from before os-release (2012): RHEL up to 6, SLES up to 11, Debian up to 6.
fn older_release_files(guest: &Guest<'_>, facts: &mut Facts) -> anyhow::Result<()> {
    if let Some(text) = guest.read_text("/etc/redhat-release")? {
        let line = text.lines().next().unwrap_or_default().trim();
        let distro = [
            ("CentOS", "centos"),
            ("Red Hat Enterprise", "rhel"),
            ("Fedora", "fedora"),
            ("Oracle", "ol"),
            ("Scientific", "scientific"),
        ]
        .into_iter()
        .find_map(|(name, id)| line.starts_with(name).then_some(id));
        facts.distro = Some(distro.unwrap_or("redhat-based").to_owned());
        facts.product = Some(line.to_owned());
        facts.version = line
            .split_once("release ")
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .map(str::to_owned);
    } else if let Some(text) = guest.read_text("/etc/SuSE-release")? {
        let number = |key: &str| {
            text.lines().find_map(|line| {
                let (name, value) = line.split_once('=')?;
                (name.trim() == key).then(|| value.trim().to_owned())
            })
        };
        let line = text.lines().next().unwrap_or_default().trim();
        facts.distro = Some(
            if line.contains("Enterprise") {
                "sles"
            } else {
                "opensuse"
            }
            .to_owned(),
        );
        facts.product = Some(line.to_owned());
        facts.version = match (number("VERSION"), number("PATCHLEVEL")) {
            (Some(version), Some(level)) if level != "0" => Some(format!("{version}.{level}")),
            (version, _) => version,
        };
    } else if let Some(text) = guest.read_text("/etc/debian_version")? {
        facts.distro = Some("debian".to_owned());
        facts.version = Some(text.trim().to_owned());
        facts.product = Some(format!("Debian {}", text.trim()));
    }
    Ok(())
}

fn architecture(guest: &Guest<'_>) -> anyhow::Result<Option<String>> {
    for program in ["/bin/sh", "/bin/ls", "/sbin/init", "/usr/bin/env"] {
        let header = guest.read_start(program, 20)?;
        if header.len() == 20 && header.starts_with(b"\x7fELF") {
            let bytes = [header[18], header[19]];
            let machine = if header[5] == 2 {
                u16::from_be_bytes(bytes)
            } else {
                u16::from_le_bytes(bytes)
            };
            return Ok(MACHINES
                .iter()
                .find(|(number, _)| *number == machine)
                .map(|(_, name)| (*name).to_owned()));
        }
    }
    Ok(None)
}

fn hostname(guest: &Guest<'_>) -> anyhow::Result<Option<String>> {
    for path in ["/etc/hostname", "/etc/HOSTNAME"] {
        if let Some(text) = guest.read_text(path)? {
            let name = text
                .lines()
                .map(str::trim)
                .find(|line| !line.is_empty() && !line.starts_with('#'));
            if let Some(name) = name {
                return Ok(Some(name.to_owned()));
            }
        }
    }
    Ok(guest
        .read_text("/etc/sysconfig/network")?
        .and_then(|text| shell_value(&text, "HOSTNAME")))
}

/// systemd does not write its version into a file of its own. Its private library carries it in
/// its name since 231; before that, each package database knows it.
fn systemd_version(guest: &Guest<'_>) -> anyhow::Result<Option<u32>> {
    for dir in [
        "/usr/lib/systemd",
        "/lib/systemd",
        "/usr/lib/x86_64-linux-gnu/systemd",
    ] {
        for entry in guest.list(dir)? {
            let version = std::str::from_utf8(&entry.name)
                .ok()
                .and_then(|name| name.strip_prefix("libsystemd-shared-"))
                .map(|rest| {
                    rest.split(|c: char| !c.is_ascii_digit())
                        .next()
                        .unwrap_or_default()
                })
                .and_then(|digits| digits.parse().ok());
            if version.is_some() {
                return Ok(version);
            }
        }
    }
    if let Some(status) = guest.read_text("/var/lib/dpkg/status")?
        && let Some(version) = dpkg_version(&status, "systemd")
    {
        return Ok(Some(version));
    }
    // The documentation folder of RPM packages carries the version up to EL7 and SLES 12.
    for entry in guest.list("/usr/share/doc")? {
        let version = std::str::from_utf8(&entry.name)
            .ok()
            .and_then(|name| name.strip_prefix("systemd-"))
            .and_then(|version| version.parse().ok());
        if version.is_some() {
            return Ok(version);
        }
    }
    Ok(None)
}

/// Upstream major version of an installed package in dpkg's status file (deb822(5)).
fn dpkg_version(status: &str, package: &str) -> Option<u32> {
    status.split("\n\n").find_map(|stanza| {
        let field = |name: &str| {
            stanza
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
        };
        if field("Package")? != package || !field("Status")?.ends_with(" installed") {
            return None;
        }
        let version = field("Version")?;
        let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
        upstream
            .split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    })
}

fn init(guest: &Guest<'_>, has_systemd: bool) -> anyhow::Result<Option<String>> {
    if has_systemd
        || guest.exists("/usr/lib/systemd/systemd")?
        || guest.exists("/lib/systemd/systemd")?
    {
        return Ok(Some("systemd".to_owned()));
    }
    first_existing(
        guest,
        &[
            ("/sbin/openrc", "openrc"),
            ("/etc/init/rc-sysinit.conf", "upstart"),
            ("/etc/init/rcS.conf", "upstart"),
            ("/etc/inittab", "sysvinit"),
        ],
    )
}

fn boot_loader(guest: &Guest<'_>) -> anyhow::Result<Option<String>> {
    first_existing(
        guest,
        &[
            ("/boot/grub2/grub.cfg", "grub2"),
            ("/boot/grub/grub.cfg", "grub2"),
            ("/boot/loader/loader.conf", "systemd-boot"),
            ("/boot/efi/loader/loader.conf", "systemd-boot"),
            ("/efi/loader/loader.conf", "systemd-boot"),
            ("/boot/grub/grub.conf", "grub1"),
            ("/boot/grub/menu.lst", "grub1"),
            ("/boot/extlinux.conf", "extlinux"),
            ("/boot/extlinux/extlinux.conf", "extlinux"),
            ("/boot/syslinux/syslinux.cfg", "extlinux"),
        ],
    )
}

fn selinux(guest: &Guest<'_>) -> anyhow::Result<Option<String>> {
    let Some(config) = guest.read_text("/etc/selinux/config")? else {
        return Ok(None);
    };
    if shell_value(&config, "SELINUX").is_none_or(|mode| mode == "disabled") {
        return Ok(None);
    }
    Ok(shell_value(&config, "SELINUXTYPE"))
}

fn first_existing(
    guest: &Guest<'_>,
    candidates: &[(&str, &str)],
) -> anyhow::Result<Option<String>> {
    for (path, name) in candidates {
        if guest.exists(*path)? {
            return Ok(Some((*name).to_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_values_lose_their_quotes_and_the_last_one_counts() {
        let text = "ID=debian\nPRETTY_NAME=\"Debian \\\"12\\\"\"\n ID_LIKE='a b'\nID=x\nEMPTY=\n";
        assert_eq!(shell_value(text, "ID").as_deref(), Some("x"));
        assert_eq!(
            shell_value(text, "PRETTY_NAME").as_deref(),
            Some("Debian \"12\"")
        );
        assert_eq!(shell_value(text, "ID_LIKE").as_deref(), Some("a b"));
        assert_eq!(shell_value(text, "EMPTY"), None);
    }

    #[test]
    fn dpkg_versions_are_those_of_installed_packages() {
        let status = "Package: systemd-sysv\nStatus: install ok installed\nVersion: 1\n\n\
                      Package: systemd\nStatus: install ok installed\nVersion: 1:215-17+deb8u7\n";
        assert_eq!(dpkg_version(status, "systemd"), Some(215));
        assert_eq!(dpkg_version(status, "udev"), None);
        let removed = "Package: systemd\nStatus: deinstall ok config-files\nVersion: 215\n";
        assert_eq!(dpkg_version(removed, "systemd"), None);
    }
}
