//! Virtual hardware: what a VMX file or a libvirt domain XML says of a machine.
//!
//! Pure: text in, [`Machine`] out. The conversion reads it from the source and from virt-v2v's
//! output, the fixups use it as evidence, the boot proof and the packaging write it down again.
//! OVF descriptors are read by the crate `ovf`.

mod devices;
pub mod libvirt;
mod mac;
mod uuid;
pub mod vmx;
pub mod xml;

pub use devices::{CdromBus, Devices, DiskBus, NicModel};
pub use mac::{Mac, ParseMacError};
pub use uuid::normalize as normalize_uuid;
pub use xml::XmlError;

use serde::Serialize;

/// Memory, in bytes, that the writers of machine definitions use for a [`Machine`] whose source
/// does not say: 2 GiB, as virt-v2v assumes for a bare disk image.
pub const DEFAULT_MEMORY: u64 = 2 << 30;

/// One virtual machine's hardware.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The machine's name, as its source wrote it (any characters).
    pub name: String,
    /// SMBIOS UUID in the usual form of 36 characters, if the source has one. For VMware it is
    /// the UUID that vSphere shows (the bytes of `uuid.bios` in order); a guest whose virtual
    /// hardware has SMBIOS 2.6 or later prints its first three groups with swapped bytes.
    pub uuid: Option<String>,
    /// SMBIOS serial number of the system, to which some software binds its licence.
    pub serial: Option<String>,
    /// Memory in bytes; zero if the source does not say.
    pub memory: u64,
    /// Number of virtual CPUs; zero if the source does not say.
    pub vcpus: u32,
    /// Cores that share one socket; zero if the source does not say.
    pub cores_per_socket: u32,
    /// The PC chipset that the guest expects.
    pub chipset: Chipset,
    /// Firmware the guest boots with.
    pub firmware: Firmware,
    /// libosinfo's identifier of the operating system (a URI), if known.
    pub os_id: Option<String>,
    /// The operating system in the source's own words (VMware's `guestOS` or OVF's `osType`,
    /// such as `rhel9-64` or `windows2019srv_64Guest`). It is what somebody chose from a list
    /// when the machine was made, so inspection of the guest knows better.
    pub guest_os: Option<String>,
    /// Whether the real-time clock runs in local time (Windows) instead of UTC.
    pub clock_localtime: bool,
    /// Whether the machine has a TPM. Its contents never leave the source.
    pub tpm: bool,
    /// Disks in boot order.
    pub disks: Vec<Disk>,
    /// Network cards in the source's order.
    pub nics: Vec<Nic>,
    /// Where CD-ROM drives are, if the machine gets any.
    #[serde(skip_serializing_if = "CdromBus::is_default")]
    pub cdrom: CdromBus,
}

impl Machine {
    /// Whether the guest is Windows, by libosinfo's identifier or else by the source's word.
    #[must_use]
    pub fn is_windows(&self) -> bool {
        match &self.os_id {
            Some(id) => id.contains("microsoft.com/"),
            None => self.guest_os.as_deref().is_some_and(names_windows),
        }
    }
}

/// Whether VMware's `guestOS` or OVF's `osType` names a Windows: `windows9-64`, `winNetStandard`,
/// `windows2019srv_64Guest`, or VirtualBox's `Windows10_64`.
fn names_windows(guest_os: &str) -> bool {
    guest_os
        .get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case("win"))
}

/// PC chipset of a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Chipset {
    /// Q35: PCI Express and AHCI.
    #[default]
    Q35,
    /// i440FX: PCI and IDE, for guests before Windows Vista.
    I440fx,
}

/// Firmware of a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// Legacy BIOS.
    #[default]
    Bios,
    /// UEFI without Secure Boot.
    Uefi,
    /// UEFI with Secure Boot enforced.
    #[serde(rename = "uefi-secure")]
    UefiSecure,
}

/// One disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// File or block device, as the source wrote it (may be relative to the source's own file).
    /// Empty for a blank disk, of which an OVF gives the capacity only.
    pub path: String,
    /// Image format (`raw`, `qcow2`, `vmdk`, ...) if the source says.
    pub format: Option<String>,
    /// The bus that the disk is attached to (`virtio`, `scsi`, `sata`, `ide`, `nvme`, ...).
    pub bus: Option<String>,
    /// Virtual size in bytes, if the source says.
    pub capacity: Option<u64>,
    /// The disk's serial number, by which `/dev/disk/by-id` names it.
    pub serial: Option<String>,
}

/// One network card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Nic {
    /// Hardware address, if fixed.
    pub mac: Option<Mac>,
    /// Device model in the source's words (`vmxnet3`, `virtio`, `e1000`, ...).
    pub model: Option<String>,
    /// Name of the network or bridge that it is connected to.
    pub network: Option<String>,
    /// Whether `network` names a bridge of the host rather than a virtual network.
    pub bridge: bool,
    /// VMware's virtual slot number (`ethernetN.pciSlotNumber`): 192 makes udev say `ens192`.
    pub pci_slot: Option<u32>,
}
