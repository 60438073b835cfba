//! Libraries of the product that parts of Windows load: network, time, shadow copies, printing.

use std::collections::BTreeSet;

use refit_engine::HiveName;
use refit_hive::{Hive, Value};

use super::edits::Edits;
use super::reg;
use super::services::ControlSet;
use super::survey::Survey;

/// Keys with the order in which network providers are asked, as a text with commas in `ProviderOrder`.
pub(crate) const ORDERS: [&str; 2] = [
    "Control\\NetworkProvider\\Order",
    "Control\\NetworkProvider\\HwOrder",
];

/// Takes network providers that go out of the order in which Windows asks them ("Network Provider", Win32
/// documentation: a provider needs an entry there and its service's key).
pub(crate) fn network(system: &Hive, set: &ControlSet, survey: &Survey<'_>, edits: &mut Edits) {
    let hive = HiveName::System;
    for order in ORDERS {
        let path = set.key(order);
        let Some(value) = system.key(&path).and_then(|key| key.value("ProviderOrder")) else {
            continue;
        };
        let text = value.as_str().unwrap_or_default();
        let all: Vec<&str> = text.split(',').collect();
        let left: Vec<&str> = all
            .iter()
            .copied()
            .filter(|name| !set.dangles(survey, name))
            .collect();
        if left.len() < all.len() {
            let value = Value {
                kind: value.kind,
                ..Value::sz(&left.join(","))
            };
            edits.set(&hive, &path, "ProviderOrder", value);
        }
    }
    // Windows 8 and later keep the weights that the order is made of.
    let path = set.key("Control\\NetworkProvider\\ProviderOrder");
    if let Some(key) = system.key(&path) {
        for value in key.values() {
            if set.dangles(survey, &value.name) {
                edits.delete_value(&hive, &path, &value.name);
            }
        }
    }
}

/// Removes the subkeys of `list` whose value `library` names a file of the product.
fn by_library(
    hive: &Hive,
    name: &HiveName,
    list: &str,
    library: &str,
    survey: &Survey<'_>,
    edits: &mut Edits,
) {
    let Some(key) = hive.key(list) else {
        return;
    };
    for entry in key.subkeys() {
        let file = reg::text(&entry, library).and_then(|text| survey.places.file(&text));
        if file.is_some_and(|file| survey.is_own(&file)) {
            edits.delete_key(name, &format!("{list}\\{}", entry.name()));
        }
    }
}

/// Removes time providers, print monitors and print processors.
pub(crate) fn libraries(system: &Hive, set: &ControlSet, survey: &Survey<'_>, edits: &mut Edits) {
    let hive = HiveName::System;
    by_library(
        system,
        &hive,
        &set.key("Services\\W32Time\\TimeProviders"),
        "DllName",
        survey,
        edits,
    );
    let monitors = set.key("Control\\Print\\Monitors");
    let ports: BTreeSet<String> = reg::names(system, &monitors)
        .iter()
        .filter(|name| {
            let file = reg::text_at(system, &format!("{monitors}\\{name}"), "Driver");
            file.and_then(|file| survey.places.file(&file))
                .is_some_and(|file| survey.is_own(&file))
        })
        .flat_map(|name| reg::names(system, &format!("{monitors}\\{name}\\Ports")))
        .map(|port| port.to_lowercase())
        .collect();
    by_library(system, &hive, &monitors, "Driver", survey, edits);
    let environments = set.key("Control\\Print\\Environments");
    for environment in reg::names(system, &environments) {
        let list = format!("{environments}\\{environment}\\Print Processors");
        by_library(system, &hive, &list, "Driver", survey, edits);
    }
    if let Some(printers) = system.key(&set.key("Control\\Print\\Printers")) {
        for printer in printers.subkeys() {
            let port = reg::text(&printer, "Port").unwrap_or_default();
            if ports.contains(&port.to_lowercase()) {
                edits.warn(format!(
                    "printer {} prints to {port}, which only {} served; it is left as it is",
                    printer.name(),
                    survey.signatures.title
                ));
            }
        }
    }
}

/// Removes providers of shadow copies whose class goes, or is the product's and not there.
pub(crate) fn shadow_copies(
    system: &Hive,
    set: &ControlSet,
    classes: &BTreeSet<String>,
    survey: &Survey<'_>,
    edits: &mut Edits,
) {
    let list = set.key("Services\\VSS\\Providers");
    let Some(key) = system.key(&list) else {
        return;
    };
    for provider in key.subkeys() {
        let class = reg::default_of(&provider, "CLSID")
            .unwrap_or_default()
            .to_lowercase();
        let mut known = survey.signatures.registry.vss_providers.iter();
        if classes.contains(&class)
            || known.any(|known| known.eq_ignore_ascii_case(&provider.name()))
        {
            edits.delete_key(&HiveName::System, &format!("{list}\\{}", provider.name()));
        }
    }
}

/// Takes folders where the product is installed out of the path in which programs are looked for.
pub(crate) fn search_path(system: &Hive, set: &ControlSet, survey: &Survey<'_>, edits: &mut Edits) {
    let path = set.key("Control\\Session Manager\\Environment");
    let Some(value) = system.key(&path).and_then(|key| key.value("Path")) else {
        return;
    };
    let text = value.as_str().unwrap_or_default();
    let all: Vec<&str> = text.split(';').collect();
    let own = |folder: &&str| {
        let folder = survey.places.file(folder);
        folder.is_some_and(|folder| survey.is_installed_at(&folder))
    };
    let left: Vec<&str> = all.iter().copied().filter(|folder| !own(folder)).collect();
    if left.len() < all.len() {
        let value = Value {
            kind: value.kind,
            ..Value::sz(&left.join(";"))
        };
        edits.set(&HiveName::System, &path, "Path", value);
    }
}

/// Removes what Windows XP and 2003 call when somebody logs on or off, and what OpenGL is drawn by.
pub(crate) fn of_sessions(software: &Hive, survey: &Survey<'_>, edits: &mut Edits) {
    for (list, library) in [("Winlogon\\Notify", "DllName"), ("OpenGLDrivers", "Dll")] {
        let list = format!("Microsoft\\Windows NT\\CurrentVersion\\{list}");
        for list in reg::views(&list) {
            by_library(software, &HiveName::Software, &list, library, survey, edits);
        }
    }
}
