//! Values that every format writes alike: addresses, hardware addresses, names.

use std::net::IpAddr;

use refit_machine::Mac;

use crate::network::model::is_device_name;

/// The address in `text`, which may have a prefix length or netmask behind a slash and, for IPv6,
/// a zone behind a percent sign. The unspecified address (`0.0.0.0`, `::`) is a request to choose
/// one, hence none.
#[must_use]
pub fn address(text: &str) -> Option<IpAddr> {
    let host = text.split('/').next().unwrap_or_default().trim();
    let address: IpAddr = match host.split_once('%') {
        Some((address, _)) => IpAddr::V6(address.parse().ok()?),
        None => host.parse().ok()?,
    };
    (!address.is_unspecified()).then_some(address)
}

/// The Ethernet address in `text`; besides what [`Mac`] reads, groups of two bytes with dots
/// (`0050.56aa.bb01`), which systemd allows (systemd.link(5), `MACAddress=`).
#[must_use]
pub fn mac(text: &str) -> Option<Mac> {
    let groups: Vec<&str> = text.trim().split('.').collect();
    if groups.len() == 3
        && groups
            .iter()
            .all(|group| group.len() == 4 && group.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        let mut octets = [0; 6];
        for (octet, pair) in octets.iter_mut().zip(groups.concat().as_bytes().chunks(2)) {
            *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        return Some(Mac(octets));
    }
    text.parse().ok()
}

/// Whether systemd accepts `name` for a network device: besides the kernel's rules, those of
/// systemd.link(5), `Name=` (ASCII without control characters and `%`, not digits only, not `all`
/// or `default`).
#[must_use]
pub fn is_interface_name(name: &str) -> bool {
    is_device_name(name)
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'%')
        && !name.bytes().all(|b| b.is_ascii_digit())
        && !matches!(name, "all" | "default")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_prefix_and_zone() {
        for (text, expected) in [
            ("192.0.2.10/24", Some("192.0.2.10")),
            (" 192.0.2.10 ", Some("192.0.2.10")),
            ("192.0.2.10/255.255.255.0", Some("192.0.2.10")),
            ("2001:DB8:0::1/64", Some("2001:db8::1")),
            ("fe80::1%eth0/64", Some("fe80::1")),
            ("0.0.0.0/24", None),
            ("::/64", None),
            ("192.0.2.10%eth0", None),
            ("192.0.2", None),
            ("dhcp", None),
            ("", None),
        ] {
            assert_eq!(
                address(text),
                expected.map(|text| text.parse().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn hardware_addresses_may_have_dots() {
        let expected = Mac([0, 0x50, 0x56, 0xaa, 0xbb, 1]);
        for text in ["0050.56aa.BB01", "00:50:56:aa:bb:01", "00-50-56-AA-BB-01"] {
            assert_eq!(mac(text), Some(expected), "{text}");
        }
        for text in ["0050.56aa", "005.056a.abb01", "192.0.2.1", "", "....."] {
            assert_eq!(mac(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_what_kernel_and_udev_accept() {
        for name in ["ens192", "eth0.100", "br-lan", "a", "lan0@x"] {
            assert!(is_interface_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "all",
            "123",
            "eth0:1",
            "a/b",
            "a b",
            "a%b",
            "größe",
            "a\n",
            "abcdefghijklmnop",
        ] {
            assert!(!is_interface_name(name), "{name:?}");
        }
    }
}
