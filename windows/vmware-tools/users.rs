//! What is the product's in the hives of users: what is started at logon, drives on its shared folders, and where these
//! and the product's programs are remembered.

use std::rc::Rc;

use refit_engine::HiveName;
use refit_hive::{Hive, Key, Value};

use super::edits::Edits;
use super::reg;
use super::software;
use super::survey::Survey;

const EXPLORER: &str = "Software\\Microsoft\\Windows\\CurrentVersion\\Explorer";
const ASSOCIATIONS: &str = "Software\\Microsoft\\Windows\\Shell\\Associations\\UrlAssociations";
const INSTALLER: &str = "Software\\Microsoft\\Installer";

/// A user's hive.
pub(crate) type UserHive = (HiveName, Rc<Hive>);

/// Cleans every user's hive.
pub(crate) fn remove(users: &[UserHive], survey: &Survey<'_>, edits: &mut Edits) {
    for (name, hive) in users {
        software::run(name, hive, "Software\\", survey, edits);
        software::own_keys(name, hive, "Software\\", survey, edits);
        installed_for(name, hive, survey, edits);
        choices(name, hive, survey, edits);
        drives(name, hive, survey, edits);
        histories(name, hive, survey, edits);
        folders(name, hive, survey, edits);
    }
}

/// Windows Installer's records of a product that was installed for this user alone.
fn installed_for(name: &HiveName, hive: &Hive, survey: &Survey<'_>, edits: &mut Edits) {
    for list in ["Products", "Features"] {
        let list = format!("{INSTALLER}\\{list}");
        for code in reg::names(hive, &list) {
            if survey.is_product(&code) {
                edits.delete_key(name, &format!("{list}\\{code}"));
            }
        }
    }
    let codes = format!("{INSTALLER}\\UpgradeCodes");
    for code in hive.key(&codes).iter().flat_map(Key::subkeys) {
        let (own, others): (Vec<_>, Vec<_>) = code
            .values()
            .partition(|value| survey.is_product(&value.name));
        let path = format!("{codes}\\{}", code.name());
        match (own.is_empty(), others.is_empty()) {
            (true, _) => {}
            (false, true) => edits.delete_key(name, &path),
            (false, false) => {
                for value in own {
                    edits.delete_value(name, &path, &value.name);
                }
            }
        }
    }
}

/// What the user has chosen to open links and files with: of a handler that goes, Windows asks again.
fn choices(name: &HiveName, hive: &Hive, survey: &Survey<'_>, edits: &mut Edits) {
    let is_own = |class: &str| {
        let mut handlers = survey.signatures.registry.handlers.iter();
        handlers.any(|handler| {
            let own = handler.rsplit('\\').next().unwrap_or_default();
            own.eq_ignore_ascii_case(class)
        })
    };
    for (list, choice) in [
        (ASSOCIATIONS.to_owned(), "UserChoice"),
        (format!("{EXPLORER}\\FileExts"), "UserChoice"),
    ] {
        for kind in reg::names(hive, &list) {
            let path = format!("{list}\\{kind}\\{choice}");
            if reg::text_at(hive, &path, "ProgId").is_some_and(|class| is_own(&class)) {
                edits.delete_key(name, &path);
            }
            let path = format!("{list}\\{kind}\\OpenWithProgids");
            for value in hive.key(&path).iter().flat_map(Key::values) {
                if is_own(&value.name) {
                    edits.delete_value(name, &path, &value.name);
                }
            }
        }
    }
}

/// Drives that are connected at logon, and what Explorer remembers of shares.
fn drives(name: &HiveName, hive: &Hive, survey: &Survey<'_>, edits: &mut Edits) {
    for drive in reg::names(hive, "Network") {
        let path = format!("Network\\{drive}");
        let text = |value| reg::text_at(hive, &path, value).unwrap_or_default();
        let shares = &survey.signatures.shares;
        let provider = text("ProviderName");
        let mut providers = shares.providers.iter();
        if providers.any(|known| known.eq_ignore_ascii_case(&provider))
            || is_shared(survey, &text("RemotePath"))
        {
            edits.delete_key(name, &path);
        }
    }
    // Names of keys have no backslashes: Explorer writes others for them.
    for (list, backslash) in [("MountPoints2", '#'), ("WorkgroupCrawler\\Shares", '/')] {
        let list = format!("{EXPLORER}\\{list}");
        for share in reg::names(hive, &list) {
            if is_shared(survey, &share.replace(backslash, "\\")) {
                edits.delete_key(name, &format!("{list}\\{share}"));
            }
        }
    }
}

/// Whether a path is on the host, by the product's shared folders.
fn is_shared(survey: &Survey<'_>, path: &str) -> bool {
    let host = path
        .strip_prefix("\\\\")
        .and_then(|path| path.split('\\').next());
    let mut hosts = survey.signatures.shares.hosts.iter();
    host.is_some_and(|host| hosts.any(|known| known.eq_ignore_ascii_case(host)))
}

/// Lists of what was typed and chosen.
fn histories(name: &HiveName, hive: &Hive, survey: &Survey<'_>, edits: &mut Edits) {
    // Entries have letters; a text of these is their order.
    for list in ["Map Network Drive MRU", "RunMRU"] {
        let path = format!("{EXPLORER}\\{list}");
        let Some(key) = hive.key(&path) else {
            continue;
        };
        let goes: Vec<String> = key
            .values()
            .filter(|value| value.name.len() == 1)
            .filter(|value| {
                let text = value.value.as_str().unwrap_or_default();
                is_shared(survey, &text)
            })
            .map(|value| value.name)
            .collect();
        let order = reg::text(&key, "MRUList").unwrap_or_default();
        let left: String = order
            .chars()
            .filter(|letter| {
                !goes
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&letter.to_string()))
            })
            .collect();
        for value in &goes {
            edits.delete_value(name, &path, value);
        }
        if left.is_empty() && !order.is_empty() {
            edits.delete_value(name, &path, "MRUList");
        } else if left != order {
            edits.set(name, &path, "MRUList", Value::sz(&left));
        }
    }
    // Entries are numbered without gaps, the latest first.
    let path = format!("{EXPLORER}\\TypedPaths");
    let text = |number: usize| reg::text_at(hive, &path, &format!("url{number}"));
    let all: Vec<String> = (1..).map_while(text).collect();
    let left: Vec<&String> = all
        .iter()
        .filter(|typed| !is_shared(survey, typed))
        .collect();
    for (number, typed) in (1..).zip(&all) {
        match left.get(number - 1) {
            Some(moved) if *moved == typed => {}
            Some(moved) => edits.set(name, &path, &format!("url{number}"), Value::sz(moved)),
            None => edits.delete_value(name, &path, &format!("url{number}")),
        }
    }
}

/// The user's own folders, which Fusion and Parallels can put on the host: nobody but the user knows where they are to
/// be now.
fn folders(name: &HiveName, hive: &Hive, survey: &Survey<'_>, edits: &mut Edits) {
    let path = format!("{EXPLORER}\\User Shell Folders");
    for value in hive.key(&path).iter().flat_map(Key::values) {
        let at = value.value.as_str().unwrap_or_default();
        if is_shared(survey, &at) {
            let shown = |text: &str| -> String {
                let printable = text.chars().filter(|c| !c.is_control());
                printable.take(200).collect()
            };
            edits.warn(format!(
                "{name}: this user's folder {} is {}, on the old host: what is in it does not come along, and the \
                 folder's place is to be set in the running guest",
                shown(&value.name),
                shown(&at)
            ));
        }
    }
}
