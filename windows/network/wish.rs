//! What the user asks for on top of what the guest has (`--nic`, `--static-ips`).

use std::net::IpAddr;

use ipnet::IpNet;
use refit_engine::Nic;

use super::settings::{Settings, push};

/// Lays what `nic` is to have over `settings`, each family of addresses by itself.
pub(super) fn apply(nic: &Nic, settings: &mut Settings, label: &str, warnings: &mut Vec<String>) {
    for v6 in [false, true] {
        let addresses: Vec<IpNet> = family(&nic.addresses, v6, IpNet::addr);
        let gateways: Vec<IpAddr> = family(&nic.gateways, v6, |gateway| *gateway);
        let servers: Vec<IpAddr> = family(&nic.dns, v6, |server| *server);
        if !addresses.is_empty() {
            settings
                .addresses
                .retain(|known| known.addr().is_ipv6() != v6);
            settings.addresses.extend(&addresses);
            if !v6 {
                settings.dhcp = false;
                // IPv4 first.
                settings
                    .addresses
                    .sort_by_key(|address| address.addr().is_ipv6());
            }
            if gateways.is_empty() {
                drop_unreachable(v6, &addresses, settings, label, warnings);
            }
        }
        if !gateways.is_empty() {
            let before = std::mem::take(&mut settings.gateways);
            let (keep, old): (Vec<_>, Vec<_>) = before
                .into_iter()
                .partition(|known| known.0.is_ipv6() != v6);
            settings.gateways = keep;
            for gateway in gateways {
                let metric = old.iter().find(|known| known.0 == gateway);
                push(
                    &mut settings.gateways,
                    (gateway, metric.and_then(|known| known.1)),
                );
            }
        }
        if !servers.is_empty() {
            settings.dns.retain(|known| known.is_ipv6() != v6);
            settings.dns.extend(servers);
        }
    }
}

fn family<T: Copy>(list: &[T], v6: bool, address: impl Fn(&T) -> IpAddr) -> Vec<T> {
    list.iter()
        .copied()
        .filter(|item| address(item).is_ipv6() == v6)
        .collect()
}

/// New addresses may be in another network than the old gateway.
fn drop_unreachable(
    v6: bool,
    addresses: &[IpNet],
    settings: &mut Settings,
    label: &str,
    warnings: &mut Vec<String>,
) {
    settings.gateways.retain(|(gateway, _)| {
        let link_local = matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local());
        let keep = gateway.is_ipv6() != v6
            || link_local
            || addresses.iter().any(|network| network.contains(gateway));
        if !keep {
            warnings.push(format!(
                "{label}: the gateway {gateway} is not in the network of the new address and is left out; give one \
                 with --nic MAC=ADDRESS/PREFIX,GATEWAY"
            ));
        }
        keep
    });
}
