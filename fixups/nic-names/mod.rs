//! Keeps the names of network cards.

pub mod model;
pub mod sources;
