//! The virtual devices that virtio-win has drivers for, by the identifiers that Plug and Play knows.

/// One kind of virtual device.
#[derive(Debug, PartialEq, Eq)]
pub struct Device {
    /// The usual name of its driver.
    pub id: &'static str,
    /// What it is to the machine.
    pub title: &'static str,
    /// Beginnings of its hardware identifiers, in upper case: the transitional and the modern form of a
    /// virtio device (Virtual I/O Device specification 1.2, 4.1.2), or that of QEMU's own devices.
    pub ids: &'static [&'static str],
    /// Whether the system may start from it.
    pub boot: bool,
}

const fn device(
    id: &'static str,
    title: &'static str,
    ids: &'static [&'static str],
    boot: bool,
) -> Device {
    Device {
        id,
        title,
        ids,
        boot,
    }
}

/// All of them; those that the system may start from come first.
pub const DEVICES: &[Device] = &[
    device(
        "viostor",
        "disks on virtio-blk",
        &[r"PCI\VEN_1AF4&DEV_1001", r"PCI\VEN_1AF4&DEV_1042"],
        true,
    ),
    device(
        "vioscsi",
        "disks on virtio-scsi",
        &[r"PCI\VEN_1AF4&DEV_1004", r"PCI\VEN_1AF4&DEV_1048"],
        true,
    ),
    device(
        "netkvm",
        "network cards",
        &[r"PCI\VEN_1AF4&DEV_1000", r"PCI\VEN_1AF4&DEV_1041"],
        false,
    ),
    device(
        "vioser",
        "serial ports, for the guest agent",
        &[r"PCI\VEN_1AF4&DEV_1003", r"PCI\VEN_1AF4&DEV_1043"],
        false,
    ),
    device(
        "balloon",
        "memory balloon",
        &[r"PCI\VEN_1AF4&DEV_1002", r"PCI\VEN_1AF4&DEV_1045"],
        false,
    ),
    device(
        "viorng",
        "random numbers",
        &[r"PCI\VEN_1AF4&DEV_1005", r"PCI\VEN_1AF4&DEV_1044"],
        false,
    ),
    device(
        "viofs",
        "shared folders",
        &[r"PCI\VEN_1AF4&DEV_105A"],
        false,
    ),
    device(
        "vioinput",
        "keyboard, mouse and tablet",
        &[r"PCI\VEN_1AF4&DEV_1052"],
        false,
    ),
    device("pvpanic", "crash signal (ISA)", &[r"ACPI\QEMU0001"], false),
    device(
        "pvpanic-pci",
        "crash signal (PCI)",
        &[r"PCI\VEN_1B36&DEV_0011"],
        false,
    ),
    device(
        "fwcfg",
        "firmware configuration",
        &[r"ACPI\QEMU0002"],
        false,
    ),
    device("qxldod", "QXL display", &[r"PCI\VEN_1B36&DEV_0100"], false),
    device(
        "viogpudo",
        "virtio display",
        &[r"PCI\VEN_1AF4&DEV_1050"],
        false,
    ),
    device(
        "viomem",
        "memory hot-plug",
        &[r"PCI\VEN_1AF4&DEV_1058"],
        false,
    ),
    device(
        "viosock",
        "sockets to the host",
        &[r"PCI\VEN_1AF4&DEV_1012", r"PCI\VEN_1AF4&DEV_1053"],
        false,
    ),
];

impl Device {
    /// Whether `id`, in upper case, is one of its identifiers: the same, or with a subsystem or revision
    /// behind.
    #[must_use]
    pub fn is(&self, id: &str) -> bool {
        self.ids.iter().any(|own| {
            id.strip_prefix(own)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('&'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_belong_to_one_device() {
        let of = |id: &str| {
            let found: Vec<_> = DEVICES.iter().filter(|device| device.is(id)).collect();
            assert!(found.len() <= 1, "{id}");
            found.first().map(|device| device.id)
        };
        assert_eq!(
            of(r"PCI\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00"),
            Some("viostor")
        );
        assert_eq!(of(r"PCI\VEN_1AF4&DEV_1048"), Some("vioscsi"));
        assert_eq!(of(r"ACPI\QEMU0002"), Some("fwcfg"));
        assert_eq!(of(r"ACPI\QEMU00021"), None);
        assert_eq!(of(r"PCI\VEN_8086&DEV_2930"), None);
        for device in DEVICES {
            for id in device.ids {
                assert_eq!(of(id), Some(device.id));
            }
        }
    }
}
