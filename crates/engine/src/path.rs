//! Paths inside a guest.

use std::fmt;

use base64::Engine as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An absolute, normalised path inside a guest, as bytes.
///
/// A guest may use any bytes but NUL and `/` in a name, so this is not a `str`. Repeated and
/// trailing slashes, `.` and `..` are folded away when the path is made; `..` at the root stays
/// at the root, as it does in a chroot. Whether the path exists, and where its symbolic links
/// lead, only a [`Guest`](crate::Guest) knows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPath(Vec<u8>);

impl GuestPath {
    /// The guest's root directory.
    #[must_use]
    pub fn root() -> Self {
        Self(b"/".to_vec())
    }

    /// Makes a path; a relative one is taken from the root.
    #[must_use]
    pub fn new(path: impl AsRef<[u8]>) -> Self {
        Self::root().join(path)
    }

    /// This path extended by `path`, or `path` itself if that is absolute.
    #[must_use]
    pub fn join(&self, path: impl AsRef<[u8]>) -> Self {
        let path = path.as_ref();
        let mut parts: Vec<&[u8]> = if path.starts_with(b"/") {
            Vec::new()
        } else {
            self.components().collect()
        };
        for part in path.split(|&b| b == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    parts.pop();
                }
                name => parts.push(name),
            }
        }
        let mut bytes = Vec::with_capacity(path.len() + self.0.len() + 1);
        for part in parts {
            bytes.push(b'/');
            bytes.extend_from_slice(part);
        }
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        Self(bytes)
    }

    /// The directory that holds this path; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let slash = self.0.iter().rposition(|&b| b == b'/').unwrap_or(0);
        Some(Self(self.0[..slash.max(1)].to_vec()))
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn file_name(&self) -> &[u8] {
        self.components().next_back().unwrap_or_default()
    }

    /// The last component as text, if it is UTF-8.
    #[must_use]
    pub fn file_name_str(&self) -> Option<&str> {
        std::str::from_utf8(self.file_name()).ok()
    }

    /// Whether this is the guest's root directory.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == b"/"
    }

    /// Whether `self` is `ancestor` or lies below it.
    #[must_use]
    pub fn starts_with(&self, ancestor: &Self) -> bool {
        ancestor.is_root()
            || self
                .0
                .strip_prefix(ancestor.0.as_slice())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }

    /// The names from the root down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|part| !part.is_empty())
    }

    /// The whole path as bytes, beginning with `/`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The root.
impl Default for GuestPath {
    fn default() -> Self {
        Self::root()
    }
}

/// Whether two names are the same to Windows: in all but the case of letters. NTFS compares by a table of
/// single UTF-16 units in each volume; Unicode's simple mappings say the same of all letters in use.
pub(crate) fn same_name(a: &[u8], b: &[u8]) -> bool {
    if a.is_ascii() || b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    let (Ok(a), Ok(b)) = (std::str::from_utf8(a), std::str::from_utf8(b)) else {
        return a == b;
    };
    a.chars().map(upper).eq(b.chars().map(upper))
}

/// The upper-case form, where that is one letter.
fn upper(c: char) -> char {
    let mut forms = c.to_uppercase();
    match (forms.next(), forms.next()) {
        (Some(form), None) => form,
        _ => c,
    }
}

impl From<&str> for GuestPath {
    fn from(path: &str) -> Self {
        Self::new(path)
    }
}

impl From<&GuestPath> for GuestPath {
    fn from(path: &GuestPath) -> Self {
        path.clone()
    }
}

/// Lossy: bytes that are not UTF-8 are shown as `\xNN`, control characters are escaped.
impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A path that is not UTF-8, in JSON.
#[derive(Serialize, Deserialize)]
struct Base64Path {
    base64: String,
}

/// A JSON string; for a path that is not UTF-8, `{"base64": "..."}`, so that nothing is lost.
impl Serialize for GuestPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Base64Path {
                base64: base64::engine::general_purpose::STANDARD.encode(&self.0),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for GuestPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Bytes(Base64Path),
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Text(text) => Self::new(text),
            Form::Bytes(Base64Path { base64 }) => Self::new(
                base64::engine::general_purpose::STANDARD
                    .decode(base64)
                    .map_err(serde::de::Error::custom)?,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_and_stay_inside_the_root() {
        for (given, expected) in [
            ("", "/"),
            ("/", "/"),
            ("etc//fstab", "/etc/fstab"),
            ("/etc/./x/../fstab/", "/etc/fstab"),
            ("/../../etc", "/etc"),
            ("../..", "/"),
        ] {
            assert_eq!(
                GuestPath::new(given).as_bytes(),
                expected.as_bytes(),
                "{given}"
            );
        }
    }

    #[test]
    fn join_parent_and_prefix() {
        let etc = GuestPath::new("/etc");
        assert_eq!(etc.join("a/b"), GuestPath::new("/etc/a/b"));
        assert_eq!(etc.join("/usr"), GuestPath::new("/usr"));
        assert_eq!(etc.join("../usr"), GuestPath::new("/usr"));
        assert_eq!(etc.parent(), Some(GuestPath::root()));
        assert_eq!(GuestPath::root().parent(), None);
        assert!(GuestPath::new("/etc/x").starts_with(&etc));
        assert!(!GuestPath::new("/etcetera").starts_with(&etc));
        assert_eq!(GuestPath::new("/a/b.c").file_name(), b"b.c");
    }

    #[test]
    fn json_keeps_every_byte() {
        for path in [GuestPath::new("/a\\x2d"), GuestPath::new(b"/a\xff\n")] {
            let json = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<GuestPath>(&json).unwrap(), path);
        }
        assert_eq!(GuestPath::new(b"/a\xff\n").to_string(), "/a\\xff\\n");
    }
}
