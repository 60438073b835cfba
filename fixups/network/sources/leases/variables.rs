//! Leases that are kept as assignments, one a line.

use super::{Entry, mac_of_client_text};
use crate::network::sources::values;

/// NetworkManager's own client: `ADDRESS=`; versions before 1.22, whose client was systemd's, also
/// have `CLIENTID=` (`lease_save` in its `nm-dhcp-nettools.c`, `dhcp_lease_save` in systemd's
/// `sd-dhcp-lease.c`).
pub(super) fn internal(text: &str) -> Result<Entry, &'static str> {
    let address = value(text, "ADDRESS").and_then(values::address);
    Ok(Entry {
        name: None,
        address: address.ok_or("not used: it has no ADDRESS=")?,
        mac: value(text, "CLIENTID").and_then(mac_of_client_text),
        obtained: None,
    })
}

/// `dhcpcd-INTERFACE.info` of dhcpcd 3, the client of SLES 11: shell variables.
pub(super) fn info(text: &str) -> Result<Entry, &'static str> {
    let address = value(text, "IPADDR").and_then(values::address);
    Ok(Entry {
        name: value(text, "INTERFACE").map(str::to_owned),
        address: address.ok_or("not used: it has no IPADDR=")?,
        mac: value(text, "CLIENTID").and_then(mac_of_client_text),
        obtained: value(text, "LEASEDFROM").and_then(|time| time.parse().ok()),
    })
}

/// The last value of `key`, without quotes.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let mut lines = text.lines().rev();
    let value = lines.find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
    let value = value.trim();
    let quoted = ['\'', '"']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    Some(quoted.unwrap_or(value)).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_manager() {
        let found =
            internal("# This is private data. Do not parse.\nADDRESS=192.0.2.10\n").unwrap();
        assert_eq!(found.address.to_string(), "192.0.2.10");
        assert_eq!((found.mac, found.obtained, found.name), (None, None, None));
        let found =
            internal("ADDRESS=192.0.2.10\nROUTER=192.0.2.1\nCLIENTID=01005056aabb01\n").unwrap();
        assert_eq!(found.mac.unwrap().to_string(), "00:50:56:aa:bb:01");
        for text in ["", "ADDRESS=\n", "ADDRESS=x", "XADDRESS=192.0.2.1", "\0"] {
            assert!(internal(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn dhcpcd_3() {
        let found =
            info("IPADDR='192.0.2.10'\nLEASEDFROM='1400000000'\nINTERFACE='eth0'\n").unwrap();
        assert_eq!(found.address.to_string(), "192.0.2.10");
        assert_eq!(found.obtained, Some(1_400_000_000));
        assert_eq!(found.name.as_deref(), Some("eth0"));
        assert!(info("INTERFACE='eth0'\n").is_err());
    }
}
