//! Keys of encrypted volumes, as virt-v2v's `--key` writes them.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};

/// No passphrase or key file is longer (cryptsetup(8): 8 MiB key files).
const MAX_KEY: u64 = 8 * 1024 * 1024;

/// One `ID:key:SECRET` or `ID:file:PATH` (virt-v2v(1), `--key`). The secret is never shown.
#[derive(Clone)]
pub struct Key {
    id: String,
    secret: Vec<u8>,
}

impl Key {
    /// Whether it is meant for this volume: `ID` is the device, the UUID, or `all`.
    #[must_use]
    pub fn is_for(&self, device: &str, uuid: &str) -> bool {
        self.id == "all"
            || self.id == device
            || (!uuid.is_empty() && self.id.eq_ignore_ascii_case(uuid))
    }

    /// Whether this is a key in virt-v2v's form `ID:clevis`, which none of ours can be: the guest's network key server
    /// has it, and virt-v2v asks there.
    #[must_use]
    pub fn is_clevis(text: &str) -> bool {
        text.split_once(':').is_some_and(|(_, how)| how == "clevis")
    }

    /// The passphrase or recovery key.
    #[must_use]
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl FromStr for Key {
    type Err = anyhow::Error;

    /// A key file's final newline is not part of the passphrase, as for virt-v2v.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        ensure!(
            !Self::is_clevis(text),
            "--key {text} needs the guest's network key server: only `refit convert` can use it, through virt-v2v"
        );
        let mut parts = text.splitn(3, ':');
        let (id, kind, value) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        ensure!(
            !id.is_empty(),
            "--key: the device, UUID or `all` before the first colon is missing"
        );
        let secret = match (kind, value) {
            (Some("key"), Some(secret)) => secret.as_bytes().to_vec(),
            (Some("file"), Some(path)) => {
                let mut secret = Vec::new();
                File::open(path)
                    .and_then(|file| file.take(MAX_KEY).read_to_end(&mut secret))
                    .with_context(|| format!("--key {id}:file:{path}: reading the key file"))?;
                if secret.last() == Some(&b'\n') {
                    secret.pop();
                }
                secret
            }
            _ => bail!("--key {id}:...: expected ID:key:SECRET or ID:file:FILE"),
        };
        ensure!(!secret.is_empty(), "--key {id}: the key is empty");
        Ok(Self {
            id: id.to_owned(),
            secret,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_parsed_and_never_shown() {
        let key: Key = "/dev/sda2:key:a:b c".parse().unwrap();
        assert_eq!(key.secret(), b"a:b c");
        assert!(key.is_for("/dev/sda2", "") && !key.is_for("/dev/sda3", "x"));
        assert!(!format!("{key:?}").contains("a:b"));
        assert!("all:key:x".parse::<Key>().unwrap().is_for("/dev/sdb", ""));
        assert!(Key::is_clevis("all:clevis") && !Key::is_clevis("all:key:clevis"));
        assert!(
            "AB-CD:key:x"
                .parse::<Key>()
                .unwrap()
                .is_for("/dev/sdb", "ab-cd")
        );
        for text in [
            "",
            "x",
            "x:key",
            "x:key:",
            ":key:y",
            "x:file:/nonexistent",
            "x:clevis",
            "x:word:y",
        ] {
            let error = text.parse::<Key>().unwrap_err();
            assert!(!format!("{error:#}").is_empty(), "{text}");
        }
    }

    #[test]
    fn a_key_file_loses_one_newline() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\n\n").unwrap();
        let key: Key = format!("all:file:{}", file.path().display())
            .parse()
            .unwrap();
        assert_eq!(key.secret(), b"secret\n");
    }
}
