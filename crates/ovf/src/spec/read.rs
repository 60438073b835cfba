//! Reading answers. No message repeats a value: it may be a secret.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::{Table, Value as Toml};

use crate::properties::{Answer, Answers, IpAllocation, NetworkSettings, Origin};

/// Longest file of answers in bytes.
const MAX_SIZE: usize = 4 << 20;

/// Why answers cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file is too long.
    #[error("it has {0} bytes, more than the limit of {MAX_SIZE}")]
    TooLong(usize),
    /// No TOML or JSON.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// Something is of another kind.
    #[error("{place} must be {expected}")]
    Type {
        /// Where.
        place: String,
        /// What it must be.
        expected: &'static str,
    },
    /// There is no such thing.
    #[error("there is no {place:?} in a file of answers; {known}")]
    Unknown {
        /// Its name.
        place: String,
        /// What there is.
        known: &'static str,
    },
}

/// Reads either form, told apart by the first character.
///
/// # Errors
/// If it is neither, or says something that is not understood.
pub fn read(text: &str) -> Result<Answers, ReadError> {
    if text.len() > MAX_SIZE {
        return Err(ReadError::TooLong(text.len()));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        json(text)
    } else {
        toml(text)
    }
}

fn toml(text: &str) -> Result<Answers, ReadError> {
    let table: Table = toml::from_str(text).map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        ReadError::Syntax {
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|one| *one != '\n').count() + 1,
            // What the parser expected; the text itself is in another part of the error.
            message: format!("no TOML: {}", error.message()),
        }
    })?;
    let mut answers = Answers::default();
    for (name, value) in table {
        match name.as_str() {
            "configuration" => {
                let id = value.as_str().ok_or(type_error(&name, "a text"))?;
                answers.configuration = Some(id.to_owned());
            }
            "ip_allocation" => {
                let known = value.clone().try_into::<IpAllocation>();
                let known = known.map_err(|_| type_error(&name, "\"fixed\" or \"dhcp\""))?;
                answers.ip_allocation = Some(known);
            }
            "properties" => answers.properties = scalars(&name, value)?,
            "extra" => answers.extra = scalars(&name, value)?,
            "systems" => {
                let systems = table_of(&name, value)?;
                for (id, value) in systems {
                    let place = format!("systems.{id:?}");
                    answers.systems.insert(id, scalars(&place, value)?);
                }
            }
            "networks" => {
                for (id, value) in table_of(&name, value)? {
                    let place = format!("networks.{id:?}");
                    let settings = value.try_into::<NetworkSettings>();
                    let settings = settings.map_err(|_| {
                        type_error(
                            &place,
                            "a table of name, addresses, subnet, netmask, gateway, dns, domain, \
                             search_path, host_prefix and http_proxy; addresses, dns and search_path are \
                             lists",
                        )
                    })?;
                    answers.networks.insert(id, settings);
                }
            }
            _ => {
                return Err(ReadError::Unknown {
                    place: name,
                    known: "known are configuration, ip_allocation, [properties], [systems.ID], \
                            [networks.NAME] and [extra]",
                });
            }
        }
    }
    Ok(answers)
}

fn type_error(place: &str, expected: &'static str) -> ReadError {
    ReadError::Type {
        place: place.to_owned(),
        expected,
    }
}

fn table_of(place: &str, value: Toml) -> Result<Table, ReadError> {
    match value {
        Toml::Table(table) => Ok(table),
        _ => Err(type_error(place, "a table")),
    }
}

fn answer(value: String) -> Answer {
    Answer {
        value,
        origin: Origin::Private,
    }
}

/// Values by key. A key without quotes (`vami.ip0 = "..."`) is a path of tables to TOML and one key here.
fn scalars(place: &str, value: Toml) -> Result<BTreeMap<String, Answer>, ReadError> {
    let mut answers = BTreeMap::new();
    let mut pending = vec![(String::new(), table_of(place, value)?)];
    while let Some((prefix, table)) = pending.pop() {
        for (key, value) in table {
            let key = match prefix.as_str() {
                "" => key,
                prefix => format!("{prefix}.{key}"),
            };
            let text = match value {
                Toml::String(text) => text,
                Toml::Integer(number) => number.to_string(),
                // With a point even for a whole number.
                Toml::Float(number) => format!("{number:?}"),
                Toml::Boolean(truth) => truth.to_string(),
                Toml::Datetime(time) => time.to_string(),
                Toml::Table(table) => {
                    pending.push((key, table));
                    continue;
                }
                Toml::Array(_) => {
                    let place = format!("{place}: {key}");
                    return Err(type_error(&place, "a text, a number, true or false"));
                }
            };
            answers.insert(key, answer(text));
        }
    }
    Ok(answers)
}

fn json(text: &str) -> Result<Answers, ReadError> {
    let document: Json = serde_json::from_str(text).map_err(|error| ReadError::Syntax {
        line: error.line(),
        column: error.column(),
        message: "no JSON".to_owned(),
    })?;
    let mut answers = Answers::default();
    // govc reads names without regard to case.
    let member = |object: &Json, wanted: &str| -> Option<Json> {
        let mut members = object.as_object()?.iter();
        let found = members
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))?
            .1;
        (!found.is_null()).then(|| found.clone())
    };
    let text_of = |object: &Json, wanted: &str, place: &str| match member(object, wanted) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(Json::Bool(truth)) => Ok(Some(truth.to_string())),
        Some(Json::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(type_error(place, "a text")),
    };
    let list = |wanted: &str| match member(&document, wanted) {
        None => Ok(Vec::new()),
        Some(Json::Array(list)) => Ok(list),
        Some(_) => Err(type_error(wanted, "a list")),
    };
    let chosen = text_of(&document, "Deployment", "Deployment")?;
    answers.configuration = chosen.filter(|id| !id.is_empty());
    let policy = text_of(&document, "IPAllocationPolicy", "IPAllocationPolicy")?;
    answers.ip_allocation = policy.map(|policy| match policy.as_str() {
        "dhcpPolicy" => IpAllocation::Dhcp,
        _ => IpAllocation::Fixed,
    });
    for (index, one) in list("PropertyMapping")?.iter().enumerate() {
        let place = format!("PropertyMapping[{index}]");
        let key = text_of(one, "Key", &place)?.ok_or(type_error(&place, "an object with a Key"))?;
        let value = text_of(one, "Value", &place)?.unwrap_or_default();
        answers.properties.insert(key, answer(value));
    }
    for (index, one) in list("NetworkMapping")?.iter().enumerate() {
        let place = format!("NetworkMapping[{index}]");
        let name = text_of(one, "Name", &place)?.unwrap_or_default();
        let network = text_of(one, "Network", &place)?.filter(|network| !network.is_empty());
        if network.is_some() {
            let settings = NetworkSettings {
                name: network,
                ..NetworkSettings::default()
            };
            answers.networks.insert(name, settings);
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(answers: &'a BTreeMap<String, Answer>, key: &str) -> Option<&'a str> {
        answers.get(key).map(|answer| answer.value.as_str())
    }

    #[test]
    fn toml_in_many_forms() {
        let answers = read(
            r#"
configuration = "small"
ip_allocation = "dhcp"
[properties]
guestinfo.hostname = "web1"
"guestinfo.size" = 5
ratio = 1.0
on = true
[systems."Web Tier"]
"a.b" = "c"
[extra]
"net.mgmt.addr" = "192.0.2.1/24"
[networks."VM Network"]
netmask = "255.255.255.0"
dns = ["192.0.2.1"]
"#,
        )
        .unwrap();
        assert_eq!(answers.configuration.as_deref(), Some("small"));
        assert_eq!(answers.ip_allocation, Some(IpAllocation::Dhcp));
        for (key, expected) in [
            ("guestinfo.hostname", "web1"),
            ("guestinfo.size", "5"),
            ("ratio", "1.0"),
            ("on", "true"),
        ] {
            assert_eq!(value(&answers.properties, key), Some(expected));
        }
        assert_eq!(value(&answers.systems["Web Tier"], "a.b"), Some("c"));
        assert_eq!(value(&answers.extra, "net.mgmt.addr"), Some("192.0.2.1/24"));
        assert_eq!(answers.networks["VM Network"].dns, ["192.0.2.1"]);
    }

    #[test]
    fn govcs_json() {
        let answers = read(
            r#"{"Deployment": "", "IPAllocationPolicy": "dhcpPolicy", "Name": null,
                "PropertyMapping": [{"Key": "a", "Value": "1"}, {"key": "b", "value": "2"}],
                "NetworkMapping": [{"Name": "VM Network", "Network": "lan"}, {"Name": "x", "Network": ""}]}"#,
        )
        .unwrap();
        assert_eq!(answers.configuration, None);
        assert_eq!(value(&answers.properties, "a"), Some("1"));
        assert_eq!(value(&answers.properties, "b"), Some("2"));
        assert_eq!(answers.networks["VM Network"].name.as_deref(), Some("lan"));
        assert_eq!(answers.networks.len(), 1);
    }

    #[test]
    fn errors_tell_the_place_and_no_secret() {
        for (text, expected) in [
            ("[properties]\npw = hunter2\n", "line 2, column 6: no TOML"),
            (
                "[properties]\npw = [\"hunter2\"]\n",
                "properties: pw must be a text",
            ),
            ("properties = \"hunter2\"\n", "properties must be a table"),
            ("[property]\npw = \"hunter2\"\n", "there is no \"property\""),
            (
                "ip_allocation = \"hunter2\"\n",
                "ip_allocation must be \"fixed\"",
            ),
            (
                "{\"PropertyMapping\": [{\"Key\": \"a\", \"Value\": hunter2}]}",
                "line 1, column ",
            ),
            (
                "{\"PropertyMapping\": {\"pw\": \"hunter2\"}}",
                "PropertyMapping must be a list",
            ),
            (
                "{\"PropertyMapping\": [\"hunter2\"]}",
                "PropertyMapping[0] must be",
            ),
        ] {
            let error = read(text).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(expected), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(
            read(&" ".repeat(MAX_SIZE + 1)).unwrap_err(),
            ReadError::TooLong(MAX_SIZE + 1)
        );
    }
}
