//! Hardware addresses of network interfaces.

use std::fmt;
use std::str::FromStr;

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = String;

    /// Six pairs of hexadecimal digits with `:` or `-` between them. Neither zero nor a group address.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("not an address of a network interface: {text}");
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(wrong)?;
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() || bytes == [0; 6] || bytes[0] & 1 == 1 {
            return Err(wrong());
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings() {
        let mac: Mac = "00:50:56:AA:bb:0c".parse().unwrap();
        assert_eq!(mac.to_string(), "00:50:56:aa:bb:0c");
        assert_eq!("00-50-56-aa-bb-0c".parse(), Ok(mac));
    }

    #[test]
    fn nothing_else() {
        for text in [
            "",
            "00:50:56:aa:bb",
            "00:50:56:aa:bb:cc:dd",
            "00:50:56:aa:bb:c",
            "00:50:56:aa:bb:+c",
            "00:50:56:aa:bb-cc",
            "005056aabbcc",
            "00:00:00:00:00:00",
            "01:00:5e:00:00:01",
            "ff:ff:ff:ff:ff:ff",
            "00:50:56:aa:bb:gé",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }
}
