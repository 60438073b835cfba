//! Hives for tests.

use refit_hive::{Hive, Value};

/// One key with its values.
pub(crate) type KeyOf<'a> = (String, Vec<(&'a str, Value)>);

/// A hive with these keys.
pub(crate) fn hive(keys: &[KeyOf<'_>]) -> Hive {
    let mut hive = Hive::new();
    for (path, values) in keys {
        hive.create_key(path).unwrap();
        for (name, value) in values {
            hive.set_value(path, name, value).unwrap();
        }
    }
    hive
}
