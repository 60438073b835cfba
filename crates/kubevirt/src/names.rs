//! Names that Kubernetes accepts (RFC 1123).

/// Longest DNS label, in bytes.
pub(crate) const MAX_LABEL: usize = 63;
/// Longest DNS subdomain, in bytes.
pub(crate) const MAX_SUBDOMAIN: usize = 253;

/// Lower-case letters and digits, with single dashes in place of everything else; `fallback` if
/// nothing is left.
pub(crate) fn label(text: &str, fallback: &str) -> String {
    let mut label = String::new();
    for character in text.chars().map(|character| character.to_ascii_lowercase()) {
        if label.len() == MAX_LABEL {
            break;
        }
        if character.is_ascii_alphanumeric() {
            label.push(character);
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    let label = label.trim_end_matches('-');
    if label.is_empty() { fallback } else { label }.to_owned()
}

/// Whether a text is a DNS label.
pub(crate) fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= MAX_LABEL
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
        && ![bytes.first(), bytes.last()]
            .iter()
            .any(|end| matches!(end, None | Some(b'-')))
}

/// Whether a text is a DNS subdomain: labels between dots.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= MAX_SUBDOMAIN && text.split('.').all(is_label)
}

/// Whether a text can be the value of a label of an object.
pub(crate) fn is_label_value(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= MAX_LABEL
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
        && [bytes.first(), bytes.last()]
            .iter()
            .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_a_label() {
        for (text, name) in [
            ("web1", "web1"),
            ("Windows Server 2019 (x64)", "windows-server-2019-x64"),
            ("--a__b--", "a-b"),
            ("prüfung.example", "pr-fung-example"),
            ("データ", "vm"),
            ("", "vm"),
        ] {
            assert_eq!(label(text, "vm"), name, "{text}");
            assert!(is_label(name));
        }
        let long = label(&"a b".repeat(50), "vm");
        assert!(is_label(&long) && long.len() >= MAX_LABEL - 1, "{long}");
    }

    #[test]
    fn what_is_a_name() {
        for (text, subdomain, value) in [
            ("a", true, true),
            ("a.b-c.0", true, true),
            ("A_b", false, true),
            ("a..b", false, true),
            ("-a", false, false),
            ("a-", false, false),
            ("", false, false),
            ("a/b", false, false),
            ("é", false, false),
        ] {
            assert_eq!(is_subdomain(text), subdomain, "{text}");
            assert_eq!(is_label_value(text), value, "{text}");
        }
    }
}
