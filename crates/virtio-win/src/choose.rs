//! The best driver of a source for one Windows.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

use crate::devices::{DEVICES, Device};
use crate::{Arch, Digest, DriverFiles, Service, Source, Windows, catalog_digests, image_digests};

/// What was found for one device.
#[derive(Debug)]
pub struct Choice<'s> {
    /// The device.
    pub device: &'static Device,
    /// Its driver, or why there is none.
    pub driver: Result<Chosen<'s>, Refusal>,
}

/// The driver that was chosen for a device.
#[derive(Debug)]
pub struct Chosen<'s> {
    /// Where it is in the source, and what its INF file says.
    pub files: &'s DriverFiles,
    /// What it installs on this Windows; the first is the device's own.
    pub services: Vec<Service>,
    /// The identifiers of the device, in upper case, in the order of the INF file.
    pub ids: Vec<String>,
    /// The files that the INF file names and that are there, by name in lower case; the INF file is not
    /// among them.
    pub present: BTreeSet<String>,
    /// Those that are not there. Plug and Play refuses a package without them.
    pub missing: BTreeSet<String>,
}

/// Why no driver of the source can be used for a device. In the order in which one comes closer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The source has none for this device at all.
    Absent,
    /// Only for other architectures.
    Architecture,
    /// Only for other versions of Windows: the newest that is older than what they are built for.
    Version {
        /// The oldest version of Windows that one of them is for.
        oldest: (u32, u32),
    },
    /// It is for this Windows, but its program is missing beside the INF file.
    Incomplete {
        /// The INF file's path in the source.
        inf: String,
        /// The file that is missing.
        file: String,
    },
    /// It is signed with SHA-2 only, which this Windows' kernel does not accept.
    Sha2 {
        /// The INF file's path in the source.
        inf: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("the source has no driver for it"),
            Self::Architecture => f.write_str("its drivers are for other architectures"),
            Self::Version {
                oldest: (major, minor),
            } => write!(
                f,
                "its drivers are for Windows NT {major}.{minor} and later"
            ),
            Self::Incomplete { inf, file } => write!(f, "{file} is missing beside {inf}"),
            Self::Sha2 { inf } => write!(
                f,
                "{inf} is signed with SHA-2 only, which this Windows accepts with update KB4474419 (or KB3033929)"
            ),
        }
    }
}

/// Chooses the best driver for each device, in the order of [`DEVICES`].
///
/// A package can be used if its models section admits this Windows and its version was not built for a
/// newer one: drivers for Windows 10 say they run on 6.3, which is no promise that virtio-win keeps. Of those, in
/// this order: one with a service (not a dummy), with all its files, built for the nearest Windows, with
/// the newest `DriverVer`, in the folder that is named like this Windows, with the closest decoration.
///
/// # Errors
/// If a file of the source cannot be read.
pub fn choose<'s>(source: &'s Source, windows: &Windows) -> anyhow::Result<Vec<Choice<'s>>> {
    DEVICES
        .iter()
        .map(|device| {
            Ok(Choice {
                device,
                driver: for_device(source, windows, device)?,
            })
        })
        .collect()
}

fn for_device<'s>(
    source: &'s Source,
    windows: &Windows,
    device: &'static Device,
) -> anyhow::Result<Result<Chosen<'s>, Refusal>> {
    let mut best = None;
    let mut refusal = Refusal::Absent;
    for files in source.packages() {
        match candidate(source, windows, device, files)? {
            Ok(chosen) => {
                let rank = rank(&chosen, windows);
                if best.as_ref().is_none_or(|(other, _)| rank > *other) {
                    best = Some((rank, chosen));
                }
            }
            Err(Some(reason)) => refusal = nearer(refusal, reason),
            Err(None) => {}
        }
    }
    Ok(best.map(|(_, chosen)| chosen).ok_or(refusal))
}

/// Of two reasons the one that tells more; of two versions the older.
fn nearer(a: Refusal, b: Refusal) -> Refusal {
    match (&a, &b) {
        (Refusal::Version { oldest: x }, Refusal::Version { oldest: y }) => {
            if x <= y {
                a
            } else {
                b
            }
        }
        _ => a.max(b),
    }
}

/// The package as a driver of the device on this Windows; otherwise why not, `None` if it is for other
/// devices.
fn candidate<'s>(
    source: &'s Source,
    windows: &Windows,
    device: &Device,
    files: &'s DriverFiles,
) -> anyhow::Result<Result<Chosen<'s>, Option<Refusal>>> {
    let package = &files.package;
    let drives = |ids: &[String]| ids.iter().any(|id| device.is(id));
    if !package.all_models().iter().any(|model| drives(&model.ids)) {
        return Ok(Err(None));
    }
    let decorations = package.decorations();
    let of_arch = |arch: &Option<Arch>| arch.unwrap_or(Arch::X86) == windows.arch;
    if !decorations
        .iter()
        .any(|decoration| of_arch(&decoration.arch))
    {
        return Ok(Err(Some(Refusal::Architecture)));
    }
    let built_for = package.driver_ver.and_then(|version| version.built_for());
    let models: Vec<_> = package
        .models(windows)
        .into_iter()
        .filter(|model| drives(&model.ids))
        .collect();
    if models.is_empty() || built_for.is_some_and(|version| version > windows.version) {
        let decorated = decorations
            .iter()
            .filter(|decoration| of_arch(&decoration.arch))
            .filter_map(|decoration| decoration.version)
            .min();
        let oldest = built_for.max(decorated).unwrap_or_default();
        return Ok(Err(Some(Refusal::Version { oldest })));
    }
    let mut ids = Vec::new();
    for id in models.into_iter().flat_map(|model| model.ids) {
        if device.is(&id) && !ids.contains(&id) {
            ids.push(id);
        }
    }
    let services = package.services(windows);
    let (present, missing): (BTreeSet<_>, BTreeSet<_>) = package
        .files(windows)
        .into_iter()
        .partition(|name| files.beside.contains_key(name));
    let programs = services
        .iter()
        .map(|service| service.binary_name().to_lowercase());
    for program in programs {
        // A service may be a file of Windows itself; what the package brings must be there.
        if missing.contains(&program) {
            let refusal = Refusal::Incomplete {
                inf: files.inf.clone(),
                file: program,
            };
            return Ok(Err(Some(refusal)));
        }
    }
    let chosen = Chosen {
        files,
        services,
        ids,
        present,
        missing,
    };
    if windows.checks_signatures() && !windows.sha2 && sha2_only(source, &chosen)? {
        let inf = files.inf.clone();
        return Ok(Err(Some(Refusal::Sha2 { inf })));
    }
    Ok(Ok(chosen))
}

/// Whether its catalog, or a driver of it, has only signatures with SHA-2. What is not signed at all is
/// not judged here.
fn sha2_only(source: &Source, chosen: &Chosen<'_>) -> anyhow::Result<bool> {
    for name in &chosen.present {
        let Some(path) = chosen.files.beside.get(name) else {
            continue;
        };
        let digests = if name.ends_with(".cat") {
            catalog_digests(&source.read(path)?)
        } else if name.ends_with(".sys") {
            image_digests(&source.read(path)?)
        } else {
            continue;
        };
        if !digests.is_empty() && digests.iter().all(|digest| *digest == Digest::Sha2) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn rank(chosen: &Chosen<'_>, windows: &Windows) -> impl Ord + use<> {
    let files = chosen.files;
    let version = files.package.driver_ver;
    let wanted = windows.folders();
    let folder = files
        .folders()
        .filter_map(|folder| wanted.iter().position(|name| *name == folder))
        .min();
    (
        !chosen.services.is_empty(),
        chosen.missing.is_empty(),
        version.and_then(|version| version.built_for()),
        version,
        folder.map(Reverse),
        files
            .package
            .decoration_for(windows)
            .map(|decoration| decoration.closeness()),
        Reverse(files.inf.clone()),
    )
}
