//! Names of files in an appliance: what `href` means, and what must not be followed.

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Href {
    /// A file of the package: relative names to try, the likeliest first (as written, percent-decoded).
    Inside(Vec<String>),
    /// An address on a network.
    Url,
}

/// Longest reference, in bytes.
const MAX_HREF: usize = 4096;

/// Looks at a reference.
///
/// # Errors
///
/// What is wrong with it, to follow the reference in a sentence, if it could lead out of the package.
pub fn classify(href: &str) -> Result<Href, &'static str> {
    if href.is_empty() {
        return Err("must name a file");
    }
    if href.len() > MAX_HREF {
        return Err("is longer than 4096 bytes");
    }
    let scheme = href.split_once("://").map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| {
        !scheme.is_empty()
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    }) {
        return Ok(Href::Url);
    }
    let mut names = Vec::new();
    for name in std::iter::once(href.to_owned()).chain(percent_decoded(href)) {
        check(&name)?;
        let name = normal(&name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(Href::Inside(names))
}

/// Whether a name stays in the directory that it starts from.
pub(crate) fn check(name: &str) -> Result<(), &'static str> {
    if name.contains('\0') {
        return Err("has a NUL in it");
    }
    if name.starts_with('/') || name.starts_with('\\') {
        return Err("is an absolute path; it must be relative to the descriptor");
    }
    let mut bytes = name.bytes();
    if bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic()) && bytes.next() == Some(b':') {
        return Err("names a drive; it must be relative to the descriptor");
    }
    if name.split(['/', '\\']).any(|part| part == "..") {
        return Err("leads out of the package by \"..\"");
    }
    Ok(())
}

/// Without `.` and empty parts.
pub(crate) fn normal(name: &str) -> String {
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    parts.join("/")
}

/// The name with `%20` and the like decoded; none if there is nothing to decode, or what comes out is no text.
fn percent_decoded(name: &str) -> Option<String> {
    let bytes = name.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = bytes
            .get(at + 1..at + 3)
            .filter(|_| *byte == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(value) = hex {
            decoded.push(value);
            at += 3;
        } else {
            decoded.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(decoded)
        .ok()
        .filter(|decoded| decoded != name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reference_may_be() {
        let inside = |names: &[&str]| {
            Ok(Href::Inside(
                names.iter().map(|&name| name.to_owned()).collect(),
            ))
        };
        for (href, expected) in [
            ("disk.vmdk", inside(&["disk.vmdk"])),
            ("./sub//disk.vmdk", inside(&["sub/disk.vmdk"])),
            (
                "my%20disk.vmdk",
                inside(&["my%20disk.vmdk", "my disk.vmdk"]),
            ),
            ("100%.vmdk", inside(&["100%.vmdk"])),
            ("a%ff.vmdk", inside(&["a%ff.vmdk"])),
            ("ä b.vmdk", inside(&["ä b.vmdk"])),
            ("a..b", inside(&["a..b"])),
            ("http://example.org/d.vmdk", Ok(Href::Url)),
            ("file:///etc/passwd", Ok(Href::Url)),
        ] {
            assert_eq!(classify(href), expected, "{href}");
        }
        for href in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/%2e%2e/x",
            "%2fetc/passwd",
            "\\\\host\\x",
            "a\\..\\x",
            "C:\\x",
            "c:x",
            "a\0b",
            &"x".repeat(5000),
        ] {
            assert!(classify(href).is_err(), "{href:?}");
        }
    }
}
