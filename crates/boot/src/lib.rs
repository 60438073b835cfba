//! Boots a guest in qemu on a throw-away overlay and says what came up: the proof of a conversion.
//!
//! [`boot`] starts the disks on hardware as KubeVirt and libvirt give it (q35, every virtio device
//! behind its own PCIe root port), reads the serial console until a login prompt, a known failure or
//! the time limit, and, given a login, asks the guest for its network cards and addresses. The disks
//! are never written to: qemu writes into overlays that vanish with it.
//!
//! [`Hardware::Vmware`] shows the same guest as it was before the move.

mod console;
mod error;
mod facts;
mod firmware;
pub mod kvm;
mod login;
mod machine;
mod options;
mod process;
mod qemu;
mod qmp;
mod report;
mod serial;
mod session;
mod watch;

pub use error::Error;
pub use kvm::{Accel, AccelChoice, Kvm};
pub use options::{DiskBus, Hardware, Login, NicSpec, Options, ParseOptionError};
pub use refit_image::{DiskSpec, ImageError, Options as ImageOptions};
pub use report::{BootReport, CommandReport, FactsFrom, NicReport, Outcome};
pub use session::boot;
