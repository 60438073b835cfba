//! Which devices a filter of lvm.conf lets through.

use anyhow::{Context as _, bail};
use regex::bytes::{Regex, RegexBuilder};

/// Memory for one compiled expression, in bytes.
const REGEX_SIZE: usize = 1024 * 1024;

/// A list of patterns; the first one that matches decides (lvm.conf(5), `filter`).
#[derive(Debug)]
pub(super) struct Filter(Vec<(bool, Regex)>);

impl Filter {
    /// Reads patterns such as `a|^/dev/sda$|` and `r/.*/`: accept or reject, and an expression
    /// between two equal characters.
    ///
    /// # Errors
    /// If one is not of this form.
    pub(super) fn new(patterns: &[String]) -> anyhow::Result<Self> {
        let compile = |pattern: &String| {
            let mut chars = pattern.chars();
            let accept = match chars.next() {
                Some('a') => true,
                Some('r') => false,
                _ => bail!("{pattern:?} begins with neither `a` nor `r`"),
            };
            let open = chars.next().unwrap_or_default();
            let close = match open {
                '(' => ')',
                '[' => ']',
                '{' => '}',
                same => same,
            };
            let expression = chars
                .as_str()
                .strip_suffix(close)
                .with_context(|| format!("{pattern:?} does not end with {close:?}"))?;
            let regex = RegexBuilder::new(expression)
                .size_limit(REGEX_SIZE)
                .build()
                .with_context(|| format!("{pattern:?} is no expression"))?;
            Ok((accept, regex))
        };
        Ok(Self(
            patterns.iter().map(compile).collect::<Result<_, _>>()?,
        ))
    }

    /// Whether a device of this name may be used; what no pattern matches may.
    pub(super) fn accepts(&self, name: &str) -> bool {
        self.0
            .iter()
            .find(|(_, regex)| regex.is_match(name.as_bytes()))
            .is_none_or(|(accept, _)| *accept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_matches_decides() {
        let cases: [(&[&str], &str, bool); 7] = [
            (&["a|.*|"], "/dev/vda", true),
            (&[], "/dev/vda", true),
            (&["a|/dev/sda|", "r|.*|"], "/dev/sda2", true),
            (&["a|/dev/sda|", "r|.*|"], "/dev/vda2", false),
            (&["r/block/", "r/disk/", "a/.*/"], "/dev/vda2", true),
            (&["a{^/dev/sda[12]$}", "r{.*}"], "/dev/sda3", false),
            (&["r|^/dev/vd|", "a|.*|"], "/dev/vda", false),
        ];
        for (patterns, name, expected) in cases {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            let filter = Filter::new(&patterns).unwrap();
            assert_eq!(filter.accepts(name), expected, "{patterns:?} {name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["", "x|a|", "a|a", "a", "a|(|", "a|x{1000}{1000}{1000}|"] {
            assert!(Filter::new(&[pattern.to_owned()]).is_err(), "{pattern}");
        }
    }
}
