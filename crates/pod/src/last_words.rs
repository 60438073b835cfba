//! The last line of the log, which Kubernetes shows, too, if it can.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// Kubernetes keeps no more of a termination message, in bytes.
const LIMIT: usize = 4096;

/// Says on standard error and in the termination message why it ends.
pub(crate) fn say(text: &str, termination_log: &Path) {
    let _ = writeln!(std::io::stderr(), "{text}");
    // Where it is not mounted nobody reads it.
    let file = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(termination_log);
    if let Ok(mut file) = file
        && let Err(error) = file.write_all(shortened(text).as_bytes())
    {
        tracing::debug!("writing {}: {error}", termination_log.display());
    }
}

/// One line without what controls a terminal.
pub(crate) fn line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // Libraries that include their cause in their own words are chained all the same.
        if !text.ends_with(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_no_longer_than_is_kept_and_no_file_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("termination-log");
        say("x", &log);
        assert!(!log.exists());
        std::fs::write(&log, "old and longer").unwrap();
        say(&"ä".repeat(3000), &log);
        assert_eq!(std::fs::read(&log).unwrap().len(), LIMIT);
        say("short", &log);
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "short");
    }

    #[test]
    fn causes_are_said_once() {
        let error = anyhow::Error::msg("no\nspace")
            .context("writing")
            .context("writing");
        assert_eq!(line(&error), "writing: no space");
        let error = anyhow::Error::msg("b").context("a: b");
        assert_eq!(line(&error), "a: b");
    }
}
