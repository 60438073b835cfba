//! The fixups of Windows guests, one folder each.

use refit_engine::Fixup;

mod adapters;
pub mod clock;
pub mod disks;
#[path = "firstboot-service/mod.rs"]
pub mod firstboot_service;
#[path = "ghost-devices/mod.rs"]
pub mod ghost_devices;
#[path = "guest-agent/mod.rs"]
pub mod guest_agent;
pub mod network;
#[path = "ovf-env/mod.rs"]
pub mod ovf_env;
mod parameters;
pub mod tasks;
#[cfg(test)]
mod testing;
mod virtio;
#[path = "vmware-tools/mod.rs"]
mod vmware_tools;

/// Every built-in fixup of Windows guests. The engine puts them in the order of their phases; those of one
/// phase stay in this order.
#[must_use]
pub fn all() -> Vec<&'static dyn Fixup> {
    vec![
        &virtio::Virtio,
        &vmware_tools::VmwareTools,
        &clock::WindowsClock,
        &disks::WindowsDisks,
        &guest_agent::WindowsGuestAgent,
        &network::WindowsNetwork,
        // After `windows-vmware-tools`, which frees the names that it takes.
        &ovf_env::WindowsOvfEnv,
        // After `windows-network`, whose tasks say which old interfaces are no longer needed.
        &ghost_devices::WindowsGhostDevices,
        // The last: it installs the service if any other left a task.
        &firstboot_service::WindowsFirstboot,
    ]
}
