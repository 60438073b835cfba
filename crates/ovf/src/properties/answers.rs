//! What the user answers, from one place or several.

use std::collections::BTreeMap;
use std::fmt;

use super::networks::{IpAllocation, NetworkSettings};

/// The value of one property, as given. It may be a secret: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The value.
    pub value: String,
    /// Where it is from.
    pub origin: Origin,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// Where an answer is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A program's arguments, which every user of the host can see.
    Arguments,
    /// A file, standard input or an environment variable.
    Private,
}

/// All that the user answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// The deployment configuration that is chosen.
    pub configuration: Option<String>,
    /// Values by qualified key, for every system that has the property.
    pub properties: BTreeMap<String, Answer>,
    /// Values for one system or collection by its `ovf:id`; they win over those for all.
    pub systems: BTreeMap<String, BTreeMap<String, Answer>>,
    /// Properties that the descriptor does not declare and every system gets.
    pub extra: BTreeMap<String, Answer>,
    /// What is known of the networks, by the descriptor's names.
    pub networks: BTreeMap<String, NetworkSettings>,
    /// Who gives addresses.
    pub ip_allocation: Option<IpAllocation>,
}

impl Answers {
    /// Takes over what `other` says, in place of what was said before.
    pub fn merge(&mut self, other: Self) {
        self.configuration = other.configuration.or(self.configuration.take());
        self.ip_allocation = other.ip_allocation.or(self.ip_allocation);
        self.properties.extend(other.properties);
        self.extra.extend(other.extra);
        self.networks.extend(other.networks);
        for (system, answers) in other.systems {
            self.systems.entry(system).or_default().extend(answers);
        }
    }

    /// The answer for a property of this system or collection.
    #[must_use]
    pub fn get(&self, system: &str, key: &str) -> Option<&Answer> {
        self.systems
            .get(system)
            .and_then(|answers| answers.get(key))
            .or_else(|| self.properties.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(value: &str) -> Answer {
        Answer {
            value: value.to_owned(),
            origin: Origin::Private,
        }
    }

    #[test]
    fn later_answers_and_those_for_one_system_win() {
        let mut all = Answers {
            configuration: Some("small".to_owned()),
            properties: BTreeMap::from([
                ("a".to_owned(), answer("1")),
                ("b".to_owned(), answer("1")),
            ]),
            ..Answers::default()
        };
        all.merge(Answers {
            properties: BTreeMap::from([("b".to_owned(), answer("2"))]),
            systems: BTreeMap::from([(
                "web".to_owned(),
                BTreeMap::from([("a".to_owned(), answer("3"))]),
            )]),
            ..Answers::default()
        });
        let value = |system, key| all.get(system, key).map(|one| one.value.as_str());
        assert_eq!(value("db", "a"), Some("1"));
        assert_eq!(value("web", "a"), Some("3"));
        assert_eq!(value("web", "b"), Some("2"));
        assert_eq!(value("web", "c"), None);
        assert_eq!(all.configuration.as_deref(), Some("small"));
        assert!(!format!("{:?}", answer("hunter2")).contains("hunter2"));
    }
}
