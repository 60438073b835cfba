//! The catalogue of Winsock's providers: the product's (address family VMCI) keep others' from being found.

use std::collections::BTreeSet;

use refit_engine::HiveName;
use refit_hive::{Hive, Key, NamedValue, Value};

use super::edits::Edits;
use super::paths::{Places, WinPath};
use super::reg;
use super::services::ControlSet;
use super::survey::Survey;

/// Length of the library's path at the beginning of `PackedCatalogItem`; `WSAPROTOCOL_INFOW` follows
/// (winsock2.h).
const PATH: usize = 260;
/// `WSAPROTOCOL_INFOW.dwCatalogEntryId`.
const ID: usize = PATH + 36;
/// `WSAPROTOCOL_INFOW.ProtocolChain`: a length, then seven numbers of entries.
const CHAIN: usize = PATH + 40;
/// A catalogue has some tens of entries.
const MOST: usize = 1000;

/// A list of entries in a catalogue, and the value that has their number.
const LISTS: [(&str, &str); 2] = [
    ("Catalog_Entries", "Num_Catalog_Entries"),
    ("Catalog_Entries64", "Num_Catalog_Entries64"),
];

/// The keys of the catalogues in use: of protocols, and of name spaces.
pub(crate) fn catalogues(system: &Hive, set: &ControlSet) -> Vec<String> {
    let parameters = set.key("Services\\WinSock2\\Parameters");
    [
        ("Current_Protocol_Catalog", "Protocol_Catalog9"),
        ("Current_NameSpace_Catalog", "NameSpace_Catalog5"),
    ]
    .iter()
    .map(|(current, usual)| {
        let name =
            reg::text_at(system, &parameters, current).unwrap_or_else(|| (*usual).to_owned());
        format!("{parameters}\\{name}")
    })
    .filter(|path| system.key(path).is_some())
    .collect()
}

/// Removes the product's entries. Winsock reads the entries 1 to `Num_Catalog_Entries` and fails as a whole if one is
/// not there, so those behind move up. Their own numbers (`dwCatalogEntryId`) stay, as with any removal. Returns the
/// libraries of entries that cannot go: without them Winsock would name files that are not there.
pub(crate) fn remove(
    system: &Hive,
    set: &ControlSet,
    survey: &Survey<'_>,
    edits: &mut Edits,
) -> BTreeSet<WinPath> {
    let mut needed = BTreeSet::new();
    for catalogue in catalogues(system, set) {
        let mut touched = false;
        for (list, count) in LISTS {
            touched |= remove_from(system, &catalogue, list, count, survey, edits, &mut needed);
        }
        if !touched {
            continue;
        }
        // Programs that run compare it with what they saw last.
        if let Some(number) = system
            .key(&catalogue)
            .and_then(|key| key.value("Serial_Access_Num")?.as_dword())
        {
            let next = Value::dword(number.wrapping_add(1));
            edits.set(&HiveName::System, &catalogue, "Serial_Access_Num", next);
        }
    }
    needed
}

fn remove_from(
    system: &Hive,
    catalogue: &str,
    list: &str,
    count: &str,
    survey: &Survey<'_>,
    edits: &mut Edits,
    needed: &mut BTreeSet<WinPath>,
) -> bool {
    let path = format!("{catalogue}\\{list}");
    let Some(key) = system.key(&path) else {
        return false;
    };
    let mut entries: Vec<Key<'_>> = key.subkeys().collect();
    entries.sort_by_key(Key::name);
    let (gone, left): (Vec<_>, Vec<_>) = entries
        .iter()
        .partition(|entry| library(entry, survey.places).is_some_and(|file| survey.is_own(&file)));
    if gone.is_empty() {
        return false;
    }
    let ids: Vec<u32> = gone.iter().filter_map(|entry| number(entry, ID)).collect();
    let chained = left
        .iter()
        .any(|entry| chain(entry).iter().any(|id| ids.contains(id)));
    let numbered = entries
        .iter()
        .enumerate()
        .all(|(at, entry)| entry.name() == entry_name(at));
    let counted = system
        .key(catalogue)
        .and_then(|key| key.value(count)?.as_dword());
    if chained || !numbered || entries.len() > MOST || counted != u32::try_from(entries.len()).ok()
    {
        edits.warn(format!(
            "Winsock's catalogue {path} is not in order, or another provider builds on that of {}; it is left as it is, \
             with the library: `netsh winsock reset` in the running guest makes it anew",
            survey.signatures.title
        ));
        for library in gone
            .iter()
            .filter_map(|entry| library(entry, survey.places))
        {
            needed.insert(survey.places.wow64(&library));
            needed.insert(library);
        }
        return false;
    }
    for (at, entry) in left.iter().enumerate() {
        if entry.name() == entry_name(at) {
            continue;
        }
        let target = format!("{path}\\{}", entry_name(at));
        let values: Vec<NamedValue> = entry.values().collect();
        if let Some(old) = system.key(&target) {
            for value in old.values() {
                if !values
                    .iter()
                    .any(|new| new.name.eq_ignore_ascii_case(&value.name))
                {
                    edits.delete_value(&HiveName::System, &target, &value.name);
                }
            }
        }
        for value in values {
            edits.set(&HiveName::System, &target, &value.name, value.value);
        }
    }
    for at in left.len()..entries.len() {
        edits.delete_key(&HiveName::System, &format!("{path}\\{}", entry_name(at)));
    }
    let number = Value::dword(u32::try_from(left.len()).unwrap_or_default());
    edits.set(&HiveName::System, catalogue, count, number);
    true
}

/// The library of an entry.
pub(crate) fn library(entry: &Key<'_>, places: &Places) -> Option<WinPath> {
    if let Some(path) = reg::text(entry, "LibraryPath") {
        return places.file(&path);
    }
    let item = entry.value("PackedCatalogItem")?.data;
    let path = item.get(..PATH)?.split(|&byte| byte == 0).next()?;
    places.file(&String::from_utf8_lossy(path))
}

/// The name of the entry at `at`, from 0.
fn entry_name(at: usize) -> String {
    format!("{:012}", at + 1)
}

fn number(entry: &Key<'_>, offset: usize) -> Option<u32> {
    let item = entry.value("PackedCatalogItem")?.data;
    let bytes = item.get(offset..offset + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The entries that an entry is layered over.
fn chain(entry: &Key<'_>) -> Vec<u32> {
    let length = number(entry, CHAIN).unwrap_or_default();
    (1..=length.min(7) as usize)
        .filter_map(|at| number(entry, CHAIN + 4 * at))
        .collect()
}
