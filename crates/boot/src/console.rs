//! From the bytes of a serial console to lines of plain text. Pure, and bounded whatever comes in:
//! a guest may send anything, without end.

use std::collections::VecDeque;

/// Lines longer than this are broken.
const MAX_LINE: usize = 4096;
/// Lines kept to look back at.
const MAX_LINES: usize = 500;
/// An escape sequence longer than this is none.
const MAX_SEQUENCE: usize = 512;

/// Where in an escape sequence (ECMA-48) the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte, as in `ESC ( B`.
    Intermediate,
    /// In a control sequence, `ESC [`, after so many bytes.
    Control(usize),
    /// In a control string, `ESC ]` and its like, which BEL or `ESC \` ends.
    String(usize),
    /// After ESC in a control string.
    StringEscape(usize),
}

/// A console: the line being written, and those before it.
#[derive(Debug)]
pub(crate) struct Console {
    state: State,
    line: Vec<u8>,
    lines: VecDeque<String>,
    /// Lines completed since the beginning, those forgotten included.
    completed: u64,
    /// A carriage return was seen; what follows shows whether it ended the line.
    returned: bool,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            state: State::Text,
            line: Vec::new(),
            lines: VecDeque::new(),
            completed: 0,
            returned: false,
        }
    }
}

impl Console {
    /// Takes what the guest sent.
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.take(byte);
        }
    }

    /// The unfinished last line: where a prompt stands.
    pub fn partial(&self) -> String {
        plain(&self.line)
    }

    /// Lines completed since the beginning: a position for [`since`](Self::since).
    pub fn position(&self) -> u64 {
        self.completed
    }

    /// The lines completed after a position, as far as they are still known.
    pub fn since(&self, position: u64) -> impl DoubleEndedIterator<Item = &str> {
        let known = self.lines.len() as u64;
        let wanted = self.completed.saturating_sub(position).min(known);
        self.lines
            .range((known - wanted) as usize..)
            .map(String::as_str)
    }

    /// The last `count` lines, the unfinished one included, without empty and repeated ones.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let all = self.lines.iter().cloned().chain([self.partial()]);
        let mut told: Vec<String> = all.filter(|line| !line.trim().is_empty()).collect();
        told.dedup();
        told.split_off(told.len().saturating_sub(count))
    }

    fn take(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::StringEscape(_), b'\\') => State::Text,
            (State::Text | State::Escape | State::Intermediate | State::Control(_), 0x1b) => {
                State::Escape
            }
            (State::Text, _) => {
                self.text(byte);
                State::Text
            }
            (State::Escape, b'[') => State::Control(0),
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::String(0),
            (State::Escape, 0x20..=0x2f) => State::Intermediate,
            (State::Escape | State::Intermediate, _) => State::Text,
            (State::Control(_), 0x40..=0x7e) => {
                // Moving the cursor (H, f, A to G, d) or clearing the screen (J) starts something new.
                if matches!(byte, b'A'..=b'H' | b'J' | b'd' | b'f') {
                    self.break_line();
                }
                State::Text
            }
            (State::Control(length), _) if length < MAX_SEQUENCE => State::Control(length + 1),
            (State::String(length) | State::StringEscape(length), 0x1b) => {
                State::StringEscape(length)
            }
            (State::String(_) | State::StringEscape(_), 0x07) => State::Text,
            (State::String(length) | State::StringEscape(length), _) if length < MAX_SEQUENCE => {
                State::String(length + 1)
            }
            (State::Control(_) | State::String(_) | State::StringEscape(_), _) => State::Text,
        };
    }

    fn text(&mut self, byte: u8) {
        let returned = std::mem::take(&mut self.returned);
        match byte {
            b'\n' => self.end_line(),
            b'\r' => self.returned = true,
            0x08 | 0x7f => drop(self.line.pop()),
            b'\t' => self.line.push(b' '),
            0..=0x1f => {}
            _ => {
                if returned {
                    self.break_line(); // it would have been overwritten
                }
                self.line.push(byte);
            }
        }
        if self.line.len() >= MAX_LINE {
            self.end_line();
        }
    }

    fn break_line(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        if self.lines.len() == MAX_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(plain(&self.line));
        self.line.clear();
        self.completed += 1;
    }
}

/// Text without control characters; U+0080 to U+009F are escape sequences to some terminals.
fn plain(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (Vec<String>, String) {
        let mut console = Console::default();
        console.feed(bytes);
        (
            console.since(0).map(str::to_owned).collect(),
            console.partial(),
        )
    }

    #[test]
    fn control_sequences_vanish() {
        let table: [(&[u8], &[&str], &str); 9] = [
            (b"plain\r\nweb1 login: ", &["plain"], "web1 login: "),
            (
                b"\x1b[0;1;31mFailed\x1b[0m to start\n",
                &["Failed to start"],
                "",
            ),
            (b"\x1b]0;title\x07after", &[], "after"),
            (b"\x1b]8;;http://x\x1b\\link", &[], "link"),
            (b"\x1b(Btext\x1b=", &[], "text"),
            (b"menu\x1b[5;1Hentry", &["menu"], "entry"),
            (b"50%\r100%", &["50%"], "100%"),
            (b"abc\x08\x08d\te\x00\x07", &[], "ad e"),
            ("a\u{9b}31mb".as_bytes(), &[], "a31mb"),
        ];
        for (bytes, lines, partial) in table {
            let expected = (
                lines.iter().map(|line| (*line).to_owned()).collect(),
                partial.to_owned(),
            );
            assert_eq!(
                read(bytes),
                expected,
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn bytes_one_by_one_are_the_same() {
        let bytes = b"one\r\n\x1b[31mtwo\x1b[0m\r\nthree";
        let mut console = Console::default();
        for byte in bytes {
            console.feed(&[*byte]);
        }
        assert_eq!(console.since(0).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(console.partial(), "three");
    }

    #[test]
    fn nothing_grows_without_end() {
        let mut console = Console::default();
        for _ in 0..200 {
            console.feed(&[b'x'; 64 * 1024]);
        }
        assert_eq!(console.lines.len(), MAX_LINES);
        assert!(console.since(0).all(|line| line.len() <= MAX_LINE));
        // A sequence without end is given up, so that a guest cannot hide a panic behind it.
        let mut console = Console::default();
        console.feed(b"\x1b]");
        console.feed(&[b'y'; 2 * MAX_SEQUENCE]);
        console.feed(b"\nKernel panic\n");
        assert_eq!(console.since(0).last(), Some("Kernel panic"));
    }

    #[test]
    fn positions_survive_forgetting() {
        let mut console = Console::default();
        console.feed("old\n".repeat(MAX_LINES + 5).as_bytes());
        let position = console.position();
        console.feed(b"new\n\nnew\npart");
        assert_eq!(
            console.since(position).collect::<Vec<_>>(),
            ["new", "", "new"]
        );
        assert_eq!(console.since(0).count(), MAX_LINES);
        assert_eq!(console.tail(3), ["old", "new", "part"]);
    }
}
