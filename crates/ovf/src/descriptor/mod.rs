//! OVF descriptors as typed data.
//!
//! [`Envelope::parse`] reads what producers really write: OVF 0.9, 1.x and 2.x under any prefix, with the
//! forms of VMware, VirtualBox, Cisco, Oracle, Proxmox, oVirt and `XenServer`. A broken rule does not keep
//! the rest from being read: it is a [`Problem`] with its place.

mod context;
mod devices;
mod hardware;
mod hardware_read;
mod hardware_section;
mod model;
mod parse;
mod problem;
mod product;
mod properties_read;
mod references;
mod start;
mod strings;
mod systems;
pub(crate) mod units;

pub use devices::{Attached, Hardware};
pub use hardware_section::{Bound, HardwareSection, Item, Setting};
pub use model::{
    Capacity, ChoiceError, Collection, Compression, Content, DeploymentConfiguration, Disk,
    Envelope, EnvironmentFile, Eula, File, Install, IpAssignment, Network, OperatingSystem,
    Startup, System, UnknownSection, Version, VirtualBox,
};
pub use parse::{DescriptorError, MAX_SIZE};
pub use problem::{Place, Problem, Severity};
pub use product::{ConfigurationValue, ProductSection, Property, PropertyType};
pub use start::Start;
pub use strings::LoadBundle;
