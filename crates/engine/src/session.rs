//! Opening a guest's disks in the appliance: launch, decrypt, find the operating system, mount.

mod certain;
mod clevis;
mod esp;
mod ntfs;
mod search;
mod volumes;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use refit_guestfs::{AddDrive, CacheMode, CancelHandle, CryptsetupOpen, Handle};
use refit_machine::Firmware;

use crate::backend::GuestfsBackend;
use crate::facts::{Hints, Mount, Os};
use crate::keys::{Key, Source};
use volumes::{Volume, Volumes};

/// Emulation does not hang as KVM does, but it is slow: beside many other machines an appliance takes
/// minutes to start.
const EMULATED: u32 = 6;

/// One disk image to be opened.
#[derive(Debug, Clone)]
pub struct Drive {
    /// The image, or an overlay of it.
    pub path: PathBuf,
    /// qemu's name of its format. Always known: a raw image that looks like another format must
    /// not be taken for one, because its guest wrote it.
    pub format: String,
    /// How it may be written to.
    pub access: DriveAccess,
}

/// How a drive may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriveAccess {
    /// It is an overlay that is thrown away: file systems are mounted read-only, and what the
    /// appliance writes all the same (journal replay) goes there. libguestfs's own read-only
    /// drives do that, too, but in 1.48 qemu guesses the format of what the disk holds, so that
    /// a guest could write a header that names a file of this host.
    ThrowAway,
    /// It is an overlay that counts only once it is committed, so nothing need reach the disk
    /// before that.
    Overlay,
    /// Directly.
    InPlace,
}

/// How to open a guest.
pub struct OpenOptions<'o> {
    /// Which operating system, if there are several: its root device (`/dev/sda2`).
    pub os_device: Option<String>,
    /// Keys of encrypted volumes.
    pub keys: Vec<Key>,
    /// Emulate the appliance instead of using KVM.
    pub force_tcg: bool,
    /// How long the appliance may take to start before it is stopped and, if it used KVM, started
    /// again without; six times as long when it is emulated.
    pub launch_limit: Duration,
    /// Is handed what stops the appliance from another thread.
    pub on_handle: &'o mut dyn FnMut(CancelHandle),
}

impl fmt::Debug for OpenOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("os_device", &self.os_device)
            .field("keys", &self.keys.len())
            .field("force_tcg", &self.force_tcg)
            .finish_non_exhaustive()
    }
}

/// An operating system that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The device that `--os-device` names.
    pub device: String,
    /// What it is.
    pub product: String,
}

/// Why a guest cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is none.
    #[error(
        "{name} holds no operating system that could be found: {seen}. \
         If the guest has several disks, give all of them; if it is encrypted, give --key"
    )]
    NoOperatingSystem {
        /// The disks.
        name: String,
        /// The file systems that are there.
        seen: String,
        /// The firmware that the disks are made for.
        firmware: Firmware,
    },
    /// There are several.
    #[error("{name} holds several operating systems: {}. Choose one with --os-device", list(.roots))]
    SeveralOperatingSystems {
        /// The disks.
        name: String,
        /// Which.
        roots: Vec<Root>,
    },
    /// `--os-device` names something else.
    #[error("--os-device {device}: no operating system is there; {name} holds {}", list(.roots))]
    NoSuchRoot {
        /// The disks.
        name: String,
        /// What was asked for.
        device: String,
        /// What there is.
        roots: Vec<Root>,
    },
    /// Encrypted, and no key fits.
    #[error(
        "{name} is encrypted and cannot be opened: {}. \
         Give the key with --key ID:file:FILE, where ID is the device, its UUID, or `all`",
        devices.join(", ")
    )]
    Encrypted {
        /// The disks.
        name: String,
        /// The volumes that stayed closed, each with the reason.
        devices: Vec<String>,
        /// The firmware that the disks are made for.
        firmware: Firmware,
    },
    /// It is neither Linux nor Windows, and cannot even be looked at.
    #[error("{name} holds {product}, whose root file system cannot be mounted here: {reason}")]
    Foreign {
        /// The disks.
        name: String,
        /// What it is.
        product: String,
        /// Why it cannot be mounted.
        reason: String,
        /// The firmware that the disks are made for.
        firmware: Firmware,
    },
    /// Its root file system must not be written to.
    #[error("{name} cannot be changed: {reason}")]
    Unwritable {
        /// The disks.
        name: String,
        /// Why, and what the user can do.
        reason: String,
    },
    /// The appliance did not start.
    #[error(
        "the libguestfs appliance did not start: {reason}. `refit doctor` tells what is missing"
    )]
    Launch {
        /// libguestfs's words.
        reason: String,
    },
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

fn list(roots: &[Root]) -> String {
    let roots: Vec<String> = roots
        .iter()
        .map(|root| format!("{} ({})", root.device, root.product))
        .collect();
    roots.join(", ")
}

/// Starts the appliance with these drives and mounts the guest. `name` is for messages.
///
/// # Errors
/// See [`OpenError`]. The drives are unchanged.
pub fn open(
    drives: &[Drive],
    name: &str,
    options: &mut OpenOptions<'_>,
) -> Result<(GuestfsBackend, Hints), OpenError> {
    let handle = launch(drives, options)?;
    let (locked, volumes) = decrypt(&handle, &options.keys)?;
    let wanted = options.os_device.as_deref();
    let certain = certain::system(&handle, &volumes)?
        .filter(|found| wanted.is_none_or(|wanted| found.root == wanted.as_bytes()));
    let is_inspected = certain.is_none();
    let mut found: Vec<search::Found> = certain.into_iter().collect();
    let roots = if is_inspected {
        let mut roots = handle
            .inspect_os()
            .context("looking for operating systems")?;
        if roots.is_empty() {
            found = search::systems(&handle)?;
            roots = found.iter().map(|found| found.root.clone()).collect();
        }
        roots
    } else {
        found.iter().map(|found| found.root.clone()).collect()
    };
    let root = choose(&handle, name, &volumes, &roots, wanted, locked)?;
    let mountpoints = match found.into_iter().find(|found| found.root == root) {
        Some(found) => found.mounts,
        None => handle
            .inspect_get_mountpoints(root)
            .context("reading the guest's mount points")?,
    };
    let read_only = drives
        .iter()
        .all(|drive| drive.access == DriveAccess::ThrowAway);
    let unwritable = match volumes.kind(root) {
        "ntfs" => ntfs::unwritable(&handle, root),
        _ => None,
    };
    if let Some(reason) = unwritable.as_ref().filter(|_| !read_only) {
        return Err(OpenError::Unwritable {
            name: name.to_owned(),
            reason: reason.clone(),
        });
    }
    let system = match is_inspected {
        true => kind(&handle, root),
        false => "linux".to_owned(),
    };
    let windows_esp = match system.as_str() {
        "windows" => esp::look(&handle, volumes.efi()),
        _ => None,
    };
    let mounts = match mount(&handle, root, mountpoints, &volumes, read_only) {
        Ok(mounts) => mounts,
        // UFS needs options that only inspection knows, and is never written to.
        Err(error) if !matches!(system.as_str(), "linux" | "windows" | "") => {
            return Err(OpenError::Foreign {
                name: name.to_owned(),
                product: describe(&handle, root),
                reason: format!("{error:#}"),
                firmware: volumes.firmware(),
            });
        }
        Err(error) => return Err(error.into()),
    };
    let hints = Hints {
        firmware: Some(volumes.firmware()),
        mounts,
        unwritable,
        windows_esp,
        devices: volumes.facts(&handle),
        ..if is_inspected {
            inspected(&handle, root)
        } else {
            Hints::default()
        }
    };
    Ok((GuestfsBackend::new(handle, name.to_owned()), hints))
}

fn launch(drives: &[Drive], options: &mut OpenOptions<'_>) -> Result<Handle, OpenError> {
    let mut force_tcg = options.force_tcg;
    let mut has_failed = false;
    loop {
        let handle = configure(drives, options, force_tcg).context("preparing the appliance")?;
        (options.on_handle)(handle.cancel_handle());
        let limit = options.launch_limit * if force_tcg { EMULATED } else { 1 };
        match handle.launch_within(limit) {
            Ok(()) => return Ok(handle),
            Err(refit_guestfs::Error::LaunchTimeout { limit, .. }) if !force_tcg => {
                tracing::warn!(
                    "the appliance did not start within {} s and was stopped; starting it again without KVM",
                    limit.as_secs()
                );
                force_tcg = true;
            }
            // qemu ends with an assertion where KVM is there but not whole, and now and then without KVM.
            Err(error @ refit_guestfs::Error::Call { .. }) if !has_failed => {
                tracing::warn!("{error}; starting the appliance once more, without KVM");
                (has_failed, force_tcg) = (true, true);
            }
            Err(error) => {
                return Err(OpenError::Launch {
                    reason: error.to_string(),
                });
            }
        }
    }
}

fn configure(
    drives: &[Drive],
    options: &OpenOptions<'_>,
    force_tcg: bool,
) -> refit_guestfs::Result<Handle> {
    let handle = Handle::new()?;
    // Ctrl-C on the terminal must reach us alone, or it would kill the appliance in mid-write.
    handle.set_pgroup(true)?;
    handle.set_identifier("refit")?;
    if force_tcg {
        handle.emulate()?;
    }
    if options.keys.iter().any(Key::is_clevis) {
        handle.set_network(true)?;
    }
    for drive in drives {
        let add = AddDrive::new().format(&drive.format);
        let add = match drive.access {
            DriveAccess::ThrowAway | DriveAccess::Overlay => add.cachemode(CacheMode::Unsafe),
            DriveAccess::InPlace => add,
        };
        handle.add_drive(&drive.path, &add)?;
    }
    Ok(handle)
}

/// Opens encrypted volumes with the keys that fit. Returns the ones that stay closed, with reasons, and
/// everything that is there then.
fn decrypt(handle: &Handle, keys: &[Key]) -> anyhow::Result<(Vec<String>, Volumes)> {
    let mut locked = Vec::new();
    let mut opened = false;
    let found = Volumes::look(handle)?;
    for Volume {
        device, kind, uuid, ..
    } in found.iter()
    {
        let kind = match kind.as_str() {
            "crypto_LUKS" => "luks",
            "BitLocker" => "bitlk",
            _ => continue,
        };
        let fitting: Vec<&Key> = keys.iter().filter(|key| key.is_for(device, uuid)).collect();
        let map_name = format!("crypt{}", device.rsplit('/').next().unwrap_or_default());
        let crypt = CryptsetupOpen::new().crypttype(kind);
        let mut reason = match fitting.as_slice() {
            [] => "no key was given".to_owned(),
            _ => "no key fits".to_owned(),
        };
        let unlocked = fitting.iter().any(|key| match key.source() {
            Source::Secret(secret) => handle
                .cryptsetup_open(device, secret, &map_name, &crypt)
                .is_ok(),
            Source::Clevis => match clevis::unlock(handle, uuid, &map_name) {
                Ok(()) => true,
                Err(error) => {
                    reason = format!("Clevis cannot open it: {error:#}");
                    false
                }
            },
        });
        if unlocked {
            opened = true;
        } else {
            locked.push(format!("{device} (UUID {uuid}): {reason}"));
        }
    }
    if opened {
        handle
            .lvm_scan(true)
            .context("looking for logical volumes in decrypted ones")?;
        return Ok((locked, Volumes::look(handle)?));
    }
    Ok((locked, found))
}

fn choose<'r>(
    handle: &Handle,
    name: &str,
    volumes: &Volumes,
    roots: &'r [Vec<u8>],
    wanted: Option<&str>,
    locked: Vec<String>,
) -> Result<&'r [u8], OpenError> {
    let described = || -> Vec<Root> {
        roots
            .iter()
            .map(|root| Root {
                device: String::from_utf8_lossy(root).into_owned(),
                product: describe(handle, root),
            })
            .collect()
    };
    match (roots, wanted) {
        ([], _) if !locked.is_empty() => Err(OpenError::Encrypted {
            name: name.to_owned(),
            devices: locked,
            firmware: volumes.firmware(),
        }),
        ([], _) => Err(OpenError::NoOperatingSystem {
            name: name.to_owned(),
            seen: seen(handle),
            firmware: volumes.firmware(),
        }),
        (_, Some(device)) => roots
            .iter()
            .find(|root| root.as_slice() == device.as_bytes())
            .map(Vec::as_slice)
            .ok_or_else(|| OpenError::NoSuchRoot {
                name: name.to_owned(),
                device: device.to_owned(),
                roots: described(),
            }),
        ([root], None) => Ok(root),
        (_, None) => Err(OpenError::SeveralOperatingSystems {
            name: name.to_owned(),
            roots: described(),
        }),
    }
}

/// What tells one operating system from another: its name, and its host's. libguestfs's product
/// name is a mere number for Debian.
fn describe(handle: &Handle, root: &[u8]) -> String {
    let known = |text: refit_guestfs::Result<String>| text.ok().filter(|text| text != "unknown");
    let product = known(handle.inspect_get_product_name(root));
    let distro = known(handle.inspect_get_distro(root)).filter(|distro| {
        let product = product.as_deref().unwrap_or_default();
        !product.to_lowercase().contains(distro.as_str())
    });
    let name: Vec<String> = distro.into_iter().chain(product).collect();
    let name = match name.join(" ") {
        name if name.is_empty() => "unknown system".to_owned(),
        name => name,
    };
    match known(handle.inspect_get_hostname(root)) {
        Some(host) => format!("{name}, host name {host}"),
        None => name,
    }
}

/// libguestfs's word for the kind of system (`linux`, `freebsd`); empty for one that it did not find itself.
fn kind(handle: &Handle, root: &[u8]) -> String {
    handle.inspect_get_type(root).unwrap_or_default()
}

/// The file systems that are there, for the message that there is no operating system.
fn seen(handle: &Handle) -> String {
    let found = handle.list_filesystems().unwrap_or_default();
    let found: Vec<String> = found
        .into_iter()
        .filter(|(_, kind)| kind != "unknown")
        .map(|(device, kind)| format!("{} is {kind}", String::from_utf8_lossy(&device)))
        .collect();
    if found.is_empty() {
        "no file systems are there".to_owned()
    } else {
        found.join(", ")
    }
}

fn mount(
    handle: &Handle,
    root: &[u8],
    mountpoints: Vec<(Vec<u8>, Vec<u8>)>,
    volumes: &Volumes,
    read_only: bool,
) -> anyhow::Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    for (path, device) in mountpoints {
        // Its fstab may name the disk by a number that it has in the guest and not here.
        let device = if path == b"/" { root.to_vec() } else { device };
        let mounted = if read_only || volumes.is_sealed(&device) {
            handle.mount_ro(&device, &path)
        } else {
            handle.mount(&device, &path)
        };
        let (device, shown) = (
            String::from_utf8_lossy(&device),
            String::from_utf8_lossy(&path),
        );
        match mounted {
            Ok(()) => mounts.push(Mount {
                device: device.into_owned(),
                path: shown.into_owned(),
            }),
            Err(error) if path == b"/" => {
                return Err(anyhow::Error::from(error)
                    .context(format!("mounting {device}, the guest's root")));
            }
            // A stale line in fstab: the guest does without, too.
            Err(error) => {
                tracing::warn!("the guest's {shown} ({device}) cannot be mounted: {error}")
            }
        }
    }
    Ok(mounts)
}

/// What libguestfs's inspection says of `root`.
fn inspected(handle: &Handle, root: &[u8]) -> Hints {
    let known = |text: refit_guestfs::Result<String>| text.ok().filter(|text| text != "unknown");
    let os = match kind(handle, root).as_str() {
        "linux" => Some(Os::Linux),
        "windows" => Some(Os::Windows),
        _ => None,
    };
    let major = handle.inspect_get_major_version(root).unwrap_or(0);
    let minor = handle.inspect_get_minor_version(root).unwrap_or(0);
    Hints {
        os,
        distro: known(handle.inspect_get_distro(root)),
        version: (major > 0).then(|| format!("{major}.{minor}")),
        product: known(handle.inspect_get_product_name(root)),
        arch: known(handle.inspect_get_arch(root)),
        hostname: known(handle.inspect_get_hostname(root)),
        ..Hints::default()
    }
}
