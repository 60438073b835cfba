//! Hardware addresses in formats of lines.

use std::ops::Range;

use super::{Pin, Purpose};
use crate::network::sources::ifupdown::stanza::{self, Directive};
use crate::network::sources::persistent_rules;
use crate::network::sources::{ifcfg as ifcfg_files, keyfile as keyfiles, unit_file, values};

/// Length of an address in its usual form.
const LENGTH: usize = 17;

/// The words of `text` in `bytes`, with their places.
pub(in super::super) fn words(text: &str, bytes: Range<usize>) -> Vec<(Range<usize>, &str)> {
    let part = &text[bytes.clone()];
    let all = part.split([' ', '\t', '\r', '\n', '\\']);
    all.filter(|word| !word.is_empty())
        .map(|word| {
            let start = bytes.start + (word.as_ptr() as usize - part.as_ptr() as usize);
            (start..start + word.len(), word)
        })
        .collect()
}

/// The words of `text` in `bytes` that are addresses.
fn addresses(text: &str, bytes: Range<usize>, purpose: Purpose) -> Vec<Pin> {
    let all = words(text, bytes).into_iter();
    all.filter_map(|(bytes, word)| {
        Some(Pin {
            mac: values::mac(word)?,
            bytes,
            purpose,
        })
    })
    .collect()
}

/// The address at the end of a word.
fn at_end(word: &str, bytes: &Range<usize>, purpose: Purpose) -> Option<Pin> {
    let start = word.len().checked_sub(LENGTH)?;
    Some(Pin {
        mac: word.get(start..)?.parse().ok()?,
        bytes: bytes.end - LENGTH..bytes.end,
        purpose,
    })
}

/// interfaces(5): `hwaddress`, patterns `mac/ADDRESS`, and commands.
pub(super) fn ifupdown(text: &str) -> Vec<Pin> {
    let mut pins = Vec::new();
    for statement in stanza::parse(text) {
        match statement.directive {
            Directive::Allow(_) | Directive::Rename(_) => {
                for (bytes, word) in words(text, statement.bytes) {
                    let Some(value) = word.strip_prefix("mac/") else {
                        continue;
                    };
                    let value = value.split(['/', '=']).next().unwrap_or_default();
                    let start = bytes.start + "mac/".len();
                    pins.extend(addresses(text, start..start + value.len(), Purpose::Find));
                }
            }
            Directive::Interface(stanza) => {
                let is_card = !stanza.options.iter().any(|option| {
                    option.key.starts_with("bridge-") || option.key.starts_with("bond-s")
                });
                for option in stanza.options {
                    let purpose = match option.key.as_str() {
                        "hwaddress" | "hw-mac-address" if is_card => Purpose::SetCard,
                        "hwaddress" | "hw-mac-address" | "bridge-hw" | "pre-up" | "up"
                        | "post-up" | "pre-down" | "down" | "post-down" => Purpose::SetOther,
                        _ => continue,
                    };
                    pins.extend(addresses(text, option.bytes, purpose));
                }
            }
            _ => {}
        }
    }
    pins
}

/// Red Hat's `HWADDR` finds the card, its `MACADDR` and SUSE's `LLADDR` are given to it. SUSE's
/// files may refer to others by `eth-id-ADDRESS`.
pub(super) fn ifcfg(text: &str) -> Vec<Pin> {
    let mut pins = Vec::new();
    for assignment in ifcfg_files::assignments(text) {
        // Quotes of shell are none of the address.
        let part = &text[assignment.bytes.clone()];
        let inner = part.trim_matches(['"', '\'']);
        let start =
            assignment.bytes.start + (part.len() - part.trim_start_matches(['"', '\'']).len());
        let bytes = start..start + inner.len();
        let purpose = match assignment.name.as_str() {
            "HWADDR" => Purpose::Find,
            "MACADDR" | "LLADDR" => Purpose::SetCard,
            _ => {
                let references = words(text, bytes).into_iter();
                pins.extend(
                    references
                        .filter(|(_, word)| ifcfg_files::mac_in_name(word).is_some())
                        .filter_map(|(bytes, word)| at_end(word, &bytes, Purpose::Find)),
                );
                continue;
            }
        };
        pins.extend(addresses(text, bytes, purpose));
    }
    pins
}

/// nm-settings-keyfile(5).
pub(super) fn keyfile(text: &str) -> Vec<Pin> {
    let mut pins = Vec::new();
    for place in keyfiles::places(text) {
        let purpose = match (
            place.group.as_str(),
            place.key.as_deref().unwrap_or_default(),
        ) {
            ("ethernet" | "802-3-ethernet", "mac-address") => Purpose::Find,
            ("vlan" | "macvlan" | "ip-tunnel" | "vxlan", "parent") => Purpose::Find,
            ("ethernet" | "802-3-ethernet", "cloned-mac-address") => Purpose::SetCard,
            ("bridge", "mac-address") => Purpose::SetOther,
            _ => continue,
        };
        let value = &text[place.value.clone()];
        if let Some(mac) = keyfiles::parse_mac(value) {
            pins.push(Pin {
                mac,
                bytes: place.value,
                purpose,
            });
        }
    }
    pins
}

/// NetworkManager.conf(5): lists of devices, `mac:ADDRESS` or the address alone.
pub(super) fn network_manager(text: &str) -> Vec<Pin> {
    let mut pins = Vec::new();
    for place in keyfiles::places(text) {
        let lists = ["match-device", "unmanaged-devices", "no-auto-default"];
        if !place.key.is_some_and(|key| lists.contains(&key.as_str())) {
            continue;
        }
        let value = &text[place.value.clone()];
        for word in value.split([',', ';', ' ']) {
            let start = place.value.start + (word.as_ptr() as usize - value.as_ptr() as usize);
            pins.extend(at_end(word, &(start..start + word.len()), Purpose::Find));
        }
    }
    pins
}

/// systemd.network(5), systemd.link(5), systemd.netdev(5).
pub(super) fn networkd(text: &str) -> Vec<Pin> {
    let mut pins = Vec::new();
    for place in unit_file::places(text) {
        let Some(key) = place.key else { continue };
        let purpose = match (place.section.0.as_str(), key.as_str()) {
            ("Match", "MACAddress" | "PermanentMACAddress") => Purpose::Find,
            ("Link", "MACAddress") => Purpose::SetCard,
            ("NetDev", "MACAddress") => Purpose::SetOther,
            _ => continue,
        };
        let line = &text[place.bytes.clone()];
        let value = place.bytes.start + line.find('=').map_or(line.len(), |at| at + 1);
        pins.extend(addresses(text, value..place.bytes.end, purpose));
    }
    pins
}

/// udev's rules, except for those that name cards: these are the concern of `nic-names`.
pub(super) fn rules(text: &str) -> Vec<Pin> {
    let all = persistent_rules::address_matches(text.as_bytes()).into_iter();
    all.filter(|one| !one.names)
        .map(|one| Pin {
            mac: one.mac,
            bytes: one.bytes,
            purpose: Purpose::Find,
        })
        .collect()
}

/// iftab(5).
pub(super) fn iftab(text: &str) -> Vec<Pin> {
    let mut pins = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if !line.trim_start().starts_with('#') {
            pins.extend(addresses(text, at..at + line.len(), Purpose::Find));
        }
        at += line.len();
    }
    pins
}

/// The kernel's arguments in the files of boot loaders, as dracut and live systems read them
/// (dracut.cmdline(7): `ifname=NAME:ADDRESS`, `ip=...:ADDRESS`; `BOOTIF=01-ADDRESS`).
pub(super) fn command_line(text: &str) -> Vec<Pin> {
    let mut pins = Vec::new();
    for (bytes, word) in words(text, 0..text.len()) {
        let bare = word.trim_matches(['"', '\'']);
        let start = bytes.start + (word.len() - word.trim_start_matches(['"', '\'']).len());
        // The first argument may follow `GRUB_CMDLINE_LINUX="`.
        let argument = bare.rsplit(['"', '\'']).next().unwrap_or_default();
        let known = ["ifname=", "ip=", "BOOTIF="];
        if known.iter().any(|key| argument.starts_with(key)) {
            pins.extend(at_end(bare, &(start..start + bare.len()), Purpose::Find));
        }
    }
    pins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(read: fn(&str) -> Vec<Pin>, text: &str) -> Vec<(String, Purpose)> {
        read(text)
            .into_iter()
            .map(|pin| {
                let part = text[pin.bytes].to_owned();
                let mac = values::mac(&part).or_else(|| keyfiles::parse_mac(&part));
                assert_eq!(mac, Some(pin.mac), "{part}");
                (part, pin.purpose)
            })
            .collect()
    }

    fn check(read: fn(&str) -> Vec<Pin>, text: &str, expected: &[(&str, Purpose)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(part, purpose)| ((*part).to_owned(), *purpose))
            .collect();
        assert_eq!(found(read, text), expected, "{text}");
    }

    const A: &str = "00:50:56:aa:bb:01";

    #[test]
    fn interfaces() {
        check(
            ifupdown,
            &format!(
                "auto mac/{A}=lan\nrename mac/{A}=wan\n# hwaddress {A}\niface eth0 inet static\n hwaddress ether {A}\n \
                 up ip link set eth0 address {A} \\\n   || true\n address 192.0.2.1\n\
                 iface br0\n bridge_ports eth0\n hwaddress {A}\n"
            ),
            &[
                (A, Purpose::Find),
                (A, Purpose::Find),
                (A, Purpose::SetCard),
                (A, Purpose::SetOther),
                (A, Purpose::SetOther),
            ],
        );
    }

    #[test]
    fn shell_variables() {
        check(
            ifcfg,
            "HWADDR=\"00:50:56:AA:BB:01\" # x\nMACADDR='00-50-56-aa-bb-01'\n#HWADDR=00:50:56:aa:bb:01\nBONDING_SLAVE0='eth-id-00:50:56:aa:bb:01'\nX=$HWADDR\n",
            &[
                ("00:50:56:AA:BB:01", Purpose::Find),
                ("00-50-56-aa-bb-01", Purpose::SetCard),
                (A, Purpose::Find),
            ],
        );
    }

    #[test]
    fn profiles() {
        check(
            keyfile,
            "[ethernet]\nmac-address=00:50:56:AA:BB:01\ncloned-mac-address = 00:50:56:aa:bb:01\n[802-3-ethernet]\n\
             mac-address=0;80;86;170;187;1;\n[bridge]\nmac-address=00:50:56:aa:bb:01\n[user]\nmac-address=00:50:56:aa:bb:01\n",
            &[
                ("00:50:56:AA:BB:01", Purpose::Find),
                (A, Purpose::SetCard),
                ("0;80;86;170;187;1;", Purpose::Find),
                (A, Purpose::SetOther),
            ],
        );
        check(
            network_manager,
            "[main]\nno-auto-default=00:50:56:aa:bb:01,00:50:56:aa:bb:02,\n[device]\nmatch-device=mac:00:50:56:aa:bb:01\n",
            &[
                (A, Purpose::Find),
                ("00:50:56:aa:bb:02", Purpose::Find),
                (A, Purpose::Find),
            ],
        );
    }

    #[test]
    fn units() {
        check(
            networkd,
            "[Match]\nMACAddress=00:50:56:aa:bb:01 0050.56aa.bb02 \\\n 00-50-56-AA-BB-03\nName=x\n[Link]\nMACAddress=00:50:56:aa:bb:01\n",
            &[
                (A, Purpose::Find),
                ("0050.56aa.bb02", Purpose::Find),
                ("00-50-56-AA-BB-03", Purpose::Find),
                (A, Purpose::SetCard),
            ],
        );
    }

    #[test]
    fn rules_that_do_not_name() {
        check(
            rules,
            "SUBSYSTEM==\"net\", ATTR{address}==\"00:50:56:aa:bb:01\", NAME=\"eth0\"\n\
             SUBSYSTEM==\"net\", ATTR{address}==\"00:50:56:aa:bb:01\", RUN+=\"/bin/x\"\n",
            &[(A, Purpose::Find)],
        );
    }

    #[test]
    fn arguments_of_the_kernel() {
        check(
            command_line,
            "GRUB_CMDLINE_LINUX=\"ifname=eth0:00:50:56:aa:bb:01 quiet\"\n linux /vmlinuz ifname=eth0:00:50:56:aa:bb:01 \
             BOOTIF=01-00-50-56-aa-bb-01 mac=00:50:56:aa:bb:01\n",
            &[
                (A, Purpose::Find),
                (A, Purpose::Find),
                ("00-50-56-aa-bb-01", Purpose::Find),
            ],
        );
    }
}
