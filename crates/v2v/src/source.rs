//! A look at the source before virt-v2v gets it.
//!
//! virt-v2v does not notice that a raw image is in use (nbdkit takes no lock), needs half a minute
//! to say that an image is damaged, and eats all memory when a `.vmx` is not text. `refit_image` knows
//! the first two in milliseconds.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use refit_image::{Access, DiskSpec, Image, ImageError, Options};

use crate::argv::io_error;
use crate::errors::{ConvertError, ErrorKind};
use crate::options::Input;
use crate::tools::Environment;

/// A configuration file or XML is never larger.
const MAX_TEXT: u64 = 4 * 1024 * 1024;

/// Refuses a source that cannot be converted, and settles a disk's format: virt-v2v shall not guess it.
///
/// # Errors
/// The kinds about files and images.
pub(crate) fn check(input: &Input, _: &Environment) -> Result<Input, ConvertError> {
    match input {
        Input::Disk { path, format } => {
            return Ok(Input::Disk {
                path: path.clone(),
                format: Some(check_image(path, format.as_deref())?),
            });
        }
        Input::Ova(path) if path.is_dir() => {
            std::fs::read_dir(path).map_err(|error| on(path, &error))?;
        }
        Input::Ova(path) => {
            if open(path)?.1.len() == 0 {
                return Err(not_an_image(path, "is empty"));
            }
        }
        Input::Vmx(path) | Input::LibvirtXml(path) => check_text(path)?,
        Input::Disks { paths, format } => {
            for path in paths {
                check_image(path, format.as_deref())?;
            }
        }
        // Only libvirt knows.
        Input::Libvirt(_) => {}
    }
    Ok(input.clone())
}

fn open(path: &Path) -> Result<(File, Metadata), ConvertError> {
    let file = File::open(path).map_err(|error| on(path, &error))?;
    let meta = file.metadata().map_err(|error| on(path, &error))?;
    if meta.is_dir() {
        return Err(not_an_image(path, "is a directory"));
    }
    Ok((file, meta))
}

fn on(path: &Path, error: &io::Error) -> ConvertError {
    io_error(error, &path.display().to_string())
}

fn check_text(path: &Path) -> Result<(), ConvertError> {
    let mut text = Vec::new();
    open(path)?
        .0
        .take(MAX_TEXT + 1)
        .read_to_end(&mut text)
        .map_err(|error| on(path, &error))?;
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

/// The format of a disk image that can be used. Whoever names the format has looked at the image and
/// answers for the files that it refers to; of an image that nobody looked at, they must lie beside it.
fn check_image(path: &Path, format: Option<&str>) -> Result<String, ConvertError> {
    let options = Options {
        allow_outside: format.is_some(),
    };
    let format = format
        .map(str::parse)
        .transpose()
        .map_err(|problem: String| {
            ConvertError::new(
                ErrorKind::NotADiskImage,
                format!("{}: {problem}", path.display()),
            )
        })?;
    let spec = DiskSpec {
        path: path.to_owned(),
        format,
    };
    let image = Image::probe(&spec, Access::Read, &options).map_err(|error| refused(&error))?;
    Ok(image.format().to_string())
}

/// An image that cannot be used, as an error of a conversion.
fn refused(error: &ImageError) -> ConvertError {
    let kind = match error {
        ImageError::Missing { .. } | ImageError::PartMissing { .. } => ErrorKind::NotFound,
        ImageError::Permission { .. } | ImageError::ReadOnly { .. } => ErrorKind::PermissionDenied,
        ImageError::InUse { .. } => ErrorKind::ImageInUse,
        ImageError::Damaged { .. } | ImageError::Qemu { .. } | ImageError::QemuOutput { .. } => {
            ErrorKind::ImageBroken
        }
        ImageError::QemuImgMissing => ErrorKind::ToolMissing {
            name: "qemu-img".to_owned(),
        },
        ImageError::Io { source, .. } => io_error(source, "").kind,
        _ => ErrorKind::NotADiskImage,
    };
    ConvertError::new(kind, error.to_string())
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
            (disk(&file("text", b"I am no disk\n")), "not-a-disk-image"),
            (
                Input::Disk {
                    path: empty.clone(),
                    format: Some("tape".into()),
                },
                "not-a-disk-image",
            ),
            (
                Input::Vmx(file("binary.vmx", b"a = \"\0\"")),
                "not-a-disk-image",
            ),
            (Input::LibvirtXml(empty.clone()), "not-a-disk-image"),
            (Input::Vmx(dir.path().to_owned()), "not-a-disk-image"),
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
