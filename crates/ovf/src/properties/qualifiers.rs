//! The text of `ovf:qualifiers` and `vmw:qualifiers`.
//!
//! DSP0243 (table 7) has `MinLen(n)`, `MaxLen(n)` and `ValueMap{"a","b"}`, comma separated; DSP0004 has
//! `MinValue(n)` and `MaxValue(n)`. VMware's own are `Ip("Network 1")` and others. Found are also spaces in
//! place of commas, both kinds of quotes and none, and other brackets.

/// One qualifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qualifier {
    /// Its name as written.
    pub name: String,
    /// Its arguments without quotes; none where it has no brackets.
    pub arguments: Vec<String>,
}

/// All that was found in a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Qualifiers {
    /// In their order.
    pub list: Vec<Qualifier>,
    /// The part that is no qualifier, from where it begins.
    pub rest: Option<String>,
}

impl Qualifiers {
    /// Takes the text apart.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parser = Parser { rest: text };
        let mut all = Self::default();
        loop {
            parser.skip(|character| character.is_whitespace() || matches!(character, ',' | ';'));
            let start = parser.rest;
            if start.is_empty() {
                return all;
            }
            match parser.qualifier() {
                Some(qualifier) => all.list.push(qualifier),
                None => {
                    all.rest = Some(start.to_owned());
                    return all;
                }
            }
        }
    }
}

struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn skip(&mut self, skipped: impl Fn(char) -> bool) -> &'t str {
        let end = self
            .rest
            .find(|character| !skipped(character))
            .unwrap_or(self.rest.len());
        let (before, after) = self.rest.split_at(end);
        self.rest = after;
        before
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn qualifier(&mut self) -> Option<Qualifier> {
        let name = self.skip(|character| character.is_alphanumeric() || character == '_');
        if name.is_empty() {
            return None;
        }
        self.skip(char::is_whitespace);
        let brackets = [('(', ')'), ('{', '}'), ('[', ']')];
        let close = brackets
            .into_iter()
            .find_map(|(open, close)| self.take(open).then_some(close));
        let arguments = match close {
            Some(close) => self.arguments(close)?,
            None => Vec::new(),
        };
        Some(Qualifier {
            name: name.to_owned(),
            arguments,
        })
    }

    /// Up to and with the closing bracket.
    fn arguments(&mut self, close: char) -> Option<Vec<String>> {
        let mut arguments = Vec::new();
        loop {
            self.skip(|character| character.is_whitespace() || character == ',');
            if self.take(close) {
                return Some(arguments);
            }
            arguments.push(match self.rest.chars().next()? {
                quote @ ('"' | '\'') => {
                    self.take(quote);
                    self.quoted(quote)?
                }
                _ => {
                    let end = self.rest.find([',', close])?;
                    let (argument, rest) = self.rest.split_at(end);
                    self.rest = rest;
                    argument.trim_end().to_owned()
                }
            });
        }
    }

    /// Up to and with the closing quote; a backslash makes the next character literal.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => text.push(characters.next()?.1),
                _ if character == quote => {
                    self.rest = self.rest.get(at + quote.len_utf8()..)?;
                    return Some(text);
                }
                _ => text.push(character),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_real_descriptors() {
        for (text, expected) in [
            ("MinLen(1)", &[("MinLen", &["1"][..])][..]),
            (
                "MinLen(1),MaxLen(64)",
                &[("MinLen", &["1"]), ("MaxLen", &["64"])],
            ),
            (
                "MinValue(1.0) MaxValue(10.67)",
                &[("MinValue", &["1.0"]), ("MaxValue", &["10.67"])],
            ),
            (
                r#"ValueMap{"a, b", "c(d)" ,"say \"x\"", ""}"#,
                &[("ValueMap", &["a, b", "c(d)", "say \"x\"", ""])],
            ),
            ("ValueMap{1, 2,3 }", &[("ValueMap", &["1", "2", "3"])]),
            (
                r#"Ip("Network 1"); Netmask ( 'it''s' )"#,
                &[("Ip", &["Network 1"]), ("Netmask", &["it", "s"])],
            ),
            (
                "Ip(VM Network),Ip()",
                &[("Ip", &["VM Network"]), ("Ip", &[])],
            ),
            ("VimIp", &[("VimIp", &[])]),
            (" , ", &[]),
        ] {
            let found = Qualifiers::parse(text);
            let expected: Vec<Qualifier> = expected
                .iter()
                .map(|(name, arguments)| Qualifier {
                    name: (*name).to_owned(),
                    arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
                })
                .collect();
            assert_eq!(found.list, expected, "{text}");
            assert_eq!(found.rest, None, "{text}");
        }
    }

    #[test]
    fn the_rest_is_told() {
        for (text, count, rest) in [
            ("MinLen(1", 0, "MinLen(1"),
            ("MinLen(1), ValueMap{\"a", 1, "ValueMap{\"a"),
            ("MaxLen(2) )", 1, ")"),
            ("ValueMap{\"a\\", 0, "ValueMap{\"a\\"),
        ] {
            let found = Qualifiers::parse(text);
            assert_eq!(found.list.len(), count, "{text}");
            assert_eq!(found.rest.as_deref(), Some(rest), "{text}");
        }
    }
}
