//! The fixups of Windows guests, one folder each.

mod virtio;
#[path = "vmware-tools/mod.rs"]
mod vmware_tools;

use refit_engine::Fixup;

/// Every built-in fixup of Windows guests. The engine puts them in the order of their phases; those of one
/// phase stay in this order.
#[must_use]
pub fn all() -> Vec<&'static dyn Fixup> {
    vec![&virtio::Virtio, &vmware_tools::VmwareTools]
}
