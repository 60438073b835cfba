//! GLib's key file format, as far as network profiles need it.

use std::collections::BTreeMap;
use std::ops::Range;

/// Settings that are read. Others, with their passwords and keys, are not even remembered.
const GROUPS: [&str; 17] = [
    "connection",
    "ethernet",
    "802-3-ethernet",
    "match",
    "ipv4",
    "ipv6",
    "bond",
    "bridge",
    "team",
    "vlan",
    "macvlan",
    "vxlan",
    "ip-tunnel",
    "infiniband",
    "nmmeta",
    // Only to tell the type of a profile that does not say it.
    "wifi",
    "802-11-wireless",
];

/// The groups and keys of one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeyFile {
    groups: BTreeMap<String, BTreeMap<String, String>>,
}

impl KeyFile {
    /// The value as it is written, without white space around it; `None` if unset or empty.
    pub(super) fn raw(&self, group: &str, key: &str) -> Option<&str> {
        let value = self.groups.get(group)?.get(key)?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// The value with its escapes resolved; `None` if unset or empty.
    pub(super) fn string(&self, group: &str, key: &str) -> Option<String> {
        self.raw(group, key).map(unescape)
    }

    /// The items of a value that are separated by `;`.
    pub(super) fn list(&self, group: &str, key: &str) -> Vec<String> {
        self.raw(group, key).map(split_list).unwrap_or_default()
    }

    /// All keys of a group with their values as they are written.
    pub(super) fn keys(&self, group: &str) -> impl Iterator<Item = (&str, &str)> {
        self.groups
            .get(group)
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str(), value.trim()))
    }

    /// Whether the group is there, with or without keys.
    pub(super) fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }
}

/// One key, or the header of a group, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The group.
    pub group: String,
    /// The key; `None` for the header of the group.
    pub key: Option<String>,
    /// Where the value is, as it is written.
    pub value: Range<usize>,
    /// The whole line, with the newline.
    pub bytes: Range<usize>,
}

/// The keys and headers of a text with their places.
#[must_use]
pub fn places(text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut group: Option<&str> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bytes = at..at + line.len();
        at = bytes.end;
        let line = line.trim_start_matches([' ', '\t', '\r']);
        let start = at - line.len();
        let line = line.trim_end();
        if let Some(header) = line.strip_prefix('[') {
            group = header.strip_suffix(']');
            places.extend(group.map(|group| Place {
                group: group.to_owned(),
                key: None,
                value: bytes.end..bytes.end,
                bytes,
            }));
        } else if let (Some((key, value)), Some(group)) = (line.split_once('='), group)
            && !line.starts_with('#')
        {
            let end = start + line.len();
            let value = end - value.trim_start().len()..end;
            places.push(Place {
                group: group.to_owned(),
                key: Some(key.trim_end().to_owned()),
                value,
                bytes,
            });
        }
    }
    places
}

/// Reads a key file. As with GLib, one line that is none of comment, group and `key=value` makes
/// all of it invalid; the error says which, and not what is in it.
pub(super) fn parse(text: &str) -> Result<KeyFile, String> {
    let mut file = KeyFile::default();
    let mut group: Option<&str> = None;
    for (number, line) in text.split('\n').enumerate() {
        let number = number + 1;
        let line = line.trim_start_matches([' ', '\t', '\r']);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            let name = header
                .trim_end()
                .strip_suffix(']')
                .filter(|name| !name.is_empty() && !name.contains(['[', ']']))
                .ok_or_else(|| format!("line {number}: not the name of a group"))?;
            group = Some(name);
            if GROUPS.contains(&name) {
                file.groups.entry(name.to_owned()).or_default();
            }
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| format!("line {number}: neither a group nor key=value"))?;
        let key = key.trim_end();
        let group = group.ok_or_else(|| format!("line {number}: a key before any group"))?;
        if key.is_empty() {
            return Err(format!("line {number}: a value without a key"));
        }
        // key[de]=... is a translation.
        if let Some(keys) = file.groups.get_mut(group)
            && !key.contains('[')
        {
            keys.insert(key.to_owned(), value.to_owned());
        }
    }
    Ok(file)
}

/// Resolves `\s`, `\n`, `\t`, `\r` and `\\`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('s') => out.push(' '),
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(other @ ('\\' | ';')) => out.push(other),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

/// Splits at `;` that are not escaped; the one at the end is optional.
fn split_list(text: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ';' => {
                items.push(unescape(text[start..at].trim()));
                start = at + 1;
            }
            _ => {}
        }
    }
    if start < text.len() {
        items.push(unescape(text[start..].trim()));
    }
    items.retain(|item| !item.is_empty());
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_escapes_and_lists() {
        let file = parse(
            "# a comment\n\n[connection]\nid = Wired\\s1 \r\nid[de]=Kabel\ntype=a\ntype=b\n \
             [match] \ninterface-name=en*;a\\;b;!x;\n[wifi-security]\npsk=geheim\n[connection]\nuuid=u\n",
        )
        .unwrap();
        assert_eq!(file.string("connection", "id").as_deref(), Some("Wired 1"));
        assert_eq!(file.raw("connection", "type"), Some("b"));
        assert_eq!(file.raw("connection", "uuid"), Some("u"));
        assert_eq!(
            file.list("match", "interface-name"),
            ["en*", "a;b", "!x"].map(str::to_owned)
        );
        assert_eq!(file.raw("connection", "nothing"), None);
        assert!(!format!("{file:?}").contains("geheim"));
    }

    #[test]
    fn places_are_lines_and_values() {
        let text = "# c=d\n [a]\n k = v w \r\nj=\n";
        let found: Vec<_> = places(text)
            .into_iter()
            .map(|place| (place.key, &text[place.value], &text[place.bytes]))
            .collect();
        assert_eq!(
            found,
            [
                (None, "", " [a]\n"),
                (Some("k".to_owned()), "v w", " k = v w \r\n"),
                (Some("j".to_owned()), "", "j=\n"),
            ]
        );
    }

    #[test]
    fn broken_files_are_refused_with_the_line() {
        for (text, line) in [
            ("[connection]\nid=x\nrubbish geheim\n", 3),
            ("id=geheim\n", 1),
            ("[connection\n", 1),
            ("\n[con[n]ection]\n", 2),
            ("[]\n", 1),
            ("[connection]\n=geheim\n", 2),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(&format!("line {line}: ")), "{error}");
            assert!(!error.contains("geheim"), "{error}");
        }
        assert_eq!(parse("").unwrap(), KeyFile::default());
    }
}
