//! Virtual hardware: what a VMX file or a libvirt domain XML says of a machine.
//!
//! Pure: text in, [`Machine`] out. The conversion reads it from the source and from virt-v2v's
//! output, the fixups use it as evidence, the boot proof and the packaging write it down again.

mod mac;

pub use mac::{Mac, ParseMacError};

use serde::Serialize;

/// One virtual machine's hardware.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The machine's name, as its source wrote it (any characters).
    pub name: String,
    /// SMBIOS UUID, if the source has one.
    pub uuid: Option<String>,
    /// Memory in bytes; zero if the source does not say.
    pub memory: u64,
    /// Number of virtual CPUs; zero if the source does not say.
    pub vcpus: u32,
    /// Firmware the guest boots with.
    pub firmware: Firmware,
    /// libosinfo's identifier of the operating system (a URI), if known.
    pub os_id: Option<String>,
    /// Whether the real-time clock runs in local time (Windows) instead of UTC.
    pub clock_localtime: bool,
    /// Disks in boot order.
    pub disks: Vec<Disk>,
    /// Network cards in the source's order.
    pub nics: Vec<Nic>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// File or block device, as the source wrote it (may be relative to the source's own file).
    pub path: String,
    /// Image format (`raw`, `qcow2`, `vmdk`, ...) if the source says.
    pub format: Option<String>,
    /// The bus that the disk is attached to (`virtio`, `scsi`, `sata`, `ide`, ...).
    pub bus: Option<String>,
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
    /// VMware's virtual slot number (`ethernetN.pciSlotNumber`): 192 makes udev say `ens192`.
    pub pci_slot: Option<u32>,
}
