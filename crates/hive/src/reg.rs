//! Registration text.

use crate::error::HiveError;
use crate::hive::Hive;

/// Reads registration text.
pub fn import(_text: &str) -> Result<Hive, HiveError> {
    Ok(Hive::new())
}

/// Writes registration text.
pub fn export(_hive: &Hive) -> String {
    String::new()
}
