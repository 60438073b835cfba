//! What is no usable disk, or a dangerous one.

use std::{env, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use refit_engine::disks::{Access, DiskError, DiskSpec, Format, Image, Options, Overlays};

use crate::support::*;

pub fn refused(path: &Path, access: Access) -> DiskError {
    Image::probe(&DiskSpec::new(path), access, &Options::default()).unwrap_err()
}

#[test]
fn bad_disks_get_a_clear_message() {
    let dir = directory();
    let at = |name: &str| dir.path().join(name);
    let write = |name: &str, bytes: &[u8]| fs::write(at(name), bytes).unwrap();
    assert!(matches!(
        refused(&at("none"), Access::Read),
        DiskError::Missing { .. }
    ));
    assert!(matches!(
        refused(dir.path(), Access::Read),
        DiskError::NotAFile { .. }
    ));
    assert!(matches!(
        refused(Path::new("/dev/null"), Access::Read),
        DiskError::NotAFile { .. }
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
        DiskError::NotAFile { .. }
    ));
    write("empty", b"");
    assert!(matches!(
        refused(&at("empty"), Access::Read),
        DiskError::Empty { .. }
    ));
    write("text", b"I am no disk\n");
    assert!(matches!(
        refused(&at("text"), Access::Read),
        DiskError::NotADisk { .. }
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
    assert!(matches!(error, DiskError::FormatMismatch { .. }), "{error}");
    write("noise.vmdk", &[0x42, 0x01].repeat(4096));
    assert!(matches!(
        refused(&at("noise.vmdk"), Access::Read),
        DiskError::FormatMismatch { .. }
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
        DiskError::ReadOnly { .. }
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
                DiskError::Damaged { .. }
                    | DiskError::NotADisk { .. }
                    | DiskError::FormatMismatch { .. }
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
        DiskError::Damaged { .. }
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
            matches!(error, DiskError::Reference { .. }),
            "{backing}: {error}"
        );
    }
    let trusting = Options {
        allow_outside: true,
        ..Options::default()
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
        DiskError::Reference { .. }
    ));
    // A loop.
    create("top.qcow2", "qcow2");
    assert!(matches!(
        refused(&top, Access::Read),
        DiskError::Damaged { .. }
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
        DiskError::Unsupported { .. }
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
            matches!(error, DiskError::Reference { .. }),
            "{extent}: {error}"
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
            matches!(error, DiskError::Ambiguous { .. }),
            "{name}: {error}"
        );
        let spec = DiskSpec {
            path: path.clone(),
            format: Some(Format::Raw),
        };
        let overlays = Overlays::create(&[spec], &Options::default()).unwrap();
        change(&overlays);
        overlays.commit(&mut |_| ()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), changed(&bytes), "{name}");
    }
}

#[test]
fn without_qemu_img_the_message_says_so() {
    let dir = directory();
    let path = disk(dir.path(), "disk.img", "raw");
    let mut child = Command::new(env::current_exe().unwrap());
    let disks = arguments(&["hold"], &[path]);
    let output = child
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, disks.join("\n"))
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && text.contains("QemuImgMissing"),
        "{text}"
    );
}
