//! From questions and answers to the values of one deployment.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::answers::{Answer, Answers, Origin};
use super::distance::nearest;
use super::macros::{Piece, pieces};
use super::networks::IpAllocation;
use super::nodes::{Node, nodes};
use super::rules::{Kind, MAX_VALUE, Role, Rules};
use super::violation::{Violation, Violations};
use crate::{Envelope, Property};

mod addresses;
mod remarks;

use addresses::Addresses;

/// Macros may lead to macros so many times: each takes a place on the stack.
const MAX_DEPTH: usize = 64;

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

    /// Evaluates the macros of one value. `path` are the properties on the way to it.
    fn evaluate(&mut self, index: usize, key: &str, path: &mut Vec<(usize, String)>) {
        let Some(value) = self.values[index].get(key).filter(|value| value.open) else {
            return;
        };
        let (text, property) = (value.text.clone(), value.property);
        let mut result = String::new();
        let mut secret = value.secret;
        path.push((index, key.to_owned()));
        for piece in pieces(&text) {
            match piece {
                Piece::Text(text) => result.push_str(text),
                Piece::Key { whole, key } => match self.declared(index, key) {
                    Some(owner)
                        if path.len() > MAX_DEPTH || path.contains(&(owner, key.to_owned())) =>
                    {
                        let rule = format!("the macro {whole} leads back to itself, or nowhere");
                        self.fail(index, property, "macro.unresolved", rule);
                    }
                    Some(owner) => {
                        self.evaluate(owner, key, path);
                        if let Some(value) = self.values[owner].get(key) {
                            result.push_str(&value.text);
                            secret |= value.secret;
                        }
                    }
                    None if self.policy.literal_macros => result.push_str(whole),
                    None => {
                        let rule = format!(
                            "the macro {whole} names no property; keep it as text with --literal-macros"
                        );
                        self.fail(index, property, "macro.unresolved", rule);
                    }
                },
                Piece::Network {
                    whole,
                    role,
                    network,
                } => match self.addresses.setting(role, Some(network)) {
                    Some(setting) => result.push_str(&setting),
                    None if self.policy.literal_macros => result.push_str(whole),
                    None => {
                        let rule = format!(
                            "nothing is known for the macro {whole}; give the network's settings in \
                             [networks.{network:?}] of a file for --values"
                        );
                        self.fail(index, property, "macro.unresolved", rule);
                    }
                },
            }
            if result.len() > MAX_VALUE {
                let rule = format!("its macros make more than {MAX_VALUE} bytes");
                self.fail(index, property, "prop.too-long", rule);
                break;
            }
        }
        path.pop();
        if let Some(value) = self.values[index].get_mut(key) {
            value.text = result;
            value.secret = secret;
            value.rules.secret |= secret;
            value.open = false;
        }
    }

    /// The node whose property a macro means: its own, else of a collection around it.
    fn declared(&self, index: usize, key: &str) -> Option<usize> {
        let mut at = Some(index);
        while let Some(index) = at {
            if self.values[index].contains_key(key) {
                return at;
            }
            at = self.nodes[index].parent;
        }
        None
    }

    fn check(&mut self) {
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

    fn check_one(&mut self, index: usize, value: &mut Value<'_>) {
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
                let how = if rules.secret { "--property-file" } else { "--property" };
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

    /// Answers to questions that nobody asks.
    fn unused_answers(&mut self) {
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

    fn unused(&mut self, key: &str, system: Option<&str>, declared: &BTreeSet<String>) {
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
