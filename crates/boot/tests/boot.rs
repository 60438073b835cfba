//! Boots real guests, under TCG so that it is the same everywhere. Needs root (the guest builder),
//! qemu, and a minute for each guest; so the tests run one after the other.

#![allow(clippy::unwrap_used)] // a test may die of what it did not expect

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use refit_boot::{
    AccelChoice, BootReport, DiskBus, DiskSpec, Error, FactsFrom, Hardware, ImageError,
    ImageOptions, Kvm, Login, NicSpec, Options, Outcome, boot, kvm,
};
use refit_machine::Firmware;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Two guests at once on a small machine only make each other slow.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A VMware-like guest, built anew (some seconds once its base is cached).
fn build_guest(dir: &TempDir, arguments: &[&str]) -> PathBuf {
    let disk = dir.path().join("guest.img");
    let builder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/debian.sh");
    let status = Command::new(builder)
        .arg(&disk)
        .args(arguments)
        .status()
        .unwrap();
    assert!(status.success(), "the guest builder failed");
    disk
}

fn options(disk: &Path) -> Options {
    let mut options = Options::new(vec![DiskSpec::new(disk)]);
    options.nics = vec![NicSpec {
        mac: Some("00:50:56:aa:bb:01".parse().unwrap()),
    }];
    options.accel = AccelChoice::Tcg;
    options.settle = Duration::from_secs(10);
    options.login = Some(Login {
        user: "root".into(),
        password: "refit".into(),
    });
    options
}

fn run(options: &Options) -> BootReport {
    let report = boot(options, &AtomicBool::new(false)).unwrap();
    println!("{}", serde_json::to_string_pretty(&report).unwrap());
    report
}

fn sha256(path: &Path) -> Vec<u8> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).unwrap();
    let mut chunk = vec![0; 1 << 20];
    loop {
        match file.read(&mut chunk).unwrap() {
            0 => return hash.finalize().to_vec(),
            n => hash.update(&chunk[..n]),
        }
    }
}

fn is_png(path: &Path) -> bool {
    std::fs::read(path)
        .unwrap()
        .starts_with(b"\x89PNG\r\n\x1a\n")
}

#[test]
fn a_guest_loses_its_network_in_the_move() {
    let _turn = one_at_a_time();
    let dir = TempDir::new().unwrap();
    let disk = build_guest(&dir, &["--hostname", "web1"]);
    let before = sha256(&disk);

    let mut vmware = options(&disk);
    vmware.hardware = Hardware::Vmware;
    vmware.run = vec![
        "echo \"it's $(id -u)\"; exit 3".into(),
        "cat /sys/class/dmi/id/product_name".into(),
    ];
    let report = run(&vmware);
    assert_eq!(report.outcome, Outcome::Login, "{}", report.message);
    assert_eq!(report.facts_from, Some(FactsFrom::Login));
    assert_eq!(report.hostname.as_deref(), Some("web1"));
    assert_eq!(report.root_device.as_deref(), Some("/dev/sda1"));
    assert!(
        report
            .kernel
            .is_some_and(|kernel| kernel.starts_with("6.1."))
    );
    assert_eq!(report.failed_units, Some(vec![]));
    let [nic] = &report.nics[..] else {
        panic!("{:?}", report.nics)
    };
    assert_eq!(
        (nic.name.as_str(), nic.state.as_str(), nic.driver.as_deref()),
        ("ens192", "up", Some("vmxnet3"))
    );
    assert_eq!(nic.mac, vmware.nics[0].mac);
    assert!(nic.addresses.contains(&"10.0.2.15/24".into()), "{nic:?}");
    assert!(
        report
            .routes
            .iter()
            .any(|route| route.starts_with("default via 10.0.2.2 dev ens192")),
        "{:?}",
        report.routes
    );
    let commands: Vec<_> = report
        .commands
        .iter()
        .map(|c| (c.status, c.output.as_str()))
        .collect();
    assert_eq!(
        commands,
        [(Some(3), "it's 0"), (Some(0), "VMware Virtual Platform")]
    );

    let mut virtio = options(&disk);
    virtio.screenshot = Some(dir.path().join("screen.png"));
    virtio.serial_log = Some(dir.path().join("serial.log"));
    let report = run(&virtio);
    assert_eq!(report.outcome, Outcome::Login, "{}", report.message);
    assert_eq!(report.root_device.as_deref(), Some("/dev/vda1"));
    let [nic] = &report.nics[..] else {
        panic!("{:?}", report.nics)
    };
    assert_ne!(nic.name, "ens192");
    assert_eq!(
        (nic.driver.as_deref(), nic.addresses.len()),
        (Some("virtio_net"), 0)
    );
    assert!(is_png(&dir.path().join("screen.png")));
    let log = std::fs::read_to_string(dir.path().join("serial.log")).unwrap();
    assert!(log.contains("web1 login:") && !log.contains('\u{1b}'));
    assert!(!log.contains("Password: refit"));

    assert_eq!(sha256(&disk), before, "the disk was written to");
}

#[test]
fn three_cards_under_uefi_and_a_missing_driver() {
    let _turn = one_at_a_time();
    let dir = TempDir::new().unwrap();
    let disk = build_guest(&dir, &["--fw", "uefi", "--nics", "3", "--net", "networkd"]);
    let mut options = options(&disk);
    options.firmware = Firmware::Uefi;
    options.hardware = Hardware::Vmware;
    options.nics = (1..=3)
        .map(|n| NicSpec {
            mac: format!("00:50:56:aa:bb:0{n}").parse().ok(),
        })
        .collect();
    let report = run(&options);
    assert_eq!(report.outcome, Outcome::Login, "{}", report.message);
    let seen: Vec<_> = report
        .nics
        .iter()
        .map(|nic| (nic.name.as_str(), nic.addresses[0].as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("ens192", "10.0.2.15/24"),
            ("ens224", "10.0.3.15/24"),
            ("ens256", "10.0.4.15/24")
        ]
    );

    // The wrong password is no failure of the boot, and a marker ends the wait.
    options.hardware = Hardware::Virtio;
    options.disk_bus = DiskBus::VirtioScsi;
    options.marker = Some("vmguest login:".into());
    options.login = Some(Login {
        user: "root".into(),
        password: "wrong".into(),
    });
    let report = run(&options);
    assert_eq!(report.outcome, Outcome::Marker, "{}", report.message);
    assert!(
        report.warnings[0].contains("refused the password"),
        "{:?}",
        report.warnings
    );

    // Debian's cloud kernel has no AHCI driver.
    options.disk_bus = DiskBus::Sata;
    let report = run(&options);
    assert_eq!(
        report.outcome,
        Outcome::InitramfsShell,
        "{}",
        report.message
    );
    assert!(report.message.contains("ALERT!"), "{}", report.message);
}

#[test]
fn nothing_to_boot_is_seen_in_seconds() {
    let _turn = one_at_a_time();
    let dir = TempDir::new().unwrap();
    let disk = dir.path().join("blank.img");
    File::create(&disk).unwrap().set_len(64 << 20).unwrap();
    for firmware in [Firmware::Bios, Firmware::Uefi] {
        let mut options = options(&disk);
        options.firmware = firmware;
        options.timeout = Duration::from_secs(120);
        options.screenshot = Some(dir.path().join("blank.png"));
        let report = run(&options);
        assert_eq!(
            report.outcome,
            Outcome::NoBootDevice,
            "{firmware:?}: {}",
            report.message
        );
        assert!(is_png(&dir.path().join("blank.png")));
        assert!(!report.console_tail.is_empty() || firmware == Firmware::Bios);
    }
}

#[test]
fn a_silent_guest_runs_into_the_time_limit() {
    let _turn = one_at_a_time();
    let dir = TempDir::new().unwrap();
    let disk = dir.path().join("loop.img");
    let mut sector = vec![0; 1 << 20];
    sector[..2].copy_from_slice(&[0xeb, 0xfe]); // jumps to itself
    sector[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&disk, sector).unwrap();
    let mut options = options(&disk);
    options.disk_bus = DiskBus::Sata;
    options.timeout = Duration::from_secs(4);
    let report = run(&options);
    assert_eq!(report.outcome, Outcome::Timeout);
    assert!(
        report.message.contains("console=ttyS0"),
        "{}",
        report.message
    );
}

/// Whether a qemu runs whose arguments name something in `dir`.
fn qemu_uses(dir: &Path) -> bool {
    let arguments = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    arguments
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .any(|text| text.starts_with("qemu") && text.contains(&*dir.to_string_lossy()))
}

#[test]
fn qemu_dies_with_us_even_by_kill_9() {
    let _turn = one_at_a_time();
    let dir = TempDir::new().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_silent_guest_runs_into_the_time_limit"])
        .env("TMPDIR", dir.path())
        .spawn()
        .unwrap();
    let wait_for = |state: bool| {
        let end = Instant::now() + Duration::from_secs(60);
        while qemu_uses(dir.path()) != state {
            assert!(Instant::now() < end, "qemu running: still not {state}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait_for(true);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for(false);
}

#[test]
fn a_disk_in_use_and_a_raised_flag() {
    let _turn = one_at_a_time();
    let dir = TempDir::new().unwrap();
    let disk = dir.path().join("disk.qcow2");
    let status = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2"])
        .arg(&disk)
        .arg("64M")
        .status()
        .unwrap();
    assert!(status.success());

    let cancel = AtomicBool::new(true);
    let begin = Instant::now();
    assert!(matches!(
        boot(&options(&disk), &cancel),
        Err(Error::Cancelled)
    ));
    assert!(begin.elapsed() < Duration::from_secs(10));

    cancel.store(false, Ordering::Relaxed);
    let mut writer = Command::new("qemu-io")
        .arg("--cmd=sleep 30000")
        .arg(&disk)
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let error = boot(&options(&disk), &cancel).unwrap_err();
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(
        matches!(error, Error::Image(ImageError::InUse { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("qemu-io (process"), "{error}");
}

#[test]
fn an_image_leads_elsewhere_only_if_allowed() {
    let _turn = one_at_a_time();
    let dir = TempDir::new().unwrap();
    let (base, top) = (dir.path().join("base"), dir.path().join("own/top.qcow2"));
    std::fs::create_dir(dir.path().join("own")).unwrap();
    File::create(&base).unwrap().set_len(64 << 20).unwrap();
    let status = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .args([&base, &top])
        .status()
        .unwrap();
    assert!(status.success());

    // Whoever is let in does not get far.
    let cancel = AtomicBool::new(true);
    let mut options = options(&top);
    let error = boot(&options, &cancel).unwrap_err();
    assert!(
        matches!(error, Error::Image(ImageError::Reference { .. })),
        "{error}"
    );
    options.image = ImageOptions {
        allow_outside: true,
    };
    let error = boot(&options, &cancel).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
}

#[test]
fn kvm_is_tried_not_believed() {
    let begin = Instant::now();
    let answer = kvm::probe(kvm::PROBE_TIMEOUT);
    assert!(begin.elapsed() < kvm::PROBE_TIMEOUT + Duration::from_secs(5));
    println!("{answer}");
    match answer {
        Kvm::Works => assert!(Path::new("/dev/kvm").exists()),
        Kvm::Missing(reason) | Kvm::Broken(reason) => assert!(!reason.is_empty()),
    }
}
