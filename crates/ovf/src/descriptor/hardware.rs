//! The devices of one system in one configuration.

use super::{HardwareSection, Item, System};

/// Several sections are alternatives: VMware's (`vmx-10`) if there is one, since the guest was made there,
/// else the first.
pub(super) fn section(system: &System) -> Option<&HardwareSection> {
    let is_vmware = |section: &&HardwareSection| {
        section
            .system_types
            .iter()
            .any(|kind| kind.to_ascii_lowercase().contains("vmx-"))
    };
    system
        .hardware
        .iter()
        .find(is_vmware)
        .or_else(|| system.hardware.first())
}

/// The devices in a configuration, in the descriptor's order. An item that names configurations counts for
/// these only, and replaces the item of the same instance that names none. Markers of ranges are no devices.
pub(super) fn items<'s>(
    section: &'s HardwareSection,
    configuration: Option<&str>,
) -> Vec<&'s Item> {
    let of_this = |item: &&Item| {
        configuration.is_some_and(|chosen| item.configurations.iter().any(|id| id == chosen))
    };
    let is_device = |item: &&Item| item.bound.is_none();
    let configured: Vec<&str> = section
        .items
        .iter()
        .filter(is_device)
        .filter(of_this)
        .map(|item| item.instance_id.as_str())
        .collect();
    section
        .items
        .iter()
        .filter(is_device)
        .filter(|item| {
            of_this(item)
                || (item.configurations.is_empty()
                    && !configured.contains(&item.instance_id.as_str()))
        })
        .collect()
}
