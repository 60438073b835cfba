//! What inspection finds out about a guest.

mod kernels;
mod linux;
mod windows;

use serde::Serialize;

use crate::guest::Guest;

pub use kernels::Kernel;
pub use windows::{WindowsEsp, WindowsFacts};

/// The facts of one guest. What is not known is empty or `None`, never guessed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// `linux` or `windows`; `None` if it is neither.
    pub os: Option<Os>,
    /// Distribution: `ID` of os-release(5) (`debian`, `rhel`, `sles`, ...), or libguestfs's word.
    pub distro: Option<String>,
    /// `ID_LIKE` of os-release(5): what the distribution is derived from, closest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub distro_like: Vec<String>,
    /// Version as the distribution counts it (`12.5`, `9.4`, `6.3.9600`).
    pub version: Option<String>,
    /// The full name for people.
    pub product: Option<String>,
    /// Processor architecture (`x86_64`, `i386`, `aarch64`, ...).
    pub arch: Option<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// Firmware that it boots with, if the disks tell.
    pub firmware: Option<refit_machine::Firmware>,
    /// `dpkg`, `rpm`, `apk` or `pacman`.
    pub package_format: Option<String>,
    /// First program in user space: `systemd`, `sysvinit`, `upstart`, `openrc`.
    pub init: Option<String>,
    /// systemd's version number.
    pub systemd: Option<u32>,
    /// `grub2`, `grub1`, `systemd-boot`, `extlinux`, `bootmgr`, `ntldr`.
    pub boot_loader: Option<String>,
    /// SELinux policy type, if SELinux is not disabled (`targeted`).
    pub selinux: Option<String>,
    /// Where file systems are mounted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Installed kernels, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<Kernel>,
    /// What is on the disks; empty where only files are seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<BlockDevice>,
    /// What only a Windows guest has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<WindowsFacts>,
}

/// Family of operating systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Os {
    /// A Linux distribution.
    Linux,
    /// Microsoft Windows.
    Windows,
}

/// One mounted file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Device, or another name that libguestfs mounts by.
    pub device: String,
    /// Where.
    pub path: String,
}

/// A disk, a partition or a volume that holds something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BlockDevice {
    /// The appliance's name for it, as in [`Mount::device`].
    pub device: String,
    /// Which disk, from 0 in the order in which they were given; `None` if it is on no single one
    /// (LVM, RAID).
    pub disk: Option<usize>,
    /// The partition's number; `None` if it is not one.
    pub partition: Option<u32>,
    /// What it holds, by blkid's name (`ext4`, `swap`, `crypto_LUKS`, `LVM2_member`).
    pub kind: String,
    /// UUID of that.
    pub uuid: Option<String>,
    /// Its name; read of NTFS alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether it is an NTFS that Windows will check (`chkdsk`) before it uses it again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dirty: bool,
}

/// What is known of a guest without reading its files: from its partition tables and, for a
/// guest that is no Linux, from libguestfs's own inspection.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    /// From the partition tables.
    pub firmware: Option<refit_machine::Firmware>,
    /// What is mounted where.
    pub mounts: Vec<Mount>,
    /// What is on the disks.
    pub devices: Vec<BlockDevice>,
    /// libguestfs's word for the kind of system.
    pub os: Option<Os>,
    /// libguestfs's word for the distribution.
    pub distro: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Full name.
    pub product: Option<String>,
    /// Architecture.
    pub arch: Option<String>,
    /// Host name.
    pub hostname: Option<String>,
    /// Why the root file system cannot be written to.
    pub unwritable: Option<String>,
    /// The partition that a Windows with UEFI boots from.
    pub windows_esp: Option<WindowsEsp>,
}

/// Collects the facts of `guest`. The guest's own files win over `hints`, because libguestfs knows
/// fewer distributions and takes new ones for old ones.
pub(crate) fn collect(guest: &mut Guest<'_>, hints: &Hints) -> anyhow::Result<Facts> {
    let mut facts = linux::collect(guest)?;
    if facts.os.is_none() {
        guest.fold_case(true);
        match windows::find_system_root(guest)? {
            Some(root) => {
                facts.os = Some(Os::Windows);
                windows::collect(guest, &mut facts, root, hints)?;
            }
            None => guest.fold_case(false),
        }
    }
    facts.os = facts.os.or(hints.os);
    facts.distro = facts.distro.or_else(|| hints.distro.clone());
    facts.version = facts.version.or_else(|| hints.version.clone());
    facts.product = facts.product.or_else(|| hints.product.clone());
    facts.arch = facts.arch.or_else(|| hints.arch.clone());
    facts.hostname = facts.hostname.or_else(|| hints.hostname.clone());
    facts.firmware = hints.firmware.or(facts.firmware);
    facts.mounts.clone_from(&hints.mounts);
    facts.devices.clone_from(&hints.devices);
    Ok(facts)
}
