//! A look at the source before virt-v2v gets it.
//!
//! virt-v2v does not notice that a raw image is in use (nbdkit takes no lock), needs half a minute
//! to say that an image is damaged, and eats all memory when a `.vmx` is not text. qemu-img knows
//! the first two in milliseconds.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde::Deserialize;

use crate::argv::io_error;
use crate::errors::{ConvertError, ErrorKind};
use crate::options::Input;
use crate::tools::Environment;

/// A configuration file or XML is never larger.
const MAX_TEXT: u64 = 4 * 1024 * 1024;
/// A disk has one sector at least.
const MIN_DISK: u64 = 512;
/// What qemu-img may use, against images made to exhaust it (bytes of address space, seconds of
/// processor time).
const LIMITS: [&str; 2] = ["--as=2147483648", "--cpu=120"];

/// What qemu-img says of an image.
#[derive(Debug, Deserialize)]
struct ImageInfo {
    format: String,
}

/// Refuses a source that cannot be converted, and settles what can be settled: an image that
/// starts with a LUKS header is the guest's own encryption, so it is raw.
///
/// # Errors
/// The kinds about files and images.
pub(crate) fn check(input: &Input, env: &Environment) -> Result<Input, ConvertError> {
    let path = input.path();
    let meta = path
        .metadata()
        .map_err(|error| io_error(&error, &path.display().to_string()))?;
    match input {
        Input::Ova(_) if meta.is_dir() => {
            std::fs::read_dir(path)
                .map_err(|error| io_error(&error, &path.display().to_string()))?;
            Ok(input.clone())
        }
        _ if meta.is_dir() => Err(not_an_image(path, "is a directory")),
        Input::Ova(_) => {
            open(path)?;
            if meta.len() == 0 {
                return Err(not_an_image(path, "is empty"));
            }
            Ok(input.clone())
        }
        Input::Vmx(_) | Input::LibvirtXml(_) => {
            check_text(path)?;
            Ok(input.clone())
        }
        Input::Disk { format, .. } => {
            open(path)?;
            if meta.is_file() && meta.len() < MIN_DISK {
                let what = if meta.len() == 0 {
                    "is empty"
                } else {
                    "is smaller than a sector"
                };
                return Err(not_an_image(path, what));
            }
            let format = check_image(path, format.as_deref(), env)?;
            Ok(Input::Disk {
                path: path.clone(),
                format,
            })
        }
    }
}

fn open(path: &Path) -> Result<File, ConvertError> {
    File::open(path).map_err(|error| io_error(&error, &path.display().to_string()))
}

fn check_text(path: &Path) -> Result<(), ConvertError> {
    let mut text = Vec::new();
    open(path)?
        .take(MAX_TEXT + 1)
        .read_to_end(&mut text)
        .map_err(|error| io_error(&error, &path.display().to_string()))?;
    let problem = if text.is_empty() {
        "is empty"
    } else if text.len() as u64 > MAX_TEXT {
        "is too large for a configuration file"
    } else if text.contains(&0) {
        "is not a text file"
    } else {
        return Ok(());
    };
    Err(not_an_image(path, problem))
}

/// Gives back the format to tell virt-v2v, if any.
fn check_image(
    path: &Path,
    format: Option<&str>,
    env: &Environment,
) -> Result<Option<String>, ConvertError> {
    let mut info = vec!["info", "--output=json"];
    info.extend(format.iter().flat_map(|format| ["-f", format]));
    let output = qemu_img(&info, path, env)?;
    if !output.status.success() {
        return Err(refused(path, &output));
    }
    let found: ImageInfo = serde_json::from_slice(&output.stdout).map_err(|error| {
        ConvertError::new(
            ErrorKind::ImageBroken,
            format!("{}: qemu-img info: {error}", path.display()),
        )
    })?;
    // For raw images `qemu-img info` does not ask for the lock.
    if is_being_written(path) {
        return Err(ConvertError::new(
            ErrorKind::ImageInUse,
            format!(
                "{}: another process has it open for writing",
                path.display()
            ),
        ));
    }
    if found.format == "luks" && format.is_none() {
        return Ok(Some("raw".to_owned()));
    }
    if found.format != "raw" {
        // 0: good. 2: damaged. 3: leaks, which waste space only. 63: this format has no check.
        let output = qemu_img(&["check", "-f", &found.format], path, env)?;
        if !matches!(output.status.code(), Some(0 | 3 | 63)) {
            return Err(refused(path, &output));
        }
    }
    Ok(format.map(str::to_owned))
}

/// Runs `qemu-img`, which asks for the image's lock as a writer would have to hold it.
fn qemu_img(args: &[&str], path: &Path, env: &Environment) -> Result<Output, ConvertError> {
    let missing = |name: &str| {
        ConvertError::new(
            ErrorKind::ToolMissing {
                name: name.to_owned(),
            },
            "it reads disk images",
        )
    };
    let program = env
        .find_program("qemu-img")
        .ok_or_else(|| missing("qemu-img"))?;
    let mut command = match env.find_program("prlimit") {
        Some(prlimit) => {
            let mut command = Command::new(prlimit);
            command.args(LIMITS).arg("--").arg(&program);
            command
        }
        None => Command::new(&program),
    };
    let path =
        std::path::absolute(path).map_err(|error| io_error(&error, &path.display().to_string()))?;
    command
        .args(args)
        .arg("--")
        .arg(path)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| io_error(&error, "running qemu-img"))
}

/// Whether a qemu program has the image open for writing: it then holds a lock on byte 101
/// (QEMU, block/file-posix.c: `RAW_LOCK_PERM_BASE` plus the number of the write permission).
fn is_being_written(path: &Path) -> bool {
    let (Ok(meta), Ok(locks)) = (path.metadata(), std::fs::read_to_string("/proc/locks")) else {
        return false;
    };
    let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
    let file = format!("{major:02x}:{minor:02x}:{}", meta.ino());
    locks.lines().any(|line| is_write_lock(line, &file))
}

/// `1: OFDLCK ADVISORY READ -1 fe:00:10011060 100 101` (proc(5)).
fn is_write_lock(line: &str, file: &str) -> bool {
    const WRITE: u64 = 101;
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, "OFDLCK", .., on, start, end] = fields.as_slice() else {
        return false;
    };
    let range = start.parse().ok().zip(end.parse().ok());
    *on == file && range.is_some_and(|(start, end): (u64, u64)| (start..=end).contains(&WRITE))
}

/// qemu-img's complaint as an error.
fn refused(path: &Path, output: &Output) -> ConvertError {
    let text = String::from_utf8_lossy(&output.stderr);
    let kind = if text.contains("Failed to get") && text.contains("lock") {
        ErrorKind::ImageInUse
    } else if text.contains("Permission denied") {
        ErrorKind::PermissionDenied
    } else {
        ErrorKind::ImageBroken
    };
    let line = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("damaged");
    let line = line.strip_prefix("qemu-img: ").unwrap_or(line);
    ConvertError::new(kind, format!("{}: {}", path.display(), line.trim()))
}

fn not_an_image(path: &Path, problem: &str) -> ConvertError {
    ConvertError::new(
        ErrorKind::NotADiskImage,
        format!("{} {problem}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemus_write_lock() {
        let lock = |text| is_write_lock(text, "fe:00:7");
        assert!(lock("2: OFDLCK ADVISORY  READ -1 fe:00:7 100 101"));
        assert!(
            !lock("1: OFDLCK ADVISORY  READ -1 fe:00:7 201 201"),
            "refuses writers"
        );
        assert!(
            !lock("1: OFDLCK ADVISORY  READ -1 fe:00:8 100 101"),
            "another file"
        );
        assert!(!lock("1: POSIX  ADVISORY  WRITE 9 fe:00:7 0 EOF"));
        assert!(!lock(""));
    }

    #[test]
    fn what_needs_no_tool_to_be_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let env = Environment::default();
        let disk = |path: &Path| Input::Disk {
            path: path.to_owned(),
            format: None,
        };
        let empty = file("empty", b"");
        for (input, kind) in [
            (disk(&dir.path().join("none")), "not-found"),
            (disk(dir.path()), "not-a-disk-image"),
            (disk(&empty), "not-a-disk-image"),
            (disk(&file("short", b"x")), "not-a-disk-image"),
            (
                Input::Vmx(file("binary.vmx", b"a = \"\0\"")),
                "not-a-disk-image",
            ),
            (Input::LibvirtXml(empty.clone()), "not-a-disk-image"),
            (Input::Ova(empty.clone()), "not-a-disk-image"),
            (Input::Ova(dir.path().join("empty/x")), "not-found"),
        ] {
            assert_eq!(
                check(&input, &env).unwrap_err().kind.id(),
                kind,
                "{input:?}"
            );
        }
        assert!(check(&Input::Vmx(file("good.vmx", b"memsize = \"1024\"\n")), &env).is_ok());
        assert!(check(&Input::Ova(dir.path().to_owned()), &env).is_ok());
    }
}
