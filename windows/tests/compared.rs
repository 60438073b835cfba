//! What `windows-virtio` writes to a guest's registry, key by key beside what virt-v2v writes to the same guest.
//!
//! `virtio/compared/CASE.reg` has what virt-v2v made of the hives of a golden case; `virtio/COMPARED.md` shows both and
//! explains every difference by `virtio/compared/why.toml`. A difference that is not explained fails, and so does an
//! explanation that nothing needs. `REFIT_BLESS=1 cargo test -p refit-windows --test compared` writes the document anew.
//!
//! To record another case: put its hives on a disk (`tests/guests/windows.sh --hives DIR`), convert that with virt-v2v and
//! the case's drivers, and run this test with `REFIT_RECORD=CASE=DIR`, where DIR has the `SYSTEM` and `SOFTWARE` that
//! came of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use refit_cases::Case;
use refit_engine::backend::RootBackend;
use refit_engine::{Fixup, Guest, Hints, Request, Selection, ValueJson, plan, prepare};
use refit_hive::{Hive, Key, Value};
use serde::Deserialize;

const HIVES: [&str; 2] = ["SYSTEM", "SOFTWARE"];

/// Values by hive, key and name; the control set that boots is `SET`.
type Values = BTreeMap<(String, String, String), Value>;

#[derive(Deserialize)]
struct Explanations {
    why: Vec<Explanation>,
}

/// Why some values differ.
#[derive(Deserialize)]
struct Explanation {
    /// Beginning of hive and key: `SYSTEM: SET\Services\vioscsi`.
    key: String,
    /// The value's name, if it is about one alone.
    name: Option<String>,
    because: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("virtio")
}

fn collect(hive: &str, key: &Key<'_>, path: &str, values: &mut Values) {
    for named in key.values() {
        values.insert((hive.to_owned(), path.to_owned(), named.name), named.value);
    }
    for subkey in key.subkeys() {
        let path = match path {
            "" => subkey.name(),
            _ => format!("{path}\\{}", subkey.name()),
        };
        collect(hive, &subkey, &path, values);
    }
}

/// All values of a guest's hives.
fn values(config: &Path) -> Values {
    let mut values = Values::new();
    for name in HIVES {
        let hive = Hive::parse(fs::read(config.join(name)).unwrap()).unwrap();
        collect(name, &hive.root(), "", &mut values);
    }
    values
}

/// Those of `after` that are not so in `before`.
fn written(before: &Values, after: &Values) -> Values {
    // Names of keys differ in case from one writer to the other.
    let fold = |(hive, key, name): &(String, String, String)| {
        (hive.clone(), key.to_lowercase(), name.to_lowercase())
    };
    let before: BTreeMap<_, _> = before.iter().map(|(at, value)| (fold(at), value)).collect();
    let is_new = |at: &_, value: &Value| before.get(&fold(at)) != Some(&value);
    let new = after.iter().filter(|(at, value)| is_new(at, value));
    new.map(|(at, value)| (at.clone(), value.clone())).collect()
}

/// The guest of a case as it is, and what the fixup writes to it; the names of the control sets that may boot.
fn fixed(case: &str) -> (Values, Values, Vec<String>) {
    let root = tempfile::tempdir().unwrap();
    let case = Case::read(&folder().join("cases").join(case)).unwrap();
    case.make_tree(root.path()).unwrap();
    let config = root.path().join("Windows/System32/config");
    let before = values(&config);
    let mut backend = RootBackend::open(root.path()).unwrap();
    let mut guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    let sets = guest.facts().windows.as_ref().unwrap();
    let sets = sets.control_set_names().collect();
    let fixups = refit_windows::all();
    let fixup: &dyn Fixup = *fixups
        .iter()
        .find(|fixup| fixup.info().id == "windows-virtio")
        .unwrap();
    let request = Request {
        virtio_win: Some(folder().join("../../crates/virtio-win/testdata/virtio-win")),
        ..Request::default()
    };
    plan(&mut guest, &[fixup], &Selection::default(), &request);
    let prepared = prepare(guest, &backend, Vec::new()).unwrap();
    prepared.execute(&mut backend).unwrap();
    let written = written(&before, &values(&config));
    (before, written, sets)
}

/// What virt-v2v wrote.
fn recorded(file: &Path) -> Values {
    let hive = refit_hive::reg::import(&fs::read_to_string(file).unwrap()).unwrap();
    let mut values = Values::new();
    for name in HIVES {
        if let Some(key) = hive.key(name) {
            collect(name, &key, "", &mut values);
        }
    }
    values
}

fn record(case: &str, config: &Path) {
    let (before, ..) = fixed(case);
    let mut hive = Hive::new();
    for ((name, key, value), data) in written(&before, &values(config)) {
        hive.set_value(&format!("{name}\\{key}"), &value, &data)
            .unwrap();
    }
    let file = folder().join("compared").join(format!("{case}.reg"));
    fs::write(file, refit_hive::reg::export(&hive)).unwrap();
}

/// Names the control set that boots `SET`. What is written to the others must be the same, and goes.
fn one_set(values: Values, sets: &[String]) -> Values {
    let (current, others) = sets.split_first().unwrap();
    let mut one = Values::new();
    for ((hive, key, name), value) in &values {
        let (first, rest) = key.split_once('\\').unwrap_or((key, ""));
        let at = |set: &str| (hive.clone(), format!("{set}\\{rest}"), name.clone());
        if others.iter().any(|other| other.eq_ignore_ascii_case(first)) {
            assert_eq!(values.get(&at(current)), Some(value), "{key}: {name}");
        } else if first.eq_ignore_ascii_case(current) {
            one.insert(at("SET"), value.clone());
        } else {
            one.insert((hive.clone(), key.clone(), name.clone()), value.clone());
        }
    }
    one
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "–".to_owned();
    };
    let json = ValueJson::from(value);
    let data = match json.data {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let data = data.replace('|', "\\|");
    format!("`{data}` ({})", json.kind.trim_start_matches("REG_"))
}

#[test]
fn every_difference_is_explained() {
    if let Some(asked) = std::env::var_os("REFIT_RECORD") {
        let asked = asked.into_string().unwrap();
        let (case, config) = asked.split_once('=').unwrap();
        record(case, Path::new(config));
    }
    let folder = folder();
    let why = fs::read_to_string(folder.join("compared/why.toml")).unwrap();
    let explanations: Explanations = toml::from_str(&why).unwrap();
    let mut used = BTreeSet::new();
    let mut missing = Vec::new();
    let mut text = "# Beside virt-v2v, key by key\n\nWritten by `cargo test -p refit-windows --test compared`, which \
                    compares what `windows-virtio` writes to the guests of golden cases with what virt-v2v 2.2.0 wrote to \
                    the same hives, with the same drivers. `SET` is the control set that boots; refit writes the same to the \
                    others that may boot, virt-v2v nothing. The last column: both write the same, or the number of the reason at the end.\n"
        .to_owned();
    let mut cases: Vec<PathBuf> = fs::read_dir(folder.join("compared"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "reg"))
        .collect();
    cases.sort();
    assert!(cases.len() > 1, "{cases:?}");
    for file in cases {
        let case = file.file_stem().unwrap().to_str().unwrap();
        let (_, ours, sets) = fixed(case);
        let (ours, theirs) = (one_set(ours, &sets), one_set(recorded(&file), &sets));
        let fold = |(hive, key, name): &(String, String, String)| {
            format!("{hive}: {key}\n{name}").to_lowercase()
        };
        let by_name = |values: &Values| -> BTreeMap<String, ((String, String, String), Value)> {
            let named = values
                .iter()
                .map(|(at, value)| (fold(at), (at.clone(), value.clone())));
            named.collect()
        };
        let (ours, theirs) = (by_name(&ours), by_name(&theirs));
        let all: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        let _ = write!(
            text,
            "\n## Case `{case}`\n\n| key | value | virt-v2v | refit | why |\n|---|---|---|---|---|\n"
        );
        for at in all {
            let (own, their) = (ours.get(at), theirs.get(at));
            let ((hive, key, name), _) = own.or(their).unwrap();
            let (own, their) = (own.map(|own| &own.1), their.map(|their| &their.1));
            let place = format!("{hive}: {key}");
            let because = if own == their {
                "same".to_owned()
            } else {
                let found = explanations.why.iter().position(|why| {
                    let start = place.get(..why.key.len());
                    start.is_some_and(|start| start.eq_ignore_ascii_case(&why.key))
                        && why
                            .name
                            .as_ref()
                            .is_none_or(|known| known.eq_ignore_ascii_case(name))
                });
                match found {
                    Some(found) => {
                        used.insert(found);
                        format!("{}", found + 1)
                    }
                    None => {
                        missing.push(format!(
                            "{case}: {place}, {name:?}: {} / {}",
                            shown(their),
                            shown(own)
                        ));
                        String::new()
                    }
                }
            };
            let name = if name.is_empty() { "(default)" } else { name };
            let _ = writeln!(
                text,
                "| `{place}` | {name} | {} | {} | {because} |",
                shown(their),
                shown(own)
            );
        }
    }
    text.push_str("\n## Why\n\n");
    for (number, why) in (1..).zip(&explanations.why) {
        let _ = writeln!(text, "{number}. {}.", why.because);
    }
    assert!(missing.is_empty(), "not explained:\n{}", missing.join("\n"));
    for (number, why) in explanations.why.iter().enumerate() {
        assert!(
            used.contains(&number),
            "nothing needs the explanation of {}, {:?}",
            why.key,
            why.name
        );
    }
    let document = folder.join("COMPARED.md");
    if std::env::var_os("REFIT_BLESS").is_some() {
        fs::write(&document, &text).unwrap();
    }
    let committed = fs::read_to_string(&document).unwrap_or_default();
    assert!(
        committed == text,
        "{} is not current; REFIT_BLESS=1 writes it",
        document.display()
    );
}
