//! Values of the kinds that network settings have. One of another kind is as good as none: Windows
//! does not take it either.

use refit_hive::{Key, ValueKind};

/// A string (`REG_SZ`, `REG_EXPAND_SZ`), without spaces around it; `None` if it is missing or empty.
pub(crate) fn text(key: &Key<'_>, name: &str) -> Option<String> {
    let value = key.value(name)?;
    if !matches!(value.kind, ValueKind::Sz | ValueKind::ExpandSz) {
        return None;
    }
    let text = value.as_str()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// A number (`REG_DWORD`).
pub(crate) fn dword(key: &Key<'_>, name: &str) -> Option<u32> {
    key.value(name)?.as_dword()
}

/// A list of strings, without the empty ones; Windows writes one string where only one is meant, now and
/// then.
pub(crate) fn multi(key: &Key<'_>, name: &str) -> Vec<String> {
    let Some(value) = key.value(name) else {
        return Vec::new();
    };
    let list = match value.kind {
        ValueKind::MultiSz => value.as_multi().unwrap_or_default(),
        ValueKind::Sz => value.as_str().into_iter().collect(),
        _ => Vec::new(),
    };
    list.into_iter()
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}
