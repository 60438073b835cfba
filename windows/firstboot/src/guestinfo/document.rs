//! The OVF environment document (DSP0243, clause 11), as far as its properties go.

/// The value of one of the machine's own properties; keys are compared without regard to case. `key` is in
/// small letters.
pub fn property(document: &str, key: &str) -> Option<String> {
    properties(document)
        .find(|tag| attribute(tag, "oe:key").map_or(false, |found| found.to_lowercase() == key))
        .and_then(|tag| attribute(tag, "oe:value"))
}

/// The keys of the machine's own properties, as they are written.
pub fn keys(document: &str) -> Vec<String> {
    properties(document)
        .filter_map(|tag| attribute(tag, "oe:key"))
        .collect()
}

/// The attributes of each of the machine's own properties.
fn properties(document: &str) -> impl Iterator<Item = &str> {
    // Behind the machine's own section come those of its siblings.
    let own = document.split("<Entity").next().unwrap_or_default();
    let own = own.split("<oe:Entity").next().unwrap_or_default();
    own.split('<').filter_map(|tag| {
        let tag = tag.strip_prefix("oe:").unwrap_or(tag);
        let rest = tag.strip_prefix("Property")?;
        rest.starts_with(char::is_whitespace).then_some(rest)
    })
}

/// An attribute in a tag's text.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        let (found, behind) = rest.split_once('=')?;
        let behind = behind.trim_start();
        let quote = behind
            .chars()
            .next()
            .filter(|quote| matches!(quote, '"' | '\''))?;
        let (value, next) = behind[1..].split_once(quote)?;
        if found.trim() == name {
            return Some(unescaped(value));
        }
        rest = next;
    }
}

/// Character references replaced; one that is not understood stays.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = rest
            .find(';')
            .and_then(|end| Some((character(&rest[1..end])?, end)));
        match known {
            Some((character, end)) => {
                plain.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                plain.push('&');
                rest = &rest[1..];
            }
        }
    }
    plain + rest
}

fn character(reference: &str) -> Option<char> {
    match reference {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "amp" => Some('&'),
        _ => {
            let number = reference.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

/// Tells documents apart (FNV-1a, 64 bits): what a guest has hidden stays hidden until another one comes.
pub fn digest(document: &[u8]) -> String {
    let hash = document
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "<?xml version=\"1.0\"?>\n<Environment oe:id=\"a\">\n   <PropertySection>\n\
        <Property oe:key=\"guestinfo.Name\" oe:value=\"a &lt;b&gt; &quot;&amp;&#10;&#xe9;&x\"/>\n\
        <oe:Property oe:value='it has \"' oe:key = 'guestinfo.two'/>\n\
        <PropertyOther oe:key=\"guestinfo.three\" oe:value=\"x\"/>\n\
        <Property oe:key=\"guestinfo.empty\" oe:value=\"\"/>\n<Property oe:key=\"broken\n\
        </PropertySection><Entity oe:id=\"b\"><PropertySection>\n\
        <Property oe:key=\"guestinfo.other\" oe:value=\"x\"/></PropertySection></Entity></Environment>";

    #[test]
    fn own_properties() {
        for (key, expected) in [
            ("guestinfo.name", Some("a <b> \"&\né&x")),
            ("guestinfo.two", Some("it has \"")),
            ("guestinfo.empty", Some("")),
            ("guestinfo.three", None),
            ("guestinfo.other", None),
            ("broken", None),
            ("", None),
        ] {
            assert_eq!(property(DOCUMENT, key).as_deref(), expected, "{key}");
        }
        for end in 0..DOCUMENT.len() {
            if DOCUMENT.is_char_boundary(end) {
                property(&DOCUMENT[..end], "guestinfo.name");
            }
        }
        assert_eq!(
            keys(DOCUMENT),
            ["guestinfo.Name", "guestinfo.two", "guestinfo.empty"]
        );
        // From the algorithm's own test vectors.
        assert_eq!(digest(b""), "cbf29ce484222325");
        assert_eq!(digest(b"a"), "af63dc4c8601ec8c");
    }
}
