//! qemu-img, on images whose format is known.
//!
//! What it may use while it reads the metadata of an image that nobody vouches for ([`info`], [`check`]) is
//! limited, in address space and processor time.

use std::{
    fmt,
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::{
    io::Errno,
    process::{Pid, Resource, Rlimit, Signal, prlimit},
};
use serde::Deserialize;

use crate::{Format, ImageError, Result};

/// More than any `qemu-img info` of one image; a qcow2 image with 65536 snapshots stays below.
const INFO_LIMIT: u64 = 64 << 20;

/// What reading an image's description may use; more is needed only for images that are made to exhaust
/// the host.
const INFO_LIMITS: Limits = Limits {
    memory: 2 << 30,
    processor: 120,
};
/// What checking its metadata may use: the reference counts of a qcow2 image of 64 TiB take 2 GiB.
const CHECK_LIMITS: Limits = Limits {
    memory: 4 << 30,
    processor: 600,
};

/// How much of a failed command's standard error goes into the message, in bytes.
const STDERR_TAIL: u64 = 2048;

/// What `qemu-img info --output=json` says of one image (QAPI type `ImageInfo`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Info {
    /// Size of the disk as the guest sees it, in bytes.
    pub virtual_size: u64,
    /// Allocation unit in bytes, for formats that have one.
    pub cluster_size: Option<u64>,
    /// The backing file's name as the image has it.
    pub backing_filename: Option<String>,
    /// The name that qemu would open.
    pub full_backing_filename: Option<String>,
    /// The backing file's format, if the image records it.
    pub backing_filename_format: Option<String>,
    /// Whether qemu encrypts it.
    #[serde(default)]
    pub encrypted: bool,
    #[serde(default)]
    snapshots: Vec<serde::de::IgnoredAny>,
    format_specific: Option<FormatSpecific>,
}

#[derive(Debug, Deserialize)]
struct FormatSpecific {
    data: FormatData,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct FormatData {
    create_type: Option<String>,
}

impl Info {
    /// Whether it has snapshots, so that clusters may be in use more than once.
    pub fn has_snapshots(&self) -> bool {
        !self.snapshots.is_empty()
    }

    /// The `createType` of a VMDK image.
    pub(crate) fn create_type(&self) -> Option<&str> {
        self.format_specific.as_ref()?.data.create_type.as_deref()
    }
}

/// One range of `qemu-img map --output=json` (QAPI type `MapEntry`).
#[derive(Debug, Deserialize)]
pub struct Extent {
    /// First byte, as the guest sees the disk.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// 0 for the image itself, 1 for its backing file, ...
    pub depth: u64,
    /// Whether it reads as anything but zeros that are not stored.
    pub data: bool,
    /// Since qemu 8.2: stored compressed, so that writing allocates anew.
    #[serde(default)]
    pub compressed: bool,
}

/// What `qemu-img check` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Consistent, or a format without a check.
    Sound,
    /// Clusters that nothing refers to: wasted space, no danger.
    Leaks,
}

/// Metadata of the image at `path`, without opening its backing file.
///
/// # Errors
///
/// [`ImageError::QemuImgMissing`]; [`ImageError::InUse`] if a writer has it; [`ImageError::Qemu`] if qemu cannot read
/// it, or not within the limits.
pub fn info(path: &Path, format: Format) -> Result<Info> {
    let mut call = Call::new("info", path).limited(INFO_LIMITS);
    call.command
        .args(["--output=json", "-f", format.as_str()])
        .arg(path);
    let mut text = Vec::new();
    call.run(|output| output.take(INFO_LIMIT).read_to_end(&mut text).map(|_| None))?;
    serde_json::from_slice(&text).map_err(|error| ImageError::QemuOutput {
        path: path.into(),
        action: "info",
        detail: error.to_string(),
    })
}

/// Calls `each` for every range of the image and its backing files, in order. The output of a large
/// fragmented image is large, so it is read line by line: qemu-img prints one range on a line.
///
/// # Errors
///
/// As for [`info`].
pub fn map(path: &Path, format: Format, mut each: impl FnMut(Extent)) -> Result<()> {
    let mut call = Call::new("map", path);
    call.command
        .args(["--output=json", "-f", format.as_str()])
        .arg(path);
    call.run(|output| {
        for line in BufReader::new(output).lines() {
            let line = line?;
            let entry = line.trim_matches(['[', ']', ',', ' ']);
            if entry.is_empty() {
                continue;
            }
            match serde_json::from_str(entry) {
                Ok(extent) => each(extent),
                Err(error) => return Ok(Some(error.to_string())),
            }
        }
        Ok(None)
    })
}

/// Checks the metadata of the image at `path`. Formats without a check are sound.
///
/// # Errors
///
/// [`ImageError::Damaged`] if data may be lost or wrong; otherwise as for [`info`].
pub fn check(path: &Path, format: Format) -> Result<Check> {
    // qemu-img exits with 63 for formats that cannot be checked.
    if matches!(format, Format::Raw | Format::Vpc) {
        return Ok(Check::Sound);
    }
    let mut call = Call::new("check", path).limited(CHECK_LIMITS);
    call.command.args(["-q", "-f", format.as_str()]).arg(path);
    let (status, stderr) = call.finish(discard)?;
    // qemu-img(1): 0 consistent, 1 not completed, 2 corrupted, 3 leaked clusters only.
    match status.code() {
        Some(0 | 63) => Ok(Check::Sound),
        Some(3) => Ok(Check::Leaks),
        Some(1 | 2) if !is_lock_failure(&stderr) => Err(ImageError::Damaged {
            path: path.into(),
            // One line for each damaged cluster: the first will do.
            detail: stderr.split("; ").next().unwrap_or_default().to_owned(),
        }),
        _ => Err(call.failed(status, stderr)),
    }
}

/// Frees the leaked clusters of a qcow2 image; nothing else is repaired.
///
/// # Errors
///
/// [`ImageError::Qemu`] if qemu-img fails.
pub fn repair_leaks(path: &Path) -> Result<()> {
    let mut call = Call::new("check", path);
    call.command
        .args(["-q", "-f", "qcow2", "-r", "leaks"])
        .arg(path);
    call.run(discard)
}

/// Creates a qcow2 overlay over `base`, which must be an absolute path: qemu takes it literally then,
/// whatever characters it has. It has the size of `base`, or `size` in bytes.
///
/// # Errors
///
/// [`ImageError::QemuImgMissing`]; [`ImageError::Qemu`] if it cannot be written.
pub fn create(overlay: &Path, base: &Path, format: Format, size: Option<u64>) -> Result<()> {
    let mut call = Call::new("create", overlay);
    call.command
        .args(["-q", "-f", "qcow2", "-F", format.as_str(), "-b"])
        .arg(base)
        .arg(overlay)
        .args(size.map(|size| size.to_string()));
    call.run(discard)
}

/// Creates an empty qcow2 image of `size` bytes that names no other file.
///
/// # Errors
///
/// As for [`create`].
pub fn create_blank(path: &Path, size: u64) -> Result<()> {
    let mut call = Call::new("create", path);
    call.command
        .args(["-q", "-f", "qcow2"])
        .arg(path)
        .arg(size.to_string());
    call.run(discard)
}

/// Copies what is in the overlay into its backing file, and leaves the overlay as it is (`-d`), so
/// that this can be done again. The child inherits `lock` as its standard input, and so holds it
/// for as long as it writes, even if refit is killed.
///
/// # Errors
///
/// [`ImageError::Qemu`] if it was not copied completely.
pub fn commit(overlay: &Path, lock: &File) -> Result<()> {
    let mut call = Call::new("commit", overlay);
    let lock = lock
        .try_clone()
        .map_err(ImageError::io(overlay, "handing the lock on"))?;
    call.command
        .args(["-q", "-f", "qcow2", "-d"])
        .arg(overlay)
        .stdin(lock);
    call.run(discard)
}

fn discard(output: &mut dyn Read) -> std::io::Result<Option<String>> {
    std::io::copy(output, &mut std::io::sink()).map(|_| None)
}

/// Whether qemu could not open an image because another process uses it (block/file-posix.c).
fn is_lock_failure(stderr: &str) -> bool {
    stderr.contains("Failed to get ") && stderr.contains(" lock")
}

/// What a process may use.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Bytes of address space.
    memory: u64,
    /// Seconds of processor time.
    processor: u64,
}

impl Limits {
    /// Limits a child that has just been started. One that has ended already needs none.
    fn apply(self, child: &Child) -> std::io::Result<()> {
        for (resource, value) in [(Resource::As, self.memory), (Resource::Cpu, self.processor)] {
            let limit = Rlimit {
                current: Some(value),
                maximum: Some(value),
            };
            match prlimit(Some(Pid::from_child(child)), resource, limit) {
                Ok(_) | Err(Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (memory, processor) = (self.memory >> 30, self.processor);
        write!(
            f,
            "it may use {memory} GiB of memory and {processor} s of processor time"
        )
    }
}

/// One run of qemu-img.
pub(crate) struct Call<'a> {
    action: &'static str,
    path: &'a Path,
    pub(crate) command: Command,
    limits: Option<Limits>,
}

impl<'a> Call<'a> {
    fn new(action: &'static str, path: &'a Path) -> Self {
        Self::with(Command::new("qemu-img"), action, path)
    }

    /// With a command that leads to qemu-img.
    pub(crate) fn with(mut command: Command, action: &'static str, path: &'a Path) -> Self {
        command
            .arg(action)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Ctrl-C on the terminal is for refit alone: a commit has to be completed, and each
            // call but that is short.
            .process_group(0);
        Self {
            action,
            path,
            command,
            limits: None,
        }
    }

    fn limited(self, limits: Limits) -> Self {
        Self {
            limits: Some(limits),
            ..self
        }
    }

    pub(crate) fn failed(&self, status: ExitStatus, mut stderr: String) -> ImageError {
        let path = self.path.to_owned();
        if let (Some(limits), None) = (self.limits, status.code()) {
            let separator = if stderr.is_empty() { "" } else { "; " };
            stderr.push_str(&format!("{separator}{limits}"));
        }
        if is_lock_failure(&stderr) {
            return ImageError::InUse {
                path,
                by: "another process (qemu's image lock)".into(),
            };
        }
        ImageError::Qemu {
            path,
            action: self.action,
            status,
            stderr,
        }
    }

    /// Runs the command; any exit status but 0 is an error, and so is what `read` complains of.
    fn run(
        mut self,
        mut read: impl FnMut(&mut dyn Read) -> std::io::Result<Option<String>>,
    ) -> Result<()> {
        let mut complaint = None;
        let (status, stderr) = self.finish(|output| {
            complaint = read(output)?;
            Ok(None)
        })?;
        if !status.success() {
            return Err(self.failed(status, stderr));
        }
        match complaint {
            None => Ok(()),
            Some(detail) => Err(ImageError::QemuOutput {
                path: self.path.into(),
                action: self.action,
                detail,
            }),
        }
    }

    /// Runs the command and returns its status with the end of its standard error.
    fn finish(
        &mut self,
        mut read: impl FnMut(&mut dyn Read) -> std::io::Result<Option<String>>,
    ) -> Result<(ExitStatus, String)> {
        loop {
            let (mut child, errors) = self.spawn()?;
            let mut printed = false;
            // The pipe is closed before the wait: a child that still prints ends instead of blocking.
            let read = child.stdout.take().map(|source| {
                let mut output = Noting {
                    source,
                    printed: &mut printed,
                };
                read(&mut output)
            });
            let ending = self.ending(&mut child, errors)?;
            // Ctrl-C may hit the child in the moment before it has a process group of its own.
            if ending.0.signal() == Some(Signal::INT.as_raw()) && !printed {
                tracing::debug!("qemu-img was interrupted before it began; starting it again");
                continue;
            }
            return match read {
                Some(Err(error)) => Err(self.doing()(error)),
                _ => Ok(ending),
            };
        }
    }

    /// Starts the command, and gives the file that takes its standard error.
    pub(crate) fn spawn(&mut self) -> Result<(Child, File)> {
        // A file, not a pipe: it cannot fill up while standard output is read.
        let errors = tempfile::tempfile().map_err(self.doing())?;
        self.command
            .stderr(errors.try_clone().map_err(self.doing())?);
        tracing::debug!(command = ?self.command, "running");
        let mut child = self.command.spawn().map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                ImageError::QemuImgMissing
            } else {
                ImageError::io(self.path, "starting qemu-img")(error)
            }
        })?;
        if let Some(limits) = self.limits
            && let Err(error) = limits.apply(&child)
        {
            // Not started at all is better than unlimited. It may have ended by itself meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return Err(self.doing()(error));
        }
        Ok((child, errors))
    }

    /// Waits for the end of the command; gives its status and the end of its standard error.
    pub(crate) fn ending(
        &self,
        child: &mut Child,
        mut errors: File,
    ) -> Result<(ExitStatus, String)> {
        let status = child.wait().map_err(self.doing())?;
        let length = errors.seek(SeekFrom::End(0)).map_err(self.doing())?;
        errors
            .seek(SeekFrom::Start(length.saturating_sub(STDERR_TAIL)))
            .map_err(self.doing())?;
        let mut tail = Vec::new();
        errors
            .take(STDERR_TAIL)
            .read_to_end(&mut tail)
            .map_err(self.doing())?;
        let text = String::from_utf8_lossy(&tail);
        let lines: Vec<_> = text.lines().rev().take(4).collect();
        let last: Vec<_> = lines.into_iter().rev().map(str::trim).collect();
        Ok((status, last.join("; ")))
    }

    fn doing(&self) -> impl FnOnce(std::io::Error) -> ImageError + use<'a> {
        ImageError::io(self.path, "running qemu-img")
    }
}

/// Notes whether anything was read.
struct Noting<'p, R> {
    source: R,
    printed: &'p mut bool,
}

impl<R: Read> Read for Noting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.source.read(buffer)?;
        *self.printed |= length > 0;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    /// A shell in the place of qemu-img.
    fn shell(script: &str) -> Call<'_> {
        let mut call = Call::new("info", Path::new("/disk")).limited(Limits {
            memory: 1 << 30,
            processor: 1,
        });
        call.command = Command::new("sh");
        call.command
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        call
    }

    #[test]
    fn what_was_interrupted_before_it_began_is_started_again() {
        let dir = tempfile::tempdir().unwrap();
        let flag = dir.path().join("flag");
        let script = format!(
            "[ -e {0} ] || {{ : >{0}; kill -s INT $$; }}; echo done",
            flag.display()
        );
        let mut text = String::new();
        shell(&script)
            .run(|output| output.read_to_string(&mut text).map(|_| None))
            .unwrap();
        assert_eq!(text, "done\n");
    }

    #[test]
    fn what_it_uses_is_limited() {
        // The limits are set when it runs already.
        let script = "while [ $(ulimit -t) = unlimited ]; do :; done; ulimit -v; ulimit -t";
        let mut text = String::new();
        shell(script)
            .run(|output| output.read_to_string(&mut text).map(|_| None))
            .unwrap();
        assert_eq!(text, "1048576\n1\n");
    }

    #[test]
    fn a_limit_that_is_reached_is_named() {
        let mut call = shell("while :; do :; done");
        let (status, stderr) = call.finish(discard).unwrap();
        assert!(status.signal().is_some(), "{status}");
        let message = call.failed(status, stderr).to_string();
        assert!(
            message.ends_with("it may use 1 GiB of memory and 1 s of processor time"),
            "{message}"
        );
    }
}
