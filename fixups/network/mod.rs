//! What a guest's network configuration says, for all fixups that deal with network cards.
//!
//! [`sources`] has one reader for each format, which fill the common [`model`]; `Configuration` is
//! all of them together, `Topology` how the devices lie on one another, and `decide` finds out
//! which card had which name.

pub(crate) mod configuration;
pub(crate) mod decide;
pub(crate) mod evidence;
pub(crate) mod kernel_names;
pub mod model;
pub(crate) mod predictable;
pub mod sources;
pub(crate) mod topology;

#[cfg(test)]
pub(crate) mod tests;
