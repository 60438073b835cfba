//! [`Machine`] to domain XML for KVM.

use std::fmt::Write as _;

use quick_xml::escape::escape;

use crate::{CdromBus, Chipset, DEFAULT_MEMORY, Firmware, Machine, Nic};

/// Defines a machine for KVM, as `virsh define` takes it.
///
/// The machine is the converted one: a disk on `virtio`, `scsi` or `sata` stays there, one on a
/// bus that QEMU's machine lacks goes to SATA, and one without a bus to virtio; a network card
/// keeps a model that QEMU has and is virtio otherwise. Memory that is not known is
/// [`DEFAULT_MEMORY`]. The firmware is left to libvirt's automatic selection (libvirt 5.2; the
/// Secure Boot features 7.2). Network cards keep their address and their network or bridge, which
/// must exist when the domain starts; without one, the network is `default`. Relative paths are
/// written as they are, and libvirt refuses them: make them absolute before.
#[must_use]
pub fn write(machine: &Machine) -> String {
    write_with_cdroms(machine, &[])
}

/// The same with CD-ROM drives, an ISO image in each, after the disks, on the bus that [`Machine::cdrom`] names.
/// They are not booted from.
#[must_use]
pub fn write_with_cdroms(machine: &Machine, cdroms: &[String]) -> String {
    let mut xml = Xml::default();
    xml.open("domain type='kvm'");
    let name = domain_name(&machine.name);
    xml.text("name", &name);
    if let Some(uuid) = &machine.uuid {
        xml.text("uuid", uuid);
    }
    if name != machine.name && !machine.name.trim().is_empty() {
        xml.text("title", &machine.name.replace(['\n', '\r'], " "));
    }
    if let Some(id) = &machine.os_id {
        xml.open("metadata");
        xml.open(
            "libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'",
        );
        xml.empty("libosinfo:os", &[("id", id)]);
        xml.close("libosinfo:libosinfo");
        xml.close("metadata");
    }
    processor_and_memory(&mut xml, machine);
    firmware(&mut xml, machine);
    if let Some(serial) = &machine.serial {
        xml.open("sysinfo type='smbios'");
        xml.open("system");
        xml.text("entry name='serial'", serial);
        xml.close("system");
        xml.close("sysinfo");
    }
    clock(&mut xml, machine);
    xml.open("devices");
    disks(&mut xml, machine, cdroms);
    for nic in &machine.nics {
        interface(&mut xml, nic);
    }
    other_devices(&mut xml, machine);
    xml.close("devices");
    xml.close("domain");
    xml.text
}

/// libvirt refuses an empty name, and one with a slash or a line break.
fn domain_name(name: &str) -> String {
    let name: String = name
        .trim()
        .chars()
        .map(|character| match character {
            '/' => '_',
            character if character.is_control() => '_',
            character => character,
        })
        .collect();
    match name.as_str() {
        "" => "guest".to_owned(),
        "." | ".." => name.replace('.', "_"),
        _ => name,
    }
}

fn processor_and_memory(xml: &mut Xml, machine: &Machine) {
    let memory = match machine.memory {
        0 => DEFAULT_MEMORY,
        bytes => bytes,
    };
    xml.text("memory unit='KiB'", &memory.div_ceil(1024).to_string());
    let vcpus = machine.vcpus.max(1);
    xml.text("vcpu", &vcpus.to_string());
    match machine.cores_per_socket {
        cores if cores > 0 && vcpus.is_multiple_of(cores) => {
            xml.open("cpu mode='host-model'");
            let (sockets, cores) = ((vcpus / cores).to_string(), cores.to_string());
            xml.empty(
                "topology",
                &[("sockets", &sockets), ("cores", &cores), ("threads", "1")],
            );
            xml.close("cpu");
        }
        _ => xml.empty("cpu", &[("mode", "host-model")]),
    }
}

fn firmware(xml: &mut Xml, machine: &Machine) {
    let secure = machine.firmware == Firmware::UefiSecure;
    xml.open(match machine.firmware {
        Firmware::Bios => "os",
        Firmware::Uefi | Firmware::UefiSecure => "os firmware='efi'",
    });
    // Secure Boot needs System Management Mode, which only q35 has.
    xml.text(
        match machine.chipset {
            Chipset::I440fx if !secure => "type arch='x86_64' machine='pc'",
            _ => "type arch='x86_64' machine='q35'",
        },
        "hvm",
    );
    if machine.firmware != Firmware::Bios {
        // libvirt would otherwise choose, by the order of the host's firmware descriptions.
        let enabled = if secure { "yes" } else { "no" };
        xml.open("firmware");
        xml.empty(
            "feature",
            &[("enabled", enabled), ("name", "enrolled-keys")],
        );
        xml.empty("feature", &[("enabled", enabled), ("name", "secure-boot")]);
        xml.close("firmware");
    }
    if machine.serial.is_some() {
        xml.empty("smbios", &[("mode", "sysinfo")]);
    }
    xml.close("os");
    xml.open("features");
    xml.empty("acpi", &[]);
    xml.empty("apic", &[]);
    if secure {
        xml.empty("smm", &[("state", "on")]);
    }
    if machine.is_windows() {
        xml.open("hyperv");
        xml.empty("relaxed", &[("state", "on")]);
        xml.empty("vapic", &[("state", "on")]);
        xml.empty("spinlocks", &[("state", "on"), ("retries", "8191")]);
        xml.close("hyperv");
    }
    xml.close("features");
}

fn clock(xml: &mut Xml, machine: &Machine) {
    let offset = if machine.clock_localtime {
        "localtime"
    } else {
        "utc"
    };
    if machine.is_windows() {
        // Windows loses time with the default tick policies and is slow on the HPET.
        xml.open(&format!("clock offset='{offset}'"));
        xml.empty("timer", &[("name", "rtc"), ("tickpolicy", "catchup")]);
        xml.empty("timer", &[("name", "pit"), ("tickpolicy", "delay")]);
        xml.empty("timer", &[("name", "hpet"), ("present", "no")]);
        xml.empty("timer", &[("name", "hypervclock"), ("present", "yes")]);
        xml.close("clock");
    } else {
        xml.empty("clock", &[("offset", offset)]);
    }
    xml.text("on_poweroff", "destroy");
    xml.text("on_reboot", "restart");
    xml.text("on_crash", "destroy");
}

fn disks(xml: &mut Xml, machine: &Machine, cdroms: &[String]) {
    let mut virtio = 0;
    let mut other = 0;
    for (index, disk) in machine.disks.iter().enumerate() {
        let bus = match (disk.bus.as_deref(), machine.chipset) {
            (None | Some("virtio"), _) => "virtio",
            (Some("scsi"), _) => "scsi",
            (Some("ide"), Chipset::I440fx) => "ide",
            _ => "sata",
        };
        let (prefix, number) = match bus {
            "virtio" => ("vd", &mut virtio),
            "ide" => ("hd", &mut other),
            _ => ("sd", &mut other),
        };
        let target = format!("{prefix}{}", letters(*number));
        *number += 1;
        let (kind, attribute) = if disk.path.starts_with("/dev/") {
            ("block", "dev")
        } else {
            ("file", "file")
        };
        xml.open(&format!("disk type='{kind}' device='disk'"));
        // Never let QEMU guess: a guest could write another format's header to a raw disk.
        let format = disk.format.as_deref().unwrap_or("raw");
        xml.empty(
            "driver",
            &[("name", "qemu"), ("type", format), ("discard", "unmap")],
        );
        xml.empty("source", &[(attribute, &disk.path)]);
        xml.empty("target", &[("dev", &target), ("bus", bus)]);
        if let Some(serial) = &disk.serial {
            xml.text("serial", serial);
        }
        xml.empty("boot", &[("order", &(index + 1).to_string())]);
        xml.close("disk");
    }
    for path in cdroms {
        xml.open("disk type='file' device='cdrom'");
        xml.empty("driver", &[("name", "qemu"), ("type", "raw")]);
        xml.empty("source", &[("file", path)]);
        let target = format!("sd{}", letters(other));
        other += 1;
        xml.empty(
            "target",
            &[("dev", &target), ("bus", machine.cdrom.as_str())],
        );
        xml.empty("readonly", &[]);
        xml.close("disk");
    }
    let has_scsi = machine
        .disks
        .iter()
        .any(|disk| disk.bus.as_deref() == Some("scsi"));
    if has_scsi || (machine.cdrom == CdromBus::Scsi && !cdroms.is_empty()) {
        // libvirt's default controller is an LSI that no current guest has a driver for.
        xml.empty(
            "controller",
            &[("type", "scsi"), ("index", "0"), ("model", "virtio-scsi")],
        );
    }
}

/// `a` to `z`, `aa` and so on, as Linux names disks.
fn letters(index: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = index + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b"abcdefghijklmnopqrstuvwxyz"[rest % 26]));
        rest /= 26;
    }
    letters.iter().rev().collect()
}

/// Network cards besides plain virtio that virt-v2v gives to guests without its drivers.
const QEMU_MODELS: [&str; 4] = ["e1000", "e1000e", "rtl8139", "virtio-transitional"];

fn interface(xml: &mut Xml, nic: &Nic) {
    let network = nic.network.as_deref().unwrap_or("default");
    let kind = if nic.bridge && nic.network.is_some() {
        "bridge"
    } else {
        "network"
    };
    xml.open(&format!("interface type='{kind}'"));
    if let Some(mac) = nic.mac {
        xml.empty("mac", &[("address", &mac.to_string())]);
    }
    xml.empty("source", &[(kind, network)]);
    let model = nic
        .model
        .as_deref()
        .filter(|model| QEMU_MODELS.contains(model))
        .unwrap_or("virtio");
    xml.empty("model", &[("type", model)]);
    xml.close("interface");
}

fn other_devices(xml: &mut Xml, machine: &Machine) {
    xml.open("serial type='pty'");
    xml.empty("target", &[("port", "0")]);
    xml.close("serial");
    xml.open("console type='pty'");
    xml.empty("target", &[("type", "serial"), ("port", "0")]);
    xml.close("console");
    xml.open("channel type='unix'");
    xml.empty(
        "target",
        &[("type", "virtio"), ("name", "org.qemu.guest_agent.0")],
    );
    xml.close("channel");
    // An absolute pointer, so that the console's mouse is where the user's is.
    xml.empty("input", &[("type", "tablet"), ("bus", "usb")]);
    xml.empty("graphics", &[("type", "vnc"), ("autoport", "yes")]);
    xml.open("video");
    xml.empty(
        "model",
        &[("type", "vga"), ("vram", "16384"), ("heads", "1")],
    );
    xml.close("video");
    if machine.tpm {
        xml.open("tpm model='tpm-crb'");
        xml.empty("backend", &[("type", "emulator"), ("version", "2.0")]);
        xml.close("tpm");
    }
    xml.empty("memballoon", &[("model", "virtio")]);
    xml.open("rng model='virtio'");
    xml.text("backend model='random'", "/dev/urandom");
    xml.close("rng");
}

/// Indented XML. Tags are ours; texts and attribute values are escaped.
#[derive(Default)]
struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{:1$}{line}", "", 2 * self.depth);
    }

    fn open(&mut self, tag: &str) {
        self.line(&format!("<{tag}>"));
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.line(&format!("</{name}>"));
    }

    /// `tag` may carry attributes; the end tag has its name only.
    fn text(&mut self, tag: &str, text: &str) {
        let name = tag.split(' ').next().unwrap_or(tag);
        self.line(&format!("<{tag}>{}</{name}>", escape(allowed(text))));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let attributes: String = attributes
            .iter()
            .map(|(key, value)| format!(" {key}='{}'", escape(allowed(value))))
            .collect();
        self.line(&format!("<{name}{attributes}/>"));
    }
}

/// XML 1.0 has no way to write control characters, so they become a replacement character.
fn allowed(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            '\t' | '\n' | '\r' => character,
            character if character < ' ' => '\u{fffd}',
            character => character,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cdrom_comes_after_the_disks() {
        let machine = Machine {
            disks: vec![crate::Disk {
                path: "/d".to_owned(),
                bus: Some("sata".to_owned()),
                ..crate::Disk::default()
            }],
            ..Machine::default()
        };
        let xml = write_with_cdroms(&machine, &["/out/ovf-env.iso".to_owned()]).replace('\'', "\"");
        let cdrom = xml.split("device=\"cdrom\"").nth(1).unwrap();
        let cdrom = cdrom.split("</disk>").next().unwrap();
        for line in [
            r#"<driver name="qemu" type="raw"/>"#,
            r#"<source file="/out/ovf-env.iso"/>"#,
            r#"<target dev="sdb" bus="sata"/>"#,
            "<readonly/>",
        ] {
            assert!(cdrom.contains(line), "{line} in {xml}");
        }
        assert!(!cdrom.contains("boot order"));
        assert!(!write(&machine).contains("cdrom"));
        assert!(!xml.contains("virtio-scsi"), "{xml}");
        let machine = Machine {
            cdrom: CdromBus::Scsi,
            ..machine
        };
        let xml = write_with_cdroms(&machine, &["/e.iso".to_owned()]).replace('\'', "\"");
        for line in [
            r#"<target dev="sdb" bus="scsi"/>"#,
            r#"<controller type="scsi" index="0" model="virtio-scsi"/>"#,
        ] {
            assert!(xml.contains(line), "{line} in {xml}");
        }
        assert!(!write(&machine).contains("virtio-scsi"));
    }
    use crate::Disk;
    use crate::libvirt::parse;

    fn machine() -> Machine {
        Machine {
            name: "web <1> & \"2\"".to_owned(),
            uuid: Some("421a257b-7a5f-17da-f93d-09015561ac2a".to_owned()),
            serial: Some("VMware-42 1a".to_owned()),
            memory: 3 << 30,
            vcpus: 4,
            cores_per_socket: 2,
            firmware: Firmware::UefiSecure,
            os_id: Some("http://microsoft.com/win/2k22".to_owned()),
            clock_localtime: true,
            tpm: true,
            disks: vec![
                Disk {
                    path: "/out/it's-sda".to_owned(),
                    format: Some("qcow2".to_owned()),
                    bus: Some("virtio".to_owned()),
                    ..Disk::default()
                },
                Disk {
                    path: "/dev/vg/x".to_owned(),
                    format: Some("raw".to_owned()),
                    bus: Some("scsi".to_owned()),
                    serial: Some("s1".to_owned()),
                    ..Disk::default()
                },
            ],
            nics: vec![
                Nic {
                    mac: "00:50:56:aa:bb:01".parse().ok(),
                    model: Some("virtio".to_owned()),
                    network: Some("lan".to_owned()),
                    ..Nic::default()
                },
                Nic {
                    mac: "00:50:56:aa:bb:02".parse().ok(),
                    model: Some("e1000e".to_owned()),
                    network: Some("br0".to_owned()),
                    bridge: true,
                    ..Nic::default()
                },
            ],
            ..Machine::default()
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for firmware in [Firmware::Bios, Firmware::Uefi, Firmware::UefiSecure] {
            for chipset in [Chipset::Q35, Chipset::I440fx] {
                let machine = Machine {
                    firmware,
                    // i440fx has no Secure Boot.
                    chipset: if firmware == Firmware::UefiSecure {
                        Chipset::Q35
                    } else {
                        chipset
                    },
                    ..machine()
                };
                assert_eq!(parse(&write(&machine)).unwrap(), machine);
            }
        }
    }

    #[test]
    fn a_source_goes_to_hardware_that_qemu_has() {
        let mut source = Machine {
            name: "a/b\u{1}".to_owned(),
            disks: ["nvme", "ide", "usb"]
                .map(|bus| Disk {
                    path: "/x".to_owned(),
                    bus: Some(bus.to_owned()),
                    ..Disk::default()
                })
                .to_vec(),
            nics: vec![Nic {
                model: Some("vmxnet3".to_owned()),
                bridge: true,
                ..Nic::default()
            }],
            ..Machine::default()
        };
        source.disks.push(Disk::default());
        let written = write(&source);
        let machine = parse(&written).unwrap();
        assert_eq!(machine.name, "a_b_");
        assert_eq!(machine.memory, DEFAULT_MEMORY);
        assert_eq!(machine.vcpus, 1);
        let buses: Vec<_> = machine
            .disks
            .iter()
            .map(|disk| disk.bus.as_deref().unwrap())
            .collect();
        assert_eq!(buses, ["sata", "sata", "sata", "virtio"]);
        assert_eq!(machine.disks[0].format.as_deref(), Some("raw"));
        assert_eq!(machine.nics[0].model.as_deref(), Some("virtio"));
        assert_eq!(machine.nics[0].network.as_deref(), Some("default"));
        assert!(written.contains("<title>a/b\u{fffd}</title>"), "{written}");
        assert!(written.contains("<target dev='sdc' bus='sata'/>"));
    }

    #[test]
    fn disks_are_lettered_as_linux_does() {
        for (index, name) in [(0, "a"), (25, "z"), (26, "aa"), (701, "zz"), (702, "aaa")] {
            assert_eq!(letters(index), name);
        }
    }
}
