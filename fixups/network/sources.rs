//! One reader for each format of network configuration.

pub mod cloud_init;
pub mod glob;
pub mod ifcfg;
pub mod ifupdown;
pub mod keyfile;
pub mod leases;
pub mod netplan;
pub mod networkd;
pub mod persistent_rules;
pub mod reading;
pub mod unit_file;
pub mod values;
pub mod wicked;
pub mod xml;
pub mod yaml;
