//! What is no usable disk, or a dangerous one: real images, and the real qemu-img.

#![allow(clippy::unwrap_used)] // a test fails by panicking

mod support;

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use refit_image::{Access, DiskSpec, Format, Image, ImageError, Options};

use support::*;

fn refused(path: &Path, access: Access) -> ImageError {
    Image::probe(&DiskSpec::new(path), access, &Options::default()).unwrap_err()
}

#[test]
fn bad_disks_get_a_clear_message() {
    let dir = directory();
    let at = |name: &str| dir.path().join(name);
    let write = |name: &str, bytes: &[u8]| fs::write(at(name), bytes).unwrap();
    assert!(matches!(
        refused(&at("none"), Access::Read),
        ImageError::Missing { .. }
    ));
    assert!(matches!(
        refused(dir.path(), Access::Read),
        ImageError::NotAFile { .. }
    ));
    assert!(matches!(
        refused(Path::new("/dev/null"), Access::Read),
        ImageError::NotAFile { .. }
    ));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        at("pipe"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    assert!(matches!(
        refused(&at("pipe"), Access::Read),
        ImageError::NotAFile { .. }
    ));
    write("empty", b"");
    assert!(matches!(
        refused(&at("empty"), Access::Read),
        ImageError::Empty { .. }
    ));
    write("text", b"I am no disk\n");
    assert!(matches!(
        refused(&at("text"), Access::Read),
        ImageError::NotADisk { .. }
    ));
    write("image.gz", &[&[0x1f, 0x8b][..], &[0; 1022]].concat());
    assert!(
        refused(&at("image.gz"), Access::Read)
            .to_string()
            .contains("gzip")
    );
    write("noise", &[0x42, 0x01].repeat(4096));
    assert!(
        refused(&at("noise"), Access::Read)
            .to_string()
            .contains("--format raw")
    );
    let noise = DiskSpec {
        path: at("noise"),
        format: Some(Format::Raw),
    };
    Image::probe(&noise, Access::Write, &Options::default()).unwrap();
    let noise = DiskSpec {
        path: at("noise"),
        format: Some(Format::Qcow2),
    };
    let error = Image::probe(&noise, Access::Read, &Options::default()).unwrap_err();
    assert!(
        matches!(error, ImageError::FormatMismatch { .. }),
        "{error}"
    );
    write("noise.vmdk", &[0x42, 0x01].repeat(4096));
    assert!(matches!(
        refused(&at("noise.vmdk"), Access::Read),
        ImageError::FormatMismatch { .. }
    ));
    qemu_img(&[
        "create",
        "-q",
        "-f",
        "qed",
        at("qed").to_str().unwrap(),
        "1M",
    ]);
    assert!(
        refused(&at("qed"), Access::Read)
            .to_string()
            .contains("QED")
    );

    let stream = disk(dir.path(), "stream.vmdk", "vmdk:streamOptimized");
    Image::probe(&DiskSpec::new(&stream), Access::Read, &Options::default()).unwrap();
    let error = refused(&stream, Access::Write);
    assert!(error.to_string().contains("streamOptimized"), "{error}");

    let read_only = disk(dir.path(), "ro.img", "raw");
    fs::set_permissions(&read_only, fs::Permissions::from_mode(0o444)).unwrap();
    Image::probe(
        &DiskSpec::new(&read_only),
        Access::Read,
        &Options::default(),
    )
    .unwrap();
    assert!(matches!(
        refused(&read_only, Access::Write),
        ImageError::ReadOnly { .. }
    ));
}

#[test]
fn truncated_images_are_seen() {
    for kind in FORMATS {
        let dir = directory();
        let path = disk(dir.path(), &name_for(kind), kind);
        // The flat formats have their data elsewhere, or are raw.
        let data = match kind {
            "vmdk:monolithicFlat" => continue,
            "vmdk:twoGbMaxExtentSparse" => dir.path().join("vmdk-twoGbMaxExtentSparse-s001.vmdk"),
            _ => path.clone(),
        };
        let length = fs::metadata(&data).unwrap().len();
        for keep in [length / 4, 700, 30] {
            if kind == "raw" && keep > 512 && keep.is_multiple_of(512) {
                continue; // a shorter raw disk is a raw disk; see the next test
            }
            fs::File::options()
                .write(true)
                .open(&data)
                .unwrap()
                .set_len(keep)
                .unwrap();
            let error = refused(&path, Access::Read);
            let expected = matches!(
                error,
                ImageError::Damaged { .. }
                    | ImageError::NotADisk { .. }
                    | ImageError::FormatMismatch { .. }
            );
            assert!(expected, "{kind} cut to {keep}: {error}");
        }
    }
}

#[test]
fn a_raw_disk_with_a_partition_beyond_its_end_is_truncated() {
    let dir = directory();
    let path = disk(dir.path(), "disk.img", "raw");
    let mut bytes = fs::read(&path).unwrap();
    bytes[446 + 4] = 0x83;
    bytes[446 + 12..446 + 16].copy_from_slice(&100_000u32.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(
        refused(&path, Access::Read),
        ImageError::Damaged { .. }
    ));
    let given = DiskSpec {
        path,
        format: Some(Format::Raw),
    };
    Image::probe(&given, Access::Read, &Options::default()).unwrap();
}

#[test]
fn what_an_image_refers_to_must_be_its_own() {
    let dir = directory();
    let outside = directory();
    let secret = disk(outside.path(), "secret.img", "raw");
    let own = disk(dir.path(), "base.img", "raw");
    let image = dir.path().join("disk.qcow2");
    let name = image.to_str().unwrap();
    let create = |backing: &str, format: &str| {
        qemu_img(&[
            "create", "-q", "-u", "-f", "qcow2", "-F", format, "-b", backing, name, "8M",
        ]);
    };
    let link = dir.path().join("link.img");
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    let hostile = [
        secret.to_str().unwrap().to_owned(),
        "/etc/shadow".into(),
        format!(
            "./../{}/secret.img",
            outside.path().file_name().unwrap().to_str().unwrap()
        ),
        "link.img".into(),
        "nbd://127.0.0.1/x".into(),
        "json:{\"driver\":\"file\",\"filename\":\"/etc/shadow\"}".into(),
        "file:/etc/shadow".into(),
    ];
    for backing in hostile {
        create(&backing, "raw");
        let error = refused(&image, Access::Read);
        assert!(
            matches!(error, ImageError::Reference { .. }),
            "{backing}: {error}"
        );
    }
    let trusting = Options {
        allow_outside: true,
    };
    create(secret.to_str().unwrap(), "raw");
    let found = Image::probe(&DiskSpec::new(&image), Access::Write, &trusting).unwrap();
    assert_eq!(found.chain(), [image.clone(), secret.clone()]);

    create("base.img", "raw");
    let found = Image::probe(&DiskSpec::new(&image), Access::Write, &Options::default()).unwrap();
    assert_eq!(found.chain(), [image.clone(), own.clone()]);
    // Two layers, the lower one leading out.
    let top = dir.path().join("top.qcow2");
    create(secret.to_str().unwrap(), "raw");
    qemu_img(&[
        "create",
        "-q",
        "-u",
        "-f",
        "qcow2",
        "-F",
        "qcow2",
        "-b",
        "disk.qcow2",
        top.to_str().unwrap(),
        "8M",
    ]);
    assert!(matches!(
        refused(&top, Access::Read),
        ImageError::Reference { .. }
    ));
    // A loop.
    create("top.qcow2", "qcow2");
    assert!(matches!(
        refused(&top, Access::Read),
        ImageError::Damaged { .. }
    ));
    // No format recorded (the header extension 0xe2792aca removed): qemu would guess.
    create("base.img", "raw");
    let mut bytes = fs::read(&image).unwrap();
    let magic = [0xe2, 0x79, 0x2a, 0xca];
    let at = bytes.windows(4).position(|window| window == magic).unwrap();
    bytes[at..at + 4].copy_from_slice(b"xxxx");
    fs::write(&image, bytes).unwrap();
    assert!(matches!(
        refused(&image, Access::Read),
        ImageError::Unsupported { .. }
    ));

    let data = dir.path().join("data.raw");
    let option = format!("data_file={}", data.to_str().unwrap());
    qemu_img(&["create", "-q", "-f", "qcow2", "-o", &option, name, "8M"]);
    assert!(
        refused(&image, Access::Read)
            .to_string()
            .contains("external data file")
    );

    let vmdk = dir.path().join("hostile.vmdk");
    let nested = "RW\n16384 FLAT\n\"/etc/shadow\" 0";
    for extent in [
        "RW 16384 FLAT \"/etc/shadow\" 0",
        nested,
        "RW 16384 FLAT \"nbd://127.0.0.1/x\" 0",
        "RW 16384 FLAT \"link.img\" 0",
    ] {
        let text = format!(
            "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n\
             createType=\"monolithicFlat\"\n{extent}\n"
        );
        fs::write(&vmdk, text).unwrap();
        let error = refused(&vmdk, Access::Read);
        assert!(
            matches!(error, ImageError::Reference { .. }),
            "{extent}: {error}"
        );
    }
}

#[test]
fn a_disk_has_one_sector_at_least() {
    let dir = directory();
    let short = dir.path().join("short");
    fs::write(&short, b"\x01\x02\x03").unwrap();
    let none = dir.path().join("none.qcow2");
    qemu_img(&["create", "-q", "-f", "qcow2", none.to_str().unwrap(), "0"]);
    for (path, format) in [(short, Some(Format::Raw)), (none, None)] {
        let spec = DiskSpec { path, format };
        let error = Image::probe(&spec, Access::Read, &Options::default()).unwrap_err();
        assert!(
            error.to_string().contains("less than one sector"),
            "{error}"
        );
    }
}

#[test]
fn a_raw_disk_that_looks_like_qcow2_is_not_believed() {
    let dir = directory();
    let decoy = dir.path().join("decoy");
    qemu_img(&["create", "-q", "-f", "qcow2", decoy.to_str().unwrap(), "8M"]);
    let header = fs::read(&decoy).unwrap();
    // With the boot sector's signature, or with a name that says raw.
    for (name, signature) in [("disk.img", true), ("disk.raw", false)] {
        let path = disk(dir.path(), name, "raw");
        let mut bytes = fs::read(&path).unwrap();
        bytes[..500].copy_from_slice(&header[..500]);
        if !signature {
            bytes[510..512].fill(0);
        }
        fs::write(&path, &bytes).unwrap();
        let error = refused(&path, Access::Read);
        assert!(
            matches!(error, ImageError::Ambiguous { .. }),
            "{name}: {error}"
        );
        let spec = DiskSpec {
            path: path.clone(),
            format: Some(Format::Raw),
        };
        let found = Image::probe(&spec, Access::Write, &Options::default()).unwrap();
        assert_eq!(
            (found.format(), found.virtual_size()),
            (Format::Raw, bytes.len() as u64),
            "{name}"
        );
    }
}

#[test]
fn a_path_that_qemu_cannot_carry() {
    let dir = directory();
    let path = dir.path().join(std::ffi::OsStr::from_bytes(b"\xff.img"));
    fs::rename(disk(dir.path(), "plain", "raw"), &path).unwrap();
    let error = Image::probe(&DiskSpec::new(path), Access::Read, &Options::default()).unwrap_err();
    assert!(matches!(error, ImageError::Name { .. }), "{error}");
}

#[test]
fn a_read_only_file_system_can_be_read() {
    let dir = directory();
    let path = disk(dir.path(), "disk.img", "raw");
    let bind = ["-o", "bind,ro", dir.path().to_str().unwrap()];
    let Some(_mount) = Mount::new(&bind, dir.path()) else {
        return;
    };
    Image::probe(&DiskSpec::new(&path), Access::Read, &Options::default()).unwrap();
    let error = refused(&path, Access::Write);
    assert!(
        error
            .to_string()
            .contains("file system or device is read-only"),
        "{error}"
    );
}

#[test]
fn a_file_behind_a_loop_device_is_in_use() {
    let dir = directory();
    let path = disk(dir.path(), "disk.img", "raw");
    let output = Command::new("losetup")
        .args(["--find", "--show"])
        .arg(&path)
        .output();
    let device = match output {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).unwrap(),
        other => {
            eprintln!("skipped: losetup: {other:?}");
            return;
        }
    };
    let device = PathBuf::from(device.trim());
    let on_file = Image::probe(&DiskSpec::new(&path), Access::Read, &Options::default());
    let on_device = Image::probe(&DiskSpec::new(&device), Access::Read, &Options::default());
    Command::new("losetup")
        .arg("-d")
        .arg(&device)
        .status()
        .unwrap();
    let error = on_file.unwrap_err().to_string();
    assert!(error.contains(device.to_str().unwrap()), "{error}");
    assert!(on_device.unwrap().is_block_device());
}

#[test]
fn a_reader_needs_no_writer_and_a_writer_nobody() {
    let dir = directory();
    let path = disk(dir.path(), "disk.img", "raw");
    for read_only in [false, true] {
        let socket = dir.path().join("socket");
        let mut nbd = Command::new("qemu-nbd");
        nbd.args(["-f", "raw", "-t", "-k"]).arg(&socket).arg(&path);
        if read_only {
            nbd.arg("-r");
        }
        let mut nbd = nbd.spawn().unwrap();
        wait_for(&socket);
        let spec = DiskSpec::new(&path);
        let write = Image::probe(&spec, Access::Write, &Options::default());
        let read = Image::probe(&spec, Access::Read, &Options::default());
        let id = nbd.id();
        nbd.kill().unwrap();
        nbd.wait().unwrap();
        let _ = fs::remove_file(socket);
        let message = write.unwrap_err().to_string();
        assert!(
            message.contains(&format!("qemu-nbd (process {id})")),
            "{message}"
        );
        assert_eq!(read.is_ok(), read_only, "{read:?}");
    }
}
