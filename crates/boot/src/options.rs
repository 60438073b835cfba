//! What to boot, and on which hardware.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use refit_machine::{CdromBus, Firmware, Mac};
use serde::Serialize;

use crate::{AccelChoice, DiskSpec, Error, ImageOptions};

/// One network card. The i-th is on a user-mode network of its own, 10.0.(2+i).0/24, where .2 is the
/// gateway, .3 the name server, and DHCP hands out .15.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NicSpec {
    /// The hardware address; if absent qemu chooses one (52:54:00:...).
    pub mac: Option<Mac>,
}

/// Defines an enum that is spelt the same on the command line and in reports.
macro_rules! spelt {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$vmeta])* $variant,)* }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $text,)* })
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ParseOptionError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err($crate::ParseOptionError {
                        what: $what,
                        text: text.to_owned(),
                        allowed: &[$($text),*],
                    }),
                }
            }
        }
    };
}
pub(crate) use spelt;

/// A word that is none of those allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: one of {}", allowed.join(", "))]
pub struct ParseOptionError {
    pub(crate) what: &'static str,
    pub(crate) text: String,
    pub(crate) allowed: &'static [&'static str],
}

spelt! {
    /// The bus that the disks are on. Only with [`Hardware::Virtio`].
    DiskBus, "disk bus" {
        /// virtio-blk, KubeVirt's and libvirt's usual choice.
        #[default]
        Virtio = "virtio",
        /// Disks on one virtio-scsi controller.
        VirtioScsi = "virtio-scsi",
        /// AHCI; at most six disks.
        Sata = "sata",
    }
}

spelt! {
    /// The kind of machine.
    Hardware, "hardware" {
        /// As libvirt and KubeVirt give it: virtio devices, each behind a PCIe root port.
        #[default]
        Virtio = "virtio",
        /// SATA disks and e1000e cards, for a guest without virtio drivers.
        Compatible = "compatible",
        /// As ESXi gives it: pvscsi (with UEFI: NVMe), vmxnet3 in slots 192, 224, 256... (udev: `ens192`, ...),
        /// VMware's SMBIOS.
        Vmware = "vmware",
    }
}

/// How to get into the guest on its serial console.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The account; root sees everything.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// All that [`boot`](crate::boot) needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The guest's disks, in boot order.
    pub disks: Vec<DiskSpec>,
    /// What their images may refer to.
    pub image: ImageOptions,
    /// An ISO image in a CD-ROM drive. It is never booted from.
    pub cdrom: Option<PathBuf>,
    /// The bus of the CD-ROM drive.
    pub cdrom_bus: CdromBus,
    /// Its network cards, in slot order.
    pub nics: Vec<NicSpec>,
    /// Its firmware. Secure Boot is enforced with Microsoft's keys enrolled.
    pub firmware: Firmware,
    /// The bus of its disks.
    pub disk_bus: DiskBus,
    /// The kind of machine.
    pub hardware: Hardware,
    /// Memory in bytes.
    pub memory: u64,
    /// Number of virtual CPUs; by default two, one if they are emulated (see [`crate::Accel::vcpus`]).
    pub vcpus: Option<u32>,
    /// How long to wait for an outcome, from power-on.
    pub timeout: Duration,
    /// How long to wait, after the login, for every network card to have an IPv4 address.
    pub settle: Duration,
    /// KVM or TCG.
    pub accel: AccelChoice,
    /// Asks the guest for facts from inside.
    pub login: Option<Login>,
    /// Text on the serial console that means success, instead of a login prompt.
    pub marker: Option<String>,
    /// Where to save a screenshot (PNG).
    pub screenshot: Option<PathBuf>,
    /// Where to save what the serial console said, control sequences removed, at most 16 MiB.
    pub serial_log: Option<PathBuf>,
    /// Shell commands to run after the login; their output goes into the report.
    pub run: Vec<String>,
}

/// As many devices as find room on the root bus of a q35 machine beside its own.
const MAX_DEVICES: usize = 24;
/// Ports of q35's own controller; the last one is for the CD-ROM drive.
pub(crate) const SATA_PORTS: usize = 6;
/// A terminal in canonical mode takes lines of up to 4095 bytes; room is left for the markers.
const MAX_COMMAND: usize = 3000;

impl Options {
    /// Images that refer to nothing outside of their directories, one virtio NIC, BIOS, 1 GiB, 2 CPUs, 300 s, KVM if it works.
    pub fn new(disks: Vec<DiskSpec>) -> Self {
        Self {
            disks,
            image: ImageOptions::default(),
            cdrom: None,
            cdrom_bus: CdromBus::Sata,
            nics: vec![NicSpec::default()],
            firmware: Firmware::Bios,
            disk_bus: DiskBus::Virtio,
            hardware: Hardware::Virtio,
            memory: 1 << 30,
            vcpus: None,
            timeout: Duration::from_secs(300),
            settle: Duration::from_secs(20),
            accel: AccelChoice::Auto,
            login: None,
            marker: None,
            screenshot: None,
            serial_log: None,
            run: Vec::new(),
        }
    }

    /// Refuses what cannot work before anything is started.
    ///
    /// # Errors
    /// [`Error::Usage`], naming the option and its bounds.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |message: String| Err(Error::Usage(message));
        if self.disks.is_empty() {
            return refuse("no disk to boot from".into());
        }
        if self.disks.len() + self.nics.len() > MAX_DEVICES {
            return refuse(format!(
                "at most {MAX_DEVICES} disks and network cards together"
            ));
        }
        let sata = self.disk_bus == DiskBus::Sata || self.hardware == Hardware::Compatible;
        let beside = self.cdrom.is_some() && self.cdrom_bus == CdromBus::Sata;
        let ports = SATA_PORTS - usize::from(beside);
        if sata && self.disks.len() > ports {
            return refuse(format!(
                "at most {ports} disks on sata{}",
                if beside { " beside a CD-ROM drive" } else { "" }
            ));
        }
        if let Some(cdrom) = &self.cdrom
            && !cdrom.is_file()
        {
            return refuse(format!("the ISO image {} is no file", cdrom.display()));
        }
        if !(64 << 20..=1 << 40).contains(&self.memory) {
            return refuse(format!(
                "memory of {} bytes: from 64 MiB to 1 TiB",
                self.memory
            ));
        }
        if let Some(vcpus) = self.vcpus.filter(|vcpus| !(1..=255).contains(vcpus)) {
            return refuse(format!("{vcpus} CPUs: from 1 to 255"));
        }
        if self
            .marker
            .as_ref()
            .is_some_and(|marker| marker.trim().is_empty())
        {
            return refuse("the marker is empty".into());
        }
        if self.login.is_none() && !self.run.is_empty() {
            return refuse("commands can only be run after a login: give user and password".into());
        }
        let typed = self
            .login
            .iter()
            .flat_map(|login| [&login.user, &login.password]);
        if typed.clone().any(|text| text.chars().any(char::is_control)) {
            return refuse("user and password must not have control characters".into());
        }
        for command in &self.run {
            if command.len() > MAX_COMMAND || command.chars().any(char::is_control) {
                return refuse(format!(
                    "a command to run in the guest must be one line of at most {MAX_COMMAND} bytes without control characters"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_options_are_refused() {
        type Edit = fn(&mut Options);
        let table: [(Edit, &str); 10] = [
            (|o| o.cdrom = Some("/nowhere.iso".into()), "is no file"),
            (
                |o| {
                    o.disk_bus = DiskBus::Sata;
                    o.cdrom = Some("Cargo.toml".into());
                    o.disks = vec![DiskSpec::new("d"); 6];
                },
                "at most 5 disks on sata beside",
            ),
            (
                |o| {
                    o.hardware = Hardware::Compatible;
                    o.disks = vec![DiskSpec::new("d"); 7];
                },
                "6 disks",
            ),
            (|o| o.disks.clear(), "no disk"),
            (|o| o.nics = vec![NicSpec::default(); 24], "at most 24"),
            (
                |o| (o.disk_bus, o.disks) = (DiskBus::Sata, vec![DiskSpec::new("d"); 7]),
                "6 disks",
            ),
            (|o| o.memory = 1024, "memory"),
            (|o| o.vcpus = Some(0), "CPUs"),
            (|o| o.marker = Some(" ".into()), "marker"),
            (|o| o.run = vec!["id".into()], "after a login"),
        ];
        for (edit, expected) in table {
            let mut options = Options::new(vec![DiskSpec::new("disk.img")]);
            options.check().unwrap();
            edit(&mut options);
            let message = options.check().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn commands_cannot_type_control_characters() {
        let mut options = Options::new(vec![DiskSpec::new("disk.img")]);
        options.login = Some(Login {
            user: "root".into(),
            password: "x".into(),
        });
        options.run = vec!["echo a\u{3}".into()];
        assert!(options.check().is_err());
        options.run = vec!["echo 'a b'".into()];
        options.check().unwrap();
    }

    #[test]
    fn the_password_stays_out_of_debug_output() {
        let login = Login {
            user: "root".into(),
            password: "hunter2".into(),
        };
        assert!(!format!("{login:?}").contains("hunter2"));
    }

    #[test]
    fn words_round_trip() {
        for bus in [DiskBus::Virtio, DiskBus::VirtioScsi, DiskBus::Sata] {
            assert_eq!(bus.to_string().parse::<DiskBus>().unwrap(), bus);
            assert_eq!(serde_json::to_value(bus).unwrap(), bus.to_string());
        }
        let message = "ide".parse::<DiskBus>().unwrap_err().to_string();
        assert_eq!(
            message,
            "\"ide\" is no disk bus: one of virtio, virtio-scsi, sata"
        );
    }
}
