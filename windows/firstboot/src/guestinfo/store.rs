//! What the guest itself has set, kept across restarts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The key of the whole document.
pub const DOCUMENT: &str = "guestinfo.ovfenv";
/// Longest key that is kept: a file's name has 255 characters at most, and two stand for a byte.
const MAX_KEY: usize = 100;

/// A folder with one file for each key.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// The store in a folder, which need not be there.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// In hexadecimal digits, so that no key leads out of the folder. What is said of a document has the
    /// document's digest in its name.
    fn file(&self, key: &str, digest: Option<&str>) -> PathBuf {
        let mut name: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        if let Some(digest) = digest {
            name = format!("{name}-{digest}");
        }
        self.path.join(name)
    }

    /// What was set; empty means that it is gone.
    pub fn get(&self, key: &str, digest: Option<&str>) -> Option<Vec<u8>> {
        if key.len() > MAX_KEY {
            return None;
        }
        fs::read(self.file(key, digest)).ok()
    }

    /// Sets a value. The folder must be there.
    ///
    /// # Errors
    /// The file cannot be written; the key is too long.
    pub fn set(&self, key: &str, digest: Option<&str>, value: &str) -> io::Result<()> {
        if key.len() > MAX_KEY {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the key is too long",
            ));
        }
        let path = self.file(key, digest);
        let staged = path.with_extension("new");
        fs::write(&staged, value)?;
        fs::rename(staged, path)
    }

    /// Keys that have a value, but for documents.
    pub fn keys(&self) -> Vec<String> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(_) => return Vec::new(),
        };
        let mut keys: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.metadata().map_or(false, |meta| meta.len() > 0))
            .filter_map(|entry| decoded(&entry.file_name().to_string_lossy()))
            .collect();
        keys.sort();
        keys
    }
}

/// A key from a file's name; `None` if it says something of a document or is another file.
fn decoded(name: &str) -> Option<String> {
    let pair = |at: usize| u8::from_str_radix(name.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..name.len()).step_by(2).map(pair).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_in_the_folder() {
        let dir = std::env::temp_dir().join(format!("refit-store-{}", std::process::id()));
        let store = Store::new(&dir);
        assert_eq!((store.get("a", None), store.keys()), (None, vec![]));
        fs::create_dir_all(&dir).unwrap();
        store.set("guestinfo...\\x/é", None, "1 2").unwrap();
        store.set("guestinfo.gone", None, "").unwrap();
        store.set(DOCUMENT, Some("00ff"), "x").unwrap();
        fs::write(dir.join("other.file"), "x").unwrap();
        fs::write(dir.join("é"), "x").unwrap();
        store.set(&"k".repeat(200), None, "x").unwrap_err();
        assert_eq!(store.keys(), ["guestinfo...\\x/é"]);
        assert_eq!(store.get("guestinfo...\\x/é", None).unwrap(), b"1 2");
        assert_eq!(store.get("guestinfo.gone", None).unwrap(), b"");
        assert_eq!(store.get(DOCUMENT, Some("00ff")).unwrap(), b"x");
        assert_eq!(store.get(DOCUMENT, Some("00fe")), None);
        fs::remove_dir_all(dir).unwrap();
    }
}
