//! The commit of overlays, killed at every step and at random, and what bad disks get: on real images with
//! the real qemu-img.
//!
//! A commit that is to be killed runs in a process of its own: this test binary, started again with
//! [`CHILD`] in its environment, which makes [`child`] (a test that does nothing otherwise) do the work.

use std::{
    env, fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use refit_engine::disks::{
    Access, DiskError, DiskSpec, Format, Image, Options, Overlays, PendingKind, Recovered, Step,
    pending, recover,
};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
/// `commit STEP DISK...`, `hold DISK...` or `recover DISK...`, separated by newlines.
const CHILD: &str = "REFIT_TEST_CHILD";

/// A directory for disks; beside the build, because /tmp may be small or in memory.
fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn qemu_img(arguments: &[&str]) {
    let output = Command::new("qemu-img").args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "qemu-img {arguments:?}: {stderr}");
}

fn qemu_io(image: &Path, format: &str, command: &str) {
    let mut qemu_io = Command::new("qemu-io");
    let output = qemu_io
        .args(["-f", format, "-c", command])
        .arg(image)
        .output()
        .unwrap();
    // qemu-io exits with 0 although a write failed; then it says so.
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("wrote"),
        "{command}: {text}"
    );
}

/// A raw disk with an MBR, filled with 0x11 from 1 MiB to 3 MiB.
fn raw_disk(path: &Path, size: u64) {
    let mut file = fs::File::create(path).unwrap();
    let mut sector = [0; 512];
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    file.write_all(&sector).unwrap();
    file.set_len(size).unwrap();
    qemu_io(path, "raw", "write -P 0x11 1M 2M");
}

fn disk(directory: &Path, name: &str, format: &str) -> PathBuf {
    let raw = directory.join("source");
    raw_disk(&raw, 8 * MIB);
    let path = directory.join(name);
    let (raw_name, name) = (raw.to_str().unwrap(), path.to_str().unwrap());
    match format.split_once(':') {
        Some((format, kind)) => {
            let kind = format!("subformat={kind}");
            qemu_img(&[
                "convert", "-f", "raw", "-O", format, "-o", &kind, raw_name, name,
            ]);
        }
        None => qemu_img(&["convert", "-f", "raw", "-O", format, raw_name, name]),
    }
    fs::remove_file(raw).unwrap();
    path
}

/// What a guest would read, whatever the format.
fn content(path: &Path, format: &str) -> Vec<u8> {
    let out = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let raw = out.path().join("raw");
    qemu_img(&[
        "convert",
        "-f",
        format,
        "-O",
        "raw",
        path.to_str().unwrap(),
        raw.to_str().unwrap(),
    ]);
    fs::read(raw).unwrap()
}

fn specs(disks: &[PathBuf]) -> Vec<DiskSpec> {
    disks.iter().map(DiskSpec::new).collect()
}

fn open(disks: &[PathBuf]) -> Overlays {
    Overlays::create(&specs(disks), &Options::default()).unwrap()
}

/// What is left beside the disks.
fn leftovers(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".refit-"))
        .collect()
}

/// The change that the tests make: some of it where the base has data, some where it has none.
fn change(overlays: &Overlays) {
    for image in overlays.images() {
        qemu_io(image, "qcow2", "write -P 0x55 2M 2M");
        qemu_io(image, "qcow2", "write -P 0x66 6M 1k");
    }
}

fn changed(old: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    new[2 << 20..4 << 20].fill(0x55);
    new[6 << 20..(6 << 20) + 1024].fill(0x66);
    new
}

fn spawn(arguments: &[String]) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, arguments.join("\n"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn arguments(first: &[&str], disks: &[PathBuf]) -> Vec<String> {
    let disks = disks.iter().map(|disk| disk.to_str().unwrap().to_owned());
    first
        .iter()
        .map(|word| (*word).to_owned())
        .chain(disks)
        .collect()
}

/// The other process; see the head of this file.
#[test]
fn child() {
    let Ok(command) = env::var(CHILD) else { return };
    let mut words = command.lines();
    match words.next() {
        Some("commit") => {
            let step = words.next().unwrap().to_owned();
            let disks: Vec<_> = words.map(PathBuf::from).collect();
            let overlays = open(&disks);
            change(&overlays);
            let mut abort_at = |now: Step| {
                if format!("{now:?}") == step {
                    std::process::abort();
                }
            };
            overlays.commit(&mut abort_at).unwrap();
        }
        Some("large") => {
            let overlays = open(&words.map(PathBuf::from).collect::<Vec<_>>());
            for image in overlays.images() {
                qemu_io(image, "qcow2", "write -P 0x77 16M 64M");
            }
            // The test kills us from here on.
            let mark = overlays
                .bases()
                .next()
                .unwrap()
                .path()
                .with_extension("ready");
            fs::write(mark, "").unwrap();
            overlays.commit(&mut |_| ()).unwrap();
        }
        Some("hold") => {
            let overlays = open(&words.map(PathBuf::from).collect::<Vec<_>>());
            let mark = overlays
                .bases()
                .next()
                .unwrap()
                .path()
                .with_extension("ready");
            fs::write(mark, "").unwrap();
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        Some("recover") => {
            let disks: Vec<_> = words.map(PathBuf::from).collect();
            recover(&disks, &Options::default()).unwrap();
        }
        other => panic!("{other:?}"),
    }
}

fn wait_for(mark: &Path) {
    for _ in 0..3000 {
        if mark.exists() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{} did not appear", mark.display());
}

/// Waits until an orphaned qemu-img gave its lock back.
fn wait_until_free(disk: &Path) {
    for _ in 0..3000 {
        match pending(disk, &Options::default()).unwrap() {
            Some(found) if found.kind == PendingKind::Busy => {
                thread::sleep(Duration::from_millis(20));
            }
            _ => return,
        }
    }
    panic!("{} stays locked", disk.display());
}

const FORMATS: [&str; 10] = [
    "raw",
    "qcow2",
    "vmdk",
    "vmdk:monolithicFlat",
    "vmdk:twoGbMaxExtentSparse",
    "vhdx",
    "vdi",
    "vdi",
    "vpc",
    "vpc:fixed",
];

fn name_for(kind: &str) -> String {
    let format = kind.split(':').next().unwrap();
    let extension = if format == "vpc" { "vhd" } else { format };
    format!("{}.{extension}", kind.replace(':', "-"))
}

#[test]
fn every_format_is_committed_or_left_alone() {
    for kind in FORMATS {
        let dir = directory();
        let format = kind.split(':').next().unwrap();
        let path = disk(dir.path(), &name_for(kind), kind);
        let old = content(&path, format);
        let before = fs::read(&path).unwrap();

        let overlays = open(std::slice::from_ref(&path));
        let base = overlays.bases().next().unwrap();
        assert_eq!(base.format().as_str(), format, "{kind}");
        assert_eq!(base.virtual_size(), old.len() as u64, "{kind}");
        change(&overlays);
        overlays.discard().unwrap();
        assert_eq!(fs::read(&path).unwrap(), before, "{kind}: discarded");

        let overlays = open(std::slice::from_ref(&path));
        change(&overlays);
        overlays.commit(&mut |_| ()).unwrap();
        assert_eq!(content(&path, format), changed(&old), "{kind}: committed");
        assert!(leftovers(dir.path()).is_empty(), "{kind}");
    }
}

#[test]
fn the_steps_come_in_order_and_unchanged_disks_are_skipped() {
    let dir = directory();
    let disks = [
        disk(dir.path(), "a.qcow2", "qcow2"),
        disk(dir.path(), "b.img", "raw"),
    ];
    let overlays = open(&disks);
    let second = overlays.images().nth(1).unwrap().to_owned();
    qemu_io(&second, "qcow2", "write -P 1 0 512");
    let before = fs::metadata(&disks[0]).unwrap().modified().unwrap();
    let mut steps = Vec::new();
    overlays.commit(&mut |step| steps.push(step)).unwrap();
    let expected = [
        Step::Flushed,
        Step::Prepared { disk: 0 },
        Step::Prepared { disk: 1 },
        Step::Committing,
        Step::Copying { disk: 1 },
        Step::Copied { disk: 1 },
        Step::Committed,
        Step::Removed { disk: 1 },
        Step::Removed { disk: 0 },
    ];
    assert_eq!(steps, expected);
    assert_eq!(fs::metadata(&disks[0]).unwrap().modified().unwrap(), before);
}

/// Dies at each step with 1 and 3 disks, in different formats; recovered from any of the disks.
#[test]
fn killed_at_each_step() {
    for kinds in [&["qcow2"][..], &["raw", "qcow2", "vmdk"]] {
        let dir = directory();
        let make = || -> Vec<PathBuf> {
            let name = |index, kind: &str| format!("disk{index}.{kind}");
            let kinds = kinds.iter().enumerate();
            kinds
                .map(|(index, kind)| disk(dir.path(), &name(index, kind), kind))
                .collect()
        };
        let mut steps = Vec::new();
        let disks = make();
        let old: Vec<_> = disks
            .iter()
            .zip(kinds)
            .map(|(disk, kind)| content(disk, kind))
            .collect();
        let overlays = open(&disks);
        change(&overlays);
        overlays.commit(&mut |step| steps.push(step)).unwrap();
        assert!(steps.len() > 6);
        let point = steps
            .iter()
            .position(|step| *step == Step::Committing)
            .unwrap();

        for (number, step) in steps.iter().enumerate() {
            let disks = make();
            let bytes: Vec<_> = disks.iter().map(|disk| fs::read(disk).unwrap()).collect();
            let mut killed = spawn(&arguments(&["commit", &format!("{step:?}")], &disks));
            assert!(
                !killed.wait().unwrap().success(),
                "{step:?}: was not reached"
            );

            let past = number >= point;
            let written = *step == Step::Committed || matches!(step, Step::Removed { .. });
            let from = number % disks.len();
            let found = pending(&disks[from], &Options::default()).unwrap();
            let removed = matches!(step, Step::Removed { disk } if *disk <= from);
            let expected = if removed {
                None
            } else if past && !written {
                Some(PendingKind::Commit)
            } else {
                Some(PendingKind::Leftover)
            };
            assert_eq!(
                found.map(|found| found.kind),
                expected,
                "{step:?} from {from}"
            );
            if past && !written {
                let refused = Overlays::create(&specs(&disks), &Options::default()).unwrap_err();
                assert!(
                    matches!(refused, DiskError::Interrupted { .. }),
                    "{refused}"
                );
            }
            if !past {
                for (disk, bytes) in disks.iter().zip(&bytes) {
                    assert_eq!(&fs::read(disk).unwrap(), bytes, "{step:?}: not the old one");
                }
            }
            // From one disk of the run, then from all: the second finds nothing left to do.
            recover(&disks[from..=from], &Options::default()).unwrap();
            let rest = recover(&disks, &Options::default()).unwrap();
            assert!(rest.finished.is_empty() || removed, "{step:?}: {rest:?}");
            for ((disk, kind), old) in disks.iter().zip(kinds).zip(&old) {
                let expected = if past { changed(old) } else { old.clone() };
                assert!(
                    content(disk, kind) == expected,
                    "{step:?}: {}",
                    disk.display()
                );
            }
            assert!(leftovers(dir.path()).is_empty(), "{step:?}");
            let clean = recover(&disks, &Options::default()).unwrap();
            assert_eq!(
                clean,
                Recovered {
                    clean: disks,
                    ..Recovered::default()
                }
            );
        }
    }
}

/// SIGKILL at random times while 64 MiB are written to each of two disks, then recoveries that are
/// killed as well.
#[test]
fn killed_at_random() {
    let dir = directory();
    let mut seed = u64::from(std::process::id());
    let mut random = |below: u64| {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) % below
    };
    for round in 0..10 {
        let disks = [dir.path().join("a.img"), dir.path().join("b.qcow2")];
        raw_disk(&disks[0], 96 * MIB);
        let names = disks.each_ref().map(|disk| disk.to_str().unwrap());
        qemu_img(&["convert", "-f", "raw", "-O", "qcow2", names[0], names[1]]);
        let old = fs::read(&disks[0]).unwrap();
        let mut new = old.clone();
        new[16 << 20..80 << 20].fill(0x77);

        let mark = disks[0].with_extension("ready");
        let _ = fs::remove_file(&mark);
        let mut killed = spawn(&arguments(&["large"], &disks));
        wait_for(&mark);
        let delay = round * 40 + random(40);
        thread::sleep(Duration::from_millis(delay));
        killed.kill().unwrap();
        killed.wait().unwrap();
        for _ in 0..3 {
            disks.iter().for_each(|disk| wait_until_free(disk));
            let mut killed = spawn(&arguments(&["recover"], &disks));
            thread::sleep(Duration::from_millis(random(100)));
            killed.kill().unwrap();
            killed.wait().unwrap();
        }
        disks.iter().for_each(|disk| wait_until_free(disk));
        recover(&disks, &Options::default()).unwrap();
        let first = fs::read(&disks[0]).unwrap();
        let second = content(&disks[1], "qcow2");
        assert!(
            first == old || first == new,
            "round {round}, {delay} ms: a is neither"
        );
        assert!(
            first == second,
            "round {round}, {delay} ms: not all or none"
        );
        qemu_img(&["check", "-q", "-f", "qcow2", names[1]]);
        assert!(leftovers(dir.path()).is_empty());
        eprintln!(
            "round {round}: killed after {delay} ms: {}",
            if first == old { "old" } else { "new" }
        );
    }
}

#[test]
fn one_refit_at_a_time() {
    let dir = directory();
    let disks = [disk(dir.path(), "disk.img", "raw")];
    let mut other = spawn(&arguments(&["hold"], &disks));
    wait_for(&disks[0].with_extension("ready"));
    let options = Options::default();
    let busy = |result: Result<(), DiskError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, DiskError::Busy { .. }), "{error}");
        assert!(
            error.to_string().contains(&other.id().to_string()),
            "{error}"
        );
    };
    busy(Overlays::create(&specs(&disks), &options).map(drop));
    busy(recover(&disks, &options).map(drop));
    assert_eq!(
        pending(&disks[0], &options).unwrap().unwrap().kind,
        PendingKind::Busy
    );

    // Killed: what it left harms nobody.
    other.kill().unwrap();
    other.wait().unwrap();
    let found = pending(&disks[0], &options).unwrap().unwrap();
    assert!(found.is_harmless(), "{found}");
    open(&disks).discard().unwrap();
    assert_eq!(pending(&disks[0], &options).unwrap(), None);
    assert!(leftovers(dir.path()).is_empty());
}

#[test]
fn a_dropped_overlay_leaves_nothing() {
    let dir = directory();
    let disks = [disk(dir.path(), "disk.img", "raw")];
    let before = fs::read(&disks[0]).unwrap();
    let overlays = open(&disks);
    change(&overlays);
    drop(overlays);
    assert_eq!(fs::read(&disks[0]).unwrap(), before);
    assert!(leftovers(dir.path()).is_empty());
}

#[test]
fn a_base_that_others_change_or_use_is_not_written() {
    let dir = directory();
    let disks = [
        disk(dir.path(), "a.img", "raw"),
        disk(dir.path(), "b.qcow2", "qcow2"),
    ];
    let overlays = open(&disks);
    change(&overlays);
    qemu_io(&disks[1], "qcow2", "write -P 9 0 512");
    let before = [fs::read(&disks[0]).unwrap(), fs::read(&disks[1]).unwrap()];
    let error = overlays.commit(&mut |_| ()).unwrap_err();
    assert!(
        matches!(error, DiskError::Changed { .. }) && !error.base_may_have_changed(),
        "{error}"
    );
    assert_eq!(
        [fs::read(&disks[0]).unwrap(), fs::read(&disks[1]).unwrap()],
        before
    );
    assert!(leftovers(dir.path()).is_empty());

    for read_only in [false, true] {
        let socket = dir.path().join("socket");
        let mut nbd = Command::new("qemu-nbd");
        nbd.args(["-f", "raw", "-t", "-k"])
            .arg(&socket)
            .arg(&disks[0]);
        if read_only {
            nbd.arg("-r");
        }
        let mut nbd = nbd.spawn().unwrap();
        wait_for(&socket);
        let spec = DiskSpec::new(&disks[0]);
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

    let mut writer = Command::new("qemu-io");
    let writer = writer
        .args(["-f", "qcow2"])
        .arg(&disks[1])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let overlays = open(&disks);
    change(&overlays);
    let mut writer = writer.spawn().unwrap();
    thread::sleep(Duration::from_millis(500));
    let error = overlays.commit(&mut |_| ()).unwrap_err();
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(matches!(error, DiskError::InUse { .. }), "{error}");
    assert_eq!(fs::read(&disks[0]).unwrap(), before[0]);
}

#[test]
fn hostile_names_are_only_names() {
    let names = [
        "nbd:x",
        "-f",
        "--help",
        "json:{}",
        "a b",
        "a,b=c",
        "file:x",
        "nbd://host/x",
        "%s\n$(true)`x`",
        "\"q'",
        "..img",
        "host_device:x",
        "ünïcode",
    ];
    for name in names {
        let dir = directory();
        let name = name.replace('/', "_");
        let raw = disk(dir.path(), "plain", "raw");
        let old = fs::read(&raw).unwrap();
        let path = dir.path().join(&name);
        fs::rename(raw, &path).unwrap();
        let overlays = open(std::slice::from_ref(&path));
        assert!(overlays.images().all(|image| image.is_absolute()));
        change(&overlays);
        overlays.commit(&mut |_| ()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), changed(&old), "{name}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{name}");
    }
    use std::os::unix::ffi::OsStrExt;
    let dir = directory();
    let path = dir.path().join(std::ffi::OsStr::from_bytes(b"\xff.img"));
    fs::rename(disk(dir.path(), "plain", "raw"), &path).unwrap();
    let error = Image::probe(&DiskSpec::new(path), Access::Read, &Options::default()).unwrap_err();
    assert!(matches!(error, DiskError::Name { .. }), "{error}");
}

fn refused(path: &Path, access: Access) -> DiskError {
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
fn a_disk_is_given_once() {
    let dir = directory();
    let path = disk(dir.path(), "disk.img", "raw");
    let hard = dir.path().join("hard.img");
    fs::hard_link(&path, &hard).unwrap();
    let top = dir.path().join("top.qcow2");
    qemu_img(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        path.to_str().unwrap(),
        top.to_str().unwrap(),
    ]);
    for other in [&path, &hard, &top] {
        for disks in [[path.clone(), other.clone()], [other.clone(), path.clone()]] {
            let error = Overlays::create(&specs(&disks), &Options::default()).unwrap_err();
            assert!(
                matches!(error, DiskError::Duplicate { .. }),
                "{disks:?}: {error}"
            );
        }
    }
    assert!(leftovers(dir.path()).is_empty());
}

/// State that somebody planted beside an image must not make recover write elsewhere.
#[test]
fn planted_state_is_refused() {
    let dir = directory();
    let disks = [
        disk(dir.path(), "a.img", "raw"),
        disk(dir.path(), "b.img", "raw"),
    ];
    let mut killed = spawn(&arguments(&["commit", "Committing"], &disks));
    assert!(!killed.wait().unwrap().success());
    let victim = disk(dir.path(), "victim.img", "raw");
    let before: Vec<_> = [&disks[0], &disks[1], &victim]
        .map(|path| fs::read(path).unwrap())
        .into();
    let state = dir.path().join(".refit-b.img");
    let overlay = state.join("overlay.qcow2");

    let saved = fs::read(&overlay).unwrap();
    let (overlay_name, victim_name) = (overlay.to_str().unwrap(), victim.to_str().unwrap());
    qemu_img(&[
        "rebase",
        "-u",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        victim_name,
        overlay_name,
    ]);
    let error = recover(&disks, &Options::default()).unwrap_err();
    assert!(matches!(error, DiskError::State { .. }), "{error}");

    fs::remove_file(&overlay).unwrap();
    let error = recover(&disks, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");

    fs::rename(&disks[1], dir.path().join("elsewhere")).unwrap();
    fs::write(&overlay, &saved).unwrap();
    let error = recover(&disks[..1], &Options::default()).unwrap_err();
    assert!(matches!(error, DiskError::Missing { .. }), "{error}");
    fs::rename(dir.path().join("elsewhere"), &disks[1]).unwrap();

    let first = dir.path().join(".refit-a.img");
    fs::rename(&first, dir.path().join("hidden")).unwrap();
    let error = recover(&disks[1..], &Options::default()).unwrap_err();
    assert!(error.to_string().contains("a.img"), "{error}");
    assert!(pending(&disks[1], &Options::default()).is_err());
    fs::rename(dir.path().join("hidden"), &first).unwrap();

    let after: Vec<_> = [&disks[0], &disks[1], &victim]
        .map(|path| fs::read(path).unwrap())
        .into();
    assert!(before == after, "a refused recovery wrote");
    let done = recover(&disks, &Options::default()).unwrap();
    assert_eq!(done.finished, disks);
    assert_eq!(fs::read(&disks[1]).unwrap(), changed(&before[1]));
}

/// A mount that goes away with the test.
struct Mount(PathBuf);

impl Mount {
    /// None, with the reason printed, where mounting is not possible.
    fn new(arguments: &[&str], target: &Path) -> Option<Self> {
        let output = Command::new("mount")
            .args(arguments)
            .arg(target)
            .output()
            .ok()?;
        if output.status.success() {
            return Some(Self(target.into()));
        }
        eprintln!(
            "skipped: mount {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_file_system_is_seen_before_the_commit() {
    let dir = directory();
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"], dir.path()) else {
        return;
    };
    let state = directory();
    let options = Options {
        state_dir: Some(state.path().into()),
        ..Options::default()
    };
    for kind in ["raw", "qcow2"] {
        let path = disk(dir.path(), "disk", kind);
        let before = fs::read(&path).unwrap();
        let filler = dir.path().join("filler");
        fs::write(&filler, vec![1; 5 << 20]).unwrap();

        let overlays = Overlays::create(&specs(std::slice::from_ref(&path)), &options).unwrap();
        change(&overlays);
        let error = overlays.commit(&mut |_| ()).unwrap_err();
        assert!(
            matches!(error, DiskError::NoSpace { .. }),
            "{kind}: {error}"
        );
        assert_eq!(fs::read(&path).unwrap(), before, "{kind}");

        // What is allocated already needs no space.
        let overlays = Overlays::create(&specs(std::slice::from_ref(&path)), &options).unwrap();
        qemu_io(
            overlays.images().next().unwrap(),
            "qcow2",
            "write -P 0x22 1M 2M",
        );
        overlays.commit(&mut |_| ()).unwrap();
        fs::remove_file(filler).unwrap();
        fs::remove_file(path).unwrap();
    }
    drop(mount);
}

/// The file system fills up after the check: the commit stops in the middle, and can be finished.
#[test]
fn a_commit_that_fails_in_the_middle_is_finished_later() {
    let dir = directory();
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "size=16m", "tmpfs"], dir.path()) else {
        return;
    };
    let state = directory();
    let options = Options {
        state_dir: Some(state.path().into()),
        ..Options::default()
    };
    let disks = [
        disk(dir.path(), "a.qcow2", "qcow2"),
        disk(dir.path(), "b.img", "raw"),
    ];
    let old = [content(&disks[0], "qcow2"), content(&disks[1], "raw")];
    let filler = dir.path().join("filler");
    let overlays = Overlays::create(&specs(&disks), &options).unwrap();
    change(&overlays);
    let error = overlays
        .commit(&mut |step| {
            if step == (Step::Copied { disk: 0 }) {
                let mut file = fs::File::create(&filler).unwrap();
                while file.write_all(&[1; 4096]).is_ok() {}
            }
        })
        .unwrap_err();
    assert!(error.base_may_have_changed(), "{error}");
    assert!(error.to_string().contains("refit recover"), "{error}");
    assert_eq!(
        pending(&disks[1], &options).unwrap().unwrap().kind,
        PendingKind::Commit
    );
    assert!(
        recover(&disks, &options)
            .unwrap_err()
            .base_may_have_changed()
    );
    fs::remove_file(filler).unwrap();
    assert_eq!(recover(&disks, &options).unwrap().finished, disks);
    assert!(content(&disks[0], "qcow2") == changed(&old[0]));
    assert!(content(&disks[1], "raw") == changed(&old[1]));
    drop(mount);
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

/// A directory that takes no new entries (immutable, so that root meets it, too): the state goes to /var/tmp.
#[test]
fn state_goes_elsewhere_if_the_directory_is_closed() {
    let dir = directory();
    let path = disk(dir.path(), "disk.img", "raw");
    let old = fs::read(&path).unwrap();
    let chattr = |flag: &str| Command::new("chattr").arg(flag).arg(dir.path()).status();
    if !chattr("+i").is_ok_and(|status| status.success()) {
        eprintln!("skipped: chattr +i does not work here");
        return;
    }
    let result = Overlays::create(&specs(std::slice::from_ref(&path)), &Options::default());
    let place = result
        .as_ref()
        .ok()
        .and_then(|overlays| overlays.images().next())
        .map(Path::to_owned);
    let result = result.and_then(|overlays| {
        change(&overlays);
        overlays.commit(&mut |_| ())
    });
    chattr("-i").unwrap();
    result.unwrap();
    assert!(place.unwrap().starts_with("/var/tmp"));
    assert_eq!(fs::read(&path).unwrap(), changed(&old));
}

#[test]
fn loop_devices_are_seen_and_used() {
    let dir = directory();
    let path = disk(dir.path(), "disk.img", "raw");
    let old = fs::read(&path).unwrap();
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
    let on_device = Overlays::create(&specs(std::slice::from_ref(&device)), &Options::default())
        .and_then(|overlays| {
            change(&overlays);
            assert!(overlays.images().all(|image| image.starts_with("/var/tmp")));
            overlays.commit(&mut |_| ())
        });
    Command::new("losetup")
        .arg("-d")
        .arg(&device)
        .status()
        .unwrap();
    let error = on_file.unwrap_err();
    assert!(
        error.to_string().contains(device.to_str().unwrap()),
        "{error}"
    );
    on_device.unwrap();
    assert_eq!(fs::read(&path).unwrap(), changed(&old));
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
