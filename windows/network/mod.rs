//! Network settings of a Windows guest, carried over to the NICs of the new machine.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod machine_wide;
mod matching;
mod name;
mod nsi;
mod settings;
mod task;
#[cfg(test)]
mod tests;
mod wish;

use std::sync::LazyLock;

use ipnet::IpNet;
use refit_engine::{
    Change, Evidence, Fixup, Guest, HiveName, Info, Nic, Proposal, Request, Verdict,
};
use refit_hive::Hive;
use refit_machine::Mac;

use crate::adapters::{self, Adapter, Role};
use crate::tasks::Task;
use matching::{Card, Target};
use settings::{Settings, shown};

/// The fixup `windows-network`.
#[derive(Debug)]
pub struct WindowsNetwork;

impl Fixup for WindowsNetwork {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("network/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        let Some(windows) = &guest.facts().windows else {
            let reason = "the guest is no Windows".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        let Some(system) = guest.hive(&HiveName::System)? else {
            let reason = "the guest has no SYSTEM hive".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        let found = examine(&system, &windows.control_set(), &request.nics);
        propose(guest, found)
    }
}

/// The static addresses of `adapter`, for who would remove it.
pub(crate) fn static_addresses(system: &Hive, set: &str, adapter: &Adapter) -> Vec<IpNet> {
    settings::read(system, set, adapter, &mut Vec::new()).addresses
}

/// What is to be done, and what is to be said.
#[derive(Debug, Default)]
struct Findings {
    tasks: Vec<Task>,
    /// NICs that have their settings already.
    done: usize,
    evidence: Vec<Evidence>,
    warnings: Vec<String>,
    /// Cards with static addresses that no NIC was found for.
    lost: usize,
    /// Teams, bridges and switches, which lose their cards.
    teams: usize,
}

fn propose(guest: &Guest<'_>, found: Findings) -> anyhow::Result<Proposal> {
    let mut changes: Vec<Change> = Vec::new();
    for task in &found.tasks {
        changes.extend(task.change(guest)?);
    }
    let verdict = if !changes.is_empty() {
        Verdict::Change {
            reason: "the new network card would come up without the settings of the old one"
                .to_owned(),
            changes,
        }
    } else if found.lost > 0 && found.tasks.is_empty() {
        Verdict::Blocked {
            reason: "the guest has static addresses, but it is not certain which NIC is to have them; the warnings \
                     say what to give"
                .to_owned(),
        }
    } else if found.teams > 0 && found.tasks.is_empty() {
        Verdict::Blocked {
            reason: "the guest's addresses are those of a team, bridge or virtual switch, which Windows cannot move to \
                     other NICs: give it the new ones after the first boot"
                .to_owned(),
        }
    } else {
        let reason = match (found.tasks.is_empty(), found.done) {
            (false, _) => "the settings move to the new network card at first boot",
            (true, 0) => "there are no settings that a new network card would lack",
            (true, _) => "the new network card has its settings",
        };
        Verdict::Fine {
            reason: reason.to_owned(),
        }
    };
    Ok(Proposal {
        verdict,
        evidence: found.evidence,
        warnings: found.warnings,
    })
}

fn examine(system: &Hive, set: &str, nics: &[Nic]) -> Findings {
    let mut found = Findings::default();
    let mut cards = Vec::new();
    let mut present = Vec::new();
    for adapter in adapters::read(system, set) {
        match &adapter.role {
            Role::Card if adapter.is_virtio() => {
                let settings = settings::read(system, set, &adapter, &mut Vec::new());
                present.push((adapter, settings));
            }
            Role::Card => {
                let settings = settings::read(system, set, &adapter, &mut found.warnings);
                cards.push(Card {
                    adapter,
                    settings,
                    target: None,
                });
            }
            Role::Member(above) => found.warnings.push(format!(
                "{} is part of a team, bridge or virtual switch ({above}), which knows it by its GUID: it is left \
                 alone, and the new NIC has to be made a part of it by hand",
                adapter.label()
            )),
            Role::Compound(driver) => {
                found.warnings.push(format!(
                    "{} is a team, bridge or virtual switch ({driver}): its settings stay, but it has to be given \
                     the new NICs by hand",
                    adapter.label()
                ));
                found.teams += 1;
            }
            Role::Other => {}
        }
    }
    let hints = adapters::hints(system, set);
    matching::assign(&mut cards, nics, &hints, &mut found.warnings);
    let mut taken: Vec<usize> = Vec::new();
    for card in &mut cards {
        if let Some(nic) = card.target.as_ref().and_then(|target| target.nic) {
            taken.push(nic);
            wish::apply(
                &nics[nic],
                &mut card.settings,
                &card.adapter.label(),
                &mut found.warnings,
            );
        }
    }
    report_shared_addresses(&cards, &mut found.warnings);
    for card in &cards {
        found.card(system, set, card, nics, &present);
    }
    for (index, nic) in nics.iter().enumerate() {
        if !taken.contains(&index) && !nic.addresses.is_empty() {
            found.nic_alone(nic, &present);
        }
    }
    if !cards.is_empty() || !present.is_empty() {
        found
            .evidence
            .extend(machine_wide::evidence(system, set, &mut found.warnings));
    }
    found
}

impl Findings {
    fn card(
        &mut self,
        system: &Hive,
        set: &str,
        card: &Card,
        nics: &[Nic],
        present: &[(Adapter, Settings)],
    ) {
        let adapter = &card.adapter;
        let name = self.name(adapter);
        let nothing_special = card.settings.is_plain() && name.is_none_or(name::is_default);
        self.evidence.push(evidence(card, nothing_special));
        let Some(target) = &card.target else {
            self.without_target(card, nics);
            return;
        };
        if nothing_special {
            return;
        }
        if let Some((_, has)) = present
            .iter()
            .find(|(there, has)| is_successor(there, has, target, &card.settings))
        {
            self.done += 1;
            if has.addresses != card.settings.addresses {
                self.warnings.push(format!(
                    "{}: the new NIC {} has other addresses already, which stay",
                    adapter.label(),
                    target.mac
                ));
            }
            return;
        }
        self.caveats(system, set, adapter);
        self.add(target.mac, name, &card.settings, Some(adapter));
    }

    fn add(&mut self, mac: Mac, name: Option<&str>, settings: &Settings, old: Option<&Adapter>) {
        match task::build(mac, name, settings, old.map(|adapter| &adapter.guid)) {
            Ok(task) => self.tasks.push(task),
            Err(error) => {
                self.lost += 1;
                self.warnings.push(format!(
                    "the settings of {mac} are not carried over: {error}"
                ));
            }
        }
    }

    /// The connection's name, if it can be given to another.
    fn name<'a>(&mut self, adapter: &'a Adapter) -> Option<&'a str> {
        let name = adapter.name.as_deref()?;
        if name::is_sound(name) {
            return Some(name);
        }
        self.warnings.push(format!(
            "the name {} of a connection is not carried over: Windows would not take it",
            shown(name)
        ));
        None
    }

    fn without_target(&mut self, card: &Card, nics: &[Nic]) {
        if !card.settings.is_static() || card.adapter.gone {
            return;
        }
        self.lost += 1;
        if let (Some((mac, _)), false) = (card.adapter.mac, nics.is_empty()) {
            self.warnings.push(format!(
                "{}: no NIC of the machine has its MAC {mac}, so its settings are not carried over; if one replaces \
                 it, say so with --nic {mac}=>NEW",
                card.adapter.label()
            ));
        }
    }

    /// What Windows keeps with the old interface and a task cannot say.
    fn caveats(&mut self, system: &Hive, set: &str, adapter: &Adapter) {
        let label = adapter.label();
        if let Some(mac) = adapter.replaced_mac {
            self.warnings.push(format!(
                "{label}: Windows gave it the MAC {mac} in place of its own; that is not carried over, so give the \
                 new NIC this MAC if it matters"
            ));
        }
        let bound = |service: &str| {
            adapter
                .bound
                .iter()
                .any(|name| name.eq_ignore_ascii_case(service))
        };
        let runs = |service: &str| {
            system
                .key(&format!(r"{set}\Services\{service}"))
                .is_some_and(|key| adapters::dword(&key, "Start").is_some_and(|start| start < 4))
        };
        if bound("Tcpip") && !bound("Tcpip6") && runs("Tcpip6") {
            self.warnings.push(format!(
                "{label}: IPv6 was switched off on it; the new NIC will have it switched on"
            ));
        }
        let balanced = format!(r"{set}\Services\WLBS\Parameters\Interface\{}", adapter.guid);
        if system.key(&balanced).is_some() {
            self.warnings.push(format!(
                "{label}: Network Load Balancing is configured for it, which has to be done again for the new NIC"
            ));
        }
    }

    /// A NIC that is to have addresses, but had no card.
    fn nic_alone(&mut self, nic: &Nic, present: &[(Adapter, Settings)]) {
        let mut settings = Settings {
            dhcp: true,
            ..Settings::default()
        };
        wish::apply(nic, &mut settings, &nic.mac.to_string(), &mut self.warnings);
        let has = |(adapter, has): &(Adapter, Settings)| {
            is_mac(adapter, nic.mac) && has.addresses == settings.addresses
        };
        if present.iter().any(has) {
            self.done += 1;
            return;
        }
        self.evidence.push(Evidence::from([
            ("mac", nic.mac.to_string()),
            ("addresses", list(&settings.addresses)),
            ("source", nic.origin.clone()),
        ]));
        self.add(nic.mac, None, &settings, None);
    }
}

/// Whether a NIC of the new machine that the guest has met already is the one that takes over, and was configured.
fn is_successor(there: &Adapter, has: &Settings, target: &Target, settings: &Settings) -> bool {
    let shares = || {
        has.addresses
            .iter()
            .any(|address| settings.addresses.contains(address))
    };
    has.is_static() && (is_mac(there, target.mac) || there.mac.is_none() && shares())
}

fn is_mac(adapter: &Adapter, mac: Mac) -> bool {
    adapter.mac.is_some_and(|(known, _)| known == mac)
}

/// One address at two cards: one of them is left over from an earlier change of hardware.
fn report_shared_addresses(cards: &[Card], warnings: &mut Vec<String>) {
    let targeted: Vec<&Card> = cards.iter().filter(|card| card.target.is_some()).collect();
    for (index, card) in targeted.iter().enumerate() {
        for other in &targeted[..index] {
            let shared = card.settings.addresses.iter().find(|address| {
                other
                    .settings
                    .addresses
                    .iter()
                    .any(|known| known.addr() == address.addr())
            });
            if let Some(address) = shared {
                warnings.push(format!(
                    "{} and {} both have {}: one of them is left over from an earlier change of hardware, and its \
                     task will find no NIC; give --nic for the NICs that the machine has",
                    other.adapter.label(),
                    card.adapter.label(),
                    address.addr()
                ));
            }
        }
    }
}

fn evidence(card: &Card, nothing_special: bool) -> Evidence {
    let adapter = &card.adapter;
    let mut facts = vec![
        ("adapter", adapter.label()),
        ("guid", adapter.guid.to_string()),
        ("driver", adapter.service.clone()),
    ];
    let what = match (card.settings.is_static(), nothing_special) {
        (true, _) => list(&card.settings.addresses),
        (false, true) => "DHCP, nothing special".to_owned(),
        (false, false) => "DHCP, with settings of its own".to_owned(),
    };
    facts.push(("addresses", what));
    match &card.target {
        Some(target) => {
            facts.push(("mac", target.mac.to_string()));
            facts.push(("by", target.why.clone()));
        }
        None if adapter.gone => facts.push(("gone", "when Windows last ran".to_owned())),
        None => {}
    }
    let facts = facts.into_iter().map(|(key, value)| (key.into(), value));
    Evidence(facts.collect())
}

fn list<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}
