//! What a disk image is, and whether it may be opened.
//!
//! An image comes from a stranger. A guest that owns a raw disk can write another format's header
//! into it, and headers name further files: detected on faith, such a disk would show the guest
//! whatever file of the host it names. So the format is detected once, here; an image whose format
//! was not vouched for must not name further files; and qemu is told the result.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::installed;
use crate::{DiskSpec, Error};

/// A disk that may be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// The canonical path. It begins with a slash, so that qemu takes it for no protocol.
    pub path: String,
    /// The format, as qemu names it.
    pub format: String,
    /// A block device, not a file.
    pub is_device: bool,
    /// The size that the guest sees, in bytes.
    pub virtual_size: u64,
}

/// Looks at a disk without starting anything.
///
/// # Errors
/// [`Error::Disk`] if it cannot be read, is no disk, is raw without a doubt-free sign of it, or names
/// further files without being vouched for; [`Error::ProgramMissing`] without `qemu-img`.
pub(crate) fn open(spec: &DiskSpec) -> Result<Image, Error> {
    let refuse = |reason: String| Error::Disk {
        path: spec.path.clone(),
        reason,
    };
    let unreadable = |error: std::io::Error| refuse(format!("cannot be read: {error}"));

    let path = spec.path.canonicalize().map_err(unreadable)?;
    let kind = std::fs::metadata(&path).map_err(unreadable)?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(refuse("is neither a file nor a block device".into()));
    }
    let head = read_head(&path).map_err(unreadable)?;
    if head.is_empty() {
        return Err(refuse("is empty".into()));
    }
    let utf8 = path
        .to_str()
        .ok_or_else(|| refuse("has a name that is not UTF-8, which qemu cannot be told".into()))?;

    let info = image_info(utf8, spec.format.as_deref(), &refuse)?;
    let format = info["format"].as_str().unwrap_or_default().to_owned();
    if spec.format.is_none() {
        if format == "raw" && !surely_raw(&head) {
            return Err(refuse(
                "is in no known image format and does not look like a raw disk either; if it is one, give the format raw".into(),
            ));
        }
        if let Some(other) = names_other_file(&info, &path) {
            return Err(refuse(format!(
                "its {format} header names another file, {other:?}; if this is meant, give the format {format}"
            )));
        }
    }
    let virtual_size = info["virtual-size"].as_u64().filter(|size| *size > 0);
    Ok(Image {
        path: utf8.to_owned(),
        format,
        is_device: kind.is_block_device(),
        virtual_size: virtual_size.ok_or_else(|| refuse("has no size".into()))?,
    })
}

/// As much as the signatures below need.
fn read_head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(0x1_1000).read_to_end(&mut head)?;
    Ok(head)
}

/// `qemu-img info`, without looking into backing files. `--force-share`: a disk in use may be looked
/// at; starting qemu on it is what fails then.
fn image_info(
    path: &str,
    format: Option<&str>,
    refuse: &impl Fn(String) -> Error,
) -> Result<Value, Error> {
    let mut command = Command::new("qemu-img");
    command.args(["info", "--force-share", "--output=json"]);
    if let Some(format) = format {
        command.args(["-f", format]);
    }
    let output = command
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::ProgramMissing {
                program: "qemu-img",
                hint: "install qemu-utils (Debian) or qemu-img (Red Hat)",
            },
            _ => Error::io("running qemu-img")(error),
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().trim_start_matches("qemu-img: ");
        return Err(refuse(format!(
            "qemu-img cannot open it: {}",
            said.chars().take(500).collect::<String>()
        )));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| {
        refuse(format!(
            "qemu-img's description of it cannot be read: {error}"
        ))
    })
}

/// Whether the content of what `qemu-img` could not place is that of a raw disk: a boot sector or
/// partition table, a file system or volume without partitions, or nothing at all (a blank disk).
fn surely_raw(head: &[u8]) -> bool {
    const SIGNATURES: [(usize, &[u8]); 8] = [
        (510, &[0x55, 0xaa]),    // boot sector, MBR, and the protective MBR of a GPT
        (0x438, &[0x53, 0xef]),  // ext2, ext3, ext4
        (0, b"XFSB"),            // XFS
        (0x1_0040, b"_BHRfS_M"), // btrfs
        (0x200, b"LABELONE"),    // LVM physical volume
        (0, b"LUKS\xba\xbe"),    // LUKS
        (0x1000, &[0xfc, 0x4e, 0x2b, 0xa9]), // MD RAID, metadata 1.2
        (0xff6, b"SWAPSPACE2"),  // swap
    ];
    SIGNATURES
        .iter()
        .any(|(at, magic)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
        || head.iter().all(|byte| *byte == 0)
}

/// A further file that the image wants opened: a backing file, an external data file, or a VMDK extent
/// that does not lie beside its descriptor.
fn names_other_file(info: &Value, image: &Path) -> Option<String> {
    let data = &info["format-specific"]["data"];
    for name in [&info["backing-filename"], &data["data-file"]] {
        if let Some(name) = name.as_str() {
            return Some(name.to_owned());
        }
    }
    let beside = |extent: &str| {
        let extent: PathBuf = Path::new(extent).canonicalize().unwrap_or_default();
        extent
            .parent()
            .is_some_and(|dir| Some(dir) == image.parent())
    };
    let mut extents = data["extents"]
        .as_array()?
        .iter()
        .filter_map(|extent| extent["filename"].as_str());
    extents.find(|extent| !beside(extent)).map(str::to_owned)
}

/// Whether [`open`] and the overlays have what they need.
///
/// # Errors
/// [`Error::ProgramMissing`].
pub(crate) fn need_tools() -> Result<(), Error> {
    if installed(crate::process::QEMU) {
        return Ok(());
    }
    Err(Error::ProgramMissing {
        program: crate::process::QEMU,
        hint: "install qemu-system-x86 (Debian) or qemu-kvm (Red Hat)",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(spec: &DiskSpec) -> String {
        match open(spec) {
            Err(Error::Disk { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn raw_needs_a_sign() {
        let with = |at: usize, magic: &[u8]| {
            let mut head = vec![1u8; 0x1_1000];
            head[at..at + magic.len()].copy_from_slice(magic);
            head
        };
        assert!(surely_raw(&with(510, &[0x55, 0xaa])));
        assert!(surely_raw(&with(0x1_0040, b"_BHRfS_M")));
        assert!(surely_raw(&[0; 4096]), "a blank disk");
        assert!(!surely_raw(&with(0, b"just text")));
        assert!(!surely_raw(b"short"));
    }

    #[test]
    fn what_is_no_disk_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x");
        assert!(refusal(&DiskSpec::new(&file)).contains("cannot be read"));
        assert!(refusal(&DiskSpec::new(dir.path())).contains("neither a file nor"));
        std::fs::write(&file, "").unwrap();
        assert!(refusal(&DiskSpec::new(&file)).contains("empty"));
        std::fs::write(&file, "text ".repeat(1000)).unwrap();
        assert!(refusal(&DiskSpec::new(&file)).contains("give the format raw"));
        let vouched = DiskSpec {
            path: file,
            format: Some("raw".into()),
        };
        assert_eq!(open(&vouched).unwrap().format, "raw");
    }

    #[test]
    fn a_header_that_names_another_file_must_be_vouched_for() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        let top = dir.path().join("top.qcow2");
        std::fs::write(&base, vec![0; 1 << 20]).unwrap();
        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
            .args([&base, &top])
            .status()
            .unwrap();
        assert!(made.success());
        assert!(refusal(&DiskSpec::new(&top)).contains("names another file"));
        let vouched = DiskSpec {
            path: top,
            format: Some("qcow2".into()),
        };
        let image = open(&vouched).unwrap();
        assert_eq!(
            (image.format.as_str(), image.virtual_size),
            ("qcow2", 1 << 20)
        );
    }

    #[test]
    fn an_extent_elsewhere_is_another_file() {
        let info = |extent: &str| serde_json::json!({"format-specific": {"data": {"extents": [{"filename": extent}]}}});
        let image = Path::new("/etc/disk.vmdk");
        assert_eq!(names_other_file(&info("/etc/passwd"), image), None);
        assert_eq!(
            names_other_file(&info("/etc/../bin/sh"), image),
            Some("/etc/../bin/sh".into())
        );
        assert_eq!(names_other_file(&serde_json::json!({}), image), None);
    }
}
