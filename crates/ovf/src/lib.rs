//! OVF appliances (DMTF DSP0243): from the file to a machine that configures itself.
//!
//! Pure: nothing here knows a guest or the engine. An appliance is foreign input: everything is
//! read with limits, nothing leads out of the archive, no entity of XML is ever loaded.
//!
//! - [`archive`]: an OVA archive or a directory, read in place.
//! - [`descriptor`]: the descriptor as typed data, [`Envelope`], with a list of what breaks the rules.
//! - [`summary`]: all of it for somebody who deploys the appliance.
//! - [`verify`]: digests, signature, files and disks.

#![forbid(unsafe_code)]

pub mod archive;
pub mod descriptor;
pub mod env;
pub mod properties;
pub mod spec;
pub mod summary;
pub mod verify;

pub use archive::{ArchiveError, Member, Note, Package, PackageError};
pub use descriptor::{
    Capacity, ChoiceError, Collection, Compression, ConfigurationValue, Content,
    DeploymentConfiguration, Disk, Envelope, Eula, File, HardwareSection, Item, Network, Place,
    Problem, ProductSection, Property, PropertyType, Severity, Start, Startup, System, Version,
};
