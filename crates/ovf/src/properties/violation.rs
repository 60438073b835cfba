//! What is wrong with the answers.

use std::fmt;

use serde::Serialize;

use crate::Place;

/// One thing that is wrong, or odd, with a property's value. It never holds the value of a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// A word for programs, such as `prop.missing`; it does not change.
    pub code: &'static str,
    /// `ovf:id` of the system or collection that declares the property, if the appliance has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The qualified key; empty if it is about no single property.
    pub key: String,
    /// The property's name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Which rule is broken, and what to do if that is not plain.
    pub rule: String,
    /// What is allowed instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// Where the property is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            f.write_str(&self.key)?;
            if let Some(label) = self.label.as_ref().filter(|label| !label.is_empty()) {
                write!(f, " ({label})")?;
            }
            if let Some(system) = &self.system {
                write!(f, " of {system}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.rule)?;
        if let Some(allowed) = &self.allowed {
            write!(f, "; allowed: {allowed}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Violations(pub Vec<Violation>);

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(
            f,
            "{count} {} of the appliance's properties",
            if count == 1 { "error" } else { "errors" }
        )?;
        for violation in &self.0 {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}
