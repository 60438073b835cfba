//! What a walk refuses, and what it only counts.

use super::*;
use crate::value::Value;
use crate::{Hive, HiveError};

fn hive() -> Hive {
    let mut hive = Hive::new();
    for name in ["alpha", "beta", "gamma\\delta"] {
        hive.set_value(name, "name", &Value::sz("a text in its own cell"))
            .unwrap();
    }
    hive
}

fn offset(hive: &Hive, path: &str) -> u32 {
    hive.key(path).unwrap().offset
}

#[test]
fn an_edited_hive_is_tidy() {
    let hive = hive();
    assert_eq!(survey(&hive.image).unwrap().blemishes, Blemishes::default());
    // All keys share the root's descriptor.
    assert_eq!(hive.survey.security.values().collect::<Vec<_>>(), [&5]);
    assert_eq!(hive.check(), Ok(()));
}

#[test]
fn each_untidiness_is_seen() {
    type Spoil = fn(&mut Hive);
    let cases: [(Spoil, &str); 7] = [
        (
            |hive| {
                let alpha = offset(hive, "alpha");
                hive.image.cell_mut(alpha).unwrap()[nk::NAME] = b'z';
            },
            "a list of subkeys is out of order",
        ),
        (
            |hive| {
                let alpha = offset(hive, "alpha");
                hive.image.cell_mut(alpha).unwrap()[nk::NAME + 2] = b'P' + 1;
            },
            "a hash in a list of subkeys is wrong",
        ),
        (
            |hive| {
                let alpha = offset(hive, "alpha");
                hive.image.set_u32(alpha, nk::PARENT, alpha);
            },
            "a key names a wrong parent",
        ),
        (
            |hive| {
                let security = *hive.survey.security.keys().next().unwrap();
                hive.image.set_u32(security, sk::REFERENCES, 4);
            },
            "a security descriptor's count of keys is wrong",
        ),
        (
            |hive| {
                let security = *hive.survey.security.keys().next().unwrap();
                hive.image.set_u32(security, sk::NEXT, 32);
            },
            "the list of security descriptors is broken",
        ),
        (
            |hive| {
                let root = hive.image.root();
                hive.image.set_u16(root, nk::MAX_SUBKEY_NAME, 8);
            },
            "a key's longest name or data is wrong",
        ),
        (
            |hive| {
                let alpha = offset(hive, "alpha");
                hive.image.set_u32(alpha, nk::MAX_VALUE_DATA, 10);
            },
            "a key's longest name or data is wrong",
        ),
    ];
    for (spoil, expected) in cases {
        let mut hive = hive();
        spoil(&mut hive);
        assert_eq!(
            hive.check(),
            Err(HiveError::Unsound {
                at: 0,
                what: expected
            })
        );
        // A file that came so is taken as it is, and edited.
        let mut hive = Hive::parse_as_flushed(hive.into_bytes()).unwrap();
        hive.set_value("gamma\\new", "", &Value::dword(1)).unwrap();
        assert_eq!(hive.check(), Ok(()), "{expected}");
    }
}

#[test]
fn each_contradiction_is_refused() {
    type Spoil = fn(&mut Hive);
    let cases: [(&str, Spoil); 8] = [
        ("number of subkeys", |hive| {
            let root = hive.image.root();
            hive.image.set_u32(root, nk::SUBKEYS, 2);
        }),
        ("list of another key", |hive| {
            let other = offset(hive, "gamma");
            let list = hive.image.u32(hive.image.root(), nk::SUBKEY_LIST).unwrap();
            hive.image.set_u32(other, nk::SUBKEY_LIST, list);
        }),
        ("values of another key", |hive| {
            let (one, other) = (offset(hive, "alpha"), offset(hive, "beta"));
            let list = hive.image.u32(one, nk::VALUE_LIST).unwrap();
            hive.image.set_u32(other, nk::VALUE_LIST, list);
        }),
        ("number of values", |hive| {
            let alpha = offset(hive, "alpha");
            hive.image.set_u32(alpha, nk::VALUES, u32::MAX);
        }),
        ("length of a name", |hive| {
            let alpha = offset(hive, "alpha");
            hive.image.set_u16(alpha, nk::NAME_LENGTH, 60_000);
        }),
        ("no security descriptor", |hive| {
            let alpha = offset(hive, "alpha");
            hive.image.set_u32(alpha, nk::SECURITY, alpha);
        }),
        ("length of data", |hive| {
            let value = hive.key("alpha").unwrap().value_cells()[0];
            hive.image.set_u32(value, vk::DATA_SIZE, 4000);
        }),
        ("class name nowhere", |hive| {
            let alpha = offset(hive, "alpha");
            hive.image.set_u16(alpha, nk::CLASS_LENGTH, 2);
        }),
    ];
    for (name, spoil) in cases {
        let mut hive = hive();
        spoil(&mut hive);
        let found = Hive::parse(hive.into_bytes());
        assert!(
            matches!(found, Err(HiveError::Unsound { .. })),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn a_descriptor_goes_with_its_last_key() {
    // A second descriptor, in the ring behind the first, for one key.
    let mut hive = hive();
    let first = *hive.survey.security.keys().next().unwrap();
    let alpha = offset(&hive, "alpha");
    let copy = hive.image.cell(first).unwrap().to_vec();
    let mut space = crate::edit::space::Space::of(&hive.image).unwrap();
    let second = space.allocate(&mut hive.image, copy.len()).unwrap();
    hive.image.cell_mut(second).unwrap().copy_from_slice(&copy);
    for (cell, other, count) in [(first, second, 4), (second, first, 1)] {
        hive.image.set_u32(cell, sk::NEXT, other);
        hive.image.set_u32(cell, sk::PREVIOUS, other);
        hive.image.set_u32(cell, sk::REFERENCES, count);
    }
    hive.image.set_u32(alpha, nk::SECURITY, second);
    let mut hive = Hive::parse(hive.into_bytes()).unwrap();
    assert_eq!(hive.survey.blemishes, Blemishes::default());

    hive.create_key("alpha\\below").unwrap();
    assert_eq!(
        hive.survey.security[&second], 2,
        "a new key has its parent's"
    );
    hive.delete_key("alpha").unwrap();
    hive.check().unwrap();
    assert!(hive.image.cell(second).is_none(), "its cell is free");
    assert_eq!(hive.image.u32(first, sk::NEXT), Some(first));
    assert_eq!(
        Hive::parse(hive.into_bytes())
            .unwrap()
            .survey
            .security
            .len(),
        1
    );
}
