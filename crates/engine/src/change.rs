//! What a fixup proposes, as data.

use std::fmt;

use base64::Engine as _;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use refit_hive::Value;

use crate::GuestPath;
use crate::registry::{HiveName, ValueJson};

/// One proposed change of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Create a regular file, or replace the content of one. Missing parent directories are made
    /// (mode 0755, root). An existing file keeps owner, mode, label and other attributes unless
    /// `mode` is given.
    Write {
        /// The file.
        path: GuestPath,
        /// Its whole new content.
        content: Vec<u8>,
        /// Permission bits; for a new file 0644 if not given.
        mode: Option<u32>,
    },
    /// Remove a file, a link, or a directory with all that is in it.
    Remove {
        /// What goes.
        path: GuestPath,
    },
    /// Create a symbolic link, replacing a file or link of that name.
    Link {
        /// The link.
        path: GuestPath,
        /// Where it leads, as it is to be written.
        target: Vec<u8>,
    },
    /// Set permission bits.
    Chmod {
        /// The file or directory.
        path: GuestPath,
        /// The new bits (`0o7777`).
        mode: u32,
    },
    /// Create a directory, or set the permission bits of the one that is there. Missing parent
    /// directories are made (mode 0755, root). What is in an existing one stays.
    Mkdir {
        /// The directory.
        path: GuestPath,
        /// Its permission bits (`0o7777`).
        mode: u32,
    },
    /// Set owner and group. As `chown(2)` does, this takes set-user-ID bits and file capabilities
    /// away from a regular file, unless a later change sets its mode.
    Chown {
        /// The file or directory.
        path: GuestPath,
        /// User, by number.
        uid: u32,
        /// Group, by number.
        gid: u32,
    },
    /// Append a cpio archive with these files to an initramfs, so that the guest's early user
    /// space sees them. Later archives win over earlier ones.
    InitramfsAppend {
        /// The initramfs image.
        path: GuestPath,
        /// The files, in any order; missing directories are added.
        files: Vec<InitramfsFile>,
    },
    /// Set a registry value. Missing keys are made. One that holds exactly this already is no change.
    RegistrySet {
        /// The hive; it exists.
        hive: HiveName,
        /// The key, from the hive's root (`ControlSet001\\Services\\viostor`).
        key: String,
        /// The value's name; empty for the key's default value.
        name: String,
        /// Its new type and data.
        value: Value,
    },
    /// Remove a registry value, or a key with all that is below it. What is not there is no change.
    RegistryDelete {
        /// The hive.
        hive: HiveName,
        /// The key, from the hive's root.
        key: String,
        /// The value's name; `None` for the whole key.
        name: Option<String>,
    },
    /// Create a registry key. One that is there is no change.
    RegistryCreate {
        /// The hive; it exists.
        hive: HiveName,
        /// The key, from the hive's root.
        key: String,
    },
}

/// One regular file to be put into an initramfs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InitramfsFile {
    /// Where early user space finds it.
    pub path: GuestPath,
    /// Permission bits.
    pub mode: u32,
    /// Its content.
    pub content: Vec<u8>,
}

impl Change {
    /// The `kind` that JSON and tables show.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Write { .. } => "write",
            Self::Remove { .. } => "remove",
            Self::Link { .. } => "link",
            Self::Chmod { .. } => "chmod",
            Self::Mkdir { .. } => "mkdir",
            Self::Chown { .. } => "chown",
            Self::InitramfsAppend { .. } => "initramfs-append",
            Self::RegistrySet { .. } => "registry-set",
            Self::RegistryDelete { .. } => "registry-delete",
            Self::RegistryCreate { .. } => "registry-create",
        }
    }

    /// The path that changes; `None` for a change of the registry.
    #[must_use]
    pub fn path(&self) -> Option<&GuestPath> {
        match self {
            Self::Write { path, .. }
            | Self::Remove { path }
            | Self::Link { path, .. }
            | Self::Chmod { path, .. }
            | Self::Mkdir { path, .. }
            | Self::Chown { path, .. }
            | Self::InitramfsAppend { path, .. } => Some(path),
            Self::RegistrySet { .. }
            | Self::RegistryDelete { .. }
            | Self::RegistryCreate { .. } => None,
        }
    }

    /// The hive and the key that change; `None` for a change of a path.
    #[must_use]
    pub fn key(&self) -> Option<(&HiveName, &str)> {
        match self {
            Self::RegistrySet { hive, key, .. }
            | Self::RegistryDelete { hive, key, .. }
            | Self::RegistryCreate { hive, key } => Some((hive, key)),
            _ => None,
        }
    }

    /// The name of the value that changes; `None` if it is a whole key, or a path.
    #[must_use]
    pub fn value_name(&self) -> Option<&str> {
        match self {
            Self::RegistrySet { name, .. } => Some(name),
            Self::RegistryDelete { name, .. } => name.as_deref(),
            _ => None,
        }
    }
}

/// A short description for a log or a progress line.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        if let Some(path) = self.path() {
            write!(f, " {path}")?;
        }
        if let Some((hive, key)) = self.key() {
            write!(f, " {hive}: {}", key.escape_debug())?;
        }
        if let Some(name) = self.value_name() {
            write!(f, ", value {name:?}")?;
        }
        Ok(())
    }
}

/// Content up to this many bytes is given in full in JSON, more as digest and size.
const INLINE_CONTENT: usize = 64 * 1024;

/// The form of design section 5.2.
impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", self.kind())?;
        if let Some(path) = self.path() {
            map.serialize_entry("path", path)?;
        }
        if let Some((hive, key)) = self.key() {
            map.serialize_entry("hive", hive)?;
            map.serialize_entry("key", key)?;
        }
        if let Some(name) = self.value_name() {
            map.serialize_entry("name", name)?;
        }
        match self {
            Self::RegistrySet { value, .. } => {
                let value = ValueJson::from(value);
                map.serialize_entry("type", &value.kind)?;
                map.serialize_entry("data", &value.data)?;
                if let Some(hex) = &value.data_hex {
                    map.serialize_entry("data_hex", hex)?;
                }
            }
            Self::RegistryDelete { .. } | Self::RegistryCreate { .. } => {}
            Self::Write { content, mode, .. } => {
                if let Some(mode) = mode {
                    map.serialize_entry("mode", &format!("{mode:04o}"))?;
                }
                serialize_content(&mut map, content)?;
            }
            Self::Remove { .. } => {}
            Self::Link { target, .. } => {
                map.serialize_entry("target", &String::from_utf8_lossy(target))?;
            }
            Self::Chmod { mode, .. } | Self::Mkdir { mode, .. } => {
                map.serialize_entry("mode", &format!("{mode:04o}"))?;
            }
            Self::Chown { uid, gid, .. } => {
                map.serialize_entry("uid", uid)?;
                map.serialize_entry("gid", gid)?;
            }
            Self::InitramfsAppend { files, .. } => map.serialize_entry("files", files)?,
        }
        map.end()
    }
}

impl Serialize for InitramfsFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("mode", &format!("{:04o}", self.mode))?;
        serialize_content(&mut map, &self.content)?;
        map.end()
    }
}

fn serialize_content<M: SerializeMap>(map: &mut M, content: &[u8]) -> Result<(), M::Error> {
    if content.len() > INLINE_CONTENT {
        map.serialize_entry("sha256", &sha256_hex(content))?;
        return map.serialize_entry("size", &content.len());
    }
    match std::str::from_utf8(content) {
        Ok(text) => map.serialize_entry("content", text),
        Err(_) => map.serialize_entry(
            "content_base64",
            &base64::engine::general_purpose::STANDARD.encode(content),
        ),
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// SHA-256 of `content` in lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use refit_hive::ValueKind;
    use serde_json::json;

    #[test]
    fn json_is_the_documented_form() {
        let cases = [
            (
                Change::Write {
                    path: "/a".into(),
                    content: b"x\n".to_vec(),
                    mode: Some(0o644),
                },
                json!({"kind": "write", "path": "/a", "mode": "0644", "content": "x\n"}),
            ),
            (
                Change::Write {
                    path: "/a".into(),
                    content: vec![0xff],
                    mode: None,
                },
                json!({"kind": "write", "path": "/a", "content_base64": "/w=="}),
            ),
            (
                Change::Remove { path: "/a".into() },
                json!({"kind": "remove", "path": "/a"}),
            ),
            (
                Change::Chmod {
                    path: "/a".into(),
                    mode: 0o4755,
                },
                json!({"kind": "chmod", "path": "/a", "mode": "4755"}),
            ),
            (
                Change::Mkdir {
                    path: "/a".into(),
                    mode: 0o700,
                },
                json!({"kind": "mkdir", "path": "/a", "mode": "0700"}),
            ),
            (
                Change::Chown {
                    path: "/a".into(),
                    uid: 101,
                    gid: 65534,
                },
                json!({"kind": "chown", "path": "/a", "uid": 101, "gid": 65534}),
            ),
            (
                Change::InitramfsAppend {
                    path: "/boot/i".into(),
                    files: vec![InitramfsFile {
                        path: "/f".into(),
                        mode: 0o644,
                        content: b"y".to_vec(),
                    }],
                },
                json!({"kind": "initramfs-append", "path": "/boot/i",
                       "files": [{"path": "/f", "mode": "0644", "content": "y"}]}),
            ),
            (
                set("Start", Value::dword(3)),
                json!({"kind": "registry-set", "hive": "SYSTEM", "key": "Select", "name": "Start",
                       "type": "REG_DWORD", "data": 3}),
            ),
            (
                set("", Value::multi_sz(&["a", "b"])),
                json!({"kind": "registry-set", "hive": "SYSTEM", "key": "Select", "name": "",
                       "type": "REG_MULTI_SZ", "data": ["a", "b"]}),
            ),
            (
                set(
                    "b",
                    Value {
                        kind: ValueKind::Binary,
                        data: vec![0, 255],
                    },
                ),
                json!({"kind": "registry-set", "hive": "SYSTEM", "key": "Select", "name": "b",
                       "type": "REG_BINARY", "data": "00ff"}),
            ),
            (
                set(
                    "odd",
                    Value {
                        kind: ValueKind::Dword,
                        data: vec![7],
                    },
                ),
                json!({"kind": "registry-set", "hive": "SYSTEM", "key": "Select", "name": "odd",
                       "type": "REG_DWORD", "data": null, "data_hex": "07"}),
            ),
            (
                Change::RegistryDelete {
                    hive: HiveName::User("/Users/a/NTUSER.DAT".into()),
                    key: "Software".to_owned(),
                    name: None,
                },
                json!({"kind": "registry-delete", "hive": "/Users/a/NTUSER.DAT", "key": "Software"}),
            ),
            (
                Change::RegistryCreate {
                    hive: HiveName::Software,
                    key: "A\\B".to_owned(),
                },
                json!({"kind": "registry-create", "hive": "SOFTWARE", "key": "A\\B"}),
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(serde_json::to_value(&change).unwrap(), expected);
        }
    }

    fn set(name: &str, value: Value) -> Change {
        Change::RegistrySet {
            hive: HiveName::System,
            key: "Select".to_owned(),
            name: name.to_owned(),
            value,
        }
    }

    #[test]
    fn long_content_is_a_digest() {
        let change = Change::Write {
            path: "/a".into(),
            content: vec![b'x'; 70_000],
            mode: None,
        };
        let json = serde_json::to_value(&change).unwrap();
        assert_eq!(json["size"], 70_000);
        assert_eq!(json["sha256"].as_str().unwrap().len(), 64);
        assert!(json.get("content").is_none());
    }
}
