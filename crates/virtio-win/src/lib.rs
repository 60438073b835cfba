//! Driver sets for Windows guests, as virtio-win delivers them.
//!
//! A driver is chosen by what its INF file says of itself, not by the folder that it lies in:
//! [`Inf`] reads the text, [`Package`] what it means to Plug and Play, [`Source`] holds all
//! packages of an ISO or a directory, and [`choose()`] takes the best of each for one Windows.
//! Nothing here knows a guest: facts go in, packages and bytes come out.

#![forbid(unsafe_code)]

mod choose;
pub mod devices;
mod driver_ver;
mod inf;
mod os;
mod package;
mod registry;
mod signature;
mod source;

pub use choose::{Choice, Chosen, Refusal, choose};
pub use driver_ver::DriverVer;
pub use inf::{Inf, InfError, Line};
pub use os::{Arch, Decoration, ProductType, Windows};
pub use package::{Model, Package};
pub use registry::{RegData, RegValue, Service};
pub use signature::{Digest, catalog_digests, image_digests};
pub use source::{DriverFiles, Found, Place, Source, locate};
