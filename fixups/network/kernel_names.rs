//! Names that the kernel gives too, and the one thing that udev cannot do with them.

use refit_engine::Facts;

use super::decide::{Decided, Outcome};

/// The number in a name that the kernel itself gives to Ethernet cards (`eth0`, `eth1`, ...).
pub(crate) fn number(name: &str) -> Option<usize> {
    let digits = name.strip_prefix("eth")?;
    let plain =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    plain.then(|| digits.parse().ok()).flatten()
}

/// Whether udev would have to give a card a name that the kernel gives another: it cannot
/// (systemd.link(5), `Name=`, warns of it). Only udev up to 196 exchanged names through a third.
///
/// The kernel is taken to find the cards in the order of `cards`, the one in which they are given.
pub(crate) fn exchanged(facts: &Facts, cards: &[Decided]) -> bool {
    let udev_exchanges =
        facts.systemd.is_none() && facts.init.as_deref().is_some_and(|i| i != "systemd");
    !udev_exchanges
        && cards.iter().enumerate().any(|(index, card)| {
            let Outcome::Name(name) = &card.outcome else {
                return false;
            };
            number(name).is_some_and(|number| number != index && number < cards.len())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_names_are_eth_and_a_number() {
        for (name, expected) in [
            ("eth0", Some(0)),
            ("eth12", Some(12)),
            ("eth", None),
            ("eth00", None),
            ("ethx0", None),
            ("eth99999999999999999999", None),
            ("ens192", None),
        ] {
            assert_eq!(number(name), expected, "{name}");
        }
    }

    #[test]
    fn only_names_that_another_card_has_first_are_in_the_way() {
        let decided = |names: &[&str]| -> Vec<Decided> {
            let each = names.iter().zip(1..);
            each.map(|(name, last)| Decided {
                mac: refit_machine::Mac([0, 0x50, 0x56, 0, 0, last]),
                outcome: match *name {
                    "" => Outcome::Unknown { hint: None },
                    name => Outcome::Name(name.to_owned()),
                },
                evidence: Vec::new(),
            })
            .collect()
        };
        let modern = Facts {
            systemd: Some(252),
            ..Facts::default()
        };
        let old = Facts {
            init: Some("upstart".to_owned()),
            ..Facts::default()
        };
        for (names, expected) in [
            (&["eth0", "eth1"] as &[_], false),
            (&["eth1", "eth0"], true),
            (&["ens192", "eth1"], false),
            (&["eth1"], false),
            (&["eth1", ""], true),
            (&["eth10", "eth1"], false),
            (&["lan0", "eth0"], true),
            (&["lan0", "lan1"], false),
        ] {
            let cards = decided(names);
            assert_eq!(exchanged(&modern, &cards), expected, "{names:?}");
            assert!(!exchanged(&old, &cards), "{names:?}");
        }
    }
}
