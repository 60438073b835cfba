//! Which Windows a driver is for.

use std::fmt;

/// Architecture of a Windows installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arch {
    /// 32-bit x86.
    X86,
    /// 64-bit x86.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

impl Arch {
    /// The architecture by the name that facts use (`x86`, `x86_64`, `aarch64`, as `uname` and libguestfs
    /// have them) or that INF files and folders use.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "x86" | "i386" | "i486" | "i586" | "i686" => Self::X86,
            "amd64" | "x86_64" | "x64" => Self::Amd64,
            "arm64" | "aarch64" => Self::Arm64,
            _ => return None,
        })
    }

    /// The name in INF files and in labels of driver packages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86 => "x86",
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// The name in INF files.
impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Product type, with the numbers of `wProductType` in `OSVERSIONINFOEX` and of INF decorations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProductType {
    /// A client.
    Workstation = 1,
    /// A server that is a domain controller.
    DomainController = 2,
    /// Any other server.
    Server = 3,
}

/// One Windows installation, as far as drivers care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    /// Its architecture.
    pub arch: Arch,
    /// Version of Windows NT: (6, 1) is Windows 7 and Server 2008 R2.
    pub version: (u32, u32),
    /// Build number, such as 19045.
    pub build: u32,
    /// Client or server.
    pub product: ProductType,
    /// Bits of `wSuiteMask`; 0 if not known.
    pub suites: u32,
    /// Whether its kernel accepts drivers that are signed with SHA-2 only. Windows 8 and later do; 7,
    /// 2008 R2 and 2008 only with an update (KB3033929 or KB4474419); [`Windows::checks_signatures`]
    /// says who cares.
    pub sha2: bool,
}

impl Windows {
    /// Whether its kernel loads signed drivers only: every 64-bit Windows since Vista.
    #[must_use]
    pub fn checks_signatures(&self) -> bool {
        self.arch != Arch::X86 && self.version >= (6, 0)
    }

    /// The names that virtio-win gives to folders for this Windows, best first: those of the ISO, then
    /// those of builds. A folder's name only decides between packages that are equal in all else.
    #[must_use]
    pub fn folders(&self) -> &'static [&'static str] {
        let server = self.product != ProductType::Workstation;
        match (self.version, self.build, server) {
            ((5, 0), ..) => &["2k"],
            ((5, 1), ..) => &["xp", "wxp", "winxp"],
            ((5, 2), ..) => &["2k3", "wnet", "win2003", "xp"],
            ((6, 0), ..) => &["2k8", "wlh", "win2008", "vista"],
            ((6, 1), _, false) => &["w7", "win7", "2k8r2"],
            ((6, 1), _, true) => &["2k8r2", "win2008r2", "win7", "w7"],
            ((6, 2), _, false) => &["w8", "win8", "2k12"],
            ((6, 2), _, true) => &["2k12", "win2012", "win8", "w8"],
            ((6, 3), _, false) => &["w8.1", "win8.1", "2k12r2"],
            ((6, 3), _, true) => &["2k12r2", "win2012r2", "win8.1", "w8.1"],
            (_, 22000.., false) => &["w11", "win11", "2k25"],
            (_, _, false) => &["w10", "win10", "w11", "win11"],
            (_, 26100.., true) => &["2k25", "win2025", "win11", "w11"],
            (_, 20348.., true) => &["2k22", "win2022", "win10", "w10"],
            (_, 17763.., true) => &["2k19", "win2019", "win10", "w10"],
            (_, _, true) => &["2k16", "win2016", "win10", "w10"],
        }
    }

    /// The name that people know it by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let server = self.product != ProductType::Workstation;
        match (self.version, self.build, server) {
            ((5, 0), ..) => "Windows 2000",
            ((5, 1), ..) => "Windows XP",
            ((5, 2), ..) => "Windows Server 2003",
            ((6, 0), _, false) => "Windows Vista",
            ((6, 0), _, true) => "Windows Server 2008",
            ((6, 1), _, false) => "Windows 7",
            ((6, 1), _, true) => "Windows Server 2008 R2",
            ((6, 2), _, false) => "Windows 8",
            ((6, 2), _, true) => "Windows Server 2012",
            ((6, 3), _, false) => "Windows 8.1",
            ((6, 3), _, true) => "Windows Server 2012 R2",
            (_, 22000.., false) => "Windows 11",
            (_, _, false) => "Windows 10",
            (_, 26100.., true) => "Windows Server 2025",
            (_, 20348.., true) => "Windows Server 2022",
            (_, 17763.., true) => "Windows Server 2019",
            (_, _, true) => "Windows Server 2016",
        }
    }
}

/// A `TargetOSVersion` decoration:
/// `nt[ARCH][.[MAJOR][.[MINOR][.[PRODUCT][.[SUITES][.[BUILD]]]]]]` ("Combining platform extensions with
/// operating system versions", Windows driver documentation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decoration {
    /// For this architecture only.
    pub arch: Option<Arch>,
    /// The oldest version of Windows.
    pub version: Option<(u32, u32)>,
    /// Only for this product type (1 client, 2 domain controller, 3 server).
    pub product: Option<u32>,
    /// Only if all these suites are installed.
    pub suites: Option<u32>,
    /// The oldest build of just that version.
    pub build: Option<u32>,
}

impl Decoration {
    /// Reads a decoration; the empty one is that of a section without any. `None` if Windows would not
    /// understand it or it is for an architecture that this crate does not know.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut parts = text.strip_prefix("nt")?.split('.');
        let arch = match parts.next()? {
            "" => None,
            name => Some(Arch::parse(name)?),
        };
        let mut number = || -> Option<Option<u32>> {
            match parts.next().map(str::trim) {
                None | Some("") => Some(None),
                Some(part) => {
                    let parsed = match part.strip_prefix("0x") {
                        Some(hex) => u32::from_str_radix(hex, 16),
                        None => part.parse(),
                    };
                    parsed.ok().map(Some)
                }
            }
        };
        let (major, minor) = (number()?, number()?);
        let decoration = Self {
            arch,
            version: major.map(|major| (major, minor.unwrap_or(0))),
            product: number()?,
            suites: number()?,
            build: number()?,
        };
        parts.next().is_none().then_some(decoration)
    }

    /// Whether the section may be used on this Windows.
    #[must_use]
    pub fn admits(&self, windows: &Windows) -> bool {
        // Since Server 2003 SP1 a section without an architecture is for x86 only.
        if self.arch.unwrap_or(Arch::X86) != windows.arch {
            return false;
        }
        if self
            .version
            .is_some_and(|version| version > windows.version)
        {
            return false;
        }
        if self
            .product
            .is_some_and(|product| product != windows.product as u32)
        {
            return false;
        }
        if self
            .suites
            .is_some_and(|suites| windows.suites & suites != suites)
        {
            return false;
        }
        match self.build {
            None => true,
            // Builds before 14310 do not understand the field; it is relative to its own version.
            Some(build) => {
                windows.version >= (10, 0)
                    && windows.build >= 14310
                    && (self.version != Some(windows.version) || windows.build >= build)
            }
        }
    }

    /// The order in which Windows prefers sections that may all be used: the closest wins.
    #[must_use]
    pub fn closeness(&self) -> impl Ord + use<> {
        (
            self.version,
            self.build,
            self.product.is_some(),
            self.suites.is_some(),
            self.arch.is_some(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(arch: Arch, version: (u32, u32), build: u32, product: ProductType) -> Windows {
        Windows {
            arch,
            version,
            build,
            product,
            suites: 0,
            sha2: true,
        }
    }

    #[test]
    fn decorations_are_read() {
        let nt = |arch, version| Decoration {
            arch,
            version,
            ..Decoration::default()
        };
        let cases = [
            ("", Some(Decoration::default())),
            ("NT", Some(Decoration::default())),
            ("NTAMD64", Some(nt(Some(Arch::Amd64), None))),
            ("ntx86.5.1", Some(nt(Some(Arch::X86), Some((5, 1))))),
            ("NTamd64.6", Some(nt(Some(Arch::Amd64), Some((6, 0))))),
            (
                "NTamd64.10.0...16299",
                Some(Decoration {
                    build: Some(16299),
                    ..nt(Some(Arch::Amd64), Some((10, 0)))
                }),
            ),
            (
                "NTarm64.6.1.3.0x10",
                Some(Decoration {
                    product: Some(3),
                    suites: Some(16),
                    ..nt(Some(Arch::Arm64), Some((6, 1)))
                }),
            ),
            ("NTia64", None),
            ("amd64", None),
            ("NTamd64.x", None),
            ("NTamd64.10.0...16299.1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Decoration::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_decoration_admits_what_windows_would() {
        use Arch::{Amd64, Arm64, X86};
        use ProductType::{DomainController, Server, Workstation};
        let w10 = windows(Amd64, (10, 0), 19045, Workstation);
        let w10_rtm = windows(Amd64, (10, 0), 10240, Workstation);
        let w2016 = windows(Amd64, (10, 0), 14393, Server);
        let w7 = windows(Amd64, (6, 1), 7601, Workstation);
        let xp = windows(X86, (5, 1), 2600, Workstation);
        let dc = windows(Amd64, (6, 3), 9600, DomainController);
        let arm = windows(Arm64, (10, 0), 26100, Workstation);
        let cases: [(&str, &Windows, bool); 17] = [
            ("NTamd64.10.0...16299", &w10, true),
            ("NTamd64.10.0...16299", &w2016, false),
            ("NTamd64.10.0...10000", &w10_rtm, false),
            ("NTamd64.6.3...17000", &w2016, true),
            ("NTamd64.10.0", &w10_rtm, true),
            ("NTamd64.6.3", &w10, true),
            ("NTamd64.6.3", &w7, false),
            ("NTamd64.6.1", &w7, true),
            ("NTx86.6.1", &w7, false),
            ("", &w7, false),
            ("", &xp, true),
            ("NT.5", &xp, true),
            ("NTx86.5.2", &xp, false),
            ("NTamd64.6.1.3", &dc, false),
            ("NTamd64.6.1.2", &dc, true),
            ("NTamd64.6.1..0x80", &dc, false),
            ("NTarm64.10.0", &arm, true),
        ];
        for (text, windows, expected) in cases {
            assert_eq!(
                Decoration::parse(text).unwrap().admits(windows),
                expected,
                "{text} on {windows:?}"
            );
        }
    }

    #[test]
    fn the_closest_decoration_is_preferred() {
        let order = [
            "NT",
            "NTamd64",
            "NTamd64.6.1",
            "NTamd64.6.1.3",
            "NTamd64.10.0",
            "NTamd64.10.0...16299",
            "NTamd64.10.0...22000",
        ];
        let closeness: Vec<_> = order
            .iter()
            .map(|text| Decoration::parse(text).unwrap().closeness())
            .collect();
        assert!(closeness.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn folders_and_names_follow_the_build() {
        use ProductType::{Server, Workstation};
        let cases = [
            ((6, 1), 7601, Server, "2k8r2", "Windows Server 2008 R2"),
            ((10, 0), 14393, Server, "2k16", "Windows Server 2016"),
            ((10, 0), 17763, Server, "2k19", "Windows Server 2019"),
            ((10, 0), 20348, Server, "2k22", "Windows Server 2022"),
            ((10, 0), 26100, Server, "2k25", "Windows Server 2025"),
            ((10, 0), 19045, Workstation, "w10", "Windows 10"),
            ((10, 0), 22631, Workstation, "w11", "Windows 11"),
        ];
        for (version, build, product, folder, name) in cases {
            let windows = windows(Arch::Amd64, version, build, product);
            assert_eq!(windows.folders()[0], folder);
            assert_eq!(windows.name(), name);
        }
    }
}
