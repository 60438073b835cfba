//! The envelope: files, disks, networks, configurations, and systems.

use std::fmt;

use serde::Serialize;

use super::{HardwareSection, Place, Problem, ProductSection, Setting};

/// A whole descriptor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Which OVF it is.
    pub version: Version,
    /// Files beside the descriptor.
    pub files: Vec<File>,
    /// Virtual disks.
    pub disks: Vec<Disk>,
    /// Networks that the machines are attached to.
    pub networks: Vec<Network>,
    /// Sizes to choose from at deployment, in the descriptor's order.
    pub configurations: Vec<DeploymentConfiguration>,
    /// The system or the collection of systems; a descriptor without any describes no machine.
    pub content: Option<Content>,
    /// Licences that are not of one system.
    pub eulas: Vec<Eula>,
    /// Note for people that is not of one system.
    pub annotation: Option<String>,
    /// Languages for which texts are in the descriptor.
    pub locales: Vec<String>,
    /// Sections outside of systems that are not read.
    pub unknown_sections: Vec<UnknownSection>,
    /// What breaks the rules, in the descriptor's order.
    pub problems: Vec<Problem>,
}

/// The version of the standard, by the envelope's namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum Version {
    /// VMware's OVF 0.9.
    #[serde(rename = "0.9")]
    V0_9,
    /// OVF 1.0 and 1.1 (DSP8023 1.x).
    #[default]
    #[serde(rename = "1.x")]
    V1,
    /// OVF 2.0 and 2.1 (DSP8023 2.x).
    #[serde(rename = "2.x")]
    V2,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V0_9 => "0.9",
            Self::V1 => "1.x",
            Self::V2 => "2.x",
        })
    }
}

/// A file that belongs to the package: a disk, an ISO image, an icon, a bundle of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// `ovf:id`.
    pub id: String,
    /// Where it is, as written: relative to the descriptor, percent-encoded or not.
    pub href: String,
    /// Size in bytes as stored (after compression), if it is said.
    pub size: Option<u64>,
    /// How it is compressed.
    pub compression: Compression,
    /// Size in bytes of the pieces `HREF.000000000`, `HREF.000000001` and so on that it is stored in.
    pub chunk_size: Option<u64>,
    /// Where it is declared.
    pub place: Place,
}

/// How a file of the package is compressed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all; also where `identity` is written.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// By something that is not read.
    Other(String),
}

/// A virtual disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disk {
    /// `ovf:diskId`.
    pub id: String,
    /// Virtual size.
    pub capacity: Capacity,
    /// [`File::id`] of its content; a disk without is blank.
    pub file: Option<String>,
    /// [`Disk::id`] of the disk that this one holds the differences to.
    pub parent: Option<String>,
    /// Address of the specification of its format, as written. Not to be believed.
    pub format: Option<String>,
    /// Estimate of the bytes in use.
    pub populated_size: Option<u64>,
    /// Where it is declared.
    pub place: Place,
}

/// Virtual size of a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Capacity {
    /// In bytes.
    Bytes(u64),
    /// `${PROPERTY}`: this property's value in the chosen configuration, times `unit` bytes.
    Property {
        /// Qualified key of the property.
        key: String,
        /// Bytes that one of the value counts.
        unit: u64,
    },
    /// Missing or not a size; a problem says so.
    #[default]
    Unknown,
}

/// A network by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// The name that devices and properties refer to.
    pub name: String,
    /// Explanation for people.
    pub description: Option<String>,
    /// Where it is declared.
    pub place: Place,
}

/// One `Configuration` of the `DeploymentOptionSection`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentConfiguration {
    /// `ovf:id`.
    pub id: String,
    /// Name for people.
    pub label: Option<String>,
    /// Explanation for people.
    pub description: Option<String>,
    /// Whether the descriptor names it as the default.
    pub default: bool,
    /// Where it is declared.
    pub place: Place,
}

/// What the envelope holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A virtual machine.
    System(System),
    /// Several, or other collections.
    Collection(Collection),
}

/// A virtual machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct System {
    /// `ovf:id`; empty if it is missing.
    pub id: String,
    /// Name for people.
    pub name: Option<String>,
    /// What it is.
    pub info: Option<String>,
    /// Software with its properties.
    pub products: Vec<ProductSection>,
    /// Devices; several are alternatives.
    pub hardware: Vec<HardwareSection>,
    /// The operating system that it is said to hold.
    pub operating_system: Option<OperatingSystem>,
    /// Licences.
    pub eulas: Vec<Eula>,
    /// Note for people.
    pub annotation: Option<String>,
    /// Whether it must be started once to install itself.
    pub install: Option<Install>,
    /// Files that go with the environment document (OVF 2).
    pub environment_files: Vec<EnvironmentFile>,
    /// VMware's rules for addresses.
    pub ip_assignment: Option<IpAssignment>,
    /// [`super::Item::instance_id`] of the devices to boot from, first one first (VMware's `BootOrderSection`).
    pub boot_order: Vec<String>,
    /// VirtualBox's own UUID of the machine.
    pub uuid: Option<String>,
    /// What VirtualBox's own section says.
    pub virtualbox: Option<VirtualBox>,
    /// Sections that are not read.
    pub unknown_sections: Vec<UnknownSection>,
    /// Where it is.
    pub place: Place,
}

/// What only VirtualBox's own section (`vbox:Machine`) says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VirtualBox {
    /// Whether the firmware is EFI.
    pub efi: bool,
    /// Hardware addresses of the enabled adapters, in order.
    pub macs: Vec<String>,
}

/// A collection of systems (a vApp).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    /// `ovf:id`; empty if it is missing.
    pub id: String,
    /// Name for people.
    pub name: Option<String>,
    /// What it is.
    pub info: Option<String>,
    /// Properties that all direct members see.
    pub products: Vec<ProductSection>,
    /// Licences.
    pub eulas: Vec<Eula>,
    /// Note for people.
    pub annotation: Option<String>,
    /// Start order of its members.
    pub startup: Vec<Startup>,
    /// VMware's rules for addresses.
    pub ip_assignment: Option<IpAssignment>,
    /// Members in the descriptor's order.
    pub members: Vec<Content>,
    /// Sections that are not read.
    pub unknown_sections: Vec<UnknownSection>,
    /// Where it is.
    pub place: Place,
}

/// `OperatingSystemSection`: what somebody chose from a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OperatingSystem {
    /// Number in CIM's list (`CIM_OperatingSystem.OsType`).
    pub cim_id: Option<u32>,
    /// Version.
    pub version: Option<String>,
    /// VMware's (`vmw:osType`) or VirtualBox's (`vbox:OSType`) word.
    pub kind: Option<String>,
    /// For people.
    pub description: Option<String>,
}

/// A licence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Eula {
    /// What the section is about.
    pub info: Option<String>,
    /// The text.
    pub text: String,
}

/// When one member of a collection is started and stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Startup {
    /// `ovf:id` of the member.
    pub id: String,
    /// Members of one number start together, lower ones earlier; 0 for no order.
    pub order: u32,
    /// Seconds to wait after it was started.
    pub start_delay: u32,
    /// Whether to go on as soon as its guest says that it is up.
    pub waiting_for_guest: bool,
    /// `powerOn` or `none`.
    pub start_action: String,
    /// Seconds to wait after it was stopped.
    pub stop_delay: u32,
    /// `powerOff`, `guestShutdown` or `none`.
    pub stop_action: String,
}

/// `InstallSection`: the machine must be started once as part of the deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Install {
    /// Seconds after which it may be stopped; 0: it powers off by itself.
    pub stop_delay: u32,
}

/// A file that is put beside the environment document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EnvironmentFile {
    /// [`File::id`].
    pub file: String,
    /// Path on the medium.
    pub path: String,
}

/// VMware's `IpAssignmentSection`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IpAssignment {
    /// `IPv4`, `IPv6`.
    pub protocols: Vec<String>,
    /// `ovfenv`, `dhcp`.
    pub schemes: Vec<String>,
}

/// A section that is not read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UnknownSection {
    /// Name of the element without prefix.
    pub name: String,
    /// Its namespace; empty if none.
    pub namespace: String,
    /// Whether the producer says that nobody may deploy without it (`ovf:required`, true by default).
    pub required: bool,
    /// What it is about.
    pub info: Option<String>,
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
}

/// Why no machine or configuration can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// No virtual machine inside.
    #[error("the OVF descriptor holds no virtual machine (no <VirtualSystem>)")]
    NoSystem,
    /// Several machines, none chosen.
    #[error(
        "the OVF descriptor holds {} virtual machines ({}); choose one with --system ID",
        .0.len(), .0.join(", ")
    )]
    SeveralSystems(Vec<String>),
    /// No machine of this identifier.
    #[error("the OVF descriptor holds no virtual machine {id:?}; there are {}", .systems.join(", "))]
    UnknownSystem {
        /// What was asked for.
        id: String,
        /// What there is.
        systems: Vec<String>,
    },
    /// No configuration of this identifier.
    #[error(
        "the OVF descriptor has no deployment configuration {id:?}; {}",
        if .configurations.is_empty() { "it has none at all".to_owned() }
        else { format!("there are {}", .configurations.join(", ")) }
    )]
    UnknownConfiguration {
        /// What was asked for.
        id: String,
        /// What there is.
        configurations: Vec<String>,
    },
}

impl System {
    /// The devices that are used where there are alternatives: VMware's, for the guest was made there, else the
    /// first.
    #[must_use]
    pub fn hardware_section(&self) -> Option<&HardwareSection> {
        super::hardware::section(self)
    }

    /// What the guest could ask VMware Tools for beside the OVF environment: `vmw:ExtraConfig` of keys that start
    /// with `guestinfo.`, in any case. The environment itself is not among them, whatever was left in there.
    #[must_use]
    pub fn guestinfo(&self) -> Vec<&Setting> {
        let section = self.hardware_section();
        let settings = section.map_or(&[][..], |section| section.extra_config.as_slice());
        settings
            .iter()
            .filter(|setting| {
                let key = setting.key.to_ascii_lowercase();
                key.strip_prefix("guestinfo.")
                    .is_some_and(|rest| !rest.is_empty() && rest != "ovfenv")
            })
            .collect()
    }
}

impl Envelope {
    /// All machines, in the descriptor's order, however deep they are nested.
    #[must_use]
    pub fn systems(&self) -> Vec<&System> {
        let mut found = Vec::new();
        if let Some(content) = &self.content {
            content.collect(&mut found);
        }
        found
    }

    /// The machine of this `ovf:id`.
    #[must_use]
    pub fn system(&self, id: &str) -> Option<&System> {
        self.systems().into_iter().find(|system| system.id == id)
    }

    /// The collection whose direct member has this `ovf:id`.
    #[must_use]
    pub fn parent_of(&self, id: &str) -> Option<&Collection> {
        match &self.content {
            Some(Content::Collection(collection)) => collection.parent_of(id),
            _ => None,
        }
    }

    /// The configuration that is used if none is chosen: the one marked so, else the first.
    #[must_use]
    pub fn default_configuration(&self) -> Option<&DeploymentConfiguration> {
        self.configurations
            .iter()
            .find(|configuration| configuration.default)
            .or_else(|| self.configurations.first())
    }

    /// The machine to look at: the one of this `ovf:id`, or the only one.
    ///
    /// # Errors
    ///
    /// If there is none, or a choice to make, or no machine of this identifier.
    pub fn choose_system(&self, id: Option<&str>) -> Result<&System, ChoiceError> {
        let systems = self.systems();
        let ids = || systems.iter().map(|system| system.id.clone()).collect();
        match (id, systems.as_slice()) {
            (_, []) => Err(ChoiceError::NoSystem),
            (Some(id), _) => systems
                .iter()
                .copied()
                .find(|system| system.id == id)
                .ok_or_else(|| ChoiceError::UnknownSystem {
                    id: id.to_owned(),
                    systems: ids(),
                }),
            (None, [system]) => Ok(system),
            (None, _) => Err(ChoiceError::SeveralSystems(ids())),
        }
    }

    /// The configuration to use: the one of this `ovf:id`, else the default one if there are any.
    ///
    /// # Errors
    ///
    /// If there is none of this identifier.
    pub fn choose_configuration(
        &self,
        id: Option<&str>,
    ) -> Result<Option<&DeploymentConfiguration>, ChoiceError> {
        let Some(id) = id else {
            return Ok(self.default_configuration());
        };
        let found = self.configurations.iter().find(|one| one.id == id);
        found
            .map(Some)
            .ok_or_else(|| ChoiceError::UnknownConfiguration {
                id: id.to_owned(),
                configurations: self
                    .configurations
                    .iter()
                    .map(|one| one.id.clone())
                    .collect(),
            })
    }

    /// The file of this `ovf:id`.
    #[must_use]
    pub fn file(&self, id: &str) -> Option<&File> {
        self.files.iter().find(|file| file.id == id)
    }

    /// The disk of this `ovf:diskId`.
    #[must_use]
    pub fn disk(&self, id: &str) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.id == id)
    }
}

impl Content {
    /// `ovf:id` of the system or collection.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::System(system) => &system.id,
            Self::Collection(collection) => &collection.id,
        }
    }

    /// The products of the system or collection itself.
    #[must_use]
    pub fn products(&self) -> &[ProductSection] {
        match self {
            Self::System(system) => &system.products,
            Self::Collection(collection) => &collection.products,
        }
    }

    fn collect<'c>(&'c self, found: &mut Vec<&'c System>) {
        match self {
            Self::System(system) => found.push(system),
            Self::Collection(collection) => {
                for member in &collection.members {
                    member.collect(found);
                }
            }
        }
    }
}

impl Collection {
    fn parent_of(&self, id: &str) -> Option<&Self> {
        if self.members.iter().any(|member| member.id() == id) {
            return Some(self);
        }
        self.members.iter().find_map(|member| match member {
            Content::Collection(collection) => collection.parent_of(id),
            Content::System(_) => None,
        })
    }
}
