//! Setting shell variables in `ifcfg-*` files.

use crate::network::sources::ifcfg::{Assignment, assignments};
use crate::nic_config::edit::{Edits, line_end, line_start};

/// A file of assignments that is edited.
pub(super) struct Shell<'t> {
    text: &'t str,
    all: Vec<Assignment>,
    edits: Edits,
    /// What comes at the end of the file.
    tail: String,
}

impl<'t> Shell<'t> {
    pub fn new(text: &'t str) -> Self {
        Self {
            text,
            all: assignments(text),
            edits: Edits::default(),
            tail: String::new(),
        }
    }

    /// The value that `name` has in the end.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut own = self.all.iter().filter(|one| one.name == name);
        let value = own.next_back()?.value.as_deref()?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// The names of all variables that satisfy `wanted`.
    pub fn names(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for one in self.all.iter().filter(|one| wanted(&one.name)) {
            if !names.contains(&one.name) {
                names.push(one.name.clone());
            }
        }
        names
    }

    /// Gives `name` a value that needs no quotes; where it has one already, that is replaced, with
    /// its quotes. Else it comes behind the last line of `after`, or of the file.
    pub fn set(&mut self, name: &str, value: &str, after: &str) {
        let own = self.all.iter().filter(|one| one.name == name);
        let mut own = own.collect::<Vec<_>>().into_iter().rev();
        if let Some(last) = own.next() {
            let written = &self.text[last.bytes.clone()];
            let quote = match written.chars().next() {
                Some(quote @ ('"' | '\'')) => quote.to_string(),
                _ if value.contains(' ') => "\"".to_owned(),
                _ => String::new(),
            };
            self.edits
                .replace(last.bytes.clone(), format!("{quote}{value}{quote}"));
            for other in own {
                self.edits.remove(line(self.text, other));
            }
            return;
        }
        let anchor = self.all.iter().rev().find(|one| one.name == after);
        let quote = match self
            .all
            .iter()
            .find_map(|one| self.text[one.bytes.clone()].chars().next())
        {
            Some(quote @ ('"' | '\'')) => quote.to_string(),
            _ if value.contains(' ') => "\"".to_owned(),
            _ => String::new(),
        };
        let new = format!("{name}={quote}{value}{quote}\n");
        match anchor.map(|anchor| line_end(self.text, anchor.bytes.end)) {
            Some(at) if self.text[..at].ends_with('\n') => self.edits.insert(at, new),
            _ => self.tail.push_str(&new),
        }
    }

    pub fn unset(&mut self, name: &str) {
        for one in self.all.iter().filter(|one| one.name == name) {
            self.edits.remove(line(self.text, one));
        }
    }

    pub fn finish(mut self) -> Edits {
        if !self.tail.is_empty() {
            let gap = if self.text.is_empty() || self.text.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            self.edits
                .insert(self.text.len(), format!("{gap}{}", self.tail));
        }
        self.edits
    }
}

/// An assignment with all of its line, if there is nothing else in that.
fn line(text: &str, one: &Assignment) -> std::ops::Range<usize> {
    let (start, end) = (line_start(text, one.start), line_end(text, one.bytes.end));
    let before = text[start..one.start].trim();
    let after = text[one.bytes.end..end].trim();
    if (before.is_empty() || before == "export") && (after.is_empty() || after.starts_with('#')) {
        start..end
    } else {
        one.start..one.bytes.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_set_where_they_are() {
        let text = "A='1'\nB=2 # c\nexport C=3\nA=\"4\"\nD=5 E=6\n";
        let mut shell = Shell::new(text);
        assert_eq!(shell.get("A"), Some("4"));
        shell.set("A", "7", "");
        shell.set("F", "8", "B");
        shell.set("G", "9 9", "");
        shell.unset("C");
        shell.unset("D");
        assert_eq!(
            shell.finish().apply(text),
            "B=2 # c\nF='8'\nA=\"7\"\n E=6\nG='9 9'\n"
        );
    }
}
