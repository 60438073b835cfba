//! Copies of whole images, by the real qemu-img.

#![allow(clippy::unwrap_used)] // helpers of tests may panic too

#[expect(dead_code, reason = "other tests need more of it")]
mod support;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use refit_image::{Format, ImageError, Member, Piece, copy, qemu};
use support::{MIB, directory, qemu_img, qemu_io};

fn wanted() -> bool {
    false
}

#[test]
fn a_vmdk_inside_an_archive_is_read_where_it_lies() {
    let dir = directory();
    let at = |name: &str| dir.path().join(name);
    let raw = at("disk.img");
    File::create(&raw).unwrap().set_len(64 * MIB).unwrap();
    qemu_io(&raw, "raw", "write -P 7 5M 3M");
    let vmdk = at("disk.vmdk");
    qemu_img(&[
        "convert",
        "-O",
        "vmdk",
        "-o",
        "subformat=streamOptimized",
        raw.to_str().unwrap(),
        vmdk.to_str().unwrap(),
    ]);
    let content = fs::read(&vmdk).unwrap();
    // A name that would need quoting in any option of qemu's.
    let archive = at("a, \"b\" :c.ova");
    let mut file = File::create(&archive).unwrap();
    file.write_all(&[b'x'; 1536]).unwrap();
    file.write_all(&content).unwrap();
    file.write_all(b"KDMV and more").unwrap();
    let member = Member::probe(&archive, "disk.vmdk", 1536, content.len() as u64).unwrap();
    assert_eq!(member.virtual_size(), 64 * MIB);

    // As a conversion does it: through an overlay that has changes of its own.
    let overlay = at("overlay.qcow2");
    qemu::create(&overlay, member.filename(), Format::Vmdk, None).unwrap();
    qemu_io(&overlay, "qcow2", "write -P 9 20M 1M");
    qemu_io(&raw, "raw", "write -P 9 20M 1M");
    for format in [Format::Qcow2, Format::Raw] {
        let target = at("target");
        let mut percents = Vec::new();
        copy(
            (&overlay, Format::Qcow2),
            (&target, format),
            &mut |percent| percents.push(percent),
            &wanted,
        )
        .unwrap();
        assert!(percents.is_sorted(), "{percents:?}");
        assert_eq!(percents.last(), Some(&100));
        let used = fs::metadata(&target).unwrap().blocks() * 512;
        assert!(used < 8 * MIB, "sparse: {used}");
        qemu_img(&[
            "compare",
            "-f",
            "raw",
            "-F",
            format.as_str(),
            raw.to_str().unwrap(),
            target.to_str().unwrap(),
        ]);
    }
}

#[test]
fn an_archives_disk_that_may_refer_to_others_is_refused() {
    let dir = directory();
    let archive = dir.path().join("x.ova");
    let probe = |content: &[u8]| {
        fs::write(&archive, content).unwrap();
        Member::probe(&archive, "d.vmdk", 0, content.len() as u64)
            .unwrap_err()
            .to_string()
    };
    let text = b"# Disk DescriptorFile\nversion=1\nRW 8 FLAT \"/etc/passwd\" 0\n";
    let mut descriptor = text.to_vec();
    descriptor.resize(4096, 0);
    assert!(probe(&descriptor).contains("unpack the archive"));
    // A sparse header of capacity 0, whose embedded descriptor names the data.
    let mut embedded = b"KDMV\x01\0\0\0\x03\0\0\0".to_vec();
    embedded.resize(4096, 0);
    assert!(probe(&embedded).contains("unpack the archive"));
    assert!(probe(b"KDMV").contains("damaged or truncated"));

    // A snapshot: its descriptor names the disk under it.
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    qemu_img(&["create", "-q", "-f", "vmdk", &path("base.vmdk"), "8M"]);
    qemu_img(&[
        "create",
        "-q",
        "-f",
        "vmdk",
        "-F",
        "vmdk",
        "-b",
        &path("base.vmdk"),
        &path("top.vmdk"),
    ]);
    let top = fs::read(path("top.vmdk")).unwrap();
    let message = probe(&top);
    assert!(message.contains("snapshot of another"), "{message}");
    // Cut off in the middle.
    let message = probe(&top[..1024]);
    assert!(message.contains("x.ova (d.vmdk)"), "{message}");
}

#[test]
fn a_copy_ends_when_it_is_not_wanted_or_finds_no_room() {
    let dir = directory();
    let source = dir.path().join("source.img");
    File::create(&source).unwrap().set_len(256 * MIB).unwrap();
    qemu_io(&source, "raw", "write -P 1 0 128M");
    let target = dir.path().join("target.qcow2");
    let stop = AtomicBool::new(false);
    let error = copy(
        (&source, Format::Raw),
        (&target, Format::Qcow2),
        &mut |_| stop.store(true, Ordering::Relaxed),
        &|| stop.load(Ordering::Relaxed),
    )
    .unwrap_err();
    assert!(matches!(error, ImageError::Cancelled { .. }), "{error}");

    let error = copy(
        (&source, Format::Raw),
        (Path::new("/dev/full"), Format::Raw),
        &mut |_| {},
        &wanted,
    )
    .unwrap_err();
    assert!(matches!(error, ImageError::Qemu { .. }), "{error}");
}

#[test]
fn an_image_in_pieces_is_read_where_they_lie() {
    let dir = directory();
    let raw = dir.path().join("d.raw");
    let mut content = vec![0_u8; 3 << 20];
    for (index, byte) in content.iter_mut().enumerate().skip(1 << 20) {
        *byte = u8::try_from((index * index / 128) % 256).unwrap();
    }
    fs::write(&raw, &content).unwrap();
    let whole = dir.path().join("d.vmdk");
    let options = ["-o", "subformat=streamOptimized"];
    let [from, to] = [&raw, &whole].map(|path| path.to_str().unwrap());
    qemu_img(&[
        "convert", "-f", "raw", "-O", "vmdk", options[0], options[1], from, to,
    ]);
    let whole = fs::read(whole).unwrap();
    // In one file, behind something else and in the wrong order.
    let (size, path) = (512 * 100, dir.path().join("archive"));
    let mut archive = vec![0xaa; 1024];
    let mut pieces = Vec::new();
    for (number, piece) in whole
        .chunks(size)
        .enumerate()
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        let offset = archive.len() as u64;
        archive.extend_from_slice(piece);
        archive.resize(archive.len().next_multiple_of(512), 0);
        let size = piece.len() as u64;
        pieces.push((
            number,
            Piece {
                path: path.clone(),
                offset,
                size,
            },
        ));
    }
    pieces.sort_by_key(|(number, _)| *number);
    let pieces: Vec<Piece> = pieces.into_iter().map(|(_, piece)| piece).collect();
    assert!(pieces.len() > 2);
    fs::write(&path, archive).unwrap();
    let list = dir.path().join("list");
    let member = Member::probe_pieces(&pieces, "d.vmdk", &list).unwrap();
    assert_eq!(
        (member.format(), member.virtual_size()),
        (Format::Vmdk, 3 << 20)
    );
    let copied = dir.path().join("copied.raw");
    copy(
        (member.filename(), Format::Vmdk),
        (&copied, Format::Raw),
        &mut |_| {},
        &wanted,
    )
    .unwrap();
    assert!(fs::read(&copied).unwrap() == content, "the same bytes");
    let mut odd = pieces.clone();
    odd[0].size -= 1;
    let error = Member::probe_pieces(&odd, "d.vmdk", &list)
        .unwrap_err()
        .to_string();
    assert!(error.contains("cat NAME.0*"), "{error}");
    let error = Member::probe_pieces(&pieces[1..], "d.vmdk", &list)
        .unwrap_err()
        .to_string();
    assert!(error.contains("neither sparse VMDK nor qcow2"), "{error}");
}
