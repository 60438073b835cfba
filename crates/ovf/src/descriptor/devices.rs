//! From the items of a descriptor to a [`Machine`].

use refit_machine::{Disk as MachineDisk, Firmware, Mac, Machine, Nic};

use super::units::unit_bytes;
use super::{Capacity, Envelope, HardwareSection, Item, System, hardware};

const CPU: u16 = 3;
const MEMORY: u16 = 4;
const ETHERNET: u16 = 10;
const FLOPPY: u16 = 14;
const CD: u16 = 15;
const DVD: u16 = 16;
const DISK: u16 = 17;
const SERIAL: u16 = 21;
const PARALLEL: u16 = 22;
const SOUND: u16 = 35;

/// One system's hardware in one configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hardware {
    /// The machine; a disk's path is the `href` of its file as written, empty for a blank disk.
    pub machine: Machine,
    /// What each of the machine's disks is in the descriptor, in the same order.
    pub disks: Vec<Attached>,
    /// Images in CD and DVD drives: [`super::File::id`].
    pub media: Vec<String>,
    /// How the guest wants its environment document.
    pub transports: Vec<String>,
    /// What the converted machine will not have or do, as sentences.
    pub lost: Vec<String>,
}

/// A disk on its controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attached {
    /// [`super::Disk::id`], if the device refers to one.
    pub disk: Option<String>,
    /// [`super::File::id`], if it has content.
    pub file: Option<String>,
}

impl Envelope {
    /// The hardware of a system in a deployment configuration. `value` gives the value of a property by its
    /// qualified key where the user has set it, for capacities that are properties.
    ///
    /// Network cards come in the descriptor's order, disks by VMware's boot order and then by controller and
    /// place on it (SCSI, SATA, IDE, `NVMe`).
    #[must_use]
    pub fn hardware(
        &self,
        system: &System,
        configuration: Option<&str>,
        value: &dyn Fn(&str) -> Option<String>,
    ) -> Hardware {
        let Some(section) = hardware::section(system) else {
            return Hardware {
                machine: Machine {
                    name: name(system),
                    ..Machine::default()
                },
                ..Hardware::default()
            };
        };
        let items = hardware::items(section, configuration);
        let capacity = |capacity: &Capacity| self.bytes(capacity, system, configuration, value);
        let (attached, disks) = disks(self, system, &items, &capacity);
        let guest_os = system
            .operating_system
            .as_ref()
            .and_then(|os| os.kind.clone().or_else(|| os.description.clone()));
        let cpu = |of: fn(&Item) -> Option<u32>| of_type(&items, CPU).find_map(of).unwrap_or(0);
        let mut machine = Machine {
            name: name(system),
            uuid: system
                .uuid
                .as_deref()
                .and_then(refit_machine::normalize_uuid),
            memory: memory(&items),
            vcpus: cpu(|item| item.quantity?.try_into().ok()),
            cores_per_socket: cpu(|item| item.cores_per_socket),
            firmware: firmware(section, system),
            tpm: items.iter().any(|item| has_subtype(item, "vmware.vtpm")),
            clock_localtime: guest_os
                .as_deref()
                .is_some_and(|os| os.starts_with("Microsoft Windows")),
            guest_os,
            disks,
            nics: nics(&items, system),
            ..Machine::default()
        };
        machine.clock_localtime |= machine.is_windows();
        Hardware {
            lost: lost(self, section, &items, &machine),
            machine,
            disks: attached,
            media: of_type(&items, CD)
                .chain(of_type(&items, DVD))
                .filter_map(|item| resource(item, "/file/").map(str::to_owned))
                .collect(),
            transports: section.transports.clone(),
        }
    }

    /// A virtual size in bytes, a property's value looked up: the user's, else the default of the
    /// configuration.
    fn bytes(
        &self,
        capacity: &Capacity,
        system: &System,
        configuration: Option<&str>,
        value: &dyn Fn(&str) -> Option<String>,
    ) -> Option<u64> {
        match capacity {
            Capacity::Bytes(bytes) => Some(*bytes),
            Capacity::Unknown => None,
            Capacity::Property { key, unit } => {
                let inherited = self.parent_of(&system.id).map(|parent| &parent.products);
                let default = || {
                    system
                        .products
                        .iter()
                        .chain(inherited.into_iter().flatten())
                        .flat_map(|product| &product.properties)
                        .find(|property| {
                            property.qualified() == *key && property.applies(configuration)
                        })?
                        .default_value(configuration)
                        .map(str::to_owned)
                };
                let number: u64 = value(key).or_else(default)?.trim().parse().ok()?;
                number.checked_mul(*unit).filter(|bytes| *bytes > 0)
            }
        }
    }
}

fn name(system: &System) -> String {
    system.name.clone().unwrap_or_else(|| system.id.clone())
}

fn of_type<'i>(items: &'i [&'i Item], kind: u16) -> impl Iterator<Item = &'i Item> {
    items
        .iter()
        .copied()
        .filter(move |item| item.resource_type == kind)
}

fn has_subtype(item: &Item, subtype: &str) -> bool {
    item.subtypes
        .iter()
        .any(|one| one.eq_ignore_ascii_case(subtype))
}

/// The identifier in a `HostResource` of this kind: `ovf:/disk/ID`, and `/disk/ID` of OVF 0.9.
fn resource<'i>(item: &'i Item, kind: &str) -> Option<&'i str> {
    item.host_resources.iter().find_map(|resource| {
        resource
            .strip_prefix("ovf:")
            .unwrap_or(resource)
            .strip_prefix(kind)
    })
}

/// Memory in bytes; zero if nothing is said. Without a unit the standard means bytes, but producers who
/// leave it out mean MiB; no machine has less than 1 MiB.
fn memory(items: &[&Item]) -> u64 {
    of_type(items, MEMORY)
        .find_map(|item| {
            let quantity = item.quantity?;
            let unit = match &item.units {
                Some(unit) => unit_bytes(unit)?,
                None if quantity < 1 << 20 => 1 << 20,
                None => 1,
            };
            quantity.checked_mul(unit)
        })
        .unwrap_or(0)
}

fn firmware(section: &HardwareSection, system: &System) -> Firmware {
    let efi = section
        .setting("firmware")
        .is_some_and(|firmware| firmware.eq_ignore_ascii_case("efi"))
        || system.virtualbox.as_ref().is_some_and(|vbox| vbox.efi);
    match (efi, secure_boot(section)) {
        (true, true) => Firmware::UefiSecure,
        (true, false) => Firmware::Uefi,
        // vSphere's default is BIOS, and it has no Secure Boot.
        (false, _) => Firmware::Bios,
    }
}

fn secure_boot(section: &HardwareSection) -> bool {
    [
        "bootOptions.efiSecureBootEnabled",
        "uefi.secureBoot.enabled",
    ]
    .iter()
    .any(|key| {
        section
            .setting(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    })
}

fn disks(
    envelope: &Envelope,
    system: &System,
    items: &[&Item],
    capacity: &dyn Fn(&Capacity) -> Option<u64>,
) -> (Vec<Attached>, Vec<MachineDisk>) {
    let mut found: Vec<_> = of_type(items, DISK)
        .map(|item| {
            let controller = items.iter().find(|other| {
                !other.instance_id.is_empty() && Some(&other.instance_id) == item.parent.as_ref()
            });
            let bus = controller.and_then(|controller| bus(controller));
            let rank = ["scsi", "sata", "ide", "nvme"]
                .iter()
                .position(|known| Some(*known) == bus)
                .unwrap_or(usize::MAX);
            let address = controller
                .and_then(|controller| controller.address.as_deref()?.parse::<u32>().ok())
                .unwrap_or(0);
            let boot = system
                .boot_order
                .iter()
                .position(|id| *id == item.instance_id)
                .unwrap_or(usize::MAX);
            let unit = item.address_on_parent.unwrap_or(0);
            let (attached, mut disk) = disk(envelope, item, capacity);
            disk.bus = bus.map(str::to_owned);
            ((boot, rank, address, unit), attached, disk)
        })
        .collect();
    found.sort_by_key(|(place, ..)| *place);
    found
        .into_iter()
        .map(|(_, attached, disk)| (attached, disk))
        .unzip()
}

/// What a controller's bus is called in [`MachineDisk::bus`].
fn bus(controller: &Item) -> Option<&'static str> {
    let is = |word: &str| {
        controller
            .subtypes
            .iter()
            .any(|subtype| subtype.to_ascii_lowercase().contains(word))
    };
    match controller.resource_type {
        5 => Some("ide"),
        6 => Some("scsi"),
        20 if is("nvme") => Some("nvme"),
        20 if is("ahci") || is("sata") => Some("sata"),
        20 if is("scsi") || is("sas") => Some("scsi"),
        _ => None,
    }
}

/// The disk behind a device. The descriptor's format is an address that whoever wrote it chose, so it is
/// not told.
fn disk(
    envelope: &Envelope,
    item: &Item,
    capacity: &dyn Fn(&Capacity) -> Option<u64>,
) -> (Attached, MachineDisk) {
    let entry = resource(item, "/disk/")
        .and_then(|id| envelope.disk(id))
        .or_else(|| {
            // oVirt names the file.
            let name = item.host_resources.first()?;
            envelope.disks.iter().find(|disk| {
                disk.file.as_deref() == Some(name) || name.split('/').any(|part| part == disk.id)
            })
        });
    let file = match entry {
        Some(entry) => entry.file.as_deref().and_then(|id| envelope.file(id)),
        None => resource(item, "/file/").and_then(|id| envelope.file(id)),
    };
    let attached = Attached {
        disk: entry.map(|entry| entry.id.clone()),
        file: file.map(|file| file.id.clone()),
    };
    let disk = MachineDisk {
        path: file.map(|file| file.href.clone()).unwrap_or_default(),
        capacity: entry.and_then(|entry| capacity(&entry.capacity)),
        ..MachineDisk::default()
    };
    (attached, disk)
}

fn nics(items: &[&Item], system: &System) -> Vec<Nic> {
    let mut nics: Vec<Nic> = of_type(items, ETHERNET)
        .map(|item| Nic {
            mac: item.address.as_deref().and_then(mac),
            model: item.subtypes.first().map(|model| {
                // oVirt's numbers.
                match model.as_str() {
                    "1" => "rtl8139",
                    "2" => "e1000",
                    "3" => "virtio",
                    other => other,
                }
                .to_owned()
            }),
            network: item.connections.first().cloned(),
            bridge: false,
            pci_slot: item
                .setting("slotInfo.pciSlotNumber")
                .and_then(|slot| slot.parse().ok()),
        })
        .collect();
    // VirtualBox leaves the addresses out of the items but keeps them in its own section, in the same order.
    let adapters = system.virtualbox.iter().flat_map(|vbox| &vbox.macs);
    for (nic, adapter) in nics.iter_mut().zip(adapters) {
        nic.mac = nic.mac.or_else(|| mac(adapter));
    }
    nics
}

/// An address; VirtualBox writes it without separators, `080027A1B2C3`.
fn mac(text: &str) -> Option<Mac> {
    if text.len() != 12 || !text.is_ascii() {
        return text.parse().ok();
    }
    let pairs: Vec<&str> = (0..6)
        .filter_map(|pair| text.get(2 * pair..2 * pair + 2))
        .collect();
    pairs.join(":").parse().ok()
}

/// What will be missing.
fn lost(
    envelope: &Envelope,
    section: &HardwareSection,
    items: &[&Item],
    machine: &Machine,
) -> Vec<String> {
    let mut lost = Vec::new();
    for item in items {
        let name = item.name.as_deref().unwrap_or("a device without a name");
        let subtype = item.subtypes.first().map_or("", String::as_str);
        let lower = subtype.to_ascii_lowercase();
        let what = match item.resource_type {
            _ if lower.starts_with("vmware.pci.passthrough") || lower.contains("sriov") => {
                "a device of the host, which is not passed through"
            }
            _ if lower.starts_with("vmware.nvdimm") => "persistent memory, which is left out",
            _ if lower == "vmware.vtpm" => {
                "a TPM, whose content never leaves the source: what is sealed to it needs a recovery key"
            }
            FLOPPY => "a floppy drive, which is left out",
            SERIAL => "a serial port, which is left out",
            PARALLEL => "a parallel port, which is left out",
            SOUND => "a sound card, which is left out",
            CD | DVD => match resource(item, "/file/") {
                Some(_) => "a drive with a medium, which is not carried over",
                None => continue,
            },
            _ => continue,
        };
        lost.push(format!("{name}: {what}"));
    }
    if machine.firmware == Firmware::Bios && secure_boot(section) {
        lost.push(
            "Secure Boot is on, but the firmware is BIOS, which has none: it is taken for BIOS"
                .to_owned(),
        );
    }
    let nvram = section
        .extra_config
        .iter()
        .find(|setting| setting.key.eq_ignore_ascii_case("nvram"));
    if nvram.is_some() {
        lost.push("the firmware's variables (NVRAM) are not carried over".to_owned());
    }
    for (key, what) in [
        ("flags.vbsEnabled", "virtualization-based security"),
        ("flags.vvtdEnabled", "the IOMMU"),
        ("nestedHVEnabled", "nested virtualization"),
        ("sevEnabled", "encrypted memory (SEV)"),
    ] {
        if section
            .setting(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        {
            lost.push(format!(
                "{what} is on at the source; switch it on at the target if it is needed"
            ));
        }
    }
    for disk in envelope.disks.iter().filter(|disk| disk.parent.is_some()) {
        lost.push(format!(
            "disk {:?} holds differences to another disk, which are not put together",
            disk.id
        ));
    }
    lost
}
