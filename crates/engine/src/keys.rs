//! Keys of encrypted volumes, as virt-v2v's `--key` writes them.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};

/// No passphrase or key file is longer (cryptsetup(8): 8 MiB key files).
const MAX_KEY: u64 = 8 * 1024 * 1024;

/// One `ID:key:SECRET`, `ID:file:PATH` or `ID:clevis` (virt-v2v(1), `--key`). The secret is never shown.
#[derive(Clone)]
pub struct Key {
    id: String,
    source: Source,
}

/// What opens a volume.
#[derive(Clone)]
pub(crate) enum Source {
    /// A passphrase, the content of a key file, or a recovery key.
    Secret(Vec<u8>),
    /// What Clevis has stored in the volume: servers in the guest's network, as a rule (clevis-luks-unlock(1)).
    Clevis,
}

impl Key {
    /// Whether it is meant for this volume: `ID` is the device, the UUID, or `all`.
    #[must_use]
    pub fn is_for(&self, device: &str, uuid: &str) -> bool {
        self.id == "all"
            || self.id == device
            || (!uuid.is_empty() && self.id.eq_ignore_ascii_case(uuid))
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Whether the appliance needs a network for it.
    #[must_use]
    pub fn is_clevis(&self) -> bool {
        matches!(self.source, Source::Clevis)
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
        let mut parts = text.splitn(3, ':');
        let (id, kind, value) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        ensure!(
            !id.is_empty(),
            "--key: the device, UUID or `all` before the first colon is missing"
        );
        let secret = match (kind, value) {
            (Some("clevis"), None) => {
                return Ok(Self {
                    id: id.to_owned(),
                    source: Source::Clevis,
                });
            }
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
            _ => bail!("--key {id}:...: expected ID:key:SECRET, ID:file:FILE or ID:clevis"),
        };
        ensure!(!secret.is_empty(), "--key {id}: the key is empty");
        Ok(Self {
            id: id.to_owned(),
            source: Source::Secret(secret),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(key: &Key) -> &[u8] {
        match key.source() {
            Source::Secret(secret) => secret,
            Source::Clevis => panic!("{key:?}"),
        }
    }

    #[test]
    fn keys_are_parsed_and_never_shown() {
        let key: Key = "/dev/sda2:key:a:b c".parse().unwrap();
        assert_eq!(secret(&key), b"a:b c");
        assert!(key.is_for("/dev/sda2", "") && !key.is_for("/dev/sda3", "x"));
        assert!(!format!("{key:?}").contains("a:b"));
        assert!("all:key:x".parse::<Key>().unwrap().is_for("/dev/sdb", ""));
        assert!("all:clevis".parse::<Key>().unwrap().is_clevis());
        assert!(!"all:key:clevis".parse::<Key>().unwrap().is_clevis());
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
            "x:clevis:y",
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
        assert_eq!(secret(&key), b"secret\n");
    }
}
