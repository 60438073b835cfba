//! Patterns of paths and names.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, bail, ensure};
use globset::{GlobBuilder, GlobMatcher};
use refit_engine::backend::FileKind;
use refit_engine::{Guest, GuestPath};

/// A pattern that matches more paths than this is a mistake, or the guest is hostile.
const MATCH_LIMIT: usize = 10_000;

/// A pattern of one name, without `/`.
#[derive(Debug, Clone)]
pub(crate) struct NamePattern {
    exact: GlobMatcher,
    /// For guests that do not tell cases apart.
    folded: GlobMatcher,
}

impl NamePattern {
    pub(crate) fn new(pattern: &str) -> anyhow::Result<Self> {
        ensure!(!pattern.is_empty(), "an empty pattern matches nothing");
        let matcher = |folds: bool| {
            GlobBuilder::new(pattern)
                .literal_separator(true)
                .case_insensitive(folds)
                .build()
                .map(|glob| glob.compile_matcher())
                .map_err(|error| anyhow::anyhow!("pattern `{pattern}`: {}", error.kind()))
        };
        Ok(Self {
            exact: matcher(false)?,
            folded: matcher(true)?,
        })
    }

    pub(crate) fn matches(&self, name: impl AsRef<[u8]>) -> bool {
        self.exact.is_match(OsStr::from_bytes(name.as_ref()))
    }

    /// Whether it matches the name of a file in `guest`.
    fn matches_in(&self, guest: &Guest<'_>, name: &[u8]) -> bool {
        let matcher = if guest.folds_case() {
            &self.folded
        } else {
            &self.exact
        };
        matcher.is_match(OsStr::from_bytes(name))
    }

    /// Whether one of `patterns` matches.
    pub(crate) fn any(patterns: &[Self], name: impl AsRef<[u8]>) -> bool {
        patterns
            .iter()
            .any(|pattern| pattern.matches(name.as_ref()))
    }

    /// The patterns in a list.
    pub(crate) fn list(patterns: &[String]) -> anyhow::Result<Vec<Self>> {
        patterns.iter().map(|pattern| Self::new(pattern)).collect()
    }
}

/// A pattern of absolute paths, compared name by name: nothing in it stands for `/`. As in a
/// shell, a name that begins with a dot is matched only by a pattern that does.
#[derive(Debug)]
pub(crate) struct PathPattern {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Name(String),
    Pattern { matcher: NamePattern, dot: bool },
}

impl PathPattern {
    pub(crate) fn new(pattern: &str) -> anyhow::Result<Self> {
        let Some(relative) = pattern.strip_prefix('/') else {
            bail!("`{pattern}` is no absolute path");
        };
        let mut steps = Vec::new();
        for part in relative.split('/').filter(|part| !part.is_empty()) {
            ensure!(
                part != "." && part != "..",
                "`{pattern}` contains `{part}`, which has no meaning in a guest"
            );
            steps.push(if part.contains(['*', '?', '[', '{', '\\']) {
                Step::Pattern {
                    matcher: NamePattern::new(part).with_context(|| pattern.to_owned())?,
                    dot: part.starts_with('.'),
                }
            } else {
                Step::Name(part.to_owned())
            });
        }
        ensure!(!steps.is_empty(), "`{pattern}` is the root directory");
        Ok(Self { steps })
    }

    /// Every path in the guest that matches, in order. A link in the last name is not followed, so
    /// one that dangles is found too.
    pub(crate) fn find(&self, guest: &Guest<'_>) -> anyhow::Result<Vec<GuestPath>> {
        let mut found = vec![GuestPath::root()];
        for (at, step) in self.steps.iter().enumerate() {
            let last = at + 1 == self.steps.len();
            let mut next = Vec::new();
            for dir in found {
                match step {
                    Step::Name(name) => {
                        let path = dir.join(name);
                        if !last || entry(guest, &path)?.is_some() {
                            next.push(path);
                        }
                    }
                    Step::Pattern { matcher, dot } => {
                        for entry in guest.list(&dir)? {
                            if entry.name.starts_with(b".") == *dot
                                && matcher.matches_in(guest, &entry.name)
                            {
                                next.push(dir.join(&entry.name));
                            }
                        }
                    }
                }
                ensure!(
                    next.len() <= MATCH_LIMIT,
                    "a pattern matches more than {MATCH_LIMIT} paths"
                );
            }
            found = next;
        }
        Ok(found)
    }
}

/// What `path` itself is, without following it; `None` if nothing is there.
pub(crate) fn entry(guest: &Guest<'_>, path: &GuestPath) -> anyhow::Result<Option<FileKind>> {
    let Some(dir) = path.parent() else {
        return Ok(Some(FileKind::Dir));
    };
    let Some(real) = guest.resolve_parent(path)? else {
        return Ok(None);
    };
    let name = real.file_name();
    let entries = guest.list(&dir).with_context(|| format!("listing {dir}"))?;
    Ok(entries
        .binary_search_by(|entry| entry.name.as_slice().cmp(name))
        .ok()
        .map(|at| entries[at].kind))
}

/// The content of a regular file, links followed; `None` if `path` is anything else. A link to
/// /dev/null is how administrators switch configuration files off.
pub(crate) fn content(guest: &Guest<'_>, path: &GuestPath) -> anyhow::Result<Option<Vec<u8>>> {
    match guest.stat(path)? {
        Some(stat) if stat.kind == FileKind::File => guest.read(path),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use refit_engine::Hints;
    use refit_engine::backend::RootBackend;

    use super::*;

    #[test]
    fn patterns_find_what_a_shell_would() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for file in ["a/one.conf", "a/two.conf", "a/.hidden.conf", "b/one.conf"] {
            let path = root.join("etc").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", root.join("etc/a/link.conf")).unwrap();
        let backend = RootBackend::open(root).unwrap();
        let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
        for (pattern, expected) in [
            ("/etc/a/one.conf", &["/etc/a/one.conf"][..]),
            ("/etc/a/no.conf", &[]),
            ("/etc/*/one.conf", &["/etc/a/one.conf", "/etc/b/one.conf"]),
            (
                "/etc/a/*",
                &["/etc/a/link.conf", "/etc/a/one.conf", "/etc/a/two.conf"],
            ),
            ("/etc/a/.*", &["/etc/a/.hidden.conf"]),
            ("/etc/a/{one,no}.conf", &["/etc/a/one.conf"]),
            ("/etc/[b-z]/*", &["/etc/b/one.conf"]),
            ("/*/x", &[]),
        ] {
            let found = PathPattern::new(pattern).unwrap().find(&guest).unwrap();
            let expected: Vec<GuestPath> = expected.iter().map(GuestPath::new).collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn patterns_that_make_no_sense_are_refused() {
        for pattern in ["", "etc/x", "/", "//", "/a/../b", "/a/[b", "/{a,b/c}"] {
            assert!(PathPattern::new(pattern).is_err(), "{pattern}");
        }
    }
}
