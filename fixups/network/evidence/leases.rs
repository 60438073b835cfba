//! What DHCP leases say of a NIC.

use refit_engine::Nic;

use super::{Aggregate, Bindings, Claim, Findings, Strength};
use crate::network::model::Interface;
use crate::network::sources::leases::{Lease, newest};
use crate::network::topology::Topology;

/// Looks for leases of the addresses that `nic` had, and for leases that tell its MAC. Of several
/// for one address the newest counts.
pub(crate) fn by_lease<'a>(
    nic: &Nic,
    topology: &Topology<'a>,
    bindings: Bindings<'_>,
    findings: &mut Findings<'a>,
) {
    for address in nic.addresses.iter().map(|address| address.addr()) {
        let same = |lease: &Lease| lease.address.to_canonical() == address.to_canonical();
        for lease in newest(bindings.leases, same) {
            let by = format!("lease of {address}");
            lease_claim(lease, by, topology, bindings, findings);
        }
    }
    for lease in newest(bindings.leases, |lease| lease.mac == Some(nic.mac)) {
        let by = "MAC in lease".to_owned();
        lease_claim(lease, by, topology, bindings, findings);
    }
}

fn lease_claim<'a>(
    lease: &Lease,
    by: String,
    topology: &Topology<'a>,
    bindings: Bindings<'_>,
    findings: &mut Findings<'a>,
) {
    let mut claim = Claim {
        name: lease.name.clone(),
        strength: Strength::Lease,
        source: lease.source.to_string(),
        by,
    };
    let Some(device) = topology.get(&lease.name) else {
        // The name of a bridge or VLAN that nothing describes must not come to a card.
        let mut bound = bindings.links.iter().chain(bindings.rules);
        let is_card = is_card_name(&lease.name) || bound.any(|one| one.name == lease.name);
        if is_card && findings.nameless.is_none() {
            findings.claims.push(claim);
        }
        return;
    };
    // What has static addresses now got its lease before.
    let is_static = |one: &&Interface| !one.addresses.is_empty();
    let mut configurations = device.interfaces.iter();
    if configurations.any(is_static) && device.interfaces.iter().all(|one| !one.dynamic) {
        return;
    }
    let ports = topology.ports(device.name);
    if !device.physical {
        claim.by = format!("{} on {}", claim.by, device.name);
    }
    match ports.as_slice() {
        [] => {}
        [port] => findings.claims.push(Claim {
            name: (*port).to_owned(),
            ..claim
        }),
        _ if findings.claims.is_empty() && findings.aggregate.is_none() => {
            findings.aggregate = Some(Aggregate {
                name: device.name,
                ports,
                source: claim.source,
                by: claim.by,
            });
        }
        _ => {}
    }
}

/// Whether kernel, udev or biosdevname call Ethernet cards so: `eth0`, `ens192`, `em1`, `p1p1`.
fn is_card_name(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let numbered = |prefix| name.strip_prefix(prefix).is_some_and(is_number);
    let predictable = name.strip_prefix("en").is_some_and(|rest| {
        rest.starts_with(|c| "abcdiopsuvxP".contains(c))
            && rest.len() > 1
            && rest.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    let port = name.strip_prefix('p').and_then(|rest| rest.split_once('p'));
    numbered("eth")
        || numbered("em")
        || predictable
        || port.is_some_and(|(slot, port)| is_number(slot) && is_number(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_cards() {
        for name in [
            "eth0",
            "em1",
            "p1p2",
            "ens192",
            "eno1",
            "enp2s0",
            "enx005056aabb01",
        ] {
            assert!(is_card_name(name), "{name}");
        }
        for name in [
            "br0",
            "bond0",
            "eth0.10",
            "ens192.10",
            "p1",
            "pp1",
            "eth",
            "en",
            "wlan0",
            "encrypt-0",
        ] {
            assert!(!is_card_name(name), "{name}");
        }
    }
}
