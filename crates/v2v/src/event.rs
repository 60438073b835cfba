//! What the observer of a run is told.

use std::time::Duration;

use serde::Serialize;

/// A step of virt-v2v, under a name that stays the same across its versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The source is examined and served to the appliance.
    Setup,
    /// The appliance starts with the source's disks.
    Open,
    /// File systems are checked (2.7.16 and later), before or after the conversion.
    Fsck,
    /// The operating system is looked for.
    Inspect,
    /// Free space in the guest is checked.
    Check,
    /// The guest is converted.
    Convert,
    /// Files are relabelled, scripts installed, random seed and machine ID set (2.5.8 and later).
    Customize,
    /// Unused blocks are discarded, so that they need not be copied.
    Trim,
    /// The overlay is closed.
    Close,
    /// Buses and firmware of the target are decided.
    Target,
    /// The output disks are created.
    Destination,
    /// A disk is copied.
    Copy,
    /// The output's description is written.
    Metadata,
    /// Everything is done but the tidying.
    Finish,
    /// A step that this version of refit does not know.
    Other,
}

impl Phase {
    /// The stable identifier, as in the report's JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Open => "open",
            Self::Fsck => "fsck",
            Self::Inspect => "inspect",
            Self::Check => "check",
            Self::Convert => "convert",
            Self::Customize => "customize",
            Self::Trim => "trim",
            Self::Close => "close",
            Self::Target => "target",
            Self::Destination => "destination",
            Self::Copy => "copy",
            Self::Metadata => "metadata",
            Self::Finish => "finish",
            Self::Other => "other",
        }
    }

    /// Whether the appliance of this phase may still be starting.
    #[must_use]
    pub(crate) fn is_launch(self) -> bool {
        self == Self::Open
    }

    /// The phase that a progress message of virt-v2v 1.4x to 2.13 announces.
    #[must_use]
    pub(crate) fn of_message(text: &str) -> Self {
        STARTS
            .iter()
            .find(|(start, _)| text.starts_with(start))
            .map_or(Self::Other, |(_, phase)| *phase)
    }
}

/// The first words of virt-v2v's progress messages. Longer starts come before shorter ones.
const STARTS: &[(&str, Phase)] = &[
    ("Setting up the source", Phase::Setup),
    ("Setting up the destination", Phase::Destination),
    ("Initializing the target", Phase::Destination),
    ("Creating an overlay", Phase::Setup),
    ("Opening the source -i", Phase::Setup),
    ("Opening the ", Phase::Open),
    ("Checking filesystem integrity", Phase::Fsck),
    ("Inspecting the ", Phase::Inspect),
    ("Detecting if this guest uses BIOS or UEFI", Phase::Inspect),
    ("Detecting the boot device", Phase::Inspect),
    ("Checking for sufficient free disk space", Phase::Check),
    ("Estimating space required", Phase::Check),
    ("Converting ", Phase::Convert),
    ("Setting a random seed", Phase::Customize),
    ("Setting the machine ID", Phase::Customize),
    ("SELinux relabelling", Phase::Customize),
    ("Mapping filesystem data", Phase::Trim),
    ("Closing the overlay", Phase::Close),
    ("Assigning disks to buses", Phase::Target),
    ("Checking if the guest needs BIOS or UEFI", Phase::Target),
    ("Copying disk ", Phase::Copy),
    ("Creating output metadata", Phase::Metadata),
    ("Finishing off", Phase::Finish),
];

/// One piece of news from a running virt-v2v.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step has begun.
    Phase {
        /// Which.
        phase: Phase,
        /// virt-v2v's own words.
        text: String,
        /// The disk that [`Phase::Copy`] begins with, counted from 1, and how many there are.
        disk: Option<(u32, u32)>,
        /// Time since this attempt was started.
        at: Duration,
    },
    /// A disk is being copied.
    Copy {
        /// Number of the disk, from 1. With `parallel`, the one that was begun last.
        disk: u32,
        /// How many disks there are.
        disks: u32,
        /// 0 to 100.
        percent: u8,
        /// Bytes of the virtual disk that are done, if its size is known.
        bytes: Option<u64>,
        /// Virtual size of the disk in bytes, if known.
        total: Option<u64>,
    },
    /// virt-v2v warns.
    Warning(String),
    /// virt-v2v informs.
    Info(String),
    /// The appliance did not come up and is started again; the text says why and how.
    Relaunch(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_of_old_and_new_versions() {
        for (text, phase) in [
            ("Setting up the source: -i disk i.img", Phase::Setup),
            ("Opening the source -i disk /v.raw", Phase::Setup),
            ("Opening the source", Phase::Open),
            ("Opening the overlay", Phase::Open),
            (
                "Checking filesystem integrity before conversion",
                Phase::Fsck,
            ),
            (
                "Checking if the guest needs BIOS or UEFI to boot",
                Phase::Target,
            ),
            ("Converting Ubuntu20-mig to run on KVM", Phase::Convert),
            ("Copying disk 1/2", Phase::Copy),
            ("Something that nobody knows", Phase::Other),
        ] {
            assert_eq!(Phase::of_message(text), phase, "{text}");
        }
    }

    #[test]
    fn identifiers_are_what_serde_writes() {
        for (_, phase) in STARTS {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.id());
        }
    }
}
