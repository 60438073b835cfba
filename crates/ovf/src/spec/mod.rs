//! A file with all that an appliance asks for, to fill in, and reading it back.
//!
//! Two forms: TOML with comments that say what each value is, and the JSON of `govc import.spec`.

mod govc;
mod read;
mod toml_form;

pub use govc::govc;
pub use read::{ReadError, read};
pub use toml_form::toml;

use crate::Property;
use crate::properties::Rules;

/// Whether the form has a line for it: not for what the vendor has fixed, nor for secrets with a value of
/// the vendor's, which is not repeated.
fn asks(property: &Property, rules: &Rules, default: &str) -> bool {
    property.user_configurable && (!rules.secret || default.is_empty())
}
