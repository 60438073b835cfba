//! The Forklift conversion-pod contract: what a controller gives, expects and fetches.

mod disks;
mod goflag;
mod settings;

pub use disks::{Disk, discover, letters};
pub use goflag::FlagError;
pub use settings::{Paths, Settings, Source};
