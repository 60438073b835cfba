//! The full log of a run: every line that was printed, when, and on which stream.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use crate::secrets::masked;

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output: text for people.
    Out,
    /// Standard error: progress bars, and in verbose mode the appliance's console.
    Err,
    /// Both in one.
    Both,
    /// The messages for machines.
    Json,
    /// What refit itself did.
    Refit,
}

impl Stream {
    fn tag(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
            Self::Both => "all",
            Self::Json => "msg",
            Self::Refit => "refit",
        }
    }
}

/// Writes `SECONDS STREAM| LINE`.
#[derive(Debug)]
pub(crate) struct Log {
    file: BufWriter<File>,
    start: Instant,
    echo: bool,
}

impl Log {
    /// Creates or replaces the file. `echo`: what the program prints is also written to standard output, as it is.
    pub(crate) fn create(path: &Path, echo: bool) -> io::Result<Self> {
        Ok(Self {
            file: BufWriter::new(File::create(path)?),
            start: Instant::now(),
            echo,
        })
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, stream: Stream, line: &[u8]) -> io::Result<()> {
        let at = self.start.elapsed().as_secs_f64();
        if self.echo && matches!(stream, Stream::Out | Stream::Err | Stream::Both) {
            let mut stdout = io::stdout().lock();
            // A closed log of ours must not end the conversion.
            let _ = stdout
                .write_all(line)
                .and_then(|()| stdout.write_all(b"\n"));
        }
        write!(self.file, "{at:8.2} {}| ", stream.tag())?;
        self.file.write_all(line)?;
        self.file.write_all(b"\n")
    }

    /// Says on standard output, if this is echoed there, which command is started.
    pub(crate) fn announce(&self, program: &str, args: &[OsString]) {
        if self.echo {
            let _ = writeln!(io::stdout().lock(), "{}", announcement(program, args));
        }
    }

    /// Makes everything visible to readers of the file.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// As Forklift says it.
fn announcement(program: &str, args: &[OsString]) -> String {
    let args: Vec<String> = args
        .iter()
        .map(|arg| masked(&arg.to_string_lossy()).into_owned())
        .collect();
    format!("Building command: {program} [{}]", args.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_started_is_announced_without_secrets() {
        let args = ["--root", "first", "--password", "root:password:geheim"].map(OsString::from);
        assert_eq!(
            announcement("virt-v2v", &args),
            "Building command: virt-v2v [--root first --password root:password:***]"
        );
    }

    #[test]
    fn any_bytes_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = Log::create(&path, false).unwrap();
        log.line(Stream::Out, b"[ 0.0] Opening").unwrap();
        log.line(Stream::Err, b"\xff\x00raw").unwrap();
        log.flush().unwrap();
        let text = std::fs::read(&path).unwrap();
        assert!(text.ends_with(b" err| \xff\x00raw\n"));
        assert!(String::from_utf8_lossy(&text).contains(" out| [ 0.0] Opening\n"));
    }
}
