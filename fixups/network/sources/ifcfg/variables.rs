//! The variables of an `ifcfg-*` file.

use std::collections::BTreeMap;

/// More warnings than anybody reads of one file.
const WARNING_LIMIT: usize = 20;

/// The variables that a file leaves set, and what in it was not understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Variables {
    /// `None` where the value is not known without running the shell.
    values: BTreeMap<String, Option<String>>,
    /// Each `line N: reason`, with the name of a variable but never its value.
    pub(super) warnings: Vec<String>,
}

impl Variables {
    /// The value of `name`, without white space around it; `None` if it is unset, empty or not
    /// known.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.values.get(name)?.as_deref()?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// Whether `name` is assigned a value that only the shell knows.
    pub(super) fn is_unknown(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(Option::is_none)
    }

    /// Whether the value of `name` means yes.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| {
            ["yes", "true", "on", "y", "t", "1"]
                .iter()
                .any(|word| value.eq_ignore_ascii_case(word))
        })
    }

    /// Variables whose name is `prefix` and a suffix that satisfies `wanted`, with their values
    /// as [`get`](Self::get) gives them: those with a number in its order, before others by name.
    pub(super) fn with_prefix(
        &self,
        prefix: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<(&str, &str)> {
        let mut found: Vec<(Option<u64>, &str, &str)> = self
            .values
            .keys()
            .filter_map(|name| Some((name.as_str(), name.strip_prefix(prefix)?)))
            .filter(|(_, suffix)| wanted(suffix))
            .filter_map(|(name, suffix)| {
                let number = match suffix.trim_start_matches('_') {
                    "" => Some(0),
                    digits => digits.parse().ok(),
                };
                Some((number, name, self.get(name)?))
            })
            .collect();
        found.sort_by_key(|&(number, name, _)| (number.is_none(), number, name));
        found
            .into_iter()
            .map(|(_, name, value)| (name, value))
            .collect()
    }

    /// Notes what was not understood in `line`.
    pub(super) fn warn(&mut self, line: usize, why: impl AsRef<str>) {
        if self.warnings.len() < WARNING_LIMIT {
            self.warnings.push(format!("line {line}: {}", why.as_ref()));
        }
    }

    /// Notes that `name` is assigned `value`; `None` if that is only known to the shell.
    pub(super) fn set(&mut self, name: String, value: Option<String>) {
        self.values.insert(name, value);
    }

    /// As [`set`](Self::set), with `value` put after the one that `name` has.
    pub(super) fn append(&mut self, name: String, value: Option<String>) {
        let whole = match self.values.remove(&name) {
            Some(before) => before.zip(value).map(|(before, value)| before + &value),
            None => value,
        };
        self.values.insert(name, whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[(&str, &str)]) -> Variables {
        let mut variables = Variables::default();
        for (name, value) in values {
            variables.set((*name).to_owned(), Some((*value).to_owned()));
        }
        variables
    }

    #[test]
    fn numbered_variables_come_in_their_order() {
        let variables = of(&[
            ("P10", "k"),
            ("P2", "b"),
            ("P", "a"),
            ("P_3", "c"),
            ("P_x", "z"),
            ("PQ", "no"),
            ("P4", ""),
        ]);
        let found: Vec<&str> = variables
            .with_prefix("P", |suffix| suffix != "Q")
            .into_iter()
            .map(|(_, value)| value)
            .collect();
        assert_eq!(found, ["a", "b", "c", "k", "z"]);
    }

    #[test]
    fn words_that_mean_yes() {
        let variables = of(&[("A", "YES"), ("B", "no"), ("C", " on "), ("D", "")]);
        assert!(variables.is_true("A") && variables.is_true("C"));
        assert!(!["B", "D", "E"].iter().any(|name| variables.is_true(name)));
    }
}
