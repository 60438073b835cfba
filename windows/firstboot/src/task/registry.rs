//! Edits of the registry.

use super::fields::{Field, number};

/// One edit below `HKEY_LOCAL_MACHINE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Writes a value, and makes the key if it is missing.
    Set {
        /// The key, without `HKLM\`.
        key: String,
        /// The value's name; empty for the default value.
        name: String,
        /// What it says.
        data: Data,
    },
    /// Deletes a value.
    Delete {
        /// The key, without `HKLM\`.
        key: String,
        /// The value's name.
        name: String,
    },
    /// Deletes a key with everything below.
    DeleteKey {
        /// The key, without `HKLM\`.
        key: String,
    },
    /// Makes a key.
    Create {
        /// The key, without `HKLM\`.
        key: String,
    },
}

impl Edit {
    /// The key that it is about, without `HKLM\`.
    pub fn key(&self) -> &str {
        match self {
            Self::Set { key, .. }
            | Self::Delete { key, .. }
            | Self::DeleteKey { key }
            | Self::Create { key } => key,
        }
    }
}

/// A value's type and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// `REG_SZ`
    Sz(String),
    /// `REG_EXPAND_SZ`
    ExpandSz(String),
    /// `REG_MULTI_SZ`
    MultiSz(Vec<String>),
    /// `REG_DWORD`
    Dword(u32),
    /// `REG_QWORD`
    Qword(u64),
    /// `REG_BINARY`
    Binary(Vec<u8>),
}

pub(super) fn parse(fields: Vec<Field>) -> Result<Vec<Edit>, String> {
    let mut edits: Vec<Edit> = Vec::new();
    let mut current: Option<String> = None;
    for Field {
        line,
        key: word,
        value,
    } in fields
    {
        let at = |error: String| format!("line {line}: {error}");
        if word == "key" {
            let key = local_machine(&value).map_err(at)?;
            edits.push(Edit::Create { key: key.clone() });
            current = Some(key);
            continue;
        }
        let key = current
            .clone()
            .ok_or_else(|| at(format!("unknown key: {word}")))?;
        match word.as_str() {
            "delete" => edits.push(Edit::Delete {
                key,
                name: value_name(&value),
            }),
            "delete-key" => {
                if value != "yes" || key.split('\\').count() < 4 {
                    return Err(at(format!("delete-key: not yes, or too high: {key}")));
                }
                // A key that is to vanish need not be made.
                if edits.last() == Some(&Edit::Create { key: key.clone() }) {
                    edits.pop();
                }
                edits.push(Edit::DeleteKey { key });
            }
            _ => {
                let (name, text) = match value.split_once(" = ") {
                    Some(pair) => pair,
                    // An empty string, whose space at the end would be refused.
                    None => match value.strip_suffix(" =") {
                        Some(name) => (name, ""),
                        None => return Err(at("not NAME = VALUE".into())),
                    },
                };
                let name = value_name(name);
                let data = data(&word, text).map_err(at)?;
                match (edits.last_mut(), data) {
                    (
                        Some(Edit::Set {
                            key: last,
                            name: previous,
                            data: Data::MultiSz(list),
                        }),
                        Data::MultiSz(mut more),
                    ) if *last == key && *previous == name => list.append(&mut more),
                    (_, data) => edits.push(Edit::Set { key, name, data }),
                }
            }
        }
    }
    if edits.is_empty() {
        return Err("key: missing".into());
    }
    Ok(edits)
}

fn value_name(text: &str) -> String {
    match text {
        "@" => String::new(),
        name => name.to_owned(),
    }
}

fn local_machine(text: &str) -> Result<String, String> {
    let key = text
        .get(..5)
        .filter(|start| start.eq_ignore_ascii_case("HKLM\\"))
        .map(|_| &text[5..])
        .ok_or_else(|| format!("key: not below HKLM: {text}"))?;
    let parts: Vec<&str> = key.split('\\').collect();
    if parts.len() < 2 || parts.iter().any(|part| part.is_empty() || part.len() > 255) {
        return Err(format!("key: too high, or a part is empty: {text}"));
    }
    Ok(key.to_owned())
}

fn data(word: &str, text: &str) -> Result<Data, String> {
    let wrong = || format!("{word}: not understood: {text}");
    Ok(match word {
        "sz" => Data::Sz(text.to_owned()),
        "expand-sz" => Data::ExpandSz(text.to_owned()),
        "multi-sz" if !text.is_empty() => Data::MultiSz(vec![text.to_owned()]),
        "dword" => Data::Dword(
            integer(text)
                .and_then(|n| u32::try_from(n).ok())
                .ok_or_else(wrong)?,
        ),
        "qword" => Data::Qword(integer(text).ok_or_else(wrong)?),
        "binary" => Data::Binary(bytes(text).ok_or_else(wrong)?),
        "multi-sz" => return Err(wrong()),
        _ => return Err(format!("unknown key: {word}")),
    })
}

fn integer(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            u64::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None => number(text),
    }
}

/// Pairs of hexadecimal digits, with spaces between them or without.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let nibble = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    if digits.len() % 2 == 1 {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Task};
    use super::*;

    fn edits(lines: &str) -> Result<Vec<Edit>, String> {
        let content = format!("refit-task 1\nkind registry\n{lines}");
        match Task::parse("10-a.task", content.as_bytes())?.kind {
            Kind::Registry(edits) => Ok(edits),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_type() {
        let key = "SOFTWARE\\A b";
        let set = |name: &str, data| Edit::Set {
            key: key.into(),
            name: name.into(),
            data,
        };
        assert_eq!(
            edits(
                "key HKLM\\SOFTWARE\\A b\nsz @ = x = y\nexpand-sz Path = %SystemRoot%\\x\ndword D = 0xffffffff\nqword Q = 5\nmulti-sz M = a\nmulti-sz M = b\nbinary B = 00 fF10\nsz E =\ndelete Old name\nkey HKLM\\SYSTEM\\a\\b\\c\ndelete-key yes"
            )
            .unwrap(),
            [
                Edit::Create { key: key.into() },
                set("", Data::Sz("x = y".into())),
                set("Path", Data::ExpandSz("%SystemRoot%\\x".into())),
                set("D", Data::Dword(u32::MAX)),
                set("Q", Data::Qword(5)),
                set("M", Data::MultiSz(vec!["a".into(), "b".into()])),
                set("B", Data::Binary(vec![0, 255, 16])),
                set("E", Data::Sz(String::new())),
                Edit::Delete { key: key.into(), name: "Old name".into() },
                Edit::DeleteKey { key: "SYSTEM\\a\\b\\c".into() },
            ]
        );
    }

    #[test]
    fn refused() {
        for lines in [
            "",
            "dword A = 1",
            "key HKCU\\Software\\x",
            "key HKLM\\SOFTWARE",
            "key HKLM\\SOFTWARE\\\\x",
            "key HKLM\\SYSTEM\\a\ndelete-key yes",
            "key HKLM\\SYSTEM\\a\\b\\c\ndelete-key no",
            "key HKLM\\SOFTWARE\\x\ndword A 1",
            "key HKLM\\SOFTWARE\\x\ndword A = 4294967296",
            "key HKLM\\SOFTWARE\\x\ndword A = -1",
            "key HKLM\\SOFTWARE\\x\nbinary A = 0",
            "key HKLM\\SOFTWARE\\x\nbinary A = +1",
            "key HKLM\\SOFTWARE\\x\nlink A = x",
        ] {
            assert!(edits(lines).is_err(), "{lines}");
        }
    }
}
