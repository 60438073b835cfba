//! The files that `-o local` writes: `NAME-sda`, `NAME-sdb`, ... and `NAME.xml`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::argv::io_error;
use crate::errors::{ConvertError, ErrorKind};
use crate::event::Event;

/// Where qcow2 keeps the virtual size (QEMU, docs/interop/qcow2.txt): bytes 24 to 31, big endian.
const QCOW2_MAGIC: &[u8; 4] = b"QFI\xfb";

/// The output of one conversion.
#[derive(Debug)]
pub(crate) struct Outputs {
    dir: PathBuf,
    name: String,
    before: BTreeSet<PathBuf>,
}

impl Outputs {
    /// Notes what is there already.
    pub(crate) fn new(dir: &Path, name: &str) -> Result<Self, ConvertError> {
        let meta = dir
            .metadata()
            .map_err(|error| io_error(&error, &format!("output directory {}", dir.display())))?;
        if !meta.is_dir() {
            return Err(ConvertError::new(
                ErrorKind::NotFound,
                format!("output directory {} is not a directory", dir.display()),
            ));
        }
        let mut outputs = Self {
            dir: dir.to_owned(),
            name: name.to_owned(),
            before: BTreeSet::new(),
        };
        outputs.before = outputs.present().collect();
        Ok(outputs)
    }

    /// The libvirt XML.
    pub(crate) fn xml(&self) -> PathBuf {
        self.dir.join(format!("{}.xml", self.name))
    }

    /// The disks that exist, in order.
    pub(crate) fn disks(&self) -> Vec<PathBuf> {
        (1..)
            .map(|number| self.disk(number))
            .take_while(|path| path.exists())
            .collect()
    }

    /// Removes what was not there before.
    pub(crate) fn remove_new(&self) {
        for path in self.present().filter(|path| !self.before.contains(path)) {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(file = %path.display(), %error, "cannot remove an unfinished output");
            }
        }
    }

    /// Adds the size of the disk to an event about copying.
    pub(crate) fn with_size(&self, event: Event) -> Event {
        match event {
            Event::Copy {
                disk,
                disks,
                percent,
                ..
            } => {
                let total = virtual_size(&self.disk(disk));
                Event::Copy {
                    disk,
                    disks,
                    percent,
                    bytes: total.map(|total| {
                        total / 100 * u64::from(percent) + total % 100 * u64::from(percent) / 100
                    }),
                    total,
                }
            }
            event => event,
        }
    }

    fn present(&self) -> impl Iterator<Item = PathBuf> {
        self.disks()
            .into_iter()
            .chain([self.xml()])
            .filter(|path| path.exists())
    }

    fn disk(&self, number: u32) -> PathBuf {
        self.dir
            .join(format!("{}-sd{}", self.name, drive_letters(number)))
    }
}

/// 1 is `a`, 26 is `z`, 27 is `aa`.
fn drive_letters(number: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = number;
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'a' + (rest % 26) as u8));
        rest /= 26;
    }
    letters.iter().rev().collect()
}

/// Of a qcow2 or raw image in bytes.
fn virtual_size(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let mut header = [0u8; 32];
    if file.read_exact(&mut header).is_ok() && header.starts_with(QCOW2_MAGIC) {
        let size = header.get(24..32)?.try_into().ok()?;
        return Some(u64::from_be_bytes(size));
    }
    Some(file.metadata().ok()?.len()).filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_beyond_z() {
        let names: Vec<String> = [1, 2, 26, 27, 52, 53, 702, 703].map(drive_letters).to_vec();
        assert_eq!(names, ["a", "b", "z", "aa", "az", "ba", "zz", "aaa"]);
    }

    #[test]
    fn only_new_files_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str| fs::write(dir.path().join(name), [0u8; 1000]).unwrap();
        put("g.xml");
        put("other");
        let outputs = Outputs::new(dir.path(), "g").unwrap();
        put("g-sda");
        put("g-sdb");
        assert_eq!(outputs.disks().len(), 2);
        let copied = outputs.with_size(Event::Copy {
            disk: 2,
            disks: 2,
            percent: 50,
            bytes: None,
            total: None,
        });
        assert_eq!(
            copied,
            Event::Copy {
                disk: 2,
                disks: 2,
                percent: 50,
                bytes: Some(500),
                total: Some(1000)
            }
        );
        outputs.remove_new();
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["g.xml", "other"]);
    }

    #[test]
    fn qcow2_keeps_its_size_in_the_header() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        let mut header = [0u8; 104];
        header[..4].copy_from_slice(QCOW2_MAGIC);
        header[24..32].copy_from_slice(&(5u64 << 30).to_be_bytes());
        fs::write(&path, header).unwrap();
        assert_eq!(virtual_size(&path), Some(5 << 30));
    }
}
