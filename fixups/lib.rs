//! The Linux and general fixups, one folder each.

#[path = "nic-names/mod.rs"]
pub mod nic_names;
