use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use serde::Deserialize;

use super::{DiskError, Format, Result};

/// More than any `qemu-img info` of one image; a qcow2 image with 65536 snapshots stays below.
const INFO_LIMIT: u64 = 64 << 20;

/// How much of a failed command's standard error goes into the message, in bytes.
const STDERR_TAIL: u64 = 2048;

/// What `qemu-img info --output=json` says of one image (QAPI type `ImageInfo`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Info {
    /// Size of the disk as the guest sees it, in bytes.
    pub virtual_size: u64,
    /// Allocation unit in bytes, for formats that have one.
    pub cluster_size: Option<u64>,
    pub backing_filename: Option<String>,
    pub full_backing_filename: Option<String>,
    pub backing_filename_format: Option<String>,
    #[serde(default)]
    pub encrypted: bool,
    #[serde(default)]
    pub snapshots: Vec<serde::de::IgnoredAny>,
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
    /// The `createType` of a VMDK image.
    pub(super) fn create_type(&self) -> Option<&str> {
        self.format_specific.as_ref()?.data.create_type.as_deref()
    }
}

/// One range of `qemu-img map --output=json` (QAPI type `MapEntry`).
#[derive(Debug, Deserialize)]
pub(super) struct Extent {
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
pub(super) enum Check {
    /// Consistent, or a format without a check.
    Sound,
    /// Clusters that nothing refers to: wasted space, no danger.
    Leaks,
}

/// Metadata of the image at `path`, without opening its backing file.
pub(super) fn info(path: &Path, format: Format) -> Result<Info> {
    let mut call = Call::new("info", path);
    call.command
        .args(["--output=json", "-f", format.as_str()])
        .arg(path);
    let mut text = Vec::new();
    call.run(|output| output.take(INFO_LIMIT).read_to_end(&mut text).map(|_| None))?;
    serde_json::from_slice(&text).map_err(|error| DiskError::QemuOutput {
        path: path.into(),
        action: "info",
        detail: error.to_string(),
    })
}

/// Calls `each` for every range of the image and its backing files, in order. The output of a large
/// fragmented image is large, so it is read line by line: qemu-img prints one range on a line.
pub(super) fn map(path: &Path, format: Format, mut each: impl FnMut(Extent)) -> Result<()> {
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
/// [`DiskError::Damaged`] if data may be lost or wrong.
pub(super) fn check(path: &Path, format: Format) -> Result<Check> {
    // qemu-img exits with 63 for formats that cannot be checked.
    if matches!(format, Format::Raw | Format::Vpc) {
        return Ok(Check::Sound);
    }
    let mut call = Call::new("check", path);
    call.command.args(["-q", "-f", format.as_str()]).arg(path);
    let (status, stderr) = call.finish(discard)?;
    // qemu-img(1): 0 consistent, 1 not completed, 2 corrupted, 3 leaked clusters only.
    match status.code() {
        Some(0 | 63) => Ok(Check::Sound),
        Some(3) => Ok(Check::Leaks),
        Some(1 | 2) if !is_lock_failure(&stderr) => Err(DiskError::Damaged {
            path: path.into(),
            detail: stderr,
        }),
        _ => Err(call.failed(status, stderr)),
    }
}

/// Frees the leaked clusters of a qcow2 image; nothing else is repaired.
pub(super) fn repair_leaks(path: &Path) -> Result<()> {
    let mut call = Call::new("check", path);
    call.command
        .args(["-q", "-f", "qcow2", "-r", "leaks"])
        .arg(path);
    call.run(discard)
}

/// Creates a qcow2 overlay over `base`, which must be an absolute path: qemu takes it literally then,
/// whatever characters it has.
pub(super) fn create(overlay: &Path, base: &Path, format: Format) -> Result<()> {
    let mut call = Call::new("create", overlay);
    call.command
        .args(["-q", "-f", "qcow2", "-F", format.as_str(), "-b"])
        .arg(base)
        .arg(overlay);
    call.run(discard)
}

/// Copies what is in the overlay into its backing file, and leaves the overlay as it is (`-d`), so
/// that this can be done again. The child inherits `lock` as its standard input, and so holds it
/// for as long as it writes, even if refit is killed.
pub(super) fn commit(overlay: &Path, lock: &File) -> Result<()> {
    let mut call = Call::new("commit", overlay);
    let lock = lock
        .try_clone()
        .map_err(DiskError::io(overlay, "handing the lock on"))?;
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

struct Call<'a> {
    action: &'static str,
    path: &'a Path,
    command: Command,
}

impl<'a> Call<'a> {
    fn new(action: &'static str, path: &'a Path) -> Self {
        let mut command = Command::new("qemu-img");
        command
            .arg(action)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        Self {
            action,
            path,
            command,
        }
    }

    fn failed(&self, status: ExitStatus, stderr: String) -> DiskError {
        let path = self.path.to_owned();
        if is_lock_failure(&stderr) {
            return DiskError::InUse {
                path,
                by: "another process (qemu's image lock)".into(),
            };
        }
        DiskError::Qemu {
            path,
            action: self.action,
            status,
            stderr,
        }
    }

    /// Runs the command; any exit status but 0 is an error, and so is what `read` complains of.
    fn run(
        mut self,
        read: impl FnOnce(&mut dyn Read) -> std::io::Result<Option<String>>,
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
            Some(detail) => Err(DiskError::QemuOutput {
                path: self.path.into(),
                action: self.action,
                detail,
            }),
        }
    }

    /// Runs the command and returns its status with the end of its standard error.
    fn finish(
        &mut self,
        read: impl FnOnce(&mut dyn Read) -> std::io::Result<Option<String>>,
    ) -> Result<(ExitStatus, String)> {
        let doing = || DiskError::io(self.path, "running qemu-img");
        // A file, not a pipe: it cannot fill up while standard output is read.
        let mut errors = tempfile::tempfile().map_err(doing())?;
        self.command.stderr(errors.try_clone().map_err(doing())?);
        tracing::debug!(command = ?self.command, "running");
        let mut child = self.command.spawn().map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                DiskError::QemuImgMissing
            } else {
                DiskError::io(self.path, "starting qemu-img")(error)
            }
        })?;
        // The pipe is closed before the wait: a child that still prints ends instead of blocking.
        let read = child.stdout.take().map(|mut output| read(&mut output));
        let status = child.wait().map_err(doing())?;
        if let Some(Err(error)) = read {
            return Err(doing()(error));
        }
        let length = errors.seek(SeekFrom::End(0)).map_err(doing())?;
        errors
            .seek(SeekFrom::Start(length.saturating_sub(STDERR_TAIL)))
            .map_err(doing())?;
        let mut tail = Vec::new();
        errors
            .take(STDERR_TAIL)
            .read_to_end(&mut tail)
            .map_err(doing())?;
        let text = String::from_utf8_lossy(&tail);
        let lines: Vec<_> = text.lines().rev().take(4).collect();
        let last: Vec<_> = lines.into_iter().rev().map(str::trim).collect();
        Ok((status, last.join("; ")))
    }
}
