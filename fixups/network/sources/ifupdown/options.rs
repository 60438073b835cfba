//! What the options of a stanza mean.

use std::collections::HashSet;
use std::net::IpAddr;

use refit_engine::GuestPath;

use super::stanza::{Stanza, StanzaOption};
use crate::network::model::Kind;
use crate::network::sources::reading::{Reading, quote};
use crate::network::sources::values;

/// Most addresses of one interface.
const ADDRESS_LIMIT: usize = 1024;

/// What one or several stanzas say of an interface.
#[derive(Debug, Clone, Default)]
pub struct Traits {
    /// The kind, if anything shows it.
    pub kind: Option<Kind>,
    /// Static addresses.
    pub addresses: Vec<IpAddr>,
    /// DHCP, BOOTP or router advertisement.
    pub dynamic: bool,
    /// Ports, or the parent of a VLAN.
    pub lower: Vec<String>,
    /// Bond or bridge that it is a port of, and which of them.
    pub upper: Option<(String, Kind)>,
    /// ifupdown-ng's `requires`: what has to be up first. The ports, for a bond or bridge.
    pub requires: Vec<String>,
    /// Whether it has options of a bond, which older ifenslave wants at the ports, too.
    pub bond_options: bool,
    /// Stanzas that it takes options from.
    pub inherits: Vec<String>,
    /// Whether all of it is only there to be inherited.
    pub template: bool,
    /// The file with its first address, else the first.
    pub source: Option<GuestPath>,
}

impl Traits {
    /// Reads a stanza of file `path`.
    pub fn read(reading: &mut Reading<'_, '_>, path: &GuestPath, stanza: &Stanza) -> Self {
        let mut traits = Self {
            inherits: stanza.inherits.clone(),
            template: stanza.template,
            source: Some(path.clone()),
            ..Self::default()
        };
        traits.method(stanza.method.as_deref().unwrap_or_default());
        // Other families (CAN, IPX) have addresses of their own.
        let internet = stanza
            .family
            .as_deref()
            .is_none_or(|family| matches!(family, "inet" | "inet6"));
        for option in &stanza.options {
            match option.key.as_str() {
                "address" if internet => traits.address(reading, path, option),
                "bridge-ports" => traits.bridge_ports(reading, path, option),
                _ => traits.option(option),
            }
        }
        traits
    }

    /// Adds what another stanza for the same interface says.
    pub fn absorb(&mut self, other: Self) {
        if self.source.is_none() || (self.addresses.is_empty() && !other.addresses.is_empty()) {
            self.source = other.source;
        }
        let mut seen: HashSet<IpAddr> = self.addresses.iter().copied().collect();
        for address in other.addresses {
            if self.addresses.len() < ADDRESS_LIMIT && seen.insert(address) {
                self.addresses.push(address);
            }
        }
        self.kind = self.kind.take().or(other.kind);
        self.dynamic |= other.dynamic;
        self.lower.extend(other.lower);
        self.upper = self.upper.take().or(other.upper);
        self.requires.extend(other.requires);
        self.bond_options |= other.bond_options;
        self.inherits.extend(other.inherits);
        self.template &= other.template;
    }

    /// Fills what is still open from a stanza that it inherits.
    pub fn inherit(&mut self, from: &Self) {
        if self.addresses.is_empty() {
            self.addresses.clone_from(&from.addresses);
        }
        if self.kind.is_none() {
            self.kind.clone_from(&from.kind);
        }
        if self.lower.is_empty() {
            self.lower.clone_from(&from.lower);
        }
        if self.upper.is_none() {
            self.upper.clone_from(&from.upper);
        }
        if self.requires.is_empty() {
            self.requires.clone_from(&from.requires);
        }
        self.bond_options |= from.bond_options;
        self.dynamic |= from.dynamic;
    }

    fn method(&mut self, method: &str) {
        match method {
            "dhcp" | "bootp" | "auto" => self.dynamic = true,
            "loopback" | "tunnel" | "v4tunnel" | "6to4" | "ppp" | "wvdial" => {
                self.kind = Some(Kind::Other(method.to_owned()));
            }
            _ => {}
        }
    }

    fn address(&mut self, reading: &mut Reading<'_, '_>, path: &GuestPath, option: &StanzaOption) {
        let text = option.words().next().unwrap_or_default();
        match values::address(text) {
            Some(address) if self.addresses.len() < ADDRESS_LIMIT => {
                if !self.addresses.contains(&address) {
                    self.addresses.push(address);
                }
            }
            Some(_) => {}
            // An old way to say that the interface has none.
            None if matches!(text, "0.0.0.0" | "::" | "0.0.0.0/0") => {}
            None => {
                let reason = format!("address is none: {}", quote(&option.value));
                reading.warn(path, Some(option.line), reason);
            }
        }
    }

    /// `bridge_ports` takes names, `none`, `all`, `regex EXPRESSION` (bridge-utils-interfaces(5)) and
    /// `glob PATTERN` (ifupdown2).
    fn bridge_ports(
        &mut self,
        reading: &mut Reading<'_, '_>,
        path: &GuestPath,
        option: &StanzaOption,
    ) {
        self.kind = Some(Kind::Bridge);
        let mut words = option.words();
        let mut followed = true;
        while let Some(word) = words.next() {
            match word {
                "none" | "noregex" => {}
                "all" => followed = false,
                "regex" | "glob" => {
                    words.next();
                    followed = false;
                }
                // `max` and its number end the list in old versions of bridge-utils.
                name => self.lower.push(name.to_owned()),
            }
        }
        if !followed {
            let reason = format!("not all bridge ports are known: {}", quote(&option.value));
            reading.warn(path, Some(option.line), reason);
        }
    }

    fn option(&mut self, option: &StanzaOption) {
        let words = || {
            option
                .words()
                .filter(|word| *word != "none")
                .map(str::to_owned)
        };
        let upper = |kind| words().next().map(|name| (name, kind));
        let other = |word: &str| Some(Kind::Other(word.to_owned()));
        match option.key.as_str() {
            "bond-slaves" | "slaves" | "bond-members" | "bond-ports" | "ovs-bonds" => {
                self.kind.get_or_insert(Kind::Bond);
                self.lower.extend(words());
            }
            "bond-master" | "master" => self.upper = upper(Kind::Bond),
            "ovs-bridge" => self.upper = upper(Kind::Bridge),
            "ovs-ports" => self.lower.extend(words()),
            "ovs-type" => {
                self.kind = match option.value.as_str() {
                    "OVSBridge" => Some(Kind::Bridge),
                    "OVSBond" => Some(Kind::Bond),
                    "OVSPort" => None,
                    word => other(word),
                }
            }
            "bridge-vlan-aware" if option.value != "no" => self.kind = Some(Kind::Bridge),
            "vlan-raw-device" => {
                self.kind = Some(Kind::Vlan);
                self.lower.extend(words().take(1));
            }
            "vlan-id" => self.kind = Some(Kind::Vlan),
            "link-type" if option.value != "ether" => self.kind = other(&option.value),
            "vrf-table" => self.kind = other("vrf"),
            "vxlan-id" => self.kind = other("vxlan"),
            "tunnel-mode" | "endpoint" => self.kind = other("tunnel"),
            "gre-remote" => self.kind = other("gre"),
            "ppp-provider" => self.kind = other("ppp"),
            "batman-ifaces" => self.kind = other("batman"),
            // Not `wpa-conf`: a wired port may authenticate, too.
            "wpa-ssid" | "wireless-essid" | "wifi-ssid" => {
                self.kind = other("wireless");
            }
            "requires" => self.requires.extend(words()),
            "inherit" | "inherits" => self.inherits.extend(words()),
            "autoconf" | "accept-ra" => {
                self.dynamic |= matches!(option.value.as_str(), "1" | "2");
            }
            "use" => match option.value.as_str() {
                "dhcp" => self.dynamic = true,
                "bond" => self.kind = Some(Kind::Bond),
                "bridge" => self.kind = Some(Kind::Bridge),
                "vlan" => self.kind = Some(Kind::Vlan),
                word @ ("loopback" | "ppp" | "tunnel" | "vrf" | "vxlan" | "wifi" | "wireguard"
                | "batman" | "gre") => self.kind = other(word),
                _ => {}
            },
            "bond-mode" | "bond-miimon" => self.bond_options = true,
            _ => {}
        }
    }
}
