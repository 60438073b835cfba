//! Corrects network configuration that asks for what no longer exists.
//!
//! A configuration may find its card by MAC or by driver; both change when the card is replaced by
//! another. `README.md` beside this file says where they are looked for, what is corrected, and
//! what is written on request.

mod addresses;
mod drivers;
mod edit;
mod ethtool;
mod pairing;
mod pins;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use anyhow::bail;
use refit_engine::{Fixup, Guest, GuestPath, Info, Nic, Os, Proposal, Request, Verdict};
use refit_machine::Mac;

use crate::network::configuration::Configuration;
use crate::network::decide::{self, Decided, Naming, Outcome};
use crate::network::predictable;
use crate::network::topology::Topology;
use edit::Files;
use pairing::Pairs;

/// The fixup `nic-config`.
#[derive(Debug)]
pub struct NicConfig;

impl Fixup for NicConfig {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("nic-config/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        if guest.facts().os != Some(Os::Linux) {
            let reason = "the guest is no Linux".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        }
        let mut configuration = Configuration::read(guest);
        let asked = asked_for(&configuration);
        configuration.replace_macs(&request.nics);
        let topology = Topology::new(&configuration.interfaces);
        let write = writes(request)?;
        let decided = names(guest, &request.nics, write, &configuration, &topology)?;
        let pairs = pairing::pairs(&request.nics, &configuration, &topology, &decided, !write);

        let mut files = Files::new(guest);
        let corrected = pins::replace(&mut files, &pairs.replacements)?;
        let (drivers, unclear) = drivers::replace(&mut files)?;
        let commands = ethtool::correct(&mut files)?;
        warn_of_rest(&mut files, &asked, &pairs, &corrected);
        warn_of_settings(&mut files, &request.nics, &pairs)?;
        let mut refused = Vec::new();
        if write {
            refused = addresses::write(
                &mut files,
                &request.nics,
                &configuration,
                &topology,
                &decided,
                &pairs.replacements,
            )?;
        }

        let mut done: Vec<String> = Vec::new();
        let replaced = || {
            let all = pairs.replacements.iter();
            all.filter(|one| corrected.contains_key(&one.old))
        };
        done.extend(replaced().map(|one| format!("{} takes the place of {}", one.new, one.old)));
        done.extend(
            drivers
                .iter()
                .map(|driver| format!("virtio_net takes the place of {driver}")),
        );
        if commands > 0 {
            done.push("commands that a virtio card may refuse must not stop ifup".to_owned());
        }
        let written = || request.nics.iter().filter(|nic| !nic.addresses.is_empty());
        if write && written().count() > refused.len() {
            done.push("addresses are written as they are given".to_owned());
        }
        files.warnings.extend(refused.iter().cloned());
        let evidence = replaced().map(|one| one.evidence()).collect();
        let warnings = std::mem::take(&mut files.warnings);
        let changes = files.into_changes()?;
        let verdict = if !changes.is_empty() {
            let reason = done.join("; ");
            Verdict::Change { reason, changes }
        } else if pairs.some_right {
            let reason = "the configuration asks for the MACs that the cards have".to_owned();
            Verdict::Fine { reason }
        } else {
            let all_refused = !refused.is_empty() && written().count() == refused.len();
            without_changes(&pairs, &configuration, unclear, all_refused)
        };
        Ok(Proposal {
            evidence,
            warnings,
            ..verdict.into()
        })
    }
}

/// The hardware addresses by which the configuration finds cards, with the files.
fn asked_for(configuration: &Configuration) -> Vec<(Mac, GuestPath)> {
    let all = configuration.interfaces.iter();
    all.flat_map(|interface| {
        let macs = interface.matches.macs.iter();
        macs.map(|mac| (*mac, interface.source.clone()))
    })
    .collect()
}

/// Whether addresses are to be written.
fn writes(request: &Request) -> anyhow::Result<bool> {
    let own = request.parameters.get("nic-config");
    match own.and_then(|own| own.get("addresses")?.as_str()) {
        None | Some("keep") => Ok(false),
        Some("write") => Ok(true),
        Some(other) => bail!("nic-config.addresses is keep or write, not {other:?}"),
    }
}

/// What is known of each NIC's name. Addresses that are to be written are evidence only for those
/// that have none better: they may be new, or another card's until now.
fn names(
    guest: &Guest<'_>,
    nics: &[Nic],
    write: bool,
    configuration: &Configuration,
    topology: &Topology<'_>,
) -> anyhow::Result<Vec<Decided>> {
    let naming = Naming::new(predictable::has_predictable_names(guest)?, topology);
    // What is in doubt about names, `nic-names` says.
    let mut warnings = Vec::new();
    let mut decide = |nics: &[Nic]| {
        let bindings = configuration.bindings();
        decide::decide(nics, topology, bindings, naming, &mut warnings)
    };
    if !write {
        return Ok(decide(nics));
    }
    let mut bare = nics.to_vec();
    for nic in &mut bare {
        nic.addresses.clear();
    }
    for one in decide(&bare) {
        if matches!(one.outcome, Outcome::Unknown { .. }) {
            let own = nics.iter().find(|nic| nic.mac == one.mac);
            let bare = bare.iter_mut().find(|nic| nic.mac == one.mac);
            if let (Some(own), Some(bare)) = (own, bare) {
                bare.addresses.clone_from(&own.addresses);
            }
        }
    }
    Ok(decide(&bare))
}

/// Says where the configuration goes on asking for cards that are not there.
fn warn_of_rest(
    files: &mut Files<'_, '_>,
    asked: &[(Mac, GuestPath)],
    pairs: &Pairs,
    corrected: &BTreeMap<Mac, bool>,
) {
    for replacement in &pairs.replacements {
        let is_asked = asked.iter().find(|(mac, _)| *mac == replacement.old);
        if let Some((mac, path)) = is_asked
            && corrected.get(mac) != Some(&true)
        {
            files.warnings.push(format!(
                "{path} asks for {mac}, which is {} now, in a form that is not edited: correct it",
                replacement.new
            ));
        }
    }
    for (mac, path) in &pairs.open {
        files.warnings.push(format!(
            "{path} asks for {mac}, which no card has; if one replaces it, give --nic {mac}=>NEW"
        ));
    }
}

/// Says where a card is given the address of one that is not there.
fn warn_of_settings(files: &mut Files<'_, '_>, nics: &[Nic], pairs: &Pairs) -> anyhow::Result<()> {
    if nics.is_empty() {
        return Ok(());
    }
    let is_known = |mac: Mac| {
        let mut replaced = pairs.replacements.iter();
        nics.iter().any(|nic| nic.mac == mac) || replaced.any(|one| one.old == mac)
    };
    for (mac, path) in pins::set_to_unknown(files, is_known)? {
        files.warnings.push(format!(
            "{path} gives a card the MAC {mac}, which no card has by itself; if it was the old card's own, give --nic \
             {mac}=>NEW"
        ));
    }
    Ok(())
}

/// The verdict where nothing is to be done, and nothing that is asked for is there.
fn without_changes(
    pairs: &Pairs,
    configuration: &Configuration,
    unclear_drivers: bool,
    all_refused: bool,
) -> Verdict {
    let blocked = |reason: &str| Verdict::Blocked {
        reason: reason.to_owned(),
    };
    if !pairs.open.is_empty() {
        return blocked(
            "the configuration asks for MACs that no card has, and nothing tells which cards replace them; give --nic \
             OLD=>NEW",
        );
    }
    if unclear_drivers {
        return blocked(
            "the configuration tells cards by drivers that they will not have; see the warnings",
        );
    }
    if all_refused {
        return blocked("the addresses that are given cannot be written; see the warnings");
    }
    if configuration.interfaces.is_empty() {
        return Verdict::NotApplicable {
            reason: "the guest has no network configuration".to_owned(),
        };
    }
    Verdict::Fine {
        reason: "the configuration asks for nothing that is gone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_valid() {
        assert_eq!(NicConfig.info().id, "nic-config");
    }
}
