//! Edits leave a hive that holds what a plain model of it holds, and that is as tidy as before.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use refit_hive::{Hive, Value};
use support::edits::{Model, edit, some_paths};
use support::random::Random;
use support::{count, hives, listing};

#[test]
fn random_edits_agree_with_a_model() {
    for (name, hive) in hives().into_iter().chain([("new".to_owned(), Hive::new())]) {
        let rounds = if count(hive.root()) < 6000 { 12 } else { 1 };
        for seed in 0..rounds {
            let mut hive = hive.clone();
            let mut random = Random(seed);
            let mut model = Model::of(hive.root());
            let mut paths = some_paths(&mut random, &hive);
            for step in 0..300 {
                edit(&mut random, &mut hive, &mut model, &mut paths);
                if step % 50 == 0 {
                    hive.check().unwrap_or_else(|error| {
                        panic!("{name}, seed {seed}, step {step}: {error}")
                    });
                }
            }
            hive.check()
                .unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}"));
            let again = Hive::parse(hive.bytes().to_vec()).unwrap();
            let difference = Model::of(again.root()).difference(&model, "");
            assert_eq!(difference, None, "{name}, seed {seed}");
            assert_eq!(listing(&again), listing(&hive));
        }
    }
}

#[test]
fn long_lists_are_split_and_shrink_again() {
    for minor in [3, 5] {
        let mut bytes = Hive::new().into_bytes();
        bytes[24] = minor;
        reseal(&mut bytes);
        let mut hive = Hive::parse(bytes).unwrap();
        // In an order that is neither sorted nor reversed.
        let names: Vec<String> = (0..5000u32)
            .map(|n| format!("k{}", n.wrapping_mul(2_654_435_761) >> 8))
            .collect();
        for name in &names {
            hive.create_key(&format!("Top\\{name}")).unwrap();
        }
        hive.check().unwrap();
        let top = hive.key("top").unwrap();
        let mut sorted: Vec<String> = names.clone();
        sorted.sort();
        assert_eq!(
            top.subkeys().map(|key| key.name()).collect::<Vec<_>>(),
            sorted
        );
        let full = hive.bytes().len();
        for name in &names[..4999] {
            assert!(hive.delete_key(&format!("Top\\{name}")).unwrap());
        }
        hive.check().unwrap();
        assert_eq!(hive.key("Top").unwrap().subkeys().len(), 1);
        assert!(hive.delete_key(&format!("Top\\{}", names[4999])).unwrap());
        assert_eq!(hive.key("Top").unwrap().subkeys().len(), 0);
        for name in &names {
            hive.create_key(&format!("Top\\{name}")).unwrap();
        }
        hive.check().unwrap();
        assert!(
            hive.bytes().len() <= full + full / 8,
            "free cells are used again"
        );
    }
}

#[test]
fn the_same_edits_give_the_same_bytes() {
    let run = || {
        let mut hive = Hive::new();
        hive.set_value("A\\B", "Ünder", &Value::sz("x")).unwrap();
        hive.set_value("A\\b", "", &Value::dword(1)).unwrap();
        hive.delete_key("a\\B").unwrap();
        hive.create_key("C").unwrap();
        hive.into_bytes()
    };
    assert_eq!(run(), run());
}

#[test]
fn what_is_there_already_is_not_written() {
    for (name, mut hive) in hives() {
        let before = hive.bytes().to_vec();
        let copy = hive.clone();
        let nameable = |name: &str| !name.contains(['\u{fffd}', '\\']);
        for key in copy.root().subkeys().filter(|key| nameable(&key.name())) {
            hive.create_key(&key.name().to_ascii_uppercase()).unwrap();
            for value in key.values().filter(|value| nameable(&value.name)) {
                hive.set_value(&key.name(), &value.name, &value.value)
                    .unwrap();
            }
        }
        assert!(!hive.delete_key("no such key").unwrap());
        assert!(!hive.delete_value("no such key", "").unwrap());
        assert!(!hive.delete_value("", "no such value").unwrap());
        assert!(hive.bytes() == before, "{name}");
    }
}

#[test]
fn what_the_registry_does_not_allow_is_refused() {
    let mut hive = Hive::new();
    let before = hive.bytes().to_vec();
    let long = "n".repeat(256);
    assert!(hive.create_key(&long).is_err());
    assert!(hive.create_key("a\0b").is_err());
    assert!(hive.create_key(&"a\\".repeat(513)).is_err());
    assert!(
        hive.set_value("a", &"n".repeat(16384), &Value::dword(1))
            .is_err()
    );
    assert!(hive.set_value("a", "n\0", &Value::dword(1)).is_err());
    assert!(hive.delete_key("").is_err());
    assert!(hive.delete_key("\\").is_err());
    assert_eq!(hive.bytes(), before);
    hive.create_key(&"a\\".repeat(512)).unwrap();
    hive.set_value("", &"n".repeat(16383), &Value::dword(1))
        .unwrap();
    hive.create_key(&"ü".repeat(255)).unwrap();
    hive.create_key(&"ж".repeat(255)).unwrap();
    hive.check().unwrap();
    Hive::parse(hive.into_bytes()).unwrap();
}

/// Makes the checksum right: the XOR of the words before it.
fn reseal(bytes: &mut [u8]) {
    let sum = bytes[..508].chunks_exact(4).fold(0, |sum, word| {
        sum ^ u32::from_le_bytes(word.try_into().unwrap())
    });
    bytes[508..512].copy_from_slice(&sum.to_le_bytes());
}
