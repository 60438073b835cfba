//! The documents of cloud-init's network configuration.
//!
//! Version 2 has netplan's form. The list of version 1 is turned into the same definitions, as
//! cloud-init itself does when it renders for netplan.

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::network::sources::netplan::document::{
    Definition, Group, Matching, Network as Version2, from_yaml,
};
use crate::network::sources::netplan::forms::{Fields, Lenient};

/// Most devices and subnets of version 1 in one file.
const LIMIT: usize = 4096;

/// Where in a document the configuration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Under the key `network`.
    NetworkKey,
    /// There, or else the whole document.
    Anywhere,
}

/// A network configuration of either version.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// Whether it is `config: disabled`.
    pub disabled: bool,
    version1: Vec<Item>,
    version2: Version2,
}

impl Network {
    /// Whether it says anything of any device.
    pub fn has_definitions(&self) -> bool {
        !self.version1.is_empty() || !self.version2.definitions.is_empty()
    }

    /// The devices in netplan's form.
    pub fn into_definitions(self) -> Vec<(Group, String, Definition)> {
        let items = self.version1.into_iter();
        let mut definitions: Vec<_> = items.filter_map(Item::into_definition).collect();
        definitions.extend(self.version2.definitions);
        definitions
    }
}

/// The configuration in a document, `None` if there is none. JSON is YAML too.
///
/// # Errors
/// The line that is to blame, if it is known.
pub(super) fn parse(text: &str, place: Place) -> Result<Option<Network>, Option<usize>> {
    let Lenient(document): Lenient<Document> = from_yaml(text)?;
    Ok(match (document.network, place) {
        (Some(network), _) => Some(network),
        (None, Place::Anywhere) => Some(document.whole),
        (None, Place::NetworkKey) => None,
    })
}

#[derive(Debug, Default)]
struct Document {
    network: Option<Network>,
    whole: Network,
}

impl Fields for Document {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "network" => {
                let Lenient(network) = map.next_value()?;
                self.network = Some(network);
                Ok(())
            }
            // The only keys that a whole document has; the rest of cloud.cfg has other forms.
            "config" | "version" => self.whole.field(key, map),
            key if Group::from_key(key).is_some() => self.whole.field(key, map),
            _ => map.next_value::<IgnoredAny>().map(|_| ()),
        }
    }
}

impl Fields for Network {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        if key != "config" {
            return self.version2.field(key, map);
        }
        match map.next_value()? {
            Config::Word(word) => self.disabled = word == "disabled",
            Config::Items(items) => self.version1 = items,
            Config::Nothing => {}
        }
        Ok(())
    }
}

/// The value of `config`.
enum Config {
    Word(String),
    Items(Vec<Item>),
    Nothing,
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Config;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a sequence of devices, or `disabled`")
            }

            fn visit_unit<E>(self) -> Result<Config, E> {
                Ok(Config::Nothing)
            }

            fn visit_str<E>(self, word: &str) -> Result<Config, E> {
                Ok(Config::Word(word.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Config, A::Error> {
                let mut items = Vec::new();
                while let Some(Lenient(item)) = seq.next_element()? {
                    if items.len() < LIMIT {
                        items.push(item);
                    }
                }
                Ok(Config::Items(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Config::Nothing)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// One item of version 1.
#[derive(Debug, Default)]
struct Item {
    kind: Option<String>,
    name: Option<String>,
    mac_address: Option<String>,
    accept_ra: Option<String>,
    /// `bond_interfaces` or `bridge_interfaces`.
    ports: Vec<String>,
    vlan_link: Option<String>,
    subnets: Vec<Subnet>,
}

#[derive(Debug, Default)]
struct Subnet {
    kind: Option<String>,
    address: Option<String>,
}

impl Fields for Item {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = map.next_value()?,
            "name" => self.name = map.next_value()?,
            "mac_address" => self.mac_address = map.next_value()?,
            "accept-ra" => self.accept_ra = map.next_value()?,
            "vlan_link" => self.vlan_link = map.next_value()?,
            "bond_interfaces" | "bridge_interfaces" => {
                self.ports = map.next_value::<Option<_>>()?.unwrap_or_default();
            }
            "subnets" => {
                let subnets: Option<Vec<Lenient<Subnet>>> = map.next_value()?;
                let subnets = subnets.unwrap_or_default().into_iter().take(LIMIT);
                self.subnets = subnets.map(|lenient| lenient.0).collect();
            }
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl Fields for Subnet {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "type" => self.kind = map.next_value()?,
            "address" => self.address = map.next_value()?,
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl Item {
    /// `None` for what is no device (`nameserver`, `route`), has no name, or is of a type that no
    /// version of cloud-init knows.
    fn into_definition(self) -> Option<(Group, String, Definition)> {
        let name = self.name?;
        let mut definition = Definition {
            accept_ra: self.accept_ra,
            ..Definition::default()
        };
        let group = match self.kind.as_deref()? {
            "physical" => {
                // cloud-init renames the card that has the MAC.
                if let Some(mac) = self.mac_address.filter(|mac| !mac.trim().is_empty()) {
                    definition.matches = Some(Matching {
                        macaddress: Some(mac),
                        ..Matching::default()
                    });
                    definition.set_name = Some(name.clone());
                }
                Group::Ethernets
            }
            "loopback" => Group::Ethernets,
            // netplan has no group for it; all that counts is that it is no Ethernet card.
            "infiniband" => Group::Modems,
            "bond" => {
                definition.interfaces = self.ports;
                Group::Bonds
            }
            "bridge" => {
                definition.interfaces = self.ports;
                Group::Bridges
            }
            "vlan" => {
                definition.link = self.vlan_link;
                Group::Vlans
            }
            _ => return None,
        };
        for subnet in self.subnets {
            let kind = subnet.kind.unwrap_or_default();
            if kind.starts_with("dhcp") || kind.starts_with("ipv6_") {
                definition.dhcp4 = Some("true".to_owned());
            }
            // `manual` has none; an address beside DHCP is a request.
            if kind.starts_with("static") {
                definition.addresses.extend(subnet.address);
            }
        }
        Some((group, name, definition))
    }
}
