//! What else of `SOFTWARE` is the product's: what is started at logon, paths of programs, handlers, counters of shared
//! files, its own settings.

use refit_engine::HiveName;
use refit_hive::{Hive, Key};

use super::edits::Edits;
use super::paths::WinPath;
use super::reg;
use super::services::drop_entries;
use super::signatures;
use super::survey::{INSTALLER, Survey};

const CURRENT: &str = "Microsoft\\Windows\\CurrentVersion";

/// Removes everything but COM classes, Windows Installer's records and scheduled tasks.
pub(crate) fn remove(software: &Hive, survey: &Survey<'_>, edits: &mut Edits) {
    run(&HiveName::Software, software, "", survey, edits);
    handlers(software, survey, edits);
    counters(software, survey, edits);
    lockdown(software, survey, edits);
    own_keys(&HiveName::Software, software, "", survey, edits);
    // Descriptions of classes that WMI compiles again when it repairs itself.
    let (wbem, mofs) = ("Microsoft\\WBEM\\CIMOM", "Autorecover MOFs");
    if let Some(value) = software.key(wbem).and_then(|key| key.value(mofs)) {
        drop_entries(edits, &HiveName::Software, wbem, mofs, &value, |entry| {
            is_own(survey, entry)
        });
    }
}

fn is_own(survey: &Survey<'_>, text: &str) -> bool {
    survey
        .places
        .file(text)
        .is_some_and(|file| survey.is_own(&file))
}

/// Commands at logon; the product's are known by name or by program. `root` is where the lists of the machine, or
/// those of a user, begin.
pub(crate) fn run(
    hive: &HiveName,
    content: &Hive,
    root: &str,
    survey: &Survey<'_>,
    edits: &mut Edits,
) {
    for list in ["Run", "RunOnce", "RunOnceEx", "RunServices"] {
        for path in reg::views(&format!("{CURRENT}\\{list}")) {
            let path = format!("{root}{path}");
            let Some(key) = content.key(&path) else {
                continue;
            };
            for value in key.values() {
                let command = value.value.as_str().unwrap_or_default();
                let Some(program) = survey.places.program(&command) else {
                    continue;
                };
                let named = survey
                    .signatures
                    .registry
                    .run
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&value.name));
                let known = || signatures::any(&survey.signatures.product.proof, program.name());
                if survey.is_own(&program) || (named && known()) {
                    edits.delete_value(hive, &path, &value.name);
                    // What Windows remembers of whether the entry is switched on.
                    let approved = format!("{root}{CURRENT}\\Explorer\\StartupApproved");
                    for view in ["Run", "Run32"] {
                        let approved = format!("{approved}\\{view}");
                        if content
                            .key(&approved)
                            .is_some_and(|key| key.value(&value.name).is_some())
                        {
                            edits.delete_value(hive, &approved, &value.name);
                        }
                    }
                }
            }
        }
    }
}

/// Paths of programs, and handlers of links and files.
fn handlers(software: &Hive, survey: &Survey<'_>, edits: &mut Edits) {
    let hive = HiveName::Software;
    for list in reg::views(&format!("{CURRENT}\\App Paths")) {
        for program in software.key(&list).iter().flat_map(|key| key.subkeys()) {
            if reg::text(&program, "").is_some_and(|path| is_own(survey, &path)) {
                edits.delete_key(&hive, &format!("{list}\\{}", program.name()));
            }
        }
    }
    let table = &survey.signatures.registry;
    for path in table.handlers.iter().flat_map(|path| reg::views(path)) {
        let Some(key) = software.key(&path) else {
            continue;
        };
        let command = key
            .key("shell\\open\\command")
            .and_then(|key| reg::text(&key, ""));
        let program = command.and_then(|command| survey.places.program(&command));
        if program.is_none_or(|program| survey.is_own(&program)) {
            edits.delete_key(&hive, &path);
        }
    }
    for path in reg::views("RegisteredApplications") {
        for value in software.key(&path).iter().flat_map(|key| key.values()) {
            let capabilities = value.value.as_str().unwrap_or_default();
            let capabilities = capabilities
                .get(.."software\\".len())
                .filter(|start| start.eq_ignore_ascii_case("software\\"))
                .map_or(capabilities.as_str(), |start| &capabilities[start.len()..]);
            let mut keys = table.keys.iter().chain(&table.handlers);
            let below = keys.any(|key| {
                let start = capabilities.get(..key.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(key))
            });
            let named = table
                .applications
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&value.name));
            if named
                && (below
                    || edits.is_deleted(&hive, capabilities)
                    || software.key(capabilities).is_none())
            {
                edits.delete_value(&hive, &path, &value.name);
            }
        }
    }
}

/// Counters of files that several products share. A file that another product's records name is not the product's
/// own, and its counter stays: one too many keeps a file, one too few deletes it.
fn counters(software: &Hive, survey: &Survey<'_>, edits: &mut Edits) {
    for path in reg::views(&format!("{CURRENT}\\SharedDLLs")) {
        for value in software.key(&path).iter().flat_map(|key| key.values()) {
            if is_own(survey, &value.name) {
                edits.delete_value(&HiveName::Software, &path, &value.name);
            }
        }
    }
}

/// Files that only an installation of drivers may replace: a value for each, or since Windows 8 a key.
fn lockdown(software: &Hive, survey: &Survey<'_>, edits: &mut Edits) {
    let path = format!("{CURRENT}\\Setup\\PnpLockdownFiles");
    let Some(key) = software.key(&path) else {
        return;
    };
    for value in key.values() {
        if is_own(survey, &value.name) {
            edits.delete_value(&HiveName::Software, &path, &value.name);
        }
    }
    for file in key.subkeys() {
        if is_own(survey, &file.name()) {
            edits.delete_key(&HiveName::Software, &format!("{path}\\{}", file.name()));
        }
    }
}

/// Its settings, and those of its vendor if nothing else is there.
pub(crate) fn own_keys(
    hive: &HiveName,
    content: &Hive,
    root: &str,
    survey: &Survey<'_>,
    edits: &mut Edits,
) {
    let table = &survey.signatures.registry;
    let shared = match survey.siblings.is_empty() {
        true => table.shared_keys.as_slice(),
        false => &[],
    };
    let keys = table.keys.iter().chain(shared);
    for path in keys.flat_map(|path| reg::views(path)) {
        let path = format!("{root}{path}");
        if content.key(&path).is_some() {
            edits.delete_key(hive, &path);
        }
    }
    for path in table.parents.iter().flat_map(|path| reg::views(path)) {
        let path = format!("{root}{path}");
        let Some(key) = content.key(&path) else {
            continue;
        };
        let goes = |subkey: &Key<'_>| edits.is_deleted(hive, &format!("{path}\\{}", subkey.name()));
        if key.values().next().is_none() && key.subkeys().all(|subkey| goes(&subkey)) {
            edits.delete_key(hive, &path);
        }
    }
}

/// Takes the product's folders that are gone, or were not there, out of the installer's list of those it made.
pub(crate) fn installer_folders(
    software: &Hive,
    is_gone: &dyn Fn(&WinPath) -> bool,
    survey: &Survey<'_>,
    edits: &mut Edits,
) {
    let path = format!("{INSTALLER}\\Folders");
    for value in software.key(&path).iter().flat_map(|key| key.values()) {
        if survey
            .places
            .file(&value.name)
            .is_some_and(|folder| is_gone(&folder))
        {
            edits.delete_value(&HiveName::Software, &path, &value.name);
        }
    }
}
