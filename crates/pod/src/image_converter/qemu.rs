//! `qemu-img convert`, with its progress in the log.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// How much of what qemu-img says is kept for the message, in bytes.
const TAIL: usize = 2048;
/// A line is not longer than this, whatever comes.
const LINE_LIMIT: u64 = 16 << 10;

/// Runs `qemu-img convert -p -f FORMAT -O FORMAT SOURCE TARGET`. Its progress is logged at each full percent.
///
/// # Errors
/// If it cannot be run or fails; the message has what it said.
pub fn convert(source: (&Path, &str), target: (&Path, &str)) -> anyhow::Result<()> {
    let mut command = Command::new("qemu-img");
    command
        .args(["convert", "-p", "-f", source.1, "-O", target.1])
        .args([source.0, target.0])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    tracing::info!("running {command:?}");
    let mut child = command
        .spawn()
        .context("starting qemu-img (is it installed?)")?;
    let errors = child.stderr.take().map(|errors| {
        std::thread::spawn(move || {
            let mut tail = Vec::new();
            each_line(errors, |line| {
                tracing::warn!("{line}");
                tail.extend_from_slice(line.as_bytes());
                tail.push(b'\n');
                tail.drain(..tail.len().saturating_sub(TAIL));
            });
            String::from_utf8_lossy(&tail).into_owned()
        })
    });
    if let Some(output) = child.stdout.take() {
        let mut told = None;
        each_line(output, |line| match percent(line) {
            Some(percent) if told == Some(percent) => {}
            Some(percent) => {
                told = Some(percent);
                tracing::info!(
                    "{} to {}: {percent} %",
                    source.0.display(),
                    target.0.display()
                );
            }
            None => tracing::info!("{line}"),
        });
    }
    let status = child.wait().context("waiting for qemu-img")?;
    if status.success() {
        return Ok(());
    }
    let said = errors
        .and_then(|thread| thread.join().ok())
        .unwrap_or_default();
    let said = said.trim().replace('\n', "; ");
    bail!(
        "converting {} to {} ({status}): {said}",
        source.0.display(),
        target.0.display()
    )
}

/// Lines end in a line feed or, as progress does, a carriage return.
fn each_line(stream: impl Read, mut line: impl FnMut(&str)) {
    let mut stream = BufReader::new(stream);
    let mut text = Vec::new();
    while let Ok(chunk) = stream.fill_buf() {
        if chunk.is_empty() {
            break;
        }
        let end = chunk.iter().position(|byte| b"\r\n".contains(byte));
        let used = end.map_or(chunk.len(), |end| end + 1);
        text.extend_from_slice(&chunk[..end.unwrap_or(used)]);
        stream.consume(used);
        if end.is_some() || text.len() as u64 > LINE_LIMIT {
            say(&mut text, &mut line);
        }
    }
    say(&mut text, &mut line);
}

fn say(text: &mut Vec<u8>, line: &mut impl FnMut(&str)) {
    let shown = String::from_utf8_lossy(text);
    if !shown.trim().is_empty() {
        line(shown.trim());
    }
    text.clear();
}

/// Of `(12.34/100%)`: 12.
fn percent(line: &str) -> Option<u8> {
    let (number, rest) = line.strip_prefix('(')?.split_once('/')?;
    let number: f64 = number.parse().ok()?;
    let is_percent = rest == "100%)" && (0.0..=100.0).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and 100"
    )]
    is_percent.then_some(number as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_from_text() {
        let output = "    (0.00/100%)\r    (47.93/100%)\rqemu-img: note\n\n    (100.00/100%)\r\n    (101.00/100%)\r(x";
        let mut found = Vec::new();
        each_line(output.as_bytes(), |line| {
            found.push((percent(line), line.to_owned()))
        });
        let expected = [
            (Some(0), "(0.00/100%)"),
            (Some(47), "(47.93/100%)"),
            (None, "qemu-img: note"),
            (Some(100), "(100.00/100%)"),
            (None, "(101.00/100%)"),
            (None, "(x"),
        ];
        assert_eq!(
            found,
            expected.map(|(percent, line)| (percent, line.to_owned()))
        );
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lengths = Vec::new();
        each_line(std::io::repeat(b'x').take(100_000), |line| {
            lengths.push(line.len())
        });
        assert_eq!(lengths.iter().sum::<usize>(), 100_000);
        assert!(lengths.iter().all(|length| *length < 40_000), "{lengths:?}");
    }
}
