//! Failures in plain words: what happened, and what to do.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// One of several operating systems in a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootChoice {
    /// Device of its root file system, as `--os-device` takes it.
    pub device: String,
    /// Its name; empty if unknown.
    pub product: String,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// A program that is needed is not installed.
    ToolMissing {
        /// Its name.
        name: String,
    },
    /// No operating system was found.
    NoOperatingSystem,
    /// Several operating systems were found and none was chosen.
    SeveralOperatingSystems {
        /// Those that were found.
        roots: Vec<RootChoice>,
    },
    /// The chosen root device is not one.
    WrongRootDevice,
    /// virt-v2v does not convert this operating system.
    UnsupportedGuest {
        /// Its type and distribution.
        guest: String,
    },
    /// Windows was hibernated, or its file system was not closed.
    DirtyNtfs,
    /// An encrypted disk, and no key or the wrong one.
    EncryptedNoKey,
    /// The host has no space left, in the output or the temporary directory.
    NoSpaceHost,
    /// A file system of the guest is too full to be converted.
    NoSpaceGuest {
        /// Its mount point.
        filesystem: String,
    },
    /// Windows would have been converted without virtio drivers.
    NoVirtioDrivers,
    /// `rhsrvany.exe` is missing, without which Windows cannot be converted.
    NoFirstbootService,
    /// Another process uses the image.
    ImageInUse,
    /// The image is truncated or damaged.
    ImageBroken,
    /// The input is not what it was said to be.
    NotADiskImage,
    /// A file or directory does not exist.
    NotFound,
    /// A file may not be read or written.
    PermissionDenied,
    /// The appliance did not start.
    ApplianceFailed,
    /// A file system of the guest is damaged.
    DamagedFilesystem,
    /// A registry hive, a package database or a tool of the guest is damaged or missing.
    DamagedGuest,
    /// An option that this virt-v2v does not take.
    BadOption,
    /// The run was cancelled.
    Interrupted,
    /// A signal from elsewhere ended virt-v2v.
    Killed {
        /// Number of the signal.
        signal: i32,
    },
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// The stable identifier, as in the report's JSON.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::ToolMissing { .. } => "tool-missing",
            Self::NoOperatingSystem => "no-operating-system",
            Self::SeveralOperatingSystems { .. } => "several-operating-systems",
            Self::WrongRootDevice => "wrong-root-device",
            Self::UnsupportedGuest { .. } => "unsupported-guest",
            Self::DirtyNtfs => "dirty-ntfs",
            Self::EncryptedNoKey => "encrypted-no-key",
            Self::NoSpaceHost => "no-space-host",
            Self::NoSpaceGuest { .. } => "no-space-guest",
            Self::NoVirtioDrivers => "no-virtio-drivers",
            Self::NoFirstbootService => "no-firstboot-service",
            Self::ImageInUse => "image-in-use",
            Self::ImageBroken => "image-broken",
            Self::NotADiskImage => "not-a-disk-image",
            Self::NotFound => "not-found",
            Self::PermissionDenied => "permission-denied",
            Self::ApplianceFailed => "appliance-failed",
            Self::DamagedFilesystem => "damaged-filesystem",
            Self::DamagedGuest => "damaged-guest",
            Self::BadOption => "bad-option",
            Self::Interrupted => "interrupted",
            Self::Killed { .. } => "killed",
            Self::Other => "other",
        }
    }

    /// Whether virt-v2v does not convert this kind of guest, however complete and sound it is.
    #[must_use]
    pub fn refuses_guest(&self) -> bool {
        matches!(
            self,
            Self::UnsupportedGuest { .. } | Self::NoOperatingSystem
        )
    }

    /// What happened.
    fn summary(&self) -> String {
        match self {
            Self::ToolMissing { name } => format!("{name} is not installed"),
            Self::NoOperatingSystem => "no operating system was found on the disks".into(),
            Self::SeveralOperatingSystems { roots } => {
                let list: Vec<String> = roots
                    .iter()
                    .map(|root| match root.product.as_str() {
                        "" => root.device.clone(),
                        product => format!("{} ({product})", root.device),
                    })
                    .collect();
                match list.as_slice() {
                    [] => "the guest has several operating systems".into(),
                    list => format!(
                        "the guest has several operating systems: {}",
                        list.join(", ")
                    ),
                }
            }
            Self::WrongRootDevice => {
                "the chosen device is not the root of an operating system".into()
            }
            Self::UnsupportedGuest { guest } => {
                format!("virt-v2v cannot convert this operating system: {guest}")
            }
            Self::DirtyNtfs => "the Windows guest is hibernated or was not shut down".into(),
            Self::EncryptedNoKey => "a disk of the guest is encrypted and no key opens it".into(),
            Self::NoSpaceHost => "the host has no space left for the conversion".into(),
            Self::NoSpaceGuest { filesystem } => {
                format!("the guest's file system {filesystem} is too full")
            }
            Self::NoVirtioDrivers => "no virtio drivers were found for this Windows guest".into(),
            Self::NoFirstbootService => {
                "rhsrvany.exe is missing, which converting Windows needs".into()
            }
            Self::ImageInUse => "the image is in use by another process".into(),
            Self::ImageBroken => "the image is truncated or damaged".into(),
            Self::NotADiskImage => "the input is not what it should be".into(),
            Self::NotFound => "a file or directory does not exist".into(),
            Self::PermissionDenied => "permission denied".into(),
            Self::ApplianceFailed => "the libguestfs appliance did not start".into(),
            Self::DamagedFilesystem => "a file system of the guest is damaged".into(),
            Self::DamagedGuest => {
                "something in the guest that a conversion needs is damaged or missing".into()
            }
            Self::BadOption => "virt-v2v does not accept these options".into(),
            Self::Interrupted => "the conversion was interrupted".into(),
            Self::Killed { signal } => format!("virt-v2v was killed by signal {signal}"),
            Self::Other => "virt-v2v failed".into(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::ToolMissing { .. } => "Install it; `refit doctor` names the packages.",
            Self::NoOperatingSystem => {
                "Check that this is the guest's system disk and that all disks of a multi-disk guest are given (use its .vmx, OVA or libvirt XML); `--engine refit` delivers the disks as they are."
            }
            Self::SeveralOperatingSystems { .. } => "Choose one with `--os-device DEVICE`.",
            Self::WrongRootDevice => {
                "Choose one of the devices that are named, with `--os-device DEVICE`."
            }
            Self::UnsupportedGuest { .. } => {
                "virt-v2v(1) lists what it supports; `--engine refit` converts this guest without it."
            }
            Self::DirtyNtfs => {
                "Start the guest on its old host, switch Fast Startup off (`powercfg /h off`), shut it down completely, and export it again."
            }
            Self::EncryptedNoKey => {
                "Give the key with `--key DEVICE:file:PATH` (or a BitLocker recovery key in the same way)."
            }
            Self::NoSpaceHost => {
                "Free some space, or choose another output directory or temporary directory (TMPDIR; 1 GiB at least)."
            }
            Self::NoSpaceGuest { .. } => {
                "Free some space in the guest on its old host and export it again."
            }
            Self::NoVirtioDrivers => {
                "Give the drivers with `--virtio-win PATH` (the virtio-win ISO or its content); check that they cover this version of Windows."
            }
            Self::NoFirstbootService => {
                "Install the package rhsrvany (Debian 12: from bookworm-backports), or build refit's own with `cargo xtask firstboot`."
            }
            Self::ImageInUse => {
                "Shut down the virtual machine or the tool that uses the image, or work on a copy."
            }
            Self::ImageBroken => "Copy or export the image again; `qemu-img check` says more.",
            Self::NotADiskImage => "Check the path, and the format if you gave one.",
            Self::NotFound => "Check the path.",
            Self::PermissionDenied => {
                "Check the permissions of the file and of the directories above it, and which user refit runs as."
            }
            Self::ApplianceFailed => {
                "Run `libguestfs-test-tool`; try LIBGUESTFS_BACKEND=direct, and LIBGUESTFS_BACKEND_SETTINGS=force_tcg if KVM is at fault."
            }
            Self::DamagedFilesystem => {
                "Check and repair the file system in the guest on its old host, and export it again."
            }
            Self::DamagedGuest => {
                "Check that the guest is complete and starts on its old host, then export it again."
            }
            Self::BadOption => "Use a newer virt-v2v, or leave the option out.",
            Self::Interrupted => "The source is unchanged; run the command again.",
            Self::Killed { .. } => {
                "Look for the cause, often the kernel's out-of-memory killer (`dmesg`)."
            }
            Self::Other => "The log tells more.",
        }
    }
}

/// A run that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", self.kind.summary(), self.in_its_own_words())]
pub struct ConvertError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The tool's own words, or what refit saw; may be empty.
    pub detail: String,
    /// The full log, if the run got that far.
    pub log: Option<PathBuf>,
}

impl ConvertError {
    /// An error without a log.
    #[must_use]
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            log: None,
        }
    }

    /// The same error with the log named.
    #[must_use]
    pub fn with_log(mut self, log: &Path) -> Self {
        self.log = Some(log.to_owned());
        self
    }

    /// The kind, to branch on.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        self.kind.advice()
    }

    fn in_its_own_words(&self) -> String {
        match self.detail.as_str() {
            "" => String::new(),
            detail => format!(": {detail}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_lists_the_choices() {
        let error = ConvertError::new(
            ErrorKind::SeveralOperatingSystems {
                roots: vec![
                    RootChoice {
                        device: "/dev/sda1".into(),
                        product: "Debian GNU/Linux 12".into(),
                    },
                    RootChoice {
                        device: "/dev/sdb1".into(),
                        product: String::new(),
                    },
                ],
            },
            "",
        );
        assert_eq!(
            error.to_string(),
            "the guest has several operating systems: /dev/sda1 (Debian GNU/Linux 12), /dev/sdb1"
        );
        assert!(error.advice().contains("--os-device"));
    }
}
