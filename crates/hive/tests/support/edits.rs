//! Random edits, done to a hive and to a plain model of one.

use std::collections::BTreeMap;

use refit_hive::{Hive, Key, Value, ValueKind};

use super::random::Random;

/// A key by what it should contain. Names are compared as these tests need it: without regard to case.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct Model {
    keys: BTreeMap<String, Model>,
    values: BTreeMap<String, Value>,
}

impl Model {
    pub fn of(key: Key<'_>) -> Model {
        Model {
            keys: key
                .subkeys()
                .map(|key| (fold(&key.name()), Model::of(key)))
                .collect(),
            values: key
                .values()
                .map(|value| (fold(&value.name), value.value))
                .collect(),
        }
    }

    /// Where two differ first.
    pub fn difference(&self, other: &Model, path: &str) -> Option<String> {
        for (name, value) in self.values.iter().chain(&other.values) {
            if self.values.get(name) != other.values.get(name) {
                return Some(format!("{path}: value {name:?}, {value:?}"));
            }
        }
        for name in self.keys.keys().chain(other.keys.keys()) {
            match (self.keys.get(name), other.keys.get(name)) {
                (Some(one), Some(two)) => {
                    if let Some(found) = one.difference(two, &format!("{path}\\{name}")) {
                        return Some(found);
                    }
                }
                (one, _) => {
                    let side = if one.is_some() { "second" } else { "first" };
                    return Some(format!("{path}\\{name} is not in the {side}"));
                }
            }
        }
        None
    }

    fn at(&mut self, path: &str) -> Option<&mut Model> {
        path.split('\\')
            .filter(|part| !part.is_empty())
            .try_fold(self, |model, part| model.keys.get_mut(&fold(part)))
    }

    fn make(&mut self, path: &str) -> &mut Model {
        path.split('\\')
            .filter(|part| !part.is_empty())
            .fold(self, |model, part| {
                model.keys.entry(fold(part)).or_default()
            })
    }

    fn delete(&mut self, path: &str) -> bool {
        let (parent, name) = path.rsplit_once('\\').unwrap_or(("", path));
        self.at(parent)
            .is_some_and(|parent| parent.keys.remove(&fold(name)).is_some())
    }
}

/// Upper case, for the names in these tests and in the samples.
fn fold(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            'ß' | 'ı' | 'ſ' | 'µ' | 'ς' | '\u{10000}'.. => c,
            _ => {
                let mut upper = c.to_uppercase();
                match (upper.next(), upper.next()) {
                    (Some(one), None) => one,
                    _ => c,
                }
            }
        })
        .collect()
}

/// Does one edit to both, and compares what it returned.
pub fn edit(random: &mut Random, hive: &mut Hive, model: &mut Model, paths: &mut Vec<String>) {
    match random.below(10) {
        0 | 1 => {
            let path = new_path(random, paths);
            hive.create_key(&path).unwrap();
            model.make(&path);
            paths.push(path);
        }
        2 => {
            let path = random.pick(paths).clone();
            if !path.is_empty() {
                assert_eq!(
                    hive.delete_key(&path).unwrap(),
                    model.delete(&path),
                    "{path}"
                );
                paths.retain(|other| !fold(other).starts_with(&fold(&path)));
            }
        }
        3 | 4 => {
            let path = random.pick(paths).clone();
            let name = value_name(random);
            let was = model
                .at(&path)
                .is_some_and(|key| key.values.remove(&fold(&name)).is_some());
            assert_eq!(
                hive.delete_value(&path, &name).unwrap(),
                was,
                "{path} {name}"
            );
        }
        5 => {
            // Again what is there already.
            let path = random.pick(paths).clone();
            let key = hive.key(&path).map(|key| key.values().collect::<Vec<_>>());
            let before = hive.bytes().to_vec();
            for value in key.unwrap_or_default() {
                hive.set_value(&path, &value.name, &value.value).unwrap();
            }
            assert!(
                hive.bytes() == before,
                "writing the same again to {path} changed the hive"
            );
        }
        _ => {
            let path = match random.below(4) {
                0 => new_path(random, paths),
                _ => random.pick(paths).clone(),
            };
            let (name, value) = (value_name(random), value(random));
            hive.set_value(&path, &name, &value).unwrap();
            model.make(&path).values.insert(fold(&name), value);
            paths.push(path);
        }
    }
}

/// Paths to edit at: keys of the hive, and the root.
pub fn some_paths(random: &mut Random, hive: &Hive) -> Vec<String> {
    let mut paths = vec![String::new()];
    for _ in 0..30 {
        let (mut key, mut path) = (hive.root(), String::new());
        loop {
            let subkeys: Vec<_> = key.subkeys().collect();
            if subkeys.is_empty() || random.below(5) == 0 {
                break;
            }
            key = *random.pick(&subkeys);
            let name = key.name();
            if name.contains(['\\', '\u{fffd}', '\0']) || name.is_empty() {
                break;
            }
            path = if path.is_empty() {
                name
            } else {
                format!("{path}\\{name}")
            };
        }
        paths.push(path);
    }
    paths
}

fn new_path(random: &mut Random, paths: &[String]) -> String {
    let parent = random.pick(paths);
    // A single name is often met again, in another case.
    let name = match random.below(4) {
        0 => random
            .pick(&[
                "Alpha", "ALPHA", "Übung", "übung", "Łódź", "łÓDŹ", "a_b", "aB", "ß", "キー", "𝒳y",
            ])
            .to_string(),
        1 => "n".repeat(1 + random.below(255)),
        _ => format!("key {}", random.below(4000)),
    };
    match parent.matches('\\').count() {
        // Not ever deeper.
        8.. => name,
        _ if parent.is_empty() => name,
        _ => format!("{parent}\\{name}"),
    }
}

fn value_name(random: &mut Random) -> String {
    match random.below(4) {
        0 => String::new(),
        1 => random
            .pick(&[
                "Start",
                "START",
                "Größe",
                "größe",
                "имя",
                "ИМЯ",
                "with \\ and \"",
                "é",
            ])
            .to_string(),
        _ => format!("value {}", random.below(40)),
    }
}

fn value(random: &mut Random) -> Value {
    match random.below(7) {
        0 => Value::dword(random.next() as u32),
        1 => Value::sz(random.pick::<&str>(&[
            "",
            "text",
            "Größe €",
            "a longer text that fills a cell of its own",
        ])),
        2 => Value::multi_sz(&["one", "two"][..random.below(3)]),
        3 => Value::qword(random.next()),
        4 => Value {
            kind: ValueKind::from_number(random.next() as u32),
            data: Vec::new(),
        },
        5 if random.below(4) == 0 => {
            Value::binary(vec![random.next() as u8; 16000 + random.below(60000)])
        }
        _ => Value::binary(vec![random.next() as u8; random.below(300)]),
    }
}
