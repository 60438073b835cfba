//! Finds the old hypervisor's devices in `Enum`.

use std::collections::BTreeMap;

use ipnet::IpNet;
use refit_hive::{Hive, Key};

use super::origin::Origin;
use crate::adapters::{self, Adapter, Guid, Role, plain_description, text};
use crate::network;

/// Buses that the devices of a hypervisor hang on.
const BUSES: [&str; 5] = ["PCI", "ACPI", "USB", "HID", "VMBUS"];
/// Classes of storage controllers. Theirs are kept: the guest boots from one when it goes back.
const STORAGE: [&str; 2] = [
    "{4d36e97b-e325-11ce-bfc1-08002be10318}",
    "{4d36e96a-e325-11ce-bfc1-08002be10318}",
];
/// Bridges and the rest of the chipset: they own nothing, and the storage controllers hang on them.
const SYSTEM: &str = "{4d36e97d-e325-11ce-bfc1-08002be10318}";
/// The one device of that class that is no chipset: VMware's channel to the host.
const VMCI: &str = r"PCI\VEN_15AD&DEV_0740&";
/// More devices of a bus, and more instances of a device, than a machine has.
const MOST: usize = 2000;

/// One device, or all instances of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ghost {
    /// Beginning of its instance id; the whole one for a network card.
    pub(super) id: String,
    /// What it is called.
    pub(super) name: String,
    /// Why it stays; `None` if it goes.
    pub(super) kept: Option<String>,
    /// Whether it stays because of network settings that would be lost.
    pub(super) has_settings: bool,
}

/// The devices that one of `origins` made, by id. `released`: interfaces that are no longer needed.
pub(super) fn find(system: &Hive, set: &str, origins: &[Origin], released: &[Guid]) -> Vec<Ghost> {
    let mut ghosts: BTreeMap<String, Ghost> = BTreeMap::new();
    let cards = Cards::read(system, set, released);
    for bus in BUSES {
        let Some(key) = system.key(&format!(r"{set}\Enum\{bus}")) else {
            continue;
        };
        for device in key.subkeys().take(MOST) {
            let id = format!(r"{bus}\{}", device.name()).to_ascii_uppercase();
            if !is_id(&id) || !origins.iter().any(|origin| origin.made(&id)) {
                continue;
            }
            for instance in device.subkeys().take(MOST) {
                let ghost = judge(&cards, &id, &instance);
                // A device with instances of different fates: the careful one counts.
                let known = ghosts
                    .entry(ghost.id.clone())
                    .or_insert_with(|| ghost.clone());
                if known.kept.is_none() {
                    *known = ghost;
                }
            }
        }
    }
    ghosts
        .into_values()
        .filter(|ghost| is_id(&ghost.id))
        .collect()
}

/// What Windows makes ids of; anything else cannot be written in a task.
fn is_id(id: &str) -> bool {
    id.len() <= 200 && id.bytes().all(|b| b.is_ascii_graphic() && b != b'%')
}

fn judge(cards: &Cards, id: &str, instance: &Key<'_>) -> Ghost {
    let class = text(instance, "ClassGUID").unwrap_or_default();
    let mut ghost = Ghost {
        id: id.to_owned(),
        name: name(instance),
        kept: None,
        has_settings: false,
    };
    if STORAGE
        .iter()
        .any(|storage| class.eq_ignore_ascii_case(storage))
    {
        ghost.kept =
            Some("kept: the guest boots from a storage controller if it goes back".to_owned());
    }
    if class.eq_ignore_ascii_case(SYSTEM) && !id.starts_with(VMCI) {
        ghost.kept =
            Some("kept: it is part of the chipset, on which storage controllers hang".to_owned());
    }
    if class.eq_ignore_ascii_case(adapters::NET_CLASS) {
        ghost.id = format!(r"{id}\{}", instance.name()).to_ascii_uppercase();
        if let Some(why) = cards.needed(&ghost.id) {
            ghost.kept = Some(why);
            ghost.has_settings = true;
        }
    }
    ghost
}

/// The network cards, and what is known elsewhere of their addresses.
struct Cards {
    cards: Vec<(Adapter, Vec<IpNet>)>,
    /// Addresses that the new NICs have, or are to get.
    moved: Vec<IpNet>,
}

impl Cards {
    fn read(system: &Hive, set: &str, released: &[Guid]) -> Self {
        let with_addresses = |adapter: Adapter| {
            let addresses = network::static_addresses(system, set, &adapter);
            (adapter, addresses)
        };
        let cards: Vec<_> = adapters::read(system, set)
            .into_iter()
            .map(with_addresses)
            .collect();
        let moved = cards
            .iter()
            .filter(|(adapter, _)| adapter.is_virtio() || released.contains(&adapter.guid))
            .flat_map(|(_, addresses)| addresses.clone())
            .collect();
        Self { cards, moved }
    }

    /// Why the card with this instance id is still needed.
    fn needed(&self, instance: &str) -> Option<String> {
        let (adapter, addresses) = self.cards.iter().find(|(adapter, _)| {
            let path = adapter.instance.as_deref().unwrap_or_default();
            path.eq_ignore_ascii_case(instance)
        })?;
        if matches!(adapter.role, Role::Member(_)) {
            return Some("kept: it is part of a team, bridge or virtual switch".to_owned());
        }
        let only_here = addresses
            .iter()
            .any(|address| !self.moved.contains(address));
        (only_here && !adapter.gone).then(|| {
            "kept: it has static addresses that move to no other NIC, and nothing else knows them; see windows-network"
                .to_owned()
        })
    }
}

fn name(instance: &Key<'_>) -> String {
    let found = ["FriendlyName", "DeviceDesc"]
        .iter()
        .find_map(|name| text(instance, name));
    plain_description(&found.unwrap_or_default())
}
