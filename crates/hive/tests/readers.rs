//! Other readers find in each hive what ours finds: before edits, after edits, and after a replay of logs.
//!
//! libhivex comes with the Debian packages libhivex-bin and python3-hivex, python-registry and regipy with
//! `cargo xtask setup` from PyPI. Where they cannot be had the tests say so; in CI they must be there.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use refit_hive::Hive;
use support::edits::{Model, edit, some_paths};
use support::random::Random;
use support::{hives, listing, sample};

/// A program that reads hives.
struct Reader {
    name: &'static str,
    python: PathBuf,
}

impl Reader {
    /// What the reader finds.
    fn listing(&self, hive: &Path) -> String {
        let output = script(&self.python, "listing.py", &[Path::new(self.name), hive]);
        String::from_utf8(output.stdout).unwrap()
    }
}

fn script(python: &Path, name: &str, arguments: &[&Path]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/readers")
        .join(name);
    let output = Command::new(python)
        .arg(script)
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{name} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Whether a Python has a module; in CI it must.
fn has(python: &Path, module: &str) -> bool {
    let found = Command::new(python)
        .args(["-c", &format!("import {module}")])
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        let reason = format!(
            "{} has no module {module}: run `cargo xtask setup`",
            python.display()
        );
        assert!(std::env::var_os("CI").is_none(), "{reason}");
        println!("skipped: {reason}");
    }
    found
}

fn hivex() -> Option<Reader> {
    let python = PathBuf::from("/usr/bin/python3");
    has(&python, "hivex").then_some(Reader {
        name: "hivex",
        python,
    })
}

/// The Python that `cargo xtask setup` gives readers from PyPI.
fn environment() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/hive-readers/bin/python")
}

fn registry() -> Option<Reader> {
    let python = environment();
    has(&python, "Registry").then_some(Reader {
        name: "registry",
        python,
    })
}

/// Compares a hive's listing with those of the other readers.
fn assert_read_alike(readers: &[Reader], hive: &Hive, file: &Path, what: &str) {
    std::fs::write(file, hive.bytes()).unwrap();
    let ours = listing(hive);
    for reader in readers {
        // python-registry takes compressed names for Windows-1252, where the kernel and libhivex take Latin-1.
        let misread = |c| ('\u{80}'..='\u{9f}').contains(&c);
        if reader.name == "registry" && ours.contains(misread) {
            continue;
        }
        assert_same(
            &ours,
            &reader.listing(file),
            &format!("{what}, {}", reader.name),
        );
    }
}

/// Compares listings without printing megabytes.
fn assert_same(ours: &str, theirs: &str, what: &str) {
    if ours != theirs {
        let (ours, theirs): (Vec<_>, Vec<_>) = (ours.lines().collect(), theirs.lines().collect());
        let only = |one: &[&str], other: &[&str]| -> Vec<String> {
            let other: std::collections::BTreeSet<_> = other.iter().collect();
            let only = one.iter().filter(|line| !other.contains(line));
            only.take(5).map(|line| format!("{line:.300}")).collect()
        };
        panic!(
            "{what}: only ours {:#?}, only theirs {:#?}",
            only(&ours, &theirs),
            only(&theirs, &ours)
        );
    }
}

#[test]
fn others_find_the_same_in_every_hive() {
    let readers: Vec<Reader> = [hivex(), registry()].into_iter().flatten().collect();
    let folder = tempfile::tempdir().unwrap();
    for (name, hive) in hives() {
        assert_read_alike(&readers, &hive, &folder.path().join("hive"), &name);
    }
}

#[test]
fn others_find_the_same_after_random_edits() {
    let readers: Vec<Reader> = [hivex(), registry()].into_iter().flatten().collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hive");
    for (name, original) in hives().into_iter().chain([("new".to_owned(), Hive::new())]) {
        for seed in 0..3 {
            let mut hive = original.clone();
            let mut random = Random(seed);
            let mut model = Model::of(hive.root());
            let mut paths = some_paths(&mut random, &hive);
            for _ in 0..400 {
                edit(&mut random, &mut hive, &mut model, &mut paths);
            }
            assert_read_alike(&readers, &hive, &file, &format!("{name}, seed {seed}"));
        }
    }
}

#[test]
fn libhivex_edits_what_we_edited() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hive");
    if Command::new("hivexsh").arg("--version").output().is_err() {
        assert!(
            std::env::var_os("CI").is_none(),
            "hivexsh is not installed: run `cargo xtask setup`"
        );
        println!("skipped: hivexsh is not installed: run `cargo xtask setup`");
        return;
    }
    for (name, original) in hives() {
        let mut hive = original.clone();
        let mut random = Random(7);
        let mut model = Model::of(hive.root());
        let mut paths = some_paths(&mut random, &hive);
        for _ in 0..200 {
            edit(&mut random, &mut hive, &mut model, &mut paths);
        }
        hive.create_key("from refit").unwrap();
        std::fs::write(&file, hive.bytes()).unwrap();
        let commands = folder.path().join("commands");
        std::fs::write(
            &commands,
            "cd \\from refit\nadd from hivex\ncd from hivex\nsetval 1\nx\ndword:5\ncommit\n",
        )
        .unwrap();
        let output = Command::new("hivexsh")
            .args(["-w", "-f"])
            .arg(&commands)
            .arg(&file)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let again = Hive::parse(std::fs::read(&file).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let value = again
            .key("From Refit\\FROM HIVEX")
            .unwrap()
            .value("X")
            .unwrap();
        assert_eq!(value.as_dword(), Some(5), "{name}");
        let mut again = again;
        again.delete_key("from refit\\from hivex").unwrap();
        again.check().unwrap();
        assert_same(&listing(&again), &listing(&hive), &name);
    }
}

#[test]
fn regipy_replays_the_logs_to_the_same_hive() {
    if !has(&environment(), "regipy.recovery") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "win10-SYSTEM.xz",
        "win10-SYSTEM.LOG1.xz",
        "win10-SYSTEM.LOG2.xz",
    ];
    let [hive, first, second] = names.map(|name| {
        let file = folder.path().join(name);
        std::fs::write(&file, sample(name)).unwrap();
        file
    });
    let out = folder.path().join("recovered");
    script(
        &environment(),
        "recover.py",
        &[&hive, &first, &second, &out],
    );
    let theirs = std::fs::read(out).unwrap();
    let logs = [sample(names[1]), sample(names[2])];
    let ours = Hive::recover(sample(names[0]), &[&logs[0], &logs[1]]).unwrap();
    // In the header it leaves the sequence numbers and the checksum as they were.
    assert!(ours.bytes()[4096..] == theirs[4096..]);
}
