//! The Linux and general fixups, one folder each.

use refit_engine::Fixup;

#[path = "boot-disks/mod.rs"]
pub mod boot_disks;
pub mod network;
#[path = "nic-config/mod.rs"]
pub mod nic_config;
#[path = "nic-names/mod.rs"]
pub mod nic_names;
#[path = "vmware-tools/mod.rs"]
pub mod vmware_tools;

/// Every built-in fixup. The engine puts them in the order of their phases; those of one phase stay in
/// this order.
#[must_use]
pub fn all() -> Vec<&'static dyn Fixup> {
    vec![
        &boot_disks::BootDisks,
        // Before `nic-names`, which takes the configuration as it will be.
        &nic_config::NicConfig,
        &nic_names::NicNames,
        &vmware_tools::VmwareTools,
    ]
}
