//! All that somebody who deploys an appliance wants to know, as data.

mod build;

use std::collections::BTreeMap;

use refit_machine::{Firmware, Nic};
use serde::Serialize;

use crate::archive::Note;
use crate::archive::image::ImageFormat;
use crate::descriptor::{
    EnvironmentFile, Eula, Install, IpAssignment, OperatingSystem, Problem, Startup,
    UnknownSection, Version,
};

pub use build::inspect;

/// An appliance.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// `refit/ova-inspect/v1`.
    pub schema: &'static str,
    /// Name of the descriptor in the package.
    pub descriptor: String,
    /// Version of OVF.
    pub version: Version,
    /// The deployment configuration that sizes and defaults are given for.
    pub configuration: Option<String>,
    /// Machines in the descriptor's order.
    pub systems: Vec<SystemSummary>,
    /// Collections around them, outermost first.
    pub collections: Vec<CollectionSummary>,
    /// Virtual disks.
    pub disks: Vec<DiskSummary>,
    /// All files of the package that the descriptor names.
    pub files: Vec<FileSummary>,
    /// Networks.
    pub networks: Vec<NetworkSummary>,
    /// Sizes to choose from.
    pub configurations: Vec<ConfigurationSummary>,
    /// All properties of all systems and collections.
    pub properties: Vec<PropertySummary>,
    /// How the guests want their environment document, all together.
    pub transports: Vec<String>,
    /// Licences that are not of one system.
    pub eulas: Vec<Eula>,
    /// Note that is not of one system.
    pub annotation: Option<String>,
    /// Languages that texts are there in.
    pub locales: Vec<String>,
    /// Name of the manifest, if there is one.
    pub manifest: Option<String>,
    /// Name of the certificate, if there is one.
    pub certificate: Option<String>,
    /// Sections outside of systems that are not read.
    pub unknown_sections: Vec<UnknownSection>,
    /// What breaks the rules in the descriptor.
    pub problems: Vec<Problem>,
    /// What is odd about the package.
    pub notes: Vec<Note>,
}

/// A machine.
#[derive(Debug, Clone, Serialize)]
pub struct SystemSummary {
    /// `ovf:id`.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it is.
    pub info: Option<String>,
    /// The collection that it is a member of.
    pub collection: Option<String>,
    /// Software in it, the main one first.
    pub products: Vec<ProductSummary>,
    /// The operating system that it is said to hold.
    pub operating_system: Option<OperatingSystem>,
    /// Number of virtual CPUs; 0 if it is not said.
    pub cpus: u32,
    /// Cores of one socket; 0 if it is not said.
    pub cores_per_socket: u32,
    /// Memory in bytes; 0 if it is not said.
    pub memory: u64,
    /// Firmware.
    pub firmware: Firmware,
    /// Whether Secure Boot is on.
    pub secure_boot: bool,
    /// Whether it has a TPM.
    pub tpm: bool,
    /// Platforms that its hardware is described for.
    pub platforms: Vec<String>,
    /// Its disks in boot order.
    pub disks: Vec<AttachedSummary>,
    /// Network cards in the descriptor's order.
    pub nics: Vec<Nic>,
    /// Images in its CD and DVD drives.
    pub media: Vec<String>,
    /// How it wants its environment document.
    pub transports: Vec<String>,
    /// Properties of its own.
    pub properties: Vec<PropertySummary>,
    /// Lines of VMware's configuration that its guest may ask for (`guestinfo.*`), and others.
    pub extra_config: BTreeMap<String, String>,
    /// Licences.
    pub eulas: Vec<Eula>,
    /// Note for people.
    pub annotation: Option<String>,
    /// Whether it must be started once to install itself.
    pub install: Option<Install>,
    /// When it is started within its collection.
    pub startup: Option<Startup>,
    /// Files beside its environment document.
    pub environment_files: Vec<EnvironmentFile>,
    /// VMware's rules for addresses.
    pub ip_assignment: Option<IpAssignment>,
    /// What will not be carried over.
    pub lost: Vec<String>,
    /// Sections that are not read.
    pub unknown_sections: Vec<UnknownSection>,
}

/// A collection.
#[derive(Debug, Clone, Serialize)]
pub struct CollectionSummary {
    /// `ovf:id`.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// What it is.
    pub info: Option<String>,
    /// The collection that it is a member of.
    pub collection: Option<String>,
    /// `ovf:id` of its members.
    pub members: Vec<String>,
    /// Software.
    pub products: Vec<ProductSummary>,
    /// Properties that its members see.
    pub properties: Vec<PropertySummary>,
    /// Start order.
    pub startup: Vec<Startup>,
    /// Licences.
    pub eulas: Vec<Eula>,
    /// Note for people.
    pub annotation: Option<String>,
}

/// A product.
#[derive(Debug, Clone, Serialize)]
pub struct ProductSummary {
    /// Class of its properties.
    pub class: String,
    /// Instance of its properties.
    pub instance: String,
    /// Name.
    pub product: Option<String>,
    /// Vendor.
    pub vendor: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Version for people.
    pub full_version: Option<String>,
    /// Page about it.
    pub product_url: Option<String>,
    /// Page of the vendor.
    pub vendor_url: Option<String>,
    /// Where the deployed software can be reached.
    pub app_url: Option<String>,
}

/// A property.
#[derive(Debug, Clone, Serialize)]
pub struct PropertySummary {
    /// `ovf:id` of the system or collection that it is of.
    pub owner: String,
    /// Key as declared.
    pub key: String,
    /// Class.
    pub class: String,
    /// Instance.
    pub instance: String,
    /// Key in the environment.
    pub qualified: String,
    /// Type as declared.
    pub r#type: String,
    /// Whether the user may set it.
    pub user_configurable: bool,
    /// Whether it is a secret.
    pub password: bool,
    /// Default in the configuration that is looked at.
    pub default: Option<String>,
    /// Other defaults by configuration.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, String>,
    /// Configurations that it exists in; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configurations: Vec<String>,
    /// Constraints as declared.
    pub qualifiers: Option<String>,
    /// VMware's constraints as declared.
    pub vendor_qualifiers: Option<String>,
    /// Name for people.
    pub label: Option<String>,
    /// Explanation for people.
    pub description: Option<String>,
    /// Category.
    pub category: Option<String>,
}

/// A disk of a machine.
#[derive(Debug, Clone, Serialize)]
pub struct AttachedSummary {
    /// [`DiskSummary::id`].
    pub id: Option<String>,
    /// Bus (`scsi`, `sata`, `ide`, `nvme`), if it is known.
    pub bus: Option<String>,
    /// Virtual size in bytes in the configuration that is looked at.
    pub capacity: Option<u64>,
    /// `href` of its content; none for a blank disk.
    pub href: Option<String>,
}

/// A virtual disk.
#[derive(Debug, Clone, Serialize)]
pub struct DiskSummary {
    /// `ovf:diskId`.
    pub id: String,
    /// Virtual size in bytes that the descriptor gives.
    pub capacity: Option<u64>,
    /// The property that the size comes from.
    pub capacity_property: Option<String>,
    /// [`FileSummary::id`]; none for a blank disk.
    pub file: Option<String>,
    /// Bytes that it takes in the package.
    pub stored_size: Option<u64>,
    /// Virtual size in bytes that the image itself gives.
    pub virtual_size: Option<u64>,
    /// Format by content.
    pub format: Option<ImageFormat>,
    /// Address of its format as declared.
    pub declared_format: Option<String>,
    /// Estimate of the bytes in use.
    pub populated_size: Option<u64>,
    /// The disk that it holds the differences to.
    pub parent: Option<String>,
}

/// A file.
#[derive(Debug, Clone, Serialize)]
pub struct FileSummary {
    /// `ovf:id`.
    pub id: String,
    /// As written.
    pub href: String,
    /// Size in bytes that the descriptor gives.
    pub size: Option<u64>,
    /// Bytes in the package; none if it is not there.
    pub stored_size: Option<u64>,
    /// In how many pieces it is stored.
    pub pieces: usize,
    /// Compression, if any.
    pub compression: Option<String>,
    /// Why it cannot be used.
    pub error: Option<String>,
}

/// A network.
#[derive(Debug, Clone, Serialize)]
pub struct NetworkSummary {
    /// Name.
    pub name: String,
    /// Explanation.
    pub description: Option<String>,
}

/// A deployment configuration.
#[derive(Debug, Clone, Serialize)]
pub struct ConfigurationSummary {
    /// `ovf:id`.
    pub id: String,
    /// For people.
    pub label: Option<String>,
    /// Explanation.
    pub description: Option<String>,
    /// Whether it is the one that is used if none is chosen.
    pub default: bool,
    /// What each system has in it.
    pub sizes: Vec<Size>,
}

/// What a system has in a configuration.
#[derive(Debug, Clone, Serialize)]
pub struct Size {
    /// `ovf:id` of the system.
    pub system: String,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Number of disks.
    pub disks: usize,
    /// Number of network cards.
    pub nics: usize,
}
