//! What other programs make of an image: xorriso, isoinfo, bsdtar, blkid and file.

#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use std::path::{Path, PathBuf};
use std::process::Command;

use refit_iso9660::{File, Image, IsoImage, image};

const TIME: i64 = 1_709_251_199; // 2024-02-29 23:59:59 UTC

struct Written {
    dir: tempfile::TempDir,
    iso: PathBuf,
    content: Vec<u8>,
}

fn written() -> Written {
    let dir = tempfile::tempdir().unwrap();
    let iso = dir.path().join("test.iso");
    // More than a sector, and no multiple of one.
    let content: Vec<u8> = (0..5000_u32).map(|n| (n % 251) as u8).collect();
    let files = [
        File {
            name: "ovf-env.xml",
            content: &content,
        },
        File {
            name: "A second file with a longer name.text",
            content: b"second\n",
        },
        File {
            name: "empty",
            content: b"",
        },
    ];
    let bytes = image(&Image {
        label: "OVF ENV",
        time: TIME,
        files: &files,
    })
    .unwrap();
    std::fs::write(&iso, bytes).unwrap();
    Written { dir, iso, content }
}

fn run(program: &str, arguments: &[&str], iso: &Path) -> (Vec<u8>, String) {
    let output = Command::new(program)
        .args(arguments.iter().map(|argument| match *argument {
            "ISO" => iso.as_os_str(),
            other => std::ffi::OsStr::new(other),
        }))
        .env("TZ", "UTC")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; run cargo xtask setup"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program}: {said}");
    (output.stdout, said)
}

fn text(program: &str, arguments: &[&str], iso: &Path) -> String {
    String::from_utf8(run(program, arguments, iso).0).unwrap()
}

#[test]
fn blkid_and_file_know_the_label() {
    let written = written();
    let probed = text(
        "/usr/sbin/blkid",
        &["-p", "-o", "export", "ISO"],
        &written.iso,
    );
    for line in ["LABEL=OVF ENV", "TYPE=iso9660", "USAGE=filesystem"] {
        let line = line.replace("OVF ENV", "OVF\\ ENV");
        assert!(probed.lines().any(|one| one == line), "{probed}");
    }
    // What ds-identify of cloud-init asks for.
    let exported = text(
        "/usr/sbin/blkid",
        &["-o", "udev", "-p", "ISO"],
        &written.iso,
    );
    assert!(exported.contains("ID_FS_LABEL=OVF_ENV\n"), "{exported}");
    let kind = text("file", &["-b", "ISO"], &written.iso);
    assert!(
        kind.contains("ISO 9660 CD-ROM filesystem data 'OVF ENV'"),
        "{kind}"
    );
}

#[test]
fn isoinfo_reads_all_three_name_spaces() {
    let written = written();
    let iso = &written.iso;
    let about = text("isoinfo", &["-d", "-i", "ISO"], iso);
    for line in [
        "Volume id: OVF ENV",
        "Joliet with UCS level 3 found",
        "Rock Ridge signatures version 1 found",
    ] {
        assert!(about.lines().any(|one| one == line), "{line:?} in {about}");
    }
    for (options, name) in [
        (vec![], "/OVF_ENV.XML;1"),
        (vec!["-J"], "/ovf-env.xml"),
        (vec!["-R"], "/ovf-env.xml"),
    ] {
        let mut arguments = options.clone();
        arguments.extend(["-f", "-i", "ISO"]);
        let names = text("isoinfo", &arguments, iso);
        assert_eq!(names.lines().count(), 3, "{names}");
        assert!(names.lines().any(|one| one == name), "{names}");
        let mut arguments = options;
        arguments.extend(["-i", "ISO", "-x", name]);
        assert_eq!(run("isoinfo", &arguments, iso).0, written.content);
    }
}

#[test]
fn xorriso_finds_nothing_to_complain_of() {
    let written = written();
    let out = written.dir.path().join("out.xml");
    let target = out.to_str().unwrap();
    let listing = "stdio:".to_owned() + written.iso.to_str().unwrap();
    let arguments = [
        "-indev",
        &listing,
        "-check_media",
        "--",
        "-ls",
        "/",
        "--",
        "-osirrox",
        "on",
        "-extract",
        "/ovf-env.xml",
        target,
    ];
    let (names, said) = run("xorriso", &arguments, &written.iso);
    let names = String::from_utf8(names).unwrap();
    assert!(
        names.contains("'A second file with a longer name.text'"),
        "{names}"
    );
    assert!(said.contains("Volume id    : 'OVF ENV'"), "{said}");
    for word in ["WARNING", "SORRY", "FAILURE", "FATAL"] {
        assert!(!said.contains(word), "{said}");
    }
    assert_eq!(std::fs::read(out).unwrap(), written.content);
}

#[test]
fn bsdtar_lists_and_extracts() {
    let written = written();
    let listing = text("bsdtar", &["-tvf", "ISO"], &written.iso);
    let line = listing.lines().find(|line| line.ends_with(" ovf-env.xml"));
    let line = line.unwrap_or_else(|| panic!("{listing}"));
    assert!(
        line.starts_with("-r--r--r--") && line.contains(" 5000 Feb 29  2024"),
        "{line}"
    );
    let content = run("bsdtar", &["-xOf", "ISO", "ovf-env.xml"], &written.iso).0;
    assert_eq!(content, written.content);
}

#[test]
fn our_own_reader_lists_and_reads() {
    let written = written();
    let iso = IsoImage::open(&written.iso).unwrap();
    let names: Vec<_> = iso.files().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    for (name, content) in [
        ("ovf-env.xml", &written.content[..]),
        ("A second file with a longer name.text", b"second\n"),
        ("empty", b""),
    ] {
        let file = iso.files().iter().find(|file| file.path == name);
        let file = file.unwrap_or_else(|| panic!("{name}: {names:?}"));
        assert_eq!(iso.read(file, 10_000).unwrap(), content, "{name}");
    }
}
