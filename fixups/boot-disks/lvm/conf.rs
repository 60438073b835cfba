//! LVM's configuration format (lvm.conf(5), "SYNTAX").

use anyhow::{Context as _, bail, ensure};

/// Sections in sections in sections: more is nobody's configuration.
const DEPTH: usize = 8;

/// A setting that is a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List {
    /// `section/key`.
    pub(super) path: String,
    /// Where in the text the list begins, behind its bracket.
    pub(super) list_start: usize,
    /// The strings in it.
    pub(super) strings: Vec<String>,
}

/// All settings that are lists of strings, in the order of the file. A list of one may be written
/// without brackets; then it is no list that something can be put into, and is not given.
///
/// # Errors
/// If the text does not follow the format, with the line.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<List>> {
    let mut parser = Parser {
        text,
        at: 0,
        lists: Vec::new(),
    };
    let done = parser.section(&mut Vec::new());
    let line = 1 + text[..parser.at].matches('\n').count();
    done.with_context(|| format!("line {line}"))?;
    Ok(parser.lists)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    lists: Vec<List>,
}

impl<'t> Parser<'t> {
    /// What comes next, behind blanks and comments.
    fn rest(&mut self) -> &'t str {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return trimmed;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn take(&mut self, token: char) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len_utf8();
        }
        found
    }

    fn section(&mut self, path: &mut Vec<&'t str>) -> anyhow::Result<()> {
        ensure!(path.len() < DEPTH, "sections are nested too deeply");
        loop {
            let rest = self.rest();
            if rest.is_empty() && path.is_empty() {
                return Ok(());
            }
            if !path.is_empty() && self.take('}') {
                return Ok(());
            }
            let length = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || "_-./@\"".contains(c)))
                .unwrap_or(rest.len());
            ensure!(length > 0, "expected a name");
            let name = rest[..length].trim_matches('"');
            self.at += length;
            path.push(name);
            if self.take('{') {
                self.section(path)?;
            } else if self.take('=') {
                self.value(&path.join("/"))?;
            } else {
                bail!("expected `=` or `{{` behind {name}");
            }
            path.pop();
        }
    }

    fn value(&mut self, path: &str) -> anyhow::Result<()> {
        if !self.take('[') {
            return self.scalar().map(drop);
        }
        let list_start = self.at;
        let mut strings = Vec::new();
        while !self.take(']') {
            strings.extend(self.scalar()?);
            if !self.take(',') {
                ensure!(self.take(']'), "expected `,` or `]`");
                break;
            }
        }
        self.lists.push(List {
            path: path.to_owned(),
            list_start,
            strings,
        });
        Ok(())
    }

    /// A string with its escapes resolved; `None` for a number or a bare word.
    fn scalar(&mut self) -> anyhow::Result<Option<String>> {
        let rest = self.rest();
        let Some(quoted) = rest.strip_prefix('"') else {
            let length = rest
                .find(|c: char| c.is_whitespace() || "],}#".contains(c))
                .unwrap_or(rest.len());
            ensure!(length > 0, "expected a value");
            self.at += length;
            return Ok(None);
        };
        let mut string = String::new();
        let mut chars = quoted.char_indices();
        while let Some((index, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += 1 + index + 1;
                    return Ok(Some(string));
                }
                '\\' => string.extend(chars.next().map(|(_, c)| c)),
                c => string.push(c),
            }
        }
        bail!("a string does not end")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_found_with_their_place() {
        let text = "# comment { [\nconfig {\n\tchecks = 1\n}\ndevices {\n  dir = \"/dev\" # x\n  \
                    filter = [ \"a|/dev/sd.*|\",\n \"r|\\\"|\" ]\n  scan=[\"/dev\",]\n  empty = []\n}\n\
                    devices/global_filter=[\"a|.*|\"]\nactivation{ volume_list = [ 1, x ] }";
        let lists = parse(text).unwrap();
        let found: Vec<(&str, &[String])> = lists
            .iter()
            .map(|list| (list.path.as_str(), list.strings.as_slice()))
            .collect();
        let strings =
            |strings: &[&str]| -> Vec<String> { strings.iter().map(ToString::to_string).collect() };
        assert_eq!(
            found,
            [
                ("devices/filter", &strings(&["a|/dev/sd.*|", "r|\"|"])[..]),
                ("devices/scan", &strings(&["/dev"])),
                ("devices/empty", &[]),
                ("devices/global_filter", &strings(&["a|.*|"])),
                ("activation/volume_list", &[]),
            ]
        );
        for list in &lists {
            assert_eq!(&text[list.list_start - 1..list.list_start], "[");
        }
    }

    #[test]
    fn what_does_not_follow_the_format_is_named_with_its_line() {
        for (text, expected) in [
            ("a {\n b = 1\n", "line 3: expected a name"),
            ("a\n", "line 2: expected `=` or `{` behind a"),
            ("a = \"x\n", "line 1: a string does not end"),
            ("a = [ 1 2 ]", "line 1: expected `,` or `]`"),
            ("a = }", "line 1: expected a value"),
            (&"a {".repeat(9), "line 1: sections are nested too deeply"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(format!("{error:#}"), expected, "{text}");
        }
    }
}
