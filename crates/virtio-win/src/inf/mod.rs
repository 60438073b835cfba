//! Windows setup information files ("General Syntax Rules for INF Files", Windows driver documentation).
//!
//! Read as Windows does it: tolerantly. What is no section, key or field is skipped; what is too much is
//! refused.

mod lexer;
mod text;

use std::collections::HashMap;

use thiserror::Error;

/// Far more than any INF file has.
const MAX_LINES: usize = 100_000;
/// Windows' limit for a logical line (MAX_INF_STRING_LENGTH, 4096 characters), in bytes of UTF-8.
const MAX_LINE: usize = 4 * 4096;

/// Why a file is no INF file that can be used.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum InfError {
    /// More bytes than any INF file has.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// The most that are read.
        limit: usize,
    },
    /// More lines than any INF file has.
    #[error("more than {MAX_LINES} lines")]
    TooManyLines,
    /// A logical line is longer than Windows reads.
    #[error("line {line} is longer than Windows reads (4096 characters)")]
    LongLine {
        /// Number of the physical line on which it begins, from 1.
        line: usize,
    },
    /// No `[Version]` section with a signature that Windows knows.
    #[error("no [Version] section with Signature \"$Windows NT$\" or \"$Chicago$\"")]
    NoSignature,
}

/// One line of a section: `key = field, field...`, or only fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What is before the first equals sign.
    pub key: Option<String>,
    /// What is between the commas, without blanks at the ends and without quotes; never empty.
    pub fields: Vec<String>,
}

impl Line {
    /// Field number `index` from 0; empty if there is none.
    #[must_use]
    pub fn field(&self, index: usize) -> &str {
        self.fields.get(index).map_or("", String::as_str)
    }
}

/// An INF file: sections of lines, with the strings put in place of `%tokens%`.
#[derive(Debug, Clone)]
pub struct Inf {
    sections: HashMap<String, Vec<Line>>,
}

impl Inf {
    /// Reads an INF file in any of the encodings that Windows accepts.
    ///
    /// # Errors
    /// If it is beyond the limits, or has no signature.
    pub fn parse(bytes: &[u8]) -> Result<Self, InfError> {
        let text = text::decode(bytes)?;
        let mut inf = Self {
            sections: sections(&text)?,
        };
        let signature = inf.value("Version", "Signature").unwrap_or_default();
        // Blanks in it do not matter to Windows.
        let signature = signature.replace(char::is_whitespace, "").to_lowercase();
        if !["$windowsnt$", "$chicago$"].contains(&signature.as_str()) {
            return Err(InfError::NoSignature);
        }
        inf.substitute();
        Ok(inf)
    }

    /// The lines of a section, in order; sections of the same name are one. Names have no case.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&[Line]> {
        self.sections.get(&name.to_lowercase()).map(Vec::as_slice)
    }

    /// The lines of a section with this key.
    pub fn entries<'a>(
        &'a self,
        section: &str,
        key: &'a str,
    ) -> impl Iterator<Item = &'a Line> + use<'a> {
        self.section(section)
            .unwrap_or_default()
            .iter()
            .filter(move |line| {
                line.key
                    .as_deref()
                    .is_some_and(|k| k.eq_ignore_ascii_case(key))
            })
    }

    /// The first field of the first line with this key.
    #[must_use]
    pub fn value(&self, section: &str, key: &str) -> Option<&str> {
        self.section(section)?
            .iter()
            .find(|line| {
                line.key
                    .as_deref()
                    .is_some_and(|k| k.eq_ignore_ascii_case(key))
            })
            .map(|line| line.field(0))
    }

    /// Puts strings in place of `%tokens%`. The section without a language comes first here, because
    /// the guest's language is not known and the others need not be complete; then English, then any.
    fn substitute(&mut self) {
        let mut names: Vec<String> = self
            .sections
            .keys()
            .filter(|name| {
                name.strip_prefix("strings")
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
            .cloned()
            .collect();
        names.sort_by_key(|name| match name.as_str() {
            "strings" => (0, name.clone()),
            "strings.0409" => (1, name.clone()),
            _ => (2, name.clone()),
        });
        let mut strings = HashMap::new();
        for name in names {
            for line in self.sections.get(&name).into_iter().flatten() {
                if let Some(key) = &line.key {
                    strings
                        .entry(key.to_lowercase())
                        .or_insert_with(|| line.fields.join(","));
                }
            }
        }
        for lines in self.sections.values_mut() {
            for line in lines {
                for part in line.key.iter_mut().chain(&mut line.fields) {
                    if part.contains('%') {
                        *part = expand(part, &strings);
                    }
                }
            }
        }
    }
}

/// Every section by its name in lower case.
fn sections(text: &str) -> Result<HashMap<String, Vec<Line>>, InfError> {
    let mut sections: HashMap<String, Vec<Line>> = HashMap::new();
    let mut current: Option<String> = None;
    let mut pending = String::new();
    let mut begin = 1;
    for (index, line) in text.lines().enumerate() {
        if index >= MAX_LINES {
            return Err(InfError::TooManyLines);
        }
        if pending.is_empty() {
            begin = index + 1;
        }
        let whole = match lexer::physical(line) {
            lexer::Physical::Continued(part) => {
                pending.push_str(part);
                false
            }
            lexer::Physical::Whole(part) => {
                pending.push_str(part);
                true
            }
        };
        if pending.len() > MAX_LINE {
            return Err(InfError::LongLine { line: begin });
        }
        if !whole {
            continue;
        }
        let logical = std::mem::take(&mut pending);
        if let Some(name) = logical.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default();
            let name = name.trim().trim_matches('"').to_lowercase();
            sections.entry(name.clone()).or_default();
            current = Some(name);
        } else if let (false, Some(name)) = (logical.is_empty(), &current) {
            sections
                .entry(name.clone())
                .or_default()
                .push(lexer::logical(&logical));
        }
    }
    Ok(sections)
}

/// Expands `%token%`; `%%` is one percent sign; a token that is no string (such as the number of a
/// directory) stays as it is. Strings are not expanded themselves, so this ends.
fn expand(text: &str, strings: &HashMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('%') {
        out.push_str(&rest[..start]);
        let after = &rest[start + 1..];
        let Some(end) = after.find('%') else {
            rest = &rest[start..];
            break;
        };
        let token = &after[..end];
        match strings.get(&token.to_lowercase()) {
            _ if token.is_empty() => out.push('%'),
            // A line has at most MAX_LINE bytes; many tokens of a long string would be a bomb.
            Some(string) if out.len() + string.len() <= MAX_LINE => out.push_str(string),
            _ => {
                out.push('%');
                out.push_str(token);
                out.push('%');
            }
        }
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[Version]\r\nSignature=\"$Windows NT$\"\r\n";

    fn inf(text: &str) -> Inf {
        Inf::parse(format!("{HEAD}{text}").as_bytes()).unwrap()
    }

    #[test]
    fn sections_have_no_case_and_are_merged() {
        let inf = inf("[A.b]\na=1\n[C]\nx\n[a.B]\nb=2\n[ \"D\" ] ; c\ny");
        let keys: Vec<_> = inf
            .section("a.B")
            .unwrap()
            .iter()
            .map(|line| line.key.clone().unwrap())
            .collect();
        assert_eq!(keys, ["a", "b"]);
        assert_eq!(inf.section("c").unwrap()[0].field(0), "x");
        assert_eq!(inf.section("d").unwrap()[0].field(0), "y");
        assert_eq!(inf.section("missing"), None);
    }

    #[test]
    fn lines_continue() {
        let inf = inf("[a]\nHKR,,CoInstallers32,0x00010000, \\ ; why\n  \"a.dll,b\"\nc=d");
        let lines = inf.section("a").unwrap();
        assert_eq!(
            lines[0].fields,
            ["HKR", "", "CoInstallers32", "0x00010000", "a.dll,b"]
        );
        assert_eq!(inf.value("A", "C"), Some("d"));
    }

    #[test]
    fn strings_are_put_in_place() {
        let inf = inf(
            "[a]\n%V% = %Inst%, %12%\\x.sys, \"%%SystemRoot%%\\a\", %none%, 100%\n\
             [Strings.0407]\nv=Deutsch\nonly=nur\n[Strings.0409]\nV=English\nw=e\n[Strings]\nv=\"Base\"\ninst = i\nw=%V%\n\
             [b]\nx=%w%,%only%",
        );
        let line = &inf.section("a").unwrap()[0];
        assert_eq!(line.key.as_deref(), Some("Base"));
        assert_eq!(
            line.fields,
            ["i", "%12%\\x.sys", "%SystemRoot%\\a", "%none%", "100%"]
        );
        assert_eq!(inf.section("b").unwrap()[0].fields, ["%V%", "nur"]);
    }

    #[test]
    fn what_is_no_inf_file_is_refused() {
        let cases: [(&[u8], InfError); 4] = [
            (b"", InfError::NoSignature),
            (b"[Version]\nSignature=other", InfError::NoSignature),
            (b"\x7fELF", InfError::NoSignature),
            (
                &[b"[a]\n".as_slice(), &vec![b'x'; MAX_LINE + 1]].concat(),
                InfError::LongLine { line: 2 },
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Inf::parse(bytes).unwrap_err(), expected);
        }
        let lines = "\n".repeat(MAX_LINES + 1);
        assert_eq!(
            Inf::parse(lines.as_bytes()).unwrap_err(),
            InfError::TooManyLines
        );
        assert!(Inf::parse(b"[version]\nsignature = \"$ Windows NT$\"").is_ok());
    }

    #[test]
    fn a_bomb_of_strings_stays_small() {
        let long = "x".repeat(4000);
        let text = format!("[a]\n{}\n[Strings]\ns={long}", "%s%".repeat(1000));
        let inf = inf(&text);
        assert!(inf.section("a").unwrap()[0].field(0).len() <= 2 * MAX_LINE);
    }
}
