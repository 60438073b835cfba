//! What a property takes: its type and qualifiers, understood.

use std::fmt::Write as _;

use super::qualifiers::{Qualifier, Qualifiers};
use crate::{Property, PropertyType};

/// Most bytes of a value that vSphere takes.
pub(crate) const MAX_VALUE: usize = 65535;
/// More choices are not listed in a message.
const LISTED: usize = 12;

/// What a property takes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// The kind of value.
    pub kind: Kind,
    /// Least number of characters.
    pub min_len: Option<u64>,
    /// Greatest number of characters.
    pub max_len: Option<u64>,
    /// Least number, as written and understood.
    pub min_value: Option<Number>,
    /// Greatest number.
    pub max_value: Option<Number>,
    /// The values that are allowed, if they are listed.
    pub choices: Option<Vec<String>>,
    /// Which part of a network's settings the value is.
    pub network: Option<NetworkRole>,
    /// Whether a value is needed even where an empty text is one.
    pub required: bool,
    /// Whether it is never shown.
    pub secret: bool,
    /// Whether its macros are evaluated even in an answer.
    pub expression: bool,
    /// Qualifiers and types that are not understood, as written.
    pub unknown: Vec<String>,
}

/// The kind of a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    #[default]
    Text,
    /// `True` or `False`.
    Boolean,
    /// An integer within these bounds.
    Integer {
        /// Least.
        min: i128,
        /// Greatest.
        max: i128,
    },
    /// A floating point number of so many bits.
    Real {
        /// 32 or 64.
        bits: u8,
    },
}

/// A number of a qualifier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole one.
    Integer(i128),
    /// Another one; finite.
    Real(f64),
}

impl Number {
    /// Reads a number in CIM's forms.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let integer = text.parse().ok().map(Self::Integer);
        integer.or_else(|| {
            let number: f64 = text.parse().ok()?;
            number.is_finite().then_some(Self::Real(number))
        })
    }

    /// As a floating point number.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a bound of a floating point number"
    )]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Integer(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Real(number) => write!(f, "{number}"),
        }
    }
}

/// VMware's qualifiers: the value is one of a network's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRole {
    /// Which setting.
    pub role: Role,
    /// Of which network; where none is named, of the only one.
    pub network: Option<String>,
}

/// One of a network's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An address on the network.
    Ip,
    /// An address that the platform chooses.
    AutoIp,
    /// Address at which the platform's management is reached.
    VimIp,
    /// Address of the network itself.
    Subnet,
    /// Its mask.
    Netmask,
    /// The gateway.
    Gateway,
    /// Name servers.
    Dns,
    /// A domain.
    DomainName,
    /// Domains.
    SearchPath,
    /// Prefix of host names.
    HostPrefix,
    /// A proxy.
    HttpProxy,
    /// The network's name.
    Net,
}

impl Role {
    /// By the name of the qualifier or macro, without regard to case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "ip" => Self::Ip,
            "autoip" => Self::AutoIp,
            "vimip" => Self::VimIp,
            "subnet" => Self::Subnet,
            "netmask" => Self::Netmask,
            "gateway" => Self::Gateway,
            "dns" => Self::Dns,
            "domainname" => Self::DomainName,
            "searchpath" => Self::SearchPath,
            "hostprefix" => Self::HostPrefix,
            "httpproxy" => Self::HttpProxy,
            "net" => Self::Net,
            _ => return None,
        })
    }
}

impl Rules {
    /// Of this property.
    #[must_use]
    pub fn of(property: &Property) -> Self {
        let mut rules = Self {
            secret: property.password,
            required: property.required,
            ..Self::default()
        };
        rules.typed(property);
        let texts = [&property.qualifiers, &property.vendor_qualifiers];
        for text in texts.into_iter().flatten() {
            let found = Qualifiers::parse(text);
            for qualifier in &found.list {
                if rules.qualify(qualifier).is_none() {
                    rules.unknown.push(qualifier.name.clone());
                }
            }
            rules.unknown.extend(found.rest);
        }
        rules
    }

    fn typed(&mut self, property: &Property) {
        match &property.kind {
            PropertyType::String => {}
            PropertyType::Boolean => self.kind = Kind::Boolean,
            PropertyType::Integer { min, max } => {
                self.kind = Kind::Integer {
                    min: *min,
                    max: *max,
                };
            }
            PropertyType::Real { bits } => self.kind = Kind::Real { bits: *bits },
            PropertyType::Password => self.secret = true,
            PropertyType::Ip { network } => {
                self.network = Some(NetworkRole {
                    role: Role::Ip,
                    network: network.clone().filter(|name| !name.is_empty()),
                });
            }
            PropertyType::Expression => self.expression = true,
            PropertyType::Choice(choices) => self.choices = Some(choices.clone()),
            PropertyType::Unknown => {
                if self.bounded(&property.type_name).is_none() && !property.type_name.is_empty() {
                    self.unknown.push(property.type_name.clone());
                }
            }
        }
    }

    /// vSphere's types with bounds: `string(1..64)`, `password(8..)`, `real(-1.5..1.5)`.
    fn bounded(&mut self, name: &str) -> Option<()> {
        let (kind, bounds) = name.trim().strip_suffix(')')?.split_once('(')?;
        let (min, max) = bounds.split_once("..")?;
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let (min, max) = (given(min), given(max));
        match kind.trim().to_ascii_lowercase().as_str() {
            word @ ("string" | "password") => {
                self.secret |= word == "password";
                self.min_len = min.map(|text| text.parse()).transpose().ok()?;
                self.max_len = max.map(|text| text.parse()).transpose().ok()?;
            }
            "real" => {
                self.kind = Kind::Real { bits: 64 };
                self.min_value = Some(Number::parse(&min?)?);
                self.max_value = Some(Number::parse(&max?)?);
            }
            _ => return None,
        }
        Some(())
    }

    fn qualify(&mut self, qualifier: &Qualifier) -> Option<()> {
        let first = qualifier.arguments.first();
        let length = || first?.trim().parse::<u64>().ok();
        let number = || Number::parse(first?);
        match qualifier.name.to_ascii_lowercase().as_str() {
            "minlen" | "minlength" => self.min_len = Some(length()?.max(self.min_len.unwrap_or(0))),
            "maxlen" | "maxlength" => {
                self.max_len = Some(length()?.min(self.max_len.unwrap_or(u64::MAX)));
            }
            "minvalue" => self.min_value = Some(number()?),
            "maxvalue" => self.max_value = Some(number()?),
            "valuemap" | "values" => self.choices = Some(qualifier.arguments.clone()),
            "required" => self.required = true,
            "password" => self.secret = true,
            name => {
                self.network = Some(NetworkRole {
                    role: Role::parse(name)?,
                    network: first.cloned().filter(|name| !name.is_empty()),
                });
            }
        }
        Some(())
    }

    /// Whether an empty value is one that the property takes.
    #[must_use]
    pub fn takes_empty(&self) -> bool {
        let listed = self
            .choices
            .as_ref()
            .is_none_or(|choices| choices.iter().any(String::is_empty));
        let short = self.min_len.is_none_or(|min| min == 0);
        listed && short && !self.required && self.kind == Kind::Text
    }

    /// What is allowed, in words.
    #[must_use]
    pub fn allowed(&self) -> String {
        let mut text = match self.kind {
            Kind::Text if self.choices.is_some() => String::new(),
            Kind::Text => match &self.network {
                Some(network) => network.allowed().to_owned(),
                None => "text".to_owned(),
            },
            Kind::Boolean => "True or False".to_owned(),
            Kind::Integer { min, max } => {
                let bound =
                    |number: Option<Number>, own: i128, inner: fn(i128, i128) -> i128| match number
                    {
                        Some(Number::Integer(number)) => inner(number, own),
                        _ => own,
                    };
                let min = bound(self.min_value, min, i128::max);
                let max = bound(self.max_value, max, i128::min);
                format!("an integer from {min} to {max}")
            }
            Kind::Real { .. } => {
                let mut text = "a number".to_owned();
                let _ = match (self.min_value, self.max_value) {
                    (Some(min), Some(max)) => write!(text, " from {min} to {max}"),
                    (Some(min), None) => write!(text, " from {min}"),
                    (None, Some(max)) => write!(text, " up to {max}"),
                    (None, None) => Ok(()),
                };
                text
            }
        };
        if let Some(choices) = &self.choices {
            if !text.is_empty() {
                text.push_str(", ");
            }
            let listed: Vec<String> = choices
                .iter()
                .take(LISTED)
                .map(|choice| match choice.as_str() {
                    "" => "nothing".to_owned(),
                    _ if choice.contains([',', ' ']) => format!("{choice:?}"),
                    _ => choice.clone(),
                })
                .collect();
            let _ = write!(text, "one of {}", listed.join(", "));
            if choices.len() > LISTED {
                let _ = write!(text, " and {} more", choices.len() - LISTED);
            }
        }
        let _ = match (self.min_len.filter(|min| *min > 0), self.max_len) {
            (Some(min), Some(max)) => write!(text, ", {min} to {max} characters"),
            (Some(1), None) => write!(text, ", not empty"),
            (Some(min), None) => write!(text, ", at least {min} characters"),
            (None, Some(max)) => write!(text, ", at most {max} characters"),
            (None, None) => Ok(()),
        };
        text
    }
}

impl NetworkRole {
    fn allowed(&self) -> &'static str {
        match self.role {
            Role::Ip | Role::AutoIp => "an IP address, or nothing for DHCP",
            Role::VimIp | Role::Gateway => "an IP address",
            Role::Subnet => "the address of a network",
            Role::Netmask => "a netmask such as 255.255.255.0, or the length of a prefix",
            Role::Dns => "IP addresses, separated by commas or spaces",
            Role::DomainName => "a domain name",
            Role::SearchPath => "domain names, separated by commas or spaces",
            Role::HostPrefix => "the beginning of a host name",
            Role::HttpProxy => "HOST:PORT of a proxy",
            Role::Net => "the name of a network",
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Rules of a property with this type and these qualifiers.
    pub(crate) fn rules(type_name: &str, qualifiers: &str) -> Rules {
        Rules::of(&Property {
            kind: PropertyType::parse(type_name),
            type_name: type_name.to_owned(),
            qualifiers: Some(qualifiers.to_owned()),
            ..Property::default()
        })
    }

    #[test]
    fn what_is_allowed_in_words() {
        for (kind, qualifiers, allowed) in [
            ("string", "", "text"),
            ("string", "MinLen(1)", "text, not empty"),
            (
                "string",
                "MinLength(2) MaxLength(5)",
                "text, 2 to 5 characters",
            ),
            ("string(..8)", "", "text, at most 8 characters"),
            (
                "string",
                r#"ValueMap{"a","b c",""}"#,
                "one of a, \"b c\", nothing",
            ),
            (
                "int",
                "MinValue(1),MaxValue(65535)",
                "an integer from 1 to 65535",
            ),
            ("uint8", "MinValue(-4)", "an integer from 0 to 255"),
            (
                "int",
                "ValueMap{1,2}",
                "an integer from -2147483648 to 2147483647, one of 1, 2",
            ),
            (
                "real",
                "MinValue(0) MaxValue(1.5)",
                "a number from 0 to 1.5",
            ),
            ("boolean", "", "True or False"),
            ("ip:Net 1", "", "an IP address, or nothing for DHCP"),
        ] {
            assert_eq!(
                rules(kind, qualifiers).allowed(),
                allowed,
                "{kind} {qualifiers}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_kept_for_a_warning() {
        let rules = rules("nosuchtype", "MinLen(x), Colour(red), MaxLen(3");
        assert_eq!(
            rules.unknown,
            ["nosuchtype", "MinLen", "Colour", "MaxLen(3"]
        );
        assert_eq!((rules.min_len, rules.max_len), (None, None));
    }

    #[test]
    fn empty_values() {
        for (kind, qualifiers, takes) in [
            ("string", "", true),
            ("string", "MinLen(0)", true),
            ("string", "MinLen(1)", false),
            ("string", "required", false),
            ("string", r#"ValueMap{"a"}"#, false),
            ("string", r#"ValueMap{"a",""}"#, true),
            ("int", "", false),
            ("boolean", "", false),
            ("ip", "", true),
        ] {
            assert_eq!(
                rules(kind, qualifiers).takes_empty(),
                takes,
                "{kind} {qualifiers}"
            );
        }
    }
}
