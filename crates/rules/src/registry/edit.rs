//! Making edits.

use std::rc::Rc;

use anyhow::Context as _;
use refit_engine::{Change, HiveName};
use refit_hive::{Hive, Key, Value, ValueKind};

use super::{HiveWord, Items, Registry, find};
use crate::draft::Draft;
use crate::list::List;
use crate::plan::Findings;

/// Makes the edits that are not made yet; gives the keys that change.
///
/// # Errors
/// If a hive cannot be read. One of a user is told of, and costs what is in it.
pub(crate) fn edit(
    edits: &List<Registry>,
    draft: &mut Draft<'_>,
    findings: &mut Findings,
) -> anyhow::Result<Vec<String>> {
    let mut touched = Vec::new();
    for edit in edits {
        for name in find::names(edit.hive, draft.guest())? {
            let hive = match draft.guest().hive(&name) {
                Ok(Some(hive)) => hive,
                Ok(None) => continue,
                Err(error) if edit.hive == HiveWord::Users => {
                    findings.warnings.push(format!("left alone: {error:#}"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            for change in changes(edit, &name, hive, draft).context(edit.key.clone())? {
                let key = change.key().map(|(hive, key)| format!("{hive}: {key}"));
                let before = draft.revision();
                draft.push(change)?;
                if draft.revision() != before {
                    touched.extend(key.filter(|key| touched.last() != Some(key)));
                }
            }
        }
    }
    Ok(touched)
}

/// What is to change in one hive.
fn changes(
    edit: &Registry,
    name: &HiveName,
    hive: Rc<Hive>,
    draft: &Draft<'_>,
) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for pattern in find::in_hive(edit.hive, &edit.key, draft.guest()) {
        let found = find::keys(&hive, &pattern)?;
        let is_new = found.is_empty() && !pattern.split('\\').any(find::is_pattern);
        for path in &found {
            let Some(key) = hive.key(path) else { continue };
            let wanted = edit.if_value.as_ref();
            if wanted.is_none_or(|test| find::has(&key, test)) {
                changes.extend(at_key(edit, name, path, &key)?);
            }
        }
        if let Some(set) = edit.set.as_ref().filter(|_| is_new)
            && edit.if_value.is_none()
        {
            changes.push(Change::RegistrySet {
                hive: name.clone(),
                key: pattern,
                name: set.name.clone(),
                value: set.value()?,
            });
        }
    }
    Ok(changes)
}

/// What is to change at a key that is there.
fn at_key(
    edit: &Registry,
    hive: &HiveName,
    path: &str,
    key: &Key<'_>,
) -> anyhow::Result<Vec<Change>> {
    let delete = |name: Option<String>| Change::RegistryDelete {
        hive: hive.clone(),
        key: path.to_owned(),
        name,
    };
    let set = |name: &str, value: Value| Change::RegistrySet {
        hive: hive.clone(),
        key: path.to_owned(),
        name: name.to_owned(),
        value,
    };
    let mut changes = Vec::new();
    let empty = || key.subkeys().next().is_none() && key.values().next().is_none();
    if edit.remove || (edit.remove_if_empty && empty()) {
        changes.push(delete(None));
    }
    for pattern in &edit.remove_values {
        let fitting = key
            .values()
            .filter(|value| find::fits(pattern, &value.name));
        changes.extend(fitting.map(|value| delete(Some(value.name))));
    }
    if let Some(items) = &edit.remove_items
        && let Some(value) = key.value(&items.name)
    {
        match without(&value, items) {
            Some(Some(value)) => changes.push(set(&items.name, value)),
            Some(None) => changes.push(delete(Some(items.name.clone()))),
            None => {}
        }
    }
    if let Some(wanted) = &edit.set {
        changes.push(set(&wanted.name, wanted.value()?));
    }
    Ok(changes)
}

/// A list without these entries: `None` if they are not in it, `Some(None)` if nothing else is. Entries stay as
/// they are written.
fn without(value: &Value, items: &Items) -> Option<Option<Value>> {
    let goes = |entry: &str| {
        items
            .items
            .iter()
            .any(|item| find::fits(item, entry.trim()))
    };
    let keep = |entries: Vec<String>| -> Option<Vec<String>> {
        let before = entries.len();
        let rest: Vec<String> = entries.into_iter().filter(|entry| !goes(entry)).collect();
        (rest.len() < before).then_some(rest)
    };
    match value.kind {
        ValueKind::MultiSz => {
            let rest = keep(value.as_multi()?)?;
            Some((!rest.is_empty()).then(|| Value::multi_sz(&rest)))
        }
        ValueKind::Sz | ValueKind::ExpandSz => {
            let text = value.as_str()?;
            let rest = keep(text.split(',').map(str::to_owned).collect())?;
            let joined = Value {
                kind: value.kind,
                data: Value::sz(&rest.join(",")).data,
            };
            Some((!rest.is_empty()).then_some(joined))
        }
        _ => None,
    }
}
