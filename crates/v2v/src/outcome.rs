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
    /// Whether the guest has virtio drivers for its disks, if virt-v2v said so. An old Linux may lack them as well as a
    /// Windows: see [`windows_lacks_drivers`](Self::windows_lacks_drivers).
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

impl Outcome {
    /// Whether the guest is a Windows that would not start from virtio disks, because virt-v2v had no driver for it. A
    /// Linux whose kernels have none is described with an emulated disk instead, and nothing could be added to it.
    #[must_use]
    pub fn windows_lacks_drivers(&self) -> bool {
        let is_windows = || self.guest.iter().any(|name| name.contains("Windows"));
        self.virtio == Some(false) && (self.driver_warning().is_some() || is_windows())
    }

    /// What virt-v2v said of the driver that this version of Windows lacks.
    #[must_use]
    pub fn driver_warning(&self) -> Option<&str> {
        let mut warnings = self.warnings.iter().map(String::as_str);
        warnings.find(|warning| {
            warning.contains("virtio") && warning.contains("for this version of Windows")
        })
    }
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
