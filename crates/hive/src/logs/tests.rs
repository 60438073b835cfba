//! Replays of logs that are made here, of the difference between a hive and what became of it.

use super::*;
use crate::image::{put_u64, u32_at};
use crate::value::Value;

/// A hive, and the same after some edits: more bins, and a deletion.
fn states() -> [Vec<u8>; 3] {
    let mut hive = Hive::new();
    hive.set_value("a", "v", &Value::sz("a text that has a cell of its own"))
        .unwrap();
    let first = hive.bytes().to_vec();
    hive.set_value("b", "v", &Value::binary(vec![1; 30_000]))
        .unwrap();
    let second = hive.bytes().to_vec();
    hive.delete_key("a").unwrap();
    [first, second, hive.into_bytes()]
}

/// The hive in the midst of a write.
fn dirty(state: &[u8], secondary: u32) -> Vec<u8> {
    let mut bytes = state.to_vec();
    put_u32(&mut bytes, header::PRIMARY, secondary + 1);
    put_u32(&mut bytes, header::SECONDARY, secondary);
    header::seal(&mut bytes);
    bytes
}

fn base_block(of: &[u8], kind: u32, sequence: u32) -> Vec<u8> {
    let mut block = of[..SECTOR].to_vec();
    put_u32(&mut block, header::FILE_TYPE, kind);
    put_u32(&mut block, header::PRIMARY, sequence);
    header::settle(&mut block);
    block
}

/// Offsets of the pages that differ, in the bins.
fn changed(before: &[u8], after: &[u8]) -> Vec<usize> {
    (0..after.len() - 4096)
        .step_by(4096)
        .filter(|at| before.get(4096 + at..8192 + at) != after.get(4096 + at..8192 + at))
        .collect()
}

fn entry(before: &[u8], after: &[u8], sequence: u32) -> Vec<u8> {
    let pages = changed(before, after);
    let mut bytes = vec![0; 40];
    bytes[..4].copy_from_slice(b"HvLE");
    put_u32(&mut bytes, 12, sequence);
    put_u32(&mut bytes, 16, u32_at(after, header::BINS).unwrap());
    put_u32(&mut bytes, 20, pages.len() as u32);
    for page in &pages {
        bytes.extend((*page as u32).to_le_bytes());
        bytes.extend(4096u32.to_le_bytes());
    }
    for page in pages {
        bytes.extend(&after[4096 + page..8192 + page]);
    }
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
    let size = bytes.len() as u32;
    put_u32(&mut bytes, 4, size);
    let body = marvin::hash(marvin::SEED, &bytes[40..]);
    put_u64(&mut bytes, 24, body);
    let head = marvin::hash(marvin::SEED, &bytes[..32]);
    put_u64(&mut bytes, 32, head);
    bytes
}

/// A log of the new format with entries from one state to the next.
fn log(states: &[&[u8]], sequence: u32) -> Vec<u8> {
    let mut bytes = base_block(states[0], TYPE_ENTRIES, sequence);
    for (pair, sequence) in states.windows(2).zip(sequence..) {
        bytes.extend(entry(pair[0], pair[1], sequence));
    }
    bytes
}

fn replayed(hive: &[u8], logs: &[&[u8]]) -> Result<(u32, Vec<u8>), HiveError> {
    let bytes = Hive::recover(hive.to_vec(), logs)?.into_bytes();
    Ok((
        u32_at(&bytes, header::PRIMARY).unwrap(),
        bytes[SECTOR..].to_vec(),
    ))
}

#[test]
fn entries_of_both_logs_follow_one_another() {
    let [first, second, third] = states();
    let hive = dirty(&first, 7);
    let one = log(&[&first, &second], 7);
    let two = log(&[&second, &third], 8);
    let both = log(&[&first, &second, &third], 7);
    for logs in [
        &[&one[..], &two][..],
        &[&two, &one],
        &[&[], &both],
        &[&both],
    ] {
        assert_eq!(replayed(&hive, logs), Ok((9, third[SECTOR..].to_vec())));
    }
    assert_eq!(replayed(&hive, &[&one]), Ok((8, second[SECTOR..].to_vec())));
    // What is in the hive already is not applied again.
    assert_eq!(
        replayed(&dirty(&second, 8), &[&one, &two]),
        Ok((9, third[SECTOR..].to_vec()))
    );
    // An entry that was being written when the machine stopped.
    let mut torn = both.clone();
    let last = torn.len() - 1;
    torn[last] ^= 1;
    assert_eq!(
        replayed(&hive, &[&torn]),
        Ok((8, second[SECTOR..].to_vec()))
    );
}

#[test]
fn what_is_not_complete_is_refused() {
    let [first, second, third] = states();
    let hive = dirty(&first, 7);
    let one = log(&[&first, &second], 7);
    let cases: [(&str, Vec<u8>, Vec<u8>); 3] = [
        ("gap", one.clone(), log(&[&second, &third], 9)),
        ("overlap", one.clone(), log(&[&first, &second, &third], 7)),
        (
            "older and newer",
            log(&[&first, &second, &third], 6),
            one.clone(),
        ),
    ];
    for (name, one, two) in cases {
        let found = replayed(&hive, &[&one, &two]);
        assert!(matches!(found, Err(HiveError::Log(_))), "{name}: {found:?}");
    }
    let none = Err(HiveError::Dirty {
        primary: 8,
        secondary: 7,
    });
    assert_eq!(replayed(&hive, &[]), none);
    assert_eq!(replayed(&hive, &[&log(&[&first, &second], 3)]), none);
    let mut unfinished = one.clone();
    put_u32(&mut unfinished, header::SECONDARY, 6);
    header::seal(&mut unfinished);
    assert_eq!(replayed(&hive, &[&unfinished]), none);
    let mut header_gone = hive;
    header_gone[header::WRITTEN] ^= 1;
    assert!(matches!(
        replayed(&header_gone, &[&one]),
        Err(HiveError::Log(_))
    ));
}

#[test]
fn impossible_entries_are_refused() {
    let [first, second, _] = states();
    let hive = dirty(&first, 7);
    // Offset of a field in the entry, its value.
    for (at, value) in [
        (16, 1 << 30),
        (16, 0),
        (20, u32::MAX),
        (20, 3000),
        (40, 1 << 29),
        (44, 1 << 20),
    ] {
        let mut entry = entry(&first, &second, 7);
        put_u32(&mut entry, at, value);
        let body = marvin::hash(marvin::SEED, &entry[40..]);
        put_u64(&mut entry, 24, body);
        let head = marvin::hash(marvin::SEED, &entry[..32]);
        put_u64(&mut entry, 32, head);
        let log = [base_block(&first, TYPE_ENTRIES, 7), entry].concat();
        let found = replayed(&hive, &[&log]);
        assert!(
            matches!(found, Err(HiveError::Log(_))),
            "{at} = {value}: {found:?}"
        );
    }
}

/// A log of the old format.
fn vector(before: &[u8], after: &[u8]) -> Vec<u8> {
    let mut bytes = base_block(after, 1, 7);
    let mut map = vec![0; (after.len() - 4096) / 512 / 8];
    let pages = changed(before, after);
    for page in &pages {
        map[page / 4096] = 0xff;
    }
    bytes.extend(b"DIRT");
    bytes.extend(map);
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
    for page in pages {
        bytes.extend(&after[4096 + page..8192 + page]);
    }
    bytes
}

#[test]
fn the_old_format_is_replayed() {
    let [first, second, third] = states();
    let hive = dirty(&first, 7);
    let log = vector(&first, &third);
    assert_eq!(
        replayed(&hive, &[&log, &[]]),
        Ok((8, third[SECTOR..].to_vec()))
    );
    let mut older = hive.clone();
    older[header::WRITTEN] ^= 1;
    header::seal(&mut older);
    assert!(matches!(
        replayed(&older, &[&log]),
        Err(HiveError::Dirty { .. })
    ));
    let two = replayed(&hive, &[&log, &vector(&first, &second)]);
    assert!(matches!(two, Err(HiveError::Log(_))), "{two:?}");
    for length in [SECTOR, SECTOR + 2, SECTOR + 4, 1024, log.len() - 1] {
        let found = replayed(&hive, &[&log[..length]]);
        assert!(
            matches!(found, Err(HiveError::Log(_))),
            "{length}: {found:?}"
        );
    }
}

#[test]
fn logs_of_a_clean_hive_are_ignored() {
    let [first, second, _] = states();
    let hive = Hive::recover(first.clone(), &[&log(&[&first, &second], 2)]).unwrap();
    assert!(hive.bytes() == first);
}
