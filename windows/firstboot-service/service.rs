//! The service's key, written offline.

use refit_engine::{Change, HiveName};
use refit_hive::{Hive, Value};

/// The service's name.
const NAME: &str = "refit-firstboot";

/// What a control set lacks of the service. `drive` is the letter of the system's drive.
pub(super) fn changes(system: &Hive, set: &str, drive: char) -> Vec<Change> {
    let key = format!(r"{set}\Services\{NAME}");
    let now = system.key(&key);
    let wanted = values(drive).into_iter();
    wanted
        .filter(|(name, value)| now.and_then(|key| key.value(name)).as_ref() != Some(value))
        .map(|(name, value)| Change::RegistrySet {
            hive: HiveName::System,
            key: key.clone(),
            name: name.to_owned(),
            value,
        })
        .collect()
}

/// `CreateService` (winsvc.h) writes these: a process of its own, started by itself.
fn values(drive: char) -> [(&'static str, Value); 8] {
    // In quotes: otherwise Windows would first try a program called C:\Program.exe.
    let image = format!(
        r#""{drive}:\Program Files\refit\firstboot\{}" service"#,
        super::program::NAME
    );
    [
        ("Type", Value::dword(0x10)),
        ("Start", Value::dword(2)),
        ("ErrorControl", Value::dword(1)),
        ("ImagePath", Value::expand_sz(&image)),
        ("DisplayName", Value::sz("refit first boot")),
        ("ObjectName", Value::sz("LocalSystem")),
        // It asks Plug and Play whether all devices have their drivers.
        ("DependOnService", Value::multi_sz(&["PlugPlay"])),
        (
            "Description",
            Value::sz("Finishes the move of this machine to new hardware, and removes itself."),
        ),
    ]
}
