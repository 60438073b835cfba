//! What a run that went well leaves behind.

use std::path::PathBuf;

use serde::Serialize;

use crate::event::Phase;

/// How long one step took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// Which step.
    pub phase: Phase,
    /// virt-v2v's own words for it.
    pub text: String,
    /// Seconds until the next step, or the end.
    pub seconds: f64,
}

/// What the run said of the guest.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// All warnings, in order.
    pub warnings: Vec<String>,
    /// All informational messages, in order.
    pub infos: Vec<String>,
    /// Steps of the attempt that counted, in order.
    pub timings: Vec<Timing>,
    /// Whether the guest has virtio drivers, if virt-v2v said so.
    pub virtio: Option<bool>,
    /// Whether virt-v2v said that the guest needs UEFI.
    pub firmware_uefi: bool,
    /// The guest as virt-v2v named it; for Debian that is the bare version number.
    pub guest: Option<String>,
    /// Whether the appliance had to be started a second time, without KVM.
    pub relaunched: bool,
    /// The full log.
    pub log: PathBuf,
}

/// A converted guest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conversion {
    /// The libvirt XML that virt-v2v wrote.
    pub xml_path: PathBuf,
    /// Its text.
    #[serde(skip)]
    pub xml: String,
    /// The disks, in the order of the machine.
    pub disks: Vec<PathBuf>,
    /// What the run said.
    pub outcome: Outcome,
}

/// What virt-v2v-inspector found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// Its XML (`<v2v-inspection>`).
    pub xml: String,
    /// What the run said.
    pub outcome: Outcome,
}
