//! The target's disks in the pod: where they are mounted, and the names that virt-v2v writes to.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// Tries to open a block device that is not there yet.
const TRIES: u32 = 10;
/// Wait after the first failed try; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// It is never longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// One disk of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its number in the guest.
    pub number: u32,
    /// The file or block device.
    pub path: PathBuf,
    /// The name that leads to it in the working directory: `web1-sda`.
    pub link: PathBuf,
}

/// Finds disks below `root` (`/` in a pod), in the order of their numbers, and links them in `work_dir`.
/// `wait` is called between tries to open a block device. `filled`: the disks hold a guest already; else an image
/// that is not there is virt-v2v's to make, through its link.
///
/// # Errors
/// If there is none, two have one number, one cannot be opened, or a link cannot be made.
pub fn discover(
    root: &Path,
    work_dir: &Path,
    name: &str,
    filled: bool,
    wait: &mut dyn FnMut(Duration),
) -> anyhow::Result<Vec<Disk>> {
    ensure!(
        !name.is_empty() && !name.contains('/') && name != "." && name != "..",
        "the guest's name {name:?} cannot be a file's name; is V2V_vmName or V2V_NewName set?"
    );
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (number, dir) in numbered(&root.join("mnt/disks"), "disk")? {
        found.push((number, dir.join("disk.img")));
    }
    found.extend(numbered(&root.join("dev"), "block")?);
    found.sort();
    if let Some(pair) = found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        bail!(
            "{} and {} are both disk {}",
            pair[0].1.display(),
            pair[1].1.display(),
            pair[0].0
        );
    }
    ensure!(
        !found.is_empty(),
        "no disk is mounted: neither /mnt/disks/disk0/disk.img nor /dev/block0 is there"
    );
    fs::create_dir_all(work_dir).with_context(|| format!("creating {}", work_dir.display()))?;
    let mut disks = Vec::new();
    for (number, path) in found {
        let is_to_be_made = !filled && is_missing(&path) && path.ends_with("disk.img");
        if !is_to_be_made {
            open(&path, wait)?;
        }
        let link = work_dir.join(format!("{name}-sd{}", letters(number)));
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", link.display()));
            }
            _ => {}
        }
        symlink(&path, &link).with_context(|| format!("linking {}", link.display()))?;
        disks.push(Disk { number, path, link });
    }
    Ok(disks)
}

/// What is called PREFIX and a number in `dir`; nothing if there is no such directory.
fn numbered(dir: &Path, prefix: &str) -> anyhow::Result<Vec<(u32, PathBuf)>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("listing {}", dir.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("listing {}", dir.display()))?;
        let name = entry.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(prefix))
            .filter(|number| number.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|number| number.parse().ok());
        found.extend(number.map(|number| (number, entry.path())));
    }
    Ok(found)
}

fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// A volume that was just attached may answer a little later.
fn open(path: &Path, wait: &mut dyn FnMut(Duration)) -> anyhow::Result<()> {
    let kind = || fs::metadata(path).map(|meta| meta.file_type());
    let is_device = path.parent().is_some_and(|dir| dir.ends_with("dev"));
    let mut pause = FIRST_WAIT;
    for tried in 1.. {
        let error = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => {
                let _: File = file;
                let kind = kind().with_context(|| format!("looking at {}", path.display()))?;
                ensure!(
                    kind.is_block_device() || kind.is_file(),
                    "{} is neither a block device nor a file",
                    path.display()
                );
                if is_device && kind.is_file() {
                    tracing::warn!("{} is a file, not a block device", path.display());
                }
                return Ok(());
            }
            Err(error) => error,
        };
        // ENXIO, ENOENT, EIO: not there, or not yet.
        let may_come = is_device && matches!(error.raw_os_error(), Some(6 | 2 | 5));
        if !may_come || tried == TRIES {
            return Err(error).with_context(|| format!("opening the disk {}", path.display()));
        }
        tracing::warn!("{} is not ready ({error}); trying again", path.display());
        wait(pause);
        pause = (pause * 2).min(LONGEST_WAIT);
    }
    Ok(())
}

/// As Linux counts disks: a, ..., z, aa, ... for 0, ..., 25, 26, ...
#[must_use]
pub fn letters(number: u32) -> String {
    let mut rest = u64::from(number) + 1;
    let mut letters = Vec::new();
    while rest > 0 {
        rest -= 1;
        letters.push(b'a' + (rest % 26) as u8);
        rest /= 26;
    }
    letters.reverse();
    letters.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_count_as_linux_does() {
        for (number, expected) in [
            (0, "a"),
            (25, "z"),
            (26, "aa"),
            (52, "ba"),
            (701, "zz"),
            (702, "aaa"),
        ] {
            assert_eq!(letters(number), expected);
        }
        assert!(!letters(u32::MAX).is_empty());
    }

    fn pod(disks: impl IntoIterator<Item = String>) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for disk in disks {
            let dir = root.path().join("mnt/disks").join(disk);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("disk.img"), "x").unwrap();
        }
        root
    }

    #[test]
    fn thirty_disks_come_in_the_order_of_their_numbers() {
        let root = pod((0..30).map(|n| format!("disk{n}")));
        fs::create_dir_all(root.path().join("mnt/disks/diskette")).unwrap();
        let work = root.path().join("work");
        let disks = discover(root.path(), &work, "web1", true, &mut |_| {}).unwrap();
        assert_eq!(disks.len(), 30);
        for (number, disk) in (0..).zip(&disks) {
            assert_eq!(disk.number, number);
            assert_eq!(fs::read_link(&disk.link).unwrap(), disk.path);
        }
        assert!(disks[2].path.ends_with("disk2/disk.img"));
        assert!(disks[26].link.ends_with("web1-sdaa"));
        // Again, as after a restart of the container.
        assert_eq!(
            discover(root.path(), &work, "web1", true, &mut |_| {}).unwrap(),
            disks
        );
    }

    #[test]
    fn a_late_device_is_waited_for_and_a_missing_image_is_not() {
        let root = pod(["disk0".to_owned()]);
        fs::create_dir(root.path().join("dev")).unwrap();
        symlink("nowhere", root.path().join("dev/block1")).unwrap();
        let mut waited = Vec::new();
        let work = root.path().join("work");
        let error = discover(root.path(), &work, "web1", true, &mut |pause| {
            waited.push(pause)
        })
        .unwrap_err();
        assert!(format!("{error:#}").contains("block1"), "{error:#}");
        assert_eq!(waited.len(), 9);
        assert_eq!((waited[0], waited[8]), (FIRST_WAIT, LONGEST_WAIT));
        fs::remove_file(root.path().join("dev/block1")).unwrap();
        fs::remove_file(root.path().join("mnt/disks/disk0/disk.img")).unwrap();
        waited.clear();
        let error = discover(root.path(), &work, "web1", true, &mut |pause| {
            waited.push(pause)
        })
        .unwrap_err();
        assert!(format!("{error:#}").contains("disk0/disk.img"), "{error:#}");
        assert!(waited.is_empty());
    }

    #[test]
    fn an_image_that_is_to_be_copied_need_not_be_there() {
        let root = pod(["disk0".to_owned()]);
        fs::remove_file(root.path().join("mnt/disks/disk0/disk.img")).unwrap();
        fs::create_dir(root.path().join("dev")).unwrap();
        // Some run times bind a file where a device should be.
        fs::write(root.path().join("dev/block1"), "x").unwrap();
        let work = root.path().join("work");
        let disks = discover(root.path(), &work, "web1", false, &mut |_| {}).unwrap();
        assert_eq!(disks.len(), 2);
        fs::write(&disks[0].link, "copied").unwrap();
        assert_eq!(fs::read(&disks[0].path).unwrap(), b"copied");
        fs::remove_file(root.path().join("dev/block1")).unwrap();
        fs::create_dir(root.path().join("dev/block1")).unwrap();
        assert!(discover(root.path(), &work, "web1", false, &mut |_| {}).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let root = pod(["disk1".to_owned(), "disk01".to_owned()]);
        let work = root.path().join("work");
        let refused = |root: &Path, name: &str| {
            format!(
                "{:#}",
                discover(root, &work, name, true, &mut |_| {}).unwrap_err()
            )
        };
        assert!(refused(root.path(), "web1").contains("both disk 1"));
        assert!(refused(root.path(), "../web1").contains("file's name"));
        let empty = tempfile::tempdir().unwrap();
        assert!(refused(empty.path(), "web1").contains("no disk is mounted"));
    }
}
