//! Hives that were damaged or made up: they are refused, or read and edited like any other; nothing panics or hangs.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use refit_hive::{Hive, Value, reg};
use support::random::Random;
use support::{count, sample};

/// A hive with everything in it that the format knows, small enough for many rounds.
fn rich() -> Vec<u8> {
    let mut hive = Hive::new();
    for number in 0..40 {
        hive.set_value(
            &format!("Top\\key {number}"),
            "Größe",
            &Value::dword(number),
        )
        .unwrap();
    }
    hive.set_value("Łódź", "имя", &Value::sz("a text in a cell of its own"))
        .unwrap();
    hive.set_value("Łódź\\b\\c", "", &Value::multi_sz(&["one", "two"]))
        .unwrap();
    hive.set_value("big", "data", &Value::binary(vec![7; 40_000]))
        .unwrap();
    for number in 0..1100 {
        hive.create_key(&format!("many\\{number}")).unwrap();
    }
    hive.delete_key("Top\\key 7").unwrap();
    hive.into_bytes()
}

/// Reads everything, edits, and checks, if the hive is taken at all; tells whether it was.
fn exercise(bytes: Vec<u8>) -> bool {
    // What a header's checksum protects is to be reached, too.
    let Ok(mut hive) = Hive::parse_as_flushed(bytes) else {
        return false;
    };
    let mut keys = vec![hive.root()];
    let mut values = 0;
    while let Some(key) = keys.pop() {
        values += key
            .values()
            .map(|value| value.value.data.len())
            .sum::<usize>();
        std::hint::black_box((key.class(), key.last_written(), key.name()));
        keys.extend(key.subkeys());
    }
    assert!(
        values <= hive.bytes().len(),
        "more data than the file holds"
    );
    let names: Vec<String> = hive.root().subkeys().map(|key| key.name()).collect();
    hive.set_value("Top\\new", "value", &Value::binary(vec![1; 20_000]))
        .unwrap();
    hive.set_value("many\\55x", "value", &Value::sz("text"))
        .unwrap();
    hive.check()
        .unwrap_or_else(|error| panic!("after setting: {error}"));
    // No path leads to a key without a name.
    for name in names.iter().filter(|name| !name.is_empty()) {
        hive.delete_key(name).unwrap();
    }
    hive.check()
        .unwrap_or_else(|error| panic!("after deleting: {error}"));
    let again = Hive::parse(hive.bytes().to_vec()).unwrap();
    assert_eq!(count(again.root()), count(hive.root()));
    true
}

/// One change to the bytes, of the kinds that hurt readers most.
fn damage(random: &mut Random, bytes: &mut [u8]) {
    let at = random.below(bytes.len());
    match random.below(4) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        _ => {
            // An offset, a size or a count, set to something that means something elsewhere.
            let at = at & !3;
            let other = random.below(bytes.len()) & !3;
            let word: [u8; 4] = match random.below(5) {
                0 => [0xff; 4],
                1 => [0; 4],
                2 => (random.below(bytes.len()) as u32 & !7).to_le_bytes(),
                3 => 0x8000_0000_u32.to_le_bytes(),
                _ => bytes[other..other + 4].try_into().unwrap(),
            };
            bytes[at..at + 4].copy_from_slice(&word);
        }
    }
}

fn damaged_by(name: &str, original: &[u8], rounds: u64) {
    let mut taken = 0;
    for seed in 0..rounds {
        let mut random = Random(seed);
        let mut bytes = original.to_vec();
        for _ in 0..=random.below(3) {
            damage(&mut random, &mut bytes);
        }
        taken += u64::from(exercise(bytes));
    }
    // Else the test would show little: damage in names and data is no damage to the structure.
    assert!(
        taken > 0 && taken < rounds,
        "{name}: {taken} of {rounds} were taken"
    );
}

#[test]
fn damaged_small_hives() {
    damaged_by("rich", &rich(), 6000);
    for name in ["REORGANIZED_VALUES_TESTS", "UNICODE_TESTS", "issue22"] {
        damaged_by(name, &sample(&format!("python-registry-{name}.xz")), 15_000);
    }
}

#[test]
fn damaged_large_hives() {
    damaged_by("XP", &sample("winxp-SYSTEM.xz"), 80);
    damaged_by("10", &sample("win10-SYSTEM.xz"), 12);
}

#[test]
fn damaged_records() {
    // Every bit of the records of a small hive.
    let original = sample("python-registry-UNICODE_TESTS.xz");
    for bit in 4096 * 8..original.len() * 8 {
        let mut bytes = original.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        exercise(bytes);
    }
}

#[test]
fn truncated_hives() {
    let rich = rich();
    for length in (0..rich.len()).step_by(257).chain(0..600).chain(4000..4200) {
        assert!(!exercise(rich[..length].to_vec()), "{length}");
    }
    let large = sample("winxp-SYSTEM.xz");
    for length in (0..3_481_600 + 4096).step_by(4096) {
        assert!(Hive::parse(large[..length].to_vec()).is_err(), "{length}");
    }
}

#[test]
fn damaged_logs() {
    let [hive, first, second] =
        ["", ".LOG1", ".LOG2"].map(|end| sample(&format!("win10-SYSTEM{end}.xz")));
    let mut random = Random(1);
    let mut recovered = 0;
    for _ in 0..60 {
        let mut first = first.clone();
        let mut second = second.clone();
        damage(&mut random, &mut first[..57_344]);
        let end = if random.below(2) == 0 { 2_715_648 } else { 600 };
        damage(&mut random, &mut second[..end]);
        recovered += u32::from(Hive::recover(hive.clone(), &[&first, &second]).is_ok());
    }
    assert!(recovered < 60);
    for length in (0..first.len()).step_by(40_000) {
        let _ = Hive::recover(hive.clone(), &[&first[..length], &second[..length]]);
    }
}

#[test]
fn a_cycle_ends() {
    // A key that is its own subkey, and one that is its grandparent's parent.
    let mut hive = Hive::new();
    hive.create_key("a\\b").unwrap();
    let original = hive.into_bytes();
    let words = original.len() / 4;
    let offsets: Vec<u32> = (0..4096).step_by(8).collect();
    let mut cycles = 0;
    for word in 1024..words {
        let at = word * 4;
        let old = u32::from_le_bytes(original[at..at + 4].try_into().unwrap());
        if !offsets.contains(&old) || old == 0 {
            continue;
        }
        for target in &offsets {
            let mut bytes = original.clone();
            bytes[at..at + 4].copy_from_slice(&target.to_le_bytes());
            cycles += 1;
            exercise(bytes);
        }
    }
    assert!(cycles > 1000);
}

#[test]
fn registration_text_of_any_kind_is_no_danger() {
    let text = reg::export(&Hive::parse(rich()).unwrap());
    let mut random = Random(3);
    for _ in 0..60 {
        let mut bytes = text.clone().into_bytes();
        for _ in 0..3 {
            let at = 40 + random.below(bytes.len() - 40);
            bytes[at] = *random.pick(b"\"\\[]=:,;@\n0a(");
        }
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(hive) = reg::import(&text)
        {
            hive.check().unwrap();
        }
    }
}
