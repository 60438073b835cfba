//! What files are called in each of the three name spaces.

use crate::{Error, File, fields};

/// Most characters of a Joliet name.
const MAX_CHARACTERS: usize = 64;
/// Most bytes of a Rock Ridge name here, so that a record needs no continuation.
const MAX_BYTES: usize = 100;
/// Most characters of an ISO 9660 name without its version (level 2, ECMA-119 10.2), dot and all.
const MAX_PLAIN: usize = 30;

/// One file under all its names.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Which file of the image it is.
    pub(crate) index: usize,
    /// Size of its content in bytes.
    pub(crate) size: usize,
    /// The name as given, for Rock Ridge.
    pub(crate) name: &'a str,
    /// For ECMA-119: `OVF_ENV.XML;1`.
    pub(crate) plain: Vec<u8>,
    /// For Joliet.
    pub(crate) joliet: Vec<u8>,
}

/// Checks the names and makes the others.
pub(crate) fn entries<'a>(files: &[File<'a>]) -> Result<Vec<Entry<'a>>, Error> {
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for (index, file) in files.iter().enumerate() {
        if !is_name(file.name) {
            return Err(Error::Name(file.name.to_owned()));
        }
        let plain = plain(file.name);
        if let Some(same) = entries.iter().find(|entry| entry.plain == plain) {
            let (one, other) = (same.name.to_owned(), file.name.to_owned());
            return Err(Error::SameName(one, other));
        }
        entries.push(Entry {
            index,
            size: file.content.len(),
            name: file.name,
            plain,
            joliet: fields::ucs2(file.name),
        });
    }
    Ok(entries)
}

fn is_name(name: &str) -> bool {
    let fits = (1..=MAX_CHARACTERS).contains(&name.encode_utf16().count())
        && name.len() <= MAX_BYTES
        && !matches!(name, "." | "..");
    // UCS-2 has no more than the basic multilingual plane.
    fits && name.chars().all(|character| {
        !character.is_control() && !"*/:;?\\".contains(character) && u32::from(character) < 0x1_0000
    })
}

/// Capitals, digits and `_`, one dot, and the version of every file.
fn plain(name: &str) -> Vec<u8> {
    let allowed = |part: &str| -> String {
        part.chars()
            .map(|character| match character.to_ascii_uppercase() {
                kept if kept.is_ascii_alphanumeric() => kept,
                _ => '_',
            })
            .collect()
    };
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let (mut stem, mut extension) = (allowed(stem), allowed(extension));
    extension.truncate(MAX_PLAIN / 2);
    stem.truncate(MAX_PLAIN - extension.len());
    format!("{stem}.{extension};1").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_capitals() {
        for (name, expected) in [
            ("ovf-env.xml", "OVF_ENV.XML;1"),
            ("user-data", "USER_DATA.;1"),
            ("a.b.c", "A_B.C;1"),
            ("\u{e4}.\u{e4}", "_._;1"),
            (
                "a-very-long-name-indeed-that-goes-on.extension-of-it-too",
                "A_VERY_LONG_NAM.EXTENSION_OF_IT;1",
            ),
        ] {
            assert_eq!(plain(name), expected.as_bytes(), "{name}");
        }
    }
}
