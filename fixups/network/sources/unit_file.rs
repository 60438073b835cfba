//! The dialect of `.ini` that systemd reads, as systemd.syntax(7) has it.
//!
//! Sections and keys may be repeated, their order counts, and an empty assignment takes back what
//! lists had so far. (NetworkManager's keyfiles look alike but are another dialect.)

use std::ops::Range;

/// A unit file, or several that were merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFile {
    sections: Vec<Section>,
}

/// One section, from its header to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    name: String,
    entries: Vec<(String, String)>,
}

/// A line that does not follow the syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line number, counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
    /// The line, for a message only.
    pub text: String,
}

impl UnitFile {
    /// Reads a unit file; also gives the lines that systemd passes over.
    ///
    /// # Errors
    /// The line for which systemd refuses the whole file: a section header without its bracket.
    pub fn parse(text: &str) -> Result<(Self, Vec<Problem>), Problem> {
        let mut file = Self::default();
        let mut problems = Vec::new();
        for (number, _, line) in logical_lines(text) {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let problem = |reason| Problem {
                line: number,
                reason,
                text: line.to_owned(),
            };
            if let Some(header) = line.strip_prefix('[') {
                let name = header
                    .strip_suffix(']')
                    .ok_or(problem("the section header has no closing bracket"))?;
                file.sections.push(Section {
                    name: name.to_owned(),
                    entries: Vec::new(),
                });
                continue;
            }
            match (line.split_once('='), file.sections.last_mut()) {
                (Some((key, value)), Some(section)) => section
                    .entries
                    .push((key.trim_end().to_owned(), value.trim_start().to_owned())),
                (Some(_), None) => problems.push(problem("the assignment is outside of a section")),
                (None, _) => problems.push(problem("the line is no assignment")),
            }
        }
        Ok((file, problems))
    }

    /// Adds a drop-in behind what is already here.
    pub fn append(&mut self, drop_in: Self) {
        self.sections.extend(drop_in.sections);
    }

    /// The sections of this name, in order.
    pub fn sections<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Section> {
        self.sections
            .iter()
            .filter(move |section| section.name == name)
    }

    /// What is assigned to `key` in all sections of this name, in order; an empty assignment drops
    /// what comes before it.
    #[must_use]
    pub fn values<'a>(&'a self, section: &str, key: &str) -> Vec<&'a str> {
        let mut values = Vec::new();
        for value in self
            .sections(section)
            .flat_map(|section| section.assigned(key))
        {
            if value.is_empty() {
                values.clear();
            } else {
                values.push(value);
            }
        }
        values
    }

    /// The words of [`values`](Self::values), split at white space.
    #[must_use]
    pub fn words<'a>(&'a self, section: &str, key: &str) -> Vec<&'a str> {
        self.values(section, key)
            .into_iter()
            .flat_map(str::split_whitespace)
            .collect()
    }

    /// The last assignment to a key that takes one value; `None` if it is empty or missing.
    #[must_use]
    pub fn last<'a>(&'a self, section: &str, key: &str) -> Option<&'a str> {
        self.values(section, key).pop()
    }

    /// As [`last`](Self::last), as a Boolean; `None` also if it is none.
    #[must_use]
    pub fn boolean(&self, section: &str, key: &str) -> Option<bool> {
        match self.last(section, key)?.to_ascii_lowercase().as_str() {
            "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
            "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
            _ => None,
        }
    }
}

impl Section {
    /// What is assigned to `key` here, in order, empty assignments included.
    pub fn assigned<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        self.entries
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// The last assignment to `key` here; `None` if it is empty or missing.
    #[must_use]
    pub fn last<'a>(&'a self, key: &str) -> Option<&'a str> {
        self.assigned(key).last().filter(|value| !value.is_empty())
    }
}

/// One assignment or section header, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The section, and how many come before it.
    pub section: (String, usize),
    /// The key; `None` for the header of the section.
    pub key: Option<String>,
    /// The value, continued lines joined.
    pub value: String,
    /// The whole line, or lines, with the newline.
    pub bytes: Range<usize>,
}

/// The assignments and headers of a text with their places; what is none is left out.
#[must_use]
pub fn places(text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut section: Option<(String, usize)> = None;
    for (_, bytes, line) in logical_lines(text) {
        let line = line.trim();
        if let Some(header) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            let index = section.map_or(0, |(_, index)| index + 1);
            section = Some((header.to_owned(), index));
            places.extend(section.clone().map(|section| Place {
                section,
                key: None,
                value: String::new(),
                bytes,
            }));
        } else if let (Some((key, value)), Some(section)) = (line.split_once('='), &section) {
            places.push(Place {
                section: section.clone(),
                key: Some(key.trim_end().to_owned()),
                value: value.trim_start().to_owned(),
                bytes,
            });
        }
    }
    places
}

/// Lines without comments, continued ones joined, each with the number of its first and its place.
///
/// A backslash at the end becomes a space; comments between continued lines are skipped. A NUL ends
/// a line, as it does for systemd's reader.
fn logical_lines(text: &str) -> Vec<(usize, Range<usize>, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, Range<usize>, String)> = None;
    let whole = text;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut at = whole.len() - text.len();
    let mut number = 0;
    for physical in text.split_inclusive('\n') {
        number += 1;
        let mut start = at;
        at += physical.len();
        for part in physical.split_inclusive('\0') {
            let bytes = start..start + part.len();
            start = bytes.end;
            let line = part.strip_suffix('\n').unwrap_or(part);
            let line = line.strip_suffix('\0').unwrap_or(line);
            let line = line.strip_suffix('\r').unwrap_or(line).trim_start();
            if line.starts_with(['#', ';']) {
                continue;
            }
            let (first, mut place, mut joined) =
                open.take()
                    .unwrap_or((number, bytes.clone(), String::new()));
            place.end = bytes.end;
            joined.push_str(line);
            let backslashes = joined.bytes().rev().take_while(|&b| b == b'\\').count();
            if backslashes % 2 == 1 {
                joined.pop();
                joined.push(' ');
                open = Some((first, place, joined));
            } else {
                lines.push((first, place, joined));
            }
        }
    }
    lines.extend(open);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> UnitFile {
        UnitFile::parse(text).unwrap().0
    }

    #[test]
    fn comments_continuations_and_white_space() {
        let file = parse(
            "\u{feff}; first\n [Match] \n  Name = eth0 \\\n# between\n  ; and this\n   eth1\\\neth2\r\n\
             # Name=x\n[Network]\nDescription=a\\\\\nDNS=x # y\nLast=z\\",
        );
        assert_eq!(file.words("Match", "Name"), ["eth0", "eth1", "eth2"]);
        assert_eq!(file.last("Network", "Description"), Some("a\\\\"));
        assert_eq!(file.last("Network", "DNS"), Some("x # y"));
        assert_eq!(file.last("Network", "Last"), Some("z"));
    }

    #[test]
    fn a_comment_line_is_never_continued_and_a_blank_one_ends_a_continuation() {
        let file = parse("[A]\n# c \\\nk=1\nv=a \\\n\nw=b\n");
        assert_eq!(file.last("A", "k"), Some("1"));
        assert_eq!(file.last("A", "v"), Some("a"));
        assert_eq!(file.last("A", "w"), Some("b"));
    }

    #[test]
    fn sections_repeat_and_empty_assignments_reset() {
        let mut file = parse(
            "[Address]\nAddress=192.0.2.1/24\n[Network]\nVLAN=a\nVLAN=b\n[Address]\nAddress=x\n\
             Address=2001:db8::1/64\n",
        );
        let addresses: Vec<_> = file
            .sections("Address")
            .map(|section| section.last("Address"))
            .collect();
        assert_eq!(addresses, [Some("192.0.2.1/24"), Some("2001:db8::1/64")]);
        assert_eq!(file.values("Network", "VLAN"), ["a", "b"]);
        file.append(parse("[Network]\nVLAN=\nVLAN=c d\n"));
        assert_eq!(file.words("Network", "VLAN"), ["c", "d"]);
        file.append(parse("[Network]\nVLAN =\n"));
        assert_eq!(file.last("Network", "VLAN"), None);
        assert_eq!(
            file.values("network", "VLAN"),
            Vec::<&str>::new(),
            "names are case-sensitive"
        );
    }

    #[test]
    fn places_are_whole_lines() {
        let text = "\u{feff}[A] \n# c\nk = 1\\\n  2\nj=\n[B]\nk=3";
        let found: Vec<_> = places(text)
            .into_iter()
            .map(|place| {
                (
                    place.section.1,
                    place.key,
                    place.value,
                    text[place.bytes].to_owned(),
                )
            })
            .collect();
        let own = |text: &str| text.to_owned();
        assert_eq!(
            found,
            [
                (0, None, own(""), own("[A] \n")),
                (0, Some(own("k")), own("1 2"), own("k = 1\\\n  2\n")),
                (0, Some(own("j")), own(""), own("j=\n")),
                (1, None, own(""), own("[B]\n")),
                (1, Some(own("k")), own("3"), own("k=3")),
            ]
        );
    }

    #[test]
    fn booleans() {
        for (value, expected) in [
            ("yes", Some(true)),
            ("On", Some(true)),
            ("1", Some(true)),
            ("FALSE", Some(false)),
            ("0", Some(false)),
            ("maybe", None),
            ("", None),
        ] {
            assert_eq!(
                parse(&format!("[A]\nb={value}")).boolean("A", "b"),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn bad_lines_are_named() {
        let (file, problems) = UnitFile::parse("k=1\n[A]\nword\nk=2\0j=3\n").unwrap();
        assert_eq!(
            problems
                .iter()
                .map(|problem| problem.line)
                .collect::<Vec<_>>(),
            [1, 3]
        );
        assert_eq!(file.last("A", "k"), Some("2"));
        assert_eq!(file.last("A", "j"), Some("3"));
        assert_eq!(
            UnitFile::parse("[A]\nk=1\n[B\nk=2\n").unwrap_err().line,
            3,
            "systemd refuses the file"
        );
    }
}
