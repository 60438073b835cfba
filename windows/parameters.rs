//! The values of a fixup's parameters: what the user gives, else the default in its `fixup.toml`.

use refit_engine::{Info, Request};

/// The value of parameter `name`.
fn value<'r>(info: &'r Info, request: &'r Request, name: &str) -> Option<&'r toml::Value> {
    let given = request
        .parameters
        .get(&info.id)
        .and_then(|given| given.get(name));
    given.or_else(|| info.parameters.get(name)?.default.as_ref())
}

/// Whether a parameter of type bool is set; `false` if it has neither value nor default.
pub(crate) fn flag(info: &Info, request: &Request, name: &str) -> bool {
    value(info, request, name)
        .and_then(toml::Value::as_bool)
        .unwrap_or_default()
}

/// The text of a parameter of type string; empty if it has neither value nor default.
pub(crate) fn text<'r>(info: &'r Info, request: &'r Request, name: &str) -> &'r str {
    value(info, request, name)
        .and_then(toml::Value::as_str)
        .unwrap_or_default()
}
