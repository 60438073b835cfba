//! One `.network` file (systemd.network(5)).

use std::collections::HashMap;
use std::net::IpAddr;

use refit_engine::GuestPath;

use super::matching::Selector;
use super::units::Unit;
use crate::network::model::{Kind, Match};
use crate::network::sources::reading::{Reading, quote};
use crate::network::sources::unit_file::UnitFile;
use crate::network::sources::values;

/// Keys of `[Network]` that put another device on top of the one that is matched.
const STACKED: [&str; 7] = [
    "VLAN", "MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "MACsec", "IPoIB",
];

/// What a `.network` file says.
#[derive(Debug)]
pub struct Network {
    /// The file.
    pub path: GuestPath,
    /// The file that has the addresses: this one or a drop-in.
    pub source: GuestPath,
    /// Which devices it is for.
    pub matches: Match,
    /// The kind of the devices that it is for.
    pub kind: Kind,
    /// The kind that its `[Match]` asks for.
    pub only_kind: Option<Kind>,
    /// Whether its `[Match]` leaves out virtual devices.
    pub ordinary_only: bool,
    /// Static addresses.
    pub addresses: Vec<IpAddr>,
    /// DHCP or router advertisement.
    pub dynamic: bool,
    /// Bond or bridge that the device is a port of.
    pub upper: Option<String>,
    /// VLANs and the like on top of the device.
    pub stacked: Vec<String>,
}

impl Network {
    /// Reads a unit; `None` if systemd would not apply it in a virtual machine. `kinds` are those
    /// of the devices from `.netdev` files.
    pub fn read(
        reading: &mut Reading<'_, '_>,
        unit: &Unit,
        kinds: &HashMap<&str, &Kind>,
    ) -> Option<Self> {
        let file = &unit.merged;
        let selector = Selector::read(file, "Name");
        if !selector.possible {
            return None;
        }
        if selector.ignored_as_empty(reading.guest.facts().systemd) {
            reading.warn(&unit.path, None, "ignored: its [Match] selects nothing");
            return None;
        }
        let matches = selector.to_match();
        let kind = match (&selector.kind, matches.name.as_deref()) {
            (Some(kind), _) => kind.clone(),
            (None, Some("lo")) => Kind::Other("loopback".to_owned()),
            (None, Some(name)) => kinds
                .get(name)
                .map_or(Kind::Physical, |kind| (*kind).clone()),
            (None, None) => Kind::Physical,
        };
        let managed = file.boolean("Link", "Unmanaged") != Some(true);
        let (addresses, bad) = addresses(file);
        for text in bad {
            let reason = format!("Address= is no address: {}", quote(&text));
            reading.warn(&unit.path, None, reason);
        }
        let source = unit
            .parts
            .iter()
            .find(|(_, part)| {
                self::addresses(part)
                    .0
                    .iter()
                    .any(|address| addresses.contains(address))
            })
            .map_or(&unit.path, |(path, _)| path);
        Some(Self {
            path: unit.path.clone(),
            source: source.clone(),
            matches,
            kind,
            only_kind: selector.kind,
            ordinary_only: selector.ordinary_only,
            addresses: if managed { addresses } else { Vec::new() },
            dynamic: managed && dynamic(file),
            upper: ["Bond", "Bridge"]
                .iter()
                .find_map(|key| file.last("Network", key))
                .map(str::to_owned),
            stacked: STACKED
                .iter()
                .flat_map(|key| file.words("Network", key))
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// Static addresses, `[Network]` first, and what is none. `0.0.0.0` and `::` ask networkd to choose
/// from its pool.
fn addresses(file: &UnitFile) -> (Vec<IpAddr>, Vec<String>) {
    let mut addresses = Vec::new();
    let mut bad = Vec::new();
    let texts = file.values("Network", "Address").into_iter().chain(
        file.sections("Address")
            .filter_map(|section| section.last("Address")),
    );
    for text in texts {
        match values::address(text) {
            Some(address) => addresses.push(address),
            None if text.starts_with("0.0.0.0") || text.starts_with("::") => {}
            None => bad.push(text.to_owned()),
        }
    }
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(*address));
    (addresses, bad)
}

/// `DHCP=` in its present and older words, and router advertisements where they are asked for (by
/// default they are accepted unless the host forwards, which tells nothing of the interface).
fn dynamic(file: &UnitFile) -> bool {
    let dhcp = file.last("Network", "DHCP").is_some_and(|word| {
        matches!(word, "both" | "ipv4" | "ipv6" | "v4" | "v6")
            || file.boolean("Network", "DHCP") == Some(true)
    });
    dhcp || ["IPv6AcceptRA", "IPv6AcceptRouterAdvertisements"]
        .iter()
        .any(|key| file.boolean("Network", key) == Some(true))
}
