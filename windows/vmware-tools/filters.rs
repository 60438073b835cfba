//! Filter drivers and co-installers: what Windows loads beside a device's own driver. One that is named there
//! and not found stops the device (code 19 or 39).

use refit_engine::HiveName;
use refit_hive::{Hive, Key};

use super::edits::Edits;
use super::reg;
use super::services::{ControlSet, drop_entries};
use super::survey::Survey;

/// Values that list filters ("Filter Drivers", Windows driver documentation).
pub(crate) const FILTERS: [&str; 2] = ["UpperFilters", "LowerFilters"];

/// Every key of a control set that can have filters: classes, devices, and what boots before Plug and Play.
pub(crate) fn places(system: &Hive, set: &ControlSet) -> Vec<String> {
    let mut places = below(system, &set.key("Control\\Class"), 2);
    places.extend(below(
        system,
        &set.key("Control\\CriticalDeviceDatabase"),
        1,
    ));
    places.extend(below(system, &set.key("Enum"), 3));
    places
}

/// The keys of a hive's database of drivers that can have filters: how each package configures a device.
pub(crate) fn staged_places(hive: &Hive) -> Vec<String> {
    let packages = "DriverDatabase\\DriverPackages";
    let mut places = Vec::new();
    for package in reg::names(hive, packages) {
        places.extend(below(
            hive,
            &format!("{packages}\\{package}\\Configurations"),
            1,
        ));
    }
    places
}

/// The paths of all keys at most `depth` below `path`.
fn below(hive: &Hive, path: &str, depth: usize) -> Vec<String> {
    fn walk(key: &Key<'_>, path: &str, depth: usize, found: &mut Vec<String>) {
        for subkey in key.subkeys() {
            let path = format!("{path}\\{}", subkey.name());
            if depth > 1 {
                walk(&subkey, &path, depth - 1, found);
            }
            found.push(path);
        }
    }
    let mut found = Vec::new();
    if let Some(key) = hive.key(path) {
        walk(&key, path, depth, &mut found);
    }
    found
}

/// Takes filters that go out of one control set.
pub(crate) fn remove(system: &Hive, set: &ControlSet, survey: &Survey<'_>, edits: &mut Edits) {
    for path in places(system, set) {
        drop_filters(system, &HiveName::System, &path, set, survey, edits);
    }
    let path = set.key("Control\\CoDeviceInstallers");
    if let Some(key) = system.key(&path) {
        for value in key.values() {
            drop_entries(
                edits,
                &HiveName::System,
                &path,
                &value.name,
                &value.value,
                |entry| {
                    survey
                        .places
                        .file(entry)
                        .is_some_and(|file| survey.is_own(&file))
                },
            );
        }
    }
    for path in below(system, &set.key("Control\\Class"), 2) {
        let Some(value) = system
            .key(&path)
            .and_then(|key| key.value("CoInstallers32"))
        else {
            continue;
        };
        drop_entries(
            edits,
            &HiveName::System,
            &path,
            "CoInstallers32",
            &value,
            |entry| {
                survey
                    .places
                    .file(entry)
                    .is_some_and(|file| survey.is_own(&file))
            },
        );
    }
}

/// Takes filters that go out of a hive's database of drivers. From that the kernel configures a new device
/// before the package's own installation could bring the filter along.
pub(crate) fn remove_staged(
    hive: &Hive,
    name: &HiveName,
    set: &ControlSet,
    survey: &Survey<'_>,
    edits: &mut Edits,
) {
    for path in staged_places(hive) {
        drop_filters(hive, name, &path, set, survey, edits);
    }
}

fn drop_filters(
    hive: &Hive,
    name: &HiveName,
    path: &str,
    set: &ControlSet,
    survey: &Survey<'_>,
    edits: &mut Edits,
) {
    let Some(key) = hive.key(path) else {
        return;
    };
    for filters in FILTERS {
        if let Some(value) = key.value(filters) {
            drop_entries(edits, name, path, filters, &value, |filter| {
                set.dangles(survey, filter)
            });
        }
    }
}
