//! Which file system an old name meant.

use std::collections::BTreeMap;

use refit_engine::{BlockDevice, Guest};

use super::names::Place;

/// What a name is used for, against which the device that it seems to mean is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role<'r> {
    /// The root file system.
    Root,
    /// A file system of the type that fstab(5) names.
    FileSystem(&'r str),
    /// Swap space, or where the machine hibernates to.
    Swap,
    /// An encrypted volume.
    Encrypted,
}

/// A name's meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    /// UUID of what the device holds.
    pub(super) uuid: String,
    /// How that is known.
    pub(super) by: String,
}

/// All that is known of devices.
#[derive(Debug, Default)]
pub(super) struct Devices {
    /// With their places.
    placed: Vec<BlockDevice>,
    /// By the name that they had.
    named: BTreeMap<String, BlockDevice>,
    /// Where `placed` comes from.
    source: &'static str,
    /// UUID of what is mounted as the root.
    root: Option<String>,
    /// What the guest called the root.
    root_name: Option<String>,
}

/// Caches of blkid(8), with names as they were when the guest last ran.
const BLKID_CACHES: [&str; 4] = [
    "/run/blkid/blkid.tab",
    "/etc/blkid/blkid.tab",
    "/etc/blkid.tab",
    "/dev/.blkid.tab",
];

impl Devices {
    /// What the disks tell; without them, what the guest's files do.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub(super) fn read(guest: &Guest<'_>) -> anyhow::Result<Self> {
        let facts = guest.facts();
        if !facts.devices.is_empty() {
            let mounted = facts.mounts.iter().find(|mount| mount.path == "/");
            let root = mounted.and_then(|mount| {
                // A subvolume is `btrfsvol:/dev/sda1/@`.
                let device = mount.device.trim_start_matches("btrfsvol:");
                let mut devices = facts.devices.iter();
                devices.find(|one| {
                    device == one.device || device.starts_with(&format!("{}/", one.device))
                })
            });
            let fstab = guest.read_text("/etc/fstab")?.unwrap_or_default();
            return Ok(Self {
                placed: facts.devices.clone(),
                named: BTreeMap::new(),
                source: "the order of the disks",
                root: root.and_then(|device| device.uuid.clone()),
                root_name: root_name(&fstab),
            });
        }
        let mut devices = Self {
            source: "the search line of grub.cfg",
            ..Self::default()
        };
        for path in BLKID_CACHES {
            for line in guest.read_text(path)?.unwrap_or_default().lines() {
                if let Some((name, device)) = blkid_line(line) {
                    devices.named.entry(name).or_insert(device);
                }
            }
        }
        for path in ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"] {
            for line in guest.read_text(path)?.unwrap_or_default().lines() {
                devices.placed.extend(grub_search(line));
            }
        }
        devices
            .placed
            .sort_by_key(|one| (one.disk, one.partition, one.uuid.clone()));
        devices.placed.dedup();
        Ok(devices)
    }

    /// What `name`, which means `place`, means for `role`; else why that is not known.
    pub(super) fn meaning(
        &self,
        name: &str,
        place: &Place,
        role: Role<'_>,
    ) -> Result<Meaning, String> {
        if role == Role::Root
            && self.root_name.as_deref() == Some(name)
            && let Some(uuid) = self.root.as_ref().filter(|uuid| is_uuid(uuid))
        {
            return Ok(Meaning {
                uuid: uuid.clone(),
                by: "it is the root".to_owned(),
            });
        }
        let (device, by) = match self.named.get(name) {
            Some(device) => (device, "blkid.tab".to_owned()),
            None => match self.find(place)? {
                Some(device) => (device, format!("{place} ({})", self.source)),
                None => return Err(format!("nothing is known of {place}")),
            },
        };
        let Some(uuid) = device.uuid.as_ref().filter(|uuid| is_uuid(uuid)) else {
            return Err(format!("{place} has no UUID"));
        };
        check(role, &device.kind)
            .map_err(|wanted| format!("{place} holds {} instead of {wanted}", device.kind))?;
        if role == Role::Root && self.root.as_ref().is_some_and(|root| root != uuid) {
            return Err(format!("{place} is not where this guest's root is"));
        }
        if matches!(role, Role::FileSystem(_))
            && self.root.as_ref() == Some(uuid)
            && device.kind != "btrfs"
        {
            return Err(format!("{place} is this guest's root"));
        }
        let mut same = self
            .placed
            .iter()
            .filter(|one| one.uuid.as_ref() == Some(uuid));
        if same.any(|one| (one.disk, one.partition) != (device.disk, device.partition)) {
            return Err(format!("the UUID of {place} occurs more than once"));
        }
        Ok(Meaning {
            uuid: uuid.clone(),
            by,
        })
    }

    fn find(&self, place: &Place) -> Result<Option<&BlockDevice>, String> {
        let disk = match place.disk {
            Some(disk) => disk,
            None => {
                let mut disks: Vec<usize> = self.placed.iter().filter_map(|one| one.disk).collect();
                disks.sort_unstable();
                disks.dedup();
                match disks[..] {
                    [only] => only,
                    _ => return Err("it does not tell which of the disks it means".to_owned()),
                }
            }
        };
        if place.disk.is_some() && !self.order_holds() {
            return Err("the guest counted its disks in another order".to_owned());
        }
        Ok(self.at(disk, place.partition))
    }

    fn at(&self, disk: usize, partition: Option<u32>) -> Option<&BlockDevice> {
        let mut devices = self.placed.iter();
        devices.find(|one| one.disk == Some(disk) && one.partition == partition)
    }

    /// Whether the disks are given in the order in which the guest counted them, as far as the
    /// root tells.
    pub(super) fn order_holds(&self) -> bool {
        let place = self.root_name.as_deref().and_then(Place::of);
        match (place, &self.root) {
            (
                Some(Place {
                    disk: Some(disk),
                    partition,
                }),
                Some(root),
            ) => self
                .at(disk, partition)
                .is_some_and(|device| device.uuid.as_ref() == Some(root)),
            _ => true,
        }
    }
}

/// Whether a device that holds `kind` can have `role`; else what it should hold. An empty kind is
/// one that is not known.
fn check(role: Role<'_>, kind: &str) -> Result<(), String> {
    let no_file_system = ["swap", "crypto_LUKS", "LVM2_member", "linux_raid_member"];
    let fits = match role {
        _ if kind.is_empty() => true,
        Role::Root | Role::FileSystem("auto") => !no_file_system.contains(&kind),
        Role::Swap => matches!(kind, "swap" | "swsuspend" | "tuxonice"),
        Role::Encrypted => kind == "crypto_LUKS",
        Role::FileSystem(wanted) => family(wanted) == family(kind),
    };
    let wanted = match role {
        Role::Root => "a root file system",
        Role::FileSystem(wanted) => wanted,
        Role::Swap => "swap space",
        Role::Encrypted => "a LUKS volume",
    };
    if fits { Ok(()) } else { Err(wanted.to_owned()) }
}

/// File systems that are mounted as one another.
fn family(kind: &str) -> &str {
    match kind {
        "ext2" | "ext3" | "ext4" => "ext4",
        "msdos" | "vfat" => "vfat",
        "ntfs" | "ntfs-3g" | "ntfs3" => "ntfs",
        other => other,
    }
}

/// Begins the comment that installers of Debian and Ubuntu leave in fstab, with the name after it.
pub(super) const ROOT_WAS_ON: &str = "# / was on ";

/// What fstab(5) calls the root, or once called it.
fn root_name(fstab: &str) -> Option<String> {
    let called = |line: &str| {
        let mut fields = line.split_whitespace();
        let (name, dir) = (fields.next()?, fields.next()?);
        (dir == "/" && Place::of(name).is_some()).then(|| name.to_owned())
    };
    let was = |line: &str| {
        let name = line.strip_prefix(ROOT_WAS_ON)?.split_whitespace().next()?;
        Some(name.to_owned())
    };
    let mut lines = fstab.lines();
    lines
        .find_map(called)
        .or_else(|| fstab.lines().find_map(was))
}

/// `<device DEVNO="0x0801" UUID="..." TYPE="ext4">/dev/sda1</device>`
fn blkid_line(line: &str) -> Option<(String, BlockDevice)> {
    let (attributes, name) = line
        .trim()
        .strip_prefix("<device ")?
        .strip_suffix("</device>")?
        .split_once('>')?;
    let value = |key: &str| {
        let (_, rest) = attributes.split_once(&format!(" {key}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let device = BlockDevice {
        device: name.to_owned(),
        kind: value("TYPE").unwrap_or_default(),
        uuid: value("UUID").filter(|uuid| is_uuid(uuid)),
        ..BlockDevice::default()
    };
    Some((name.to_owned(), device))
}

/// `search ... --fs-uuid ... --hint-bios=hd0,msdos1 ... UUID`
fn grub_search(line: &str) -> Option<BlockDevice> {
    let mut words = line.split_whitespace();
    let (first, last) = (words.next()?, words.next_back()?);
    if first != "search" || !words.clone().any(|word| word == "--fs-uuid") {
        return None;
    }
    let hint = words.find_map(|word| {
        let hint = word
            .strip_prefix("--hint-bios=")
            .or_else(|| word.strip_prefix("--hint="))?;
        hint.trim_matches('\'').strip_prefix("hd")
    })?;
    let (disk, partition) = hint.split_once(',')?;
    let digits = partition
        .trim_start_matches("msdos")
        .trim_start_matches("gpt");
    is_uuid(last).then_some(BlockDevice {
        disk: Some(disk.parse().ok()?),
        partition: Some(digits.parse().ok()?),
        uuid: Some(last.to_owned()),
        ..BlockDevice::default()
    })
}

/// Whether a UUID can be written into any of the files without quotes.
fn is_uuid(text: &str) -> bool {
    (4..=36).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(disk: usize, partition: u32, kind: &str, uuid: &str) -> BlockDevice {
        BlockDevice {
            device: format!("{disk} {partition}"),
            disk: Some(disk),
            partition: Some(partition),
            kind: kind.to_owned(),
            uuid: Some(uuid.to_owned()),
            ..BlockDevice::default()
        }
    }

    #[test]
    fn a_name_means_what_is_there_if_it_fits() {
        let devices = Devices {
            placed: vec![
                device(0, 1, "ext4", "aaaa"),
                device(0, 2, "swap", "bbbb"),
                device(1, 1, "xfs", "cccc"),
                device(1, 2, "crypto_LUKS", "dddd"),
                device(2, 1, "ext4", "eeee"),
                device(3, 1, "ext4", "eeee"),
                device(4, 1, "ext4", "ffff"),
            ],
            root: Some("aaaa".to_owned()),
            source: "the order of the disks",
            ..Devices::default()
        };
        let meaning = |name: &str, role| {
            let place = Place::of(name).unwrap();
            devices
                .meaning(name, &place, role)
                .map(|meaning| meaning.uuid)
        };
        for (name, role, uuid) in [
            ("/dev/sda1", Role::Root, Ok("aaaa")),
            ("/dev/sde1", Role::FileSystem("ext3"), Ok("ffff")),
            (
                "/dev/sda1",
                Role::FileSystem("ext4"),
                Err("is this guest's root"),
            ),
            ("/dev/sda2", Role::Swap, Ok("bbbb")),
            ("/dev/sdb1", Role::FileSystem("auto"), Ok("cccc")),
            ("/dev/sdb2", Role::Encrypted, Ok("dddd")),
            (
                "/dev/sda1",
                Role::FileSystem("xfs"),
                Err("holds ext4 instead of xfs"),
            ),
            ("/dev/sda2", Role::FileSystem("auto"), Err("holds swap")),
            (
                "/dev/sdb1",
                Role::Root,
                Err("not where this guest's root is"),
            ),
            (
                "/dev/sdb1",
                Role::Encrypted,
                Err("instead of a LUKS volume"),
            ),
            ("/dev/sdc1", Role::FileSystem("ext4"), Err("more than once")),
            (
                "/dev/sdx1",
                Role::Swap,
                Err("nothing is known of disk 24, partition 1"),
            ),
            (
                "/dev/mapper/mpathap1",
                Role::Root,
                Err("which of the disks"),
            ),
        ] {
            match (meaning(name, role), uuid) {
                (Ok(found), Ok(uuid)) => assert_eq!(found, uuid, "{name}"),
                (Err(found), Err(why)) => assert!(found.contains(why), "{name}: {found}"),
                (found, _) => panic!("{name}: {found:?} instead of {uuid:?}"),
            }
        }
    }

    #[test]
    fn the_root_is_known_in_any_order_and_tells_whether_that_is_the_guests() {
        let meaning = |root_name: &str, name: &str, role| {
            let devices = Devices {
                placed: vec![device(0, 1, "ext4", "aaaa"), device(1, 1, "ext4", "cccc")],
                root: Some("aaaa".to_owned()),
                root_name: Some(root_name.to_owned()),
                ..Devices::default()
            };
            let place = Place::of(name).unwrap();
            devices
                .meaning(name, &place, role)
                .map(|meaning| meaning.uuid)
        };
        let data = Role::FileSystem("ext4");
        assert_eq!(
            meaning("/dev/sda1", "/dev/sda1", Role::Root).unwrap(),
            "aaaa"
        );
        assert_eq!(meaning("/dev/sda1", "/dev/sdb1", data).unwrap(), "cccc");
        assert_eq!(
            meaning("/dev/sdb1", "/dev/sdb1", Role::Root).unwrap(),
            "aaaa"
        );
        let error = meaning("/dev/sdb1", "/dev/sda1", data).unwrap_err();
        assert!(error.contains("another order"), "{error}");
        assert_eq!(meaning("UUID=aaaa", "/dev/sdb1", data).unwrap(), "cccc");
        let error = meaning("UUID=aaaa", "/dev/sda1", data).unwrap_err();
        assert!(error.contains("is this guest's root"), "{error}");
    }

    #[test]
    fn the_name_of_the_root() {
        for (fstab, name) in [
            (
                "UUID=1 / ext4\n# / was on /dev/sda1 during installation\n",
                Some("/dev/sda1"),
            ),
            (
                "# / was on /dev/sda1 before\n/dev/sdb1 / ext4\n",
                Some("/dev/sdb1"),
            ),
            (
                "#/dev/sda1 / ext4\n/dev/sda1 /x ext4\nLABEL=/ / ext3\n",
                None,
            ),
        ] {
            assert_eq!(root_name(fstab).as_deref(), name, "{fstab}");
        }
    }

    #[test]
    fn lines_of_blkid_and_grub() {
        let line = "<device DEVNO=\"0x0801\" TIME=\"1.5\" UUID=\"0d3c-11\" TYPE=\"ext4\">/dev/sda1</device>";
        let (name, found) = blkid_line(line).unwrap();
        assert_eq!((name.as_str(), found.kind.as_str()), ("/dev/sda1", "ext4"));
        assert_eq!(found.uuid.as_deref(), Some("0d3c-11"));
        assert_eq!(blkid_line("<device UUID=\"x\">/dev/sda1"), None);

        let line = "\t  search --no-floppy --fs-uuid --set=root --hint-bios=hd1,gpt2 --hint-efi=hd1,gpt2 0d3c-11";
        let found = grub_search(line).unwrap();
        assert_eq!((found.disk, found.partition), (Some(1), Some(2)));
        for no in [
            "search --no-floppy --fs-uuid --set=root 0d3c-11",
            "search --label --hint-bios=hd0,msdos1 0d3c-11",
            "search --fs-uuid --hint-bios=hd0,msdos1 $uuid",
        ] {
            assert_eq!(grub_search(no), None, "{no}");
        }
    }
}
