//! `refit ova`: appliances, looked at where they lie.

pub mod answers;
pub mod descriptor;
pub mod env;
pub mod inspect;
pub mod spec;
pub mod verify;
