//! UUIDs of machines.

/// The usual form of 36 characters in lower case, from any writing of 32 hexadecimal digits
/// between dashes, spaces and braces; `None` if it is none.
#[must_use]
pub fn normalize(text: &str) -> Option<String> {
    let digits: String = text
        .chars()
        .filter(|character| !matches!(character, '-' | ' ' | '{' | '}'))
        .map(|character| character.to_ascii_lowercase())
        .collect();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let groups = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let groups: Vec<&str> = groups
        .iter()
        .filter_map(|&(start, end)| digits.get(start..end))
        .collect();
    Some(groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_writings_come_out_the_same() {
        for text in [
            "421a257b-7a5f-17da-f93d-09015561ac2a",
            "{421A257B-7A5F-17DA-F93D-09015561AC2A}",
            "42 1a 25 7b 7a 5f 17 da-f9 3d 09 01 55 61 ac 2a",
            "421a257b7a5f17daf93d09015561ac2a",
        ] {
            assert_eq!(
                normalize(text).as_deref(),
                Some("421a257b-7a5f-17da-f93d-09015561ac2a"),
                "{text}"
            );
        }
        for text in [
            "",
            "421a257b",
            "é1a257b7a5f17daf93d09015561ac2a",
            "x21a257b7a5f17daf93d09015561ac2a",
        ] {
            assert_eq!(normalize(text), None, "{text}");
        }
    }
}
