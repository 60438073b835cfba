//! A boot loader where UEFI firmware looks for one without being told.
//!
//! A boot entry with the loader's path is kept in the machine's NVRAM, which does not move with
//! the disks. Without one, firmware starts `\EFI\BOOT\BOOTX64.EFI` (UEFI specification, "Boot
//! Manager", 3.5.1.1 "Removable Media Boot Behavior"). Debian and Ubuntu do not install it.

use refit_engine::backend::FileKind;
use refit_engine::{Change, Evidence, Guest, GuestPath};
use refit_machine::Firmware;

use super::part::Part;

/// Where distributions mount the EFI system partition.
const MOUNT_POINTS: [&str; 3] = ["/boot/efi", "/efi", "/boot"];
/// Directories below `EFI` that belong to no installed Linux.
const NOT_VENDORS: [&str; 3] = ["BOOT", "Microsoft", "tools"];
/// FAT has no permission bits: Linux shows these and refuses others (mount(8), "Mount options for
/// fat").
const FAT_MODE: u32 = 0o755;

/// Copies the loader that the guest has, with what it starts next, to the place of the fallback.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn plan(guest: &Guest<'_>) -> anyhow::Result<Part> {
    let mut part = Part::default();
    let facts = guest.facts();
    let Some(arch) = suffix(facts.arch.as_deref()) else {
        return Ok(part);
    };
    if facts.firmware == Some(Firmware::Bios) {
        return Ok(part);
    }
    let Some(efi) = efi_directory(guest)? else {
        return Ok(part);
    };
    let boot = match entry(guest, &efi, "BOOT")? {
        Some(boot) => boot,
        None => efi.join("BOOT"),
    };
    let fallback = format!("BOOT{}.EFI", arch.to_uppercase());
    if let Some(present) = entry(guest, &boot, &fallback)? {
        part.fine
            .push(format!("{present} starts without a boot entry"));
        return Ok(part);
    }
    let mut loaders = loaders(guest, &efi, arch)?;
    if loaders.is_empty() && facts.firmware.is_none() {
        return Ok(part);
    }
    if loaders.len() > 1 {
        loaders.retain(|loader| loader.is_of(guest));
    }
    let [loader] = loaders.as_slice() else {
        part.warnings.push(format!(
            "{} is missing, and which boot loader below {efi} should start is not clear; \
             without the old machine's boot entries the firmware finds none",
            boot.join(&fallback)
        ));
        return Ok(part);
    };
    part.reasons.push(format!(
        "{} is missing, which the firmware starts when the old machine's boot entries are lost",
        boot.join(&fallback)
    ));
    part.evidence
        .push(Evidence::from([("boot_loader", loader.first.to_string())]));
    let mut copy = |from: &GuestPath, name: &str| -> anyhow::Result<()> {
        let Some(content) = guest.read(from)? else {
            anyhow::bail!("{from} vanished");
        };
        part.changes.push(Change::Write {
            path: boot.join(name),
            content,
            mode: Some(FAT_MODE),
        });
        Ok(())
    };
    copy(&loader.first, &fallback)?;
    // shim looks for these in the directory that it was started from.
    for (path, name) in &loader.next {
        if entry(guest, &boot, name)?.is_none() {
            copy(path, name)?;
        }
    }
    Ok(part)
}

/// What firmware of this architecture has at the end of names (UEFI specification, table "UEFI
/// Image Types"); `None` if it is none with UEFI.
fn suffix(arch: Option<&str>) -> Option<&'static str> {
    match arch? {
        "x86_64" => Some("x64"),
        "aarch64" => Some("aa64"),
        _ => None,
    }
}

/// The directory `EFI` of the EFI system partition.
fn efi_directory(guest: &Guest<'_>) -> anyhow::Result<Option<GuestPath>> {
    for mount_point in MOUNT_POINTS {
        match entry(guest, &mount_point.into(), "EFI")? {
            // A mount point of its own, with nothing mounted there.
            Some(efi) if MOUNT_POINTS.iter().any(|other| efi == (*other).into()) => {}
            Some(efi) => return Ok(Some(efi)),
            None => {}
        }
    }
    Ok(None)
}

/// What has this name in `dir` in upper or lower case, as FAT compares.
fn entry(guest: &Guest<'_>, dir: &GuestPath, name: &str) -> anyhow::Result<Option<GuestPath>> {
    let entries = guest.list(dir)?;
    Ok(entries
        .iter()
        .find(|entry| entry.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|entry| dir.join(&entry.name)))
}

/// A boot loader below `EFI`.
struct Loader {
    /// The directory's name in lower case.
    vendor: String,
    /// What firmware starts.
    first: GuestPath,
    /// What that starts in turn, and the name by which it looks for it.
    next: Vec<(GuestPath, String)>,
}

impl Loader {
    /// Whether it belongs to the guest's distribution rather than to one that was there before.
    fn is_of(&self, guest: &Guest<'_>) -> bool {
        let facts = guest.facts();
        let own = facts.distro.iter().chain(&facts.distro_like);
        own.map(String::as_str).any(|distro| {
            let vendor = match distro {
                "rhel" => "redhat",
                "sles" => "suse",
                same => same,
            };
            self.vendor == vendor
        })
    }
}

fn loaders(guest: &Guest<'_>, efi: &GuestPath, arch: &str) -> anyhow::Result<Vec<Loader>> {
    let mut loaders = Vec::new();
    for vendor in guest.list(efi)? {
        let dir = efi.join(&vendor.name);
        let vendor_name = String::from_utf8_lossy(&vendor.name);
        let known = |name: &&str| name.eq_ignore_ascii_case(&vendor_name);
        if vendor.kind != FileKind::Dir || NOT_VENDORS.iter().any(known) {
            continue;
        }
        let found = |name: String| entry(guest, &dir, &name);
        let grub = found(format!("grub{arch}.efi"))?;
        let systemd = found(format!("systemd-boot{arch}.efi"))?;
        let mut next = Vec::new();
        let first = match (found(format!("shim{arch}.efi"))?, grub, systemd) {
            (Some(shim), Some(grub), _) => {
                next.push((grub, format!("grub{arch}.efi")));
                if let Some(keys) = found(format!("mm{arch}.efi"))? {
                    next.push((keys, format!("mm{arch}.efi")));
                }
                shim
            }
            (None, Some(loader), _) | (None, None, Some(loader)) => loader,
            _ => continue,
        };
        loaders.push(Loader {
            vendor: vendor_name.to_lowercase(),
            first,
            next,
        });
    }
    Ok(loaders)
}
