//! The service's program, on this host.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Its name in the guest.
pub(crate) const NAME: &str = "refit-firstboot.exe";
/// The variable that says where the programs are.
const VARIABLE: &str = "REFIT_FIRSTBOOT_DIR";
/// No build of it is nearly as large.
const LARGEST: u64 = 16 << 20;

/// An architecture that it is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arch {
    X86_64,
    I686,
}

impl Arch {
    fn of(guest: Option<&str>) -> Option<Self> {
        match guest? {
            "x86_64" => Some(Self::X86_64),
            "i386" | "i686" | "x86" => Some(Self::I686),
            _ => None,
        }
    }

    /// As in the names of the programs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::I686 => "i686",
        }
    }

    /// `IMAGE_FILE_MACHINE_*` of the PE format.
    fn machine(self) -> u16 {
        match self {
            Self::X86_64 => 0x8664,
            Self::I686 => 0x014c,
        }
    }
}

/// Why there is no program to install.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nobody built it for such a guest.
    Arch(Option<String>),
    /// It is in none of the places.
    File(String, Vec<PathBuf>),
    /// What is there is not it.
    Wrong(PathBuf, String),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arch(Some(arch)) => write!(
                f,
                "the first-boot service is not built for {arch}: do by hand what the tasks say"
            ),
            Self::Arch(None) => f.write_str(
                "the guest's architecture is not known, so no program can be chosen for it",
            ),
            Self::File(name, places) => {
                let places: Vec<String> = places
                    .iter()
                    .map(|place| place.display().to_string())
                    .collect();
                write!(
                    f,
                    "{name} is not here: build it with `cargo xtask firstboot`, or give its directory in \
                     {VARIABLE} (looked in {})",
                    places.join(", ")
                )
            }
            Self::Wrong(path, why) => write!(f, "{} cannot be used: {why}", path.display()),
        }
    }
}

/// Where to look, in this order: what is given or the environment names (and then nowhere else), beside
/// this program, in its prefix, in the distribution's place, and where a source tree builds it.
pub(crate) fn places(given: &str) -> Vec<PathBuf> {
    if !given.is_empty() {
        return vec![given.into()];
    }
    if let Some(named) = env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        return vec![named.into()];
    }
    let mut places = Vec::new();
    if let Some(beside) = env::current_exe().ok().as_deref().and_then(Path::parent) {
        places.push(beside.to_owned());
        places.push(beside.join("../lib/refit/firstboot"));
    }
    places.push("/usr/share/refit/firstboot".into());
    places.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/firstboot"));
    places
}

/// The program for a guest of architecture `arch`.
///
/// # Errors
/// Why there is none.
pub(crate) fn find(arch: Option<&str>, places: &[PathBuf]) -> Result<(Arch, Vec<u8>), Missing> {
    let known = Arch::of(arch).ok_or_else(|| Missing::Arch(arch.map(str::to_owned)))?;
    let name = format!("refit-firstboot-{}.exe", known.name());
    let path = places
        .iter()
        .map(|place| place.join(&name))
        .find(|path| path.is_file())
        .ok_or_else(|| Missing::File(name, places.to_vec()))?;
    match read(&path, known) {
        Ok(content) => Ok((known, content)),
        Err(why) => Err(Missing::Wrong(path, why)),
    }
}

fn read(path: &Path, arch: Arch) -> Result<Vec<u8>, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > LARGEST {
        return Err("it is larger than 16 MiB".to_owned());
    }
    let content = fs::read(path).map_err(|error| error.to_string())?;
    if machine(&content) != Some(arch.machine()) {
        return Err(format!("it is no Windows program for {}", arch.name()));
    }
    Ok(content)
}

/// The machine of a PE file: "MZ", at 0x3c the offset of "PE\0\0", the machine behind that.
fn machine(content: &[u8]) -> Option<u16> {
    if !content.starts_with(b"MZ") {
        return None;
    }
    let offset = u32::from_le_bytes(content.get(0x3c..0x40)?.try_into().ok()?);
    let header = content.get(usize::try_from(offset).ok()?..)?;
    let machine = header.strip_prefix(b"PE\0\0")?.get(..2)?;
    Some(u16::from_le_bytes(machine.try_into().ok()?))
}
