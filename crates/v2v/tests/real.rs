//! Runs of the real virt-v2v that are cheap: sources that fail early, and ends from outside.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use refit_v2v::{
    Accel, CancelToken, Capabilities, Conversion, ConvertError, ConvertOptions, Environment,
    ErrorKind, Event, InPlaceOptions, Input, Kind, Phase, Protocol, Tools, checks, run,
    run_in_place,
};

/// Only one appliance at a time.
static APPLIANCE: Mutex<()> = Mutex::new(());

struct Bench {
    dir: tempfile::TempDir,
    env: Environment,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        for name in ["out", "tmp"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let env = Environment::current()
            .with("LIBGUESTFS_BACKEND", "direct")
            .with("LIBGUESTFS_BACKEND_SETTINGS", "");
        Self { dir, env }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn sh(&self, script: &str) {
        let status = Command::new("bash")
            .args(["-ec", script])
            .current_dir(self.dir.path())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{script}");
    }

    fn options(&self, disk: &str) -> ConvertOptions {
        let input = Input::Disk {
            path: self.path(disk),
            format: None,
        };
        let mut options = ConvertOptions::new(input, self.path("out"), "guest");
        options.settings.tmpdir = Some(self.path("tmp"));
        options.settings.log = self.path("log");
        options.settings.accel = Accel::ForceTcg;
        options
    }

    fn run(&self, options: &ConvertOptions) -> (Result<Conversion, ConvertError>, Vec<Event>) {
        let mut events = Vec::new();
        let result = run(
            &Tools::find(&self.env),
            options,
            &mut |event| events.push(event),
            &CancelToken::default(),
        );
        (result, events)
    }

    fn fail(&self, disk: &str) -> ConvertError {
        self.run(&self.options(disk)).0.unwrap_err()
    }

    /// Nothing may be left by a run that failed.
    fn assert_clean(&self) {
        for name in ["out", "tmp"] {
            let left: Vec<_> = fs::read_dir(self.path(name))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            assert!(left.is_empty(), "{left:?}");
        }
        let running = self.processes();
        assert!(running.is_empty(), "still running: {running:?}");
    }

    /// Command lines of the processes that work in this directory. The appliance has its disk in
    /// the private temporary directory, so it is among them.
    fn processes(&self) -> Vec<String> {
        let mine = self.dir.path().to_string_lossy().into_owned();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .map(|arguments| String::from_utf8_lossy(&arguments).replace('\0', " "))
            .filter(|arguments| arguments.contains(&mine))
            .collect()
    }
}

fn alone() -> std::sync::MutexGuard<'static, ()> {
    APPLIANCE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[test]
fn probe_what_is_installed() {
    let env = Environment::current();
    let tools = Tools::find(&env);
    for kind in [Kind::Convert, Kind::InPlace, Kind::Inspector] {
        let found = Capabilities::probe(
            tools.get(kind).unwrap(),
            &Environment::current(),
            &CancelToken::default(),
        )
        .unwrap();
        assert!(found.version.at_least(2, 0, 0), "{found:?}");
        for mode in ["disk", "ova", "vmx", "libvirtxml"] {
            assert!(found.has_input(mode), "{kind:?} {mode}");
        }
        assert!(found.has_option("--root"));
        assert_eq!(
            found.has_output(found.local_output()),
            kind == Kind::Convert
        );
    }
    assert!(
        checks(&env)
            .iter()
            .any(|check| check.name == "nbdcopy" && check.found.is_some())
    );
}

#[test]
fn files_that_are_no_disks() {
    let bench = Bench::new();
    assert_eq!(bench.fail("missing.img").kind, ErrorKind::NotFound);
    File::create(bench.path("empty.img")).unwrap();
    assert_eq!(bench.fail("empty.img").kind, ErrorKind::NotADiskImage);
    assert_eq!(bench.fail("out").kind, ErrorKind::NotADiskImage);
    bench.sh("qemu-img create -q -f qcow2 -o preallocation=metadata whole.qcow2 64M; head -c 300000 whole.qcow2 >cut.qcow2; head -c 1000 whole.qcow2 >short.qcow2");
    assert_eq!(bench.fail("cut.qcow2").kind, ErrorKind::ImageBroken);
    assert_eq!(bench.fail("short.qcow2").kind, ErrorKind::ImageBroken);
    bench.assert_clean();
}

#[test]
fn an_image_that_another_process_writes() {
    let bench = Bench::new();
    bench.sh("qemu-img create -q -f qcow2 d.qcow2 64M; truncate -s 64M d.raw");
    for (disk, format) in [("d.qcow2", "qcow2"), ("d.raw", "raw")] {
        let drive = format!(
            "if=virtio,format={format},file={}",
            bench.path(disk).display()
        );
        let mut machine = Command::new("qemu-system-x86_64")
            .args([
                "-S",
                "-accel",
                "tcg",
                "-display",
                "none",
                "-nodefaults",
                "-qmp",
                "stdio",
                "-drive",
                &drive,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // An answer means that the machine is set up and its disk locked.
        let mut stdin = machine.stdin.take().unwrap();
        stdin
            .write_all(b"{\"execute\": \"qmp_capabilities\"}\n")
            .unwrap();
        let answers = BufReader::new(machine.stdout.take().unwrap()).lines();
        let ready = answers
            .map_while(Result::ok)
            .any(|line| line.contains("return"));
        let error = bench.fail(disk);
        // Before anything is asserted: a panic must not leave the machine behind.
        machine.kill().unwrap();
        machine.wait().unwrap();
        assert!(ready);
        assert_eq!(error.kind, ErrorKind::ImageInUse, "{error}");
    }
    bench.assert_clean();
}

#[test]
fn no_operating_system() {
    let _alone = alone();
    let bench = Bench::new();
    bench.sh("mke2fs -q -t ext4 d.img 32M");
    let before = fs::read(bench.path("d.img")).unwrap();
    let (result, events) = bench.run(&bench.options("d.img"));
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoOperatingSystem, "{error}");
    let phases: Vec<Phase> = events
        .iter()
        .filter_map(|event| match event {
            Event::Phase { phase, .. } => Some(*phase),
            _ => None,
        })
        .collect();
    assert!(
        phases.starts_with(&[Phase::Setup, Phase::Open]),
        "{phases:?}"
    );
    assert!(phases.contains(&Phase::Inspect), "{phases:?}");
    let log = String::from_utf8_lossy(&fs::read(error.log.unwrap()).unwrap()).into_owned();
    for part in [
        "refit| running",
        "out| [",
        "err| libguestfs: appliance is up",
        "msg| {",
        "No root device found",
    ] {
        assert!(log.contains(part), "{part}");
    }
    assert!(
        fs::read(bench.path("d.img")).unwrap() == before,
        "the source was changed"
    );
    bench.assert_clean();
}

/// What it says for people is understood as well, among all that it prints with -v -x.
#[test]
fn without_messages_for_machines() {
    let _alone = alone();
    let bench = Bench::new();
    bench.sh("mke2fs -q -t ext4 d.img 32M");
    let mut options = bench.options("d.img");
    options.settings.protocol = Protocol::Plain;
    let (result, events) = bench.run(&options);
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NoOperatingSystem, "{error}");
    for wanted in [Phase::Setup, Phase::Open, Phase::Inspect] {
        let is_wanted =
            |event: &Event| matches!(event, Event::Phase { phase, .. } if *phase == wanted);
        assert!(events.iter().any(is_wanted), "{wanted:?} in {events:?}");
    }
    bench.assert_clean();
}

#[test]
fn two_operating_systems_are_listed() {
    let _alone = alone();
    let bench = Bench::new();
    bench.sh(
        r#"for os in debian:12 fedora:39; do
            mkdir -p $os/etc $os/bin $os/usr $os/var $os/boot
            printf 'ID=%s\nVERSION_ID=%s\nPRETTY_NAME="The %s"\n' ${os%:*} ${os#*:} ${os%:*} >$os/etc/os-release
            echo '/dev/sda1 / ext4 defaults 0 1' >$os/etc/fstab
            mke2fs -q -t ext4 -d $os $os.img 32M
        done
        truncate -s 80M d.img
        printf 'label: dos\n2048,65536,L\n67584,65536,L\n' | sfdisk -q d.img
        dd if=debian:12.img of=d.img bs=1M seek=1 conv=notrunc status=none
        dd if=fedora:39.img of=d.img bs=1M seek=33 conv=notrunc status=none"#,
    );
    let error = bench.fail("d.img");
    let ErrorKind::SeveralOperatingSystems { roots } = &error.kind else {
        panic!("{error}");
    };
    let devices: Vec<&str> = roots.iter().map(|root| root.device.as_str()).collect();
    assert_eq!(devices, ["/dev/sda1", "/dev/sda2"]);
    assert_eq!(roots[1].product, "The fedora");
    bench.assert_clean();
}

/// A partition that starts as a BitLocker volume does, without anything in it: enough to be asked
/// for a key.
#[test]
fn a_bitlocker_volume_without_key() {
    let _alone = alone();
    let bench = Bench::new();
    bench.sh(
        r"truncate -s 40M d.img
        printf 'label: dos\n2048,65536,7\n' | sfdisk -q d.img
        put() { dd of=d.img bs=1 seek=$((1048576 + $1)) conv=notrunc status=none; }
        printf '\xeb\x58\x90-FVE-FS-\x00\x02' | put 0
        printf '\x00\x00\x01\0\0\0\0\0\x00\x00\x02\0\0\0\0\0\x00\x00\x03\0\0\0\0\0' | put 176
        printf '\x55\xaa' | put 510
        for at in 0x10000 0x20000 0x30000; do printf -- '-FVE-FS-\x40\x00\x02\x00' | put $at; done",
    );
    let error = bench.fail("d.img");
    assert_eq!(error.kind, ErrorKind::EncryptedNoKey, "{error}");
    assert!(error.advice().contains("--key"));
    bench.assert_clean();
}

#[test]
fn cancelling_leaves_nothing() {
    let _alone = alone();
    let bench = Bench::new();
    bench.sh("mke2fs -q -t ext4 d.img 32M");
    let cancel = CancelToken::default();
    let sockets_before = sockets();
    let opened = Arc::new(Mutex::new(false));
    let result = run(
        &Tools::find(&bench.env),
        &bench.options("d.img"),
        &mut |event| {
            if matches!(
                event,
                Event::Phase {
                    phase: Phase::Open,
                    ..
                }
            ) {
                *opened.lock().unwrap() = true;
                let cancel = cancel.clone();
                // Well into the launch, when qemu and nbdkit run.
                thread::spawn(move || {
                    thread::sleep(Duration::from_secs(4));
                    cancel.cancel();
                });
            }
        },
        &cancel,
    );
    assert!(*opened.lock().unwrap());
    assert_eq!(result.unwrap_err().kind, ErrorKind::Interrupted);
    bench.assert_clean();
    assert_eq!(new_sockets(&sockets_before), Vec::<PathBuf>::new());
}

/// qemu with a processor on which this test's guest stops right after the boot loader is as good
/// as one that never starts: a program that says nothing. The second attempt must use TCG.
#[test]
fn a_hung_appliance_is_started_again_without_kvm() {
    let _alone = alone();
    let bench = Bench::new();
    bench.sh("mke2fs -q -t ext4 d.img 32M");
    let wrapper = bench.path("qemu");
    let script = "#!/bin/sh\n\
        for arg; do case $arg in *accel=tcg*) exec qemu-system-x86_64 \"$@\";; esac; done\n\
        for arg; do case $arg in *guestfsd.sock*) exec sleep 600;; esac; done\n\
        exec qemu-system-x86_64 \"$@\"\n";
    fs::write(&wrapper, script).unwrap();
    bench.sh("chmod 755 qemu");
    let bench = Bench {
        env: bench.env.clone().with("LIBGUESTFS_HV", &wrapper),
        dir: bench.dir,
    };
    let mut options = bench.options("d.img");
    options.settings.accel = Accel::Auto;
    options.settings.launch_limit = Duration::from_secs(15);
    let (result, events) = bench.run(&options);
    let relaunches = events
        .iter()
        .filter(|event| matches!(event, Event::Relaunch(_)))
        .count();
    assert_eq!(relaunches, 1, "{events:?}");
    let error = result.unwrap_err();
    assert_eq!(
        error.kind,
        ErrorKind::NoOperatingSystem,
        "the second attempt came up: {error}"
    );
    bench.assert_clean();
}

/// With a /dev/kvm that works this converts nothing but shows that Auto is fine; where KVM is
/// broken, qemu fails or hangs and the second attempt must come up.
#[test]
fn automatic_acceleration_comes_up() {
    let _alone = alone();
    let bench = Bench::new();
    bench.sh("mke2fs -q -t ext4 d.img 32M");
    let mut options = bench.options("d.img");
    options.settings.accel = Accel::Auto;
    options.settings.launch_limit = Duration::from_secs(40);
    let (result, _) = bench.run(&options);
    assert_eq!(result.unwrap_err().kind, ErrorKind::NoOperatingSystem);
    bench.assert_clean();
}

fn sockets() -> Vec<PathBuf> {
    let entries = fs::read_dir("/tmp").unwrap().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| is_libguestfs(path))
        .collect()
}

fn new_sockets(before: &[PathBuf]) -> Vec<PathBuf> {
    let mut now = sockets();
    now.retain(|path| !before.contains(path));
    now
}

fn is_libguestfs(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("libguestfs"))
}

/// Names the directory in which the run below is to be killed.
const KILLED_BENCH: &str = "REFIT_V2V_KILLED_BENCH";

/// Not a test by itself: the process that the next test kills.
#[test]
#[ignore = "run by a_killed_refit_takes_virt_v2v_along"]
fn run_until_killed() {
    let Some(dir) = std::env::var_os(KILLED_BENCH).map(PathBuf::from) else {
        return;
    };
    let input = Input::Disk {
        path: dir.join("d.img"),
        format: None,
    };
    let mut options = ConvertOptions::new(input, dir.join("out"), "guest");
    options.settings.tmpdir = Some(dir.join("tmp"));
    options.settings.log = dir.join("log");
    options.settings.accel = Accel::ForceTcg;
    let tools = Tools::find(&Environment::current().with("LIBGUESTFS_BACKEND", "direct"));
    let _ = run(&tools, &options, &mut |_| {}, &CancelToken::default());
}

#[test]
fn a_killed_refit_takes_virt_v2v_along() {
    let _alone = alone();
    let bench = Bench::new();
    bench.sh("mke2fs -q -t ext4 d.img 32M");
    let mut refit = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "run_until_killed", "--ignored"])
        .env(KILLED_BENCH, bench.dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let sockets_before = sockets();
    let recorded = || {
        let scratch = fs::read_dir(bench.path("tmp")).unwrap().next()?.unwrap();
        fs::read_to_string(scratch.path().join("sockets")).ok()
    };
    wait_for("qemu starts", || {
        recorded().is_some_and(|list| !list.is_empty())
    });
    refit.kill().unwrap();
    refit.wait().unwrap();
    wait_for("everything ends", || bench.processes().is_empty());
    // The next run removes the directories that the killed one left.
    assert_eq!(fs::read_dir(bench.path("tmp")).unwrap().count(), 1);
    for dir in recorded().unwrap().lines() {
        fs::create_dir_all(dir).unwrap();
    }
    assert_eq!(bench.fail("d.img").kind, ErrorKind::NoOperatingSystem);
    bench.assert_clean();
    assert_eq!(new_sockets(&sockets_before), Vec::<PathBuf>::new());
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("not within a minute: {what}");
}

/// A whole conversion takes minutes, so it is done only for a disk that `REFIT_V2V_DISK` names.
#[test]
fn a_whole_conversion() {
    let Some(disk) = std::env::var_os("REFIT_V2V_DISK").map(PathBuf::from) else {
        println!("skipped: REFIT_V2V_DISK names no bootable Linux disk");
        return;
    };
    let _alone = alone();
    let bench = Bench::new();
    let mut options = bench.options("unused");
    options.input = Input::Disk {
        path: disk,
        format: None,
    };
    let (result, events) = bench.run(&options);
    let conversion = result.unwrap();
    assert_eq!(conversion.disks, [bench.path("out/guest-sda")]);
    assert!(conversion.xml.contains("<domain"), "{}", conversion.xml);
    assert_eq!(conversion.outcome.virtio, Some(true));
    assert!(
        conversion
            .outcome
            .timings
            .iter()
            .any(|timing| timing.phase == Phase::Convert && timing.seconds > 1.0)
    );
    let copied = events.iter().rev().find_map(|event| match event {
        Event::Copy {
            disk: 1,
            disks: 1,
            percent,
            bytes,
            total,
        } => Some((*percent, *bytes, *total)),
        _ => None,
    });
    let (percent, bytes, total) = copied.unwrap();
    assert_eq!(percent, 100);
    assert!(bytes.is_some() && bytes == total, "{bytes:?} of {total:?}");
    assert_eq!(fs::read_dir(bench.path("tmp")).unwrap().count(), 0);
}

/// A bootable Debian disk that is not to be written: made once, and used by the tests of the
/// whole, too. `None` if it cannot be made here.
fn bootable() -> Option<PathBuf> {
    if let Some(disk) = std::env::var_os("REFIT_V2V_DISK") {
        return Some(disk.into());
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cache = top.join("target/guests");
    fs::create_dir_all(&cache).unwrap();
    let lock = File::create(cache.join("debian.lock")).unwrap();
    lock.lock().unwrap();
    let disk = cache.join("debian.img");
    if !disk.exists() {
        let made = cache.join("debian.part");
        let status = Command::new(top.join("tests/guests/debian.sh"))
            .arg(&made)
            .status()
            .unwrap();
        if !status.success() {
            return None;
        }
        fs::rename(made, &disk).unwrap();
    }
    Some(disk)
}

#[test]
fn an_overlay_is_converted_in_place() {
    let Some(disk) = bootable() else {
        println!("skipped: no Debian disk can be made here (it needs root and mmdebstrap)");
        return;
    };
    let _alone = alone();
    let bench = Bench::new();
    bench.sh(&format!(
        "qemu-img create -q -f qcow2 -F raw -b {} overlay.qcow2",
        disk.canonicalize().unwrap().display()
    ));
    let mut settings = bench.options("unused").settings;
    settings.log = bench.path("log");
    let options = InPlaceOptions {
        input: Input::Disk {
            path: bench.path("overlay.qcow2"),
            format: Some("qcow2".into()),
        },
        output_xml: None,
        settings,
    };
    let modified = disk.metadata().unwrap().modified().unwrap();
    let empty = bench.path("overlay.qcow2").metadata().unwrap().len();
    let mut phases = Vec::new();
    let outcome = run_in_place(
        &Tools::find(&bench.env),
        &options,
        &mut |event| {
            if let Event::Phase { phase, .. } = event {
                phases.push(phase);
            }
        },
        &CancelToken::default(),
    )
    .unwrap();
    assert_eq!(outcome.virtio, Some(true));
    assert!(!outcome.relaunched);
    for phase in [Phase::Open, Phase::Inspect, Phase::Convert] {
        assert!(phases.contains(&phase), "{phase:?} in {phases:?}");
    }
    assert!(!phases.contains(&Phase::Copy) && !phases.contains(&Phase::Other));
    // A new initramfs alone takes megabytes.
    let full = bench.path("overlay.qcow2").metadata().unwrap().len();
    assert!(full > empty + (1 << 20), "{empty} to {full}");
    assert_eq!(disk.metadata().unwrap().modified().unwrap(), modified);
    bench.assert_clean();
}
