//! `refit ova`: appliances, looked at where they lie.

pub mod inspect;
pub mod verify;
