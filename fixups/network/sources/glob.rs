//! Shell patterns for names, as `fnmatch(3)` has them.

/// Whether `text` holds a character that makes it a pattern.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether `name` matches `pattern`: `*`, `?`, `[a-z]`, `[!a-z]` (or `[^a-z]`), and a backslash
/// before what is meant as it is written. A bracket that is never closed stands for itself.
///
/// For single names: `/` is no special character. Takes at most the product of both lengths.
#[must_use]
pub fn matches(pattern: impl AsRef<[u8]>, name: impl AsRef<[u8]>) -> bool {
    let (pattern, name) = (pattern.as_ref(), name.as_ref());
    let (mut p, mut n) = (0, 0);
    // Where to go on after a mismatch: the last star, and the name from which it was tried.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, n));
            continue;
        }
        let step = match name.get(n) {
            Some(&byte) => match_one(&pattern[p..], byte),
            None if p == pattern.len() => return true,
            None => None,
        };
        match (step, retry) {
            (Some(length), _) => {
                p += length;
                n += 1;
            }
            (None, Some((star, from))) if from < name.len() => {
                p = star;
                n = from + 1;
                retry = Some((star, n));
            }
            (None, _) => return false,
        }
    }
}

/// The length of the pattern's first element if it accepts `byte`.
fn match_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => match bracket(&pattern[1..], byte) {
            Some((true, length)) => Some(length + 1),
            Some((false, _)) => None,
            None => (byte == b'[').then_some(1),
        },
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some(2),
        literal => (literal == byte).then_some(1),
    }
}

/// Whether a bracket expression accepts `byte`, and its length after the `[`; `None` if it is not
/// closed.
fn bracket(inner: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(inner.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let mut at = start;
    let mut accepted = false;
    loop {
        match *inner.get(at)? {
            // A bracket right at the beginning is a member.
            b']' if at > start => return Some((accepted != negated, at + 1)),
            low => {
                let high = match (inner.get(at + 1), inner.get(at + 2)) {
                    (Some(b'-'), Some(&high)) if high != b']' => {
                        at += 2;
                        high
                    }
                    _ => low,
                };
                accepted |= (low..=high).contains(&byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("en*", "ens192", true),
            ("en*", "eth0", false),
            ("e*s?", "ens1", true),
            ("e*s?", "ens192", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("?", "", false),
            ("eth[0-3]", "eth2", true),
            ("eth[0-3]", "eth4", false),
            ("eth[!0-3]", "eth4", true),
            ("eth[^0-3]", "eth2", false),
            ("a[]]b", "a]b", true),
            ("a[b", "a[b", true),
            ("a[b", "ab", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("**a**b", "xxaxxb", true),
            ("[z-a]", "m", false),
            ("*[", "x[", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_exponential_time() {
        assert!(!matches("*a".repeat(200), "a".repeat(2000) + "b"));
    }
}
