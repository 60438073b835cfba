//! Whether a value is what a property takes.

use std::net::{IpAddr, Ipv4Addr};

use super::distance::nearest;
use super::rules::{Kind, MAX_VALUE, Number, Role, Rules};

/// Which rule a value breaks. The text has the value only if it is no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// A word for programs, such as `prop.type`.
    pub code: &'static str,
    /// The rule, and what is there instead.
    pub rule: String,
}

/// Values are shown up to so many characters.
const SHOWN: usize = 60;

impl Rules {
    /// Checks a value and gives it as the environment has it: numbers and truth values without blanks
    /// around them, truth values as `True` and `False`.
    ///
    /// # Errors
    /// All rules that it breaks.
    pub fn check(&self, value: &str) -> Result<String, Vec<Broken>> {
        let mut broken = Vec::new();
        let mut fail = |code, rule: String| broken.push(Broken { code, rule });
        if value.len() > MAX_VALUE {
            let len = value.len();
            fail(
                "prop.too-long",
                format!("a value has at most {MAX_VALUE} bytes, and this one {len}"),
            );
            return Err(broken);
        }
        if let Some(character) = value.chars().find(|character| !is_xml(*character)) {
            let code = u32::from(character);
            fail(
                "prop.control",
                format!(
                    "the character U+{code:04X} cannot be written in XML; encode the value (base64)"
                ),
            );
        }
        let shown = self.shown(value);
        let mut normal = value.to_owned();
        match self.kind {
            Kind::Text => {}
            Kind::Boolean => match boolean(value.trim()) {
                Some(truth) => truth.clone_into(&mut normal),
                None => fail("prop.boolean", format!("{shown} is neither True nor False")),
            },
            Kind::Integer { min, max } => {
                value.trim().clone_into(&mut normal);
                match normal.parse::<i128>() {
                    Err(_) => fail("prop.type", format!("{shown} is no integer")),
                    Ok(number)
                        if number < min
                            || number > max
                            || self.outside(Number::Integer(number)) =>
                    {
                        fail("prop.range", format!("{shown} is out of range"));
                    }
                    Ok(_) => {}
                }
            }
            Kind::Real { bits } => {
                value.trim().clone_into(&mut normal);
                match real(&normal, bits) {
                    None => fail("prop.type", format!("{shown} is no number of {bits} bits")),
                    Some(number) if self.outside(Number::Real(number)) => {
                        fail("prop.range", format!("{shown} is out of range"));
                    }
                    Some(_) => {}
                }
            }
        }
        if let Some(network) = self.network.as_ref().filter(|_| !value.trim().is_empty()) {
            value.trim().clone_into(&mut normal);
            if let Some(what) = not_of_role(network.role, &normal) {
                fail("prop.ip", format!("{shown} is no {what}"));
            }
        }
        let len = normal.chars().count() as u64;
        // Of a secret even its length is nobody's business.
        let has = match self.secret {
            true => String::new(),
            false => format!(" and has {len}"),
        };
        if let Some(min) = self.min_len.filter(|min| len < *min) {
            fail(
                "prop.minlen",
                format!("it needs at least {min} characters{has}"),
            );
        }
        if let Some(max) = self.max_len.filter(|max| len > *max) {
            fail(
                "prop.maxlen",
                format!("it may have at most {max} characters{has}"),
            );
        }
        if let Some(choices) = &self.choices {
            // The descriptor's own spelling: `true` in the list, `True` in the value.
            let same = |choice: &&String| match self.kind {
                Kind::Boolean => choice.trim().eq_ignore_ascii_case(&normal),
                Kind::Text => **choice == normal,
                Kind::Integer { .. } | Kind::Real { .. } => {
                    let number = Number::parse(choice);
                    number.is_some() && number == Number::parse(&normal)
                }
            };
            if !choices.iter().any(|choice| same(&choice)) {
                let near = match self.secret {
                    true => None,
                    false => nearest(&normal, choices.iter().map(String::as_str)),
                };
                let near = near.map(|choice| format!(" (did you mean {choice}?)"));
                let near = near.unwrap_or_default();
                fail(
                    "prop.valuemap",
                    format!("{shown} is not in the list of values{near}"),
                );
            }
        }
        if broken.is_empty() {
            Ok(normal)
        } else {
            Err(broken)
        }
    }

    /// The value for a message: cut, and not at all if it is a secret.
    pub(crate) fn shown(&self, value: &str) -> String {
        if self.secret {
            return "the value".to_owned();
        }
        let mut shown: String = value.chars().take(SHOWN).collect();
        if shown.len() < value.len() {
            shown.push_str("...");
        }
        format!("{shown:?}")
    }

    fn outside(&self, number: Number) -> bool {
        let less = |one: Number, other: Number| match (one, other) {
            (Number::Integer(one), Number::Integer(other)) => one < other,
            _ => one.as_f64() < other.as_f64(),
        };
        self.min_value.is_some_and(|min| less(number, min))
            || self.max_value.is_some_and(|max| less(max, number))
    }
}

/// XML 1.0, production 2.
fn is_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

fn boolean(text: &str) -> Option<&'static str> {
    if text.eq_ignore_ascii_case("true") {
        Some("True")
    } else if text.eq_ignore_ascii_case("false") {
        Some("False")
    } else {
        None
    }
}

fn real(text: &str, bits: u8) -> Option<f64> {
    // Rust reads words for infinity and NaN, CIM does not.
    let plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let number: f64 = text.bytes().all(plain).then(|| text.parse().ok())??;
    let fits = bits != 32 || number.abs() <= f64::from(f32::MAX);
    (number.is_finite() && fits).then_some(number)
}

/// What the value should be and is not.
fn not_of_role(role: Role, value: &str) -> Option<&'static str> {
    let list = |is: fn(&str) -> bool| {
        value
            .split([',', ' ', ';'])
            .filter(|part| !part.is_empty())
            .all(is)
    };
    let (fits, what) = match role {
        Role::Ip | Role::AutoIp | Role::VimIp | Role::Gateway | Role::Subnet => {
            (is_address(value), "IP address")
        }
        Role::Netmask => (is_netmask(value), "netmask"),
        Role::Dns => (list(is_address), "list of IP addresses"),
        Role::DomainName => (is_domain(value), "domain name"),
        Role::SearchPath => (list(is_domain), "list of domain names"),
        Role::HostPrefix | Role::HttpProxy | Role::Net => (true, ""),
    };
    (!fits).then_some(what)
}

/// An address, which vSphere also takes with the length of its prefix.
fn is_address(text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| is_prefix(prefix, bits))
}

fn is_prefix(text: &str, bits: u8) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && text.parse::<u8>().is_ok_and(|length| length <= bits)
}

fn is_netmask(text: &str) -> bool {
    if is_prefix(text, 128) {
        return true;
    }
    text.parse::<Ipv4Addr>().is_ok_and(|mask| {
        let bits = u32::from(mask);
        bits.leading_ones() + bits.trailing_zeros() >= 32
    })
}

/// RFC 1123, and the underscore that is found.
fn is_domain(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    (1..=253).contains(&text.len())
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        })
}

#[cfg(test)]
mod tests {
    use super::super::rules::tests::rules;

    fn codes(kind: &str, qualifiers: &str, value: &str) -> Result<String, Vec<&'static str>> {
        let result = rules(kind, qualifiers).check(value);
        result.map_err(|broken| broken.iter().map(|one| one.code).collect())
    }

    #[test]
    fn values_that_fit() {
        for (kind, qualifiers, value, normal) in [
            ("string", "", "", ""),
            ("string", "", " kept ", " kept "),
            ("boolean", "", "true", "True"),
            ("Boolean", "", " FALSE ", "False"),
            ("boolean", r#"ValueMap{"true"}"#, "TRUE", "True"),
            ("uint8", "", "255", "255"),
            ("sint8", "", "-128", "-128"),
            ("uint64", "", "18446744073709551615", "18446744073709551615"),
            ("int", "MinValue(1)", " 1\n", "1"),
            ("int", "ValueMap{1, 2}", "02", "02"),
            ("real32", "", "1.5e3", "1.5e3"),
            ("real", "MinValue(0),MaxValue(1)", "0.5", "0.5"),
            ("ip", "", "", ""),
            ("ip", "", "2001:db8::1", "2001:db8::1"),
            ("string", "Ip('Network 1')", "192.0.2.1", "192.0.2.1"),
            ("string", "Ip(\"N\")", "192.0.2.1/24", "192.0.2.1/24"),
            ("string", "Netmask", "255.255.254.0", "255.255.254.0"),
            ("string", "Netmask", "24", "24"),
            (
                "string",
                "Dns",
                "192.0.2.1, 192.0.2.2",
                "192.0.2.1, 192.0.2.2",
            ),
            (
                "string",
                "SearchPath",
                "a.example b.example",
                "a.example b.example",
            ),
            ("string(2..3)", "", "\u{fc}\u{fc}", "\u{fc}\u{fc}"),
            (r#"string["a","b"]"#, "", "b", "b"),
        ] {
            let result = codes(kind, qualifiers, value);
            assert_eq!(result.as_deref(), Ok(normal), "{kind} {qualifiers} {value}");
        }
    }

    #[test]
    fn values_that_do_not() {
        let long = "x".repeat(65536);
        for (kind, qualifiers, value, expected) in [
            ("boolean", "", "yes", &["prop.boolean"][..]),
            ("boolean", "", "1", &["prop.boolean"]),
            ("boolean", "", "", &["prop.boolean"]),
            ("uint8", "", "256", &["prop.range"]),
            ("uint8", "", "-1", &["prop.range"]),
            ("uint64", "", "18446744073709551616", &["prop.range"]),
            ("int", "", "1.5", &["prop.type"]),
            ("int", "", "0x10", &["prop.type"]),
            ("int", "", "", &["prop.type"]),
            ("int", "MaxValue(10)", "11", &["prop.range"]),
            ("int", "MinValue(1.5)", "1", &["prop.range"]),
            ("int(1..5)", "", "6", &["prop.range"]),
            ("real", "", "inf", &["prop.type"]),
            ("real", "", "NaN", &["prop.type"]),
            ("real32", "", "1e39", &["prop.type"]),
            ("real(-1.5..1.5)", "", "1.6", &["prop.range"]),
            ("string", "MinLen(3)", "ab", &["prop.minlen"]),
            ("string", "MaxLen(3)", "abcd", &["prop.maxlen"]),
            (
                "string",
                r#"ValueMap{"a"} MinLen(2)"#,
                "b",
                &["prop.minlen", "prop.valuemap"],
            ),
            ("int", "ValueMap{1,2}", "3", &["prop.valuemap"]),
            ("ip", "", "192.0.2.256", &["prop.ip"]),
            ("ip", "", "192.0.2.1/33", &["prop.ip"]),
            ("string", "Netmask", "255.0.255.0", &["prop.ip"]),
            ("string", "Gateway('x')", "gateway", &["prop.ip"]),
            ("string", "Dns", "192.0.2.1,x", &["prop.ip"]),
            ("string", "DomainName", "-a.example", &["prop.ip"]),
            ("string", "", "a\0b", &["prop.control"]),
            ("string", "", "\u{ffff}", &["prop.control"]),
            ("string", "", &long, &["prop.too-long"]),
        ] {
            let result = codes(kind, qualifiers, value);
            assert_eq!(result, Err(expected.to_vec()), "{kind} {qualifiers}");
        }
    }

    #[test]
    fn secrets_are_not_told() {
        let mut rules = rules("string", r#"MinLen(30) Netmask ValueMap{"hunter22"}"#);
        rules.secret = true;
        let broken = rules.check("hunter2").unwrap_err();
        assert_eq!(broken.len(), 3);
        let told = format!("{broken:?}");
        assert!(
            !told.contains("hunter") && !told.contains("has 7"),
            "{told}"
        );
    }
}
