//! Domain XML to [`Machine`].

use crate::xml::{self, Element};
use crate::{CdromBus, Chipset, Disk, Firmware, Machine, Nic, XmlError, uuid};

/// Largest document that is read, in bytes.
pub const MAX_SIZE: u64 = 16 << 20;

/// Why a document cannot be used as a libvirt domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// Not acceptable as XML.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// XML of something else.
    #[error(
        "this is no libvirt domain: its root element is <{0}> instead of <domain>; \
         `virsh dumpxml NAME` prints one"
    )]
    NotDomain(String),
    /// A number that cannot be.
    #[error("the domain's <{element}> is {value:?}, which is no {expected}")]
    Value {
        /// Name of the element.
        element: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
}

/// Reads a domain's definition.
///
/// Disks come in boot order where the domain gives one (`<boot order=...>`), those without after
/// them in the document's order. CD-ROM and floppy drives are left out.
///
/// # Errors
///
/// If the text is no XML of a domain, or memory or CPUs are no numbers.
pub fn parse(xml: &str) -> Result<Machine, DomainError> {
    let domain = xml::parse(xml, MAX_SIZE)?;
    if domain.name != "domain" {
        return Err(DomainError::NotDomain(domain.name));
    }
    let text = |path: &[&str]| domain.at(path).and_then(Element::text).map(str::to_owned);
    let attribute = |path: &[&str], name: &str| domain.at(path)?.attribute(name);
    let machine_type = attribute(&["os", "type"], "machine").unwrap_or_default();
    Ok(Machine {
        name: text(&["name"]).unwrap_or_default(),
        uuid: domain
            .child("uuid")
            .and_then(|uuid| uuid::normalize(uuid.text()?)),
        serial: serial(&domain),
        memory: memory(&domain)?,
        vcpus: vcpus(&domain)?,
        cores_per_socket: attribute(&["cpu", "topology"], "cores")
            .and_then(|cores| cores.parse().ok())
            .unwrap_or(0),
        chipset: chipset(machine_type),
        firmware: firmware(&domain),
        os_id: attribute(&["metadata", "libosinfo", "os"], "id").map(str::to_owned),
        guest_os: None,
        clock_localtime: attribute(&["clock"], "offset") == Some("localtime"),
        tpm: domain.at(&["devices", "tpm"]).is_some(),
        disks: disks(&domain),
        nics: nics(&domain),
        // What is in the source's drives is not carried over.
        cdrom: CdromBus::default(),
    })
}

/// `pc`, `pc-i440fx-*`, and virt-v2v's `i440fx`; an absent type means `pc` to libvirt on x86, but
/// users' files without it are rare and the hardware in them is not old for that reason.
fn chipset(machine_type: &str) -> Chipset {
    if machine_type == "pc" || machine_type.contains("i440fx") {
        Chipset::I440fx
    } else {
        Chipset::Q35
    }
}

fn serial(domain: &Element) -> Option<String> {
    domain
        .at(&["sysinfo", "system"])?
        .all("entry")
        .find(|entry| entry.attribute("name") == Some("serial"))?
        .text()
        .map(str::to_owned)
}

/// `<memory>` in bytes. Without a unit it is in KiB.
fn memory(domain: &Element) -> Result<u64, DomainError> {
    let Some(element) = domain.child("memory") else {
        return Ok(0);
    };
    let error = |value: &str, expected| DomainError::Value {
        element: "memory",
        value: value.to_owned(),
        expected,
    };
    let unit = element.attribute("unit").unwrap_or("KiB");
    let factor = unit_bytes(unit).ok_or_else(|| error(unit, "unit of memory"))?;
    let value = element.text().unwrap_or_default();
    value
        .parse::<u64>()
        .ok()
        .and_then(|value| value.checked_mul(factor))
        .ok_or_else(|| error(value, "size of memory"))
}

/// libvirt's scaled integers: `k` to `E` and `KiB` to `EiB` count in 1024, `KB` to `EB` in 1000.
fn unit_bytes(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    if matches!(unit.as_str(), "b" | "byte" | "bytes") {
        return Some(1);
    }
    let prefix = unit.chars().next()?;
    let exponent = 1 + u32::try_from("kmgtpe".find(prefix)?).ok()?;
    match unit.get(1..)? {
        "" | "ib" => Some(1024_u64.pow(exponent)),
        "b" => Some(1000_u64.pow(exponent)),
        _ => None,
    }
}

fn vcpus(domain: &Element) -> Result<u32, DomainError> {
    let Some(element) = domain.child("vcpu") else {
        return Ok(0);
    };
    // Of a machine that can grow, `current` is what it has.
    let value = element
        .attribute("current")
        .or_else(|| element.text())
        .unwrap_or_default();
    value.parse().map_err(|_| DomainError::Value {
        element: "vcpu",
        value: value.to_owned(),
        expected: "number of CPUs",
    })
}

/// The firmware, in the three ways that libvirt and virt-v2v have had to say it: automatic
/// selection with features, a loader with `secure='yes'`, or nothing but the loader's file name.
fn firmware(domain: &Element) -> Firmware {
    let Some(os) = domain.child("os") else {
        return Firmware::Bios;
    };
    let loader = os.child("loader");
    let file = loader.and_then(Element::text).unwrap_or_default();
    let efi = match os.attribute("firmware") {
        Some(firmware) => firmware == "efi",
        None => {
            loader.is_some_and(|loader| loader.attribute("type") == Some("pflash"))
                || ["OVMF", "AAVMF", "edk2"]
                    .iter()
                    .any(|name| file.contains(name))
        }
    };
    let secure = loader.is_some_and(|loader| loader.attribute("secure") == Some("yes"))
        || file.contains(".secboot.")
        || os.child("firmware").is_some_and(|firmware| {
            firmware.all("feature").any(|feature| {
                feature.attribute("name") == Some("secure-boot")
                    && feature.attribute("enabled") == Some("yes")
            })
        });
    match (efi, secure) {
        (true, true) => Firmware::UefiSecure,
        (true, false) => Firmware::Uefi,
        (false, _) => Firmware::Bios,
    }
}

fn disks(domain: &Element) -> Vec<Disk> {
    let Some(devices) = domain.child("devices") else {
        return Vec::new();
    };
    let mut disks: Vec<(u32, Disk)> = devices
        .all("disk")
        .filter(|disk| matches!(disk.attribute("device"), None | Some("disk" | "lun")))
        .filter_map(|disk| {
            let source = disk.child("source")?;
            // A file, a block device, a network disk's name, or a volume of a storage pool.
            let path = ["file", "dev", "name", "volume"]
                .iter()
                .find_map(|name| source.attribute(name))?;
            let order = disk
                .child("boot")
                .and_then(|boot| boot.attribute("order")?.parse().ok());
            let attribute =
                |child: &str, name: &str| Some(disk.child(child)?.attribute(name)?.to_owned());
            Some((
                order.unwrap_or(u32::MAX),
                Disk {
                    path: path.to_owned(),
                    format: attribute("driver", "type"),
                    bus: attribute("target", "bus"),
                    capacity: None,
                    serial: disk
                        .child("serial")
                        .and_then(Element::text)
                        .map(str::to_owned),
                },
            ))
        })
        .collect();
    disks.sort_by_key(|(order, _)| *order);
    disks.into_iter().map(|(_, disk)| disk).collect()
}

fn nics(domain: &Element) -> Vec<Nic> {
    let Some(devices) = domain.child("devices") else {
        return Vec::new();
    };
    devices
        .all("interface")
        .filter(|nic| nic.attribute("type") != Some("hostdev"))
        .map(|nic| {
            let attribute =
                |child: &str, name: &str| Some(nic.child(child)?.attribute(name)?.to_owned());
            let network = attribute("source", "network");
            let bridge = attribute("source", "bridge");
            // A running domain's network interface shows the bridge of its network too.
            let is_bridge = network.is_none() && bridge.is_some();
            Nic {
                mac: attribute("mac", "address").and_then(|mac| mac.parse().ok()),
                model: attribute("model", "type"),
                network: network.or(bridge),
                bridge: is_bridge,
                pci_slot: None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(inside: &str) -> Machine {
        parse(&format!("<domain type='kvm'>{inside}</domain>")).unwrap()
    }

    #[test]
    fn firmware_in_all_ways_of_saying_it() {
        for (os, firmware) in [
            ("<os><type machine='q35'>hvm</type></os>", Firmware::Bios),
            ("<os firmware='bios'/>", Firmware::Bios),
            ("<os firmware='efi'/>", Firmware::Uefi),
            // virt-v2v 2.2.
            (
                "<os><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>\
                 <nvram template='/usr/share/OVMF/OVMF_VARS.fd'/></os>",
                Firmware::Uefi,
            ),
            (
                "<os><loader>/usr/share/OVMF/OVMF_CODE.fd</loader></os>",
                Firmware::Uefi,
            ),
            (
                "<os><loader>/usr/lib/xen/boot/hvmloader</loader></os>",
                Firmware::Bios,
            ),
            (
                "<os><loader secure='yes' type='pflash'>/x.fd</loader></os>",
                Firmware::UefiSecure,
            ),
            (
                "<os><loader type='pflash'>/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd</loader></os>",
                Firmware::UefiSecure,
            ),
            // virt-v2v 2.8 and later.
            (
                "<os firmware='efi'><firmware><feature enabled='yes' name='enrolled-keys'/>\
                 <feature enabled='yes' name='secure-boot'/></firmware></os>",
                Firmware::UefiSecure,
            ),
            (
                "<os firmware='efi'><firmware><feature enabled='no' name='secure-boot'/>\
                 </firmware></os>",
                Firmware::Uefi,
            ),
        ] {
            assert_eq!(domain(os).firmware, firmware, "{os}");
        }
    }

    #[test]
    fn memory_in_all_units() {
        for (element, bytes) in [
            ("<memory>1048576</memory>", 1 << 30),
            ("<memory unit='KiB'> 1048576 </memory>", 1 << 30),
            ("<memory unit='G'>2</memory>", 2 << 30),
            ("<memory unit='MB'>5</memory>", 5_000_000),
            ("<memory unit='bytes'>7</memory>", 7),
            ("", 0),
        ] {
            assert_eq!(domain(element).memory, bytes, "{element}");
        }
        for element in [
            "<memory/>",
            "<memory unit='furlong'>1</memory>",
            "<memory unit='é'>1</memory>",
            "<memory unit='EiB'>16</memory>",
            "<memory>-1</memory>",
            "<vcpu>many</vcpu>",
        ] {
            let error = parse(&format!("<domain>{element}</domain>")).unwrap_err();
            assert!(matches!(error, DomainError::Value { .. }), "{element}");
        }
    }

    #[test]
    fn disks_in_boot_order_and_nics_with_their_networks() {
        let machine = domain(
            "<vcpu current='2'>8</vcpu><cpu><topology sockets='1' cores='4' threads='1'/></cpu>\
             <sysinfo type='smbios'><system><entry name='serial'>S 1</entry></system></sysinfo>\
             <devices>\
             <disk type='file' device='cdrom'><source file='/x.iso'/></disk>\
             <disk type='file'><source file='data.img'/><target dev='vdb' bus='virtio'/></disk>\
             <disk type='block' device='lun'><source dev='/dev/x'/><boot order='2'/></disk>\
             <disk type='volume' device='disk'><driver type='qcow2'/>\
             <source pool='p' volume='v'/><serial>abc</serial><boot order='1'/></disk>\
             <disk type='file' device='disk'><target dev='vdc'/></disk>\
             <interface type='network'><mac address='52:54:00:00:00:01'/>\
             <source network='lan' bridge='virbr1'/><model type='virtio'/></interface>\
             <interface type='bridge'><mac address='bad'/><source bridge='br0'/></interface>\
             <interface type='user'/>\
             <tpm model='tpm-crb'/></devices>",
        );
        let paths: Vec<_> = machine
            .disks
            .iter()
            .map(|disk| disk.path.as_str())
            .collect();
        assert_eq!(paths, ["v", "/dev/x", "data.img"]);
        assert_eq!(machine.disks[0].serial.as_deref(), Some("abc"));
        assert_eq!(machine.disks[0].format.as_deref(), Some("qcow2"));
        assert_eq!(machine.disks[2].bus.as_deref(), Some("virtio"));
        let networks: Vec<_> = machine
            .nics
            .iter()
            .map(|nic| (nic.mac.is_some(), nic.network.as_deref(), nic.bridge))
            .collect();
        assert_eq!(
            networks,
            [
                (true, Some("lan"), false),
                (false, Some("br0"), true),
                (false, None, false),
            ]
        );
        assert_eq!((machine.vcpus, machine.cores_per_socket), (2, 4));
        assert_eq!(machine.serial.as_deref(), Some("S 1"));
        assert!(machine.tpm);
    }

    #[test]
    fn other_documents_are_refused() {
        assert_eq!(
            parse("<network><name>default</name></network>").unwrap_err(),
            DomainError::NotDomain("network".to_owned())
        );
        assert!(matches!(parse("<domain>"), Err(DomainError::Xml(_))));
    }
}
