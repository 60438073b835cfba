//! The part of the shell language that `ifcfg-*` files consist of: assignments.
//!
//! Nothing is executed or expanded. What depends on a variable, a command or a condition has no
//! known value, and a warning says so. Warnings name the variable, never its value: some are
//! passwords.

use std::ops::Range;

use super::quoting::{ansi_c, double_quoted, expands};
use super::variables::Variables;

/// More assignments than any real file has.
const ASSIGNMENT_LIMIT: usize = 10_000;

/// Reads assignments as `sh(1)` would on sourcing `text`: quotes, escapes, comments, several on a
/// line, `export`, continued lines. A quote that never ends is taken to be the fault of its own
/// line, as NetworkManager does, and not to swallow the rest of the file.
pub(super) fn parse(text: &str) -> Variables {
    run(text).variables
}

/// One assignment to a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// Where the name begins.
    pub start: usize,
    /// Where the value is, with its quotes.
    pub bytes: Range<usize>,
    /// The value; `None` if it is only known to the shell.
    pub value: Option<String>,
}

/// The assignments of a file that certainly happen, in its order.
#[must_use]
pub fn assignments(text: &str) -> Vec<Assignment> {
    run(text).assignments
}

fn run(text: &str) -> Parser<'_> {
    let mut parser = Parser {
        rest: text,
        length: text.len(),
        assignments: Vec::new(),
        line: 1,
        depth: 0,
        variables: Variables::default(),
    };
    let mut assignments = 0;
    while !parser.rest.is_empty() {
        if assignments > ASSIGNMENT_LIMIT {
            parser
                .variables
                .warn(parser.line, "too long; the rest is not read");
            break;
        }
        assignments += 1;
        parser.command();
    }
    parser
}

struct Parser<'t> {
    rest: &'t str,
    /// Of the whole text, in bytes.
    length: usize,
    /// Those that are no more than this.
    assignments: Vec<Assignment>,
    /// Number of the line that `rest` begins in.
    line: usize,
    /// How many `if`, `for`, `case`, ... are open.
    depth: usize,
    variables: Variables,
}

/// A word of a command.
enum Word {
    /// The text after quoting is removed; `None` if it is only known to the shell.
    Text(Option<String>),
    /// Its quotes do not end.
    Broken,
}

impl Parser<'_> {
    /// Reads up to the end of one simple command.
    fn command(&mut self) {
        let mut assigned = Vec::new();
        let mut export = false;
        loop {
            self.skip_blanks();
            let line = self.line;
            match self.rest.chars().next() {
                None => break,
                Some('\n' | ';' | '&' | '|' | '(' | ')') => {
                    self.advance(1);
                    break;
                }
                Some('#') => {
                    self.skip_line();
                    break;
                }
                Some(_) => {}
            }
            let start = self.length - self.rest.len();
            if let Some((name, append)) = self.assignment_start() {
                let from = self.length - self.rest.len();
                match self.value() {
                    Word::Text(value) => {
                        let bytes = from..self.length - self.rest.len();
                        assigned.push((line, name, append, value, start, bytes));
                    }
                    Word::Broken => {
                        self.variables
                            .warn(line, format!("the quotes of {name} do not end"));
                        self.variables.set(name, None);
                    }
                }
                continue;
            }
            match self.word() {
                Word::Text(Some(word))
                    if ["export", "declare", "typeset", "local", "readonly"]
                        .contains(&word.as_str()) =>
                {
                    export = true;
                }
                // `export NAME`, `declare -x`
                Word::Text(Some(_)) if export => {}
                Word::Text(Some(word)) if assigned.is_empty() && self.keyword(&word) => {}
                Word::Text(_) => {
                    self.variables
                        .warn(line, "a command, not an assignment; not followed");
                    // Assignments before a command hold for that command only.
                    assigned.clear();
                    self.skip_command();
                    break;
                }
                Word::Broken => {
                    self.variables.warn(line, "quotes do not end");
                    assigned.clear();
                    break;
                }
            }
        }
        for (line, name, append, value, start, bytes) in assigned {
            if !append && self.depth == 0 {
                self.assignments.push(Assignment {
                    name: name.clone(),
                    start,
                    bytes,
                    value: value.clone(),
                });
            }
            self.assign(line, name, append, value);
        }
    }

    fn assign(&mut self, line: usize, name: String, append: bool, value: Option<String>) {
        if self.depth > 0 {
            self.variables
                .warn(line, format!("{name} is set under a condition"));
            self.variables.set(name, None);
            return;
        }
        if value.is_none() {
            self.variables.warn(
                line,
                format!("the value of {name} is only known to the shell"),
            );
        }
        if append {
            self.variables.append(name, value);
        } else {
            self.variables.set(name, value);
        }
    }

    /// Follows the words that open and close conditions and loops. Whether `word` was one.
    fn keyword(&mut self, word: &str) -> bool {
        match word {
            "if" | "case" | "for" | "while" | "until" => {
                self.depth += 1;
                self.skip_command();
            }
            "elif" => self.skip_command(),
            "{" => self.depth += 1,
            "fi" | "esac" | "done" | "}" => self.depth = self.depth.saturating_sub(1),
            "then" | "else" | "do" => {}
            _ => return false,
        }
        true
    }

    /// `NAME=` or `NAME+=` here, which is then passed over.
    fn assignment_start(&mut self) -> Option<(String, bool)> {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        let (name, after) = self.rest.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let append = after.starts_with("+=");
        if !append && !after.starts_with('=') {
            return None;
        }
        let name = name.to_owned();
        self.advance(end + if append { 2 } else { 1 });
        Some((name, append))
    }

    /// The value of an assignment; an array's is not known.
    fn value(&mut self) -> Word {
        if !self.rest.starts_with('(') {
            return self.word();
        }
        let end = self.rest.find(')').map_or(self.rest.len(), |at| at + 1);
        self.advance(end);
        Word::Text(None)
    }

    /// One word, up to a blank or an operator outside quotes.
    fn word(&mut self) -> Word {
        let mut text = Some(String::new());
        loop {
            let mut chars = self.rest.chars();
            let Some(c) = chars.next() else { break };
            let next = chars.next();
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\r' if matches!(next, None | Some('\n')) => break,
                '\\' => match next {
                    Some('\n') => self.advance(2),
                    Some(escaped) => {
                        push(&mut text, escaped);
                        self.advance(1 + escaped.len_utf8());
                    }
                    None => self.advance(1),
                },
                '\'' => match self.quoted_end(&self.rest[1..], '\'', false) {
                    Some(end) => {
                        push_str(&mut text, &self.rest[1..=end]);
                        self.advance(end + 2);
                    }
                    None => return self.broken(),
                },
                '"' => match self.quoted_end(&self.rest[1..], '"', true) {
                    Some(end) => {
                        match double_quoted(&self.rest[1..=end]) {
                            Some(part) => push_str(&mut text, &part),
                            None => text = None,
                        }
                        self.advance(end + 2);
                    }
                    None => return self.broken(),
                },
                '$' if next == Some('"') => self.advance(1),
                '$' if next == Some('\'') => match self.quoted_end(&self.rest[2..], '\'', true) {
                    Some(end) => {
                        push_str(&mut text, &ansi_c(&self.rest[2..end + 2]));
                        self.advance(end + 3);
                    }
                    None => return self.broken(),
                },
                '$' if expands(next) => {
                    text = None;
                    self.expansion();
                }
                '`' => {
                    text = None;
                    match self.rest[1..].find('`') {
                        Some(end) => self.advance(end + 2),
                        None => return self.broken(),
                    }
                }
                _ => {
                    push(&mut text, c);
                    self.advance(c.len_utf8());
                }
            }
        }
        // An operator that no caller passes over would never be left.
        if self.rest.starts_with(['<', '>']) {
            self.advance(1);
            return Word::Text(None);
        }
        Word::Text(text)
    }

    /// Passes over `$NAME`, `${...}` or `$(...)`.
    fn expansion(&mut self) {
        let rest = &self.rest[1..];
        let end = match rest.chars().next() {
            Some('{') => rest.find('}').map(|at| at + 1),
            Some('(') => {
                let mut open = 0usize;
                rest.char_indices().find_map(|(at, c)| {
                    match c {
                        '(' => open += 1,
                        ')' => open -= 1,
                        _ => {}
                    }
                    (open == 0).then_some(at + 1)
                })
            }
            _ => {
                let special = rest.chars().next().map_or(0, char::len_utf8);
                let name = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .unwrap_or(rest.len());
                Some(name.max(special))
            }
        };
        // What does not end ends with its line.
        let end = end.unwrap_or_else(|| rest.find('\n').unwrap_or(rest.len()));
        self.advance(1 + end);
    }

    /// Where in `text` the quotes end; `None` if they do not, or not before another assignment
    /// begins on a line of its own.
    fn quoted_end(&self, text: &str, quote: char, escapes: bool) -> Option<usize> {
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                return Some(at);
            }
            if escapes && c == '\\' {
                chars.next();
            } else if c == '\n' && looks_assigned(&text[at + 1..]) {
                return None;
            }
        }
        None
    }

    fn broken(&mut self) -> Word {
        self.skip_line();
        Word::Broken
    }

    fn skip_blanks(&mut self) {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start_matches([' ', '\t', '\r']).len();
            self.advance(blanks);
            if !self.rest.starts_with("\\\n") {
                return;
            }
            self.advance(2);
        }
    }

    fn skip_line(&mut self) {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        self.advance(end);
    }

    /// Passes over the words that are left of a command.
    fn skip_command(&mut self) {
        loop {
            self.skip_blanks();
            if self.rest.is_empty() || self.rest.starts_with(['\n', ';', '&', '|', '(', ')', '#']) {
                return;
            }
            if matches!(self.word(), Word::Broken) {
                return;
            }
        }
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.bytes().filter(|&b| b == b'\n').count();
        self.rest = rest;
    }
}

fn push(text: &mut Option<String>, c: char) {
    if let Some(text) = text {
        text.push(c);
    }
}

fn push_str(text: &mut Option<String>, part: &str) {
    if let Some(text) = text {
        text.push_str(part);
    }
}

/// Whether a line begins with `NAME=` in capitals.
fn looks_assigned(text: &str) -> bool {
    let text = text.trim_start_matches([' ', '\t']);
    let end = text
        .find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .unwrap_or(text.len());
    end > 0 && text[end..].starts_with('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_the_shell_would_make_of_them() {
        for (text, expected) in [
            ("A=eth0", "eth0"),
            ("A=eth0 # the first", "eth0"),
            ("A=eth0#1", "eth0#1"),
            ("  A='a b'", "a b"),
            ("A=\"a b\"  ", "a b"),
            ("A='a\\'b", "a\\b"),
            ("A=a\\ b", "a b"),
            ("A=\"a\\\"b\\\\\\x\"", "a\"b\\\\x"),
            ("A=a'b'\"c\"d", "abcd"),
            ("A=1 B=2", "1"),
            ("B=2; A=1", "1"),
            ("export A=1", "1"),
            ("export B A=1", "1"),
            ("A=1\nexport A", "1"),
            ("A=1\nA=2", "2"),
            ("A=1\nA+=2", "12"),
            ("A=ab\\\ncd", "abcd"),
            ("A=\"ab\\\ncd\"", "abcd"),
            (
                "A='{\n \"device\": \"team0\"\n}'",
                "{\n \"device\": \"team0\"\n}",
            ),
            ("A=1\r\nB=2\r\n", "1"),
            ("A=$'G\\303\\274n \\x41\\u00e9\\''", "Gün Aé'"),
            ("A=\"5$\"", "5$"),
            ("A=$", "$"),
            ("A=", ""),
            ("A=ü", "ü"),
            ("A=1 && B=2", "1"),
        ] {
            let parsed = parse(text);
            assert_eq!(parsed.get("A").unwrap_or_default(), expected, "{text}");
            assert_eq!(parsed.warnings, Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn nothing_is_executed_or_expanded() {
        for text in [
            "A=$(id)",
            "A=`id`",
            "A=\"`id`\"",
            "A=$B",
            "A=${B:-x}",
            "A=\"x$B\"",
            "A=x$(echo $(id))",
            "A=$((1+2))",
            "A=(1 2)",
            "if true; then\nA=1\nfi",
            "if true; then A=1; fi",
            "for x in 1 2; do A=1; done",
            "A=\"x\nB=1",
            "A='",
            "A=$(never",
            "A=${never",
        ] {
            let parsed = parse(&format!("{text}\nZ=1\n"));
            assert!(parsed.is_unknown("A"), "{text}: {parsed:?}");
            assert_eq!(parsed.get("A"), None, "{text}");
            assert_eq!(parsed.get("Z"), Some("1"), "{text}: {parsed:?}");
            assert_eq!(parsed.warnings.len(), 1, "{text}: {parsed:?}");
        }
    }

    #[test]
    fn commands_are_not_assignments() {
        for text in [
            "A = 1",
            "A=1 command",
            ". /etc/other",
            "[ -x /bin/A ]",
            "echo A=1",
            "cat <A >B",
        ] {
            let parsed = parse(&format!("{text}\nZ=1\n"));
            assert_eq!(parsed.get("A"), None, "{text}");
            assert_eq!(parsed.get("Z"), Some("1"), "{text}: {parsed:?}");
            assert_eq!(parsed.warnings.len(), 1, "{text}: {parsed:?}");
            assert!(parsed.warnings[0].starts_with("line 1: "), "{text}");
        }
        assert_eq!(parse("#A=1\n\n  # B=2\n"), Variables::default());
    }

    #[test]
    fn warnings_tell_no_value() {
        let parsed =
            parse("WIRELESS_WPA_PSK=\"geheim\nX=$geheim\ngeheim\nif geheim; then\nY=geheim\n");
        assert!(!parsed.warnings.is_empty());
        assert!(
            parsed.warnings.iter().all(|w| !w.contains("geheim")),
            "{:?}",
            parsed.warnings
        );
    }

    #[test]
    fn hostile_text_ends() {
        for text in [
            "\"".repeat(10_000),
            "A='\n".repeat(10_000),
            "<".repeat(10_000),
            "$(".repeat(10_000),
            "A=$((".repeat(5_000),
            "\\".repeat(9_999),
            "if ".repeat(10_000),
            "A=$'\\".to_owned(),
            "A=$'\\x\\u\\U\\9'".to_owned(),
            "\u{0}=\u{0}\u{fffd}".to_owned(),
            "A=\\".to_owned(),
        ] {
            assert!(parse(&text).warnings.len() <= 20);
        }
    }
}
