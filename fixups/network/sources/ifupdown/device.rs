//! What names and patterns of interfaces(5) say of a device.

use crate::network::model::Match;
use crate::network::sources::{glob, values};

/// The device that `iface NAME` is for. ifupdown takes the name as it is; ifupdown2 allows patterns.
#[must_use]
pub fn own_name(name: &str) -> Match {
    if name.starts_with('/') && name.len() > 1 {
        select(name)
    } else if glob::is_pattern(name) {
        Match {
            globs: vec![name.to_owned()],
            ..Match::default()
        }
    } else {
        Match {
            name: Some(name.to_owned()),
            ..Match::default()
        }
    }
}

/// The device that a name or pattern (`[VARIABLE]/VALUE[/[OPTIONS]]`) selects.
#[must_use]
pub fn select(text: &str) -> Match {
    let Some((variable, rest)) = text.split_once('/') else {
        return Match {
            name: Some(text.to_owned()),
            ..Match::default()
        };
    };
    let (value, options) = rest.split_once('/').unwrap_or((rest, ""));
    let mut matches = Match::default();
    match (variable, values::mac(value)) {
        ("", _) => matches.globs.push(value.to_owned()),
        ("mac", Some(mac)) => matches.macs.push(mac),
        _ => matches.other = Some(text.to_owned()),
    }
    // Only the n-th of the devices that match.
    if !options.is_empty() {
        matches.other = Some(text.to_owned());
    }
    matches
}

/// The parent that the name of a VLAN has (`eth0.100`, `eth0.100.5`).
#[must_use]
pub fn vlan_parent(name: &str) -> Option<&str> {
    let (parent, tag) = name.rsplit_once('.')?;
    let number = tag.len() <= 4 && !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_digit());
    (number && !parent.is_empty()).then_some(parent)
}

/// Whether the name is that of a VLAN on its own (`vlan100`).
#[must_use]
pub fn is_vlan_number(name: &str) -> bool {
    name.strip_prefix("vlan")
        .is_some_and(|tag| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_select_by_name_mac_or_something_else() {
        for (text, name, globs, macs, other) in [
            ("eth0", Some("eth0"), &[][..], 0, None),
            ("/eth*", None, &["eth*"], 0, None),
            ("/eth*/", None, &["eth*"], 0, None),
            ("/eth*/2", None, &["eth*"], 0, Some("/eth*/2")),
            ("mac/00:50:56:aa:bb:01", None, &[], 1, None),
            ("mac/00:50:56:*", None, &[], 0, Some("mac/00:50:56:*")),
            ("type/1/1", None, &[], 0, Some("type/1/1")),
        ] {
            let found = select(text);
            assert_eq!(found.name.as_deref(), name, "{text}");
            assert_eq!(found.globs, globs, "{text}");
            assert_eq!(found.macs.len(), macs, "{text}");
            assert_eq!(found.other.as_deref(), other, "{text}");
        }
        assert_eq!(own_name("/en*").globs, ["en*"]);
        assert_eq!(own_name("swp[1-4]").globs, ["swp[1-4]"]);
        assert_eq!(own_name("/").name.as_deref(), Some("/"));
    }

    #[test]
    fn names_of_vlans() {
        for (name, parent) in [
            ("eth0.100", Some("eth0")),
            ("eth0.100.5", Some("eth0.100")),
            ("eth0.0201", Some("eth0")),
            ("eth0.", None),
            (".5", None),
            ("a.b", None),
            ("eth0.10000", None),
            ("eth0", None),
        ] {
            assert_eq!(vlan_parent(name), parent, "{name}");
        }
        assert!(is_vlan_number("vlan100"));
        assert!(!is_vlan_number("vlan"));
        assert!(!is_vlan_number("vlanx"));
    }
}
