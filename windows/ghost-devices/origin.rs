//! Whose device something is, by its id.

use anyhow::bail;

/// A hypervisor whose devices do not exist on KVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    VmWare,
    HyperV,
    VirtualBox,
}

/// Reads the parameter `from`.
///
/// # Errors
/// If it names none of them.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Origin>> {
    let one = |word: &str| match word.trim() {
        "vmware" => Ok(Origin::VmWare),
        "hyper-v" => Ok(Origin::HyperV),
        "virtualbox" => Ok(Origin::VirtualBox),
        other => bail!(
            "windows-ghost-devices.from is {other:?} instead of \"vmware\", \"hyper-v\" or \"virtualbox\""
        ),
    };
    text.split(',').map(one).collect()
}

impl Origin {
    /// Whether this hypervisor made the device with such an id (`PCI\VEN_8086&DEV_100F&SUBSYS_075015AD&REV_01`).
    ///
    /// Cards that are modelled on real ones have the ids of those, and QEMU has some of the same models: only the vendor
    /// of the subsystem tells whose they are.
    pub(super) fn made(self, id: &str) -> bool {
        let id = id.to_ascii_uppercase();
        let begins = |starts: &[&str]| starts.iter().any(|start| id.starts_with(start));
        match self {
            Self::VmWare => {
                begins(&[
                    r"PCI\VEN_15AD&",
                    r"USB\VID_0E0F&",
                    r"HID\VID_0E0F&",
                    r"ACPI\VMW000",
                ]) || id.starts_with(r"PCI\") && subsystem_vendor(&id) == Some("15AD")
            }
            // VMBus, and the PCI devices of Microsoft: synthetic video, legacy network (DEC 21140 with their subsystem).
            Self::HyperV => {
                begins(&[r"VMBUS\{", r"PCI\VEN_1414&", r"ACPI\VMBUS"])
                    || id.starts_with(r"PCI\VEN_1011&DEV_0009&SUBSYS_21140A00")
            }
            // VirtualBox gives its Intel cards Intel's own subsystem, which QEMU's cards do not have.
            Self::VirtualBox => begins(&[
                r"PCI\VEN_80EE&",
                r"USB\VID_80EE&",
                r"HID\VID_80EE&",
                r"PCI\VEN_8086&DEV_100E&SUBSYS_001E8086",
                r"PCI\VEN_8086&DEV_1004&SUBSYS_10048086",
                r"PCI\VEN_8086&DEV_100F&SUBSYS_075015AD",
            ]),
        }
    }
}

/// The last four digits of `SUBSYS_`.
fn subsystem_vendor(id: &str) -> Option<&str> {
    let (_, rest) = id.split_once("&SUBSYS_")?;
    rest.get(4..8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_devices() {
        use Origin::{HyperV, VirtualBox, VmWare};
        let cases = [
            (
                VmWare,
                r"PCI\VEN_15AD&DEV_07B0&SUBSYS_07B015AD&REV_01",
                true,
            ),
            (
                VmWare,
                r"PCI\VEN_8086&DEV_100F&SUBSYS_075015AD&REV_01",
                true,
            ),
            (
                VmWare,
                r"pci\ven_8086&dev_10d3&subsys_07d015ad&rev_00",
                true,
            ),
            (
                VmWare,
                r"PCI\VEN_1000&DEV_0030&SUBSYS_197615AD&REV_01",
                true,
            ),
            (VmWare, r"USB\VID_0E0F&PID_0003", true),
            (VmWare, r"ACPI\VMW0003", true),
            // QEMU's, and Microsoft's.
            (
                VmWare,
                r"PCI\VEN_8086&DEV_100E&SUBSYS_11001AF4&REV_03",
                false,
            ),
            (
                VmWare,
                r"PCI\VEN_8086&DEV_10D3&SUBSYS_00008086&REV_00",
                false,
            ),
            (
                VmWare,
                r"PCI\VEN_1AF4&DEV_1000&SUBSYS_00011AF4&REV_00",
                false,
            ),
            (
                VmWare,
                r"PCI\VEN_1022&DEV_2000&SUBSYS_20001022&REV_10",
                false,
            ),
            (VmWare, r"ROOT\VMBUS", false),
            (VmWare, r"ACPI\VMBUS", false),
            (VmWare, r"USB\VID_0627&PID_0001", false),
            (
                HyperV,
                r"VMBUS\{F8615163-DF3E-46C5-913F-F2D2F965ED0E}",
                true,
            ),
            (
                HyperV,
                r"PCI\VEN_15AD&DEV_07B0&SUBSYS_07B015AD&REV_01",
                false,
            ),
            (
                VirtualBox,
                r"PCI\VEN_80EE&DEV_BEEF&SUBSYS_00000000&REV_00",
                true,
            ),
            (
                VirtualBox,
                r"PCI\VEN_8086&DEV_100E&SUBSYS_001E8086&REV_02",
                true,
            ),
            (
                VirtualBox,
                r"PCI\VEN_8086&DEV_100E&SUBSYS_11001AF4&REV_03",
                false,
            ),
        ];
        for (origin, id, expected) in cases {
            assert_eq!(origin.made(id), expected, "{origin:?} {id}");
        }
    }

    #[test]
    fn the_parameter() {
        assert_eq!(
            parse("vmware, hyper-v").unwrap(),
            [Origin::VmWare, Origin::HyperV]
        );
        for text in ["", "VMware", "vmware,"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
