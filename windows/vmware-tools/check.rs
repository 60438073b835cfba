//! Whether anything still points at what is gone.

use std::collections::BTreeSet;

use refit_engine::HiveName;
use refit_hive::{Hive, Key};

use super::com;
use super::filters::{FILTERS, places, staged_places};
use super::paths::WinPath;
use super::providers::ORDERS;
use super::reg;
use super::services::ControlSet;
use super::survey::Survey;
use super::users::UserHive;
use super::winsock;

/// The registry as it will be.
#[derive(Debug)]
pub(crate) struct Planned<'h> {
    pub(crate) system: &'h Hive,
    pub(crate) software: &'h Hive,
    pub(crate) drivers: Option<&'h Hive>,
    pub(crate) users: &'h [UserHive],
}

/// Walks every service, filter, provider, class and command of `planned`; tells those that name a file of
/// which `gone` says that it is not there, or a service that is not.
pub(crate) fn leftovers(
    planned: &Planned<'_>,
    sets: &[ControlSet],
    survey: &Survey<'_>,
    gone: &dyn Fn(&WinPath) -> bool,
) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut walk = Walk {
        survey,
        gone,
        found: &mut found,
    };
    for set in sets {
        let exists = |name: &str| {
            planned
                .system
                .key(&set.key(&format!("Services\\{name}")))
                .is_some()
        };
        let missing = |name: &str| set.dangles(survey, name) && !exists(name.trim());
        walk.names(planned.system, set, &missing);
        walk.libraries(planned.system, set);
        walk.shadow_copies(planned, set);
    }
    if let Some(set) = sets.first() {
        for (name, hive) in [
            (HiveName::System, Some(planned.system)),
            (HiveName::Drivers, planned.drivers),
        ] {
            let Some(hive) = hive else {
                continue;
            };
            for path in staged_places(hive) {
                let missing = |entry: &str| set.dangles(survey, entry);
                walk.filters(hive, &path, &missing, &name);
            }
        }
    }
    walk.software(planned.software);
    walk.commands(&HiveName::Software, planned.software, "");
    for (name, hive) in planned.users {
        walk.commands(name, hive, "Software\\");
    }
    found.into_iter().collect()
}

struct Walk<'w> {
    survey: &'w Survey<'w>,
    gone: &'w dyn Fn(&WinPath) -> bool,
    found: &'w mut BTreeSet<String>,
}

impl Walk<'_> {
    fn file(&mut self, hive: &HiveName, key: &str, value: &str, file: Option<WinPath>) {
        if let Some(file) = file.filter(|file| (self.gone)(file)) {
            self.found.insert(format!(
                "{hive}: {key}, value {value:?}, names {file}, which is gone"
            ));
        }
    }

    fn filters(
        &mut self,
        hive: &Hive,
        path: &str,
        missing: &dyn Fn(&str) -> bool,
        name: &HiveName,
    ) {
        for filters in FILTERS {
            let value = hive.key(path).and_then(|key| key.value(filters));
            for filter in value
                .iter()
                .flat_map(reg::texts)
                .filter(|filter| missing(filter))
            {
                self.found.insert(format!(
                    "{name}: {path} has the filter {filter}, which is gone"
                ));
            }
        }
    }

    /// What names a service.
    fn names(&mut self, system: &Hive, set: &ControlSet, missing: &dyn Fn(&str) -> bool) {
        for path in places(system, set) {
            self.filters(system, &path, missing, &HiveName::System);
            let service = reg::text_at(system, &path, "Service").unwrap_or_default();
            // A device that is not there does nothing, but one that software made is always there.
            let boots = !path.to_lowercase().contains("\\enum\\")
                || path.to_lowercase().contains("\\enum\\root\\");
            if boots && missing(&service) {
                self.found.insert(format!(
                    "SYSTEM: {path} has the driver {service}, which is gone"
                ));
            }
        }
        for order in ORDERS {
            let order = set.key(order);
            let text = reg::text_at(system, &order, "ProviderOrder").unwrap_or_default();
            for provider in text.split(',').filter(|name| missing(name)) {
                self.found.insert(format!(
                    "SYSTEM: {order} has the provider {provider}, which is gone"
                ));
            }
        }
        let services = set.key("Services");
        for key in system.key(&services).iter().flat_map(Key::subkeys) {
            let needs = key.value("DependOnService");
            for needed in needs
                .iter()
                .flat_map(reg::texts)
                .filter(|name| missing(name))
            {
                let name = key.name();
                self.found.insert(format!(
                    "SYSTEM: service {name} needs service {needed}, which is gone"
                ));
            }
        }
    }

    /// What names a file.
    fn libraries(&mut self, system: &Hive, set: &ControlSet) {
        let hive = HiveName::System;
        let places = self.survey.places;
        let services = set.key("Services");
        for key in system.key(&services).iter().flat_map(Key::subkeys) {
            let path = format!("{services}\\{}", key.name());
            let image = reg::text(&key, "ImagePath").and_then(|text| places.program(&text));
            self.file(&hive, &path, "ImagePath", image);
            for (subkey, value) in [
                ("NetworkProvider", "ProviderPath"),
                ("Parameters", "ServiceDll"),
                ("Performance", "Library"),
            ] {
                let file = key
                    .subkey(subkey)
                    .and_then(|key| places.file(&reg::text(&key, value)?));
                self.file(&hive, &format!("{path}\\{subkey}"), value, file);
            }
        }
        for (list, value) in [
            ("Services\\W32Time\\TimeProviders", "DllName"),
            ("Control\\Print\\Monitors", "Driver"),
        ] {
            let list = set.key(list);
            for key in system.key(&list).iter().flat_map(Key::subkeys) {
                let file = reg::text(&key, value).and_then(|text| places.file(&text));
                self.file(&hive, &format!("{list}\\{}", key.name()), value, file);
            }
        }
        let logs = set.key("Services\\EventLog");
        for log in system.key(&logs).iter().flat_map(Key::subkeys) {
            for source in log.subkeys() {
                let text = reg::text(&source, "EventMessageFile").unwrap_or_default();
                for file in text.split(';') {
                    let path = format!("{logs}\\{}\\{}", log.name(), source.name());
                    self.file(&hive, &path, "EventMessageFile", places.file(file));
                }
            }
        }
        for catalogue in winsock::catalogues(system, set) {
            for list in ["Catalog_Entries", "Catalog_Entries64"] {
                let list = format!("{catalogue}\\{list}");
                for entry in system.key(&list).iter().flat_map(Key::subkeys) {
                    let file = winsock::library(&entry, places);
                    self.file(
                        &hive,
                        &format!("{list}\\{}", entry.name()),
                        "PackedCatalogItem",
                        file,
                    );
                }
            }
        }
        let installers = set.key("Control\\CoDeviceInstallers");
        for value in system.key(&installers).iter().flat_map(Key::values) {
            for entry in reg::texts(&value.value) {
                self.file(&hive, &installers, &value.name, places.file(&entry));
            }
        }
    }

    /// Providers of shadow copies whose class is not registered.
    fn shadow_copies(&mut self, planned: &Planned<'_>, set: &ControlSet) {
        let list = set.key("Services\\VSS\\Providers");
        for provider in planned.system.key(&list).iter().flat_map(Key::subkeys) {
            let class = reg::default_of(&provider, "CLSID").unwrap_or_default();
            let root = com::ROOTS.iter().find(|(root, _)| {
                planned
                    .software
                    .key(&format!("{root}\\CLSID\\{class}"))
                    .is_some()
            });
            let mut known = self.survey.signatures.registry.vss_providers.iter();
            if root.is_none() && known.any(|known| known.eq_ignore_ascii_case(&provider.name())) {
                self.found.insert(format!(
                    "SYSTEM: {list}\\{} has the class {class}, which is gone",
                    provider.name()
                ));
            }
        }
    }

    fn software(&mut self, software: &Hive) {
        let hive = HiveName::Software;
        let places = self.survey.places;
        for (root, wow) in com::ROOTS {
            let classes = format!("{root}\\CLSID");
            for class in software.key(&classes).iter().flat_map(Key::subkeys) {
                for server in com::servers(&class, wow, self.survey) {
                    self.file(
                        &hive,
                        &format!("{classes}\\{}", class.name()),
                        "server",
                        Some(server),
                    );
                }
            }
        }
        let current = "Microsoft\\Windows\\CurrentVersion";
        for (list, value) in [
            (format!("{current}\\App Paths"), ""),
            (format!("{current}\\Uninstall"), "InstallLocation"),
            (
                "Microsoft\\Windows NT\\CurrentVersion\\Winlogon\\Notify".to_owned(),
                "DllName",
            ),
        ] {
            for list in reg::views(&list) {
                for key in software.key(&list).iter().flat_map(Key::subkeys) {
                    let file = reg::text(&key, value).and_then(|text| places.file(&text));
                    self.file(&hive, &format!("{list}\\{}", key.name()), value, file);
                }
            }
        }
    }

    /// What is started at logon.
    fn commands(&mut self, name: &HiveName, hive: &Hive, root: &str) {
        let places = self.survey.places;
        for list in ["Run", "RunOnce"] {
            for list in reg::views(&format!("Microsoft\\Windows\\CurrentVersion\\{list}")) {
                let list = format!("{root}{list}");
                for value in hive.key(&list).iter().flat_map(Key::values) {
                    let program = value
                        .value
                        .as_str()
                        .and_then(|command| places.program(&command));
                    self.file(name, &list, &value.name, program);
                }
            }
        }
    }
}
