//! Parameters: their values, and `${name}` in the strings of rules.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use refit_engine::{Info, ParameterType, Request};

/// What the text around a parameter is; its value is quoted accordingly, so that it always stands
/// for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// Nothing has a meaning of its own.
    Plain,
    /// A pattern of [`glob`](crate::glob).
    Glob,
    /// A regular expression.
    Regex,
}

/// The values of a fixup's parameters for one guest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    declared: BTreeMap<String, Option<toml::Value>>,
}

impl Values {
    /// What `request` gives for the fixup that `info` describes, else the defaults.
    #[must_use]
    pub fn of(info: &Info, request: &Request) -> Self {
        let given = request.parameters.get(&info.id);
        let declared = info.parameters.iter().map(|(name, parameter)| {
            let value = given.and_then(|given| given.get(name));
            (name.clone(), value.or(parameter.default.as_ref()).cloned())
        });
        Self {
            declared: declared.collect(),
        }
    }

    /// A value of each parameter's type, to try rules with.
    pub(crate) fn examples(info: &Info) -> Self {
        let declared = info.parameters.iter().map(|(name, parameter)| {
            let value = match parameter.r#type {
                ParameterType::Bool => toml::Value::Boolean(true),
                ParameterType::Integer => toml::Value::Integer(1),
                ParameterType::String => toml::Value::String("x".to_owned()),
            };
            (name.clone(), Some(value))
        });
        Self {
            declared: declared.collect(),
        }
    }

    /// The value of parameter `name`; `None` if it has none.
    ///
    /// # Errors
    /// If there is no such parameter.
    pub fn get(&self, name: &str) -> anyhow::Result<Option<&toml::Value>> {
        self.declared
            .get(name)
            .map(Option::as_ref)
            .with_context(|| match self.declared.len() {
                0 => format!("there is no parameter `{name}`: the file declares none"),
                _ => format!(
                    "there is no parameter `{name}`, only {}",
                    self.declared.keys().cloned().collect::<Vec<_>>().join(", ")
                ),
            })
    }

    /// `text` with the values of `${name}` in it; `$${` stands for `${`.
    pub(crate) fn expand(&self, text: &str, syntax: Syntax) -> anyhow::Result<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if let Some(before) = rest[..at].strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            out.push_str(&rest[..at]);
            let (name, after) = rest[at + 2..]
                .split_once('}')
                .with_context(|| format!("`${{` without `}}` in `{text}`"))?;
            let value = match self.get(name)? {
                Some(toml::Value::String(text)) => text.clone(),
                Some(toml::Value::Integer(number)) => number.to_string(),
                Some(toml::Value::Boolean(flag)) => flag.to_string(),
                Some(_) => bail!("parameter `{name}` is no text, number or truth value"),
                None => bail!("parameter `{name}` has no value; give one with --set"),
            };
            match syntax {
                Syntax::Plain => out.push_str(&value),
                Syntax::Glob => out.push_str(&globset::escape(&value)),
                Syntax::Regex => out.push_str(&regex::escape(&value)),
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let value = |text: &str| Some(toml::Value::String(text.to_owned()));
        Values {
            declared: BTreeMap::from([
                ("star".to_owned(), value("a*b")),
                ("port".to_owned(), Some(toml::Value::Integer(80))),
                ("unset".to_owned(), None),
            ]),
        }
    }

    #[test]
    fn values_stand_for_themselves() {
        for (text, syntax, expected) in [
            ("/x/${star}/*", Syntax::Glob, "/x/a[*]b/*"),
            ("^${star}.*", Syntax::Regex, r"^a\*b.*"),
            ("${star}:${port}", Syntax::Plain, "a*b:80"),
            ("$${star} $HOME", Syntax::Plain, "${star} $HOME"),
        ] {
            assert_eq!(values().expand(text, syntax).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_said() {
        for (text, part) in [
            ("${unset}", "has no value"),
            ("${other}", "only port, star, unset"),
            ("${star", "without `}`"),
        ] {
            let error = values().expand(text, Syntax::Plain).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
