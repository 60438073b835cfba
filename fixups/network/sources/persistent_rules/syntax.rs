//! The syntax of udev's rules (`udev(7)`).

use std::ops::Range;

/// Longer logical lines udev does not take (`UTIL_LINE_SIZE`), in bytes.
const LINE_LIMIT: usize = 16 * 1024;

/// One rule: a logical line that is neither blank nor a comment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Where it is in the file, with the newline at its end.
    pub(super) bytes: Range<usize>,
    /// Its first line and its last, counted from 1.
    pub(super) lines: (usize, usize),
    /// What it consists of, or why udev would refuse it.
    pub(super) tokens: Result<Vec<Token>, &'static str>,
}

/// `KEY{attribute}op"value"`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) key: String,
    pub(super) attribute: Option<String>,
    pub(super) op: Op,
    pub(super) value: String,
    /// Whether a match ignores case (`i"..."`).
    pub(super) any_case: bool,
    /// Where it is in the file, from the key to the closing quote. Meaningless, though harmless,
    /// to cut by in a rule that is continued over several lines.
    pub(super) bytes: Range<usize>,
}

/// What a token does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Assign,
    Add,
    Remove,
    AssignFinal,
}

impl Op {
    pub(super) fn is_match(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }
}

/// Finds the rules of a file. Never fails: what udev would refuse is in the rule's `tokens`.
pub(super) fn parse(file: &[u8]) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut open: Option<(Range<usize>, (usize, usize), Logical)> = None;
    let mut start = 0;
    let mut number = 0;
    for line in file.split_inclusive(|&b| b == b'\n') {
        number += 1;
        let bytes = start..start + line.len();
        start = bytes.end;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let blanks = text.iter().take_while(|b| b.is_ascii_whitespace()).count();
        let text = &text[blanks..];
        // A comment is one also between the lines of a rule, and cannot be continued.
        if text.first() == Some(&b'#') {
            continue;
        }
        if open.is_none() && text.is_empty() {
            continue;
        }
        let (whole, lines, logical) =
            open.get_or_insert_with(|| (bytes.clone(), (number, number), Logical::default()));
        whole.end = bytes.end;
        lines.1 = number;
        let continued = text.strip_suffix(b"\\");
        logical.push(continued.unwrap_or(text), bytes.start + blanks);
        if continued.is_none()
            && let Some((bytes, lines, logical)) = open.take()
        {
            rules.push(Rule {
                bytes,
                lines,
                tokens: logical.tokens(),
            });
        }
    }
    if let Some((bytes, lines, logical)) = open {
        rules.push(Rule {
            bytes,
            lines,
            tokens: logical.tokens(),
        });
    }
    rules
}

/// A line as udev sees it after joining, and where its parts are in the file.
#[derive(Debug, Default)]
struct Logical {
    text: Vec<u8>,
    /// Offset in `text` and in the file of each part.
    parts: Vec<(usize, usize)>,
    too_long: bool,
}

impl Logical {
    fn push(&mut self, text: &[u8], at: usize) {
        if self.text.len() + text.len() > LINE_LIMIT {
            self.too_long = true;
            return;
        }
        self.parts.push((self.text.len(), at));
        self.text.extend_from_slice(text);
    }

    fn in_file(&self, offset: usize) -> usize {
        self.parts
            .iter()
            .rev()
            .find(|(from, _)| *from <= offset)
            .map_or(offset, |(from, at)| at + (offset - from))
    }

    fn tokens(&self) -> Result<Vec<Token>, &'static str> {
        if self.too_long {
            return Err("longer than udev takes");
        }
        let mut tokens = Vec::new();
        let mut at = 0;
        loop {
            while self
                .text
                .get(at)
                .is_some_and(|b| b.is_ascii_whitespace() || *b == b',')
            {
                at += 1;
            }
            if at >= self.text.len() {
                return Ok(tokens);
            }
            let (token, end) = self.token(at)?;
            tokens.push(token);
            at = end;
        }
    }

    fn token(&self, start: usize) -> Result<(Token, usize), &'static str> {
        let text = &self.text;
        let mut at = start;
        while text
            .get(at)
            .is_some_and(|b| !b.is_ascii_whitespace() && !b"{=!+-:".contains(b))
        {
            at += 1;
        }
        let key = lossy(&text[start..at]);
        if key.is_empty() {
            return Err("no key where one is expected");
        }
        let mut attribute = None;
        if text.get(at) == Some(&b'{') {
            let len = text[at..]
                .iter()
                .position(|&b| b == b'}')
                .ok_or("no end of an attribute's braces")?;
            attribute = Some(lossy(&text[at + 1..at + len]));
            at += len + 1;
        }
        while text.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        let (op, len) = match (text.get(at), text.get(at + 1)) {
            (Some(b'='), Some(b'=')) => (Op::Equal, 2),
            (Some(b'!'), Some(b'=')) => (Op::NotEqual, 2),
            (Some(b'+'), Some(b'=')) => (Op::Add, 2),
            (Some(b'-'), Some(b'=')) => (Op::Remove, 2),
            (Some(b':'), Some(b'=')) => (Op::AssignFinal, 2),
            (Some(b'='), _) => (Op::Assign, 1),
            _ => return Err("no operator after a key"),
        };
        at += len;
        while text.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        let (mut escapes, mut any_case) = (false, false);
        while let Some(prefix @ (b'e' | b'i')) = text.get(at) {
            escapes |= *prefix == b'e';
            any_case |= *prefix == b'i';
            at += 1;
        }
        if text.get(at) != Some(&b'"') {
            return Err("a value without quotes");
        }
        let (value, end) =
            quoted(text, at + 1, escapes).ok_or("a value whose quotes do not end")?;
        Ok((
            Token {
                key,
                attribute,
                op,
                value,
                any_case,
                bytes: self.in_file(start)..self.in_file(end - 1) + 1,
            },
            end,
        ))
    }
}

/// The value whose text begins at `at`, and the offset after its closing quote. Without
/// `escapes`, only `\"` is special.
fn quoted(text: &[u8], mut at: usize, escapes: bool) -> Option<(String, usize)> {
    let mut value = Vec::new();
    loop {
        match (*text.get(at)?, text.get(at + 1)) {
            (b'"', _) => return Some((lossy(&value), at + 1)),
            (b'\\', Some(b'"')) => {
                value.push(b'"');
                at += 2;
            }
            (b'\\', Some(&escape)) if escapes => {
                let (byte, len) = escaped(escape, &text[at + 2..]);
                value.push(byte);
                at += 2 + len;
            }
            (byte, _) => {
                value.push(byte);
                at += 1;
            }
        }
    }
}

/// A C escape: its byte, and how many more bytes of `after` it takes.
fn escaped(escape: u8, after: &[u8]) -> (u8, usize) {
    let digits = |radix: u32, bytes: &[u8]| -> Option<u8> {
        let text = std::str::from_utf8(bytes).ok()?;
        u8::from_str_radix(text, radix).ok()
    };
    match escape {
        b'a' => (7, 0),
        b'b' => (8, 0),
        b'f' => (12, 0),
        b'n' => (b'\n', 0),
        b'r' => (b'\r', 0),
        b's' => (b' ', 0),
        b't' => (b'\t', 0),
        b'v' => (11, 0),
        b'x' => after
            .get(..2)
            .and_then(|hex| digits(16, hex))
            .map_or((b'x', 0), |byte| (byte, 2)),
        b'0'..=b'3' => after
            .get(..2)
            .and_then(|rest| digits(8, &[escape, rest[0], rest[1]]))
            .map_or((escape, 0), |byte| (byte, 2)),
        other => (other, 0),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(line: &str) -> Vec<(String, Option<String>, Op, String)> {
        let rules = parse(line.as_bytes());
        assert_eq!(rules.len(), 1, "{line}");
        rules
            .into_iter()
            .next()
            .unwrap()
            .tokens
            .unwrap()
            .into_iter()
            .map(|t| (t.key, t.attribute, t.op, t.value))
            .collect()
    }

    #[test]
    fn tokens_of_every_form() {
        let t = |key: &str, attribute: Option<&str>, op, value: &str| {
            (
                key.to_owned(),
                attribute.map(str::to_owned),
                op,
                value.to_owned(),
            )
        };
        assert_eq!(
            tokens(
                "  SUBSYSTEM==\"net\",ACTION!=\"remove\" ,\tATTR{address} == \"x\", NAME=\"eth0\"\n"
            ),
            [
                t("SUBSYSTEM", None, Op::Equal, "net"),
                t("ACTION", None, Op::NotEqual, "remove"),
                t("ATTR", Some("address"), Op::Equal, "x"),
                t("NAME", None, Op::Assign, "eth0"),
            ]
        );
        assert_eq!(
            tokens(
                "RUN+=\"a \\\"b\\\" \\n\" TAG-=\"x\" NAME:=e\"a\\tb\\x41\\102\" KERNEL==ie\"ETH\\\"\""
            ),
            [
                t("RUN", None, Op::Add, "a \"b\" \\n"),
                t("TAG", None, Op::Remove, "x"),
                t("NAME", None, Op::AssignFinal, "a\tbAB"),
                t("KERNEL", None, Op::Equal, "ETH\""),
            ]
        );
        assert_eq!(tokens("GOTO=\"end\""), [t("GOTO", None, Op::Assign, "end")]);
    }

    #[test]
    fn lines_comments_and_continuations() {
        let file = b"# one \\\nA==\"1\", \\\n  # between\n  B=\"2\"\n\n \t\nC=\"3\"\nD=\"4\" \\\n";
        let rules = parse(file);
        let shown: Vec<_> = rules
            .iter()
            .map(|rule| {
                let keys: Vec<&str> = rule
                    .tokens
                    .as_ref()
                    .unwrap()
                    .iter()
                    .map(|token| token.key.as_str())
                    .collect();
                (keys.join(" "), rule.lines, &file[rule.bytes.clone()])
            })
            .collect();
        assert_eq!(
            shown,
            [
                (
                    "A B".to_owned(),
                    (2, 4),
                    &b"A==\"1\", \\\n  # between\n  B=\"2\"\n"[..]
                ),
                ("C".to_owned(), (7, 7), &b"C=\"3\"\n"[..]),
                ("D".to_owned(), (8, 8), &b"D=\"4\" \\\n"[..]),
            ]
        );
        let b = &rules[0].tokens.as_ref().unwrap()[1];
        assert_eq!(&file[b.bytes.clone()], b"B=\"2\"");
    }

    #[test]
    fn what_udev_refuses() {
        for line in [
            "NAME",
            "NAME=eth0",
            "NAME=\"eth0",
            "ATTR{address==\"x\"",
            "=\"x\"",
            "NAME+\"x\"",
            "\u{0}",
            "NAME=e",
            "A=\"\\\"",
            "ATTR{x}",
        ] {
            let rules = parse(line.as_bytes());
            assert_eq!(rules.len(), 1, "{line}");
            assert!(rules[0].tokens.is_err(), "{line}: {:?}", rules[0].tokens);
        }
        let long = format!("RUN+=\"{}\"", "x".repeat(LINE_LIMIT));
        assert!(parse(long.as_bytes())[0].tokens.is_err());
        assert!(parse(b"").is_empty());
        assert!(parse(&[0xff; 100]).iter().all(|rule| rule.tokens.is_err()));
    }
}
