//! Reading netplan's YAML into its structures.
//!
//! Not derived, because netplan accepts repeated keys, a missing value for any mapping, and more
//! than one form for addresses and patterns.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::document::{Definition, Document, Group, Matching, Network};

/// A structure that is read key by key.
pub trait Fields: Default {
    /// Takes the value of `key`, which may have come before; passes over what is unknown.
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;
}

/// A structure from a mapping, or its default where there is no value.
#[derive(Debug)]
pub struct Lenient<T>(pub T);

impl<'de, T: Fields> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Mapping<T>(PhantomData<T>);
        impl<'de, T: Fields> Visitor<'de> for Mapping<T> {
            type Value = Lenient<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_unit<E>(self) -> Result<Lenient<T>, E> {
                Ok(Lenient(T::default()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Lenient<T>, A::Error> {
                let mut target = T::default();
                while let Some(key) = map.next_key::<String>()? {
                    target.field(&key, &mut map)?;
                }
                Ok(Lenient(target))
            }
        }
        deserializer.deserialize_any(Mapping(PhantomData))
    }
}

fn ignore<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

impl Fields for Document {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        if key != "network" {
            return ignore(map);
        }
        let Lenient(network) = map.next_value::<Lenient<Network>>()?;
        self.network.version = network.version.or(self.network.version.take());
        self.network.has_config |= network.has_config;
        self.network.definitions.extend(network.definitions);
        Ok(())
    }
}

impl Fields for Network {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match (key, Group::from_key(key)) {
            ("version", _) => self.version = map.next_value()?,
            ("config", _) => {
                self.has_config = true;
                ignore(map)?;
            }
            (_, Some(group)) => {
                let Lenient(Definitions(entries)) = map.next_value()?;
                self.definitions
                    .extend(entries.into_iter().map(|(id, entry)| (group, id, entry)));
            }
            (_, None) => ignore(map)?,
        }
        Ok(())
    }
}

/// The definitions of one group.
#[derive(Default)]
struct Definitions(Vec<(String, Definition)>);

impl Fields for Definitions {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        // The one setting for the whole group.
        if key == "renderer" {
            return ignore(map);
        }
        let Lenient(definition) = map.next_value()?;
        self.0.push((key.to_owned(), definition));
        Ok(())
    }
}

impl Fields for Definition {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "match" => {
                self.matches = map
                    .next_value::<Option<Lenient<Matching>>>()?
                    .map(|lenient| lenient.0);
            }
            "set-name" => self.set_name = map.next_value()?,
            "addresses" => {
                let addresses = map
                    .next_value::<Option<Vec<Address>>>()?
                    .unwrap_or_default();
                self.addresses
                    .extend(addresses.into_iter().map(|address| address.0));
            }
            "dhcp4" => self.dhcp4 = map.next_value()?,
            "dhcp6" => self.dhcp6 = map.next_value()?,
            "accept-ra" => self.accept_ra = map.next_value()?,
            "interfaces" => self.interfaces.extend(map.next_value::<Strings>()?.0),
            "link" => self.link = map.next_value()?,
            _ => ignore(map)?,
        }
        Ok(())
    }
}

impl Fields for Matching {
    fn field<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "name" => self.name = map.next_value::<Strings>()?.0,
            "macaddress" => self.macaddress = map.next_value()?,
            "driver" => self.driver = map.next_value::<Strings>()?.0,
            _ => ignore(map)?,
        }
        Ok(())
    }
}

/// One address: text, or a mapping of the text to its options (`label`, `lifetime`).
struct Address(String);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Address;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or a mapping of it to options")
            }

            fn visit_str<E>(self, text: &str) -> Result<Address, E> {
                Ok(Address(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Address, A::Error> {
                let mut address = String::new();
                while let Some((text, _)) = map.next_entry::<String, IgnoredAny>()? {
                    address = text;
                }
                Ok(Address(address))
            }
        }
        deserializer.deserialize_any(Form)
    }
}

/// One scalar, a sequence of them, or nothing.
struct Strings(Vec<String>);

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Strings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a sequence of texts")
            }

            fn visit_unit<E>(self) -> Result<Strings, E> {
                Ok(Strings(Vec::new()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Strings, E> {
                Ok(Strings(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Strings, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = seq.next_element()? {
                    texts.push(text);
                }
                Ok(Strings(texts))
            }
        }
        deserializer.deserialize_any(Form)
    }
}
