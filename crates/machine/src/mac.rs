//! Ethernet hardware addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An EUI-48 hardware address. Compares and prints the same however it was written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

/// The text is not six pairs of hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a MAC address (six pairs of hexadecimal digits, such as 00:50:56:aa:bb:01)")]
pub struct ParseMacError(String);

impl FromStr for Mac {
    type Err = ParseMacError;

    /// Accepts what guests and hypervisors write: `:` or `-` between the pairs, either case,
    /// and single digits (`0:c:29:1:2:3`) as the Solaris-derived tools print them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseMacError(text.to_owned());
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut octets = [0u8; 6];
        let mut parts = text.trim().split(separator);
        for octet in &mut octets {
            let part = parts.next().ok_or_else(error)?;
            if part.is_empty() || part.len() > 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(error());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| error())?;
        }
        if parts.next().is_some() {
            return Err(error());
        }
        Ok(Self(octets))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writings_of_one_address_are_equal() {
        let mac: Mac = "00:50:56:aa:bb:01".parse().unwrap();
        for text in [
            "00:50:56:AA:BB:01",
            "00-50-56-aa-bb-01",
            "0:50:56:aa:bb:1",
            " 00:50:56:aa:bb:01 ",
        ] {
            assert_eq!(text.parse::<Mac>().unwrap(), mac, "{text}");
        }
        assert_eq!(mac.to_string(), "00:50:56:aa:bb:01");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "00:50:56:aa:bb",
            "00:50:56:aa:bb:01:02",
            "00:50:56:aa:bb:0x",
            "+0:50:56:aa:bb:01",
            "005056aabb01",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }
}
