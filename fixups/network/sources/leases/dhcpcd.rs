//! dhcpcd's files: the server's last message as it came over the network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Entry, usable};

/// Fixed part of a DHCP message, up to the options (RFC 2131, 2).
const HEADER: usize = 236;
/// What the options begin with (RFC 2131, 3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Options of a DHCPv6 message and of its identity associations (RFC 8415, 21).
const IA_NA: u16 = 3;
const IA_TA: u16 = 4;
const IA_ADDRESS: u16 = 5;

/// A DHCPv4 reply: `yiaddr` and `chaddr` (RFC 2131, 2).
pub(super) fn packet(bytes: &[u8]) -> Result<Entry, &'static str> {
    let is_reply = bytes.first() == Some(&2);
    if !is_reply || bytes.get(HEADER..HEADER + 4) != Some(&COOKIE) {
        return Err("not used: it is no DHCP reply");
    }
    let address = Ipv4Addr::from(array::<4>(bytes, 16).ok_or("not used: it is cut off")?);
    if address.is_unspecified() {
        return Err("not used: it has no address");
    }
    // Hardware type Ethernet, addresses of six bytes.
    let is_ethernet = bytes[1] == 1 && bytes[2] == 6;
    let mac = array::<6>(bytes, 28).filter(|_| is_ethernet);
    Ok(Entry {
        name: None,
        address: IpAddr::V4(address),
        mac: mac.and_then(usable),
        obtained: None,
    })
}

/// A DHCPv6 reply: the addresses of its identity associations (RFC 8415, 8, 21.4 to 21.6).
pub(super) fn packet6(bytes: &[u8]) -> Result<Vec<Entry>, &'static str> {
    const CUT_OFF: &str = "not used: it is no DHCPv6 reply, or cut off";
    // Advertise or Reply, and three bytes of transaction number.
    if !matches!(bytes.first(), Some(2 | 7)) {
        return Err(CUT_OFF);
    }
    let mut entries = Vec::new();
    for (code, data) in options(bytes.get(4..).ok_or(CUT_OFF)?).ok_or(CUT_OFF)? {
        // Identity number and, for lasting addresses, two times.
        let inner = match code {
            IA_NA => data.get(12..),
            IA_TA => data.get(4..),
            _ => continue,
        };
        for (code, data) in options(inner.ok_or(CUT_OFF)?).ok_or(CUT_OFF)? {
            if code == IA_ADDRESS {
                let address = Ipv6Addr::from(array::<16>(data, 0).ok_or(CUT_OFF)?);
                entries.push(Entry {
                    name: None,
                    address: IpAddr::V6(address),
                    mac: None,
                    obtained: None,
                });
            }
        }
    }
    Ok(entries)
}

/// Code and data of each option; `None` if the last one is cut off.
fn options(mut bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let code = u16::from_be_bytes(array(bytes, 0)?);
        let length = usize::from(u16::from_be_bytes(array(bytes, 2)?));
        found.push((code, bytes.get(4..4 + length)?));
        bytes = &bytes[4 + length..];
    }
    Some(found)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[..3].copy_from_slice(&[2, 1, 6]);
        bytes[16..20].copy_from_slice(&[192, 0, 2, 10]);
        bytes[28..34].copy_from_slice(&[0, 0x50, 0x56, 0xaa, 0xbb, 1]);
        bytes.extend(COOKIE);
        bytes.push(255);
        bytes
    }

    #[test]
    fn address_and_mac() {
        let found = packet(&reply()).unwrap();
        assert_eq!(found.address.to_string(), "192.0.2.10");
        assert_eq!(found.mac.unwrap().to_string(), "00:50:56:aa:bb:01");
        let mut infiniband = reply();
        infiniband[1] = 32;
        assert_eq!(packet(&infiniband).unwrap().mac, None);
    }

    #[test]
    fn other_files_are_refused() {
        let mut request = reply();
        request[0] = 1;
        let mut nothing = reply();
        nothing[16..20].fill(0);
        for bytes in [
            &[][..],
            &[2],
            &reply()[..238],
            &request,
            &nothing,
            b"lease {",
        ] {
            assert!(packet(bytes).is_err(), "{bytes:?}");
        }
    }

    fn option(code: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).unwrap();
        [&code.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
    }

    #[test]
    fn addresses_of_dhcpv6() {
        let address: Ipv6Addr = "2001:db8::10".parse().unwrap();
        let address = option(IA_ADDRESS, &[&address.octets()[..], &[0; 8]].concat());
        let reply = [
            &[7, 1, 2, 3][..],
            &option(1, b"client"),
            &option(IA_NA, &[&[0; 12][..], &address].concat()),
            &option(25, &[0; 12]),
        ]
        .concat();
        let found = packet6(&reply).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].address.to_string(), "2001:db8::10");
        for cut in 5..reply.len() {
            // Between two options it is whole.
            let _ = packet6(&reply[..cut]);
        }
        assert!(packet6(&reply[..reply.len() - 1]).is_err());
        assert!(packet6(&[]).is_err());
        assert!(packet6(&[1, 0, 0, 0]).is_err());
        assert_eq!(packet6(&[7, 0, 0, 0]).unwrap(), []);
        assert!(packet6(&[&[7, 0, 0, 0][..], &option(IA_NA, &[0; 11])].concat()).is_err());
    }
}
