//! Settings of the whole machine. They hold for whatever interface there is, so they stay where they are:
//! adding them again at first boot is how guests get every route twice.

use std::net::Ipv4Addr;

use refit_engine::Evidence;
use refit_hive::Hive;

use super::settings::shown;
use crate::adapters::text;

/// More routes than a machine has.
const MOST: usize = 1000;

/// What is found and stays, for the report. A malformed route becomes a warning.
pub(super) fn evidence(system: &Hive, set: &str, warnings: &mut Vec<String>) -> Vec<Evidence> {
    let mut found = Vec::new();
    let parameters = system.key(&format!(r"{set}\Services\Tcpip\Parameters"));
    if let Some(list) = parameters.as_ref().and_then(|key| text(key, "SearchList")) {
        found.push(Evidence::from([
            ("dns_search", shown(&list)),
            ("source", "Tcpip\\Parameters, SearchList".to_owned()),
            ("kept", "it is the machine's".to_owned()),
        ]));
    }
    let routes = parameters.and_then(|key| key.subkey("PersistentRoutes"));
    for value in routes.iter().flat_map(|key| key.values().take(MOST)) {
        match route(&value.name) {
            Some(route) => found.push(Evidence::from([
                ("route", route),
                ("source", "Tcpip\\Parameters\\PersistentRoutes".to_owned()),
                ("kept", "it is the machine's".to_owned()),
            ])),
            None if value.name.is_empty() => {}
            None => warnings.push(format!(
                "the persistent route {} is not understood; it stays as it is",
                shown(&value.name)
            )),
        }
    }
    found
}

/// `10.0.0.0,255.0.0.0,192.0.2.254,1`: destination, mask, gateway, metric (what `route -p add` writes).
fn route(name: &str) -> Option<String> {
    let mut words = name.split(',');
    let mut address = || words.next()?.parse::<Ipv4Addr>().ok();
    let (destination, mask, gateway) = (address()?, address()?, address()?);
    let network = ipnet::Ipv4Net::with_netmask(destination, mask).ok()?;
    let metric = words.next().map(str::parse::<i64>);
    if words.next().is_some() || matches!(metric, Some(Err(_))) {
        return None;
    }
    Some(format!("{network} via {gateway}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persistent_routes() {
        let cases = [
            (
                "10.0.0.0,255.0.0.0,192.0.2.254,1",
                Some("10.0.0.0/8 via 192.0.2.254"),
            ),
            (
                "0.0.0.0,0.0.0.0,192.0.2.1,-1",
                Some("0.0.0.0/0 via 192.0.2.1"),
            ),
            ("0.0.0.0,0.0.0.0,192.0.2.1", Some("0.0.0.0/0 via 192.0.2.1")),
            ("10.0.0.0,255.0.255.0,192.0.2.254,1", None),
            ("10.0.0.0,255.0.0.0,192.0.2.254,1,2", None),
            ("x & calc", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(route(name).as_deref(), expected, "{name}");
        }
    }
}
