use super::*;

const RELEASE: &str = "6.1.0-18-amd64";

/// A `newc` archive of regular files, or links if there is a target.
fn archive(entries: &[(&str, Option<&str>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut entry = |name: &str, mode: usize, content: &[u8]| {
        out.extend_from_slice(b"070701");
        for field in [
            1,
            mode,
            0,
            0,
            1,
            0,
            content.len(),
            0,
            0,
            0,
            0,
            name.len() + 1,
            0,
        ] {
            out.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(4), 0);
    };
    for (name, target) in entries {
        match target {
            Some(target) => entry(name, 0o120_777, target.as_bytes()),
            None => entry(name, 0o100_644, b"content"),
        }
    }
    entry("TRAILER!!!", 0, b"");
    out
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(content, flate2::Compression::fast());
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

fn read(image: &[u8]) -> anyhow::Result<Initramfs> {
    Initramfs::of(image, SIZE_LIMIT, RELEASE, &BTreeSet::new())
}

#[test]
fn every_archive_of_an_image_counts() {
    let mut image = archive(&[("kernel/x86/microcode/GenuineIntel.bin", None)]);
    image.resize(image.len().next_multiple_of(512), 0);
    image.extend(gzip(&archive(&[
        ("./lib", Some("usr/lib")),
        ("usr/lib/systemd/systemd-udevd", None),
        (
            "usr/lib/modules/6.1.0-18-amd64/kernel/fs/ext4/ext4.ko.xz",
            None,
        ),
        ("usr/lib/modules/6.1.0-18-amd64/modules.dep", None),
        ("etc/lib/modules/6.1.0-18-amd64/kernel/no.ko", None),
        ("usr/lib/modules/6.1.0-18-amd64/../../up.ko", None),
    ])));
    image.resize(image.len().next_multiple_of(4) + 4, 0);
    image.extend(archive(&[(
        "usr/lib/modules/6.1.0-18-amd64/kernel/virtio-blk.ko",
        None,
    )]));
    let found = read(&image).unwrap();
    assert!(found.coldplug && found.fixed_list.is_none());
    let packed = &found.modules[RELEASE];
    assert_eq!(
        packed.dir,
        GuestPath::new("/usr/lib/modules/6.1.0-18-amd64")
    );
    let paths: Vec<_> = packed.paths.iter().collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert_eq!(packed.paths["ext4"], "kernel/fs/ext4/ext4.ko.xz");
    assert_eq!(packed.paths["virtio_blk"], "kernel/virtio-blk.ko");
    assert_eq!(found.bare(RELEASE), Some(false));
    assert_eq!(found.bare("5.10"), None);
    assert_eq!(
        found.modules_dir("5.10"),
        GuestPath::new("/usr/lib/modules/5.10")
    );
}

#[test]
fn reading_ends_once_enough_was_seen() {
    let mut image = archive(&[("lib/modules/6.1.0-18-amd64/a.ko", None)]);
    image.extend_from_slice(b"what follows is never looked at");
    let enough = BTreeSet::from(["a".to_owned()]);
    assert!(Initramfs::of(image.as_slice(), SIZE_LIMIT, RELEASE, &enough).is_ok());
    assert!(read(&image).is_err());
}

#[test]
fn initramfs_made_for_a_fixed_list_of_modules_are_known() {
    let files = [("bin/nash", None), ("lib/virtio-blk.ko", None)];
    let nash = read(&archive(&files)).unwrap();
    assert!(nash.fixed_list.is_some());
    assert!(nash.loose.contains("virtio_blk"));
    let suse = read(&gzip(&archive(&[("run_all.sh", None)]))).unwrap();
    assert!(suse.fixed_list.is_some());
}

#[test]
fn what_is_no_initramfs_is_an_error_that_says_so() {
    let long_name = {
        let mut image = archive(&[("a", None)]);
        image[94..102].copy_from_slice(b"ffffffff");
        image
    };
    let cut = archive(&[("some/name", None)]);
    for (image, words) in [
        (b"hsqs squashfs".to_vec(), "neither a cpio archive"),
        (gzip(b"not a cpio archive, although it has the length of one; it takes more than a hundred and ten bytes, which this has"), "continues with"),
        (gzip(b"short"), "ends early"),
        (cut[..100].to_vec(), "ends early"),
        (cut[..120].to_vec(), "ends early"),
        (long_name, "a name has 4294967295 bytes"),
        (gzip(&cut)[..60].to_vec(), "unpacking Gzip"),
    ] {
        let error = format!("{:#}", read(&image).unwrap_err());
        assert!(error.contains(words), "{error} instead of {words}");
    }
}

#[test]
fn a_bomb_is_left_alone() {
    let mut bomb = archive(&[("zeros", None)]);
    bomb.truncate(116);
    bomb[54..62].copy_from_slice(b"ffffffff");
    bomb.resize(10_000_000, 0);
    let image = gzip(&bomb);
    assert!(image.len() < 100_000);
    let error = Initramfs::of(image.as_slice(), 9_000_000, RELEASE, &BTreeSet::new()).unwrap_err();
    assert!(
        format!("{error:#}").contains("unpacks to more"),
        "{error:#}"
    );
    let error = read(&image).unwrap_err();
    assert!(
        format!("{error:#}").contains("a file ends early"),
        "{error:#}"
    );
}
