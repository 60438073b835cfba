//! Which NIC of the new machine takes over which of the guest's cards.
//!
//! By evidence, the strongest first: the hardware address that the card had, the number of its slot, an
//! address that both have, and only then that nothing else is left. Never the order in which they are listed.

use refit_engine::Nic;
use refit_machine::Mac;

use super::settings::Settings;
use crate::adapters::{Adapter, Hint};

/// A card, what it is told to be, and which NIC is to be that from now on.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) adapter: Adapter,
    pub(super) settings: Settings,
    pub(super) target: Option<Target>,
}

/// The NIC that takes over, and why it is this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) mac: Mac,
    /// Index in the request's list, if it is there.
    pub(super) nic: Option<usize>,
    pub(super) why: String,
}

/// Finds the NICs of `cards`. `nics` are those of the machine, in whatever detail they are known; empty if nothing is
/// known of the machine.
pub(super) fn assign(cards: &mut [Card], nics: &[Nic], hints: &[Hint], warnings: &mut Vec<String>) {
    if nics.is_empty() {
        by_record(cards, hints, warnings);
        return;
    }
    pass(cards, nics, |card, nic| {
        let (mac, source) = card.adapter.mac?;
        (nic.replaces == Some(mac) || (nic.replaces.is_none() && nic.mac == mac))
            .then(|| format!("MAC {mac} ({})", source.describe()))
    });
    pass(cards, nics, |card, nic| {
        let slot = card.adapter.slot.filter(|_| card.adapter.mac.is_none())?;
        (nic.pci_slot == Some(slot)).then(|| format!("slot {slot}"))
    });
    pass(cards, nics, |card, nic| {
        let same = card.settings.addresses.iter().find(|address| {
            nic.addresses
                .iter()
                .any(|other| other.addr() == address.addr())
        })?;
        Some(format!("address {}", same.addr()))
    });
    last_pair(cards, nics, hints, warnings);
    for card in cards.iter().filter(|card| card.target.is_none()) {
        if card.adapter.mac.is_none() && card.settings.is_static() {
            warnings.push(format!(
                "{}: no MAC is recorded for it and several NICs are left, so its settings are not carried over; say \
                 which it is with --nic MAC=ADDRESS/PREFIX",
                card.adapter.label()
            ));
        }
    }
}

/// Pairs every card that only one free NIC agrees with, if that agrees with no other card.
fn pass(cards: &mut [Card], nics: &[Nic], agrees: impl Fn(&Card, &Nic) -> Option<String>) {
    let taken: Vec<usize> = cards.iter().filter_map(nic_of).collect();
    let mut found: Vec<(usize, usize, String)> = Vec::new();
    for (card_index, card) in cards.iter().enumerate() {
        if card.target.is_some() {
            continue;
        }
        for (nic_index, nic) in nics.iter().enumerate() {
            if taken.contains(&nic_index) {
                continue;
            }
            if let Some(why) = agrees(card, nic) {
                found.push((card_index, nic_index, why));
            }
        }
    }
    for (card, nic, why) in &found {
        let others = found
            .iter()
            .filter(|other| other.0 == *card || other.1 == *nic)
            .count();
        if others == 1 {
            cards[*card].target = Some(Target {
                mac: nics[*nic].mac,
                nic: Some(*nic),
                why: why.clone(),
            });
        }
    }
}

fn nic_of(card: &Card) -> Option<usize> {
    card.target.as_ref()?.nic
}

/// One card and one NIC that nothing else was found for belong together, unless the card was gone anyway.
fn last_pair(cards: &mut [Card], nics: &[Nic], hints: &[Hint], warnings: &mut Vec<String>) {
    let taken: Vec<usize> = cards.iter().filter_map(nic_of).collect();
    let mut free_nics = (0..nics.len()).filter(|index| !taken.contains(index));
    let (Some(nic), None) = (free_nics.next(), free_nics.next()) else {
        return;
    };
    let mut free_cards: Vec<&mut Card> = cards
        .iter_mut()
        .filter(|card| card.target.is_none() && !card.adapter.gone)
        .collect();
    // A card that only ever had DHCP has nothing to lose to one with addresses.
    if free_cards.len() > 1 {
        free_cards.retain(|card| card.settings.is_static());
    }
    let [card] = free_cards.as_mut_slice() else {
        return;
    };
    let mac = nics[nic].mac;
    let why = match (&card.adapter.mac, hints.iter().find(|hint| hint.mac == mac)) {
        (Some((old, source)), _) => {
            warnings.push(format!(
                "{}: its MAC was {old} ({}), and the machine's only other NIC has {mac}; it is taken for the same. \
                 If it is not, say so with --nic",
                card.adapter.label(),
                source.describe()
            ));
            format!("the only ones left, although its MAC was {old}")
        }
        (None, Some(hint)) => format!("the only ones left, and the MAC is in the {}", hint.source),
        (None, None) => "the only ones left".to_owned(),
    };
    card.target = Some(Target {
        mac,
        nic: Some(nic),
        why,
    });
}

/// Nothing is known of the machine: a card keeps the address that is recorded.
fn by_record(cards: &mut [Card], hints: &[Hint], warnings: &mut Vec<String>) {
    for card in cards.iter_mut().filter(|card| !card.adapter.gone) {
        if let Some((mac, source)) = card.adapter.mac {
            card.target = Some(Target {
                mac,
                nic: None,
                why: source.describe().to_owned(),
            });
        }
    }
    for index in 0..cards.len() {
        let Some(target) = cards[index].target.clone() else {
            continue;
        };
        if cards[..index].iter().any(|card| {
            card.target
                .as_ref()
                .is_some_and(|other| other.mac == target.mac)
        }) {
            warnings.push(format!(
                "{}: another card has its MAC {} too; its settings are not carried over",
                cards[index].adapter.label(),
                target.mac
            ));
            cards[index].target = None;
        }
    }
    // Hints are of the machine: with a single card, they are of this card.
    let single = cards.len() == 1;
    for card in cards.iter_mut() {
        if card.target.is_some() || card.adapter.gone || !card.settings.is_static() {
            continue;
        }
        match hints {
            [hint] if single => {
                warnings.push(format!(
                    "{}: its MAC {} is known only from the {}, which a clone has from its template; to be sure, give \
                     --nic MAC",
                    card.adapter.label(),
                    hint.mac,
                    hint.source
                ));
                card.target = Some(Target {
                    mac: hint.mac,
                    nic: None,
                    why: hint.source.to_owned(),
                });
            }
            _ => warnings.push(format!(
                "{}: its MAC is not recorded, so its settings are not carried over; give --nic MAC for each NIC, or \
                 --vmx FILE",
                card.adapter.label()
            )),
        }
    }
}
