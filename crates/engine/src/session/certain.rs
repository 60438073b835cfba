//! The one Linux system of a guest, found without libguestfs's inspection.
//!
//! `inspect_os` reads far more than is needed here and takes a third of a whole run. Where nothing has to
//! be guessed, looking into each file system and reading one fstab(5) gives the same answer; where
//! anything is in doubt, inspection is asked.

use std::collections::BTreeMap;

use anyhow::Context as _;
use refit_guestfs::Handle;

use super::search::{Found, Part, look};
use super::volumes::Volumes;

/// File systems of Linux. Anything else (NTFS, UFS, an installer's ISO 9660...) may be another system,
/// which inspection knows better.
const KNOWN: [&str; 9] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "reiserfs", "vfat",
];
/// What is no file system, or none that one could boot from; so is what stays encrypted, and a member of a volume
/// that is listed itself.
const NOTHING: [&str; 4] = ["", "unknown", "swap", "crypto_LUKS"];
/// How blkid's names of such members end.
const MEMBER: &str = "_member";
/// No fstab is longer.
const FSTAB_LIMIT: u32 = 256 * 1024;

/// The system, if there is exactly one and all that it mounts from its disks is certain.
///
/// # Errors
/// If the appliance cannot say what is on the disks. Leaves nothing mounted.
pub(super) fn system(handle: &Handle, volumes: &Volumes) -> anyhow::Result<Option<Found>> {
    // libguestfs takes a second to list them, and is needed for the subvolumes of btrfs alone.
    let mut filesystems = match volumes.iter().any(|volume| volume.kind == "btrfs") {
        true => handle.list_filesystems().context("listing file systems")?,
        false => volumes
            .iter()
            .map(|volume| (volume.device.clone().into_bytes(), volume.kind.clone()))
            .collect(),
    };
    filesystems.retain(|(_, kind)| !NOTHING.contains(&kind.as_str()) && !kind.ends_with(MEMBER));
    if !filesystems
        .iter()
        .all(|(_, kind)| KNOWN.contains(&kind.as_str()))
    {
        return Ok(None);
    }
    let mut found = None;
    for (device, kind) in &filesystems {
        // No Linux has its root on one.
        if kind == "vfat" {
            continue;
        }
        if handle.mount_ro(device, "/").is_err() {
            return Ok(None);
        }
        let part = look(handle).and_then(|part| {
            let fstab = match part {
                Some(Part::System) => read_fstab(handle)?,
                _ => None,
            };
            Ok((part, fstab))
        });
        handle.umount_all().context("unmounting a file system")?;
        match part? {
            (None, _) => {}
            (Some(Part::System), Some(fstab)) if found.is_none() => found = Some((device, fstab)),
            _ => return Ok(None),
        }
    }
    let Some((root, fstab)) = found else {
        return Ok(None);
    };
    let names = Names::read(handle, &filesystems, volumes, &fstab);
    Ok(mounts(&fstab, &names).map(|mut mounts| {
        mounts.insert(b"/".to_vec(), root.clone());
        Found {
            root: root.clone(),
            mounts: mounts.into_iter().collect(),
        }
    }))
}

/// The mounted root's fstab; empty if there is none, nothing if it is not an ordinary one.
fn read_fstab(handle: &Handle) -> anyhow::Result<Option<String>> {
    const PATH: &str = "/etc/fstab";
    if !handle.exists(PATH)? {
        return Ok(Some(String::new()));
    }
    // A link may lead anywhere, and only a mounted guest knows where.
    if !handle.is_file(PATH, false)? {
        return Ok(None);
    }
    // A longer one is cut off, and not read at all.
    let content = handle.pread(PATH, FSTAB_LIMIT + 1, 0);
    Ok(content
        .ok()
        .filter(|content| content.len() <= FSTAB_LIMIT as usize)
        .and_then(|content| String::from_utf8(content).ok()))
}

/// What fstab may call a file system.
#[derive(Debug, Default)]
struct Names {
    uuids: BTreeMap<String, Vec<u8>>,
    labels: BTreeMap<String, Vec<u8>>,
    /// Logical volumes by both of their names, and subvolumes of btrfs as libguestfs writes them.
    devices: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Names {
    /// Of `filesystems`. Their labels are asked for only if `fstab` goes by labels.
    fn read(
        handle: &Handle,
        filesystems: &[(Vec<u8>, String)],
        volumes: &Volumes,
        fstab: &str,
    ) -> Self {
        let mut names = Self::default();
        let by_label = ["LABEL=", "/by-label/"]
            .iter()
            .any(|tag| fstab.contains(tag));
        for (device, _) in filesystems {
            if device.starts_with(b"btrfsvol:") {
                names.devices.insert(device.clone(), device.clone());
                continue;
            }
            let text = String::from_utf8_lossy(device);
            insert(
                &mut names.uuids,
                volumes.uuid(device).to_lowercase(),
                device,
            );
            if by_label {
                let label = handle.vfs_label(text.as_ref()).unwrap_or_default();
                let label = String::from_utf8_lossy(&label).into_owned();
                insert(&mut names.labels, label, device);
            }
            // `/dev/VG/LV`, which fstab may also call `/dev/mapper/VG-LV` (lvm(8), "dashes are doubled").
            if let [vg, lv] = text
                .trim_start_matches("/dev/")
                .split('/')
                .collect::<Vec<_>>()[..]
            {
                let mapper = format!(
                    "/dev/mapper/{}-{}",
                    vg.replace('-', "--"),
                    lv.replace('-', "--")
                );
                names.devices.insert(mapper.into_bytes(), device.clone());
                names.devices.insert(device.clone(), device.clone());
            }
        }
        names
    }

    fn find(&self, spec: &str, subvolume: Option<&str>) -> Option<Vec<u8>> {
        let tag = |names: &BTreeMap<String, Vec<u8>>, value: &str| names.get(value).cloned();
        let unquoted = |value: &str| value.trim_matches('"').to_owned();
        let device = if let Some(uuid) = spec
            .strip_prefix("UUID=")
            .or_else(|| spec.strip_prefix("/dev/disk/by-uuid/"))
        {
            tag(&self.uuids, &unquoted(uuid).to_lowercase())?
        } else if let Some(label) = spec
            .strip_prefix("LABEL=")
            .or_else(|| spec.strip_prefix("/dev/disk/by-label/"))
        {
            tag(&self.labels, &unquoted(label))?
        } else {
            self.devices.get(spec.as_bytes()).cloned()?
        };
        let Some(subvolume) = subvolume else {
            return Some(device);
        };
        let mut name = b"btrfsvol:".to_vec();
        name.extend_from_slice(&device);
        name.push(b'/');
        name.extend_from_slice(subvolume.trim_start_matches('/').as_bytes());
        self.devices.get(&name).cloned()
    }
}

/// A name that two have is nobody's.
fn insert(names: &mut BTreeMap<String, Vec<u8>>, name: String, device: &[u8]) {
    if name.is_empty() {
        return;
    }
    names
        .entry(name)
        .and_modify(|both| both.clear())
        .or_insert_with(|| device.to_vec());
}

/// What fstab mounts from disks beside the root, by mount point; nothing if a line is in doubt.
fn mounts(fstab: &str, names: &Names) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut mounts = BTreeMap::new();
    for line in fstab.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [spec, path, kind, rest @ ..] = &fields[..] else {
            if fields.is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            return None;
        };
        if spec.starts_with('#') || *path == "/" || !(KNOWN.contains(kind) || *kind == "auto") {
            continue;
        }
        let options: Vec<&str> = rest.first().map_or(Vec::new(), |o| o.split(',').collect());
        let has = |option: &str| options.contains(&option);
        if has("bind") || has("rbind") {
            continue;
        }
        let subvolume = options.iter().find_map(|o| o.strip_prefix("subvol="));
        let device = names
            .find(spec, subvolume)
            .filter(|device| !device.is_empty());
        // An escape, `subvolid=`, a disk's number of the old bus: inspection has its ways.
        let is_plain = path.starts_with('/') && !path.contains('\\') && !path.contains("..");
        match device {
            Some(device) if is_plain && !options.iter().any(|o| o.starts_with("subvolid=")) => {
                mounts.insert(path.as_bytes().to_vec(), device);
            }
            _ if has("noauto") => {}
            _ => return None,
        }
    }
    Some(mounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let device = |name: &str| name.as_bytes().to_vec();
        Names {
            uuids: [("aa-1", "/dev/sda2"), ("bb-2", "/dev/sda3"), ("twice", "")]
                .map(|(uuid, name)| (uuid.to_owned(), device(name)))
                .into(),
            labels: [("DATA".to_owned(), device("/dev/sdb1"))].into(),
            devices: [
                ("/dev/vg/home", "/dev/vg/home"),
                ("/dev/mapper/vg-home", "/dev/vg/home"),
                ("btrfsvol:/dev/sda3/@home", "btrfsvol:/dev/sda3/@home"),
            ]
            .map(|(name, real)| (device(name), device(real)))
            .into(),
        }
    }

    #[test]
    fn what_is_certain_is_mounted() {
        let fstab = "# a comment\n\nUUID=cc / ext4 defaults 0 1\nUUID=AA-1 /boot ext4 defaults\n\
                     LABEL=\"DATA\"\t/srv xfs nofail\n/dev/mapper/vg-home /home ext4 x 0 2\n\
                     UUID=bb-2 /var/home btrfs subvol=/@home,compress=zstd 0 0\n\
                     /srv/x /x none bind 0 0\ntmpfs /tmp tmpfs size=1G\nserver:/x /nfs nfs ro\n\
                     UUID=dd none swap sw\n/dev/cdrom /media auto noauto,ro\n";
        let expected = [
            ("/boot", "/dev/sda2"),
            ("/home", "/dev/vg/home"),
            ("/srv", "/dev/sdb1"),
            ("/var/home", "btrfsvol:/dev/sda3/@home"),
        ]
        .map(|(path, device)| (path.as_bytes().to_vec(), device.as_bytes().to_vec()));
        assert_eq!(mounts(fstab, &names()), Some(expected.into()));
    }

    #[test]
    fn what_is_in_doubt_is_left_to_inspection() {
        for line in [
            "/dev/sdb1 /srv ext4 defaults 0 2",
            "UUID=gone /srv ext4 nofail 0 2",
            "UUID=twice /srv ext4 defaults 0 2",
            "UUID=aa-1 /with\\040space ext4 defaults 0 2",
            "UUID=aa-1 /../srv ext4 defaults 0 2",
            "UUID=bb-2 /srv btrfs subvol=@srv 0 0",
            "UUID=bb-2 /srv btrfs subvolid=256 0 0",
            "PARTUUID=1-01 /boot vfat defaults",
            "UUID=aa-1 /boot",
        ] {
            assert_eq!(mounts(line, &names()), None, "{line}");
        }
    }
}
