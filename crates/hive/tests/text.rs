//! Registration text holds all that it can of real hives, and libhivex's tools read it alike.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use refit_hive::{Hive, reg};
use support::{hives, listing};

#[test]
fn real_hives_pass_through_text() {
    for (name, hive) in hives() {
        let text = reg::export(&hive);
        let again = reg::import(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        again.check().unwrap();
        if text.contains("; left out") {
            continue;
        }
        assert_eq!(reg::export(&again), text, "{name}");
        assert!(listing(&again) == listing(&hive), "{name}");
        let again = Hive::parse(again.into_bytes()).unwrap();
        assert_eq!(reg::export(&again), text, "{name}");
    }
}
