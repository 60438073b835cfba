//! Which card takes the place of which old one.

use std::collections::BTreeSet;

use refit_engine::{Evidence, GuestPath, Nic};
use refit_machine::Mac;

use crate::network::configuration::Configuration;
use crate::network::decide::{Decided, Outcome};
use crate::network::evidence::Strength;
use crate::network::model::{Interface, Kind};
use crate::network::topology::{Topology, has_address};

/// A hardware address that stands for another from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replacement {
    pub old: Mac,
    pub new: Mac,
    /// What speaks for it, and where.
    pub by: String,
    pub source: String,
}

impl Replacement {
    pub fn evidence(&self) -> Evidence {
        [
            ("mac", self.new.to_string()),
            ("replaces", self.old.to_string()),
            ("source", self.source.clone()),
            ("by", self.by.clone()),
        ]
        .into()
    }
}

/// Everything that is known of the pairs.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub replacements: Vec<Replacement>,
    /// Addresses that the configuration asks for, that no card has, and that none certainly
    /// replaces although some card may; with the file.
    pub open: Vec<(Mac, GuestPath)>,
    /// Whether the configuration asks for a card that is there.
    pub some_right: bool,
}

/// One place where the configuration asks for a hardware address.
struct Pin<'a> {
    mac: Mac,
    interface: &'a Interface,
}

/// Finds the pairs: those that the user gives, then those that the evidence for names gives, then
/// those of configurations without a name by their addresses, then the only card and the only
/// address that are left. `decided` is what is known of each NIC's name. `contradict`: whether a
/// NIC that has other addresses than a configuration is another card.
pub(super) fn pairs(
    nics: &[Nic],
    configuration: &Configuration,
    topology: &Topology<'_>,
    decided: &[Decided],
    contradict: bool,
) -> Pairs {
    let mut pairs = Pairs::default();
    for nic in nics {
        if let Some(old) = nic.replaces {
            pairs.replacements.push(Replacement {
                old,
                new: nic.mac,
                by: "given".to_owned(),
                source: nic.origin.clone(),
            });
        }
    }
    let interfaces = configuration.interfaces.iter();
    let pins: Vec<Pin<'_>> = interfaces
        .filter(|interface| interface.kind == Kind::Physical)
        .flat_map(|interface| {
            let macs = interface.matches.macs.iter();
            macs.map(move |&mac| Pin { mac, interface })
        })
        .collect();
    let links = configuration.existing.links.iter();
    let linked: BTreeSet<Mac> = links.flat_map(|link| link.macs.iter().copied()).collect();
    let has_pin = |mac: Mac| linked.contains(&mac) || pins.iter().any(|pin| pin.mac == mac);
    pairs.some_right = nics.iter().any(|nic| has_pin(nic.mac));

    let is_known = |mac: Mac| {
        let mut nics = nics.iter();
        nics.any(|nic| nic.mac == mac || nic.replaces == Some(mac))
    };
    let mut lost: Vec<&Pin<'_>> = pins.iter().filter(|pin| !is_known(pin.mac)).collect();
    let mut waiting: Vec<&Nic> = nics.iter().filter(|nic| !has_pin(nic.mac)).collect();

    let by_evidence = |nic: &Nic, pairs: &mut Pairs, lost: &mut Vec<&Pin<'_>>| {
        let (found, by) = by_name(nic, topology, decided, lost)
            .or_else(|| by_address(nic, lost))
            .unwrap_or_default();
        for &(mac, source) in &found {
            pairs.replacements.push(Replacement {
                old: mac,
                new: nic.mac,
                by: by.clone(),
                source: source.to_string(),
            });
        }
        lost.retain(|pin| found.iter().all(|(mac, _)| *mac != pin.mac));
        !found.is_empty()
    };
    waiting.retain(|nic| !by_evidence(nic, &mut pairs, &mut lost));
    waiting.retain(|nic| nic.replaces.is_none() && !is_settled(nic, topology, decided));

    let left: BTreeSet<Mac> = lost.iter().map(|pin| pin.mac).collect();
    if let ([nic], Some(&old), true) = (waiting.as_slice(), left.first(), left.len() == 1)
        && !has_open_device(topology, decided)
        && !(contradict && differs(nic, &lost))
    {
        let source = &lost[0].interface.source;
        pairs.replacements.push(Replacement {
            old,
            new: nic.mac,
            by: "only NIC and only MAC left".to_owned(),
            source: source.to_string(),
        });
    } else if !waiting.is_empty() {
        for pin in lost {
            if pairs.open.iter().all(|(mac, _)| *mac != pin.mac) {
                pairs.open.push((pin.mac, pin.interface.source.clone()));
            }
        }
    }
    pairs
}

type Found<'a> = (Vec<(Mac, &'a GuestPath)>, String);

/// The lost addresses of the device whose name the NIC has by evidence.
fn by_name<'a>(
    nic: &Nic,
    topology: &Topology<'_>,
    decided: &[Decided],
    lost: &[&Pin<'a>],
) -> Option<Found<'a>> {
    let (name, by) = certain_name(nic, decided)?;
    let device = topology.get(name)?;
    let own = |pin: &&&Pin<'a>| {
        let mut interfaces = device.interfaces.iter();
        interfaces.any(|interface| std::ptr::eq(*interface, pin.interface))
    };
    found(lost.iter().filter(own), by)
}

fn by_address<'a>(nic: &Nic, lost: &[&Pin<'a>]) -> Option<Found<'a>> {
    let address = nic.addresses.iter().find(|address| {
        lost.iter()
            .any(|pin| has_address(pin.interface, address.addr()))
    })?;
    let own = |pin: &&&Pin<'a>| has_address(pin.interface, address.addr());
    found(
        lost.iter().filter(own),
        format!("address {}", address.addr()),
    )
}

fn found<'a, 'p>(pins: impl Iterator<Item = &'p &'p Pin<'a>>, by: String) -> Option<Found<'a>>
where
    'a: 'p,
{
    let mut found: Vec<(Mac, &GuestPath)> = Vec::new();
    for pin in pins {
        if found.iter().all(|(mac, _)| *mac != pin.mac) {
            found.push((pin.mac, &pin.interface.source));
        }
    }
    (!found.is_empty()).then_some((found, by))
}

/// The name of a NIC, if it is more than a guess.
fn certain_name<'d>(nic: &Nic, decided: &'d [Decided]) -> Option<(&'d str, String)> {
    let one = decided.iter().find(|one| one.mac == nic.mac)?;
    let Outcome::Name(name) = &one.outcome else {
        return None;
    };
    let claim = one.evidence.first()?;
    let certain = claim.strength < Strength::FirstPort;
    certain.then(|| (name.as_str(), claim.by.clone()))
}

/// Whether the configuration takes the NIC as it is.
fn is_settled(nic: &Nic, topology: &Topology<'_>, decided: &[Decided]) -> bool {
    if let Some((name, _)) = certain_name(nic, decided) {
        let device = topology.get(name);
        return device.is_some_and(|device| {
            let mut interfaces = device.interfaces.iter();
            interfaces.any(|interface| interface.matches.macs.is_empty())
        });
    }
    let one = decided.iter().find(|one| one.mac == nic.mac);
    one.is_some_and(|one| matches!(one.outcome, Outcome::NotNeeded { .. }))
}

/// Whether the configuration has a device that it finds by name, and that no NIC certainly is.
fn has_open_device(topology: &Topology<'_>, decided: &[Decided]) -> bool {
    topology.physical().any(|device| {
        let mut interfaces = device.interfaces.iter();
        let taken = decided.iter().any(|one| {
            let certain = one.evidence.first();
            certain.is_some_and(|claim| claim.strength < Strength::FirstPort)
                && matches!(&one.outcome, Outcome::Name(name) if name == device.name)
        });
        !taken
            && !device.interfaces.is_empty()
            && interfaces.all(|interface| interface.matches.macs.is_empty())
    })
}

/// Whether the NIC had addresses, and the configuration has others.
fn differs(nic: &Nic, lost: &[&Pin<'_>]) -> bool {
    !nic.addresses.is_empty() && lost.iter().any(|pin| !pin.interface.addresses.is_empty())
}
