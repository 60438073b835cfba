//! Values: a type and its data.

/// The type of a value, as Windows names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueKind {
    /// `REG_NONE`
    None,
    /// `REG_SZ`
    Sz,
    /// `REG_EXPAND_SZ`
    ExpandSz,
    /// `REG_BINARY`
    Binary,
    /// `REG_DWORD`
    Dword,
    /// `REG_DWORD_BIG_ENDIAN`
    DwordBe,
    /// `REG_LINK`
    Link,
    /// `REG_MULTI_SZ`
    MultiSz,
    /// `REG_RESOURCE_LIST`
    ResourceList,
    /// `REG_FULL_RESOURCE_DESCRIPTOR`
    FullResource,
    /// `REG_RESOURCE_REQUIREMENTS_LIST`
    ResourceRequirements,
    /// `REG_QWORD`
    Qword,
    /// Any other number; Windows keeps those, and uses some (device properties: `0xffff0000` and up).
    Other(u32),
}

const NAMES: [(ValueKind, &str); 12] = [
    (ValueKind::None, "REG_NONE"),
    (ValueKind::Sz, "REG_SZ"),
    (ValueKind::ExpandSz, "REG_EXPAND_SZ"),
    (ValueKind::Binary, "REG_BINARY"),
    (ValueKind::Dword, "REG_DWORD"),
    (ValueKind::DwordBe, "REG_DWORD_BIG_ENDIAN"),
    (ValueKind::Link, "REG_LINK"),
    (ValueKind::MultiSz, "REG_MULTI_SZ"),
    (ValueKind::ResourceList, "REG_RESOURCE_LIST"),
    (ValueKind::FullResource, "REG_FULL_RESOURCE_DESCRIPTOR"),
    (
        ValueKind::ResourceRequirements,
        "REG_RESOURCE_REQUIREMENTS_LIST",
    ),
    (ValueKind::Qword, "REG_QWORD"),
];

impl ValueKind {
    /// The type with this number.
    pub fn from_number(number: u32) -> ValueKind {
        NAMES
            .get(number as usize)
            .map_or(ValueKind::Other(number), |(kind, _)| *kind)
    }

    /// The number that a hive stores.
    pub fn number(self) -> u32 {
        match self {
            ValueKind::Other(number) => number,
            known => NAMES
                .iter()
                .zip(0..)
                .find(|((kind, _), _)| *kind == known)
                .map_or(0, |(_, number)| number),
        }
    }

    /// Windows' name, such as `REG_SZ`; `0x` and eight hexadecimal digits for a type without one.
    pub fn name(self) -> String {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or_else(
            || format!("{:#010x}", self.number()),
            |(_, name)| (*name).to_owned(),
        )
    }

    /// The type with such a name: the reverse of [`ValueKind::name`].
    pub fn from_name(name: &str) -> Option<ValueKind> {
        if let Some(digits) = name.strip_prefix("0x") {
            return u32::from_str_radix(digits, 16)
                .ok()
                .map(ValueKind::from_number);
        }
        NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(kind, _)| *kind)
    }
}

impl std::fmt::Display for ValueKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

/// The type and the data of a value. The data is what the hive holds: text as UTF-16LE, usually with its final NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The type.
    pub kind: ValueKind,
    /// The bytes as stored.
    pub data: Vec<u8>,
}

impl Value {
    /// Text, with its final NUL.
    pub fn sz(text: &str) -> Value {
        Value {
            kind: ValueKind::Sz,
            data: terminated(text),
        }
    }

    /// Text with `%variables%`, with its final NUL.
    pub fn expand_sz(text: &str) -> Value {
        Value {
            kind: ValueKind::ExpandSz,
            data: terminated(text),
        }
    }

    /// A 32-bit number.
    pub fn dword(number: u32) -> Value {
        Value {
            kind: ValueKind::Dword,
            data: number.to_le_bytes().into(),
        }
    }

    /// A 64-bit number.
    pub fn qword(number: u64) -> Value {
        Value {
            kind: ValueKind::Qword,
            data: number.to_le_bytes().into(),
        }
    }

    /// A list of strings, each with its NUL, and a final NUL. An empty string would end the list, so it is left out.
    pub fn multi_sz<S: AsRef<str>>(texts: &[S]) -> Value {
        let mut data: Vec<u8> = texts
            .iter()
            .map(AsRef::as_ref)
            .filter(|text| !text.is_empty())
            .flat_map(terminated)
            .collect();
        data.extend([0, 0]);
        Value {
            kind: ValueKind::MultiSz,
            data,
        }
    }

    /// Bytes.
    pub fn binary(data: impl Into<Vec<u8>>) -> Value {
        Value {
            kind: ValueKind::Binary,
            data: data.into(),
        }
    }

    /// The text of `REG_SZ`, `REG_EXPAND_SZ` or `REG_LINK`, up to the first NUL; `None` for other types.
    ///
    /// What is not UTF-16 is replaced by U+FFFD; an odd last byte is left out.
    pub fn as_str(&self) -> Option<String> {
        match self.kind {
            ValueKind::Sz | ValueKind::ExpandSz | ValueKind::Link => {
                let text: Vec<u16> = units(&self.data).take_while(|unit| *unit != 0).collect();
                Some(String::from_utf16_lossy(&text))
            }
            _ => None,
        }
    }

    /// The number of `REG_DWORD` or `REG_DWORD_BIG_ENDIAN` when it has exactly four bytes.
    pub fn as_dword(&self) -> Option<u32> {
        let bytes: [u8; 4] = self.data.as_slice().try_into().ok()?;
        match self.kind {
            ValueKind::Dword => Some(u32::from_le_bytes(bytes)),
            ValueKind::DwordBe => Some(u32::from_be_bytes(bytes)),
            _ => None,
        }
    }

    /// The number of `REG_QWORD` when it has exactly eight bytes.
    pub fn as_qword(&self) -> Option<u64> {
        let bytes = self.data.as_slice().try_into().ok()?;
        (self.kind == ValueKind::Qword).then(|| u64::from_le_bytes(bytes))
    }

    /// The strings of `REG_MULTI_SZ`, up to the empty string that ends it; `None` for other types.
    pub fn as_multi(&self) -> Option<Vec<String>> {
        if self.kind != ValueKind::MultiSz {
            return None;
        }
        let all: Vec<u16> = units(&self.data).collect();
        Some(
            all.split(|unit| *unit == 0)
                .take_while(|text| !text.is_empty())
                .map(String::from_utf16_lossy)
                .collect(),
        )
    }
}

/// The UTF-16 units of bytes; an odd last byte is left out.
pub(crate) fn units(data: &[u8]) -> impl Iterator<Item = u16> + '_ {
    data.chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
}

fn terminated(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_numbers_and_names() {
        for number in 0..20 {
            let kind = ValueKind::from_number(number);
            assert_eq!(kind.number(), number);
            assert_eq!(ValueKind::from_name(&kind.name()), Some(kind));
        }
        assert_eq!(ValueKind::MultiSz.number(), 7);
        assert_eq!(ValueKind::Other(0xffff_0012).name(), "0xffff0012");
        assert_eq!(ValueKind::from_name("REG_NOTHING"), None);
    }

    #[test]
    fn text_ends_at_its_first_nul() {
        assert_eq!(Value::sz("a").data, [b'a', 0, 0, 0]);
        let odd = |kind, data: &[u8]| Value {
            kind,
            data: data.into(),
        };
        assert_eq!(
            odd(ValueKind::Sz, b"a\0\0\0b\0").as_str().as_deref(),
            Some("a")
        );
        assert_eq!(odd(ValueKind::Sz, b"a\0b").as_str().as_deref(), Some("a"));
        assert_eq!(
            odd(ValueKind::ExpandSz, &[0, 0xd8]).as_str().as_deref(),
            Some("\u{fffd}")
        );
        assert_eq!(odd(ValueKind::Binary, b"a\0").as_str(), None);
    }

    #[test]
    fn lists_of_strings() {
        let value = Value::multi_sz(&["a", "", "bc"]);
        assert_eq!(value.data, b"a\0\0\0b\0c\0\0\0\0\0");
        assert_eq!(
            value.as_multi(),
            Some(vec!["a".to_owned(), "bc".to_owned()])
        );
        assert_eq!(Value::multi_sz::<&str>(&[]).data, [0, 0]);
        assert_eq!(Value::multi_sz::<&str>(&[]).as_multi(), Some(vec![]));
        assert_eq!(Value::sz("a").as_multi(), None);
        // Without the final NULs, as some programs write it.
        let bare = Value {
            kind: ValueKind::MultiSz,
            data: b"a\0\0\0b\0".into(),
        };
        assert_eq!(bare.as_multi(), Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn numbers_have_their_exact_size() {
        assert_eq!(Value::dword(7).as_dword(), Some(7));
        assert_eq!(
            Value {
                kind: ValueKind::DwordBe,
                data: vec![0, 0, 0, 7]
            }
            .as_dword(),
            Some(7)
        );
        assert_eq!(
            Value {
                kind: ValueKind::Dword,
                data: vec![7]
            }
            .as_dword(),
            None
        );
        assert_eq!(Value::qword(1 << 40).as_qword(), Some(1 << 40));
        assert_eq!(Value::binary([1, 2, 3, 4]).as_dword(), None);
    }
}
