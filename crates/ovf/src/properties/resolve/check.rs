//! Whether the values are what the properties take.

use std::collections::BTreeSet;

use super::super::rules::Kind;
use super::{Run, Value, remarks};

impl Run<'_> {
    pub(super) fn check(&mut self) {
        for index in 0..self.nodes.len() {
            let node = self.nodes[index];
            let mut seen = BTreeSet::new();
            for property in node.properties() {
                let key = property.qualified();
                if !property.applies(self.configuration) || !seen.insert(key.clone()) {
                    continue;
                }
                let Some(mut value) = self.values[index].get(&key).cloned() else {
                    continue;
                };
                self.check_one(index, &mut value);
                self.values[index].insert(key, value);
            }
        }
    }

    pub(super) fn check_one(&mut self, index: usize, value: &mut Value<'_>) {
        let (property, rules) = (value.property, &value.rules);
        let node = self.nodes[index];
        for unknown in &rules.unknown {
            let rule =
                format!("{unknown:?} of its type or qualifiers is not understood, and not checked");
            let warning = self.violation(index, property, "prop.rule-unknown", rule);
            self.warnings.push(warning);
        }
        if value.text.is_empty() {
            if property.user_configurable && !rules.takes_empty() {
                let key = property.qualified();
                let of = match self.nodes.len() {
                    1 => String::new(),
                    _ => format!(" (in [systems.{:?}] of it, if only this one)", node.id()),
                };
                let how = if rules.secret {
                    "--property-file"
                } else {
                    "--property"
                };
                let value = if rules.secret { "PATH" } else { "VALUE" };
                let rule =
                    format!("it needs a value: {how} '{key}={value}', or a file for --values{of}");
                self.fail(index, property, "prop.missing", rule);
            } else if rules.kind == Kind::Boolean {
                // What vSphere makes of it.
                value.text = "False".to_owned();
            }
            return;
        }
        match rules.check(&value.text) {
            Ok(normal) => {
                if value.answer.is_some() {
                    let found = remarks::remarks(&normal, rules.secret);
                    let found = found
                        .into_iter()
                        .map(|(code, rule)| self.violation(index, property, code, rule));
                    let found: Vec<_> = found.collect();
                    self.warnings.extend(found);
                }
                value.text = normal;
            }
            Err(broken) => {
                let (default, fixed) = (value.answer.is_none(), !property.user_configurable);
                for one in broken {
                    let rule = match default {
                        true => format!("the descriptor's own value: {}", one.rule),
                        false => one.rule,
                    };
                    let mut violation = self.violation(index, property, one.code, rule);
                    violation.allowed = Some(rules.allowed());
                    // What cannot be written is an error whoever gave it.
                    let writable = !matches!(one.code, "prop.control" | "prop.too-long");
                    if default && fixed && writable {
                        self.warnings.push(violation);
                    } else {
                        self.errors.push(violation);
                    }
                }
            }
        }
    }
}
