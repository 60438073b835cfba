//! Cutting a stream into lines: at `\n`, and at `\r`, which progress bars and consoles use.

/// Longer lines are cut, so that a stream without line ends cannot fill the memory.
const MAX_LINE: usize = 64 * 1024;

/// Collects bytes and gives back whole lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Adds bytes and hands each line that is now complete to `each`, without its end.
    /// Empty lines are left out.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        for &byte in bytes {
            let end = byte == b'\n' || byte == b'\r';
            if !end {
                self.rest.push(byte);
            }
            if (end && !self.rest.is_empty()) || self.rest.len() >= MAX_LINE {
                each(&self.rest);
                self.rest.clear();
            }
        }
    }

    /// The line that has no end yet.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// Hands over what is left at the end of the stream.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(&[u8])) {
        if !self.rest.is_empty() {
            each(&self.rest);
            self.rest.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |line| {
                found.push(String::from_utf8_lossy(line).into_owned())
            });
        }
        lines.finish(|line| found.push(String::from_utf8_lossy(line).into_owned()));
        found
    }

    #[test]
    fn both_ends_and_any_chunks() {
        assert_eq!(
            cut(&[b"a\r\nb", b"c\r 1%\r", b" 2%\n\nend"]),
            ["a", "bc", " 1%", " 2%", "end"]
        );
    }

    #[test]
    fn endless_lines_are_cut() {
        let long = vec![b'x'; MAX_LINE + 10];
        let found = cut(&[&long]);
        assert_eq!(
            found.iter().map(String::len).collect::<Vec<_>>(),
            [MAX_LINE, 10]
        );
    }
}
