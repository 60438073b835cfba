//! Windows Installer's records of the products that go. Its keys have names made of packed codes.

use refit_engine::HiveName;
use refit_hive::{Hive, Key};

use super::edits::Edits;
use super::reg;
use super::survey::{INSTALLER, Product, Survey, UNINSTALL};

/// Removes the products' records: those of the machine and of every user whom they were installed for. A component
/// that other products use stays theirs.
pub(crate) fn remove(software: &Hive, survey: &Survey<'_>, edits: &mut Edits) {
    let users = format!("{INSTALLER}\\UserData");
    let users: Vec<String> = reg::names(software, &users)
        .iter()
        .map(|sid| format!("{users}\\{sid}"))
        .collect();
    for product in &survey.products {
        remove_product(software, product, &users, survey, edits);
    }
    let mut lists = vec![
        "Classes\\Installer\\UpgradeCodes".to_owned(),
        format!("{INSTALLER}\\UpgradeCodes"),
    ];
    lists.extend(users.iter().map(|user| format!("{user}\\Components")));
    for list in lists {
        remove_values(software, &list, survey, edits);
    }
}

/// What has a key of its own.
fn remove_product(
    software: &Hive,
    product: &Product,
    users: &[String],
    survey: &Survey<'_>,
    edits: &mut Edits,
) {
    for list in reg::views(UNINSTALL) {
        delete(software, &format!("{list}\\{}", product.key), edits);
    }
    let Some(packed) = product.packed.as_deref() else {
        return;
    };
    for list in ["Products", "Features", "Patches"] {
        delete(
            software,
            &format!("Classes\\Installer\\{list}\\{packed}"),
            edits,
        );
    }
    let managed = format!("{INSTALLER}\\Managed");
    for sid in reg::names(software, &managed) {
        for list in ["Products", "Features"] {
            delete(
                software,
                &format!("{managed}\\{sid}\\Installer\\{list}\\{packed}"),
                edits,
            );
        }
    }
    for user in users {
        delete(software, &format!("{user}\\Products\\{packed}"), edits);
    }
    delete(
        software,
        &format!("{INSTALLER}\\LocalPackages\\{packed}"),
        edits,
    );
    // Bundles of several packages note who needs whom.
    let dependencies = "Classes\\Installer\\Dependencies";
    for provider in reg::names(software, dependencies) {
        delete(
            software,
            &format!("{dependencies}\\{provider}\\Dependents\\{}", product.key),
            edits,
        );
    }
    let copies = survey.places.system("installer").join(&product.key);
    let list = format!("{INSTALLER}\\Folders");
    for value in software.key(&list).iter().flat_map(Key::values) {
        let folder = survey.places.file(&value.name);
        if folder.is_some_and(|folder| folder.is_in(&copies)) {
            edits.delete_value(&HiveName::Software, &list, &value.name);
        }
    }
}

/// Takes the products' values out of the keys of `list`; a key without any other goes.
fn remove_values(software: &Hive, list: &str, survey: &Survey<'_>, edits: &mut Edits) {
    let Some(key) = software.key(list) else {
        return;
    };
    for entry in key.subkeys() {
        let names: Vec<String> = entry.values().map(|value| value.name).collect();
        let own: Vec<&String> = names
            .iter()
            .filter(|name| survey.is_product(name))
            .collect();
        if own.is_empty() {
            continue;
        }
        let path = format!("{list}\\{}", entry.name());
        let others = names
            .iter()
            .any(|name| !name.is_empty() && !survey.is_product(name));
        if others || entry.subkeys().next().is_some() {
            for name in own {
                edits.delete_value(&HiveName::Software, &path, name);
            }
        } else {
            edits.delete_key(&HiveName::Software, &path);
        }
    }
}

fn delete(software: &Hive, path: &str, edits: &mut Edits) {
    if software.key(path).is_some() {
        edits.delete_key(&HiveName::Software, path);
    }
}
