//! Systems that libguestfs does not find.
//!
//! Its inspection (1.48) wants a file of a distribution that it knows, or `/etc/fstab`, on the root file
//! system. A system whose `/usr` is a partition of its own, as in Flatcar, has neither there.

use anyhow::Context as _;
use refit_guestfs::Handle;

/// Where an os-release(5) is, from the root.
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
/// The first program, where one may be.
const INIT: [&str; 4] = [
    "/sbin/init",
    "/usr/sbin/init",
    "/lib/systemd/systemd",
    "/usr/lib/systemd/systemd",
];

/// A system that was found by its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its root file system.
    pub(super) root: Vec<u8>,
    /// What to mount where, in order, the root first.
    pub(super) mounts: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What a file system is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A whole system.
    System,
    /// The `/usr` of one.
    Usr,
    /// The rest of one whose `/usr` is elsewhere.
    WithoutUsr,
}

/// Looks into every file system. Leaves nothing mounted.
///
/// # Errors
/// If the file systems cannot be listed. One that cannot be mounted is passed over.
pub(super) fn systems(handle: &Handle) -> anyhow::Result<Vec<Found>> {
    let mut parts = Vec::new();
    for (device, kind) in handle.list_filesystems().context("listing file systems")? {
        if matches!(kind.as_str(), "unknown" | "swap") || handle.mount_ro(&device, "/").is_err() {
            continue;
        }
        let part = look(handle);
        handle.umount_all().context("unmounting a file system")?;
        parts.extend(part?.map(|part| (device, part)));
    }
    Ok(combine(parts))
}

/// What the mounted file system is a part of.
pub(super) fn look(handle: &Handle) -> anyhow::Result<Option<Part>> {
    let file = |path: &str| handle.is_file(path, true);
    let dir = |path: &str| handle.is_dir(path, true);
    let any = |paths: &[&str]| -> refit_guestfs::Result<bool> {
        for path in paths {
            if handle.exists(path)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    Ok(
        if (file(OS_RELEASE[0])? || file(OS_RELEASE[1])?) && any(&INIT)? {
            Some(Part::System)
        } else if file("/lib/os-release")? && dir("/bin")? {
            Some(Part::Usr)
        } else if dir("/etc")? && dir("/usr")? && dir("/var")? {
            Some(Part::WithoutUsr)
        } else {
            None
        },
    )
}

/// Whole systems; if there is none, each root with the first `/usr`. Flatcar has two, of which the second
/// is for the next version.
fn combine(parts: Vec<(Vec<u8>, Part)>) -> Vec<Found> {
    let of = |wanted: Part| {
        parts
            .iter()
            .filter(move |(_, part)| *part == wanted)
            .map(|(device, _)| device.clone())
    };
    let slash = |device: &Vec<u8>| (b"/".to_vec(), device.clone());
    let whole: Vec<Found> = of(Part::System)
        .map(|root| Found {
            mounts: vec![slash(&root)],
            root,
        })
        .collect();
    let Some(usr) = of(Part::Usr).next().filter(|_| whole.is_empty()) else {
        return whole;
    };
    of(Part::WithoutUsr)
        .map(|root| Found {
            mounts: vec![slash(&root), (b"/usr".to_vec(), usr.clone())],
            root,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usr_of_its_own_belongs_to_the_root_without_one() {
        let device = |name: &str| format!("/dev/{name}").into_bytes();
        let mounts = |pairs: &[(&str, &str)]| -> Vec<(Vec<u8>, Vec<u8>)> {
            pairs
                .iter()
                .map(|(path, name)| (path.as_bytes().to_vec(), device(name)))
                .collect()
        };
        use Part::{System, Usr, WithoutUsr};
        for (parts, expected) in [
            (vec![], vec![]),
            (vec![("sda1", Usr)], vec![]),
            (vec![("sda1", WithoutUsr)], vec![]),
            (
                vec![("sda3", Usr), ("sda4", Usr), ("sda9", WithoutUsr)],
                vec![mounts(&[("/", "sda9"), ("/usr", "sda3")])],
            ),
            (
                vec![("sda1", System), ("sdb1", Usr), ("sdc1", WithoutUsr)],
                vec![mounts(&[("/", "sda1")])],
            ),
        ] {
            let parts = parts
                .into_iter()
                .map(|(name, part)| (device(name), part))
                .collect();
            let found: Vec<_> = combine(parts).into_iter().map(|f| f.mounts).collect();
            assert_eq!(found, expected);
        }
    }
}
