//! From questions and answers to the values of one deployment.

use std::collections::BTreeMap;
use std::fmt;

use super::answers::{Answer, Answers, Origin};
use super::networks::IpAllocation;
use super::nodes::{Node, nodes};
use super::rules::{Role, Rules};
use super::violation::{Violation, Violations};
use crate::{Envelope, Property};

mod addresses;
mod check;
mod evaluate;
mod remarks;
mod unused;

use addresses::Addresses;

/// What is let through on request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// Answers for properties that only the vendor sets.
    pub allow_fixed: bool,
    /// Secrets in a program's arguments.
    pub allow_secret_arguments: bool,
    /// Macros that nothing is known for stay as they are.
    pub literal_macros: bool,
}

/// All values of one deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The deployment configuration; none if the appliance has none.
    pub configuration: Option<String>,
    /// The systems in the descriptor's order.
    pub systems: Vec<ResolvedSystem>,
    /// What may be meant, and should be looked at.
    pub warnings: Vec<Violation>,
}

/// The values that one system sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedSystem {
    /// `ovf:id`.
    pub id: String,
    /// Its own properties and those of the collection around it, by key in byte order.
    pub properties: Vec<Assigned>,
    /// The other members of that collection, each with its own properties.
    pub siblings: Vec<(String, Vec<Assigned>)>,
}

/// A property with its value. It may be a secret: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assigned {
    /// Qualified key.
    pub key: String,
    /// The value.
    pub value: String,
    /// Whether it must not be shown.
    pub secret: bool,
}

impl fmt::Debug for Assigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assigned")
            .field("key", &self.key)
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

impl Resolved {
    /// The values of this system.
    #[must_use]
    pub fn system(&self, id: &str) -> Option<&ResolvedSystem> {
        self.systems.iter().find(|system| system.id == id)
    }
}

impl ResolvedSystem {
    /// The value of the property of this qualified key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        let found = self.properties.iter().find(|one| one.key == key);
        found.map(|one| one.value.as_str())
    }
}

/// Finds all values, of all systems.
///
/// An answer is taken literally, unless the property's type is VMware's `expression`; macros in the
/// descriptor's defaults are evaluated. Properties that the user may not set are checked, too, but what
/// the vendor gave them is only worth a warning.
///
/// # Errors
/// Everything that is wrong, in the descriptor's order, then what is about no property.
pub fn resolve(
    envelope: &Envelope,
    answers: &Answers,
    policy: Policy,
) -> Result<Resolved, Violations> {
    let nodes = nodes(envelope);
    let mut run = Run {
        envelope,
        answers,
        policy,
        configuration: None,
        values: vec![BTreeMap::new(); nodes.len()],
        addresses: Addresses::new(envelope, answers),
        nodes,
        errors: Vec::new(),
        warnings: Vec::new(),
    };
    run.choose_configuration();
    for index in 0..run.nodes.len() {
        run.collect(index);
    }
    for index in 0..run.nodes.len() {
        let keys: Vec<String> = run.values[index].keys().cloned().collect();
        for key in keys {
            run.evaluate(index, &key, &mut Vec::new());
        }
    }
    run.check();
    run.unused_answers();
    if run.errors.is_empty() {
        Ok(run.finish())
    } else {
        Err(Violations(run.errors))
    }
}

struct Run<'r> {
    envelope: &'r Envelope,
    answers: &'r Answers,
    policy: Policy,
    configuration: Option<&'r str>,
    nodes: Vec<Node<'r>>,
    /// Of each node, by qualified key.
    values: Vec<BTreeMap<String, Value<'r>>>,
    addresses: Addresses<'r>,
    errors: Vec<Violation>,
    warnings: Vec<Violation>,
}

/// A property on its way to a value.
#[derive(Clone)]
struct Value<'r> {
    property: &'r Property,
    rules: Rules,
    answer: Option<&'r Answer>,
    text: String,
    secret: bool,
    /// Whether macros in it are still to be evaluated.
    open: bool,
}

impl<'r> Run<'r> {
    fn choose_configuration(&mut self) {
        let envelope = self.envelope;
        let Some(wanted) = &self.answers.configuration else {
            let default = envelope.default_configuration();
            self.configuration = default.map(|configuration| configuration.id.as_str());
            return;
        };
        let ids = || envelope.configurations.iter().map(|one| one.id.as_str());
        self.configuration = ids().find(|id| id == wanted);
        if self.configuration.is_none() {
            let all: Vec<&str> = ids().collect();
            self.errors.push(Violation {
                code: "config.unknown",
                rule: format!("there is no deployment configuration {wanted:?}"),
                allowed: Some(match all.as_slice() {
                    [] => "none, for the appliance has no configurations".to_owned(),
                    all => all.join(", "),
                }),
                ..Violation::default()
            });
        }
    }

    /// First values of a node's properties: answers and defaults as they are written.
    fn collect(&mut self, index: usize) {
        let node = self.nodes[index];
        for property in node.properties() {
            if !property.applies(self.configuration) {
                continue;
            }
            let key = property.qualified();
            if let Some(first) = self.values[index].get(&key) {
                let rule = format!(
                    "it is declared twice; the declaration in {} counts",
                    first.property.place
                );
                let warning = self.violation(index, property, "prop.duplicate", rule);
                self.warnings.push(warning);
                continue;
            }
            let rules = Rules::of(property);
            let default = property.default_value(self.configuration).unwrap_or("");
            let mut answer = self.answers.get(node.id(), &key);
            if let Some(given) = answer {
                let same = given.value == default
                    || rules.check(&given.value).ok() == rules.check(default).ok()
                        && rules.check(default).is_ok();
                if !property.user_configurable && !self.policy.allow_fixed && !same {
                    let rule =
                        "the vendor has fixed its value; leave it out, or insist (--allow-fixed)";
                    let error = self.violation(index, property, "prop.fixed", rule.to_owned());
                    self.errors.push(error);
                    answer = None;
                }
                let exposed = rules.secret && given.origin == Origin::Arguments;
                if exposed && !self.policy.allow_secret_arguments {
                    let rule = "a secret on the command line can be seen by every user of this host; give it \
                                with --property-file, --property-env or --values";
                    let error =
                        self.violation(index, property, "prop.password-on-cli", rule.to_owned());
                    self.errors.push(error);
                }
            }
            let text = answer.map_or(default, |answer| answer.value.as_str());
            let mut value = Value {
                property,
                answer,
                text: text.to_owned(),
                secret: rules.secret,
                open: answer.is_none() || rules.expression,
                rules,
            };
            self.fill_in(&mut value);
            self.values[index].insert(key, value);
        }
    }

    /// What the network's settings say, where nobody else does.
    fn fill_in(&mut self, value: &mut Value<'_>) {
        let Some(network) = &value.rules.network else {
            return;
        };
        let is_address = matches!(network.role, Role::Ip | Role::AutoIp);
        if self.answers.ip_allocation == Some(IpAllocation::Dhcp) {
            if is_address && value.answer.is_none() {
                value.text.clear();
            }
            return;
        }
        if value.text.trim().is_empty()
            && let Some(setting) = self
                .addresses
                .setting(network.role, network.network.as_deref())
        {
            value.text = setting;
        }
    }

    fn fail(&mut self, index: usize, property: &Property, code: &'static str, rule: String) {
        let mut error = self.violation(index, property, code, rule);
        if code == "prop.missing" {
            error.allowed = Some(Rules::of(property).allowed());
        }
        self.errors.push(error);
    }

    fn violation(
        &self,
        index: usize,
        property: &Property,
        code: &'static str,
        rule: String,
    ) -> Violation {
        let several = self.nodes.len() > 1;
        Violation {
            code,
            system: several.then(|| self.nodes[index].id().to_owned()),
            key: property.qualified(),
            label: property.label.clone(),
            category: property.category.clone(),
            rule,
            allowed: None,
            place: Some(property.place),
        }
    }

    fn finish(self) -> Resolved {
        let own = |index: usize| -> BTreeMap<&str, Assigned> {
            let values = self.values[index].iter();
            values
                .map(|(key, value)| {
                    let assigned = Assigned {
                        key: key.clone(),
                        value: value.text.clone(),
                        secret: value.secret,
                    };
                    (key.as_str(), assigned)
                })
                .collect()
        };
        let mut systems = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if !node.is_system() {
                continue;
            }
            let mut properties = node.parent.map(own).unwrap_or_default();
            properties.extend(own(index));
            for (key, answer) in &self.answers.extra {
                let assigned = Assigned {
                    key: key.clone(),
                    value: answer.value.clone(),
                    secret: true,
                };
                properties.insert(key, assigned);
            }
            let siblings = self.nodes.iter().enumerate();
            let siblings = siblings.filter(|(other, sibling)| {
                *other != index && node.parent.is_some() && sibling.parent == node.parent
            });
            systems.push(ResolvedSystem {
                id: node.id().to_owned(),
                properties: properties.into_values().collect(),
                siblings: siblings
                    .map(|(other, sibling)| {
                        (sibling.id().to_owned(), own(other).into_values().collect())
                    })
                    .collect(),
            });
        }
        Resolved {
            configuration: self.configuration.map(str::to_owned),
            systems,
            warnings: self.warnings,
        }
    }
}

#[cfg(test)]
mod tests;
