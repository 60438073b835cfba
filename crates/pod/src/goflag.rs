//! Command-line flags and values as Go's standard library reads them.
//!
//! A controller was written against a program in Go, so its spellings count: package `flag` (one dash or
//! two, `-x=v` or `-x v`, a boolean without a value) and `strconv.ParseBool`.

use std::collections::BTreeMap;

/// `strconv.ParseBool`: nothing if it is no boolean.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `-x`, `-x=true`: never the next argument.
    Bool,
    /// `-x=5` or `-x 5`.
    Int,
    /// `-x=text` or `-x text`.
    Text,
}

/// Why a command line is not understood. The words are for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// No such flag.
    #[error("flag provided but not defined: -{0}")]
    Unknown(String),
    /// A flag without its value.
    #[error("flag needs an argument: -{0}")]
    NoValue(String),
    /// A value of the wrong type.
    #[error("invalid value {value:?} for flag -{name}")]
    Invalid {
        /// The flag.
        name: String,
        /// What was given.
        value: String,
    },
    /// `-h` or `-help`.
    #[error("help requested")]
    Help,
}

/// Reads flags up to the first argument that is none, or `--`. The last of several counts.
///
/// # Errors
/// As package `flag` does: [`FlagError`].
pub fn parse(
    args: impl IntoIterator<Item = String>,
    known: &[(&str, Kind)],
) -> Result<BTreeMap<String, String>, FlagError> {
    let mut found = BTreeMap::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let Some(rest) = arg.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
            break;
        };
        let rest = rest.strip_prefix('-').unwrap_or(rest);
        if rest.is_empty() {
            break;
        }
        let (name, value) = match rest.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (rest, None),
        };
        let Some((_, kind)) = known.iter().find(|(known, _)| *known == name) else {
            return Err(if matches!(name, "h" | "help") {
                FlagError::Help
            } else {
                FlagError::Unknown(name.to_owned())
            });
        };
        let value = match (kind, value) {
            (_, Some(value)) => value,
            (Kind::Bool, None) => "true".to_owned(),
            (_, None) => args
                .next()
                .ok_or_else(|| FlagError::NoValue(name.to_owned()))?,
        };
        let is_valid = match kind {
            Kind::Bool => parse_bool(&value).is_some(),
            Kind::Int => value.parse::<i64>().is_ok(),
            Kind::Text => true,
        };
        if !is_valid {
            let name = name.to_owned();
            return Err(FlagError::Invalid { name, value });
        }
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, Kind); 3] = [
        ("in-place", Kind::Bool),
        ("smp", Kind::Int),
        ("source", Kind::Text),
    ];

    fn flags(line: &str) -> Result<BTreeMap<String, String>, FlagError> {
        parse(line.split_whitespace().map(str::to_owned), &KNOWN)
    }

    #[test]
    fn both_dashes_and_both_ways_to_give_a_value() {
        let found = flags("-in-place --smp=4 -source vSphere rest -smp 8").unwrap();
        let expected = [("in-place", "true"), ("smp", "4"), ("source", "vSphere")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, expected.into());
        assert_eq!(flags("-in-place=F -- -bogus").unwrap()["in-place"], "F");
        assert!(flags("- -bogus").unwrap().is_empty());
    }

    #[test]
    fn what_go_refuses_is_refused() {
        assert_eq!(flags("-bogus"), Err(FlagError::Unknown("bogus".into())));
        assert_eq!(flags("-smp"), Err(FlagError::NoValue("smp".into())));
        assert_eq!(flags("--help"), Err(FlagError::Help));
        assert!(matches!(
            flags("-in-place=yes"),
            Err(FlagError::Invalid { .. })
        ));
        assert!(matches!(flags("-smp four"), Err(FlagError::Invalid { .. })));
    }

    #[test]
    fn booleans_are_gos() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse_bool(text), Some(true));
        }
        for text in ["yes", "tRUE", "", " 1", "on"] {
            assert_eq!(parse_bool(text), None, "{text:?}");
        }
    }
}
