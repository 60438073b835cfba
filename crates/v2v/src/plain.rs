//! virt-v2v's text for people, as messages: `[  12.3] STEP` and `virt-v2v: warning: TEXT`.
//!
//! Steps, warnings and remarks come on standard output, errors and everything that other programs print on standard
//! error. They are read as one stream, so that a progress bar is known to belong to the disk that was announced before
//! it. What keeps messages apart from the rest then: virt-v2v writes each at once (`message`, `warning` and `error` in
//! libguestfs-common's `mltools/tools_utils.ml`), even one of several lines, and even if another program has left a
//! line unfinished before it.

use crate::messages::{Level, Message};
use crate::output::disk_numbers;

/// Lines of one message that count.
const MAX_LINES: usize = 40;
/// Announces a disk, wherever it stands in a line.
const COPYING: &str = "Copying disk ";
/// Starts of lines that may quote what is in the guest.
const QUOTING: &[&str] = &["libguestfs: ", "guestfsd: "];

/// Turns lines into messages.
#[derive(Debug)]
pub(crate) struct Plain {
    /// `virt-v2v: `
    prefix: String,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    level: Level,
    lines: Vec<String>,
}

impl Plain {
    /// For the program of this name.
    pub(crate) fn new(program: &str) -> Self {
        Self {
            prefix: format!("{program}: "),
            pending: None,
        }
    }

    /// Takes a line; gives the messages that are complete with it. `last` is the part of the line that was written last.
    pub(crate) fn line(&mut self, line: &str, last: &str) -> Vec<Message> {
        let Some((level, text)) = self.begins(line).or_else(|| self.begins(last)) else {
            if let Some(pending) = &mut self.pending
                && pending.lines.len() < MAX_LINES
            {
                pending.lines.push(line.trim().to_owned());
            }
            return Vec::new();
        };
        let begun = Pending {
            level,
            lines: vec![text.to_owned()],
        };
        let mut done: Vec<Message> = self.end().into_iter().collect();
        match level {
            // A step is one line, and counts at once.
            Level::Message => done.push(begun.finish()),
            _ => self.pending = Some(begun),
        }
        done
    }

    /// The end of what was written at once: no message goes on.
    pub(crate) fn end(&mut self) -> Option<Message> {
        self.pending.take().map(Pending::finish)
    }

    fn begins<'l>(&self, line: &'l str) -> Option<(Level, &'l str)> {
        if let Some(text) = copying(line).or_else(|| step(line)) {
            return Some((Level::Message, text));
        }
        let rest = line.strip_prefix(&self.prefix)?;
        for (word, level) in [("error: ", Level::Error), ("warning: ", Level::Warning)] {
            if let Some(text) = rest.strip_prefix(word) {
                return Some((level, text));
            }
        }
        Some((Level::Info, rest))
    }
}

impl Pending {
    fn finish(self) -> Message {
        let lines: Vec<&str> = self
            .lines
            .iter()
            .map(String::as_str)
            .filter(|line| !line.is_empty())
            .collect();
        Message {
            level: self.level,
            text: lines.join(" "),
        }
    }
}

/// `[  12.3] Opening the source`
fn step(line: &str) -> Option<&str> {
    let (seconds, text) = line.strip_prefix('[')?.split_once("] ")?;
    // Forklift's monitor takes the last step with any number, or none.
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if text.starts_with("Finishing off") && seconds.split(['.', ' ']).all(is_number) {
        return Some(text);
    }
    // The appliance's kernel has six digits behind the point.
    let (whole, tenths) = seconds.trim().split_once('.')?;
    (tenths.len() == 1 && is_number(tenths) && is_number(whole)).then_some(text)
}

/// `Copying disk 1/2`, whatever stands before or behind it, as Forklift's monitor reads it.
pub(crate) fn copying(line: &str) -> Option<&str> {
    if QUOTING.iter().any(|start| line.starts_with(start)) {
        return None;
    }
    let text = line.get(line.rfind(COPYING)?..)?;
    disk_numbers(text).map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read in pieces that were written at once.
    fn read(pieces: &[&str]) -> Vec<(Level, String)> {
        let mut plain = Plain::new("virt-v2v");
        let mut found = Vec::new();
        let mut begun = String::new();
        for piece in pieces {
            let mut lines: Vec<&str> = piece.split('\n').collect();
            let unfinished = lines.pop().unwrap();
            for last in lines {
                let line = std::mem::take(&mut begun) + last;
                found.extend(plain.line(&line, last));
            }
            begun += unfinished;
            found.extend(plain.end());
        }
        found.into_iter().map(|m| (m.level, m.text)).collect()
    }

    #[test]
    fn steps_warnings_and_remarks() {
        let found = read(&[
            "[   0.0] Setting up the source: -i disk a.img\n",
            "libguestfs: trace: v2v: add_drive\n",
            "virt-v2v: warning: there are no virtio drivers\navailable for this version of Windows\n",
            "picked conversion module windows\n",
            "virt-v2v: This guest has virtio drivers installed.\n",
            "[  12.3] Copying disk 1/2\n",
        ]);
        let expected = [
            (Level::Message, "Setting up the source: -i disk a.img"),
            (
                Level::Warning,
                "there are no virtio drivers available for this version of Windows",
            ),
            (Level::Info, "This guest has virtio drivers installed."),
            (Level::Message, "Copying disk 1/2"),
        ];
        assert_eq!(
            found,
            expected.map(|(level, text)| (level, text.to_owned()))
        );
    }

    #[test]
    fn an_error_goes_on_over_several_lines() {
        let found = read(&[
            "virt-v2v: error: inspection could not detect the source guest\n(or physical machine).\n\n\
             Inspection field \u{2018}i_distro\u{2019} was \u{2018}unknown\u{2019}.\n",
            "\n",
            "If reporting bugs, run virt-v2v with debugging enabled\n\n  virt-v2v -v -x [...]\n",
            "rm -rf '/tmp/x'\n",
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, Level::Error);
        assert!(
            found[0]
                .1
                .ends_with("guest (or physical machine). Inspection field \u{2018}i_distro\u{2019} was \u{2018}unknown\u{2019}."),
            "{found:?}"
        );
    }

    #[test]
    fn a_message_behind_an_unfinished_line_of_another_program() {
        let found = read(&[
            "[    0.123456] systemd-ude",
            "[   3.1] Inspecting the source\n",
            "guestfsd: <= is_fi",
            "virt-v2v: warning: of two\nlines\n",
            "le\n",
        ]);
        let expected = [
            (Level::Message, "Inspecting the source"),
            (Level::Warning, "of two lines"),
        ];
        assert_eq!(
            found,
            expected.map(|(level, text)| (level, text.to_owned()))
        );
    }

    #[test]
    fn what_is_no_time_is_no_step() {
        assert_eq!(step("[    0.123456] Linux version 6.1"), None);
        assert_eq!(
            step("[   0.1] Opening the source"),
            Some("Opening the source")
        );
        assert_eq!(step("[  OK  ] Started"), None);
        assert_eq!(step("[12] x"), None);
    }

    #[test]
    fn the_contracts_monitor_asks_for_less() {
        for line in [
            "[ 110] Finishing off",
            "[] Finishing off",
            "[ 1.25] Finishing off",
        ] {
            assert_eq!(step(line), Some("Finishing off"), "{line}");
        }
        assert_eq!(step("[  OK  ] Finishing off"), None);
        for (line, text) in [
            ("[ 12.3] Copying disk 1/2", Some("Copying disk 1/2")),
            (
                "Copying disk 1/2 to /dev/block0",
                Some("Copying disk 1/2 to /dev/block0"),
            ),
            (
                " 95% [**-][ 12.3] Copying disk 2/2",
                Some("Copying disk 2/2"),
            ),
            ("Copying disk one", None),
            ("libguestfs: trace: v2v: cat = \"Copying disk 1/9\"", None),
        ] {
            assert_eq!(copying(line), text, "{line}");
        }
    }
}
