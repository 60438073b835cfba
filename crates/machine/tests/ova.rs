//! Descriptors found in real archives and directories.

#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use std::fs;
use std::path::{Path, PathBuf};

use refit_machine::ova::{Descriptor, OvaError, read_descriptor};
use tar::{Builder, EntryType, Header};

const TEXT: &str = "<Envelope/>";

/// A member of an archive: its name, kind, and data.
type Member<'a> = (&'a str, EntryType, &'a [u8]);

fn archive(directory: &Path, members: &[Member<'_>]) -> PathBuf {
    let path = directory.join("x.ova");
    let mut builder = Builder::new(fs::File::create(&path).unwrap());
    for (name, kind, data) in members {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        if kind.is_symlink() {
            header.set_link_name("/etc/passwd").unwrap();
        }
        // Past the builder's own refusal of `..`.
        let field = &mut header.as_old_mut().name;
        if name.len() < field.len() {
            field[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *data).unwrap();
        } else {
            builder.append_data(&mut header, name, *data).unwrap();
        }
    }
    builder.finish().unwrap();
    path
}

fn found(path: &Path) -> (String, String) {
    match read_descriptor(path).unwrap() {
        Descriptor::Found { name, text } => (name, text),
        Descriptor::Unread { reason } => panic!("{reason}"),
    }
}

#[test]
fn the_descriptor_of_an_archive_wherever_it_lies() {
    let directory = tempfile::tempdir().unwrap();
    let long = format!("{}/a.ovf", "d".repeat(120));
    let disk = vec![7_u8; 100_000];
    for name in ["a.ovf", "sub/A.OVF", "../a.ovf", &long] {
        for disk_first in [false, true] {
            let mut members = vec![
                (name, EntryType::Regular, TEXT.as_bytes()),
                ("disk.vmdk", EntryType::Regular, disk.as_slice()),
                ("link.ovf", EntryType::Symlink, b"".as_slice()),
                ("directory.ovf", EntryType::Directory, b"".as_slice()),
            ];
            if disk_first {
                members.swap(0, 1);
            }
            let path = archive(directory.path(), &members);
            assert_eq!(found(&path), (name.to_owned(), TEXT.to_owned()));
        }
    }
}

#[test]
fn pax_headers_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pax.ova");
    let mut builder = Builder::new(fs::File::create(&path).unwrap());
    // The header's own name and size are overridden, as for names and files that do not fit.
    builder
        .append_pax_extensions([("path", b"renamed.ovf".as_slice()), ("size", b"11")])
        .unwrap();
    let mut header = Header::new_ustar();
    header.set_path("short").unwrap();
    header.set_size(0);
    header.set_cksum();
    let mut data = TEXT.as_bytes().to_vec();
    builder.append(&header, std::io::empty()).unwrap();
    // The builder wrote no data for a size of zero; write what the pax header announces.
    data.resize(512, 0);
    let mut file = builder.into_inner().unwrap();
    let end = fs::metadata(&path).unwrap().len() - 1024;
    file.set_len(end).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
    std::io::Write::write_all(&mut file, &data).unwrap();
    file.set_len(end + 512 + 1024).unwrap();
    assert_eq!(found(&path), ("renamed.ovf".to_owned(), TEXT.to_owned()));
}

#[test]
fn directories_and_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    assert!(matches!(read_descriptor(path), Err(OvaError::Missing(_))));
    let file = path.join("a.OVF");
    fs::write(&file, TEXT).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path.join("b.ovf")).unwrap();
    assert_eq!(found(path), ("a.OVF".to_owned(), TEXT.to_owned()));
    assert_eq!(found(&file), ("a.OVF".to_owned(), TEXT.to_owned()));
    fs::write(path.join("c.ovf"), TEXT).unwrap();
    match read_descriptor(path) {
        Err(OvaError::Several { names, .. }) => assert_eq!(names, ["a.OVF", "c.ovf"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_text_is_decoded() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.ovf");
    let declared = "<?xml version='1.0' encoding='windows-1252'?><a>ü</a>";
    let utf16: Vec<u8> = std::iter::once(0xfeff)
        .chain("<a>ü</a>".encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let latin: Vec<u8> = declared
        .chars()
        .map(|character| u8::try_from(u32::from(character)).unwrap())
        .collect();
    for (bytes, text) in [
        ("\u{feff}<a>ü</a>".as_bytes().to_vec(), "<a>ü</a>"),
        (utf16, "<a>ü</a>"),
        (latin, declared),
        (b"<a>\xff</a>".to_vec(), "<a>\u{fffd}</a>"),
    ] {
        fs::write(&file, &bytes).unwrap();
        assert_eq!(found(&file).1, text);
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for (bytes, form) in [
        (b"\x1f\x8b\x08rest".as_slice(), "gzip"),
        (b"\xfd7zXZ\0rest", "xz"),
        (b"PK\x03\x04rest", "zip"),
    ] {
        fs::write(at("x.ova"), bytes).unwrap();
        match read_descriptor(&at("x.ova")).unwrap() {
            Descriptor::Unread { reason } => assert!(reason.contains(form), "{reason}"),
            found => panic!("{found:?}"),
        }
    }
    for bytes in [b"".as_slice(), b"text", &[0; 1024], &[1; 1024]] {
        fs::write(at("x.ova"), bytes).unwrap();
        let result = read_descriptor(&at("x.ova"));
        assert!(matches!(result, Err(OvaError::NotOva(_))), "{result:?}");
    }
    assert!(matches!(
        read_descriptor(&at("missing.ova")),
        Err(OvaError::Io { .. })
    ));
    let regular = EntryType::Regular;
    let path = archive(directory.path(), &[("disk.vmdk", regular, b"x")]);
    assert!(matches!(read_descriptor(&path), Err(OvaError::Missing(_))));
    let path = archive(
        directory.path(),
        &[("a.ovf", regular, b"x"), ("b.ovf", regular, b"x")],
    );
    assert!(matches!(
        read_descriptor(&path),
        Err(OvaError::Several { .. })
    ));
    // A descriptor and an extended header that announce more than is read; sparse, so cheap.
    for (kind, name) in [(regular, "a.ovf"), (EntryType::XHeader, "pax")] {
        let path = at("large.ova");
        let file = fs::File::create(&path).unwrap();
        let mut header = Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_entry_type(kind);
        header.set_size(1 << 40);
        header.set_cksum();
        std::io::Write::write_all(&mut &file, header.as_bytes()).unwrap();
        file.set_len((1 << 40) + 4096).unwrap();
        let result = read_descriptor(&path);
        assert!(
            matches!(result, Err(OvaError::TooLarge { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn members_are_ranges_of_the_archive() {
    let directory = tempfile::tempdir().unwrap();
    let long = format!("{}.vmdk", "x".repeat(150));
    let path = archive(
        directory.path(),
        &[
            ("a.ovf", EntryType::Regular, TEXT.as_bytes()),
            ("link.vmdk", EntryType::Symlink, b""),
            (&long, EntryType::Regular, b"disk"),
        ],
    );
    let content = fs::read(&path).unwrap();
    let members = refit_machine::ova::members(&path).unwrap();
    let found: Vec<(&str, &[u8])> = members
        .iter()
        .map(|member| {
            let start = usize::try_from(member.offset).unwrap();
            let end = start + usize::try_from(member.size).unwrap();
            (member.name.as_str(), &content[start..end])
        })
        .collect();
    assert_eq!(found, [("a.ovf", TEXT.as_bytes()), (&long, b"disk")]);
}

#[test]
fn a_truncated_archive_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let members = [
        ("a.ovf", EntryType::Regular, TEXT.as_bytes()),
        ("disk.vmdk", EntryType::Regular, &[7; 4096]),
    ];
    let path = archive(directory.path(), &members);
    let bytes = fs::read(&path).unwrap();
    // Headers at 0 and 1024; the disk's data end at 5632.
    for end in (0..5632).step_by(64) {
        fs::write(&path, &bytes[..end]).unwrap();
        match read_descriptor(&path) {
            Err(OvaError::NotOva(_)) => assert!(end < 512, "{end}"),
            Err(OvaError::Io { source, .. }) => {
                assert!(source.to_string().contains("truncated"), "{source}");
            }
            // Cut between two members: no different from an archive without an end mark.
            Ok(Descriptor::Found { text, .. }) => {
                assert!((524..=1024).contains(&end), "{end}");
                assert_eq!(text, TEXT);
            }
            other => panic!("{end}: {other:?}"),
        }
    }
}
