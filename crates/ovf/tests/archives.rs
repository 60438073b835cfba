//! Archives and directories: every form that is written, and what hostile ones try.

#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use refit_ovf::{ArchiveError, File, Package, Severity};
use tar::{Builder, EntryType, Header};

const TEXT: &str = "<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1'/>";

/// A member of an archive: its name, kind, and data.
type Raw<'a> = (&'a str, EntryType, &'a [u8]);

fn header(name: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    if kind.is_symlink() {
        header.set_link_name("/etc/passwd").unwrap();
    }
    // Past the builder's own refusal of `..`.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

fn archive(directory: &Path, members: &[Raw<'_>]) -> PathBuf {
    let path = directory.join("x.ova");
    let mut builder = Builder::new(fs::File::create(&path).unwrap());
    for (name, kind, data) in members {
        if name.len() < 100 {
            let header = header(name, *kind, data.len() as u64);
            builder.append(&header, *data).unwrap();
        } else {
            let mut header = Header::new_gnu();
            header.set_size(data.len() as u64);
            builder.append_data(&mut header, name, *data).unwrap();
        }
    }
    builder.finish().unwrap();
    path
}

const FILE: EntryType = EntryType::Regular;

#[test]
fn the_descriptor_of_an_archive_wherever_it_lies() {
    let directory = tempfile::tempdir().unwrap();
    let long = format!("{}/a.ovf", "d".repeat(120));
    let disk = vec![7_u8; 100_000];
    for name in ["a.ovf", "sub/A.OVF", "./a.ovf", &long] {
        for disk_first in [false, true] {
            let mut members = vec![
                (name, FILE, TEXT.as_bytes()),
                ("disk.vmdk", FILE, disk.as_slice()),
                ("._a.ovf", FILE, b"macOS".as_slice()),
                ("link.ovf", EntryType::Symlink, b"".as_slice()),
                ("directory.ovf", EntryType::Directory, b"".as_slice()),
            ];
            if disk_first {
                members.swap(0, 1);
            }
            let path = archive(directory.path(), &members);
            let package = Package::open(&path).unwrap();
            assert_eq!(package.descriptor_text().unwrap(), TEXT);
            assert_eq!(package.descriptor().name, name.trim_start_matches("./"));
            let order = package
                .notes()
                .iter()
                .any(|note| note.code == "archive.order");
            assert_eq!(order, disk_first);
            // Read where it lies.
            let member = package.find("disk.vmdk").unwrap();
            let archive = fs::read(&path).unwrap();
            let at = usize::try_from(member.offset).unwrap();
            assert_eq!(archive[at..at + disk.len()], disk[..]);
            let mut content = Vec::new();
            member.open().unwrap().read_to_end(&mut content).unwrap();
            assert_eq!(content, disk);
        }
    }
}

#[test]
fn pax_headers_and_binary_sizes_are_followed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pax.ova");
    let mut builder = Builder::new(fs::File::create(&path).unwrap());
    // The header's own name and size are overridden, as for names and files that do not fit.
    let size = TEXT.len().to_string();
    builder
        .append_pax_extensions([
            ("path", b"renamed.ovf".as_slice()),
            ("size", size.as_bytes()),
        ])
        .unwrap();
    let mut short = header("short", FILE, 0);
    short.set_cksum();
    builder.append(&short, b"".as_slice()).unwrap();
    // The data that the header does not count.
    let padding = vec![0; 512 - TEXT.len()];
    builder.get_mut().write_all(TEXT.as_bytes()).unwrap();
    builder.get_mut().write_all(&padding).unwrap();
    // Base 256, as GNU tar writes sizes of 8 GiB and more.
    let mut big = header("d.vmdk", FILE, 3);
    let field = &mut big.as_old_mut().size;
    field.copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    big.set_cksum();
    builder.append(&big, b"abc".as_slice()).unwrap();
    builder.finish().unwrap();
    let package = Package::open(&path).unwrap();
    assert_eq!(package.descriptor().name, "renamed.ovf");
    assert_eq!(package.descriptor_text().unwrap(), TEXT);
    assert_eq!(package.find("d.vmdk").unwrap().size, 3);
}

#[test]
fn what_hostile_archives_try() {
    let directory = tempfile::tempdir().unwrap();
    let ovf: Raw<'_> = ("a.ovf", FILE, TEXT.as_bytes());
    for name in ["../a.vmdk", "/etc/passwd", "a/../../b", "C:\\x", "\\x"] {
        let path = archive(directory.path(), &[ovf, (name, FILE, b"x")]);
        let error = Package::open(&path).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Refused { .. }),
            "{name}: {error}"
        );
    }
    let sparse = archive(directory.path(), &[ovf, ("d", EntryType::GNUSparse, b"x")]);
    let error = Package::open(&sparse).unwrap_err().to_string();
    assert!(error.contains("sparse"), "{error}");
    let twice = archive(
        directory.path(),
        &[ovf, ("d", FILE, b"x"), ("./d", FILE, b"y")],
    );
    let package = Package::open(&twice).unwrap();
    assert!(
        package
            .find("d")
            .unwrap_err()
            .to_string()
            .contains("more than once")
    );
    assert!(
        package
            .notes()
            .iter()
            .any(|note| note.severity == Severity::Error)
    );
    let links = archive(
        directory.path(),
        &[
            ovf,
            ("d", EntryType::Symlink, b""),
            ("e", EntryType::Link, b""),
        ],
    );
    let package = Package::open(&links).unwrap();
    assert!(package.find("d").is_err() && package.find("e").is_err());
    let several = archive(directory.path(), &[ovf, ("b.ovf", FILE, b"")]);
    assert!(matches!(
        Package::open(&several).unwrap_err(),
        ArchiveError::SeveralDescriptors { .. }
    ));
    let none = archive(directory.path(), &[("d.vmdk", FILE, b"x")]);
    assert!(matches!(
        Package::open(&none).unwrap_err(),
        ArchiveError::NoDescriptor(_)
    ));
    let many: Vec<Raw<'_>> =
        std::iter::repeat_n(("x", EntryType::Directory, b"".as_slice()), 10_001).collect();
    let many = archive(directory.path(), &many);
    assert!(matches!(
        Package::open(&many).unwrap_err(),
        ArchiveError::TooLarge { .. }
    ));
}

#[test]
fn sizes_are_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.ova");
    for (size, what) in [(1 << 40, "truncated"), (u64::MAX >> 1, "truncated")] {
        let mut builder = Builder::new(Vec::new());
        builder
            .append(&header("a.ovf", FILE, TEXT.len() as u64), TEXT.as_bytes())
            .unwrap();
        let mut bytes = builder.into_inner().unwrap();
        bytes.truncate(1024);
        let mut liar = Header::new_gnu();
        liar.set_path("d.vmdk").unwrap();
        liar.set_size(size);
        liar.set_cksum();
        bytes.extend_from_slice(liar.as_bytes());
        fs::write(&path, bytes).unwrap();
        let error = Package::open(&path).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    // Names of 64 MiB and a pax header that goes on are not read into memory.
    for kind in [
        EntryType::GNULongName,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
    ] {
        let data = vec![b'x'; 65 << 10];
        let bomb = archive(
            directory.path(),
            &[("n", kind, &data), ("a.ovf", FILE, b"")],
        );
        let error = Package::open(&bomb).unwrap_err();
        assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error}");
    }
    let large = vec![b' '; (16 << 20) + 1];
    let large = archive(directory.path(), &[("a.ovf", FILE, &large)]);
    let error = Package::open(&large)
        .unwrap()
        .descriptor_text()
        .unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { .. }), "{error}");
}

#[test]
fn what_is_no_archive() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.ova");
    for (content, words) in [
        (b"".as_slice(), "is empty"),
        (b"short", "is no OVA"),
        (&[b'x'; 2048], "is no OVA"),
        (&[0; 2048], "is no OVA"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gunzip -c"),
        (b"\xfd7zXZ\0\0\0", "xz -dc"),
        (b"PK\x03\x04\0\0\0\0", "unzip"),
    ] {
        fs::write(&path, content).unwrap();
        let error = Package::open(&path).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    // A damaged header is no end of the archive.
    let ovf: Raw<'_> = ("a.ovf", FILE, TEXT.as_bytes());
    let whole = fs::read(archive(
        directory.path(),
        &[ovf, ("d", FILE, b"x"), ("e", FILE, b"y")],
    ))
    .unwrap();
    let mut damaged = whole.clone();
    damaged[1024] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert!(matches!(
        Package::open(&path).unwrap_err(),
        ArchiveError::Damaged { offset: 1024, .. }
    ));
    // Cut anywhere, it is an error or has a note, unless only the padding is missing.
    for end in (0..whole.len()).step_by(100) {
        fs::write(&path, &whole[..end]).unwrap();
        if let Ok(package) = Package::open(&path) {
            let has_end = end >= 512 * 6 + 512;
            assert!(has_end || !package.notes().is_empty(), "{end}");
        }
    }
}

#[test]
fn directories_and_files() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().join("app");
    fs::create_dir_all(dir.join("sub")).unwrap();
    fs::write(directory.path().join("secret"), "x").unwrap();
    for (name, content) in [
        ("a.OVF", TEXT),
        ("a.mf", "mf"),
        ("b.mf", "of another"),
        ("my disk", "d"),
        ("sub/deep", "dd"),
    ] {
        fs::write(dir.join(name), content).unwrap();
    }
    std::os::unix::fs::symlink("../secret", dir.join("link")).unwrap();
    std::os::unix::fs::symlink("..", dir.join("up")).unwrap();
    for opened in [dir.clone(), dir.join("a.OVF")] {
        let package = Package::open(&opened).unwrap();
        assert_eq!(package.descriptor_text().unwrap(), TEXT);
        assert_eq!(package.manifest().unwrap().name, "a.mf");
        assert_eq!(package.find("my%20disk").unwrap().size, 1);
        assert_eq!(package.find("sub/deep").unwrap().size, 2);
        for bad in [
            "link",
            "up/secret",
            "../secret",
            "missing",
            "http://x/y",
            "sub",
        ] {
            assert!(package.find(bad).is_err(), "{bad}");
        }
    }
    fs::write(dir.join("b.ovf"), TEXT).unwrap();
    assert!(Package::open(&dir).is_err());
    assert!(Package::open(&dir.join("b.ovf")).is_ok());
}

#[test]
fn files_in_pieces() {
    let directory = tempfile::tempdir().unwrap();
    let ovf: Raw<'_> = ("a.ovf", FILE, TEXT.as_bytes());
    let one: Raw<'_> = ("d.000000000", FILE, b"aaaa");
    let two: Raw<'_> = ("d.000000001", FILE, b"bbbb");
    let end: Raw<'_> = ("d.000000002", FILE, b"cc");
    let file = |size| File {
        href: "d".to_owned(),
        size,
        chunk_size: Some(4),
        ..File::default()
    };
    let pieces = |members: &[Raw<'_>], size| {
        let package = Package::open(&archive(directory.path(), members)).unwrap();
        package
            .pieces(&file(size))
            .map(|pieces| {
                pieces
                    .iter()
                    .map(|piece| piece.name.clone())
                    .collect::<Vec<_>>()
            })
            .map_err(|error| error.to_string())
    };
    let all = vec![
        "d.000000000".to_owned(),
        "d.000000001".to_owned(),
        "d.000000002".to_owned(),
    ];
    assert_eq!(pieces(&[ovf, end, two, one], Some(10)), Ok(all.clone()));
    assert_eq!(pieces(&[ovf, one, two, end], None), Ok(all));
    for (members, words) in [
        (vec![ovf, one, two], "d.000000002 may be missing"),
        (vec![ovf, one, end], "d.000000001 may be missing"),
        (vec![ovf, two, end], "not in the package"),
    ] {
        let error = pieces(&members, Some(10)).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(
        pieces(&[ovf, ("d", FILE, b"abc")], Some(3)),
        Ok(vec!["d".to_owned()])
    );
}
