//! The agent that the guest has, by the list of installed programs.

use refit_hive::Hive;

use crate::adapters::text;

/// Where installers enter their products.
const LISTS: [&str; 2] = [
    r"Microsoft\Windows\CurrentVersion\Uninstall",
    r"Wow6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
];
/// More programs than are installed anywhere.
const MOST: usize = 5000;

/// Version of the QEMU guest agent in the SOFTWARE hive. Where several entries have it, the newest counts.
pub(super) fn version(software: &Hive) -> Option<String> {
    let mut newest: Option<String> = None;
    for list in LISTS {
        let Some(key) = software.key(list) else {
            continue;
        };
        for product in key.subkeys().take(MOST) {
            let is_agent = text(&product, "DisplayName")
                .is_some_and(|name| name.eq_ignore_ascii_case("QEMU guest agent"));
            let Some(version) = text(&product, "DisplayVersion").filter(|_| is_agent) else {
                continue;
            };
            if newest
                .as_ref()
                .is_none_or(|known| super::version::is_newer(&version, known))
            {
                newest = Some(version);
            }
        }
    }
    newest
}
