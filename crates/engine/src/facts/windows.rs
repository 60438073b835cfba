//! Facts of a Windows guest, from its own registry and files: libguestfs 1.48 takes Windows 11 for 10 and
//! Server 2025 for 2016.

mod pe;
mod release;

use anyhow::Context as _;
use refit_hive::{Hive, Value};
use serde::Serialize;

use crate::backend::FileKind;
use crate::guest::Guest;
use crate::path::{GuestPath, same_name};
use crate::registry::HiveName;

use super::{Facts, Hints};

/// Directories that setup installs Windows in: since XP, and before.
const SYSTEM_ROOTS: [&str; 2] = ["/Windows", "/WINNT"];

/// So many other directories are looked into.
const LOOKED_AT: usize = 64;

/// What is known of a Windows guest alone. What could not be read is empty, 0 or `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WindowsFacts {
    /// Major version: 5 for XP and 2003, 6 for Vista to 8.1 and their servers, 10 from then on.
    pub major: u32,
    /// Minor version.
    pub minor: u32,
    /// Build number, the one that tells releases of version 10 from each other.
    pub build: u32,
    /// Update build revision (`UBR`), counted within a build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
    /// What Microsoft sells this version as, without its edition: `Windows 11`, `Windows Server 2019`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Name of the feature update: `22H2`, `1809`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_version: Option<String>,
    /// Service pack in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_pack: Option<String>,
    /// Edition: `Professional`, `ServerStandard`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edition: Option<String>,
    /// `Client`, `Server`, `Server Core`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installation_type: Option<String>,
    /// Whether it is a server, whatever its age.
    pub server: bool,
    /// The system's directory.
    pub system_root: GuestPath,
    /// The letter that the guest's root file system has when it runs, in upper case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_drive: Option<char>,
    /// Number of the control set that boots (`Select\Current`).
    pub current: u32,
    /// Numbers of every control set that may boot: the current one first, then the default one and the last
    /// known good one.
    pub control_sets: Vec<u32>,
    /// Whether it was hibernated, or shut down with fast start-up: its file systems must not be written to.
    pub hibernated: bool,
    /// Whether shutting it down hibernates it (fast start-up).
    pub fast_startup: bool,
    /// The image of Windows's recovery environment, if it is on the root file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winre: Option<GuestPath>,
    /// Why the root file system cannot be written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unwritable: Option<String>,
    /// The EFI system partition that it boots from. Its files are not in the guest's tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub esp: Option<WindowsEsp>,
    /// Hives that could not be read, with the reasons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// An EFI system partition with Windows' boot manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WindowsEsp {
    /// The appliance's name for it.
    pub device: String,
    /// Whether it has `EFI/Boot/boot*.efi`, which firmware without entries of its own starts: a new machine's.
    pub fallback: bool,
    /// Whether the loader that starts by itself must not use graphics (`graphicsmodedisabled`).
    pub no_graphics: bool,
}

impl WindowsFacts {
    /// Name of the control set that boots: `ControlSet001`.
    #[must_use]
    pub fn control_set(&self) -> String {
        control_set(self.current)
    }

    /// Names of all control sets that may boot, the current one first.
    pub fn control_set_names(&self) -> impl Iterator<Item = String> {
        self.control_sets.iter().copied().map(control_set)
    }

    /// Where in the guest a path of a running Windows is: `C:\Program Files\x`, `%SystemRoot%\x`,
    /// `\SystemRoot\x`, `\??\C:\x`, or `System32\drivers\x` as services are written. `None` for another drive,
    /// a share, and what has other variables in it.
    #[must_use]
    pub fn guest_path(&self, path: &str) -> Option<GuestPath> {
        let path = path.trim().trim_matches('"').replace('/', "\\");
        let path = path.strip_prefix("\\??\\").unwrap_or(&path);
        let below = |root: &GuestPath, rest: &str| Some(root.join(join_parts(rest)));
        for variable in ["%SystemRoot%", "%windir%", "\\SystemRoot"] {
            if let Some(rest) = strip_prefix(path, variable)
                && (rest.is_empty() || rest.starts_with('\\'))
            {
                return below(&self.system_root, rest);
            }
        }
        let letter = self.system_drive.unwrap_or('C');
        let drive = format!("{letter}:");
        for variable in [drive.as_str(), "%SystemDrive%"] {
            if let Some(rest) = strip_prefix(path, variable) {
                return below(&GuestPath::root(), rest);
            }
        }
        for variable in ["%ProgramFiles%", "%ProgramW6432%"] {
            if let Some(rest) = strip_prefix(path, variable) {
                return below(&"/Program Files".into(), rest);
            }
        }
        if path.contains(['%', ':']) || path.starts_with('\\') {
            return None;
        }
        below(&self.system_root, path)
    }
}

fn control_set(number: u32) -> String {
    format!("ControlSet{number:03}")
}

/// `rest` with slashes, relative.
fn join_parts(rest: &str) -> String {
    rest.replace('\\', "/").trim_start_matches('/').to_owned()
}

fn strip_prefix<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let (start, rest) = path.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The directory of the Windows that is installed in the root file system.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn find_system_root(guest: &Guest<'_>) -> anyhow::Result<Option<GuestPath>> {
    let root = GuestPath::root();
    let is_system = |dir: &GuestPath| guest.exists(dir.join("System32/config"));
    for usual in SYSTEM_ROOTS {
        let usual = root.join(usual);
        if is_system(&usual)? {
            return guest.resolve(&usual);
        }
    }
    // Setup puts a second one into a directory of another name.
    let dirs = guest.list(&root)?.into_iter();
    for dir in dirs.filter(|dir| dir.kind == FileKind::Dir).take(LOOKED_AT) {
        let dir = root.join(dir.name);
        if is_system(&dir)? {
            return Ok(Some(dir));
        }
    }
    Ok(None)
}

/// Completes `facts` of the Windows in `system_root`. A hive that cannot be read is told of, and costs what
/// only it knows.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn collect(
    guest: &mut Guest<'_>,
    facts: &mut Facts,
    system_root: GuestPath,
    hints: &Hints,
) -> anyhow::Result<()> {
    let mut windows = WindowsFacts {
        system_root,
        unwritable: hints.unwritable.clone(),
        esp: hints.windows_esp.clone(),
        ..WindowsFacts::default()
    };
    // The guest finds its hives by the facts.
    guest.know_windows(windows.clone());
    let mut hive = |name: HiveName| match guest.hive(&name) {
        Ok(hive) => hive,
        Err(error) => {
            windows.unreadable.push(format!("{error:#}"));
            None
        }
    };
    let system = hive(HiveName::System);
    let software = hive(HiveName::Software);
    if let Some(system) = &system {
        windows.read_system(system, facts);
    }
    if let Some(software) = &software {
        windows.read_software(software, facts);
    }
    windows.release = release::name(windows.major, windows.minor, windows.build, windows.server)
        .map(str::to_owned);
    if let (Some(product), Some(release)) = (&facts.product, &windows.release) {
        facts.product = Some(release::correct(product, release));
    }
    facts.product = facts.product.take().or_else(|| windows.release.clone());
    if windows.major > 0 {
        facts.version = Some(format!(
            "{}.{}.{}",
            windows.major, windows.minor, windows.build
        ));
    }
    facts.distro = Some("windows".to_owned());
    facts.boot_loader = Some(
        if windows.major == 5 {
            "ntldr"
        } else {
            "bootmgr"
        }
        .to_owned(),
    );
    if facts.arch.is_none() {
        facts.arch = pe::architecture(guest, &windows.system_root)
            .context("reading the kernel's header")?
            .map(str::to_owned);
    }
    windows.hibernated = is_hibernated(&guest.read_start("/hiberfil.sys", 4)?);
    for path in [
        "System32/Recovery/Winre.wim",
        "/Recovery/WindowsRE/Winre.wim",
    ] {
        let path = windows.system_root.join(path);
        if guest.exists(&path)? {
            windows.winre = guest.resolve(&path)?;
            break;
        }
    }
    facts.windows = Some(windows);
    Ok(())
}

/// `hiberfil.sys` begins with this as long as what it holds is to be resumed; with `wake` afterwards.
fn is_hibernated(start: &[u8]) -> bool {
    [&b"hibr"[..], b"rstr", b"horm"]
        .iter()
        .any(|word| start.eq_ignore_ascii_case(word))
}

impl WindowsFacts {
    fn read_system(&mut self, system: &Hive, facts: &mut Facts) {
        let select = |name: &str| {
            let number = value(system, "Select", name)?.as_dword()?;
            let exists = system.key(&control_set(number)).is_some();
            (number > 0 && exists).then_some(number)
        };
        let sets = ["Current", "Default", "LastKnownGood"].map(select);
        for number in sets.into_iter().flatten() {
            if !self.control_sets.contains(&number) {
                self.control_sets.push(number);
            }
        }
        if self.control_sets.is_empty() && system.key(&control_set(1)).is_some() {
            self.control_sets.push(1);
        }
        self.current = self.control_sets.first().copied().unwrap_or_default();
        let set = self.control_set();
        let text = |key: &str, name: &str| text(system, &format!("{set}\\{key}"), name);
        let number = |key: &str, name: &str| {
            value(system, &format!("{set}\\{key}"), name).and_then(|value| value.as_dword())
        };
        facts.hostname = text("Services\\Tcpip\\Parameters", "Hostname")
            .or_else(|| text("Control\\ComputerName\\ComputerName", "ComputerName"));
        facts.arch = text(
            "Control\\Session Manager\\Environment",
            "PROCESSOR_ARCHITECTURE",
        )
        .and_then(|name| pe::by_name(&name))
        .map(str::to_owned);
        self.server = text("Control\\ProductOptions", "ProductType")
            .is_some_and(|kind| !same_name(kind.as_bytes(), b"WinNT"));
        if let Some((major, minor, build)) = version_of_drivers(system) {
            (self.major, self.minor, self.build) = (major, minor, build);
        }
        self.fast_startup =
            number("Control\\Session Manager\\Power", "HiberbootEnabled") == Some(1);
    }

    fn read_software(&mut self, software: &Hive, facts: &mut Facts) {
        const KEY: &str = "Microsoft\\Windows NT\\CurrentVersion";
        let text = |name: &str| text(software, KEY, name);
        let number = |name: &str| value(software, KEY, name).and_then(|value| value.as_dword());
        let version = text("CurrentVersion").unwrap_or_default();
        let (major, minor) = version.split_once('.').unwrap_or_default();
        let of_text = |part: &str| part.parse().unwrap_or_default();
        // From Windows 10 on, CurrentVersion stays at 6.3.
        let major = number("CurrentMajorVersionNumber").unwrap_or_else(|| of_text(major));
        if major > 0 {
            self.major = major;
            self.minor = number("CurrentMinorVersionNumber").unwrap_or_else(|| of_text(minor));
            self.build = ["CurrentBuildNumber", "CurrentBuild"]
                .into_iter()
                .find_map(|name| text(name)?.parse().ok())
                .unwrap_or_default();
        }
        self.revision = number("UBR");
        self.display_version = text("DisplayVersion").or_else(|| text("ReleaseId"));
        self.service_pack = text("CSDVersion");
        self.edition = text("EditionID");
        self.installation_type = text("InstallationType");
        facts.product = text("ProductName");
        self.server |= [&self.installation_type, &facts.product]
            .into_iter()
            .flatten()
            .any(|name| name.contains("Server"));
        self.system_drive = text("SystemRoot")
            .and_then(|root| {
                let mut letters = root.chars();
                letters.next().filter(|_| letters.next() == Some(':'))
            })
            .filter(char::is_ascii_alphabetic)
            .map(|letter| letter.to_ascii_uppercase());
    }
}

/// The version of a Windows since 8 without its `SOFTWARE` hive: that of the driver for disks, which is Windows'
/// own. The last eight bytes but eight of its package's `Version` are revision, build, minor and major
/// version, as `DriverVer` in its INF file has them.
fn version_of_drivers(system: &Hive) -> Option<(u32, u32, u32)> {
    let packages = system.key("DriverDatabase\\DriverPackages")?;
    let disk = packages.subkeys().find(|package| {
        let name = package.name().to_ascii_lowercase();
        name.starts_with("disk.inf_")
    })?;
    let version = disk.value("Version")?.data;
    let part = |at: usize| -> Option<u32> {
        let bytes = version.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_le_bytes(bytes).into())
    };
    Some((part(38)?, part(36)?, part(34)?)).filter(|version| version.0 >= 6)
}

fn value(hive: &Hive, key: &str, name: &str) -> Option<Value> {
    hive.key(key)?.value(name)
}

/// A text that is not empty.
fn text(hive: &Hive, key: &str, name: &str) -> Option<String> {
    let text = value(hive, key, name)?.as_str()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
