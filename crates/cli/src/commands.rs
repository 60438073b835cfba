//! One module for each command.

pub mod boot;
pub mod check;
pub mod convert;
pub mod doctor;
pub mod fix;
pub mod fixups;
pub mod guest;
pub mod inspect;
pub mod ova;
pub mod plan;
pub mod pod;
pub mod recover;
pub mod request;
pub mod undo;
