//! A hive that Windows had not written out, with its two logs.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use refit_hive::{Hive, HiveError, Value};
use support::{count, listing, sample};

const FILES: [&str; 3] = [
    "win10-SYSTEM.xz",
    "win10-SYSTEM.LOG1.xz",
    "win10-SYSTEM.LOG2.xz",
];

#[test]
fn both_logs_are_replayed_whatever_their_order() {
    let [hive, first, second] = FILES.map(sample);
    assert_eq!(Hive::is_dirty(&hive), Ok(true));
    let dirty = HiveError::Dirty {
        primary: 1622,
        secondary: 1621,
    };
    assert_eq!(Hive::parse(hive.clone()).err(), Some(dirty.clone()));
    assert_eq!(Hive::recover(hive.clone(), &[]).err(), Some(dirty.clone()));
    assert_eq!(
        Hive::recover(hive.clone(), &[&[], b"regf"]).err(),
        Some(dirty)
    );

    let recovered = Hive::recover(hive.clone(), &[&first, &second]).unwrap();
    recovered.check().unwrap();
    // One above the last entry, 2130.
    assert_eq!(recovered.bytes()[4..12], [0x53, 8, 0, 0, 0x53, 8, 0, 0]);
    let other = Hive::recover(hive.clone(), &[&[], &second, &first]).unwrap();
    assert!(recovered.bytes() == other.bytes());

    // The logs hold what the file does not, and the other way round.
    let flushed = Hive::parse_as_flushed(hive).unwrap();
    assert_ne!(listing(&flushed), listing(&recovered));
    assert_eq!(
        (count(flushed.root()), count(recovered.root())),
        (33123, 35595)
    );

    // Recovered, it is edited and read like any other.
    let mut edited = recovered.clone();
    edited
        .set_value("Select", "Current", &Value::dword(1))
        .unwrap();
    assert!(edited.bytes() == recovered.bytes(), "it is 1 already");
    edited
        .set_value("Select", "Current", &Value::dword(2))
        .unwrap();
    let again = Hive::parse(edited.into_bytes()).unwrap();
    assert_eq!(
        again.key("select").unwrap().value("current"),
        Some(Value::dword(2))
    );
    // Written out, it is not dirty any more: the logs are ignored.
    let bytes = again.into_bytes();
    let third = Hive::recover(bytes.clone(), &[&first, &second]).unwrap();
    assert!(third.bytes() == bytes);
}

#[test]
fn a_torn_log_is_replayed_up_to_the_tear() {
    let [hive, first, mut second] = FILES.map(sample);
    // In the last entry, 2130, which begins at 2699264.
    second[2_700_000] ^= 1;
    let recovered = Hive::recover(hive.clone(), &[&first, &second]).unwrap();
    assert_eq!(recovered.bytes()[4..8], [0x52, 8, 0, 0]);
    // In the first log: what follows it is in the second, and cannot be replayed without it.
    let mut torn = first.clone();
    torn[41_500] ^= 1;
    let error = Hive::recover(hive, &[&torn, &second]).unwrap_err();
    assert_eq!(
        error,
        HiveError::Log("entries between those of its two logs are missing")
    );
}
