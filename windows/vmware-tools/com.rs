//! COM classes of the product, and what refers to them. A class goes if the file that serves it is the
//! product's, and for no other reason.

use std::collections::BTreeSet;

use refit_engine::HiveName;
use refit_hive::{Hive, Key};

use super::edits::Edits;
use super::paths::WinPath;
use super::reg;
use super::services::ControlSet;
use super::survey::Survey;

/// The roots of class registrations: of the system, and of 32-bit programs on a 64-bit Windows.
pub(crate) const ROOTS: [(&str, bool); 3] = [
    ("Classes", false),
    ("Classes\\Wow6432Node", true),
    ("WOW6432Node\\Classes", true),
];

/// Keys of a class that name its server ("CLSID Key", Win32 documentation).
const SERVERS: [&str; 4] = [
    "InprocServer32",
    "InprocHandler32",
    "LocalServer32",
    "InprocServer",
];

/// Keys whose subkeys, values, or subkeys' default values are the classes that Windows loads at some point.
pub(crate) const LISTS: [&str; 9] = [
    "Microsoft\\Windows\\CurrentVersion\\Explorer\\ControlPanel\\NameSpace",
    "Microsoft\\Windows\\CurrentVersion\\Explorer\\Desktop\\NameSpace",
    "Microsoft\\Windows\\CurrentVersion\\Explorer\\MyComputer\\NameSpace",
    "Microsoft\\Windows\\CurrentVersion\\Explorer\\ShellIconOverlayIdentifiers",
    "Microsoft\\Windows\\CurrentVersion\\Explorer\\Browser Helper Objects",
    "Microsoft\\Windows\\CurrentVersion\\Shell Extensions\\Approved",
    "Microsoft\\Windows\\CurrentVersion\\Authentication\\Credential Providers",
    "Microsoft\\Windows\\CurrentVersion\\Authentication\\Credential Provider Filters",
    "Microsoft\\Windows\\CurrentVersion\\Authentication\\PLAP Providers",
];

/// The files that serve a class, by its own account.
pub(crate) fn servers(class: &Key<'_>, wow: bool, survey: &Survey<'_>) -> Vec<WinPath> {
    let places = survey.places;
    let file = |path: WinPath| if wow { places.wow64(&path) } else { path };
    let mut files: Vec<WinPath> = SERVERS
        .iter()
        .filter_map(|server| reg::default_of(class, server))
        .filter_map(|text| places.program(&text))
        .map(file)
        .collect();
    if files.is_empty() {
        // An item of the control panel that only starts a program.
        let command = class
            .key("Shell\\Open\\Command")
            .and_then(|key| reg::text(&key, ""));
        files.extend(
            command
                .and_then(|command| places.program(&command))
                .map(file),
        );
    }
    files
}

/// Removes the classes with all that refers to them; returns them in lower case.
pub(crate) fn remove(
    software: &Hive,
    sets: &[ControlSet],
    survey: &Survey<'_>,
    edits: &mut Edits,
) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (root, wow) in ROOTS {
        all.extend(remove_classes(software, root, wow, survey, edits));
        remove_libraries(software, root, survey, edits);
    }
    for (root, _) in ROOTS {
        remove_applications(software, root, sets, edits);
    }
    for list in LISTS.iter().flat_map(|list| reg::views(list)) {
        let Some(key) = software.key(&list) else {
            continue;
        };
        for entry in key.subkeys() {
            let class = reg::text(&entry, "").unwrap_or_default().to_lowercase();
            if all.contains(&entry.name().to_lowercase()) || all.contains(&class) {
                edits.delete_key(&HiveName::Software, &format!("{list}\\{}", entry.name()));
            }
        }
        for value in key.values() {
            if all.contains(&value.name.to_lowercase()) {
                edits.delete_value(&HiveName::Software, &list, &value.name);
            }
        }
    }
    all
}

fn remove_classes(
    software: &Hive,
    root: &str,
    wow: bool,
    survey: &Survey<'_>,
    edits: &mut Edits,
) -> BTreeSet<String> {
    let hive = HiveName::Software;
    let mut gone = BTreeSet::new();
    let Some(classes) = software.key(&format!("{root}\\CLSID")) else {
        return gone;
    };
    for class in classes.subkeys() {
        let files = servers(&class, wow, survey);
        if files.is_empty() || !files.iter().all(|file| survey.is_own(file)) {
            continue;
        }
        let id = class.name();
        edits.delete_key(&hive, &format!("{root}\\CLSID\\{id}"));
        // Names under which programs ask for the class: only if they still mean this one.
        for name in ["ProgID", "VersionIndependentProgID"] {
            let Some(name) = reg::default_of(&class, name).filter(|name| !name.contains('\\'))
            else {
                continue;
            };
            for root in ["Classes", root] {
                let path = format!("{root}\\{name}");
                let Some(key) = software.key(&path) else {
                    continue;
                };
                let meant = reg::default_of(&key, "CLSID");
                if meant.is_some_and(|meant| meant.eq_ignore_ascii_case(&id)) {
                    edits.delete_key(&hive, &path);
                }
            }
        }
        gone.insert(id.to_lowercase());
    }
    gone
}

/// Removes type libraries whose files are the product's, and the interfaces that they describe.
fn remove_libraries(software: &Hive, root: &str, survey: &Survey<'_>, edits: &mut Edits) {
    let hive = HiveName::Software;
    let mut gone = BTreeSet::new();
    let libraries = format!("{root}\\TypeLib");
    for library in software
        .key(&libraries)
        .iter()
        .flat_map(|key| key.subkeys())
    {
        let path = format!("{libraries}\\{}", library.name());
        let versions: Vec<Key<'_>> = library.subkeys().collect();
        let own: Vec<&Key<'_>> = versions
            .iter()
            .filter(|one| is_own_library(one, survey))
            .collect();
        if !own.is_empty() && own.len() == versions.len() {
            edits.delete_key(&hive, &path);
            gone.insert(library.name().to_lowercase());
        } else {
            for version in own {
                edits.delete_key(&hive, &format!("{path}\\{}", version.name()));
            }
        }
    }
    if gone.is_empty() {
        return;
    }
    let interfaces = format!("{root}\\Interface");
    for interface in software
        .key(&interfaces)
        .iter()
        .flat_map(|key| key.subkeys())
    {
        let library = reg::default_of(&interface, "TypeLib").unwrap_or_default();
        if gone.contains(&library.to_lowercase()) {
            edits.delete_key(&hive, &format!("{interfaces}\\{}", interface.name()));
        }
    }
}

/// Whether all files of a type library's version are the product's. A number behind the file's name is that of
/// a resource in it.
fn is_own_library(version: &Key<'_>, survey: &Survey<'_>) -> bool {
    let mut files = Vec::new();
    for language in version.subkeys() {
        for platform in ["win32", "win64", "win16"] {
            let file =
                reg::default_of(&language, platform).and_then(|text| survey.places.file(&text));
            files.extend(file.map(|file| match file.parent() {
                Some(parent) if file.name().bytes().all(|c| c.is_ascii_digit()) => parent,
                _ => file,
            }));
        }
    }
    !files.is_empty() && files.iter().all(|file| survey.is_own(file))
}

/// Removes applications (AppID) that no class is left in, or that are a service that goes.
fn remove_applications(software: &Hive, root: &str, sets: &[ControlSet], edits: &mut Edits) {
    let hive = HiveName::Software;
    let list = format!("{root}\\AppID");
    let Some(applications) = software.key(&list) else {
        return;
    };
    let (mut left, mut lost) = (BTreeSet::new(), BTreeSet::new());
    for (root, _) in ROOTS {
        let classes = format!("{root}\\CLSID");
        for class in software.key(&classes).iter().flat_map(|key| key.subkeys()) {
            if let Some(application) = reg::text(&class, "AppID") {
                let goes = edits.is_deleted(&hive, &format!("{classes}\\{}", class.name()));
                let into = if goes { &mut lost } else { &mut left };
                into.insert(application.to_lowercase());
            }
        }
    }
    let mut gone = BTreeSet::new();
    for application in applications.subkeys() {
        let id = application.name().to_lowercase();
        let service = reg::text(&application, "LocalService")
            .unwrap_or_default()
            .to_lowercase();
        let of_service = sets.iter().any(|set| set.removed.contains(&service));
        if !left.contains(&id) && (lost.contains(&id) || of_service) {
            edits.delete_key(&hive, &format!("{list}\\{}", application.name()));
            gone.insert(id);
        }
    }
    for application in applications.subkeys() {
        let id = reg::text(&application, "AppID")
            .unwrap_or_default()
            .to_lowercase();
        if gone.contains(&id) {
            edits.delete_key(&hive, &format!("{list}\\{}", application.name()));
        }
    }
}
