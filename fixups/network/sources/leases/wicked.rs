//! wicked's lease files, as its `src/leasefile.c` and `src/dhcp6/lease.c` write them.

use super::{Entry, Parsed, mac_of_client_text};
use crate::network::sources::{values, xml};

/// The addresses of a lease that is granted.
///
/// By DHCP an IPv4 lease has one `address`; an IPv6 lease has identity associations that have
/// addresses. Leases of other types list the addresses with the prefix, below `addresses`.
pub(super) fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let elements = match xml::parse(text) {
        Ok(elements) => elements,
        Err(problem) => {
            let reason = format!("not used: {}", problem.reason);
            parsed.problems.push((Some(problem.line), reason));
            return parsed;
        }
    };
    let leases = elements.iter().flat_map(|element| {
        let inner = element.all("lease");
        inner.chain((element.name == "lease").then_some(element))
    });
    for lease in leases {
        if lease
            .text_of("state")
            .is_some_and(|state| state != "granted")
        {
            continue;
        }
        let obtained = lease.text_of("acquired").and_then(|time| time.parse().ok());
        for data in &lease.children {
            let protocol = data.name.split_once(':').map(|(family, _type)| family);
            if !matches!(protocol, Some("ipv4" | "ipv6")) {
                continue;
            }
            let mac = data.text_of("client-id").and_then(mac_of_client_text);
            for text in addresses(data) {
                let Some(address) = values::address(text) else {
                    let reason = "not used: it has an address that is none".to_owned();
                    parsed.problems.push((None, reason));
                    continue;
                };
                parsed.entries.push(Entry {
                    name: None,
                    address,
                    mac,
                    obtained,
                });
            }
        }
    }
    parsed
}

fn addresses(data: &xml::Element) -> Vec<&str> {
    let mut found: Vec<&str> = data.all("address").filter_map(xml::Element::text).collect();
    for list in data.all("addresses") {
        let addresses = list.all("address");
        found.extend(addresses.filter_map(|address| address.text_of("local")));
    }
    let associations = data.children.iter();
    for association in associations.filter(|child| matches!(child.name.as_str(), "ia-na" | "ia-ta"))
    {
        for address in &association.children {
            found.extend(address.text_of("address"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (Vec<String>, usize) {
        let parsed = parse(text);
        let entries = parsed.entries.iter().map(|entry| {
            let mac = entry.mac.map_or("-".to_owned(), |mac| mac.to_string());
            let time = entry
                .obtained
                .map_or("-".to_owned(), |time| time.to_string());
            format!("{} {mac} {time}", entry.address)
        });
        (entries.collect(), parsed.problems.len())
    }

    #[test]
    fn addresses_by_dhcp() {
        let v4 = "<lease>\n  <family>ipv4</family>\n  <type>dhcp</type>\n  <state>granted</state>\n  \
            <acquired>1700000000</acquired>\n  <ipv4:dhcp>\n    \
            <client-id>01:00:50:56:aa:bb:01</client-id>\n    \
            <server-address>192.0.2.1</server-address>\n    <address>192.0.2.10</address>\n    \
            <routes><route><nexthop><gateway>192.0.2.1</gateway></nexthop></route></routes>\n  \
            </ipv4:dhcp>\n</lease>\n";
        assert_eq!(
            shown(v4).0,
            ["192.0.2.10 00:50:56:aa:bb:01 1700000000".to_owned()]
        );
        assert_eq!(shown(&v4.replace("granted", "released")).0, [""; 0]);
        let v6 = "<lease><family>ipv6</family><state>granted</state><ipv6:dhcp>\
            <server-address>fe80::1</server-address><ia-na><interface-id>1</interface-id>\
            <ia-address><address>2001:db8::10</address><valid-lft>9</valid-lft></ia-address>\
            </ia-na><ia-pd><ia-prefix><prefix>2001:db8:1::/64</prefix></ia-prefix></ia-pd>\
            </ipv6:dhcp></lease>";
        assert_eq!(shown(v6).0, ["2001:db8::10 - -"]);
    }

    #[test]
    fn addresses_of_other_types() {
        let text = "<lease><state>granted</state><ipv4:auto><addresses><address>\
            <local>169.254.3.4/16</local></address></addresses></ipv4:auto></lease>";
        assert_eq!(shown(text).0, ["169.254.3.4 - -"]);
    }

    #[test]
    fn broken_files() {
        for (text, problems) in [
            ("", 0),
            ("<request/>", 0),
            ("<lease>", 1),
            (
                "<lease><ipv4:dhcp><address>x</address></ipv4:dhcp></lease>",
                1,
            ),
        ] {
            assert_eq!(shown(text), (Vec::new(), problems), "{text}");
        }
    }
}
