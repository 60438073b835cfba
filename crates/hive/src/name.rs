//! Names of keys and values: how they are stored, compared, and hashed.
//!
//! A name is UTF-16 without any promise of being well-formed. When every unit fits into a byte it is stored as Latin-1
//! ("compressed"), as the Windows kernel does.

use std::cmp::Ordering;

use crate::upcase::upcase;
use crate::value::units;

/// A name as it stands in a cell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredName<'h> {
    pub(crate) bytes: &'h [u8],
    pub(crate) latin: bool,
}

impl<'h> StoredName<'h> {
    /// The name's UTF-16 units.
    pub(crate) fn units(self) -> impl Iterator<Item = u16> + 'h {
        let (latin, wide) = match self.latin {
            true => (self.bytes, &[][..]),
            false => (&[][..], self.bytes),
        };
        latin.iter().map(|byte| u16::from(*byte)).chain(units(wide))
    }

    /// Number of UTF-16 units.
    pub(crate) fn len(self) -> usize {
        match self.latin {
            true => self.bytes.len(),
            false => self.bytes.len() / 2,
        }
    }

    /// Whether Windows takes this for the given name.
    pub(crate) fn is(self, name: &[u16]) -> bool {
        self.len() == name.len()
            && self
                .units()
                .zip(name)
                .all(|(one, other)| one == *other || upcase(one) == upcase(*other))
    }

    /// How Windows sorts this against another name.
    pub(crate) fn order(self, other: impl Iterator<Item = u16>) -> Ordering {
        self.units().map(upcase).cmp(other.map(upcase))
    }

    /// For people and programs; what is not UTF-16 becomes U+FFFD.
    pub(crate) fn text(self) -> String {
        char::decode_utf16(self.units())
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }
}

/// The bytes to store for a name, and whether they are Latin-1.
pub(crate) fn encode(name: &[u16]) -> (Vec<u8>, bool) {
    let latin: Result<Vec<u8>, _> = name.iter().map(|unit| u8::try_from(*unit)).collect();
    match latin {
        Ok(bytes) => (bytes, true),
        Err(_) => (
            name.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
            false,
        ),
    }
}

/// The UTF-16 units of text.
pub(crate) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// The hash that `lh` lists keep beside each key.
pub(crate) fn hash(name: impl Iterator<Item = u16>) -> u32 {
    name.fold(0, |hash: u32, unit| {
        hash.wrapping_mul(37).wrapping_add(u32::from(upcase(unit)))
    })
}

/// The hint that `lf` lists keep beside each key: its first four characters, up to one that is not Latin-1.
///
/// When the very first four contain such a one, the hint's first byte is zero and tells nothing.
pub(crate) fn hint(name: impl Iterator<Item = u16>) -> [u8; 4] {
    let mut hint = [0; 4];
    for (slot, unit) in hint.iter_mut().zip(name) {
        match u8::try_from(unit) {
            Ok(byte) => *slot = byte,
            Err(_) => return [0; 4],
        }
    }
    hint
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(encoded: &(Vec<u8>, bool)) -> StoredName<'_> {
        StoredName {
            bytes: &encoded.0,
            latin: encoded.1,
        }
    }

    #[test]
    fn names_are_stored_as_latin_1_when_they_can() {
        for (name, latin, length) in [
            ("Select", true, 6),
            ("Übung", true, 5),
            ("Łódź", false, 8),
            ("", true, 0),
        ] {
            let encoded = encode(&wide(name));
            assert_eq!((encoded.1, encoded.0.len()), (latin, length), "{name}");
            assert_eq!(stored(&encoded).text(), name);
            assert_eq!(stored(&encoded).len(), name.chars().count());
        }
    }

    #[test]
    fn case_is_ignored_and_broken_pairs_are_kept_apart() {
        let name = encode(&wide("ŁÓDŹ"));
        assert!(stored(&name).is(&wide("łódź")));
        assert!(!stored(&name).is(&wide("łódz")));
        assert!(!stored(&name).is(&wide("łódź ")));
        let lone = encode(&[0xd800, 0x61]);
        assert_eq!(stored(&lone).text(), "\u{fffd}a");
        assert!(stored(&lone).is(&[0xd800, 0x41]));
    }

    #[test]
    fn order_is_by_upper_case() {
        let order =
            |one: &str, other: &str| stored(&encode(&wide(one))).order(wide(other).into_iter());
        assert_eq!(order("abc", "ABC"), Ordering::Equal);
        assert_eq!(
            order("a_b", "aab"),
            Ordering::Greater,
            "_ is behind the capitals"
        );
        assert_eq!(order("ab", "abc"), Ordering::Less);
        assert_eq!(order("ÿ", "Z"), Ordering::Greater);
    }

    #[test]
    fn hashes_and_hints() {
        assert_eq!(hash(wide("Ab").into_iter()), 65 * 37 + 66);
        assert_eq!(hash(wide("aB").into_iter()), 65 * 37 + 66);
        assert_eq!(hint(wide("Select").into_iter()), *b"Sele");
        assert_eq!(hint(wide("ab").into_iter()), *b"ab\0\0");
        assert_eq!(hint(wide("aŁbc").into_iter()), [0; 4]);
    }
}
