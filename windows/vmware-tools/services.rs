//! Services and drivers, what depends on them, and their sources of events.

use std::collections::BTreeSet;

use refit_engine::HiveName;
use refit_hive::{Hive, Key, Value};

use super::edits::Edits;
use super::paths::WinPath;
use super::reg;
use super::survey::Survey;

/// Libraries of Windows that a driver's source of events names beside its own.
const COMMON_MESSAGES: [&str; 3] = ["iologmsg.dll", "netevent.dll", "netmsg.dll"];

/// One control set that may boot, and which of its services go.
#[derive(Debug)]
pub(crate) struct ControlSet {
    /// `ControlSet001`.
    pub(crate) name: String,
    /// Names in lower case.
    pub(crate) removed: BTreeSet<String>,
    /// Those that are there and stay, in lower case.
    kept: BTreeSet<String>,
}

impl ControlSet {
    /// Whether a reference to service `name` leads nowhere afterwards: it goes, or it is one of the product's
    /// and not there.
    pub(crate) fn dangles(&self, survey: &Survey<'_>, name: &str) -> bool {
        let name = name.trim().to_lowercase();
        self.removed.contains(&name)
            || (survey.signatures.service(&name).is_some() && !self.kept.contains(&name))
    }

    /// The path of a key in this control set.
    pub(crate) fn key(&self, path: &str) -> String {
        format!("{}\\{path}", self.name)
    }
}

/// What is to be done with a service.
enum Decision {
    Remove,
    Keep,
    /// It has the name, but this speaks against it.
    Doubt(String),
}

/// Decides on every service of the control sets, and takes note of files that services which stay need.
pub(crate) fn decide(
    system: &Hive,
    names: &[String],
    survey: &mut Survey<'_>,
    edits: &mut Edits,
) -> Vec<ControlSet> {
    let mut sets = Vec::new();
    let mut needed = BTreeSet::new();
    for name in names {
        let mut set = ControlSet {
            name: name.clone(),
            removed: BTreeSet::new(),
            kept: BTreeSet::new(),
        };
        let Some(services) = system.key(&set.key("Services")) else {
            continue;
        };
        let bound = bound(system, &set);
        for key in services.subkeys() {
            let service = key.name();
            match decide_one(&key, &service, &bound, survey) {
                Decision::Remove => {
                    edits.delete_key(&HiveName::System, &set.key(&format!("Services\\{service}")));
                    set.removed.insert(service.to_lowercase());
                    continue;
                }
                Decision::Keep => {}
                Decision::Doubt(why) => edits.warn(format!(
                    "service {service} is left alone although {} has one of that name: {why}",
                    survey.signatures.title
                )),
            }
            set.kept.insert(service.to_lowercase());
            needed.extend(image(&key, survey));
            let libraries = survey
                .signatures
                .service(&service)
                .map(|known| known.libraries.as_slice());
            for library in libraries.unwrap_or_default() {
                for folder in ["system32", "syswow64"] {
                    needed.insert(survey.places.system(folder).join(library));
                }
            }
        }
        sets.push(set);
    }
    survey.protected.extend(needed);
    sets
}

fn decide_one(
    key: &Key<'_>,
    name: &str,
    bound: &BTreeSet<String>,
    survey: &Survey<'_>,
) -> Decision {
    if survey.signatures.keeps(name) {
        return Decision::Keep;
    }
    let image = image(key, survey);
    let Some(signature) = survey.signatures.service(name) else {
        return match image {
            Some(image) if survey.is_installed_at(&image) => Decision::Remove,
            _ => Decision::Keep,
        };
    };
    if signature.shared {
        let others = signature
            .programs
            .iter()
            .any(|program| survey.others_have(&program.to_lowercase()));
        if let Some(sibling) = survey.siblings.first() {
            return Decision::Doubt(format!("{sibling} is installed, which needs it, too"));
        }
        if others {
            return Decision::Doubt("another product has this driver, too".to_owned());
        }
    }
    if bound.contains(&name.to_lowercase()) {
        let why = "the network stack has a component of it, which only Windows itself can unbind";
        return Decision::Doubt(why.to_owned());
    }
    if key.value("Type").is_none() && key.value("ImagePath").is_none() {
        // What uninstallers and installers of driver packages leave: nothing that could be started.
        return Decision::Remove;
    }
    let title = reg::text(key, "DisplayName").unwrap_or_default();
    let title = title.rsplit(';').next().unwrap_or_default();
    if signature
        .titles
        .iter()
        .any(|known| known.eq_ignore_ascii_case(title))
    {
        return Decision::Remove;
    }
    match image {
        Some(image) => {
            let named = signature
                .programs
                .iter()
                .any(|known| known.eq_ignore_ascii_case(image.name()));
            if named || survey.is_installed_at(&image) {
                return Decision::Remove;
            }
            Decision::Doubt(format!("it runs {image}"))
        }
        None => Decision::Doubt("its program is not known".to_owned()),
    }
}

/// The services of the network's clients, protocols and filters, in lower case: each is bound to others in
/// `Control\Network\Config`, whose form is Windows's own.
fn bound(system: &Hive, set: &ControlSet) -> BTreeSet<String> {
    let network = set.key("Control\\Network");
    let classes = reg::names(system, &network);
    let components = classes
        .iter()
        .filter_map(|class| system.key(&format!("{network}\\{class}")));
    let components = components.flat_map(|class| class.subkeys());
    components
        .filter_map(|component| reg::text(&component.subkey("Ndi")?, "Service"))
        .map(|service| service.to_lowercase())
        .collect()
}

/// The file that a service runs. A driver without one is in the folder of drivers, under its own name
/// ("CreateService", Win32 documentation).
fn image(key: &Key<'_>, survey: &Survey<'_>) -> Option<WinPath> {
    match reg::text(key, "ImagePath") {
        Some(text) => survey.places.program(&text),
        None => {
            let kind = key.value("Type")?.as_dword()?;
            let driver = kind & 0b11 != 0;
            let file = format!("{}.sys", key.name());
            driver.then(|| survey.places.system("system32\\drivers").join(&file))
        }
    }
}

/// Takes the services that go out of what others depend on and of safe mode's lists, and their sources out
/// of the event log.
pub(crate) fn references(system: &Hive, set: &ControlSet, survey: &Survey<'_>, edits: &mut Edits) {
    let hive = HiveName::System;
    if let Some(services) = system.key(&set.key("Services")) {
        for key in services.subkeys() {
            let Some(value) = key.value("DependOnService") else {
                continue;
            };
            let path = set.key(&format!("Services\\{}", key.name()));
            drop_entries(edits, &hive, &path, "DependOnService", &value, |name| {
                set.removed.contains(&name.to_lowercase())
            });
        }
    }
    for mode in ["Minimal", "Network"] {
        let list = set.key(&format!("Control\\SafeBoot\\{mode}"));
        for name in reg::names(system, &list) {
            let service = name.strip_suffix(".sys").unwrap_or(&name).to_lowercase();
            if set.removed.contains(&service) {
                edits.delete_key(&hive, &format!("{list}\\{name}"));
            }
        }
    }
    let logs = set.key("Services\\EventLog");
    for log in reg::names(system, &logs) {
        let log = format!("{logs}\\{log}");
        let Some(key) = system.key(&log) else {
            continue;
        };
        let mut gone = BTreeSet::new();
        for source in key.subkeys() {
            if is_own_source(&source, survey) {
                edits.delete_key(&hive, &format!("{log}\\{}", source.name()));
                gone.insert(source.name().to_lowercase());
            }
        }
        if let Some(value) = key.value("Sources") {
            drop_entries(edits, &hive, &log, "Sources", &value, |name| {
                gone.contains(&name.to_lowercase())
            });
        }
    }
}

/// Whether a source of events has its texts in files of the product only, or is one of its names without any.
fn is_own_source(source: &Key<'_>, survey: &Survey<'_>) -> bool {
    let mut files = Vec::new();
    for name in [
        "EventMessageFile",
        "CategoryMessageFile",
        "ParameterMessageFile",
    ] {
        let text = reg::text(source, name).unwrap_or_default();
        files.extend(text.split(';').filter_map(|file| survey.places.file(file)));
    }
    let listed = || {
        let mut sources = survey.signatures.registry.event_sources.iter();
        sources.any(|known| known.eq_ignore_ascii_case(&source.name()))
    };
    if files.is_empty() {
        return listed() && source.value("ProviderGuid").is_none();
    }
    files.retain(|file| !COMMON_MESSAGES.contains(&file.name()));
    !files.is_empty() && files.iter().all(|file| survey.is_own(file))
}

/// Takes the entries that `gone` says out of a value that lists texts; without any left, the value goes. The
/// others keep their order and the value its type.
pub(crate) fn drop_entries(
    edits: &mut Edits,
    hive: &HiveName,
    key: &str,
    name: &str,
    value: &Value,
    gone: impl Fn(&str) -> bool,
) {
    let entries = reg::texts(value);
    let left: Vec<&String> = entries.iter().filter(|entry| !gone(entry)).collect();
    if left.len() == entries.len() {
        return;
    }
    match left.as_slice() {
        [] => edits.delete_value(hive, key, name),
        [one] if value.as_multi().is_none() => edits.set(
            hive,
            key,
            name,
            Value {
                kind: value.kind,
                ..Value::sz(one)
            },
        ),
        _ => edits.set(hive, key, name, Value::multi_sz(&left)),
    }
}
