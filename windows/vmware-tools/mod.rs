//! VMware Tools in a Windows guest, removed from its registry and files without running it.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod check;
mod com;
mod devices;
mod edits;
mod files;
mod filters;
mod first_boot;
mod msi;
mod packed;
mod paths;
mod providers;
mod reg;
mod services;
mod signatures;
mod software;
mod survey;
mod tasks;
mod users;
mod winsock;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::LazyLock;

use anyhow::Context as _;
use refit_engine::{
    Change, Evidence, Fixup, Guest, HiveName, Info, Proposal, Request, Verdict, WindowsFacts,
};
use refit_hive::Hive;

use crate::parameters;
use edits::Edits;
use paths::Places;
use signatures::Signatures;
use survey::Survey;
use users::UserHive;

/// The fixup `windows-vmware-tools`.
#[derive(Debug)]
pub struct VmwareTools;

/// The tables and the parameter that each is removed with.
fn tables() -> [(&'static str, &'static Signatures); 4] {
    [
        ("vmware", &signatures::VMWARE),
        ("virtualbox", &signatures::VIRTUALBOX),
        ("parallels", &signatures::PARALLELS),
        ("xen", &signatures::XEN),
    ]
}

/// The registry as it is, or as the tables before will leave it.
#[derive(Clone)]
struct Hives {
    system: Rc<Hive>,
    software: Rc<Hive>,
    drivers: Option<Rc<Hive>>,
    users: Vec<UserHive>,
}

impl Fixup for VmwareTools {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("vmware-tools/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        let Some(windows) = guest.facts().windows.clone() else {
            let reason = "the guest is no Windows".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        let (Some(system), Some(software)) = (
            guest.hive(&HiveName::System)?,
            guest.hive(&HiveName::Software)?,
        ) else {
            let reason = "the guest's registry has no SYSTEM or no SOFTWARE hive".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        let drivers = guest.hive(&HiveName::Drivers)?;
        let mut evidence = Vec::new();
        let (mut warnings, mut unread) = (Vec::new(), Vec::new());
        let mut hives = Hives {
            system,
            software,
            drivers,
            users: users(guest, &mut unread)?,
        };
        let mut changes = Vec::new();
        let mut found = Vec::new();
        let mut once = Vec::new();
        for (parameter, table) in tables() {
            if !parameters::flag(self.info(), request, parameter) {
                evidence.extend(left(&hives, &windows, parameter, table));
                continue;
            }
            if ran_on(&hives, &windows, table) {
                once.push(table.title.as_str());
            }
            let removal = remove(guest, &hives, &windows, table, &mut evidence)?;
            warnings.extend(removal.warnings);
            if removal.changes.is_empty() {
                continue;
            }
            found.push(removal.reason);
            changes.extend(removal.changes);
            hives = removal.hives;
        }
        // What is in them matters only if there is something to look for.
        if !(changes.is_empty() && once.is_empty()) {
            warnings.append(&mut unread);
        }
        let verdict = if !changes.is_empty() {
            Verdict::Change {
                reason: found.join("; "),
                changes,
            }
        } else if once.is_empty() {
            Verdict::NotApplicable {
                reason: "the guest did not run on a hypervisor whose tools are to be removed"
                    .to_owned(),
            }
        } else {
            Verdict::Fine {
                reason: format!("no {} are there", once.join(" and ")),
            }
        };
        Ok(Proposal {
            verdict,
            evidence,
            warnings,
        })
    }
}

/// What one table's removal is.
struct Removal {
    reason: String,
    changes: Vec<Change>,
    warnings: Vec<String>,
    hives: Hives,
}

fn remove(
    guest: &Guest<'_>,
    hives: &Hives,
    windows: &WindowsFacts,
    table: &Signatures,
    evidence: &mut Vec<Evidence>,
) -> anyhow::Result<Removal> {
    let (system, software) = (hives.system.as_ref(), hives.software.as_ref());
    let places = Places::new(windows, software);
    let mut edits = Edits::default();
    let mut survey = Survey::new(guest, software, table, &places, &mut edits.warnings)?;
    let names: Vec<String> = windows.control_set_names().collect();
    let sets = services::decide(system, &names, &mut survey, &mut edits);
    for set in &sets {
        services::references(system, set, &survey, &mut edits);
        filters::remove(system, set, &survey, &mut edits);
        devices::remove(system, set, &mut edits);
        devices::remove_names(system, set, &survey, &mut edits);
        providers::network(system, set, &survey, &mut edits);
        providers::libraries(system, set, &survey, &mut edits);
        providers::search_path(system, set, &survey, &mut edits);
    }
    let mut needed = BTreeSet::new();
    for set in &sets {
        needed.extend(winsock::remove(system, set, &survey, &mut edits));
    }
    survey.protected.extend(needed);
    let classes = com::remove(software, &sets, &survey, &mut edits);
    for set in &sets {
        providers::shadow_copies(system, set, &classes, &survey, &mut edits);
    }
    msi::remove(software, &survey, &mut edits);
    for product in &survey.products {
        evidence.push(Evidence::from([
            ("product", product.name.clone()),
            ("version", product.version.clone()),
            ("code", product.key.clone()),
        ]));
    }
    software::remove(software, &survey, &mut edits);
    users::remove(&hives.users, &survey, &mut edits);
    providers::of_sessions(software, &survey, &mut edits);
    tasks::remove(guest, software, &survey, &mut edits)?;
    let removed = files::remove(guest, &survey, &mut edits)?;
    let is_gone = |path: &paths::WinPath| removed.has(path);
    software::installer_folders(software, &is_gone, &survey, &mut edits);
    staged(guest, hives, &sets, &survey, &mut edits)?;
    if std::ptr::eq(table, &*signatures::VMWARE) {
        first_boot::remove(guest, &mut edits)?;
    }
    let after = edited(hives, edits.changes())?;
    let planned = check::Planned {
        system: &after.system,
        software: &after.software,
        drivers: after.drivers.as_deref(),
        users: &after.users,
    };
    let is_gone = |path: &paths::WinPath| removed.takes(path) || survey.is_own(path);
    for leftover in check::leftovers(&planned, &sets, &survey, &is_gone) {
        edits.warn(format!("still points at what is removed: {leftover}"));
    }
    let reason = match survey.products.first() {
        Some(product)
            if !product.version.is_empty()
                && !product.version.starts_with(last_word(&product.name)) =>
        {
            format!("{} {} is installed", product.name, product.version)
        }
        Some(product) => format!("{} is installed", product.name),
        None => format!("{} left something behind", table.title),
    };
    let warnings = std::mem::take(&mut edits.warnings);
    Ok(Removal {
        reason,
        changes: edits.into_changes(),
        warnings,
        hives: after,
    })
}

/// The hives of users, and that of Local System. One that cannot be read costs what is in it.
fn users(guest: &Guest<'_>, warnings: &mut Vec<String>) -> anyhow::Result<Vec<UserHive>> {
    let mut users = Vec::new();
    for name in guest.user_hives()?.into_iter().chain([HiveName::Default]) {
        match guest.hive(&name) {
            Ok(Some(hive)) => users.push((name, hive)),
            Ok(None) => {}
            Err(error) => warnings.push(format!("left alone: {error:#}")),
        }
    }
    Ok(users)
}

/// Driver packages in the driver store: they stay, but serve only the hypervisor's own devices.
fn staged(
    guest: &Guest<'_>,
    hives: &Hives,
    sets: &[services::ControlSet],
    survey: &Survey<'_>,
    edits: &mut Edits,
) -> anyhow::Result<()> {
    let mut packages = Vec::new();
    for (name, hive) in [
        (HiveName::System, Some(&hives.system)),
        (HiveName::Drivers, hives.drivers.as_ref()),
    ] {
        let Some(hive) = hive else {
            continue;
        };
        if let Some(set) = sets.first() {
            filters::remove_staged(hive, &name, set, survey, edits);
        }
        let staged = devices::packages(hive, survey);
        devices::unmatch(hive, &name, &staged, survey, edits);
        packages.extend(staged);
    }
    packages.extend(devices::stored(guest, survey, &packages)?);
    packages.sort();
    packages.dedup();
    if !packages.is_empty() {
        let names: Vec<String> = packages.iter().map(ToString::to_string).collect();
        edits.warn(format!(
            "driver packages of {} stay in the driver store, where they do nothing without its devices: {}; in the \
             running guest, `pnputil /delete-driver` removes them",
            survey.signatures.title,
            names.join(", ")
        ));
    }
    Ok(())
}

/// The hives with `changes` made.
fn edited(hives: &Hives, changes: &[Change]) -> anyhow::Result<Hives> {
    let mut after = hives.clone();
    for change in changes {
        let Some((name, key)) = change.key() else {
            continue;
        };
        let hive = match name {
            HiveName::System => &mut after.system,
            HiveName::Software => &mut after.software,
            HiveName::Drivers => after.drivers.as_mut().context("there is no hive DRIVERS")?,
            HiveName::Default | HiveName::User(_) => {
                let mut users = after.users.iter_mut();
                let found = users.find(|(user, _)| user == name);
                &mut found.with_context(|| format!("there is no hive {name}"))?.1
            }
        };
        let hive = Rc::make_mut(hive);
        let done = match change {
            Change::RegistrySet { name, value, .. } => hive.set_value(key, name, value),
            Change::RegistryDelete {
                name: Some(name), ..
            } => hive.delete_value(key, name).map(drop),
            Change::RegistryDelete { name: None, .. } => hive.delete_key(key).map(drop),
            _ => Ok(()),
        };
        done.with_context(|| format!("planning to {change}"))?;
    }
    Ok(after)
}

/// Whether the guest has devices of this hypervisor, present or not.
fn ran_on(hives: &Hives, windows: &WindowsFacts, table: &Signatures) -> bool {
    windows.control_set_names().any(|set| {
        table.hardware.iter().any(|hardware| {
            let (bus, device) = hardware.split_once('\\').unwrap_or((hardware, ""));
            let devices = reg::names(&hives.system, &format!("{set}\\Enum\\{bus}"));
            let mut devices = devices.iter().map(|name| name.to_uppercase());
            devices.any(|name| name.starts_with(device))
        })
    })
}

/// What the report says of tools that are there and not to be removed.
fn left(
    hives: &Hives,
    windows: &WindowsFacts,
    parameter: &str,
    table: &Signatures,
) -> Option<Evidence> {
    let services = format!("{}\\Services", windows.control_set());
    let names = reg::names(&hives.system, &services);
    let there = names.iter().any(|name| table.service(name).is_some());
    there.then(|| {
        Evidence::from([
            ("found", table.title.clone()),
            (
                "remove_with",
                format!("--set windows-vmware-tools.{parameter}=true"),
            ),
        ])
    })
}

/// What a product's name ends with: some have the version there.
fn last_word(name: &str) -> &str {
    name.rsplit(' ').next().unwrap_or_default()
}
