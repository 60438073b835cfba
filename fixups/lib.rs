//! The Linux and general fixups, one folder each.

use refit_engine::Fixup;

#[path = "boot-disks/mod.rs"]
pub mod boot_disks;
pub mod network;
#[path = "nic-names/mod.rs"]
pub mod nic_names;
#[path = "vmware-tools/mod.rs"]
pub mod vmware_tools;

/// Every built-in fixup. The engine puts them in the order of their phases.
#[must_use]
pub fn all() -> Vec<&'static dyn Fixup> {
    vec![
        &boot_disks::BootDisks,
        &nic_names::NicNames,
        &vmware_tools::VmwareTools,
    ]
}
