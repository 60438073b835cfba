//! Reader of the virtual hardware in an OVF 1.x descriptor (DMTF DSP0243).
//!
//! Only what tells of the source's hardware: enough as evidence for a conversion whose disks
//! virt-v2v takes from the archive. Properties, manifests and collections of machines are not
//! read. Producers bind the namespaces to any prefix, so names are compared without it.

mod item;
mod units;

use crate::xml::{self, Element};
use crate::{Disk, Firmware, Mac, Machine, Nic, XmlError, names_windows, uuid};
use item::{Item, config, items, of_type};
use units::unit_bytes;

/// Largest descriptor that is read, in bytes. The largest known one has about 1 MB.
pub const MAX_SIZE: u64 = 16 << 20;

/// Namespace of the envelope in OVF 1.0 and 1.1.
const ENVELOPE_1: &str = "http://schemas.dmtf.org/ovf/envelope/1";

/// Why a descriptor's hardware cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OvfError {
    /// Not acceptable as XML.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// XML of something else.
    #[error("this is no OVF descriptor: its root element is <{0}> instead of <Envelope>")]
    NotOvf(String),
    /// OVF 0.9, 2.x, or of a vendor.
    #[error(
        "the OVF descriptor has the version namespace {0:?}; only OVF 1.x \
         (http://schemas.dmtf.org/ovf/envelope/1) is read; export the machine as OVF 1.x"
    )]
    Version(String),
    /// No virtual machine inside.
    #[error("the OVF descriptor holds no virtual machine (no <VirtualSystem> with hardware)")]
    NoMachine,
    /// A collection of virtual machines, of which one would have to be chosen.
    #[error(
        "the OVF descriptor holds {} virtual machines ({}); only one can be converted; \
         export it alone", .0.len(), .0.join(", ")
    )]
    SeveralMachines(Vec<String>),
}

/// Reads the one virtual machine of an OVF 1.x descriptor.
///
/// Of several configurations the default one is read. Network cards come in the descriptor's
/// order, disks by controller and place on it (SCSI, SATA, IDE, NVMe). A disk's path is the
/// `href` of its file as written. Items that state limits of a range (`ovf:bound`) are no devices
/// and left out.
///
/// # Errors
///
/// If the text is no OVF 1.x descriptor, or does not hold exactly one machine.
pub fn parse(descriptor: &str) -> Result<Machine, OvfError> {
    let envelope = xml::parse(descriptor, MAX_SIZE)?;
    if envelope.name != "Envelope" {
        return Err(OvfError::NotOvf(envelope.name));
    }
    let namespace = envelope.namespace.as_deref().unwrap_or_default();
    if namespace != ENVELOPE_1 {
        return Err(OvfError::Version(namespace.to_owned()));
    }
    let systems: Vec<&Element> = envelope
        .descendants()
        .into_iter()
        .filter(|element| element.name == "VirtualSystem")
        .collect();
    let system = match systems.as_slice() {
        [] => return Err(OvfError::NoMachine),
        [system] => system,
        several => {
            let names = several.iter().map(|system| system_name(system)).collect();
            return Err(OvfError::SeveralMachines(names));
        }
    };
    let hardware = hardware_section(system).ok_or(OvfError::NoMachine)?;
    let items = items(hardware, default_configuration(&envelope));
    let guest_os = system.child("OperatingSystemSection").and_then(|section| {
        section
            .attribute("osType")
            .or_else(|| section.child("OSType")?.text())
            .or_else(|| section.child("Description")?.text())
            .map(str::to_owned)
    });
    let virtualbox = system.child("Machine");
    Ok(Machine {
        name: system_name(system),
        uuid: virtualbox
            .and_then(|machine| machine.attribute("uuid"))
            .and_then(uuid::normalize),
        memory: memory(&items),
        vcpus: of_type(&items, "3")
            .find_map(|item| item.number("VirtualQuantity"))
            .unwrap_or(0),
        cores_per_socket: of_type(&items, "3")
            .find_map(|item| item.number("CoresPerSocket"))
            .unwrap_or(0),
        firmware: firmware(hardware, virtualbox),
        clock_localtime: guest_os.as_deref().is_some_and(|guest_os| {
            names_windows(guest_os) || guest_os.starts_with("Microsoft Windows")
        }),
        guest_os,
        tpm: items
            .iter()
            .any(|item| item.get("ResourceSubType") == Some("vmware.vtpm")),
        disks: disks(&envelope, &items),
        nics: nics(&items, virtualbox),
        ..Machine::default()
    })
}

fn system_name(system: &Element) -> String {
    system
        .child("Name")
        .and_then(Element::text)
        .or_else(|| system.attribute("id"))
        .unwrap_or_default()
        .to_owned()
}

/// Several sections are alternatives: VMware's (`vmx-10`) if there is one, else the first.
fn hardware_section(system: &Element) -> Option<&Element> {
    let is_vmware = |section: &&Element| {
        section
            .at(&["System", "VirtualSystemType"])
            .and_then(Element::text)
            .is_some_and(|kind| kind.contains("vmx-"))
    };
    system
        .all("VirtualHardwareSection")
        .find(is_vmware)
        .or_else(|| system.child("VirtualHardwareSection"))
}

fn default_configuration(envelope: &Element) -> Option<&str> {
    let section = envelope.child("DeploymentOptionSection")?;
    section
        .all("Configuration")
        .find(|configuration| configuration.attribute("default") == Some("true"))
        .or_else(|| section.child("Configuration"))?
        .attribute("id")
}

/// Memory in bytes. Without a unit the standard means bytes, but producers who leave it out mean
/// MiB; no machine has less than 1 MiB.
fn memory(items: &[Item<'_>]) -> u64 {
    of_type(items, "4")
        .find_map(|item| {
            let quantity: u64 = item.get("VirtualQuantity")?.parse().ok()?;
            let unit = match item.get("AllocationUnits") {
                Some(unit) => unit_bytes(unit)?,
                None if quantity < 1 << 20 => 1 << 20,
                None => 1,
            };
            quantity.checked_mul(unit)
        })
        .unwrap_or(0)
}

fn firmware(hardware: &Element, virtualbox: Option<&Element>) -> Firmware {
    let is_true =
        |value: Option<&str>| value.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let efi = config(hardware, "Config", "firmware")
        .or_else(|| config(hardware, "ExtraConfig", "firmware"))
        .is_some_and(|firmware| firmware.eq_ignore_ascii_case("efi"))
        || virtualbox
            .and_then(|machine| machine.at(&["Hardware", "Firmware"])?.attribute("type"))
            .is_some_and(|kind| kind.starts_with("EFI"));
    let secure = is_true(config(
        hardware,
        "Config",
        "bootOptions.efiSecureBootEnabled",
    )) || is_true(config(hardware, "ExtraConfig", "uefi.secureBoot.enabled"));
    match (efi, secure) {
        (true, true) => Firmware::UefiSecure,
        (true, false) => Firmware::Uefi,
        // vSphere's default is BIOS, and it has no Secure Boot.
        (false, _) => Firmware::Bios,
    }
}

fn disks(envelope: &Element, items: &[Item<'_>]) -> Vec<Disk> {
    let mut disks: Vec<((usize, u32, u32), Disk)> = of_type(items, "17")
        .filter_map(|item| {
            let reference = item.get("HostResource")?;
            let id = reference
                .strip_prefix("ovf:")
                .unwrap_or(reference)
                .strip_prefix("/disk/")?;
            let controller = items.iter().find(|other| {
                other.get("InstanceID").is_some() && other.get("InstanceID") == item.get("Parent")
            });
            let bus = controller.and_then(bus);
            let rank = ["scsi", "sata", "ide", "nvme"]
                .iter()
                .position(|known| Some(*known) == bus)
                .unwrap_or(usize::MAX);
            let address = controller
                .and_then(|controller| controller.number("Address"))
                .unwrap_or(0);
            let unit = item.number("AddressOnParent").unwrap_or(0);
            Some(((rank, address, unit), disk(envelope, id, bus)))
        })
        .collect();
    disks.sort_by_key(|(place, _)| *place);
    disks.into_iter().map(|(_, disk)| disk).collect()
}

/// What a controller's bus is called in [`Disk::bus`].
fn bus(controller: &Item<'_>) -> Option<&'static str> {
    let subtype = controller
        .get("ResourceSubType")
        .unwrap_or_default()
        .to_ascii_lowercase();
    match controller.get("ResourceType")? {
        "5" => Some("ide"),
        "6" => Some("scsi"),
        "20" if subtype.contains("nvme") => Some("nvme"),
        "20" if subtype.contains("ahci") || subtype.contains("sata") => Some("sata"),
        "20" if subtype.contains("scsi") => Some("scsi"),
        _ => None,
    }
}

/// The disk of this id: its file's `href`, or an empty path if it is blank.
fn disk(envelope: &Element, id: &str, bus: Option<&str>) -> Disk {
    let entry = envelope.child("DiskSection").and_then(|section| {
        section
            .all("Disk")
            .find(|disk| disk.attribute("diskId") == Some(id))
    });
    let file = entry
        .and_then(|entry| entry.attribute("fileRef"))
        .and_then(|reference| {
            envelope
                .child("References")?
                .all("File")
                .find(|file| file.attribute("id") == Some(reference))?
                .attribute("href")
        });
    let capacity = entry.and_then(|entry| {
        let unit = entry.attribute("capacityAllocationUnits").unwrap_or("byte");
        let quantity: u64 = entry.attribute("capacity")?.parse().ok()?;
        quantity.checked_mul(unit_bytes(unit)?)
    });
    let is_vmdk = entry
        .and_then(|entry| entry.attribute("format"))
        .is_some_and(|format| format.contains("vmdk"));
    Disk {
        path: file.unwrap_or_default().to_owned(),
        format: is_vmdk.then(|| "vmdk".to_owned()),
        bus: bus.map(str::to_owned),
        capacity,
        serial: None,
    }
}

fn nics(items: &[Item<'_>], virtualbox: Option<&Element>) -> Vec<Nic> {
    let mut nics: Vec<Nic> = of_type(items, "10")
        .map(|item| Nic {
            mac: item.get("Address").and_then(|mac| mac.parse().ok()),
            // A list of acceptable models, the preferred one first.
            model: item
                .get("ResourceSubType")
                .and_then(|models| models.split([',', ' ']).next())
                .map(str::to_owned),
            network: item.get("Connection").map(str::to_owned),
            bridge: false,
            pci_slot: item
                .config("slotInfo.pciSlotNumber")
                .and_then(|slot| slot.parse().ok()),
        })
        .collect();
    // VirtualBox leaves the addresses out of the items but keeps them in its own section, where
    // the enabled adapters are in the same order.
    let adapters = virtualbox
        .and_then(|machine| machine.at(&["Hardware", "Network"]))
        .into_iter()
        .flat_map(|network| network.all("Adapter"))
        .filter(|adapter| adapter.attribute("enabled") == Some("true"));
    for (nic, adapter) in nics.iter_mut().zip(adapters) {
        nic.mac = nic
            .mac
            .or_else(|| bare_mac(adapter.attribute("MACAddress")?));
    }
    nics
}

/// VirtualBox writes addresses without separators: `080027A1B2C3`.
fn bare_mac(text: &str) -> Option<Mac> {
    let mut octets = [0; 6];
    if text.len() != 12 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(Mac(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(namespace: &str, sections: &str) -> String {
        format!(
            "<?xml version='1.0' encoding='UTF-8'?>\n\
             <o:Envelope xmlns:o='{namespace}' xmlns:r='urn:rasd' xmlns:vmw='urn:vmw'>\
             <o:References><o:File o:id='f1' o:href='a b.vmdk'/><o:File o:id='f2' o:href='two.vmdk'/>\
             </o:References>\
             <o:DiskSection>\
             <o:Disk o:diskId='d1' o:fileRef='f1' o:capacity='2' o:capacityAllocationUnits='byte * 2^30' \
             o:format='http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized'/>\
             <o:Disk o:diskId='d2' o:fileRef='f2' o:capacity='${{size}}'/>\
             <o:Disk o:diskId='d3' o:capacity='512'/>\
             </o:DiskSection>{sections}</o:Envelope>"
        )
    }

    fn system(name: &str, hardware: &str) -> String {
        format!(
            "<o:VirtualSystem o:id='{name}'><o:OperatingSystemSection vmw:osType='windows9_64Guest'/>\
             <o:VirtualHardwareSection>{hardware}</o:VirtualHardwareSection></o:VirtualSystem>"
        )
    }

    /// An item from its attributes and `name=value` children.
    fn item(attributes: &str, children: &[(&str, &str)]) -> String {
        let children: String = children
            .iter()
            .map(|(name, value)| format!("<r:{name}>{value}</r:{name}>"))
            .collect();
        format!("<o:Item {attributes}>{children}</o:Item>")
    }

    fn machine(hardware: &str) -> Machine {
        parse(&envelope(ENVELOPE_1, &system("vm", hardware))).unwrap()
    }

    #[test]
    fn disks_follow_their_controllers_not_the_document() {
        let disk = |id: &str, parent: &str, place: &str| {
            item(
                "",
                &[
                    ("AddressOnParent", place),
                    ("HostResource", id),
                    ("Parent", parent),
                    ("ResourceType", "17"),
                ],
            )
        };
        let machine = machine(
            &[
                disk("ovf:/disk/d3", "1", "0"),
                disk("/disk/d2", "2", "1"),
                disk("ovf:/disk/d1", "2", "0"),
                disk("ovf:/file/f1", "2", "3"),
                item(
                    "",
                    &[
                        ("InstanceID", "1"),
                        ("ResourceSubType", "vmware.sata.ahci"),
                        ("ResourceType", "20"),
                    ],
                ),
                item("", &[("InstanceID", "2"), ("ResourceType", "6")]),
            ]
            .concat(),
        );
        let disks: Vec<_> = machine
            .disks
            .iter()
            .map(|disk| (disk.path.as_str(), disk.bus.as_deref(), disk.capacity))
            .collect();
        assert_eq!(
            disks,
            [
                ("a b.vmdk", Some("scsi"), Some(2 << 30)),
                ("two.vmdk", Some("scsi"), None),
                ("", Some("sata"), Some(512)),
            ]
        );
        assert_eq!(machine.disks[0].format.as_deref(), Some("vmdk"));
        assert!(machine.clock_localtime);
        assert_eq!(machine.name, "vm");
    }

    #[test]
    fn the_default_configuration_and_no_range_markers() {
        let memory = |attributes: &str, quantity: &str| {
            item(
                attributes,
                &[
                    ("AllocationUnits", "byte * 2^20"),
                    ("InstanceID", "2"),
                    ("ResourceType", "4"),
                    ("VirtualQuantity", quantity),
                ],
            )
        };
        let hardware = [
            memory("o:bound='min'", "1"),
            memory("", "512"),
            memory("o:configuration='small'", "256"),
            memory("o:configuration='medium large'", "4096"),
        ]
        .concat();
        for (options, mib) in [
            ("", 512),
            (
                "<o:DeploymentOptionSection><o:Configuration o:id='small'/>\
                 <o:Configuration o:id='large' o:default='true'/></o:DeploymentOptionSection>",
                4096,
            ),
            (
                "<o:DeploymentOptionSection><o:Configuration o:id='small'/>\
                 <o:Configuration o:id='large'/></o:DeploymentOptionSection>",
                256,
            ),
            (
                "<o:DeploymentOptionSection><o:Configuration o:id='x'/></o:DeploymentOptionSection>",
                512,
            ),
        ] {
            let text = envelope(ENVELOPE_1, &format!("{options}{}", system("vm", &hardware)));
            assert_eq!(parse(&text).unwrap().memory, mib << 20, "{options}");
        }
    }

    #[test]
    fn network_cards_with_slots_and_addresses() {
        let nics = "<o:Item><r:Address>00:50:56:01:02:03</r:Address>\
                    <r:Connection>VM Network</r:Connection><r:ResourceSubType>VmxNet3</r:ResourceSubType>\
                    <r:ResourceType>10</r:ResourceType>\
                    <vmw:Config o:required='false' vmw:key='slotInfo.pciSlotNumber' vmw:value='192'/></o:Item>\
                    <o:Item><r:ResourceSubType>PCNet32, E1000</r:ResourceSubType>\
                    <r:ResourceType>10</r:ResourceType></o:Item>";
        let machine = machine(nics);
        assert_eq!(
            machine.nics,
            [
                Nic {
                    mac: "00:50:56:01:02:03".parse().ok(),
                    model: Some("VmxNet3".to_owned()),
                    network: Some("VM Network".to_owned()),
                    bridge: false,
                    pci_slot: Some(192),
                },
                Nic {
                    model: Some("PCNet32".to_owned()),
                    ..Nic::default()
                },
            ]
        );
    }

    #[test]
    fn virtualbox_keeps_addresses_and_firmware_in_its_own_section() {
        let text = envelope(
            ENVELOPE_1,
            "<o:VirtualSystem o:id='vm'><o:VirtualHardwareSection>\
             <o:Item><r:ResourceType>10</r:ResourceType></o:Item></o:VirtualHardwareSection>\
             <vbox:Machine uuid='{11111111-2222-3333-4444-555555555555}'><Hardware>\
             <Firmware type='EFI'/><Network>\
             <Adapter slot='0' enabled='false' MACAddress='080027000000'/>\
             <Adapter slot='1' enabled='true' MACAddress='080027A1B2C3'/>\
             </Network></Hardware></vbox:Machine></o:VirtualSystem>",
        );
        let machine = parse(&text).unwrap();
        assert_eq!(machine.firmware, Firmware::Uefi);
        assert_eq!(machine.nics[0].mac, "08:00:27:a1:b2:c3".parse().ok());
        assert_eq!(
            machine.uuid.as_deref(),
            Some("11111111-2222-3333-4444-555555555555")
        );
    }

    #[test]
    fn secure_boot_counts_with_efi_only() {
        let secure = "<vmw:Config vmw:key='bootOptions.efiSecureBootEnabled' vmw:value='true'/>";
        for (keys, firmware) in [
            (secure.to_owned(), Firmware::Bios),
            (
                "<vmw:Config vmw:key='firmware' vmw:value='efi'/>".to_owned(),
                Firmware::Uefi,
            ),
            (
                format!("{secure}<vmw:ExtraConfig vmw:key='firmware' vmw:value='efi'/>"),
                Firmware::UefiSecure,
            ),
        ] {
            assert_eq!(machine(&keys).firmware, firmware, "{keys}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let two = envelope(
            ENVELOPE_1,
            &format!(
                "<o:VirtualSystemCollection>{}{}</o:VirtualSystemCollection>",
                system("a", ""),
                system("b", "")
            ),
        );
        let collection = envelope(
            ENVELOPE_1,
            &format!(
                "<o:VirtualSystemCollection>{}</o:VirtualSystemCollection>",
                system("a", "")
            ),
        );
        assert_eq!(parse(&collection).unwrap().name, "a");
        for (text, error) in [
            (
                two,
                OvfError::SeveralMachines(vec!["a".to_owned(), "b".to_owned()]),
            ),
            (envelope(ENVELOPE_1, ""), OvfError::NoMachine),
            (
                envelope("http://schemas.dmtf.org/ovf/envelope/2", &system("a", "")),
                OvfError::Version("http://schemas.dmtf.org/ovf/envelope/2".to_owned()),
            ),
            (
                "<domain/>".to_owned(),
                OvfError::NotOvf("domain".to_owned()),
            ),
            (
                "<!DOCTYPE x><x/>".to_owned(),
                OvfError::Xml(XmlError::Dtd(crate::xml::Place::default())),
            ),
        ] {
            assert_eq!(parse(&text).unwrap_err(), error, "{text}");
        }
    }
}
