//! `source` and `source-directory`.

use std::collections::BTreeSet;

use refit_engine::GuestPath;
use refit_engine::backend::FileKind;

use super::stanza::{Directive, Statement, parse};
use crate::network::sources::glob;
use crate::network::sources::reading::{Reading, quote};

/// The file that everything begins with.
const MAIN: &str = "/etc/network/interfaces";
/// Deepest nesting of included files.
const DEPTH_LIMIT: usize = 16;
/// Most files, and most paths that one pattern may lead to on the way.
const FILE_LIMIT: usize = 1024;

/// A statement with its place.
#[derive(Debug)]
pub struct Placed {
    /// The file.
    pub path: GuestPath,
    /// The line in it, counted from one.
    pub line: usize,
    /// The statement.
    pub directive: Directive,
}

/// All statements of the main file and of those that it includes, in the order in which they are
/// read. A file that is included again is not read again.
///
/// # Errors
/// If the backend cannot be read.
pub fn read_all(reading: &mut Reading<'_, '_>) -> anyhow::Result<Vec<Placed>> {
    let mut walk = Walk::default();
    walk.file(reading, &GuestPath::new(MAIN), 0)?;
    Ok(walk.found)
}

/// The files that [`read_all`] reads, in its order.
///
/// # Errors
/// If the backend cannot be read.
pub fn files(reading: &mut Reading<'_, '_>) -> anyhow::Result<Vec<GuestPath>> {
    let mut walk = Walk::default();
    walk.file(reading, &GuestPath::new(MAIN), 0)?;
    Ok(walk.files)
}

#[derive(Default)]
struct Walk {
    files: Vec<GuestPath>,
    seen: BTreeSet<GuestPath>,
    found: Vec<Placed>,
}

impl Walk {
    fn file(
        &mut self,
        reading: &mut Reading<'_, '_>,
        path: &GuestPath,
        depth: usize,
    ) -> anyhow::Result<()> {
        let Some(real) = reading.guest.resolve(path)? else {
            return Ok(());
        };
        if !self.seen.insert(real) {
            return Ok(());
        }
        if depth > DEPTH_LIMIT || self.seen.len() > FILE_LIMIT {
            reading.warn(path, None, "not read: too many files are included");
            return Ok(());
        }
        let Some(text) = reading.text(path) else {
            return Ok(());
        };
        self.files.push(path.clone());
        for Statement {
            line, directive, ..
        } in parse(&text)
        {
            let included = match &directive {
                Directive::Source(words) => self.sources(reading, path, line, words)?,
                Directive::SourceDirectory(words) => {
                    self.directories(reading, path, line, words)?
                }
                _ => {
                    self.found.push(Placed {
                        path: path.clone(),
                        line,
                        directive,
                    });
                    continue;
                }
            };
            for included in included {
                self.file(reading, &included, depth + 1)?;
            }
        }
        Ok(())
    }

    /// The files that `source` names; a word that is no pattern must lead to one.
    fn sources(
        &self,
        reading: &mut Reading<'_, '_>,
        from: &GuestPath,
        line: usize,
        words: &[String],
    ) -> anyhow::Result<Vec<GuestPath>> {
        let mut files = Vec::new();
        for word in words {
            for path in expand(reading, from, line, word)? {
                match reading.guest.stat(&path)?.map(|stat| stat.kind) {
                    Some(FileKind::File) => files.push(path),
                    Some(_) if glob::is_pattern(word) || word == "/dev/null" => {}
                    None if word == "/dev/null" => {}
                    _ => {
                        let reason = format!("source: there is no file {path}");
                        reading.warn(from, Some(line), reason);
                    }
                }
            }
        }
        Ok(files)
    }

    /// The files in the directories that `source-directory` names. Names of other characters than
    /// `A-Za-z0-9_-` (backups, packages' leftovers) do not count.
    fn directories(
        &self,
        reading: &mut Reading<'_, '_>,
        from: &GuestPath,
        line: usize,
        words: &[String],
    ) -> anyhow::Result<Vec<GuestPath>> {
        let mut files = Vec::new();
        for word in words {
            for directory in expand(reading, from, line, word)? {
                files.extend(reading.guest.files(&directory, |name| {
                    name.bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
                })?);
            }
        }
        Ok(files)
    }
}

/// The paths that `word` stands for, relative to the directory of the file that it is in, sorted.
/// Of what the shell expands (wordexp(3)), wildcards and quotes are followed.
fn expand(
    reading: &mut Reading<'_, '_>,
    from: &GuestPath,
    line: usize,
    word: &str,
) -> anyhow::Result<Vec<GuestPath>> {
    let word = word.replace(['"', '\''], "");
    if word.contains(['$', '`', '~', '{']) {
        let reason = format!("not followed, it needs a shell: {}", quote(&word));
        reading.warn(from, Some(line), reason);
        return Ok(Vec::new());
    }
    let base = from.parent().unwrap_or_else(GuestPath::root);
    if !glob::is_pattern(&word) {
        return Ok(vec![base.join(&word)]);
    }
    let mut paths = if word.starts_with('/') {
        vec![GuestPath::root()]
    } else {
        vec![base]
    };
    for part in word.split('/').filter(|part| !part.is_empty()) {
        if !glob::is_pattern(part) {
            for path in &mut paths {
                *path = path.join(part);
            }
            continue;
        }
        let mut next = Vec::new();
        for directory in &paths {
            for entry in reading.guest.list(directory)? {
                // A name with a leading dot matches only a pattern with one.
                let hidden = entry.name.starts_with(b".") && !part.starts_with('.');
                if !hidden && glob::matches(part, &entry.name) {
                    next.push(directory.join(&entry.name));
                }
            }
            if next.len() > FILE_LIMIT {
                next.truncate(FILE_LIMIT);
                let reason = format!("not all followed, too many: {}", quote(&word));
                reading.warn(from, Some(line), reason);
                break;
            }
        }
        paths = next;
    }
    paths.sort();
    Ok(paths)
}
