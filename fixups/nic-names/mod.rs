//! Keeps the names of network cards.
//!
//! A card's name comes from its place on the bus, which changes with the hypervisor, and the
//! guest's network configuration goes by the name. `README.md` beside this file says what counts as
//! evidence for a name and what is written for which guest.

mod exchange;
mod mechanism;
mod write;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use refit_engine::{Change, Evidence, Fixup, Guest, Info, Nic, Os, Proposal, Request, Verdict};

use crate::network::configuration::Configuration;
use crate::network::decide::{self, Decided, Naming, Outcome};
use crate::network::topology::Topology;
use crate::network::{kernel_names, predictable};
use mechanism::Mechanism;
use write::Wanted;

/// How the user can tell which card is which.
const ADVICE: &str = "give --nic MAC=IP/PREFIX for each card, or --vmx or --ovf of the old machine";

/// The fixup `nic-names`.
#[derive(Debug)]
pub struct NicNames;

impl Fixup for NicNames {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("nic-names/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        if guest.facts().os != Some(Os::Linux) {
            let reason = "the guest is no Linux".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        }
        let mut configuration = Configuration::read(guest);
        configuration.replace_macs(&request.nics);
        let mut warnings = std::mem::take(&mut configuration.warnings);
        let verdict = propose(guest, &request.nics, &configuration, &mut warnings)?;
        let mut seen = BTreeSet::new();
        warnings.retain(|warning| seen.insert(warning.clone()));
        Ok(Proposal {
            warnings,
            ..verdict
        })
    }
}

/// The verdict with its evidence. The proposal's own warnings are left empty for `warnings`.
fn propose(
    guest: &Guest<'_>,
    nics: &[Nic],
    configuration: &Configuration,
    warnings: &mut Vec<String>,
) -> anyhow::Result<Proposal> {
    let topology = Topology::new(&configuration.interfaces);
    warnings.extend(topology.warnings.iter().cloned());
    let none_given = nics.is_empty();
    let paired;
    let nics = if none_given {
        paired = decide::paired_nics(&topology, configuration.bindings());
        &paired
    } else {
        nics
    };
    let predictable = predictable::has_predictable_names(guest)?;
    let naming = Naming::new(predictable, &topology);
    let decided = decide::decide(nics, &topology, configuration.bindings(), naming, warnings);
    let free = free_names(&topology, &decided);
    warn_of_unknown(&decided, &free, warnings);
    if none_given && !decided.is_empty() && !free.is_empty() {
        warnings.push(format!(
            "the configuration asks for {} without a MAC; {ADVICE}",
            list(free.iter().copied())
        ));
    }
    let evidence: Vec<Evidence> = decided.iter().flat_map(evidence_of).collect();

    let wanted: Vec<Wanted> = decided.iter().filter_map(wanted_by).collect();
    let verdict = if wanted.is_empty() {
        without_names(&decided, &free, predictable)
    } else {
        let needed: Vec<Wanted> = wanted
            .iter()
            .filter(|wanted| {
                let renames = configuration.renames(wanted.mac, &wanted.name);
                !renames || !configuration.existing.contradicting(wanted).is_empty()
            })
            .cloned()
            .collect();
        let existing = &configuration.existing;
        match mechanism::of(guest)? {
            Some(mechanism) => {
                let mut needed = needed;
                let mut exchange = Vec::new();
                let exchanged = kernel_names::exchanged(guest.facts(), &decided);
                if exchanged && mechanism != Mechanism::Mactab {
                    if let Some(changes) = exchange::plan(guest, &wanted)? {
                        needed.retain(|wanted| !exchange::is_kernels(wanted));
                        exchange = changes;
                    } else {
                        warnings.push(exchange::advice(&wanted));
                    }
                }
                let mut changes = write::plan(guest, mechanism, &needed, existing, warnings)?;
                changes.append(&mut exchange);
                with_names(&wanted, changes)
            }
            // The kernel's own name for the only card.
            None if wanted.len() == 1 && wanted[0].name == "eth0" => {
                with_names(&wanted, Vec::new())
            }
            None => Verdict::Blocked {
                reason: format!(
                    "the guest has neither udev nor an enabled nameif service, so its kernel names the \
                     cards in the order in which it finds them, and {} cannot be kept; install eudev in \
                     the guest, or enable nameif, before it is moved",
                    list(wanted.iter().map(|wanted| wanted.name.as_str()))
                ),
            },
        }
    };
    Ok(Proposal {
        evidence,
        ..verdict.into()
    })
}

fn wanted_by(decided: &Decided) -> Option<Wanted> {
    match &decided.outcome {
        Outcome::Name(name) => Some(Wanted {
            mac: decided.mac,
            name: name.clone(),
        }),
        Outcome::NotNeeded { .. } | Outcome::Unknown { .. } => None,
    }
}

/// Names of hardware that the configuration uses and no card has got.
fn free_names<'a>(topology: &Topology<'a>, decided: &[Decided]) -> Vec<&'a str> {
    let names = topology.physical().map(|device| device.name);
    names
        .filter(|name| {
            let mut outcomes = decided.iter().map(|one| &one.outcome);
            !outcomes.any(|outcome| matches!(outcome, Outcome::Name(given) if given == name))
        })
        .collect()
}

/// Says which cards may miss their configuration.
fn warn_of_unknown(decided: &[Decided], free: &[&str], warnings: &mut Vec<String>) {
    let mut outcomes = decided.iter().map(|one| &one.outcome);
    let some_named = outcomes.any(|outcome| matches!(outcome, Outcome::Name(_)));
    let left = match free {
        [] => "no name is left over".to_owned(),
        names => format!("left over: {}", list(names.iter().copied())),
    };
    for one in decided {
        let Outcome::Unknown { hint } = &one.outcome else {
            continue;
        };
        match hint {
            // Where no name is known at all, the verdict says so.
            _ if !some_named => {}
            Some(hint) => warnings.push(format!("{}: {hint}; {left}", one.mac)),
            // Nothing is configured for the card, and it may be called anything.
            None if free.is_empty() => {}
            None => warnings.push(format!(
                "{}: nothing tells its name; {left}; {ADVICE}",
                one.mac
            )),
        }
    }
}

/// The verdict where no card needs a name that is known.
fn without_names(decided: &[Decided], free: &[&str], predictable: bool) -> Verdict {
    if decided.is_empty() && free == ["eth0"] && !predictable {
        return Verdict::Fine {
            reason: format!(
                "eth0 is what the kernel calls the first card; if there are several, {ADVICE}"
            ),
        };
    }
    let hints = decided.iter().filter_map(|one| match &one.outcome {
        Outcome::Unknown { hint } => Some(format!("{}: {}", one.mac, hint.as_ref()?)),
        _ => None,
    });
    let hints: Vec<String> = hints.collect();
    if free.is_empty() && !hints.is_empty() {
        let hints = hints.join("; ");
        return Verdict::Blocked {
            reason: format!("{hints}; correct it in the guest"),
        };
    }
    let mut found = decided.iter();
    if !free.is_empty() && !found.all(|one| matches!(one.outcome, Outcome::NotNeeded { .. }))
        || decided.is_empty() && !free.is_empty()
    {
        return Verdict::Blocked {
            reason: format!(
                "the configuration asks for {}, and nothing tells which {}; {ADVICE}",
                list(free.iter().copied()),
                if free.len() == 1 {
                    "card that is"
                } else {
                    "cards those are"
                },
            ),
        };
    }
    if decided
        .iter()
        .any(|one| matches!(one.outcome, Outcome::NotNeeded { .. }))
    {
        return Verdict::Fine {
            reason: "the configuration finds its cards whatever they are called".to_owned(),
        };
    }
    Verdict::NotApplicable {
        reason: "no network configuration asks for a card by name".to_owned(),
    }
}

fn with_names(wanted: &[Wanted], changes: Vec<Change>) -> Verdict {
    let names = list(wanted.iter().map(|wanted| wanted.name.as_str()));
    if changes.is_empty() {
        return Verdict::Fine {
            reason: format!("{names} will stay as on the old machine"),
        };
    }
    if changes
        .iter()
        .all(|change| matches!(change, Change::InitramfsAppend { .. }))
    {
        let which = if wanted.len() == 1 {
            "card is"
        } else {
            "cards are"
        };
        let reason = format!("the initramfs does not know yet which {which} {names}");
        return Verdict::Change { reason, changes };
    }
    let (verb, slot) = match wanted {
        [_] => ("is", "slot"),
        _ => ("are", "slots"),
    };
    let by_slot = wanted.iter().all(|wanted| {
        let number = wanted.name.strip_prefix("ens");
        number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    });
    let reason = if by_slot {
        format!("{names} {verb} named by the old PCI {slot}")
    } else {
        format!("{names} {verb} asked for by name, and nothing ties the name to the card")
    };
    Verdict::Change { reason, changes }
}

fn evidence_of(decided: &Decided) -> Vec<Evidence> {
    let mac = decided.mac.to_string();
    match &decided.outcome {
        Outcome::NotNeeded { source, by } => {
            vec![[("mac", mac), ("source", source.clone()), ("by", by.clone())].into()]
        }
        _ => decided
            .evidence
            .iter()
            .map(|claim| {
                [
                    ("mac", mac.clone()),
                    ("name", claim.name.clone()),
                    ("source", claim.source.clone()),
                    ("by", claim.by.clone()),
                ]
                .into()
            })
            .collect(),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests;
