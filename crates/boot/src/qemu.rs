//! qemu's command line. Pure: what was decided in, arguments out.

use std::path::Path;

use refit_image::{Format, Image};
use refit_machine::{CdromBus, Mac};
use serde_json::json;

use crate::firmware::Build;
use crate::options::SATA_PORTS;
use crate::{Accel, DiskBus, Hardware};

/// Sockets and files in qemu's working directory, so that no path needs quoting and none is too long
/// for a socket address.
pub(crate) const QMP_SOCKET: &str = "qmp.sock";
/// The serial console.
pub(crate) const SERIAL_SOCKET: &str = "serial.sock";
/// What the firmware says of itself.
pub(crate) const FIRMWARE_SOCKET: &str = "firmware.sock";

/// The overlay of disk `index`.
pub(crate) fn overlay_name(index: usize) -> String {
    format!("disk{index}.qcow2")
}

/// A disk under its overlay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk<'a> {
    /// Absolute, so that qemu takes it for no protocol, and UTF-8.
    pub path: &'a Path,
    pub format: Format,
    pub is_device: bool,
}

impl<'a> From<&'a Image> for Disk<'a> {
    fn from(image: &'a Image) -> Self {
        Self {
            path: image.path(),
            format: image.format(),
            is_device: image.is_block_device(),
        }
    }
}

/// A machine, all questions answered.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub accel: Accel,
    pub memory: u64,
    pub vcpus: u32,
    pub hardware: Hardware,
    pub disk_bus: DiskBus,
    pub firmware: Option<Build>,
    pub secure: bool,
    pub disks: &'a [Disk<'a>],
    /// An ISO image; absolute and UTF-8.
    pub cdrom: Option<&'a Path>,
    pub cdrom_bus: CdromBus,
    pub nics: &'a [Option<Mac>],
}

/// The arguments. The machine is created stopped, so that nothing it says is lost before we listen.
pub(crate) fn arguments(plan: &Plan) -> Vec<String> {
    let mut args = Args::default();
    args.machine(plan);
    args.consoles();
    args.firmware(plan);
    for (index, disk) in plan.disks.iter().enumerate() {
        args.push("-blockdev", blockdev(index, disk));
    }
    match plan.hardware {
        Hardware::Virtio => args.modern(plan, "virtio-net-pci", plan.disk_bus),
        Hardware::Compatible => args.modern(plan, "e1000e", DiskBus::Sata),
        Hardware::Vmware => args.vmware(plan),
    }
    if let Some(cdrom) = plan.cdrom {
        args.push("-blockdev", medium(cdrom));
        match plan.cdrom_bus {
            CdromBus::Sata => {
                let port = SATA_PORTS - 1;
                args.device(format!("ide-cd,bus=ide.{port},drive=cdrom"));
            }
            CdromBus::Scsi => {
                args.root_port("cdport", 200, 200);
                args.device("virtio-scsi-pci,id=cdscsi,bus=cdport".into());
                args.device("scsi-cd,bus=cdscsi.0,drive=cdrom".into());
            }
        }
    }
    args.0
}

/// The overlay and, read-only below it, the disk. As JSON no file name needs escaping.
fn blockdev(index: usize, disk: &Disk) -> String {
    let protocol = if disk.is_device {
        "host_device"
    } else {
        "file"
    };
    json!({
        "driver": "qcow2",
        "node-name": format!("disk{index}"),
        "discard": "unmap",
        "cache": {"no-flush": true}, // nobody needs the overlay after a crash
        "file": {"driver": "file", "filename": overlay_name(index)},
        "backing": {
            "driver": disk.format,
            "read-only": true,
            "file": {"driver": protocol, "filename": disk.path.to_string_lossy(), "read-only": true},
        },
    })
    .to_string()
}

/// An ISO image, read-only and raw whatever it holds.
fn medium(path: &Path) -> String {
    json!({
        "driver": "raw",
        "node-name": "cdrom",
        "read-only": true,
        "file": {"driver": "file", "filename": path.to_string_lossy(), "read-only": true},
    })
    .to_string()
}

#[derive(Default)]
struct Args(Vec<String>);

impl Args {
    fn push(&mut self, option: &str, value: impl Into<String>) {
        self.0.push(option.into());
        self.0.push(value.into());
    }

    fn device(&mut self, value: String) {
        self.push("-device", value);
    }

    fn machine(&mut self, plan: &Plan) {
        for flag in ["-S", "-nodefaults", "-no-user-config"] {
            self.0.push(flag.into());
        }
        self.push("-name", "refit-boot");
        // Secure Boot's variables are protected by system management mode.
        self.push("-machine", if plan.secure { "q35,smm=on" } else { "q35" });
        match plan.accel {
            Accel::Kvm => (self.push("-accel", "kvm"), self.push("-cpu", "host")),
            Accel::Tcg => (
                self.push("-accel", "tcg,thread=multi"),
                self.push("-cpu", "max"),
            ),
        };
        self.push("-smp", plan.vcpus.to_string());
        self.push("-m", format!("{}M", plan.memory >> 20));
        self.push("-display", "none");
        self.push("-vga", "std");
        // Only the disks: trying every network card first takes minutes.
        self.push("-boot", "strict=on");
    }

    fn consoles(&mut self) {
        for (id, socket) in [
            ("qmp", QMP_SOCKET),
            ("serial", SERIAL_SOCKET),
            ("firmware", FIRMWARE_SOCKET),
        ] {
            self.push(
                "-chardev",
                format!("socket,id={id},path={socket},server=on,wait=off"),
            );
        }
        self.push("-mon", "chardev=qmp,mode=control");
        self.push("-serial", "chardev:serial");
        // SeaBIOS writes "No bootable device" only to the screen and to this port.
        self.device("isa-debugcon,iobase=0x402,chardev=firmware".into());
    }

    fn firmware(&mut self, plan: &Plan) {
        let Some(build) = plan.firmware else { return };
        if plan.secure {
            self.push("-global", "driver=cfi.pflash01,property=secure,value=on");
        }
        self.push(
            "-drive",
            format!(
                "if=pflash,unit=0,format=raw,readonly=on,file={}",
                build.code
            ),
        );
        self.push("-drive", "if=pflash,unit=1,format=raw,file=vars.fd");
    }

    /// A PCIe root port. Chassis and slot together must be unique, so each gets its own chassis.
    fn root_port(&mut self, id: &str, chassis: usize, slot: usize) {
        self.device(format!(
            "pcie-root-port,id={id},chassis={chassis},slot={slot}"
        ));
    }

    /// One card on a user-mode network of its own, which ends there: the guest may be a copy of a
    /// running server, and must not meet the machines that it knows. No boot ROM: nothing is booted
    /// from the network.
    fn nic(&mut self, index: usize, model: &str, mac: Option<Mac>) {
        self.push(
            "-netdev",
            format!("user,id=net{index},restrict=on,net=10.0.{}.0/24", 2 + index),
        );
        let mac = mac.map(|mac| format!(",mac={mac}")).unwrap_or_default();
        self.device(format!(
            "{model},netdev=net{index},bus=nicport{index},romfile={mac}"
        ));
    }

    /// Cards first, so that they get the lowest bus numbers: `enp1s0`, as under libvirt.
    fn modern(&mut self, plan: &Plan, card: &str, bus: DiskBus) {
        for (index, mac) in plan.nics.iter().enumerate() {
            self.root_port(&format!("nicport{index}"), 1 + index, 1 + index);
            self.nic(index, card, *mac);
        }
        if bus == DiskBus::VirtioScsi {
            self.root_port("diskport", 100, 100);
            self.device("virtio-scsi-pci,id=scsi,bus=diskport".into());
        }
        for index in 0..plan.disks.len() {
            let disk = format!("drive=disk{index},bootindex={index}");
            match bus {
                DiskBus::Virtio => {
                    self.root_port(&format!("diskport{index}"), 100 + index, 100 + index);
                    self.device(format!("virtio-blk-pci,bus=diskport{index},{disk}"));
                }
                DiskBus::VirtioScsi => self.device(format!("scsi-hd,bus=scsi.0,{disk}")),
                DiskBus::Sata => self.device(format!("ide-hd,bus=ide.{index},{disk}")),
            }
        }
    }

    /// As on ESXi: the slot number of each card's port is what udev makes `ens192` of, and only the
    /// port itself says it when ACPI does not manage hot-plug.
    fn vmware(&mut self, plan: &Plan) {
        self.push(
            "-global",
            "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
        );
        self.push(
            "-smbios",
            "type=1,manufacturer=VMware,, Inc.,product=VMware Virtual Platform",
        );
        for (index, mac) in plan.nics.iter().enumerate() {
            self.root_port(&format!("nicport{index}"), 1 + index, 192 + 32 * index);
            self.nic(index, "vmxnet3", *mac);
        }
        // Debian's UEFI firmware has no driver for pvscsi; ESXi offers NVMe, too.
        if plan.firmware.is_none() {
            self.device("pvscsi,id=scsi".into());
        }
        for index in 0..plan.disks.len() {
            let disk = format!("drive=disk{index},bootindex={index}");
            self.device(match plan.firmware {
                None => format!("scsi-hd,bus=scsi.0,{disk}"),
                Some(_) => format!("nvme,serial=VMWARE{index},{disk}"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(path: &str) -> Disk<'_> {
        Disk {
            path: Path::new(path),
            format: Format::Raw,
            is_device: false,
        }
    }

    fn devices(hardware: Hardware, disk_bus: DiskBus) -> Vec<String> {
        devices_and_cdrom(hardware, disk_bus, CdromBus::Sata)
    }

    fn devices_and_cdrom(
        hardware: Hardware,
        disk_bus: DiskBus,
        cdrom_bus: CdromBus,
    ) -> Vec<String> {
        let disks = [disk("/a"), disk("/b")];
        let nics = ["00:50:56:aa:bb:01".parse().ok(), None];
        let plan = Plan {
            accel: Accel::Tcg,
            memory: 1 << 30,
            vcpus: 2,
            hardware,
            disk_bus,
            firmware: None,
            secure: false,
            disks: &disks,
            cdrom: Some(Path::new("/a,b.iso")),
            cdrom_bus,
            nics: &nics,
        };
        let args = arguments(&plan);
        args.windows(2)
            .filter(|pair| pair[0] == "-device")
            .map(|pair| pair[1].clone())
            .collect()
    }

    #[test]
    fn virtio_devices_sit_behind_root_ports() {
        assert_eq!(
            devices(Hardware::Virtio, DiskBus::Virtio)[1..],
            [
                "pcie-root-port,id=nicport0,chassis=1,slot=1",
                "virtio-net-pci,netdev=net0,bus=nicport0,romfile=,mac=00:50:56:aa:bb:01",
                "pcie-root-port,id=nicport1,chassis=2,slot=2",
                "virtio-net-pci,netdev=net1,bus=nicport1,romfile=",
                "pcie-root-port,id=diskport0,chassis=100,slot=100",
                "virtio-blk-pci,bus=diskport0,drive=disk0,bootindex=0",
                "pcie-root-port,id=diskport1,chassis=101,slot=101",
                "virtio-blk-pci,bus=diskport1,drive=disk1,bootindex=1",
                "ide-cd,bus=ide.5,drive=cdrom",
            ]
        );
        let scsi = devices(Hardware::Virtio, DiskBus::VirtioScsi);
        assert!(
            scsi.contains(&"scsi-hd,bus=scsi.0,drive=disk1,bootindex=1".into()),
            "{scsi:?}"
        );
        // The drive has a controller of its own beside that of the disks.
        let cdrom = devices_and_cdrom(Hardware::Virtio, DiskBus::VirtioScsi, CdromBus::Scsi);
        assert_eq!(
            cdrom[cdrom.len() - 3..],
            [
                "pcie-root-port,id=cdport,chassis=200,slot=200",
                "virtio-scsi-pci,id=cdscsi,bus=cdport",
                "scsi-cd,bus=cdscsi.0,drive=cdrom",
            ]
        );
        let sata = devices(Hardware::Virtio, DiskBus::Sata);
        assert!(
            sata.contains(&"ide-hd,bus=ide.1,drive=disk1,bootindex=1".into()),
            "{sata:?}"
        );
    }

    #[test]
    fn compatible_hardware_needs_no_virtio_driver() {
        let devices = devices(Hardware::Compatible, DiskBus::Virtio);
        for expected in ["ide-hd,bus=ide.1,", "e1000e,netdev=net0,bus=nicport0,"] {
            assert!(
                devices.iter().any(|device| device.starts_with(expected)),
                "{expected} in {devices:?}"
            );
        }
        assert!(
            !devices.iter().any(|device| device.contains("virtio")),
            "{devices:?}"
        );
    }

    #[test]
    fn vmware_cards_have_vmware_slots() {
        let devices = devices(Hardware::Vmware, DiskBus::Virtio);
        for expected in [
            "pcie-root-port,id=nicport0,chassis=1,slot=192",
            "pcie-root-port,id=nicport1,chassis=2,slot=224",
            "vmxnet3,netdev=net0,bus=nicport0,romfile=,mac=00:50:56:aa:bb:01",
            "scsi-hd,bus=scsi.0,drive=disk0,bootindex=0",
        ] {
            assert!(
                devices.iter().any(|device| device == expected),
                "{expected} in {devices:?}"
            );
        }
    }

    #[test]
    fn hostile_file_names_stay_file_names() {
        let hostile = "/tmp/a,b=c\",\"driver\":\"nbd";
        let value: serde_json::Value = serde_json::from_str(&blockdev(0, &disk(hostile))).unwrap();
        assert_eq!(value["backing"]["file"]["filename"], hostile);
        assert_eq!(value["backing"]["file"]["driver"], "file");
        assert_eq!(value["backing"]["read-only"], true);
        assert_eq!(value["file"]["filename"], "disk0.qcow2");
        let value: serde_json::Value = serde_json::from_str(&medium(Path::new(hostile))).unwrap();
        assert_eq!(value["file"]["filename"], hostile);
        assert_eq!(value["driver"], "raw");
    }
}
