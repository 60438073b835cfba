//! libosinfo's short identifiers, as libguestfs makes them (`lib/inspect-osinfo.c`) and the controller knows them.

use refit_engine::{Facts, Os, WindowsFacts};

/// What libguestfs says of a system that it does not know.
const UNKNOWN: &str = "unknown";

/// The identifier. The controller looks it up as it is, and then what is before its first point: so service packs
/// of SLES are left out, of which libosinfo says `sp4` without one.
pub(crate) fn id(facts: &Facts) -> String {
    if let Some(windows) = &facts.windows {
        return windows_id(windows).unwrap_or(UNKNOWN).to_owned();
    }
    if facts.os != Some(Os::Linux) {
        return UNKNOWN.to_owned();
    }
    let version = facts.version.as_deref().unwrap_or_default();
    let (major, minor) = numbers(version);
    let Some(major) = major else {
        // Rolling ones have no version.
        return match distro(facts) {
            "archlinux" => "archlinux".to_owned(),
            _ => UNKNOWN.to_owned(),
        };
    };
    match distro(facts) {
        name @ ("rhel" | "opensuse" | "circle" | "photon") => {
            format!("{name}{major}.{}", minor.unwrap_or(0))
        }
        "oraclelinux" => format!("ol{major}.{}", minor.unwrap_or(0)),
        "centos" if major < 8 => format!("centos{major}.{}", minor.unwrap_or(0)),
        "scientificlinux" => format!("scientific{major}.{}", minor.unwrap_or(0)),
        "ubuntu" => format!("ubuntu{major}.{:02}", minor.unwrap_or(0)),
        "alpinelinux" => format!("alpinelinux{major}.{}", minor.unwrap_or(0)),
        name @ ("centos" | "fedora" | "debian" | "sles" | "sled" | "rocky" | "almalinux") => {
            format!("{name}{major}")
        }
        _ => UNKNOWN.to_owned(),
    }
}

/// The identifier in what virt-v2v says of a guest that it converts: `12.15 (debian12)`.
pub(crate) fn said(guest: &str) -> Option<&str> {
    let (_, id) = guest.strip_suffix(')')?.rsplit_once('(')?;
    let is_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    (id != UNKNOWN && !id.is_empty() && id.chars().all(is_id)).then_some(id)
}

/// libguestfs's word for the distribution.
pub(crate) fn distro(facts: &Facts) -> &str {
    if facts.os == Some(Os::Windows) {
        return "windows";
    }
    match facts.distro.as_deref().unwrap_or(UNKNOWN) {
        "ol" => "oraclelinux",
        "opensuse-leap" | "opensuse-tumbleweed" => "opensuse",
        "sles_sap" | "sle_hpc" => "sles",
        "scientific" => "scientificlinux",
        "arch" => "archlinux",
        "alpine" => "alpinelinux",
        "kali" => "kalilinux",
        other => other,
    }
}

/// The first two numbers of a version.
pub(crate) fn numbers(version: &str) -> (Option<u32>, Option<u32>) {
    let mut parts = version
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().ok());
    (parts.next().flatten(), parts.next().flatten())
}

/// By version and build: the registry of Windows 11 says 10.
fn windows_id(windows: &WindowsFacts) -> Option<&'static str> {
    let of = |client, server| if windows.server { server } else { client };
    Some(match (windows.major, windows.minor, windows.build) {
        (5, 0, _) => of("win2k", "win2k"),
        (5, 1, _) => "winxp",
        (5, 2, _) => of("winxp", "win2k3"),
        (6, 0, _) => of("winvista", "win2k8"),
        (6, 1, _) => of("win7", "win2k8r2"),
        (6, 2, _) => of("win8", "win2k12"),
        (6, 3, _) => of("win8.1", "win2k12r2"),
        (10, 0, build) if windows.server => match build {
            26100.. => "win2k25",
            20348.. => "win2k22",
            17763.. => "win2k19",
            _ => "win2k16",
        },
        (10, 0, 22000..) => "win11",
        (10, 0, _) => "win10",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_by_distribution_and_version() {
        for (distro, version, expected) in [
            ("rhel", "9.4", "rhel9.4"),
            ("rhel", "10.0", "rhel10.0"),
            ("centos", "7.9.2009", "centos7.9"),
            ("centos", "9", "centos9"),
            ("rocky", "9.3", "rocky9"),
            ("almalinux", "8.10", "almalinux8"),
            ("fedora", "41", "fedora41"),
            ("debian", "12.5", "debian12"),
            ("debian", "13", "debian13"),
            ("ubuntu", "22.04", "ubuntu22.04"),
            ("sles", "15.5", "sles15"),
            ("sles_sap", "12.5", "sles12"),
            ("opensuse-leap", "15.6", "opensuse15.6"),
            ("ol", "8.9", "ol8.9"),
            ("photon", "5.0", "photon5.0"),
            ("arch", "", "archlinux"),
            ("gentoo", "2.14", "unknown"),
            ("debian", "", "unknown"),
        ] {
            let facts = Facts {
                os: Some(Os::Linux),
                distro: Some(distro.to_owned()),
                version: Some(version.to_owned()),
                ..Facts::default()
            };
            assert_eq!(id(&facts), expected, "{distro} {version}");
        }
        assert_eq!(id(&Facts::default()), "unknown");
    }

    #[test]
    fn windows_by_version_and_build() {
        for ((major, minor, build), server, expected) in [
            ((5, 1, 2600), false, "winxp"),
            ((5, 2, 3790), true, "win2k3"),
            ((6, 0, 6002), true, "win2k8"),
            ((6, 1, 7601), false, "win7"),
            ((6, 1, 7601), true, "win2k8r2"),
            ((6, 2, 9200), true, "win2k12"),
            ((6, 3, 9600), false, "win8.1"),
            ((6, 3, 9600), true, "win2k12r2"),
            ((10, 0, 14393), true, "win2k16"),
            ((10, 0, 17763), true, "win2k19"),
            ((10, 0, 20348), true, "win2k22"),
            ((10, 0, 26100), true, "win2k25"),
            ((10, 0, 19045), false, "win10"),
            ((10, 0, 22631), false, "win11"),
            ((10, 0, 26100), false, "win11"),
            ((4, 0, 1381), false, "unknown"),
        ] {
            let facts = Facts {
                os: Some(Os::Windows),
                windows: Some(WindowsFacts {
                    major,
                    minor,
                    build,
                    server,
                    ..WindowsFacts::default()
                }),
                ..Facts::default()
            };
            assert_eq!(id(&facts), expected, "{build} {server}");
        }
    }
}
