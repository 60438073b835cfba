//! Reader of virtual systems, collections, and the sections in them.

use std::collections::{HashMap, HashSet};

use refit_machine::xml::Element;

use super::context::{
    Problems, attribute, children, filled, is_ovf, is_required, is_true, is_vmware, text, words,
};
use super::hardware_read::{self, Known};
use super::{
    Collection, Content, EnvironmentFile, Eula, Install, IpAssignment, OperatingSystem,
    ProductSection, Startup, System, UnknownSection, VirtualBox, properties_read,
};

/// Sections of the standard and of known producers that describe what KVM has no counterpart of, or what
/// matters to the producer's own platform only. They never keep a machine from being used.
const CARRIED_NOWHERE: &[&str] = &[
    "CpuCompatibilitySection",
    "CustomizationSection",
    "DeploymentOptionSection",
    "DiskSection",
    "EncryptionSection",
    "GuestCustomizationSection",
    "LeaseSettingsSection",
    "MigrationUpgradeRequisitesSection",
    "NetworkConfigSection",
    "NetworkConnectionSection",
    "NetworkPortProfileSection",
    "NetworkSection",
    "OperatingSystemSection",
    "PlacementGroupSection",
    "PlacementSection",
    "PropertyConfigSection",
    "ResourceAllocationSection",
    "RuntimeInfoSection",
    "ScaleOutSection",
    "SharedDiskSection",
    "SnapshotSection",
    "StartupSection",
    "StorageGroupSection",
    "StorageSection",
    "TagBasedPlacementGroupSection",
    "TagBasedPlacementSection",
    "VirtualDeviceGroupSection",
    "vServiceDependencySection",
];
const KNOWN_PRODUCERS: &[&str] = &[
    "http://schemas.dmtf.org/ovf/",
    "http://www.vmware.com/schema/ovf",
    "http://www.vmware.com/vcloud/",
    "http://www.virtualbox.org/",
    "http://www.ovirt.org/ovf",
    "http://schemas.citrix.com/ovf/",
    "http://www.citrix.com/",
];

/// Sections that systems, collections and the envelope may all have.
#[derive(Default)]
pub(super) struct Common {
    pub(super) products: Vec<ProductSection>,
    pub(super) eulas: Vec<Eula>,
    pub(super) annotation: Option<String>,
    pub(super) ip_assignment: Option<IpAssignment>,
    pub(super) unknown: Vec<UnknownSection>,
    keys: HashMap<String, Vec<(Vec<String>, super::Place)>>,
}

impl Common {
    /// Takes a section; one that it does not know is noted, and said if nobody may go on without it.
    pub(super) fn read(&mut self, section: &Element, problems: &mut Problems) {
        let namespace = section.namespace.as_deref();
        match section.name.as_str() {
            "ProductSection" if is_ovf(namespace) => {
                let product = properties_read::product(section, &mut self.keys, problems);
                self.products.push(product);
            }
            "EulaSection" if is_ovf(namespace) => self.eulas.push(Eula {
                info: text(section, "Info"),
                text: text(section, "License").unwrap_or_default(),
            }),
            "AnnotationSection" if is_ovf(namespace) => {
                self.annotation = text(section, "Annotation");
            }
            "IpAssignmentSection" if is_vmware(namespace) => {
                let list = |name| words(section.attribute(name).unwrap_or_default());
                self.ip_assignment = Some(IpAssignment {
                    protocols: list("protocols"),
                    schemes: list("schemes"),
                });
            }
            _ => self.unknown(section, problems),
        }
    }

    fn unknown(&mut self, section: &Element, problems: &mut Problems) {
        let namespace = section.namespace.as_deref().unwrap_or_default();
        let unknown = UnknownSection {
            name: section.name.clone(),
            namespace: namespace.to_owned(),
            required: is_required(section),
            info: text(section, "Info"),
            place: section.place,
        };
        let known = CARRIED_NOWHERE.contains(&section.name.as_str())
            && KNOWN_PRODUCERS
                .iter()
                .any(|known| namespace.starts_with(known));
        if section.name == "vServiceDependencySection" && known {
            problems.warn(
                "service.dependency",
                section,
                "it depends on a service of vCenter, which is not there on KVM: the appliance may not \
                 configure itself"
                    .to_owned(),
            );
        } else if unknown.required && !known {
            problems.error(
                "section.required",
                section,
                format!(
                    "the section <{}> of {namespace:?} is not known, and without required=\"false\" it must \
                     be understood",
                    section.name
                ),
            );
        }
        self.unknown.push(unknown);
    }
}

/// Reads what the envelope holds.
pub(super) struct Reader<'r> {
    pub(super) known: &'r Known<'r>,
    pub(super) problems: &'r mut Problems,
    /// Identifiers of systems and collections so far.
    pub(super) ids: HashSet<String>,
}

impl Reader<'_> {
    pub(super) fn content(&mut self, element: &Element) -> Content {
        if element.name == "VirtualSystemCollection" {
            Content::Collection(self.collection(element))
        } else {
            Content::System(self.system(element))
        }
    }

    fn id(&mut self, element: &Element) -> String {
        let id = filled(element, "id").unwrap_or_default().to_owned();
        if id.is_empty() {
            self.problems.warn(
                "system.id",
                element,
                format!("a {} must have an id", element.name),
            );
        } else {
            self.problems
                .unique(&mut self.ids, &id, "system.dup", element, "the id");
        }
        id
    }

    fn collection(&mut self, element: &Element) -> Collection {
        let mut collection = Collection {
            id: self.id(element),
            name: text(element, "Name"),
            info: text(element, "Info"),
            place: element.place,
            ..Collection::default()
        };
        let mut common = Common::default();
        for child in &element.children {
            match child.name.as_str() {
                "Info" | "Name" => {}
                "VirtualSystem" | "VirtualSystemCollection" => {
                    let member = self.content(child);
                    collection.members.push(member);
                }
                "StartupSection" if is_ovf(child.namespace.as_deref()) => {
                    collection
                        .startup
                        .extend(children(child, "Item").map(|item| startup(item, self.problems)));
                }
                _ => common.read(child, self.problems),
            }
        }
        for item in &collection.startup {
            if !collection
                .members
                .iter()
                .any(|member| member.id() == item.id)
            {
                self.problems.warn(
                    "startup.id",
                    element,
                    format!(
                        "its StartupSection names {:?}, which is no member of it",
                        item.id
                    ),
                );
            }
        }
        Collection {
            products: common.products,
            eulas: common.eulas,
            annotation: common.annotation,
            ip_assignment: common.ip_assignment,
            unknown_sections: common.unknown,
            ..collection
        }
    }

    fn system(&mut self, element: &Element) -> System {
        let mut system = System {
            id: self.id(element),
            name: text(element, "Name"),
            info: text(element, "Info"),
            place: element.place,
            ..System::default()
        };
        let mut common = Common::default();
        for child in &element.children {
            let standard = is_ovf(child.namespace.as_deref());
            match child.name.as_str() {
                "VirtualHardwareSection" if standard => {
                    let section = hardware_read::section(child, self.known, self.problems);
                    system.hardware.push(section);
                }
                "OperatingSystemSection" if standard => {
                    system.operating_system = Some(operating_system(child));
                }
                "InstallSection" if standard => {
                    let delay =
                        self.problems
                            .number(child, "initialBootStopDelay", "install.delay");
                    system.install = Some(Install {
                        stop_delay: delay.unwrap_or(0),
                    });
                }
                "EnvironmentFilesSection" if standard => {
                    system
                        .environment_files
                        .extend(children(child, "File").map(|file| EnvironmentFile {
                            file: attribute(file, "fileRef").unwrap_or_default().to_owned(),
                            path: attribute(file, "path").unwrap_or_default().to_owned(),
                        }));
                }
                "BootOrderSection" if is_vmware(child.namespace.as_deref()) => {
                    let id = child.attribute("instanceId").map(str::to_owned);
                    system.boot_order.extend(id);
                }
                // VirtualBox.
                "Machine" if !standard || child.unbound.is_some() => {
                    system.uuid = child.attribute("uuid").map(str::to_owned);
                    system.virtualbox = Some(virtualbox(child));
                }
                // oVirt puts values of its own between the sections.
                name if name.ends_with("Section") || !(standard || is_ovirt(child)) => {
                    common.read(child, self.problems);
                }
                _ => {}
            }
        }
        if system.hardware.is_empty() {
            self.problems.warn(
                "system.hardware",
                element,
                "a virtual machine without VirtualHardwareSection".to_owned(),
            );
        }
        System {
            products: common.products,
            eulas: common.eulas,
            annotation: common.annotation,
            ip_assignment: common.ip_assignment,
            unknown_sections: common.unknown,
            ..system
        }
    }
}

fn is_ovirt(element: &Element) -> bool {
    element
        .namespace
        .as_deref()
        .is_some_and(|namespace| namespace.starts_with("http://www.ovirt.org/"))
}

fn startup(item: &Element, problems: &mut Problems) -> Startup {
    let mut number = |name| problems.number(item, name, "startup.number").unwrap_or(0);
    Startup {
        order: number("order"),
        start_delay: number("startDelay"),
        stop_delay: number("stopDelay"),
        id: filled(item, "id").unwrap_or_default().to_owned(),
        waiting_for_guest: is_true(attribute(item, "waitingForGuest")),
        start_action: filled(item, "startAction").unwrap_or("powerOn").to_owned(),
        stop_action: filled(item, "stopAction").unwrap_or("powerOff").to_owned(),
    }
}

fn operating_system(section: &Element) -> OperatingSystem {
    OperatingSystem {
        cim_id: filled(section, "id").and_then(|id| id.parse().ok()),
        version: filled(section, "version").map(str::to_owned),
        kind: section
            .attribute("osType")
            .map(str::to_owned)
            .or_else(|| text(section, "OSType")),
        description: text(section, "Description"),
    }
}

fn virtualbox(machine: &Element) -> VirtualBox {
    let efi = machine
        .at(&["Hardware", "Firmware"])
        .and_then(|firmware| firmware.attribute("type"))
        .is_some_and(|kind| kind.starts_with("EFI"));
    let macs = machine
        .at(&["Hardware", "Network"])
        .into_iter()
        .flat_map(|network| network.all("Adapter"))
        .filter(|adapter| adapter.attribute("enabled") == Some("true"))
        .map(|adapter| {
            adapter
                .attribute("MACAddress")
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    VirtualBox { efi, macs }
}
