//! Small questions to a hive.

use refit_hive::{Hive, Key, Value};

/// The text of a value; `None` if there is no such value, or it is no text.
pub(crate) fn text(key: &Key<'_>, name: &str) -> Option<String> {
    key.value(name)?.as_str()
}

/// The text of a value of the key at `path`.
pub(crate) fn text_at(hive: &Hive, path: &str, name: &str) -> Option<String> {
    text(&hive.key(path)?, name)
}

/// The default value's text of a key's subkey.
pub(crate) fn default_of(key: &Key<'_>, subkey: &str) -> Option<String> {
    text(&key.subkey(subkey)?, "")
}

/// The texts of a value, whether it is one text or several; empty ones left out.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    let all = value
        .as_multi()
        .or_else(|| value.as_str().map(|one| vec![one]))
        .unwrap_or_default();
    all.into_iter().filter(|one| !one.is_empty()).collect()
}

/// The names of the keys directly below `path`.
pub(crate) fn names(hive: &Hive, path: &str) -> Vec<String> {
    hive.key(path)
        .map(|key| key.subkeys().map(|subkey| subkey.name()).collect())
        .unwrap_or_default()
}

/// Two names under which Windows keeps one key: on 64-bit Windows, programs of 32 bits have a view of their own.
pub(crate) fn views(path: &str) -> [String; 2] {
    [path.to_owned(), format!("WOW6432Node\\{path}")]
}
