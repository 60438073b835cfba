//! The messages that virt-v2v writes for machines: one JSON object per line (virt-v2v(1),
//! "MACHINE READABLE OUTPUT").
//!
//! They go to a file of their own (`--machine-readable=file:PATH`): nothing has to be told apart
//! from the text for people, and what was said before a crash is still there.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

use crate::lines::Lines;

/// What kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// A step has begun.
    Message,
    /// For information.
    Info,
    /// A warning.
    Warning,
    /// The error that ends the run.
    Error,
    /// Anything that later versions may add.
    #[serde(other)]
    Other,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Message {
    #[serde(rename = "type")]
    pub(crate) level: Level,
    #[serde(rename = "message")]
    pub(crate) text: String,
}

impl Message {
    /// Reads one line; `None` if it is not a message.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

/// Follows the file as it grows.
#[derive(Debug)]
pub(crate) struct Follower {
    file: File,
    lines: Lines,
}

impl Follower {
    /// Opens the file, which must exist.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            lines: Lines::default(),
        })
    }

    /// Whole lines that were added since the last call.
    pub(crate) fn poll(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        let mut buffer = [0u8; 16 * 1024];
        loop {
            let count = self.file.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                return Ok(found);
            };
            self.lines.push(bytes, |line| found.push(line.to_vec()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn follows_a_growing_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut follower = Follower::open(file.path()).unwrap();
        assert!(follower.poll().unwrap().is_empty());
        file.write_all(b"{ \"message\": \"Opening the sou").unwrap();
        assert!(follower.poll().unwrap().is_empty(), "half a line");
        file.write_all(b"rce\", \"timestamp\": \"x\", \"type\": \"message\" }\n")
            .unwrap();
        let lines = follower.poll().unwrap();
        assert_eq!(
            Message::parse(&lines[0]).unwrap(),
            Message {
                level: Level::Message,
                text: "Opening the source".into()
            }
        );
    }

    #[test]
    fn junk_is_not_a_message() {
        for junk in [
            &b"{"[..],
            b"[]",
            b"\xff\xfe",
            b"{\"type\":\"info\"}",
            b"null",
        ] {
            assert_eq!(Message::parse(junk), None);
        }
        let new = Message::parse(br#"{"type":"novelty","message":"x"}"#).unwrap();
        assert_eq!(new.level, Level::Other);
    }
}
