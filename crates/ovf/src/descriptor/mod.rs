//! OVF descriptors as typed data.

mod hardware_section;
mod model;
mod problem;
mod product;

pub use hardware_section::{Bound, HardwareSection, Item, Setting};
pub use model::{
    Capacity, Collection, Compression, Content, DeploymentConfiguration, Disk, Envelope,
    EnvironmentFile, Eula, File, Install, IpAssignment, Network, OperatingSystem, Startup, System,
    UnknownSection, Version, VirtualBox,
};
pub use problem::{Place, Problem, Severity};
pub use product::{ConfigurationValue, ProductSection, Property, PropertyType};
