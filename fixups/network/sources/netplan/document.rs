//! One YAML file of netplan(5), as far as interfaces are concerned.

use serde::de::DeserializeOwned;

use super::forms::Lenient;

/// A group of definitions under `network:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // netplan's own names
pub enum Group {
    Ethernets,
    Wifis,
    Modems,
    Bonds,
    Bridges,
    Vlans,
    Tunnels,
    Vrfs,
    DummyDevices,
    VirtualEthernets,
    NmDevices,
}

/// One device definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// What selects the device.
    pub matches: Option<Matching>,
    /// The name that the selected device gets.
    pub set_name: Option<String>,
    /// Static addresses, with prefix.
    pub addresses: Vec<String>,
    /// DHCP for IPv4, as it is written.
    pub dhcp4: Option<String>,
    /// DHCP for IPv6, as it is written.
    pub dhcp6: Option<String>,
    /// Router advertisements, as it is written.
    pub accept_ra: Option<String>,
    /// IDs of the ports.
    pub interfaces: Vec<String>,
    /// ID of a VLAN's parent.
    pub link: Option<String>,
}

/// The `match` mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    /// Patterns for the present name.
    pub name: Vec<String>,
    /// Permanent hardware address.
    pub macaddress: Option<String>,
    /// Patterns for the driver.
    pub driver: Vec<String>,
}

/// Why a file is not used.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line number, counted from one, if one is to blame.
    pub line: Option<usize>,
    /// What is wrong; nothing of the file's content, which may hold pass phrases.
    pub reason: String,
}

impl Definition {
    /// Lays a later file's definition over this one: sequences grow, scalars are replaced, mappings
    /// are merged (netplan-generate(8), "Handling multiple files").
    pub fn merge(&mut self, later: Self) {
        fn replace<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        if let Some(later) = later.matches {
            let matches = self.matches.get_or_insert_default();
            replace(&mut matches.macaddress, later.macaddress);
            // A scalar, or a sequence of alternatives: the later one is meant.
            for (old, new) in [
                (&mut matches.name, later.name),
                (&mut matches.driver, later.driver),
            ] {
                if !new.is_empty() {
                    *old = new;
                }
            }
        }
        replace(&mut self.set_name, later.set_name);
        replace(&mut self.dhcp4, later.dhcp4);
        replace(&mut self.dhcp6, later.dhcp6);
        replace(&mut self.accept_ra, later.accept_ra);
        replace(&mut self.link, later.link);
        append(&mut self.addresses, later.addresses);
        append(&mut self.interfaces, later.interfaces);
    }
}

fn append(list: &mut Vec<String>, more: Vec<String>) {
    let known: std::collections::HashSet<String> = list.iter().cloned().collect();
    list.extend(more.into_iter().filter(|item| !known.contains(item)));
}

/// The definitions of a file, in its order. A file without any is no error.
///
/// # Errors
/// If it is no YAML, has another structure than netplan's, has aliases or nesting beyond any
/// sensible use, or is of version 1 (cloud-init's and curtin's format).
pub fn parse(text: &str) -> Result<Vec<(Group, String, Definition)>, Problem> {
    let document: Lenient<Document> = from_yaml(text).map_err(|line| Problem {
        line,
        reason: "not used: it is no YAML of the structure that netplan reads".to_owned(),
    })?;
    let network = document.0.network;
    if network
        .version
        .as_deref()
        .is_some_and(|version| version != "2")
        || network.has_config
    {
        return Err(Problem {
            line: None,
            reason: "not used: netplan reads version 2 only (this may be cloud-init's format)"
                .to_owned(),
        });
    }
    Ok(network.definitions)
}

/// Reads YAML within limits.
///
/// # Errors
/// The line that is to blame, counted from one, if it is known. What the error says of the content
/// is withheld: it may hold pass phrases.
pub fn from_yaml<T: DeserializeOwned>(text: &str) -> Result<T, Option<usize>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 200_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: 100_000,
            max_depth: 32,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
        // netplan takes repeated keys one after the other.
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map(|location| location.line() as usize);
        line.filter(|line| *line > 0)
    })
}

/// The whole file.
#[derive(Debug, Default)]
pub struct Document {
    /// All that netplan reads.
    pub network: Network,
}

/// The `network` mapping.
#[derive(Debug, Default)]
pub struct Network {
    /// The format's version, as it is written.
    pub version: Option<String>,
    /// Whether it has the key that all definitions of version 1 are under.
    pub has_config: bool,
    /// The definitions, in the file's order.
    pub definitions: Vec<(Group, String, Definition)>,
}

impl Group {
    /// The group of this key.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Some(match key {
            "ethernets" => Self::Ethernets,
            "wifis" => Self::Wifis,
            "modems" => Self::Modems,
            "bonds" => Self::Bonds,
            "bridges" => Self::Bridges,
            "vlans" => Self::Vlans,
            "tunnels" => Self::Tunnels,
            "vrfs" => Self::Vrfs,
            "dummy-devices" => Self::DummyDevices,
            "virtual-ethernets" => Self::VirtualEthernets,
            "nm-devices" => Self::NmDevices,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Definition {
        let text = format!("network:\n  ethernets:\n    e:\n      {text}\n");
        let mut found = parse(&text).unwrap();
        assert_eq!(found.len(), 1, "{text}");
        found.remove(0).2
    }

    #[test]
    fn scalars_are_kept_as_they_are_written() {
        for text in ["yes", "true", "On", "\"true\"", "'no'", "0x10"] {
            let expected = text.trim_matches(['"', '\'']);
            let found = only(&format!("dhcp4: {text}"));
            assert_eq!(found.dhcp4.as_deref(), Some(expected), "{text}");
        }
        assert_eq!(only("dhcp4: ~").dhcp4, None);
        // An integer in base 60 to a reader of YAML 1.1.
        let found = only("match: {macaddress: 10:20:30:40:50:59}");
        assert_eq!(
            found.matches.unwrap().macaddress.as_deref(),
            Some("10:20:30:40:50:59")
        );
    }

    #[test]
    fn addresses_with_and_without_options() {
        let found = only(
            "addresses: [192.0.2.1/24, \"2001:db8::1/64\", {192.0.2.2/24: {label: a, lifetime: 0}}, \
             2001:db8::2/64]",
        );
        assert_eq!(
            found.addresses,
            [
                "192.0.2.1/24",
                "2001:db8::1/64",
                "192.0.2.2/24",
                "2001:db8::2/64"
            ]
        );
        assert_eq!(only("addresses:").addresses, [""; 0]);
    }

    #[test]
    fn one_or_many() {
        for (text, expected) in [
            ("match: {name: en*}", &["en*"][..]),
            ("match: {name: [en*, eth0]}", &["en*", "eth0"]),
            ("match: {}", &[]),
        ] {
            assert_eq!(only(text).matches.unwrap().name, expected, "{text}");
        }
        assert_eq!(only("match:").matches, None);
    }

    #[test]
    fn repeated_keys_are_taken_one_after_the_other() {
        let found = parse(
            "network:\n  ethernets: {a: {dhcp4: true}}\n  ethernets:\n    b: {}\n    a:\n      \
             addresses: [192.0.2.1/24]\n      dhcp6: true\n      dhcp6: false\n      \
             addresses: [192.0.2.2/24]\n",
        )
        .unwrap();
        let ids: Vec<_> = found.iter().map(|(_, id, _)| id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "a"]);
        assert_eq!(found[2].2.dhcp6.as_deref(), Some("false"));
        assert_eq!(found[2].2.addresses, ["192.0.2.1/24", "192.0.2.2/24"]);
    }

    #[test]
    fn files_without_definitions() {
        for text in [
            "",
            "# nothing\n",
            "---\n",
            "network:\n",
            "network: {version: 2, renderer: NetworkManager}\n",
            "network:\n  ethernets:\n",
            "network:\n  ethernets: {renderer: networkd}\n",
            "other: 1\n",
        ] {
            assert_eq!(parse(text), Ok(Vec::new()), "{text:?}");
        }
    }

    #[test]
    fn what_netplan_does_not_read() {
        for (text, line) in [
            (
                "network:\n  version: 1\n  config: [{type: physical}]\n",
                None,
            ),
            ("network:\n  config: disabled\n", None),
            ("network:\n  ethernets:\n  - a\n", Some(2)),
            ("network:\n\tversion: 2\n", Some(2)),
            ("- a\n", None),
            ("network: {ethernets: {e: {wifi-pass: \"secret\n", None),
        ] {
            let problem = parse(text).unwrap_err();
            if line.is_some() {
                assert_eq!(problem.line, line, "{text:?}");
            }
            assert!(!problem.reason.contains("secret"));
        }
    }

    #[test]
    fn bombs_are_refused() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let refs = vec![format!("*a{}", n - 1); 10].join(", ");
            laughs += &format!("a{n}: &a{n} [{refs}]\n");
        }
        laughs += "network: {ethernets: {e: {addresses: *a11}}}\n";
        assert!(parse(&laughs).is_err());
        assert!(parse(&format!("network: {}", "[".repeat(100_000))).is_err());
        assert!(parse(&format!("network: {}", "{a: ".repeat(10_000))).is_err());
        assert!(parse("network: &a {ethernets: *a}\n").is_err());
    }
}
