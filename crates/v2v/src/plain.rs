//! virt-v2v's text for people, as messages: `[  12.3] STEP` and `virt-v2v: warning: TEXT`.
//!
//! Warnings, errors and remarks are wrapped to the width of a terminal, so that a message goes on until something
//! else begins (`wrap` and `message` in libguestfs-common's `mltools/tools_utils.ml`).

use crate::log::Stream;
use crate::messages::{Level, Message};

/// Lines of one message that count.
const MAX_LINES: usize = 40;
/// What follows an error in every case.
const REPORTING: &str = "If reporting bugs, ";
/// Starts of lines that other programs and virt-v2v's own trace print.
const OTHERS: &[&str] = &[
    "libguestfs: ",
    "nbdkit: ",
    "nbdkit[",
    "nbdcopy: ",
    "guestfsd: ",
    "qemu-",
    "rm -rf ",
    "info: ",
];

/// Turns lines into messages. The two streams are kept apart.
#[derive(Debug)]
pub(crate) struct Plain {
    /// `virt-v2v: `
    prefix: String,
    out: Option<Pending>,
    err: Option<Pending>,
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
            out: None,
            err: None,
        }
    }

    /// Takes a line; gives the messages that are complete with it.
    pub(crate) fn line(&mut self, stream: Stream, line: &str) -> Vec<Message> {
        let mut done = Vec::new();
        let line = line.rsplit('\r').next().unwrap_or_default();
        let begun = self.begins(line);
        let pending = match stream {
            Stream::Err => &mut self.err,
            _ => &mut self.out,
        };
        match begun {
            Some((Level::Message, text)) => {
                done.extend(pending.take().map(Pending::finish));
                // A step is one line, and counts at once.
                let text = text.to_owned();
                done.push(Message {
                    level: Level::Message,
                    text,
                });
            }
            Some((level, text)) => {
                done.extend(pending.take().map(Pending::finish));
                *pending = Some(Pending {
                    level,
                    lines: vec![text.to_owned()],
                });
            }
            None => {
                let is_over = line.starts_with(REPORTING)
                    || OTHERS.iter().any(|start| line.starts_with(start));
                if is_over {
                    done.extend(pending.take().map(Pending::finish));
                } else if let Some(pending) = pending
                    && pending.lines.len() < MAX_LINES
                {
                    pending.lines.push(line.trim().to_owned());
                }
            }
        }
        done
    }

    /// What was begun, at the end of the output.
    pub(crate) fn finish(&mut self) -> Vec<Message> {
        [self.out.take(), self.err.take()]
            .into_iter()
            .flatten()
            .map(Pending::finish)
            .collect()
    }

    fn begins<'l>(&self, line: &'l str) -> Option<(Level, &'l str)> {
        if let Some(text) = step(line) {
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
    // The appliance's kernel has six digits behind the point.
    let (whole, tenths) = seconds.trim().split_once('.')?;
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    (tenths.len() == 1 && is_number(tenths) && is_number(whole)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(Stream, &str)]) -> Vec<(Level, String)> {
        let mut plain = Plain::new("virt-v2v");
        let mut found = Vec::new();
        for (stream, line) in lines {
            found.extend(plain.line(*stream, line));
        }
        found.extend(plain.finish());
        found.into_iter().map(|m| (m.level, m.text)).collect()
    }

    #[test]
    fn steps_warnings_and_remarks() {
        let found = read(&[
            (Stream::Out, "[   0.0] Setting up the source: -i disk a.img"),
            (Stream::Err, "libguestfs: trace: v2v: add_drive"),
            (
                Stream::Out,
                "virt-v2v: warning: there are no virtio drivers",
            ),
            (Stream::Out, "available for this version of Windows"),
            (
                Stream::Out,
                "virt-v2v: This guest has virtio drivers installed.",
            ),
            (Stream::Out, "[  12.3] Copying disk 1/2"),
        ]);
        assert_eq!(
            found,
            [
                (
                    Level::Message,
                    "Setting up the source: -i disk a.img".to_owned()
                ),
                (
                    Level::Warning,
                    "there are no virtio drivers available for this version of Windows".to_owned()
                ),
                (
                    Level::Info,
                    "This guest has virtio drivers installed.".to_owned()
                ),
                (Level::Message, "Copying disk 1/2".to_owned()),
            ]
        );
    }

    #[test]
    fn an_error_goes_on_over_several_lines() {
        let found = read(&[
            (
                Stream::Err,
                "virt-v2v: error: inspection could not detect the source guest",
            ),
            (Stream::Err, "(or physical machine)."),
            (Stream::Err, ""),
            (
                Stream::Err,
                "Inspection field \u{2018}i_distro\u{2019} was \u{2018}unknown\u{2019}.",
            ),
            (
                Stream::Err,
                "If reporting bugs, run virt-v2v with debugging enabled",
            ),
            (Stream::Err, "  virt-v2v -v -x [...]"),
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, Level::Error);
        assert!(
            found[0]
                .1
                .contains("guest (or physical machine). Inspection field")
        );
        assert!(!found[0].1.contains("reporting"));
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
}
