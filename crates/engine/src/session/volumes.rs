//! What is on the disks: partitions and volumes, and what each holds.
//!
//! One question to blkid(8) for each answers everything, where libguestfs has a call for the kind, one for the
//! UUID, and slow ones for partition tables (parted and sgdisk, with udev after each).

use anyhow::Context as _;
use refit_guestfs::Handle;
use refit_machine::Firmware;

use super::ntfs;
use crate::facts::BlockDevice;

/// Type of an EFI system partition in a GPT (UEFI specification, table "Defined GPT Partition
/// Entry - Partition Type GUIDs").
const GPT_ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
/// Type of the partition that GRUB for BIOS embeds itself in.
const GPT_BIOS_BOOT: &str = "21686148-6449-6e6f-744e-656564454649";
/// Type of the read-only `/usr` of Flatcar and its relatives, in a GPT (Flatcar, "Disk layout"). A checksum
/// over it (dm-verity) is checked at boot.
const GPT_SEALED_USR: &str = "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6";
/// blkid's word for a physical volume of LVM.
const LVM: &str = "LVM2_member";

/// A disk, a partition or a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Volume {
    /// libguestfs's name.
    pub(super) device: String,
    /// What it holds by blkid's name; empty if nothing known.
    pub(super) kind: String,
    /// UUID of that, empty if it has none.
    pub(super) uuid: String,
    /// Its place in a partition table, if it has one.
    partition: Option<Partition>,
}

/// An entry of a partition table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Partition {
    number: u32,
    /// Its type in a GPT, in small letters.
    gpt_type: Option<String>,
}

/// Everything that may hold a file system or an encrypted volume.
#[derive(Debug, Clone, Default)]
pub(super) struct Volumes {
    /// The disks, in the order in which they were given.
    disks: Vec<String>,
    list: Vec<Volume>,
}

impl Volumes {
    /// Looks. What encrypted volumes hold is there once they are open.
    ///
    /// # Errors
    /// If the appliance cannot list them. One that cannot be read holds nothing known.
    pub(super) fn look(handle: &Handle) -> anyhow::Result<Self> {
        let disks = handle.list_devices().context("listing disks")?;
        let mut devices = disks.clone();
        devices.extend(
            handle
                .list_partitions()
                .context("listing partitions of disks")?,
        );
        devices.extend(
            handle
                .list_md_devices()
                .context("listing software RAID devices")?,
        );
        devices.extend(
            handle
                .list_dm_devices()
                .context("listing devices of the device mapper")?,
        );
        let mut list = devices
            .into_iter()
            .map(|device| Volume::probe(handle, device))
            .collect::<Vec<_>>();
        if list.iter().any(|volume| volume.kind == LVM) {
            let logical = handle.lvs().context("listing logical volumes")?;
            list.extend(
                logical
                    .into_iter()
                    .map(|device| Volume::probe(handle, device)),
            );
        }
        Ok(Self { disks, list })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Volume> {
        self.list.iter()
    }

    /// What `device` holds; empty if nothing known.
    pub(super) fn kind(&self, device: &[u8]) -> &str {
        self.find(device).map_or("", |volume| &volume.kind)
    }

    /// UUID of what `device` holds; empty if it has none.
    pub(super) fn uuid(&self, device: &[u8]) -> &str {
        self.find(device).map_or("", |volume| &volume.uuid)
    }

    fn find(&self, device: &[u8]) -> Option<&Volume> {
        self.iter()
            .find(|volume| volume.device.as_bytes() == device)
    }

    /// Whether a partition must never be mounted for writing, since even that changes it.
    pub(super) fn is_sealed(&self, device: &[u8]) -> bool {
        self.of_type(GPT_SEALED_USR)
            .any(|sealed| sealed.as_bytes() == device)
    }

    /// The EFI system partitions.
    pub(super) fn efi(&self) -> impl Iterator<Item = &str> {
        self.of_type(GPT_ESP)
    }

    /// A GPT with an EFI system partition and without a BIOS boot partition boots with UEFI; so does
    /// virt-v2v decide.
    pub(super) fn firmware(&self) -> Firmware {
        let has_bios_boot = self.of_type(GPT_BIOS_BOOT).next().is_some();
        if has_bios_boot || self.efi().next().is_none() {
            Firmware::Bios
        } else {
            Firmware::Uefi
        }
    }

    fn of_type<'v>(&'v self, wanted: &'v str) -> impl Iterator<Item = &'v str> {
        self.iter()
            .filter(move |volume| {
                let partition = volume.partition.as_ref();
                partition.and_then(|partition| partition.gpt_type.as_deref()) == Some(wanted)
            })
            .map(|volume| volume.device.as_str())
    }

    /// Everything with a file system, swap space, an encrypted or another volume on it.
    pub(super) fn facts(&self, handle: &Handle) -> Vec<BlockDevice> {
        self.iter()
            .filter(|volume| !volume.kind.is_empty())
            .map(|volume| {
                let ntfs::Volume { dirty, label } = match volume.kind.as_str() {
                    "ntfs" => ntfs::volume(handle, &volume.device).unwrap_or_default(),
                    _ => ntfs::Volume::default(),
                };
                BlockDevice {
                    device: volume.device.clone(),
                    disk: self.disk(volume),
                    partition: volume.partition.as_ref().map(|partition| partition.number),
                    kind: volume.kind.clone(),
                    uuid: Some(volume.uuid.clone()).filter(|uuid| !uuid.is_empty()),
                    label,
                    dirty,
                }
            })
            .collect()
    }

    /// Which disk it is or is on, from 0.
    fn disk(&self, volume: &Volume) -> Option<usize> {
        self.disks.iter().position(|disk| match &volume.partition {
            // The appliance's disks are SCSI disks all: `/dev/sda1`.
            Some(Partition { number, .. }) => volume.device == format!("{disk}{number}"),
            None => volume.device == *disk,
        })
    }
}

impl Volume {
    fn probe(handle: &Handle, device: String) -> Self {
        match handle.blkid(&device) {
            Ok(tags) => Self::read(device, &tags),
            // It refuses to choose between several kinds, also where the partition table is clear.
            Err(error) => {
                tracing::debug!("{error}");
                Self::ask(handle, device)
            }
        }
    }

    /// From what blkid says. No value that counts here has a character that it would mask.
    fn read(device: String, tags: &[(Vec<u8>, Vec<u8>)]) -> Self {
        let tag = |name: &str| {
            let value = tags.iter().find(|(key, _)| key == name.as_bytes());
            value.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        };
        let number = tag("PART_ENTRY_NUMBER").and_then(|number| number.parse().ok());
        let is_gpt = tag("PART_ENTRY_SCHEME").as_deref() == Some("gpt");
        Self {
            kind: tag("TYPE").unwrap_or_default(),
            uuid: tag("UUID").unwrap_or_default(),
            partition: number.map(|number| Partition {
                number,
                gpt_type: tag("PART_ENTRY_TYPE")
                    .filter(|_| is_gpt)
                    .map(|kind| kind.to_lowercase()),
            }),
            device,
        }
    }

    /// From single questions, each of which may have no answer.
    fn ask(handle: &Handle, device: String) -> Self {
        let partition = handle.part_to_partnum(&device).ok().map(|number| {
            let gpt_type = handle.part_to_dev(&device).ok().and_then(|disk| {
                let scheme = handle.part_get_parttype(&disk).ok()?;
                (scheme == "gpt").then(|| handle.part_get_gpt_type(&disk, number).ok())?
            });
            Partition {
                number,
                gpt_type: gpt_type.map(|kind| kind.to_lowercase()),
            }
        });
        Self {
            kind: handle.vfs_type(&device).unwrap_or_default(),
            uuid: handle.vfs_uuid(&device).unwrap_or_default(),
            partition,
            device,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(device: &str, tags: &[(&str, &str)]) -> Volume {
        let tags: Vec<_> = tags
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        Volume::read(device.to_owned(), &tags)
    }

    fn entry(number: &'static str, kind: &'static str) -> [(&'static str, &'static str); 3] {
        [
            ("PART_ENTRY_SCHEME", "gpt"),
            ("PART_ENTRY_NUMBER", number),
            ("PART_ENTRY_TYPE", kind),
        ]
    }

    fn gpt(types: &[&'static str]) -> Volumes {
        let numbers = ["1", "2", "3", "4"];
        Volumes {
            disks: vec!["/dev/sda".to_owned()],
            list: numbers
                .iter()
                .zip(types)
                .map(|(number, kind)| volume(&format!("/dev/sda{number}"), &entry(number, kind)))
                .collect(),
        }
    }

    #[test]
    fn firmware_by_the_partitions_of_a_gpt() {
        let linux = "0fc63daf-8483-4772-8e79-3d69d8477de4";
        for (types, expected) in [
            (&[linux][..], Firmware::Bios),
            (&[GPT_ESP, linux], Firmware::Uefi),
            (&[GPT_BIOS_BOOT, GPT_ESP, linux], Firmware::Bios),
            (&[], Firmware::Bios),
        ] {
            assert_eq!(gpt(types).firmware(), expected, "{types:?}");
        }
        let found = gpt(&[linux, GPT_SEALED_USR]);
        assert!(found.is_sealed(b"/dev/sda2") && !found.is_sealed(b"/dev/sda1"));
    }

    #[test]
    fn a_type_of_an_mbr_is_none_of_a_gpt() {
        let tags = [
            ("TYPE", "vfat"),
            ("UUID", "A953-10EC"),
            ("PART_ENTRY_SCHEME", "dos"),
            ("PART_ENTRY_NUMBER", "5"),
            ("PART_ENTRY_TYPE", "0xef"),
        ];
        let found = Volumes {
            disks: vec!["/dev/sda".to_owned(), "/dev/sdb".to_owned()],
            list: vec![volume("/dev/sdb5", &tags)],
        };
        assert_eq!(found.firmware(), Firmware::Bios);
        let [volume] = &found.list[..] else {
            unreachable!()
        };
        assert_eq!(found.disk(volume), Some(1));
        assert_eq!(found.kind(b"/dev/sdb5"), "vfat");
        assert_eq!(volume.uuid, "A953-10EC");
    }
}
