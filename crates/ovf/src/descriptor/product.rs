//! Products and the properties that an appliance asks for at deployment (DSP0243 section 9.5).

use std::fmt;

use serde::Serialize;

use super::Place;

/// One `ProductSection`: a piece of software and what it wants to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductSection {
    /// Class of its properties; empty if none.
    pub class: String,
    /// Instance of its properties; empty if none.
    pub instance: String,
    /// What the section is about.
    pub info: Option<String>,
    /// The product's name.
    pub product: Option<String>,
    /// Who makes it.
    pub vendor: Option<String>,
    /// Short version, for comparison.
    pub version: Option<String>,
    /// Version for people.
    pub full_version: Option<String>,
    /// Page about the product.
    pub product_url: Option<String>,
    /// Page of the vendor.
    pub vendor_url: Option<String>,
    /// Where the deployed software can be reached; may hold `${property}`.
    pub app_url: Option<String>,
    /// The properties in the descriptor's order.
    pub properties: Vec<Property>,
    /// Where the section is.
    pub place: Place,
}

/// One `Property`.
///
/// The standard forbids `.` and `:` in key, class and instance, and real appliances have them: a
/// qualified key cannot be taken apart again, so compare [`Property::qualified`] as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Property {
    /// The key as declared.
    pub key: String,
    /// Class of its product section; empty if none.
    pub class: String,
    /// Instance of its product section; empty if none.
    pub instance: String,
    /// The type, understood.
    pub kind: PropertyType,
    /// The type as declared; empty if it is missing.
    pub type_name: String,
    /// `ovf:qualifiers` as declared: `MinLen(1) ValueMap{"a","b"}`.
    pub qualifiers: Option<String>,
    /// `vmw:qualifiers` as declared: `Ip("Network 1")`.
    pub vendor_qualifiers: Option<String>,
    /// Whether whoever deploys may set it. The others are still told to the guest, with their defaults.
    pub user_configurable: bool,
    /// Whether it is a secret: by `ovf:password`, VMware's `isPassword`, or the type `password`.
    pub password: bool,
    /// Whether an attribute `required="true"` is on it. No standard has it, some producers write
    /// it; usually `MinLen` in [`Self::qualifiers`] says that a value must be given.
    pub required: bool,
    /// Default: the attribute `ovf:value`.
    pub value: Option<String>,
    /// The `Value` children: defaults for deployment configurations.
    pub values: Vec<ConfigurationValue>,
    /// Deployment configurations in which the property exists at all (`ovf:configuration`); empty for all.
    pub configurations: Vec<String>,
    /// Name for people.
    pub label: Option<String>,
    /// Explanation for people.
    pub description: Option<String>,
    /// The `Category` before it in its section.
    pub category: Option<String>,
    /// Where it is.
    pub place: Place,
}

/// A default of a property in one deployment configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigurationValue {
    /// The configuration; without one the value is for those that no other `Value` is for.
    pub configuration: Option<String>,
    /// The value.
    pub value: String,
}

impl Property {
    /// The key as the OVF environment has it: `class.key.instance` without what is empty.
    #[must_use]
    pub fn qualified(&self) -> String {
        let mut parts = vec![self.key.as_str()];
        if !self.class.is_empty() {
            parts.insert(0, &self.class);
        }
        if !self.instance.is_empty() {
            parts.push(&self.instance);
        }
        parts.join(".")
    }

    /// Whether the property exists in this deployment configuration (none: the appliance has none).
    #[must_use]
    pub fn applies(&self, configuration: Option<&str>) -> bool {
        self.configurations.is_empty()
            || configuration.is_some_and(|id| self.configurations.iter().any(|one| one == id))
    }

    /// The default in this deployment configuration: its own `Value`, else the `Value` for any, else
    /// `ovf:value`.
    #[must_use]
    pub fn default_value(&self, configuration: Option<&str>) -> Option<&str> {
        let of = |wanted: Option<&str>| {
            let found = self
                .values
                .iter()
                .find(|one| one.configuration.as_deref() == wanted);
            found.map(|one| one.value.as_str())
        };
        configuration
            .and_then(|id| of(Some(id)))
            .or_else(|| of(None))
            .or(self.value.as_deref())
    }
}

/// The type of a property: those of DSP0243 table 6, what is found beside them, and VMware's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PropertyType {
    /// Any text.
    #[default]
    String,
    /// `true` or `false`.
    Boolean,
    /// An integer in these bounds: `uint8` to `sint64`, `int` (32 bits), VMware's `int(1..5)`.
    Integer {
        /// Least value.
        min: i128,
        /// Greatest value.
        max: i128,
    },
    /// A floating point number of 32 or 64 bits.
    Real {
        /// 32 or 64.
        bits: u8,
    },
    /// VMware's `password`: a secret text.
    Password,
    /// VMware's `ip` or `ip:NETWORK`: an address, on this network.
    Ip {
        /// Name of the network.
        network: Option<String>,
    },
    /// VMware's `expression`: a text whose macros are evaluated.
    Expression,
    /// VMware's `string["a","b"]`: one of these.
    Choice(Vec<String>),
    /// None of these; treated as a text after a warning.
    Unknown,
}

impl PropertyType {
    /// Understands a type as declared, without regard to case.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        let name = name.trim();
        let lower = name.to_ascii_lowercase();
        let unsigned = |bits: u32| Self::Integer {
            min: 0,
            max: (1_i128 << bits) - 1,
        };
        let signed = |bits: u32| Self::Integer {
            min: -(1_i128 << (bits - 1)),
            max: (1_i128 << (bits - 1)) - 1,
        };
        match lower.as_str() {
            "string" => Self::String,
            "boolean" | "bool" => Self::Boolean,
            "uint8" => unsigned(8),
            "uint16" => unsigned(16),
            "uint32" => unsigned(32),
            "uint64" => unsigned(64),
            "sint8" => signed(8),
            "sint16" => signed(16),
            "sint32" | "int" | "integer" => signed(32),
            "sint64" => signed(64),
            "real32" => Self::Real { bits: 32 },
            "real64" | "real" => Self::Real { bits: 64 },
            "password" => Self::Password,
            "ip" => Self::Ip { network: None },
            "expression" => Self::Expression,
            _ => Self::vendor(name, &lower).unwrap_or(Self::Unknown),
        }
    }

    /// The types that take arguments.
    fn vendor(name: &str, lower: &str) -> Option<Self> {
        if lower.starts_with("ip:") {
            return Some(Self::Ip {
                network: name.get(3..).map(|network| network.trim().to_owned()),
            });
        }
        if let Some(bounds) = lower.strip_prefix("int(") {
            let (min, max) = bounds.strip_suffix(')')?.split_once("..")?;
            return Some(Self::Integer {
                min: min.trim().parse().ok()?,
                max: max.trim().parse().ok()?,
            });
        }
        lower.strip_prefix("string[")?;
        let list = name.get(7..)?.strip_suffix(']')?;
        Some(Self::Choice(quoted_items(list)))
    }
}

/// The quoted texts of a list; a backslash makes the next character literal.
fn quoted_items(list: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut open: Option<String> = None;
    let mut characters = list.chars();
    while let Some(character) = characters.next() {
        match (&mut open, character) {
            (None, '"') => open = Some(String::new()),
            (None, _) => {}
            (Some(_), '"') => items.extend(open.take()),
            (Some(item), '\\') => item.extend(characters.next()),
            (Some(item), other) => item.push(other),
        }
    }
    items
}

impl fmt::Display for PropertyType {
    /// A word for people and for JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String | Self::Unknown => f.write_str("string"),
            Self::Boolean => f.write_str("boolean"),
            Self::Integer { min, max } => write!(f, "integer {min} to {max}"),
            Self::Real { bits } => write!(f, "real{bits}"),
            Self::Password => f.write_str("password"),
            Self::Ip { network: None } => f.write_str("ip"),
            Self::Ip {
                network: Some(network),
            } => write!(f, "ip:{network}"),
            Self::Expression => f.write_str("expression"),
            Self::Choice(items) => write!(f, "one of {}", items.join(", ")),
        }
    }
}

impl Serialize for PropertyType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualified_keys_leave_out_what_is_empty() {
        for (class, instance, qualified) in [
            ("", "", "key"),
            ("com.cisco.csr1000v", "1", "com.cisco.csr1000v.key.1"),
            ("vami", "", "vami.key"),
            ("", "Zimbra_6.0", "key.Zimbra_6.0"),
        ] {
            let property = Property {
                key: "key".to_owned(),
                class: class.to_owned(),
                instance: instance.to_owned(),
                ..Property::default()
            };
            assert_eq!(property.qualified(), qualified);
        }
    }

    #[test]
    fn types_as_they_are_declared() {
        let integer = |min, max| PropertyType::Integer { min, max };
        for (name, kind) in [
            ("String", PropertyType::String),
            ("boolean", PropertyType::Boolean),
            ("uint8", integer(0, 255)),
            ("sint64", integer(i64::MIN.into(), i64::MAX.into())),
            ("uint64", integer(0, u64::MAX.into())),
            ("int(1..5)", integer(1, 5)),
            ("int(-5..-1)", integer(-5, -1)),
            ("int(1)", PropertyType::Unknown),
            (
                "ip:VM Network",
                PropertyType::Ip {
                    network: Some("VM Network".to_owned()),
                },
            ),
            (
                r#"string["a, b", "say \"x\""]"#,
                PropertyType::Choice(vec!["a, b".to_owned(), "say \"x\"".to_owned()]),
            ),
            ("nosuchtype", PropertyType::Unknown),
            ("", PropertyType::Unknown),
        ] {
            assert_eq!(PropertyType::parse(name), kind, "{name}");
        }
    }

    #[test]
    fn defaults_of_configurations() {
        let value = |configuration: Option<&str>, value: &str| ConfigurationValue {
            configuration: configuration.map(str::to_owned),
            value: value.to_owned(),
        };
        let mut property = Property {
            value: Some("attribute".to_owned()),
            values: vec![value(Some("small"), "s")],
            ..Property::default()
        };
        assert_eq!(property.default_value(Some("small")), Some("s"));
        assert_eq!(property.default_value(Some("large")), Some("attribute"));
        property.values.push(value(None, "any"));
        assert_eq!(property.default_value(Some("large")), Some("any"));
        assert_eq!(property.default_value(None), Some("any"));
        property.configurations = vec!["small".to_owned()];
        assert!(property.applies(Some("small")));
        assert!(!property.applies(Some("large")) && !property.applies(None));
    }
}
