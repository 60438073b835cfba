//! One line of an INF file: comments, quotes, continuation, key and fields.

use super::Line;

/// What one physical line is, once its comment is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Physical<'a> {
    /// The rest of the line is on the next one (a backslash outside of quotes ends it).
    Continued(&'a str),
    /// A whole line.
    Whole(&'a str),
}

/// Takes comment and continuation mark off a physical line. A quoted string ends with its line.
pub(super) fn physical(line: &str) -> Physical<'_> {
    let mut quoted = false;
    let mut end = line.len();
    for (at, character) in line.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ';' if !quoted => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let text = line[..end].trim();
    match text.strip_suffix('\\') {
        // An unpaired quote swallows the mark, as it swallows all else.
        Some(rest) if !quoted => Physical::Continued(rest),
        _ => Physical::Whole(text),
    }
}

/// Splits a logical line at the first `=` and the commas that are outside of quotes.
pub(super) fn logical(text: &str) -> Line {
    let mut key = None;
    let mut fields = Vec::new();
    let mut field = Field::default();
    let mut characters = text.chars().peekable();
    let mut quoted = false;
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push_quoted('"');
            }
            '"' => {
                quoted = !quoted;
                field.quote();
            }
            _ if quoted => field.push_quoted(character),
            '=' if key.is_none() && fields.is_empty() => {
                key = Some(std::mem::take(&mut field).finish());
            }
            ',' => fields.push(std::mem::take(&mut field).finish()),
            _ => field.push(character),
        }
    }
    fields.push(field.finish());
    Line { key, fields }
}

/// A field under construction: blanks at its ends go, those in quotes stay.
#[derive(Default)]
struct Field {
    text: String,
    /// Up to here the text was in quotes, and is not trimmed.
    keep: usize,
}

impl Field {
    fn push(&mut self, character: char) {
        if !(self.text.is_empty() && character.is_whitespace()) {
            self.text.push(character);
        }
    }

    fn push_quoted(&mut self, character: char) {
        self.text.push(character);
        self.keep = self.text.len();
    }

    fn quote(&mut self) {
        self.keep = self.text.len();
    }

    fn finish(mut self) -> String {
        let tail = self.text[self.keep..].trim_end().len();
        self.text.truncate(self.keep + tail);
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_continuation() {
        let cases = [
            ("a=b ; c", Physical::Whole("a=b")),
            ("; all", Physical::Whole("")),
            ("a=\"b;c\" ;d", Physical::Whole("a=\"b;c\"")),
            ("HKR,,x,, \\", Physical::Continued("HKR,,x,, ")),
            ("HKR,,x,, \\ ; more", Physical::Continued("HKR,,x,, ")),
            ("p=\"c:\\", Physical::Whole("p=\"c:\\")),
        ];
        for (line, expected) in cases {
            assert_eq!(physical(line), expected, "{line}");
        }
    }

    #[test]
    fn keys_and_fields() {
        let cases: [(&str, Option<&str>, &[&str]); 9] = [
            ("viostor.sys,,,2", None, &["viostor.sys", "", "", "2"]),
            ("%A% = B, NTamd64", Some("%A%"), &["B", "NTamd64"]),
            (
                "HKR, \"Parameters\\PnpInterface\", \"5\", %D%, 1",
                None,
                &["HKR", "Parameters\\PnpInterface", "5", "%D%", "1"],
            ),
            ("x = \" a, b = c \"", Some("x"), &[" a, b = c "]),
            (
                "HKR,,a,,\"say \"\"hi\"\"\"",
                None,
                &["HKR", "", "a", "", "say \"hi\""],
            ),
            ("a=b=c", Some("a"), &["b=c"]),
            ("HKR,,n,,x=y", None, &["HKR", "", "n", "", "x=y"]),
            ("a=", Some("a"), &[""]),
            ("a=\"never closed, b", Some("a"), &["never closed, b"]),
        ];
        for (text, key, fields) in cases {
            let line = logical(text);
            assert_eq!(line.key.as_deref(), key, "{text}");
            assert_eq!(line.fields, fields, "{text}");
        }
    }
}
