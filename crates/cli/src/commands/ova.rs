//! `refit ova`

pub mod answers;
pub mod descriptor;
pub mod env;
pub mod spec;
