//! `image-converter` with the real qemu-img, and with stand-ins for it.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use refit_pod::image_converter;

const MIB: u64 = 1 << 20;

/// The arguments with which this program is started again as `image-converter`.
const ARGUMENTS: &str = "REFIT_TEST_ARGUMENTS";

fn qemu_img(args: &[&str]) {
    let status = Command::new("qemu-img").args(args).status().unwrap();
    assert!(status.success(), "qemu-img {args:?}");
}

/// What the guest wrote: something at both ends of a disk of 32 MiB.
fn content() -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(32 * MIB).unwrap()];
    for (index, byte) in bytes.iter_mut().take(100_000).enumerate() {
        *byte = u8::try_from(index % 251).unwrap();
    }
    bytes.iter_mut().rev().take(512).for_each(|byte| *byte = 9);
    bytes
}

fn qcow2(path: &Path) {
    let raw = path.with_extension("source");
    fs::write(&raw, content()).unwrap();
    let (raw, image) = (raw.to_str().unwrap(), path.to_str().unwrap());
    qemu_img(&["convert", "-f", "raw", "-O", "qcow2", raw, image]);
    fs::remove_file(raw).unwrap();
}

fn arguments(source: &Path, target: &Path, format: &str, mode: &str) -> [String; 10] {
    [
        "-src-path",
        source.to_str().unwrap(),
        "-dst-path",
        target.to_str().unwrap(),
        "-src-format",
        format,
        "-dst-format",
        "raw",
        "-volume-mode",
        mode,
    ]
    .map(str::to_owned)
}

fn convert(source: &Path, target: &Path, format: &str, mode: &str) -> ExitCode {
    image_converter(arguments(source, target, format, mode).into_iter())
}

/// Not a test by itself: the program, for those who need other variables than this process has.
#[test]
fn program() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let code = image_converter(arguments.lines().map(str::to_owned));
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

/// A directory whose `qemu-img` notes its arguments, and then does something.
struct StandIn(tempfile::TempDir);

impl StandIn {
    fn new(script: &str) -> Self {
        let stand_in = Self(tempfile::tempdir().unwrap());
        let program = stand_in.0.path().join("qemu-img");
        let log = stand_in.log();
        let script = format!(
            "#!/bin/sh\nset -eu\nlog='{}'\necho \"$*\" >> \"$log\"\n{script}\n",
            log.display()
        );
        // Not written here: a process that another test starts meanwhile would keep it open, and so from being run.
        let text = program.with_extension("text");
        fs::write(&text, script).unwrap();
        let mut install = Command::new("install");
        let status = install.arg(text).arg(program).status().unwrap();
        assert!(status.success());
        stand_in
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }

    /// Whether it succeeds, and what it says.
    fn convert(&self, source: &Path, target: &Path, format: &str, mode: &str) -> (bool, String) {
        let path = std::env::var("PATH").unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "program", "--nocapture"])
            .env("PATH", format!("{}:{path}", self.0.path().display()))
            .env(
                ARGUMENTS,
                arguments(source, target, format, mode).join("\n"),
            )
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.success(), said)
    }

    /// The copies that it was asked for.
    fn copies(&self) -> Vec<String> {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let copies = log.lines().filter(|line| line.starts_with("convert"));
        copies.map(str::to_owned).collect()
    }
}

#[test]
fn a_file_is_replaced_by_its_raw_form() {
    let directory = tempfile::tempdir().unwrap();
    // As in the pod, the second volume is another file system.
    let scratch = tempfile::tempdir_in("/dev/shm").unwrap();
    let (source, target) = (
        directory.path().join("disk.img"),
        scratch.path().join("disk.img"),
    );
    qcow2(&source);
    assert_eq!(
        convert(&source, &target, "qcow2", "Filesystem"),
        ExitCode::SUCCESS
    );
    assert!(fs::read(&source).unwrap() == content());
    assert!(!target.exists());
    // Raw is what it is, even if that looks like something else.
    qcow2(&source);
    let image = fs::read(&source).unwrap();
    assert_eq!(
        convert(&source, &target, "raw", "Filesystem"),
        ExitCode::SUCCESS
    );
    assert!(fs::read(&source).unwrap()[..image.len()] == image);
}

#[test]
fn without_a_volume_mode_the_source_stays() {
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (
        directory.path().join("disk.img"),
        directory.path().join("raw"),
    );
    qcow2(&source);
    let before = fs::read(&source).unwrap();
    assert_eq!(convert(&source, &target, "qcow2", ""), ExitCode::SUCCESS);
    assert!(fs::read(&source).unwrap() == before);
    assert!(fs::read(&target).unwrap() == content());
}

#[test]
fn formats_have_qemus_names_or_openstacks() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let raw = at("raw");
    fs::write(&raw, content()).unwrap();
    // refit does not work on the last one.
    for (qemus, given) in [
        ("vpc", "vhd"),
        ("vpc", "vpc"),
        ("vhdx", "vhdx"),
        ("qed", "qed"),
    ] {
        let (source, target) = (at("source"), at("target"));
        let (from, to) = (raw.to_str().unwrap(), source.to_str().unwrap());
        qemu_img(&["convert", "-f", "raw", "-O", qemus, from, to]);
        let code = convert(&source, &target, given, "Filesystem");
        assert_eq!(code, ExitCode::SUCCESS, "{given}");
        // A VHD has whole cylinders.
        assert!(
            fs::read(&source).unwrap().starts_with(&content()),
            "{given}"
        );
    }
    let real = StandIn::new("PATH=${PATH#*:}; exec qemu-img \"$@\"");
    let (is_success, said) = real.convert(&raw, &at("target"), "ploop", "Filesystem");
    assert!(!is_success);
    assert!(
        said.contains("the image format \"ploop\" is not supported"),
        "{said}"
    );
    assert!(fs::read(&raw).unwrap() == content());
}

#[test]
fn copies_are_those_of_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (source, target) = (at("source"), at("target"));
    let (from, to) = (source.display(), target.display());
    let copied = format!("convert -p -f qcow2 -O raw {from} {to}");
    let back = format!("convert -p -f raw -O raw {to} {from}");
    // Whatever there is to be looked at: qemu-img has the last word.
    let real = at("real");
    qcow2(&real);
    for (what, bytes) in [
        ("missing", None),
        ("another format", Some(vec![1; 4096])),
        (
            "what qemu-img says nonsense of",
            Some(fs::read(real).unwrap()),
        ),
    ] {
        for (mode, expected) in [
            ("Block", vec![copied.clone(), back.clone()]),
            ("Filesystem", vec![copied.clone()]),
            ("neither", vec![copied.clone()]),
        ] {
            let _ = fs::remove_file(&source);
            if let Some(bytes) = &bytes {
                fs::write(&source, bytes).unwrap();
            }
            let _ = fs::remove_file(&target);
            let stand_in =
                StandIn::new("[ $1 = convert ] || exit 0; for last; do :; done; echo new > $last");
            let (is_success, said) = stand_in.convert(&source, &target, "qcow2", mode);
            assert!(is_success, "{what} {mode}: {said}");
            assert!(
                said.contains("cannot be checked before it is converted"),
                "{what} {mode}: {said}"
            );
            assert_eq!(stand_in.copies(), expected, "{what} {mode}");
            assert_eq!(target.exists(), mode != "Filesystem", "{what} {mode}");
        }
    }
}

#[test]
fn a_target_that_was_not_made_replaces_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("source");
    fs::write(&source, "old").unwrap();
    let target = directory.path().join("target");
    let (is_success, said) = StandIn::new("").convert(&source, &target, "raw", "Filesystem");
    assert!(!is_success);
    let expected = format!("there is no {}", target.display());
    assert!(said.contains(&expected), "{said}");
    assert_eq!(fs::read(&source).unwrap(), b"old");
}

#[test]
fn a_source_that_cannot_be_converted_is_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (
        directory.path().join("disk.img"),
        directory.path().join("raw"),
    );
    // It is not what it is said to be.
    fs::write(&source, [1; 4096]).unwrap();
    for mode in ["Block", "Filesystem"] {
        assert_eq!(convert(&source, &target, "qcow2", mode), ExitCode::FAILURE);
        assert_eq!(fs::read(&source).unwrap(), [1; 4096]);
        assert!(!target.exists());
    }
    // It refers to a file of this host. That is seen even if qemu-img does not say so.
    fs::remove_file(&source).unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    secret.as_file().set_len(MIB).unwrap();
    let secret = secret.path().to_str().unwrap();
    qemu_img(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        secret,
        source.to_str().unwrap(),
    ]);
    assert_eq!(
        convert(&source, &target, "qcow2", "Filesystem"),
        ExitCode::FAILURE
    );
    assert!(!target.exists());
    let silent = StandIn::new("");
    let (is_success, said) = silent.convert(&source, &target, "qcow2", "Filesystem");
    assert!(!is_success && said.contains("backing file"), "{said}");
    assert!(silent.copies().is_empty());
    // The target cannot be written.
    fs::remove_file(&source).unwrap();
    qcow2(&source);
    let before = fs::read(&source).unwrap();
    let nowhere = directory.path().join("nowhere/disk.img");
    assert_eq!(
        convert(&source, &nowhere, "qcow2", "Filesystem"),
        ExitCode::FAILURE
    );
    assert!(fs::read(&source).unwrap() == before);
}

/// A loop device, which is gone at the end.
struct Device(String);

impl Device {
    fn new(file: &Path) -> Self {
        let output = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(file)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test]
fn a_block_device_is_overwritten_with_its_raw_form() {
    if !rustix::process::geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
        eprintln!("left out: there are no loop devices for us");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let device = |name: &str, size: u64| {
        let path = directory.path().join(name);
        File::create(&path).unwrap().set_len(size).unwrap();
        Device::new(&path)
    };
    let image = directory.path().join("image");
    qcow2(&image);
    let source = device("source", 33 * MIB);
    let target = device("target", 33 * MIB);
    let small = device("small", 31 * MIB);
    let source = Path::new(&source.0);
    fs::OpenOptions::new()
        .write(true)
        .open(source)
        .unwrap()
        .write_all_at(&fs::read(&image).unwrap(), 0)
        .unwrap();
    // It is seen before anything is written that the disk does not fit.
    assert_eq!(
        convert(source, Path::new(&small.0), "qcow2", "Block"),
        ExitCode::FAILURE
    );
    // A device that somebody has open is not flushed by whoever closes it: what reaches the file under it was synced.
    let target = Path::new(&target.0);
    let open = [source, target].map(|device| File::open(device).unwrap());
    let [under_target, seen] = ["target", "seen"].map(|name| directory.path().join(name));
    let real = StandIn::new(&format!(
        "[ $(grep -c ^convert \"$log\") != 2 ] || cp '{}' '{}'\nPATH=${{PATH#*:}}; exec qemu-img \"$@\"",
        under_target.display(),
        seen.display()
    ));
    let (is_success, said) = real.convert(source, target, "qcow2", "Block");
    assert!(is_success, "{said}");
    for file in [seen, directory.path().join("source")] {
        let raw = fs::read(&file).unwrap();
        assert_eq!(raw.len() as u64, 33 * MIB);
        assert!(raw.starts_with(&content()), "{}", file.display());
    }
    drop(open);
    assert!(fs::read(source).unwrap().starts_with(&content()));
}
