//! Hardware addresses in YAML: netplan(5), and cloud-init's network configuration of both versions.

use super::{Pin, Purpose};
use crate::network::sources::values;
use crate::network::sources::yaml::{self, Node};

/// netplan's files.
pub(super) fn netplan(text: &str) -> Vec<Pin> {
    documents(text, false)
}

/// cloud-init's: below the key `network`, or a document that is nothing else.
pub(super) fn cloud_init(text: &str) -> Vec<Pin> {
    documents(text, true)
}

fn documents(text: &str, whole: bool) -> Vec<Pin> {
    let mut pins = Vec::new();
    // What the parser refuses is no configuration for anybody; the reader says so.
    for document in yaml::parse(text).unwrap_or_default() {
        let is_network =
            |node: &Node| node.get("version").is_some() || node.get("config").is_some();
        if document.get("network").is_some() {
            for network in document.values("network") {
                groups(text, network, &mut pins);
            }
        } else if whole && is_network(&document) {
            groups(text, &document, &mut pins);
        }
    }
    pins
}

fn groups(text: &str, network: &Node, pins: &mut Vec<Pin>) {
    for (group, definitions) in network.entries() {
        match group.text() {
            Some("config") => {
                for item in definitions.items() {
                    let purpose = match item.get("type").and_then(Node::text) {
                        Some("physical") => Purpose::Find,
                        _ => Purpose::SetOther,
                    };
                    add(text, item, "mac_address", purpose, pins);
                }
            }
            Some(group) => {
                let set = match group {
                    "ethernets" => Purpose::SetCard,
                    _ => Purpose::SetOther,
                };
                for (_, definition) in definitions.entries() {
                    add(text, definition, "macaddress", set, pins);
                    for matching in definition.values("match") {
                        add(text, matching, "macaddress", Purpose::Find, pins);
                    }
                    // What netplan keeps of NetworkManager's settings.
                    for passed in definition.values("networkmanager") {
                        for settings in passed.values("passthrough") {
                            for key in ["ethernet.mac-address", "802-3-ethernet.mac-address"] {
                                add(text, settings, key, Purpose::Find, pins);
                            }
                        }
                    }
                }
            }
            None => {}
        }
    }
}

fn add(text: &str, node: &Node, key: &str, purpose: Purpose, pins: &mut Vec<Pin>) {
    for value in node.values(key) {
        let Some(mac) = value.text().and_then(values::mac) else {
            continue;
        };
        let Some(written) = text.get(value.bytes.clone()) else {
            continue;
        };
        let inner = written.trim_matches(['"', '\'']).trim();
        // An address with escapes in its quotes is left to its author.
        if values::mac(inner) != Some(mac) {
            continue;
        }
        let offset = written.find(inner).unwrap_or_default();
        let start = value.bytes.start + offset;
        pins.push(Pin {
            mac,
            bytes: start..start + inner.len(),
            purpose,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(read: fn(&str) -> Vec<Pin>, text: &str) -> Vec<(String, Purpose)> {
        let pins = read(text).into_iter();
        pins.map(|pin| (text[pin.bytes].to_owned(), pin.purpose))
            .collect()
    }

    #[test]
    fn netplan_finds_and_sets() {
        let text = "# 00:50:56:aa:bb:01\nnetwork:\n  ethernets:\n    a:\n      match: {macaddress: \"00:50:56:AA:BB:01\"}\n      \
                    macaddress: 00:50:56:aa:bb:02\n    b: {match: {macaddress: '00:50:56:aa:bb:03'}}\n  bonds:\n    \
                    bond0:\n      macaddress: 00:50:56:aa:bb:04\n";
        let own = |text: &str| text.to_owned();
        assert_eq!(
            found(netplan, text),
            [
                (own("00:50:56:aa:bb:02"), Purpose::SetCard),
                (own("00:50:56:AA:BB:01"), Purpose::Find),
                (own("00:50:56:aa:bb:03"), Purpose::Find),
                (own("00:50:56:aa:bb:04"), Purpose::SetOther),
            ]
        );
        assert_eq!(found(netplan, "version: 2\nethernets: {}\n"), []);
        assert_eq!(found(netplan, "network: ["), []);
    }

    #[test]
    fn version_1_is_a_list() {
        let config = "version: 1\nconfig:\n- {type: physical, mac_address: '00:50:56:aa:bb:01'}\n- type: bond\n  \
                      mac_address: 00:50:56:aa:bb:02\n";
        let expected = [
            ("00:50:56:aa:bb:01".to_owned(), Purpose::Find),
            ("00:50:56:aa:bb:02".to_owned(), Purpose::SetOther),
        ];
        assert_eq!(found(cloud_init, config), expected);
        let below = format!("network:\n  {}", config.replace('\n', "\n  "));
        assert_eq!(found(cloud_init, &below), expected);
    }
}
