//! Finding keys and values by patterns.

use std::rc::Rc;

use anyhow::ensure;
use refit_engine::{Guest, HiveName};
use refit_hive::{Hive, Key, Value, ValueKind};

use super::{HiveWord, ValueTest};
use crate::when::RegistryTest;

/// A pattern that finds more keys than this is a mistake, or the guest is hostile.
const LIMIT: usize = 10_000;

/// Whether a name stands for others.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Whether `name` fits `pattern`, in any case: `*` stands for any characters, `?` for one. Nothing else has a
/// meaning: names in the registry are full of braces and brackets.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let fold = |text: &str| -> Vec<char> { text.chars().flat_map(char::to_lowercase).collect() };
    let (pattern, name) = (fold(pattern), fold(name));
    let (mut at, mut from) = (0, 0);
    // The last `*`, and what it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&c) if c == '?' || c == name[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    at = place + 1;
                    from = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

/// The hives that a word stands for, with their names.
pub(super) fn names(word: HiveWord, guest: &Guest<'_>) -> anyhow::Result<Vec<HiveName>> {
    Ok(match word {
        HiveWord::System => vec![HiveName::System],
        HiveWord::Software => vec![HiveName::Software],
        HiveWord::Drivers => vec![HiveName::Drivers],
        HiveWord::Default => vec![HiveName::Default],
        HiveWord::Users => guest.user_hives()?,
    })
}

/// `key` as it is in the hive: once for each control set, if it names none.
pub(super) fn in_hive(word: HiveWord, key: &str, guest: &Guest<'_>) -> Vec<String> {
    let rest = match key.split_at_checked("ControlSet".len()) {
        Some((first, rest))
            if first.eq_ignore_ascii_case("ControlSet")
                && (rest.is_empty() || rest.starts_with('\\')) =>
        {
            rest
        }
        _ => return vec![key.to_owned()],
    };
    let windows = guest.facts().windows.as_ref();
    match (word, windows) {
        (HiveWord::System, Some(windows)) => windows
            .control_set_names()
            .map(|set| format!("{set}{rest}"))
            .collect(),
        _ => vec![key.to_owned()],
    }
}

/// The keys of `hive` that fit `pattern`, in order.
///
/// # Errors
/// If there are too many.
pub(super) fn keys(hive: &Hive, pattern: &str) -> anyhow::Result<Vec<String>> {
    let mut found: Vec<(String, Key<'_>)> = vec![(String::new(), hive.root())];
    for part in pattern.split('\\') {
        let mut next = Vec::new();
        for (path, key) in found {
            let below = |name: &str| {
                if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{path}\\{name}")
                }
            };
            if is_pattern(part) {
                let fitting = key.subkeys().filter(|key| fits(part, &key.name()));
                next.extend(fitting.map(|key| (below(&key.name()), key)));
            } else if let Some(key) = key.subkey(part) {
                next.push((below(&key.name()), key));
            }
            ensure!(
                next.len() <= LIMIT,
                "`{pattern}` stands for more than {LIMIT} keys"
            );
        }
        found = next;
    }
    Ok(found.into_iter().map(|(path, _)| path).collect())
}

/// Whether a value of `key` is as `test` says.
pub(super) fn has(key: &Key<'_>, test: &ValueTest) -> bool {
    key.values().any(|named| {
        fits(&test.name, &named.name)
            && test
                .matching
                .as_ref()
                .is_none_or(|pattern| reads(&named.value, pattern))
    })
}

/// Whether a value reads like `pattern`.
fn reads(value: &Value, pattern: &str) -> bool {
    match value.kind {
        ValueKind::MultiSz => value
            .as_multi()
            .is_some_and(|texts| texts.iter().any(|text| fits(pattern, text))),
        ValueKind::Dword | ValueKind::DwordBe => value
            .as_dword()
            .is_some_and(|number| fits(pattern, &number.to_string())),
        ValueKind::Qword => value
            .as_qword()
            .is_some_and(|number| fits(pattern, &number.to_string())),
        _ => value.as_str().is_some_and(|text| fits(pattern, &text)),
    }
}

/// Whether a condition holds.
///
/// # Errors
/// If a hive cannot be read.
pub(crate) fn holds(test: &RegistryTest, guest: &Guest<'_>) -> anyhow::Result<bool> {
    let value = test.name.as_ref().map(|name| ValueTest {
        name: name.clone(),
        matching: test.matching.clone(),
    });
    for name in names(test.hive, guest)? {
        let Some(hive): Option<Rc<Hive>> = guest.hive(&name)? else {
            continue;
        };
        for pattern in in_hive(test.hive, &test.key, guest) {
            for path in keys(&hive, &pattern)? {
                let fits = match (&value, hive.key(&path)) {
                    (None, found) => found.is_some(),
                    (Some(test), Some(key)) => has(&key, test),
                    (Some(_), None) => false,
                };
                if fits {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}
