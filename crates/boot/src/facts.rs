//! What to ask a guest, and how to read its answers. Pure. The questions need a POSIX shell, `/sys`
//! and, for addresses, `ip`.

use std::collections::HashMap;
use std::net::IpAddr;

use refit_machine::Mac;

use crate::NicReport;

/// Each interface but loopback: name, hardware address, state, driver (`-` for none).
pub(crate) const LINKS: &str = r#"for n in /sys/class/net/*; do i=${n##*/}; [ "$i" = lo ] && continue; [ -d "$n" ] || continue; d=$(readlink "$n/device/driver"); d=${d##*/}; echo "$i $(cat "$n/address") $(cat "$n/operstate") ${d:--}"; done"#;
/// One line for each address.
pub(crate) const ADDRESSES: &str = "ip -o addr show";
/// Default routes of both families.
pub(crate) const ROUTES: &str = "ip -4 route show default; ip -6 route show default";
/// What is mounted on the root.
pub(crate) const ROOT_DEVICE: &str = r#"findmnt -no SOURCE / || while read -r d m r; do [ "$m" = / ] && echo "$d"; done < /proc/mounts"#;
/// `starting` until systemd has finished; an error without systemd.
pub(crate) const SYSTEM_STATE: &str = "systemctl is-system-running";
/// One failed unit a line.
pub(crate) const FAILED_UNITS: &str = "systemctl list-units --failed --no-legend --plain";

/// Interfaces that are believed; a guest with more is not a guest that we made.
const MAX_NICS: usize = 64;
/// Addresses of one interface that are believed.
const MAX_ADDRESSES: usize = 32;

/// Joins the answers to [`LINKS`] and [`ADDRESSES`].
pub(crate) fn nics(links: &str, addresses: &str) -> Vec<NicReport> {
    let mut by_name: HashMap<&str, Vec<String>> = HashMap::new();
    for (name, address) in addresses.lines().filter_map(address) {
        let known = by_name.entry(name).or_default();
        if known.len() < MAX_ADDRESSES {
            known.push(address.to_owned());
        }
    }
    let mut nics: Vec<NicReport> = links.lines().filter_map(link).take(MAX_NICS).collect();
    for nic in &mut nics {
        nic.addresses = by_name.remove(nic.name.as_str()).unwrap_or_default();
    }
    nics
}

fn link(line: &str) -> Option<NicReport> {
    let mut words = line.split_whitespace();
    let (name, mac, state, driver) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some(NicReport {
        name: name.to_owned(),
        mac: mac.parse::<Mac>().ok(),
        state: state.to_owned(),
        driver: Some(driver.to_owned()).filter(|driver| driver != "-"),
        addresses: Vec::new(),
    })
}

/// `2: ens192    inet 10.0.2.15/24 brd 10.0.2.255 scope global ens192\ ...`: the name may have `@parent`.
fn address(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace().skip(1);
    let name = words.next()?.split('@').next()?;
    let family = words.next()?;
    let address = words.next()?;
    if !matches!(family, "inet" | "inet6") {
        return None;
    }
    let ip: IpAddr = address.split('/').next()?.parse().ok()?;
    let link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    (!link_local).then_some((name, address))
}

/// Whether every network card (that is, every interface with a driver) has an IPv4 address.
pub(crate) fn all_addressed(nics: &[NicReport]) -> bool {
    let is_v4 = |address: &String| address.contains('.') && !address.contains(':');
    nics.iter()
        .filter(|nic| nic.driver.is_some())
        .all(|nic| nic.addresses.iter().any(is_v4))
}

/// The routes in the answer to [`ROUTES`]. Routes with several next hops go on on further lines, left out.
pub(crate) fn default_routes(answer: &str) -> Vec<String> {
    let routes = answer
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("default"));
    routes.take(MAX_NICS).map(str::to_owned).collect()
}

/// Endings of unit names (systemd.unit(5)).
const UNIT_TYPES: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// The names in the answer to [`FAILED_UNITS`]. While the guest is still booting, systemd writes
/// its own lines to the same console: what is no unit's name is left out.
pub(crate) fn failed_units(answer: &str) -> Vec<String> {
    let is_unit = |word: &&str| {
        word.rsplit_once('.')
            .is_some_and(|(_, kind)| UNIT_TYPES.contains(&kind))
    };
    let words = answer
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    words.filter(is_unit).take(100).map(str::to_owned).collect()
}

/// The first line that says something.
pub(crate) fn first_line(answer: &str) -> Option<String> {
    answer
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS_ANSWER: &str =
        "ens192 00:50:56:aa:bb:01 up vmxnet3\nbond0 00:50:56:aa:bb:02 down -\nbroken line\n";
    const ADDRESSES_ANSWER: &str = "\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
2: ens192    inet 10.0.2.15/24 brd 10.0.2.255 scope global ens192\\       valid_lft forever
2: ens192    inet6 fec0::250:56ff:feaa:bb01/64 scope site dynamic mngtmpaddr \\       valid_lft 86387sec
2: ens192    inet6 fe80::250:56ff:feaa:bb01/64 scope link \\       valid_lft forever
3: bond0@if2    inet not-an-address scope global bond0
";

    #[test]
    fn links_and_addresses_are_joined() {
        let nics = nics(LINKS_ANSWER, ADDRESSES_ANSWER);
        assert_eq!(nics.len(), 2);
        assert_eq!(nics[0].name, "ens192");
        assert_eq!(nics[0].mac, "00:50:56:aa:bb:01".parse().ok());
        assert_eq!(nics[0].driver.as_deref(), Some("vmxnet3"));
        assert_eq!(
            nics[0].addresses,
            ["10.0.2.15/24", "fec0::250:56ff:feaa:bb01/64"]
        );
        assert_eq!(
            (nics[1].driver.as_deref(), nics[1].addresses.len()),
            (None, 0)
        );
        assert!(all_addressed(&nics), "a bond is no card");
        assert!(!all_addressed(&super::nics(LINKS_ANSWER, "")));
    }

    #[test]
    fn answers_are_bounded() {
        let many = "e 00:50:56:aa:bb:01 up x\n".repeat(1000);
        assert_eq!(nics(&many, "").len(), MAX_NICS);
        assert_eq!(
            failed_units(
                "a.service loaded failed failed A\n[  OK  ] Started x.service\nb.mount loaded\n"
            ),
            ["a.service", "b.mount"]
        );
        let routes =
            "default via 10.0.2.2 dev a \ndefault proto ra\n\tnexthop via fe80::2 dev a weight 1\n";
        assert_eq!(
            default_routes(routes),
            ["default via 10.0.2.2 dev a", "default proto ra"]
        );
        assert_eq!(first_line("\n  x y \nz").as_deref(), Some("x y"));
    }
}
