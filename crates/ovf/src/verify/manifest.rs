//! Manifests: one line for each file with its digest (DSP0243 section 5.1).

use std::fmt;

use openssl::hash::MessageDigest;
use serde::Serialize;

/// A digest's algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Algorithm {
    /// SHA-1.
    #[serde(rename = "SHA1")]
    Sha1,
    /// SHA-256.
    #[serde(rename = "SHA256")]
    Sha256,
    /// SHA-384.
    #[serde(rename = "SHA384")]
    Sha384,
    /// SHA-512.
    #[serde(rename = "SHA512")]
    Sha512,
}

impl Algorithm {
    /// By the name that manifests and certificates use: `SHA1`, `SHA-256`, `sha512`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().replace('-', "").as_str() {
            "sha1" => Some(Self::Sha1),
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    pub(super) fn digest(self) -> MessageDigest {
        match self {
            Self::Sha1 => MessageDigest::sha1(),
            Self::Sha256 => MessageDigest::sha256(),
            Self::Sha384 => MessageDigest::sha384(),
            Self::Sha512 => MessageDigest::sha512(),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) algorithm: Algorithm,
    pub(super) name: String,
    /// Hexadecimal digits in lower case.
    pub(super) digest: String,
}

/// A manifest.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) entries: Vec<Entry>,
    /// Lines that are none, by number from 1, and why.
    pub(super) unread: Vec<(usize, String)>,
}

/// Unread lines that are told.
const MAX_UNREAD: usize = 20;

impl Manifest {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut manifest = Self::default();
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            match entry(line) {
                Ok(entry) => manifest.entries.push(entry),
                Err(why) if manifest.unread.len() < MAX_UNREAD => {
                    manifest.unread.push((number, why));
                }
                Err(_) => {}
            }
        }
        manifest
    }
}

/// `SHA256(name)= digits`, with spaces anywhere between. A name may have parentheses and `=`.
pub(super) fn entry(line: &str) -> Result<Entry, String> {
    let shown: String = line.chars().take(80).collect();
    let form = || format!("{shown:?} is not of the form ALGORITHM(FILE)= DIGEST");
    let (start, digest) = line.rsplit_once('=').ok_or_else(form)?;
    let (algorithm, rest) = start.split_once('(').ok_or_else(form)?;
    let (name, behind) = rest.rsplit_once(')').ok_or_else(form)?;
    if !behind.trim().is_empty() || name.is_empty() {
        return Err(form());
    }
    let algorithm = Algorithm::parse(algorithm)
        .ok_or_else(|| format!("the algorithm {:?} is not known", algorithm.trim()))?;
    let digest = digest.trim().to_ascii_lowercase();
    if digest.is_empty() || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(form());
    }
    Ok(Entry {
        algorithm,
        name: name.to_owned(),
        digest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_they_are_written() {
        let entry = |algorithm, name: &str, digest: &str| Entry {
            algorithm,
            name: name.to_owned(),
            digest: digest.to_owned(),
        };
        let manifest = Manifest::parse(
            "\u{feff}SHA1(a.ovf)= 0A0b\r\n\nSHA256 (my disk (1)=2.vmdk) = ff\nsha512(x)=00\n\
             MD5(x)= 00\nnonsense\nSHA1(x)= zz\nSHA1(x) y= 00"
                .as_bytes(),
        );
        assert_eq!(
            manifest.entries,
            [
                entry(Algorithm::Sha1, "a.ovf", "0a0b"),
                entry(Algorithm::Sha256, "my disk (1)=2.vmdk", "ff"),
                entry(Algorithm::Sha512, "x", "00"),
            ]
        );
        let lines: Vec<usize> = manifest.unread.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [5, 6, 7, 8]);
        assert!(manifest.unread[0].1.contains("MD5"));
    }
}
