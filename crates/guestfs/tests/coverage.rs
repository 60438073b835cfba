//! What the raw crate binds is what the safe crate uses, no more and no less.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The words of a text that are libguestfs symbols.
fn symbols(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("guestfs_") || word.starts_with("GUESTFS_"))
        .map(str::to_owned)
        .collect()
}

/// The sources without comments, which name functions too.
fn safe_crate() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut used = BTreeSet::new();
    for entry in fs::read_dir(source).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        used.extend(symbols(&code.collect::<Vec<_>>().join("\n")));
    }
    used
}

fn raw_crate(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../guestfs-sys")
        .join(file);
    fs::read_to_string(path).unwrap()
}

fn listed() -> BTreeSet<String> {
    let text = raw_crate("allowlist.txt");
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_listed_symbol_is_used() {
    let used = safe_crate();
    let unused: Vec<_> = listed()
        .into_iter()
        .filter(|symbol| !used.contains(symbol))
        .collect();
    assert_eq!(unused, Vec::<String>::new(), "listed, but not used");
}

#[test]
fn every_function_and_constant_used_is_listed() {
    let bindings = raw_crate("src/bindings_1_48.rs");
    // Structures come with the functions, so they are not in the list.
    let bound: BTreeSet<_> = bindings
        .split("pub ")
        .filter_map(|item| {
            item.strip_prefix("fn ")
                .or_else(|| item.strip_prefix("const "))
        })
        .filter_map(|item| item.split(['(', ':']).next())
        .filter(|name| !name.starts_with('_'))
        .map(str::to_owned)
        .collect();
    assert_eq!(bound, listed(), "run `cargo xtask bindings`");
    let structures: BTreeSet<_> = bindings
        .split("pub struct ")
        .skip(1)
        .filter_map(|item| item.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    let strangers: Vec<_> = safe_crate()
        .into_iter()
        .filter(|symbol| !bound.contains(symbol) && !structures.contains(symbol))
        .collect();
    assert_eq!(strangers, Vec::<String>::new(), "used, but not bound");
}

#[test]
fn the_list_is_sorted() {
    let text = raw_crate("allowlist.txt");
    for part in text.split("\n\n") {
        let lines: Vec<_> = part.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.is_sorted(), "{lines:?}");
    }
}
