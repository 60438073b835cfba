//! A whole `fixup.toml`.

use std::collections::BTreeMap;

use refit_engine::{Info, Parameter, Phase};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::check;
use crate::rule::Rule;
use crate::when::When;

/// A fixup's `fixup.toml`: what it is, and its rules.
#[derive(Debug, Clone, PartialEq)]
pub struct FixupToml {
    /// What it is.
    pub info: Info,
    /// What it does; empty if something beside `fixup.toml` does it.
    pub rules: Rules,
}

/// The rules of a fixup.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Conditions of all rules.
    pub when: When,
    /// The rules, in the order in which they are applied.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
}

/// A `fixup.toml` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {message}")]
pub struct ParseError {
    /// The file.
    pub origin: String,
    /// Which key on which line, and what is wrong with it.
    pub message: String,
}

/// The keys of `fixup.toml` as they are written: serde cannot refuse unknown keys in tables that
/// are flattened together, so those of [`Info`] and [`Rules`] are repeated here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "fixup.toml")]
struct Document {
    /// Stable identifier, also the name of the folder.
    id: String,
    /// One line: what it does for the guest.
    summary: String,
    /// When in the order it runs.
    phase: Phase,
    /// Parameters that `--set ID.PARAM=VALUE` accepts, by name.
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
    /// Conditions of all rules. Where they do not hold, the fixup is not applicable.
    #[serde(default)]
    when: When,
    /// The rules, in the order in which they are applied.
    #[serde(default)]
    #[schemars(with = "Vec<Rule>")]
    rule: Vec<toml::Spanned<Rule>>,
}

impl FixupToml {
    /// Reads the text of a `fixup.toml`. `origin` names it in messages.
    ///
    /// # Errors
    /// If it is no TOML, or a key is unknown, missing or makes no sense.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ParseError> {
        let wrong = |message: String| ParseError {
            origin: origin.to_owned(),
            message,
        };
        let document: Document =
            toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        let info = Info {
            id: document.id,
            summary: document.summary,
            phase: document.phase,
            parameters: document.parameters,
        };
        check::info(&info).map_err(|error| wrong(format!("{error:#}")))?;
        check::when(&document.when, &info).map_err(|error| wrong(format!("when: {error:#}")))?;
        for (number, rule) in (1..).zip(&document.rule) {
            let line = 1 + text[..rule.span().start.min(text.len())]
                .matches('\n')
                .count();
            check::rule(rule.get_ref(), &info).map_err(|error| {
                wrong(format!(
                    "rule {number}, which begins on line {line}: {error:#}"
                ))
            })?;
        }
        let rules = document.rule.into_iter().map(toml::Spanned::into_inner);
        Ok(Self {
            info,
            rules: Rules {
                when: document.when,
                rules: rules.collect(),
            },
        })
    }
}

/// The JSON schema of `fixup.toml`, from the types that read it.
#[must_use]
pub fn fixup_toml_schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixup_toml_may_have_no_rules() {
        let text = "id = \"a\"\nsummary = \"b\"\nphase = \"boot\"\n";
        let parsed = FixupToml::parse(text, "fixup.toml").unwrap();
        assert_eq!(parsed.info.id, "a");
        assert_eq!(parsed.rules, Rules::default());
    }

    #[test]
    fn lists_may_be_one_element() {
        let text = "id = \"a\"\nsummary = \"b\"\nphase = \"user\"\n\
                    [when]\ndistro = \"debian\"\ninit = [\"systemd\", \"upstart\"]\n\
                    [[rule]]\nwhen.package = \"x*\"\nremove = \"/opt/x\"\n\
                    write = { path = \"/a\", content = \"b\" }\n";
        let parsed = FixupToml::parse(text, "fixup.toml").unwrap();
        assert_eq!(parsed.rules.when.distro.0, ["debian"]);
        assert_eq!(parsed.rules.when.init.0, ["systemd", "upstart"]);
        assert_eq!(parsed.rules.rules[0].write[0].path, "/a");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let text = "id = \"a\"\nsummary = \"b\"\nphase = \"user\"\n[[rule]]\nremvoe = \"/x\"\n";
        let error = FixupToml::parse(text, "x/fixup.toml").unwrap_err();
        let shown = error.to_string();
        for part in ["x/fixup.toml: ", "line 5", "`remvoe`", "`remove`"] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
    }

    #[test]
    fn the_example_in_the_documentation_is_right() {
        let readme = include_str!("../README.md");
        let (_, rest) = readme.split_once("```toml\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let parsed = FixupToml::parse(example, "README.md").unwrap();
        assert_eq!(parsed.rules.rules.len(), 2);
    }

    #[test]
    fn the_schema_knows_the_keys() {
        let schema = fixup_toml_schema();
        assert_eq!(schema["additionalProperties"], false);
        for key in ["id", "summary", "phase", "parameters", "when", "rule"] {
            assert!(schema["properties"][key].is_object(), "{key}");
        }
        assert!(schema["$defs"]["Rule"]["properties"]["remove-packages"].is_object());
    }
}
