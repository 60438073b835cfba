//! Answers to questions that nobody asks.

use std::collections::BTreeSet;

use super::super::distance::nearest;
use super::super::nodes::Node;
use super::super::rules::Rules;
use super::super::violation::Violation;
use super::Run;
use crate::Property;

impl Run<'_> {
    /// Answers to questions that nobody asks.
    pub(super) fn unused_answers(&mut self) {
        let declared: BTreeSet<String> = self
            .nodes
            .iter()
            .flat_map(Node::properties)
            .map(Property::qualified)
            .collect();
        let answers = self.answers;
        for key in answers.properties.keys() {
            if !self.values.iter().any(|values| values.contains_key(key)) {
                self.unused(key, None, &declared);
            }
        }
        for (system, properties) in &answers.systems {
            let Some(index) = self.nodes.iter().position(|node| node.id() == system) else {
                let ids: Vec<&str> = self.nodes.iter().map(Node::id).collect();
                self.errors.push(Violation {
                    code: "system.unknown",
                    rule: format!("there are answers for {system:?}, which the appliance has not"),
                    allowed: Some(ids.join(", ")),
                    ..Violation::default()
                });
                continue;
            };
            for key in properties.keys() {
                if !self.values[index].contains_key(key) {
                    self.unused(key, Some(system), &declared);
                }
            }
        }
        for key in answers.extra.keys().filter(|key| declared.contains(*key)) {
            self.errors.push(Violation {
                code: "prop.extra",
                key: key.clone(),
                rule: "the descriptor declares it, so it is no extra property; use --property"
                    .to_owned(),
                ..Violation::default()
            });
        }
        for (key, answer) in &answers.extra {
            let rules = Rules {
                secret: true,
                ..Rules::default()
            };
            for broken in rules.check(&answer.value).err().unwrap_or_default() {
                self.errors.push(Violation {
                    code: broken.code,
                    key: key.clone(),
                    rule: broken.rule,
                    ..Violation::default()
                });
            }
        }
    }

    pub(super) fn unused(&mut self, key: &str, system: Option<&str>, declared: &BTreeSet<String>) {
        let mut violation = Violation {
            code: "prop.unknown",
            key: key.to_owned(),
            system: system.map(str::to_owned),
            ..Violation::default()
        };
        if declared.contains(key) {
            violation.code = "prop.configuration";
            violation.rule = match self.configuration {
                Some(id) if system.is_none() => {
                    format!("it does not exist in the configuration {id:?}")
                }
                _ => "it belongs to another system".to_owned(),
            };
        } else {
            let same_end = |one: &&String| {
                one.rsplit('.').next() == Some(key) || one.split('.').any(|part| part == key)
            };
            let near = nearest(key, declared.iter().map(String::as_str));
            let near = near.or_else(|| declared.iter().find(same_end).map(String::as_str));
            violation.rule = match near {
                Some(near) => format!("there is no such property; did you mean {near:?}?"),
                None => "there is no such property; --extra sets one that the descriptor does not declare"
                    .to_owned(),
            };
        }
        self.errors.push(violation);
    }
}
