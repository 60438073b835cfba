//! What a version of Windows is sold as.

/// One release of Windows, or a client and a server that share a version.
struct Release {
    major: u32,
    minor: u32,
    /// The lowest build.
    build: u32,
    client: Option<&'static str>,
    server: Option<&'static str>,
}

const fn release(
    (major, minor, build): (u32, u32, u32),
    client: Option<&'static str>,
    server: Option<&'static str>,
) -> Release {
    Release {
        major,
        minor,
        build,
        client,
        server,
    }
}

/// In ascending order ("Windows 10 release information", "Windows Server release information", "Operating
/// System Version" in Microsoft's documentation). Version 10.0 is told apart by its build alone; between two
/// servers there were releases in the semi-annual channel, which have no name of their own and are taken for
/// the one before.
const RELEASES: &[Release] = &[
    release((5, 0, 0), Some("Windows 2000"), Some("Windows 2000 Server")),
    release((5, 1, 0), Some("Windows XP"), None),
    // The 64-bit client is built from the server.
    release((5, 2, 0), Some("Windows XP"), Some("Windows Server 2003")),
    release(
        (6, 0, 0),
        Some("Windows Vista"),
        Some("Windows Server 2008"),
    ),
    release((6, 1, 0), Some("Windows 7"), Some("Windows Server 2008 R2")),
    release((6, 2, 0), Some("Windows 8"), Some("Windows Server 2012")),
    release(
        (6, 3, 0),
        Some("Windows 8.1"),
        Some("Windows Server 2012 R2"),
    ),
    release(
        (10, 0, 10240),
        Some("Windows 10"),
        Some("Windows Server 2016"),
    ),
    release(
        (10, 0, 17763),
        Some("Windows 10"),
        Some("Windows Server 2019"),
    ),
    release(
        (10, 0, 20348),
        Some("Windows 10"),
        Some("Windows Server 2022"),
    ),
    release(
        (10, 0, 22000),
        Some("Windows 11"),
        Some("Windows Server 2022"),
    ),
    release(
        (10, 0, 26100),
        Some("Windows 11"),
        Some("Windows Server 2025"),
    ),
];

/// The name of this version.
pub(super) fn name(major: u32, minor: u32, build: u32, server: bool) -> Option<&'static str> {
    let release = RELEASES.iter().rfind(|release| {
        (release.major, release.minor) == (major, minor) && release.build <= build
    })?;
    if server {
        release.server
    } else {
        release.client
    }
}

/// `product`, as the registry has it, with the release's right name: Windows 11 calls itself 10 there.
pub(super) fn correct(product: &str, release: &str) -> String {
    match product.strip_prefix("Windows 10") {
        Some(edition) if release == "Windows 11" => format!("{release}{edition}"),
        _ => product.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_told_by_version_and_build() {
        for (version, server, expected) in [
            ((5, 1, 2600), false, Some("Windows XP")),
            ((5, 2, 3790), true, Some("Windows Server 2003")),
            ((6, 1, 7601), false, Some("Windows 7")),
            ((6, 1, 7601), true, Some("Windows Server 2008 R2")),
            ((6, 3, 9600), true, Some("Windows Server 2012 R2")),
            ((10, 0, 14393), true, Some("Windows Server 2016")),
            ((10, 0, 17763), true, Some("Windows Server 2019")),
            ((10, 0, 19045), false, Some("Windows 10")),
            ((10, 0, 20348), true, Some("Windows Server 2022")),
            ((10, 0, 22000), false, Some("Windows 11")),
            ((10, 0, 26100), true, Some("Windows Server 2025")),
            ((10, 0, 26100), false, Some("Windows 11")),
            ((4, 0, 1381), false, None),
            ((0, 0, 0), false, None),
        ] {
            let (major, minor, build) = version;
            assert_eq!(name(major, minor, build, server), expected, "{version:?}");
        }
        assert_eq!(correct("Windows 10 Pro", "Windows 11"), "Windows 11 Pro");
        assert_eq!(correct("Windows 10 Pro", "Windows 10"), "Windows 10 Pro");
        assert_eq!(
            correct("Windows Server 2025 Standard", "Windows Server 2025"),
            "Windows Server 2025 Standard"
        );
    }
}
