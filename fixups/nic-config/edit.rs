//! Changing parts of text files.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::ensure;
use refit_engine::{Change, Guest, GuestPath};

/// Longest file that is edited, in bytes.
const SIZE_LIMIT: u64 = 1 << 20;
/// Where files are that may be edited. What packages bring (`/usr`) and what is gone after a
/// reboot (`/run`) is not.
const ROOMS: [&str; 3] = ["/etc", "/boot", "/var/lib/cloud/seed"];

/// Replacements of parts of a text.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Puts `text` in the place of what is at `bytes`.
    pub fn replace(&mut self, bytes: Range<usize>, text: impl Into<String>) {
        self.0.push((bytes, text.into()));
    }

    /// Puts `text` at `at`, behind what was put there before.
    pub fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    pub fn remove(&mut self, bytes: Range<usize>) {
        self.replace(bytes, "");
    }

    /// The text with all parts replaced. Of two that overlap, the first counts.
    pub fn apply(mut self, text: &str) -> String {
        // What is put in comes before what is taken out at the same place.
        self.0.sort_by_key(|(bytes, _)| (bytes.start, bytes.end));
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for (bytes, new) in self.0 {
            let Some(kept) = text.get(at..bytes.start) else {
                continue;
            };
            out.push_str(kept);
            out.push_str(&new);
            at = bytes.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        out
    }
}

/// The start of the line that `at` is in.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The end of the line that `at` is in, behind its newline.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..]
        .find('\n')
        .map_or(text.len(), |newline| at + newline + 1)
}

/// What the line at `at` is indented with.
pub(super) fn indent(text: &str, at: usize) -> &str {
    let line = &text[line_start(text, at)..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// A file that is edited.
#[derive(Debug)]
struct Text {
    /// `None` of a new file.
    original: Option<String>,
    now: String,
    /// Where it is to be instead.
    moved: Option<GuestPath>,
    removed: bool,
}

/// The files as they will be.
pub(super) struct Files<'g, 'b> {
    pub guest: &'g Guest<'b>,
    texts: BTreeMap<GuestPath, Text>,
    pub warnings: Vec<String>,
}

impl<'g, 'b> Files<'g, 'b> {
    pub fn new(guest: &'g Guest<'b>) -> Self {
        Self {
            guest,
            texts: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    /// The text of a file as it will be; `None` if there is none, or it is not to be edited.
    pub fn text(&mut self, path: &GuestPath) -> anyhow::Result<Option<String>> {
        let Some(real) = self.guest.resolve(path)? else {
            return Ok(None);
        };
        if let Some(text) = self.texts.get(&real) {
            return Ok(Some(text.now.clone()));
        }
        let stat = self.guest.stat(&real)?;
        if !may_edit(&real) || stat.is_none_or(|stat| stat.size > SIZE_LIMIT) {
            return Ok(None);
        }
        let Some(content) = self.guest.read(&real)? else {
            return Ok(None);
        };
        // What is no text has no setting that could be found with certainty.
        let Ok(original) = String::from_utf8(content) else {
            return Ok(None);
        };
        let now = original.clone();
        let text = Text {
            original: Some(original),
            now: now.clone(),
            moved: None,
            removed: false,
        };
        self.texts.insert(real, text);
        Ok(Some(now))
    }

    /// As [`text`](Self::text), but a file that is not there is begun.
    ///
    /// # Errors
    /// Also if it is there, and not to be edited.
    pub fn text_or_new(&mut self, path: &GuestPath) -> anyhow::Result<String> {
        if let Some(text) = self.text(path)? {
            return Ok(text);
        }
        ensure!(!self.guest.exists(path)?, "{path} is not to be edited");
        let real = self.guest.resolve(path)?;
        let text = Text {
            original: None,
            now: String::new(),
            moved: None,
            removed: false,
        };
        self.texts
            .insert(real.unwrap_or_else(|| path.clone()), text);
        Ok(String::new())
    }

    /// Takes away a file whose [`text`](Self::text) was asked for.
    pub fn remove(&mut self, path: &GuestPath) -> anyhow::Result<()> {
        let real = self.guest.resolve(path)?;
        if let Some(text) = real.and_then(|real| self.texts.get_mut(&real)) {
            text.removed = true;
        }
        Ok(())
    }

    /// Edits a file whose [`text`](Self::text) was asked for.
    pub fn edit(&mut self, path: &GuestPath, edits: Edits) -> anyhow::Result<()> {
        let real = self.guest.resolve(path)?;
        if let Some(text) = real.and_then(|real| self.texts.get_mut(&real)) {
            text.now = edits.apply(&text.now);
        }
        Ok(())
    }

    /// Gives a file another name in its directory, unless that is taken.
    pub fn rename(&mut self, path: &GuestPath, name: &str) -> anyhow::Result<()> {
        let Some(real) = self.guest.resolve_parent(path)? else {
            return Ok(());
        };
        let new = real.parent().unwrap_or_else(GuestPath::root).join(name);
        if self.guest.exists(&new)? {
            self.warnings
                .push(format!("{path} should be called {name}, but {new} exists"));
            return Ok(());
        }
        if let Some(text) = self.texts.get_mut(&real) {
            text.moved = Some(new);
        }
        Ok(())
    }

    /// What makes the guest's files so.
    pub fn into_changes(self) -> anyhow::Result<Vec<Change>> {
        let mut changes = Vec::new();
        for (path, text) in self.texts {
            if text.removed {
                changes.push(Change::Remove { path });
                continue;
            }
            let Some(new) = text.moved else {
                if text.original.as_ref() != Some(&text.now) {
                    let content = text.now.into_bytes();
                    changes.push(Change::Write {
                        path,
                        content,
                        mode: None,
                    });
                }
                continue;
            };
            let mode = self.guest.stat(&path)?.map(|stat| stat.mode);
            changes.push(Change::Remove { path });
            changes.push(Change::Write {
                path: new,
                content: text.now.into_bytes(),
                mode,
            });
        }
        Ok(changes)
    }
}

pub(super) fn may_edit(path: &GuestPath) -> bool {
    ROOMS
        .iter()
        .any(|room| path.starts_with(&GuestPath::new(room)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_come_in_any_order() {
        let mut edits = Edits::default();
        edits.remove(5..6);
        edits.insert(5, "Z");
        edits.insert(3, "X");
        edits.insert(3, "Y");
        edits.remove(4..5);
        edits.replace(0..1, "AA");
        edits.replace(0..2, "lost");
        assert_eq!(edits.apply("abcdef"), "AAbcXYdZ");
        assert_eq!(Edits::default().apply("a"), "a");
    }

    #[test]
    fn lines() {
        let text = "a\n\t  b\nc";
        assert_eq!((line_start(text, 4), line_end(text, 4)), (2, 7));
        assert_eq!(indent(text, 5), "\t  ");
        assert_eq!(line_end(text, 7), 8);
    }
}
