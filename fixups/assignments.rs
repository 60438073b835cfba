//! Files of assignments that a shell reads (`/etc/default`, `/etc/sysconfig`).

/// One assignment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assignment<'t> {
    /// Name of the variable.
    pub(crate) name: &'t str,
    /// Where in the text the value begins, behind its quotation mark.
    pub(crate) start: usize,
    /// The value as it is written, without the quotation marks around it.
    pub(crate) value: &'t str,
}

/// Every simple assignment that begins a line, and whether the last one ends. A quoted value may go
/// on over several lines; what is put together from several quoted parts is passed over.
pub(crate) fn assignments(text: &str) -> (Vec<Assignment<'_>>, bool) {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let line = text[at..].split('\n').next().unwrap_or_default();
        let next = at + line.len() + 1;
        let indent = line.len() - line.trim_start().len();
        let statement = line.trim_start().trim_start_matches("export ");
        let begin = at + indent + (line.trim_start().len() - statement.len());
        at = next;
        let Some((name, value)) = statement.split_once('=') else {
            continue;
        };
        let name = name.strip_suffix('+').unwrap_or(name);
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name {
            continue;
        }
        let start = begin + statement.len() - value.len();
        match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inside = &text[start + 1..];
                let Some(length) = closing(inside, quote) else {
                    return (found, false);
                };
                let after = &inside[length + 1..];
                if after.is_empty() || after.starts_with([' ', '\t', '\r', '\n', ';', '#']) {
                    found.push(Assignment {
                        name,
                        start: start + 1,
                        value: &inside[..length],
                    });
                }
                let end = start + 1 + length + 1;
                at = text[end..]
                    .find('\n')
                    .map_or(text.len(), |rest| end + rest + 1);
            }
            _ => {
                let end = value
                    .find(|c: char| c.is_whitespace() || ";\"'`".contains(c))
                    .unwrap_or(value.len());
                if !value[end..].starts_with(['"', '\'', '`']) {
                    found.push(Assignment {
                        name,
                        start,
                        value: &value[..end],
                    });
                }
            }
        }
    }
    (found, true)
}

/// Where the quote that opened before `text` is closed.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        if escaped {
            escaped = false;
            return None;
        }
        escaped = quote == '"' && c == '\\';
        (c == quote).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_plain_values() {
        let text = "A=b\n# C=d\n  export E='f g' # h\nI+=\"j\n k\"\nL=m\"n\"\nO=\"p";
        let (found, complete) = assignments(text);
        let found: Vec<(&str, &str)> = found.iter().map(|one| (one.name, one.value)).collect();
        assert_eq!(found, [("A", "b"), ("E", "f g"), ("I", "j\n k")]);
        assert!(!complete);
        assert!(assignments("A=\"b\"\n").1);
    }
}
