//! The virtual devices that a converted machine is given.

use serde::Serialize;

use crate::Machine;

/// Which devices a guest is known to have drivers for. Everything that defines a machine goes by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Devices {
    /// Where its disks are.
    pub disk: DiskBus,
    /// What its network cards are.
    pub nic: NicModel,
    /// Where a CD-ROM drive may be; none if the guest has a driver for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cdrom: Option<CdromBus>,
}

/// The bus of a machine's CD-ROM drives, by libvirt's and KubeVirt's name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CdromBus {
    /// AHCI.
    #[default]
    Sata,
    /// virtio-scsi, for kernels that are made for clouds alone and have no other.
    Scsi,
}

/// The bus of a machine's disks, by libvirt's and KubeVirt's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskBus {
    /// virtio-blk.
    Virtio,
    /// AHCI, for which every system since 2007 has a driver.
    Sata,
}

/// The model of a machine's network cards, by libvirt's and KubeVirt's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NicModel {
    /// virtio-net.
    Virtio,
    /// Intel 82574L, for which Linux since 2.6.27, the BSDs and Windows since 8 have a driver.
    E1000e,
}

impl Devices {
    /// For a guest with virtio drivers.
    pub const VIRTIO: Self = Self {
        disk: DiskBus::Virtio,
        nic: NicModel::Virtio,
        cdrom: Some(CdromBus::Sata),
    };
    /// For a guest of which nothing is known: emulated hardware that once was real.
    pub const COMPATIBLE: Self = Self {
        disk: DiskBus::Sata,
        nic: NicModel::E1000e,
        cdrom: Some(CdromBus::Sata),
    };
}

impl DiskBus {
    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::Sata => "sata",
        }
    }
}

impl CdromBus {
    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sata => "sata",
            Self::Scsi => "scsi",
        }
    }

    /// Whether it is the bus that machines have if nothing else is said.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl NicModel {
    /// The name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::E1000e => "e1000e",
        }
    }
}

impl Machine {
    /// The same machine with every disk and every network card on these devices: what a source becomes
    /// once it is known what its guest can drive.
    #[must_use]
    pub fn with_devices(mut self, devices: Devices) -> Self {
        for disk in &mut self.disks {
            disk.bus = Some(devices.disk.as_str().to_owned());
        }
        for nic in &mut self.nics {
            nic.model = Some(devices.nic.as_str().to_owned());
        }
        self.cdrom = devices.cdrom.unwrap_or_default();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Disk, Nic, libvirt};

    #[test]
    fn the_domain_has_the_devices() {
        let machine = Machine {
            disks: vec![Disk {
                path: "/d.qcow2".to_owned(),
                bus: Some("scsi".to_owned()),
                ..Disk::default()
            }],
            nics: vec![Nic {
                model: Some("vmxnet3".to_owned()),
                ..Nic::default()
            }],
            ..Machine::default()
        };
        for (devices, disk, nic) in [
            (
                Devices::VIRTIO,
                r#"<target dev="vda" bus="virtio"/>"#,
                r#"<model type="virtio"/>"#,
            ),
            (
                Devices::COMPATIBLE,
                r#"<target dev="sda" bus="sata"/>"#,
                r#"<model type="e1000e"/>"#,
            ),
        ] {
            let domain = libvirt::write(&machine.clone().with_devices(devices)).replace('\'', "\"");
            assert!(domain.contains(disk) && domain.contains(nic), "{domain}");
        }
    }
}
