//! Versions of distributions, compared as their users do.

use std::cmp::Ordering;

use anyhow::{Context as _, ensure};

/// Conditions on a version that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comparisons(Vec<(Operator, Vec<u64>)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    Less,
    AtMost,
    AtLeast,
    Greater,
}

impl Comparisons {
    /// `12`, or `>= 7, < 9`.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let parts = text.split(',').map(|part| {
            let part = part.trim();
            let (operator, rest) = [
                ("<=", Operator::AtMost),
                (">=", Operator::AtLeast),
                ("<", Operator::Less),
                (">", Operator::Greater),
                ("=", Operator::Is),
            ]
            .into_iter()
            .find_map(|(sign, operator)| Some((operator, part.strip_prefix(sign)?)))
            .unwrap_or((Operator::Is, part));
            let numbers = rest.trim().split('.').map(str::parse);
            let numbers: Result<Vec<u64>, _> = numbers.collect();
            let numbers = numbers.ok().with_context(|| {
                format!("`{part}` is to be a version such as `12`, `>= 8.4` or `< 9`")
            })?;
            Ok((operator, numbers))
        });
        let parts: Vec<_> = parts.collect::<anyhow::Result<_>>()?;
        ensure!(!parts.is_empty(), "it is empty");
        Ok(Self(parts))
    }

    /// Whether they hold for `version`. Only as many numbers are compared as the condition has, so
    /// that 12.5 is `12`, `<= 12` and not `> 12`.
    pub(crate) fn hold(&self, version: &str) -> bool {
        let version: Vec<u64> = version
            .split(['.', '-', '_', ' '])
            .map_while(|part| part.parse().ok())
            .collect();
        !version.is_empty()
            && self.0.iter().all(|(operator, wanted)| {
                let ordering = (0..wanted.len())
                    .map(|at| version.get(at).copied().unwrap_or(0).cmp(&wanted[at]))
                    .find(|ordering| *ordering != Ordering::Equal)
                    .unwrap_or(Ordering::Equal);
                match operator {
                    Operator::Is => ordering == Ordering::Equal,
                    Operator::Less => ordering == Ordering::Less,
                    Operator::AtMost => ordering != Ordering::Greater,
                    Operator::AtLeast => ordering != Ordering::Less,
                    Operator::Greater => ordering == Ordering::Greater,
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        for (conditions, version, holds) in [
            ("12", "12.5", true),
            ("12", "12", true),
            ("1", "12", false),
            ("12.5", "12", false),
            (">= 7, < 9", "8.10", true),
            (">= 7, < 9", "9.0", false),
            (">= 7, < 9", "6.9", false),
            ("<= 12", "12.5", true),
            ("> 12", "12.5", false),
            ("< 10", "9.13", true),
            ("< 10", "bookworm/sid", false),
            ("22.04", "22.04", true),
        ] {
            let parsed = Comparisons::parse(conditions).unwrap();
            assert_eq!(parsed.hold(version), holds, "{conditions} of {version}");
        }
        for wrong in ["", "twelve", ">=", "1,,2", "~1"] {
            assert!(Comparisons::parse(wrong).is_err(), "{wrong}");
        }
    }
}
