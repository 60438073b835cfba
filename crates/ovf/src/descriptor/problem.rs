//! What breaks the rules in a descriptor that can be read all the same, and where.

use std::fmt;

use serde::Serialize;

pub use refit_machine::xml::Place;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Odd, or not as the standard wants it; what was meant is clear.
    Warning,
    /// What was meant cannot be known, or must not be done: such an appliance is not deployed.
    Error,
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// A word for programs, such as `disk.capacity`; it does not change.
    pub code: &'static str,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// The element, by its name without prefix.
    pub element: String,
    /// The rule, and what is there instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, <{}>: {}", self.place, self.element, self.message)
    }
}
