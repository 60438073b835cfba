//! SELinux labels for files that a plan creates.
//!
//! A file without the right label may be unreadable for the service that needs it, and a whole
//! relabel takes minutes. So each new file gets the label that the guest's own policy gives to
//! its path (`file_contexts`, selinux_file(5), `matchpathcon(8)`).

use regex::bytes::{Regex, RegexBuilder};

use crate::backend::FileKind;
use crate::guest::Guest;
use crate::path::GuestPath;

/// The extended attribute that holds a label.
pub(crate) const XATTR: &[u8] = b"security.selinux";

/// A compiled expression may use this much memory; the policy is the guest's, so it is not trusted.
const REGEX_SIZE: usize = 1 << 20;

/// The path-to-label rules of one guest.
#[derive(Debug, Default)]
pub struct FileContexts {
    /// `alias` directories whose rules are those of `original` (`file_contexts.subs*`).
    substitutions: Vec<(String, String)>,
    specifications: Vec<Specification>,
}

#[derive(Debug)]
struct Specification {
    expression: String,
    /// The characters before the first special one: most rules are ruled out by these alone.
    stem: usize,
    kind: Option<FileKind>,
    /// `None` is `<<none>>`: no label.
    context: Option<String>,
}

impl FileContexts {
    /// Reads the rules of policy `policy` (`targeted`); no rules if the files are missing.
    ///
    /// # Errors
    /// If a file is there and cannot be read.
    pub fn read(guest: &Guest<'_>, policy: &str) -> anyhow::Result<Self> {
        let mut contexts = Self::default();
        let base = format!("/etc/selinux/{policy}/contexts/files/file_contexts");
        for suffix in [".subs_dist", ".subs"] {
            if let Some(text) = guest.read_text(format!("{base}{suffix}").as_str())? {
                contexts
                    .substitutions
                    .extend(text.lines().filter_map(|line| {
                        let mut words = line
                            .split_whitespace()
                            .filter(|word| !word.starts_with('#'));
                        Some((words.next()?.to_owned(), words.next()?.to_owned()))
                    }));
            }
        }
        for suffix in ["", ".homedirs", ".local"] {
            if let Some(text) = guest.read_text(format!("{base}{suffix}").as_str())? {
                contexts
                    .specifications
                    .extend(text.lines().filter_map(Specification::parse));
            }
        }
        Ok(contexts)
    }

    /// The label of a new `kind` at `path`, as the attribute's value (with its final NUL).
    pub fn label(&self, path: &GuestPath, kind: FileKind) -> Option<Vec<u8>> {
        let mut path = path.as_bytes().to_vec();
        for (alias, original) in &self.substitutions {
            let rest = path
                .strip_prefix(alias.as_bytes())
                .filter(|rest| rest.is_empty() || rest.starts_with(b"/"));
            if let Some(rest) = rest {
                path = [original.as_bytes(), rest].concat();
                break;
            }
        }
        let fits =
            |specification: &&Specification| specification.kind.is_none_or(|wanted| wanted == kind);
        // libselinux: an exact path wins; otherwise the last expression that matches.
        let found = self
            .specifications
            .iter()
            .filter(fits)
            .rfind(|specification| specification.is_exactly(&path))
            .or_else(|| {
                self.specifications
                    .iter()
                    .filter(fits)
                    .rfind(|specification| specification.matches(&path))
            })?;
        let context = found.context.as_ref()?;
        Some([context.as_bytes(), b"\0"].concat())
    }
}

impl Specification {
    /// `expression [-type] context`.
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (expression, kind, context) = match *words.as_slice() {
            [expression, ..] if expression.starts_with('#') => return None,
            [expression, context] => (expression, None, context),
            [expression, kind, context] => (expression, Some(kind), context),
            _ => return None,
        };
        let kind = match kind {
            None => None,
            Some("--") => Some(FileKind::File),
            Some("-d") => Some(FileKind::Dir),
            Some("-l") => Some(FileKind::Symlink),
            Some(_) => Some(FileKind::Other),
        };
        let stem = expression
            .find(|c| ".^$?*+|[({\\".contains(c))
            .unwrap_or(expression.len());
        // `/a?`: the character before a quantifier is not part of the stem.
        let stem = match expression.as_bytes().get(stem) {
            Some(b'?' | b'*' | b'{') => stem.saturating_sub(1),
            _ => stem,
        };
        Some(Self {
            expression: expression.to_owned(),
            stem,
            kind,
            context: (context != "<<none>>").then(|| context.to_owned()),
        })
    }

    /// Whether the expression, apart from escaped dots, is just this path.
    fn is_exactly(&self, path: &[u8]) -> bool {
        let literal = self.expression.replace("\\.", "\u{0}");
        !literal.contains(|c| ".^$?*+|[({\\".contains(c))
            && literal.replace('\u{0}', ".").as_bytes() == path
    }

    fn matches(&self, path: &[u8]) -> bool {
        // An alternative at the top level ends what the stem says.
        let stem = if self.expression.contains('|') {
            0
        } else {
            self.stem
        };
        if !path.starts_with(&self.expression.as_bytes()[..stem]) {
            return false;
        }
        let anchored = format!("^(?:{})$", self.expression);
        let compiled: Result<Regex, _> = RegexBuilder::new(&anchored)
            .size_limit(REGEX_SIZE)
            .dot_matches_new_line(true)
            .build();
        match compiled {
            Ok(regex) => regex.is_match(path),
            Err(error) => {
                tracing::debug!(expression = self.expression, %error, "skipping a SELinux rule");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(text: &str) -> FileContexts {
        FileContexts {
            substitutions: vec![("/run".to_owned(), "/var/run".to_owned())],
            specifications: text.lines().filter_map(Specification::parse).collect(),
        }
    }

    #[test]
    fn the_most_specific_rule_for_the_kind_counts() {
        let contexts = contexts(
            "# comment\n\
             /.*\tsystem_u:object_r:default_t:s0\n\
             /etc(/.*)?\tsystem_u:object_r:etc_t:s0\n\
             /etc/udev/rules\\.d(/.*)?\tsystem_u:object_r:udev_rules_t:s0\n\
             /etc/fstab\\.d\t-d\tsystem_u:object_r:dir_t:s0\n\
             /etc/fstab\\.d\tsystem_u:object_r:exact_t:s0\n\
             /var/run/.*\t<<none>>\n\
             /(a|b)/c\t--\tsystem_u:object_r:ab_t:s0\n\
             /broken[\tx\n",
        );
        for (path, kind, expected) in [
            ("/srv", FileKind::Dir, Some("default_t")),
            ("/etc/x", FileKind::File, Some("etc_t")),
            (
                "/etc/udev/rules.d/70-a.rules",
                FileKind::File,
                Some("udev_rules_t"),
            ),
            ("/etc/fstab.d", FileKind::Dir, Some("exact_t")),
            ("/b/c", FileKind::File, Some("ab_t")),
            ("/b/c", FileKind::Dir, Some("default_t")),
            ("/run/x", FileKind::File, None),
        ] {
            let label = contexts.label(&path.into(), kind);
            let expected =
                expected.map(|name| format!("system_u:object_r:{name}:s0\0").into_bytes());
            assert_eq!(label, expected, "{path}");
        }
    }
}
