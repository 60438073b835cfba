//! What stands between quotes in the shell language.

/// Whether `$` before `next` asks the shell for something.
pub(super) fn expands(next: Option<char>) -> bool {
    next.is_some_and(|c| c.is_ascii_alphanumeric() || "_{(@*#?$!-".contains(c))
}

/// What is between double quotes; `None` if it expands to something.
pub(super) fn double_quoted(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(c @ ('$' | '`' | '"' | '\\')) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            '`' => return None,
            '$' if expands(chars.peek().copied()) => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

/// What is between `$'` and `'`, in which NetworkManager writes what is not plain ASCII.
pub(super) fn ansi_c(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&escape, after)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        rest = after;
        let number = |radix: u32, most: usize, from: &mut &[u8]| {
            let digits = from
                .iter()
                .take(most)
                .take_while(|&&b| char::from(b).is_digit(radix))
                .count();
            let value = from[..digits].iter().fold(0u32, |value, &b| {
                value * radix + char::from(b).to_digit(radix).unwrap_or(0)
            });
            *from = &from[digits..];
            (digits > 0).then_some(value)
        };
        match escape {
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'e' | b'E' => out.push(27),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let mut digits: &[u8] = &text.as_bytes()[text.len() - rest.len() - 1..];
                let value = number(8, 3, &mut digits).unwrap_or(0);
                rest = digits;
                out.push((value & 0xff) as u8);
            }
            b'x' => match number(16, 2, &mut rest) {
                Some(value) => out.push((value & 0xff) as u8),
                None => out.extend(*b"\\x"),
            },
            b'u' | b'U' => {
                let most = if escape == b'u' { 4 } else { 6 };
                match number(16, most, &mut rest).and_then(char::from_u32) {
                    Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                    None => out.extend([b'\\', escape]),
                }
            }
            b'\\' | b'\'' | b'"' | b'?' => out.push(escape),
            other => out.extend([b'\\', other]),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn double_quotes_keep_most_backslashes() {
        for (text, expected) in [
            ("a b", Some("a b")),
            ("\\$x \\` \\\" \\\\ \\n", Some("$x ` \" \\ \\n")),
            ("a\\\nb", Some("ab")),
            ("5$", Some("5$")),
            ("$x", None),
            ("`x`", None),
        ] {
            assert_eq!(double_quoted(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn ansi_c_escapes() {
        for (text, expected) in [
            ("a\\tb\\n", "a\tb\n"),
            ("\\303\\274\\x41\\u00e9\\U01F600", "üAé😀"),
            ("\\'\\\"\\?\\\\", "'\"?\\"),
            ("\\q\\x\\u\\", "\\q\\x\\u\\"),
            ("\\1018", "A8"),
        ] {
            assert_eq!(ansi_c(text), expected, "{text}");
        }
    }
}
