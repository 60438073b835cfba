//! Which NIC gets which name.
//!
//! Evidence decides, never position. Claims are settled from the strongest to the weakest
//! ([`Strength`]): a name once given stays given, and what contradicts it is a warning. Doubt about
//! one NIC never costs another its name.

use std::cmp::Reverse;
use std::collections::HashMap;

use refit_engine::Nic;
use refit_machine::Mac;

use super::evidence::{self, Bindings, Claim, Findings, Strength};
use super::kernel_names::number;
use super::model::Interface;
use super::predictable::new_name;
use super::sources::leases::{Lease, newest};
use super::topology::{Topology, is_valid_name};

/// What was decided for one NIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    pub mac: Mac,
    pub outcome: Outcome,
    /// All claims that speak for it, the strongest first.
    pub evidence: Vec<Claim>,
}

/// The result for one NIC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The name that it needs.
    Name(String),
    /// Its configuration finds it whatever it is called.
    NotNeeded {
        /// The file.
        source: String,
        /// By what it finds the NIC.
        by: String,
    },
    /// Nothing that is known leads to a name.
    Unknown {
        /// What is known all the same.
        hint: Option<String>,
    },
}

/// The NICs to decide on when none are given: the MACs that the guest pairs with names that its
/// configuration uses, in configuration order.
pub(crate) fn paired_nics(topology: &Topology<'_>, bindings: Bindings<'_>) -> Vec<Nic> {
    let mut macs: Vec<Mac> = Vec::new();
    for device in topology.physical() {
        let configured = device.interfaces.iter().flat_map(|one| &one.matches.macs);
        let mut found: Vec<Mac> = configured.copied().collect();
        if found.is_empty() {
            let bound = bindings.links.iter().chain(bindings.rules);
            let bound = bound.chain(bindings.cloud_init);
            let mut bound = bound.filter(|binding| binding.name == device.name);
            found.extend(bound.next().map(|binding| binding.mac));
        }
        if found.is_empty() {
            let of_device = |lease: &Lease| lease.name == device.name && lease.mac.is_some();
            let newest = newest(bindings.leases, of_device);
            found.extend(newest.first().and_then(|lease| lease.mac));
        }
        for mac in found {
            if !macs.contains(&mac) {
                macs.push(mac);
            }
        }
    }
    let nics = macs.into_iter();
    nics.map(|mac| Nic::new(mac, "the guest's configuration"))
        .collect()
}

/// How the guest names cards for which nothing is written down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Naming {
    /// Whether they had the names of their slots on the old machine.
    pub slots: bool,
    /// A name such as they get on the new one.
    pub new_name: &'static str,
}

impl Naming {
    /// How a guest with these devices does; `predictable` is what
    /// [`has_predictable_names`](super::predictable::has_predictable_names) says.
    pub fn new(predictable: bool, topology: &Topology<'_>) -> Self {
        let mut hardware = topology.physical();
        Self {
            slots: predictable && !hardware.any(|device| number(device.name).is_some()),
            new_name: new_name(predictable),
        }
    }
}

/// Gives names to `nics`, in their order. Warnings go to `warnings`.
pub(crate) fn decide(
    nics: &[Nic],
    topology: &Topology<'_>,
    bindings: Bindings<'_>,
    naming: Naming,
    warnings: &mut Vec<String>,
) -> Vec<Decided> {
    let nics = merge_same_macs(nics, warnings);
    let findings: Vec<_> = nics
        .iter()
        .map(|nic| evidence::collect(nic, topology, bindings, naming.new_name))
        .collect();
    let mut settlement = Settlement {
        nics: &nics,
        findings: &findings,
        topology,
        given: vec![None; nics.len()],
        owner: HashMap::new(),
        warnings,
    };
    settlement.settle_claims();
    settlement.settle_ports();
    settlement.settle_last();
    if naming.slots {
        settlement.settle_slots();
    }
    settlement.warn_of_other_macs();
    settlement.into_decided()
}

/// One NIC per MAC, as the hardware has it.
fn merge_same_macs(nics: &[Nic], warnings: &mut Vec<String>) -> Vec<Nic> {
    let mut merged: Vec<Nic> = Vec::new();
    for nic in nics {
        match merged.iter_mut().find(|known| known.mac == nic.mac) {
            None => merged.push(nic.clone()),
            Some(known) => {
                known.addresses.extend(&nic.addresses);
                if known.pci_slot.is_some()
                    && nic.pci_slot.is_some()
                    && known.pci_slot != nic.pci_slot
                {
                    warnings.push(format!(
                        "{} is given twice with different slots; the first counts",
                        nic.mac
                    ));
                }
                known.pci_slot = known.pci_slot.or(nic.pci_slot);
            }
        }
    }
    merged
}

/// The state while names are given out.
struct Settlement<'s, 'a> {
    nics: &'s [Nic],
    findings: &'s [Findings<'a>],
    topology: &'s Topology<'a>,
    given: Vec<Option<Claim>>,
    owner: HashMap<String, usize>,
    warnings: &'s mut Vec<String>,
}

impl<'a> Settlement<'_, 'a> {
    /// Settles the claims that name one device, strongest first. Among equals the one that weaker
    /// evidence supports comes first, then the order of NICs and of the configuration.
    fn settle_claims(&mut self) {
        let mut all: Vec<(usize, &Claim)> = Vec::new();
        let findings = self.findings;
        for (nic, findings) in findings.iter().enumerate() {
            all.extend(findings.claims.iter().map(|claim| (nic, claim)));
        }
        all.sort_by_key(|(nic, claim)| {
            let claims = &findings[*nic].claims;
            let support = claims.iter().filter(|other| other.name == claim.name);
            (claim.strength, Reverse(support.count()), *nic)
        });
        for (nic, claim) in all {
            self.settle(nic, claim);
        }
    }

    fn settle(&mut self, nic: usize, claim: &Claim) {
        if !is_valid_name(&claim.name) || self.topology.is_virtual(&claim.name) {
            return;
        }
        let mac = self.nics[nic].mac;
        // The address says that the NIC is one of the ports, weaker evidence may say which.
        let aggregate = self.findings[nic].aggregate.as_ref();
        if let Some(other) = aggregate.filter(|one| !one.ports.contains(&claim.name.as_str())) {
            self.warnings.push(format!(
                "{mac}: {} ({}) says {}, which is no port of {}, but {} ({}) decides for one",
                claim.by, claim.source, claim.name, other.name, other.by, other.source,
            ));
            return;
        }
        if let Some(given) = &self.given[nic] {
            if given.name != claim.name && given.by == claim.by {
                self.warnings.push(format!(
                    "{mac}: both {} ({}) and {} ({}) have {}; the first counts",
                    given.name, given.source, claim.name, claim.source, claim.by,
                ));
            } else if given.name != claim.name {
                self.warnings.push(format!(
                    "{mac}: {} ({}) says {}, but {} ({}) decides for {}",
                    claim.by, claim.source, claim.name, given.by, given.source, given.name,
                ));
            }
            return;
        }
        match self.owner.get(&claim.name) {
            Some(&owner) => {
                let by = self.given[owner].as_ref().map_or("", |given| &given.by);
                self.warnings.push(format!(
                    "{mac}: {} ({}) says {}, which {} has by {by}",
                    claim.by, claim.source, claim.name, self.nics[owner].mac,
                ));
            }
            None => self.give(nic, claim.clone()),
        }
    }

    fn give(&mut self, nic: usize, claim: Claim) {
        self.owner.insert(claim.name.clone(), nic);
        self.given[nic] = Some(claim);
    }

    /// Gives NICs that have the address of an aggregate its first port that nobody has.
    fn settle_ports(&mut self) {
        for nic in 0..self.nics.len() {
            let Some(aggregate) = &self.findings[nic].aggregate else {
                continue;
            };
            if self.given[nic].is_some() {
                continue;
            }
            let free = |strict: bool| {
                let mut ports = aggregate.ports.iter();
                ports.find(|port| {
                    let unfit = strict && self.pinned_elsewhere(port);
                    !unfit && !self.owner.contains_key(**port)
                })
            };
            if let Some(port) = free(true).or_else(|| free(false)) {
                let claim = Claim {
                    name: (*port).to_owned(),
                    strength: Strength::FirstPort,
                    source: aggregate.source.clone(),
                    by: format!("{}, first free port", aggregate.by),
                };
                self.give(nic, claim);
            }
        }
    }

    /// Gives the last NIC the last name.
    fn settle_last(&mut self) {
        let mut nics = (0..self.nics.len()).filter(|&nic| {
            let exact = self.findings[nic]
                .nameless
                .as_ref()
                .is_some_and(|one| one.exact);
            self.given[nic].is_none() && !exact
        });
        let (Some(nic), None) = (nics.next(), nics.next()) else {
            return;
        };
        let free = self.free_names();
        let unpinned: Vec<_> = free
            .iter()
            .filter(|name| !self.pinned_elsewhere(name))
            .collect();
        let name = match (unpinned.as_slice(), free.as_slice()) {
            ([name], _) => **name,
            ([], [name]) => *name,
            _ => return,
        };
        let source = self
            .topology
            .get(name)
            .map(|device| device.first.source.to_string());
        let claim = Claim {
            name: name.to_owned(),
            strength: Strength::Elimination,
            source: source.unwrap_or_default(),
            by: "only NIC and only name left".to_owned(),
        };
        self.give(nic, claim);
    }

    /// Gives NICs of which nothing else is known the names of their slots.
    fn settle_slots(&mut self) {
        if !self.free_names().is_empty() {
            return;
        }
        for nic in 0..self.nics.len() {
            let findings = &self.findings[nic];
            let Some(name) = &findings.slot_name else {
                continue;
            };
            let taken = self.owner.contains_key(name);
            if self.given[nic].is_some() || findings.nameless.is_some() || taken {
                continue;
            }
            let claim = Claim {
                name: name.clone(),
                strength: Strength::SlotAlone,
                source: self.nics[nic].origin.clone(),
                by: format!("slot {}", self.nics[nic].pci_slot.unwrap_or_default()),
            };
            self.give(nic, claim);
        }
    }

    /// The names of hardware that the configuration uses and no NIC has.
    fn free_names(&self) -> Vec<&'a str> {
        let names = self.topology.physical().map(|device| device.name);
        names
            .filter(|name| !self.owner.contains_key(*name))
            .collect()
    }

    /// Whether the configuration of `name` asks for the MAC of none of the NICs.
    fn pinned_elsewhere(&self, name: &str) -> bool {
        let device = self.topology.get(name);
        let mut macs = device
            .iter()
            .flat_map(|device| &device.interfaces)
            .flat_map(|interface| &interface.matches.macs)
            .peekable();
        macs.peek().is_some() && macs.all(|mac| self.nics.iter().all(|nic| nic.mac != *mac))
    }

    /// Says where a configuration will not take the card that gets its name.
    fn warn_of_other_macs(&mut self) {
        for (nic, given) in self.nics.iter().zip(&self.given) {
            let device = given
                .as_ref()
                .and_then(|claim| self.topology.get(&claim.name));
            let Some(device) = device else { continue };
            let asked = |one: &&'a Interface| {
                let macs = &one.matches.macs;
                let first = macs.first().filter(|_| !macs.contains(&nic.mac))?;
                Some((&one.source, *first))
            };
            let asked: Vec<_> = device.interfaces.iter().filter_map(asked).collect();
            if let Some((source, mac)) = asked.first()
                && asked.len() == device.interfaces.len()
            {
                self.warnings.push(format!(
                    "{}: {} is its name, but {source} is for MAC {mac}, and will not take it: correct it",
                    nic.mac, device.name,
                ));
            }
        }
    }

    fn into_decided(self) -> Vec<Decided> {
        let each = self.nics.iter().zip(self.findings).zip(self.given);
        each.map(|((nic, findings), given)| {
            let mac = nic.mac;
            let Some(given) = given else {
                let outcome = match &findings.nameless {
                    Some(found) => Outcome::NotNeeded {
                        source: found.source.clone(),
                        by: found.by.clone(),
                    },
                    None => Outcome::Unknown {
                        hint: findings.hint.clone(),
                    },
                };
                return Decided {
                    mac,
                    outcome,
                    evidence: Vec::new(),
                };
            };
            let mut evidence = Vec::new();
            if let Some(aggregate) = &findings.aggregate {
                let is_port = aggregate.ports.contains(&given.name.as_str());
                if is_port && given.strength != Strength::FirstPort {
                    evidence.push(Claim {
                        name: given.name.clone(),
                        strength: Strength::Address,
                        source: aggregate.source.clone(),
                        by: aggregate.by.clone(),
                    });
                }
            }
            let agreeing = findings
                .claims
                .iter()
                .filter(|claim| claim.name == given.name);
            evidence.extend(agreeing.cloned());
            evidence.dedup();
            if !evidence.contains(&given) {
                evidence.push(given.clone());
            }
            Decided {
                mac,
                outcome: Outcome::Name(given.name),
                evidence,
            }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests;
