//! The Linux and general fixups, one folder each.

use refit_engine::Fixup;

mod assignments;
#[path = "boot-disks/mod.rs"]
pub mod boot_disks;
#[path = "boot-loader/mod.rs"]
mod boot_loader;
pub mod clock;
#[path = "cloud-init/mod.rs"]
pub mod cloud_init;
pub mod console;
#[path = "guest-agent/mod.rs"]
pub mod guest_agent;
pub mod network;
#[path = "nic-config/mod.rs"]
pub mod nic_config;
#[path = "nic-names/mod.rs"]
pub mod nic_names;
#[path = "ovf-env/mod.rs"]
pub mod ovf_env;
mod parameters;
pub mod selinux;
#[path = "vmware-tools/mod.rs"]
pub mod vmware_tools;

/// Every built-in fixup. The engine puts them in the order of their phases; those of one phase stay in
/// this order.
#[must_use]
pub fn all() -> Vec<&'static dyn Fixup> {
    vec![
        &boot_disks::BootDisks,
        &clock::Clock,
        &cloud_init::CloudInit,
        &console::Console,
        &guest_agent::GuestAgent,
        // Before `nic-names`, which takes the configuration as it will be.
        &nic_config::NicConfig,
        &nic_names::NicNames,
        &ovf_env::OvfEnv,
        &selinux::Selinux,
        &vmware_tools::VmwareTools,
    ]
}
