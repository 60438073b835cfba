//! Names of connections.

/// Longest name that is carried over, in characters; Windows itself stops there.
const LONGEST: usize = 255;

/// Whether Windows takes this as a name for a connection.
pub(super) fn is_sound(name: &str) -> bool {
    name.chars().count() <= LONGEST
        && name.trim() == name
        && !name.is_empty()
        && !name
            .chars()
            .any(|c| c.is_control() || r#"\/:*?"<>|"#.contains(c))
}

/// Whether Windows or VMware's drivers made it up, in English: nobody refers to it.
pub(super) fn is_default(name: &str) -> bool {
    ["Ethernet", "Local Area Connection"].iter().any(|start| {
        name.strip_prefix(start)
            .is_some_and(|rest| rest.trim_start().bytes().all(|b| b.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in [
            "Ethernet",
            "Ethernet0",
            "Ethernet 2",
            "Local Area Connection 13",
        ] {
            assert!(is_default(name) && is_sound(name), "{name}");
        }
        for name in [
            "LAN",
            "Ethernet DMZ",
            "Ethernet-2",
            "Local Area Connection x",
            "Büro",
        ] {
            assert!(!is_default(name) && is_sound(name), "{name}");
        }
        for name in ["", " a", "a|b", "a\nb", "a\u{7f}", "a\"", &"x".repeat(256)] {
            assert!(!is_sound(name), "{name:?}");
        }
    }
}
