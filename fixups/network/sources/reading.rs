//! Reading a guest's configuration files within limits.

use refit_engine::{Guest, GuestPath};

use crate::network::model::{Found, Interface, is_device_name};

/// Longest configuration file, in bytes. Real ones have some hundred.
const FILE_LIMIT: u64 = 1 << 20;
/// Most that one reader takes in from all its files, in bytes.
const TOTAL_LIMIT: u64 = 8 << 20;
/// Most warnings that one reader gives; the rest is only counted.
const WARNING_LIMIT: usize = 100;

/// Access to a guest's files that turns what cannot be read into warnings, so that one broken file
/// never hides the others.
#[derive(Debug)]
pub struct Reading<'g, 'b> {
    /// The guest that is read.
    pub guest: &'g Guest<'b>,
    left: u64,
    warnings: Vec<String>,
    more: usize,
}

impl<'g, 'b> Reading<'g, 'b> {
    /// Begins to read `guest`.
    #[must_use]
    pub fn new(guest: &'g Guest<'b>) -> Self {
        Self {
            guest,
            left: TOTAL_LIMIT,
            warnings: Vec::new(),
            more: 0,
        }
    }

    /// The text of a file, `None` if there is none. A file that is too long or cannot be read gives
    /// a warning and `None`. Bytes that are not UTF-8 become U+FFFD.
    pub fn text(&mut self, path: &GuestPath) -> Option<String> {
        self.bytes(path)
            .map(|content| String::from_utf8_lossy(&content).into_owned())
    }

    /// [`text`](Self::text) of a file that is not text.
    pub fn bytes(&mut self, path: &GuestPath) -> Option<Vec<u8>> {
        let size = match self.guest.stat(path) {
            Ok(Some(stat)) => stat.size,
            Ok(None) => return None,
            Err(error) => {
                self.warn(path, None, format!("{error:#}"));
                return None;
            }
        };
        if size > FILE_LIMIT.min(self.left) {
            self.warn(path, None, format!("not read: {size} bytes is too long"));
            return None;
        }
        match self.guest.read(path) {
            Ok(content) => {
                self.left -= size;
                content
            }
            Err(error) => {
                self.warn(path, None, format!("{error:#}"));
                None
            }
        }
    }

    /// Notes what a file has that was not understood, with its line counted from one.
    pub fn warn(&mut self, path: &GuestPath, line: Option<usize>, reason: impl AsRef<str>) {
        if self.warnings.len() >= WARNING_LIMIT {
            self.more += 1;
            return;
        }
        let reason = reason.as_ref();
        self.warnings.push(match line {
            Some(line) => format!("{path}, line {line}: {reason}"),
            None => format!("{path}: {reason}"),
        });
    }

    /// The result: `interfaces` without those whose one name no device can have, and all warnings.
    ///
    /// Such a name matches nothing in the guest, and must not reach what is written later.
    #[must_use]
    pub fn finish(mut self, mut interfaces: Vec<Interface>) -> Found {
        interfaces.retain_mut(|interface| {
            interface.lower.retain(|name| is_device_name(name));
            interface.upper.take_if(|name| !is_device_name(name));
            let Some(name) = &interface.matches.name else {
                return true;
            };
            let valid = is_device_name(name);
            if !valid {
                let reason = format!("left out: no device can have the name {}", quote(name));
                self.warn(&interface.source, None, reason);
            }
            valid
        });
        Found {
            interfaces,
            warnings: self.into_warnings(),
        }
    }

    /// All warnings, in order.
    #[must_use]
    pub fn into_warnings(mut self) -> Vec<String> {
        if self.more > 0 {
            self.warnings.push(format!("{} more", self.more));
        }
        self.warnings
    }
}

/// A guest's words for a message: quoted, control characters escaped, cut to 60 characters.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(60).collect();
    let dots = if characters.next().is_some() {
        "..."
    } else {
        ""
    };
    format!("{start:?}{dots}")
}

#[cfg(test)]
/// Runs `check` on a guest with these files; content `-> TARGET` makes a symbolic link.
pub fn with_guest<T>(files: &[(&str, &str)], check: impl FnOnce(&Guest<'_>) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match content.strip_prefix("-> ") {
            Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            None => std::fs::write(path, content).unwrap(),
        }
    }
    let backend = refit_engine::backend::RootBackend::open(dir.path()).unwrap();
    let guest = Guest::inspect(&backend, &Default::default()).unwrap();
    check(&guest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use refit_engine::backend::RootBackend;

    #[test]
    fn what_cannot_be_read_is_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("long"), vec![b'x'; FILE_LIMIT as usize + 1]).unwrap();
        std::fs::write(dir.path().join("short"), "a\u{0}b").unwrap();
        let backend = RootBackend::open(dir.path()).unwrap();
        let guest = Guest::inspect(&backend, &Default::default()).unwrap();
        let mut reading = Reading::new(&guest);
        assert_eq!(reading.text(&GuestPath::new("/absent")), None);
        assert_eq!(
            reading.text(&GuestPath::new("/short")).as_deref(),
            Some("a\u{0}b")
        );
        assert_eq!(reading.text(&GuestPath::new("/long")), None);
        let warnings = reading.into_warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with("/long: not read"), "{warnings:?}");
    }

    #[test]
    fn warnings_are_counted_after_a_hundred() {
        let dir = tempfile::tempdir().unwrap();
        let backend = RootBackend::open(dir.path()).unwrap();
        let guest = Guest::inspect(&backend, &Default::default()).unwrap();
        let mut reading = Reading::new(&guest);
        for line in 1..=150 {
            reading.warn(&GuestPath::new("/f"), Some(line), "bad");
        }
        let warnings = reading.into_warnings();
        assert_eq!(warnings.len(), 101);
        assert_eq!(warnings[0], "/f, line 1: bad");
        assert_eq!(warnings[100], "50 more");
    }

    #[test]
    fn quotes_are_short_and_harmless() {
        assert_eq!(quote("a\nb"), "\"a\\nb\"");
        assert_eq!(quote(&"x".repeat(100)).len(), 65);
    }
}
