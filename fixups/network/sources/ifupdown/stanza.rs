//! The syntax of interfaces(5): lines, stanzas, options.

use std::ops::Range;

/// One statement of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `auto`, `allow-hotplug`, ...: names, patterns, each perhaps with `=LOGICAL`.
    Allow(Vec<String>),
    /// `rename CUR=NEW`.
    Rename(Vec<String>),
    /// `source`: files, with wildcards.
    Source(Vec<String>),
    /// `source-directory`: directories, with wildcards.
    SourceDirectory(Vec<String>),
    /// `mapping`: the patterns.
    Mapping(Vec<String>),
    /// `iface` or `template`.
    Interface(Stanza),
    /// A line that belongs to nothing.
    Stray(String),
}

/// An `iface` stanza, or ifupdown-ng's `template`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stanza {
    /// The logical interface.
    pub name: String,
    /// Address family (`inet`, `inet6`, ...), if given.
    pub family: Option<String>,
    /// Method (`static`, `dhcp`, ...), if given.
    pub method: Option<String>,
    /// The stanzas that it takes options from.
    pub inherits: Vec<String>,
    /// Whether it only exists to be inherited.
    pub template: bool,
    /// The options in order.
    pub options: Vec<StanzaOption>,
}

/// One statement with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its first line, counted from one.
    pub line: usize,
    /// Its line, or lines, with the newline; of a stanza the header's.
    pub bytes: Range<usize>,
    /// What it says.
    pub directive: Directive,
}

/// One option of a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaOption {
    /// Its line, counted from one.
    pub line: usize,
    /// Its name in lower case with hyphens: packages accept `bridge_ports` and `bridge-ports` alike.
    pub key: String,
    /// The rest of the line.
    pub value: String,
    /// Its line, or lines, with the newline.
    pub bytes: Range<usize>,
}

impl StanzaOption {
    /// The words of the value, up to a comment, which strictly has no place there.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.value
            .split_whitespace()
            .take_while(|word| !word.starts_with('#'))
    }
}

/// The statements of a file.
#[must_use]
pub fn parse(text: &str) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    for (number, bytes, line) in logical_lines(text) {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim_start();
        let words = || {
            rest.split_whitespace()
                .take_while(|word| !word.starts_with('#'))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let directive = match word {
            "iface" => Directive::Interface(header(&words(), false)),
            "template" => Directive::Interface(header(&words(), true)),
            "mapping" => Directive::Mapping(words()),
            "rename" => Directive::Rename(words()),
            "source" => Directive::Source(words()),
            "source-directory" | "source-dir" => Directive::SourceDirectory(words()),
            "no-auto-down" | "no-scripts" => Directive::Allow(Vec::new()),
            _ if word == "auto" || word.starts_with("allow-") => Directive::Allow(words()),
            _ => match statements.last_mut().map(|last| &mut last.directive) {
                Some(Directive::Interface(stanza)) if !word.starts_with('%') => {
                    stanza.options.push(StanzaOption {
                        line: number,
                        key: word.to_ascii_lowercase().replace('_', "-"),
                        value: rest.to_owned(),
                        bytes,
                    });
                    continue;
                }
                // The lines of a mapping are for its script.
                Some(Directive::Mapping(_)) => continue,
                _ => Directive::Stray(line.to_owned()),
            },
        };
        statements.push(Statement {
            line: number,
            bytes,
            directive,
        });
    }
    statements
}

/// `NAME [FAMILY [METHOD]] [inherits OTHER]`.
fn header(words: &[String], template: bool) -> Stanza {
    let mut stanza = Stanza {
        template,
        ..Stanza::default()
    };
    let mut words = words.iter();
    stanza.name = words.next().cloned().unwrap_or_default();
    while let Some(word) = words.next() {
        if word == "inherits" || word == "inherit" {
            stanza.inherits.extend(words.next().cloned());
        } else if stanza.family.is_none() {
            stanza.family = Some(word.clone());
        } else if stanza.method.is_none() {
            stanza.method = Some(word.clone());
        }
    }
    stanza
}

/// Lines without comments and blank ones, continued ones joined, each with the number of its first
/// and its place. A comment line is never continued.
fn logical_lines(text: &str) -> Vec<(usize, Range<usize>, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, Range<usize>, String)> = None;
    let mut at = 0;
    for (index, physical) in text.split_inclusive('\n').enumerate() {
        let bytes = at..at + physical.len();
        at = bytes.end;
        let line = physical.strip_suffix('\n').unwrap_or(physical);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (number, place, mut joined) = match open.take() {
            Some((number, place, mut joined)) => {
                joined.push_str(line);
                (number, place.start..bytes.end, joined)
            }
            None if line.trim_start().starts_with('#') => continue,
            None => (index + 1, bytes, line.to_owned()),
        };
        if joined.ends_with('\\') {
            joined.pop();
            open = Some((number, place, joined));
        } else if !joined.trim().is_empty() {
            lines.push((number, place, joined));
        }
    }
    lines.extend(open);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(text: &str) -> Stanza {
        match parse(text).pop().map(|last| last.directive) {
            Some(Directive::Interface(stanza)) => stanza,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn headers_of_all_dialects() {
        for (text, family, method, inherits) in [
            (
                "iface eth0 inet static",
                Some("inet"),
                Some("static"),
                &[][..],
            ),
            ("iface eth0", None, None, &[]),
            (
                "iface eth0 inet static inherits base",
                Some("inet"),
                Some("static"),
                &["base"],
            ),
            (
                "iface eth0 inet inherits base",
                Some("inet"),
                None,
                &["base"],
            ),
            ("iface eth0 inherits base", None, None, &["base"]),
            ("iface eth0 inherits", None, None, &[]),
            (
                "iface eth0 inet6 auto # comment",
                Some("inet6"),
                Some("auto"),
                &[],
            ),
        ] {
            let found = stanza(text);
            assert_eq!(found.name, "eth0");
            assert_eq!(found.family.as_deref(), family, "{text}");
            assert_eq!(found.method.as_deref(), method, "{text}");
            assert_eq!(found.inherits, inherits, "{text}");
        }
    }

    #[test]
    fn options_comments_and_continuations() {
        let found = stanza(
            "# iface x\n\n  iface eth0 inet \\\n static\r\n\taddress 192.0.2.1/24\n  # c \\\nbridge_ports eth1 \\\n\
             eth2 # no\n",
        );
        assert_eq!(found.method.as_deref(), Some("static"));
        let options: Vec<_> = found
            .options
            .iter()
            .map(|o| (o.line, o.key.as_str(), o.words().collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            options,
            [
                (5, "address", vec!["192.0.2.1/24"]),
                (7, "bridge-ports", vec!["eth1", "eth2"])
            ]
        );
    }

    #[test]
    fn what_ends_a_stanza() {
        let found = parse(
            "iface a inet dhcp\nsource x y\nauto a b\nallow-hotplug c\nmapping d\n script s\n\
             map e\nrename f=g\nsource-directory h\nno-scripts a\nstray\n%for\n",
        );
        let kinds: Vec<_> = found.into_iter().map(|one| one.directive).collect();
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(matches!(kinds[0], Directive::Interface(_)));
        assert_eq!(
            kinds[1..],
            [
                Directive::Source(words("x y")),
                Directive::Allow(words("a b")),
                Directive::Allow(words("c")),
                Directive::Mapping(words("d")),
                Directive::Rename(words("f=g")),
                Directive::SourceDirectory(words("h")),
                Directive::Allow(Vec::new()),
                Directive::Stray("stray".into()),
                Directive::Stray("%for".into()),
            ]
        );
    }

    #[test]
    fn odd_bytes_do_no_harm() {
        for text in [
            "",
            "\\",
            "iface",
            "iface \\",
            "auto",
            "\0\0",
            "iface \u{fffd}\n\u{fffd}",
        ] {
            let _ = parse(text);
        }
    }
}
