//! Windows Installer's records of the products that go. Its keys have names made of packed codes.

use refit_engine::HiveName;
use refit_hive::Hive;

use super::edits::Edits;
use super::reg;
use super::survey::{INSTALLER, Product, Survey, UNINSTALL};

/// Removes a product's records: those of the machine and of every user whom it was installed for. A component that
/// other products use stays theirs.
pub(crate) fn remove(software: &Hive, product: &Product, survey: &Survey<'_>, edits: &mut Edits) {
    for list in reg::views(UNINSTALL) {
        delete(software, &format!("{list}\\{}", product.key), edits);
    }
    let Some(packed) = product.packed.as_deref() else {
        return;
    };
    for list in ["Products", "Features", "Patches"] {
        delete(software, &format!("Classes\\Installer\\{list}\\{packed}"), edits);
    }
    let managed = format!("{INSTALLER}\\Managed");
    for sid in reg::names(software, &managed) {
        for list in ["Products", "Features"] {
            delete(software, &format!("{managed}\\{sid}\\Installer\\{list}\\{packed}"), edits);
        }
    }
    for list in ["Classes\\Installer\\UpgradeCodes".to_owned(), format!("{INSTALLER}\\UpgradeCodes")] {
        remove_values(software, &list, survey, edits);
    }
    let users = format!("{INSTALLER}\\UserData");
    for sid in reg::names(software, &users) {
        delete(software, &format!("{users}\\{sid}\\Products\\{packed}"), edits);
        remove_values(software, &format!("{users}\\{sid}\\Components"), survey, edits);
    }
    delete(software, &format!("{INSTALLER}\\LocalPackages\\{packed}"), edits);
    // Bundles of several packages note who needs whom.
    let dependencies = "Classes\\Installer\\Dependencies";
    for provider in reg::names(software, dependencies) {
        delete(software, &format!("{dependencies}\\{provider}\\Dependents\\{}", product.key), edits);
    }
    let copies = survey.places.system("installer").join(&product.key);
    let list = format!("{INSTALLER}\\Folders");
    for value in software.key(&list).iter().flat_map(|key| key.values()) {
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
        let own: Vec<&String> = names.iter().filter(|name| survey.is_product(name)).collect();
        if own.is_empty() {
            continue;
        }
        let path = format!("{list}\\{}", entry.name());
        let others = names.iter().any(|name| !name.is_empty() && !survey.is_product(name));
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
