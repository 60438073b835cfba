//! `refit pod` on real guests with the real virt-v2v, driven by a stand-in for Forklift's controller.
//! Nothing tells it about KVM: that it opens and does not work here must be found out.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use refit_tests::{Controller, Loop, Migration, Pod, PodSpec, Provider, booted, guest, must, root};
use serde_json::Value;

const MAC: &str = "00:50:56:aa:bb:01";
const STATIC_IP: &str = "00:50:56:aa:bb:01:ip:10.0.2.15,10.0.2.2,24,10.0.2.3";

fn sha256(path: &Path) -> String {
    must(Command::new("sha256sum").arg(path)).unwrap()
}

fn migrate(spec: PodSpec, provider: Provider, disks: usize) -> (Pod, Migration) {
    let controller = Controller {
        provider,
        transfers: provider == Provider::Ova,
        disks,
        look_at: vec!["/report"],
    };
    let mut pod = spec.start().unwrap();
    let migration = controller.migrate(&mut pod).unwrap();
    (pod, migration)
}

/// Boots a disk of these, the first, and gives the report.
fn boot(disks: &[PathBuf]) -> Value {
    let report = booted(disks, &["--nic", MAC]);
    let nics = report["nics"].as_array().unwrap();
    let nic = nics.iter().find(|nic| nic["mac"] == MAC).unwrap();
    assert_eq!(nic["name"], "ens192", "{report:#}");
    assert!(
        nic["addresses"]
            .as_array()
            .unwrap()
            .contains(&"10.0.2.15/24".into()),
        "{report:#}"
    );
    report
}

/// A file of the guest's root file system, which is on the first partition.
fn guest_file(disk: &Path, path: &str) -> String {
    must(
        Command::new("debugfs")
            .args(["-R", &format!("cat {path}")])
            .arg(format!("{}?offset=1048576", disk.display())),
    )
    .unwrap()
}

fn blank(path: &Path, mib: u64) {
    File::create(path).unwrap().set_len(mib << 20).unwrap();
}

/// A system disk, one with a file system, and a block device; scripts of which one fails.
#[test]
fn three_disks_are_converted_in_place() {
    let mut spec = PodSpec::new().unwrap();
    let system = spec.disk(0).unwrap();
    let original = guest(&[]).unwrap();
    fs::rename(original.copy(spec.path()).unwrap(), &system).unwrap();
    let data = spec.disk(1).unwrap();
    blank(&data, 64);
    let content = tempfile::tempdir().unwrap();
    fs::write(content.path().join("kept"), "data\n").unwrap();
    must(
        Command::new("mkfs.ext4")
            .args(["-q", "-F", "-L", "data", "-d"])
            .args([content.path(), &data]),
    )
    .unwrap();
    let last = spec.path().join("block2.img");
    blank(&last, 64);
    let device = Loop::attach(&last).unwrap();
    spec.device(2, &device.numbers().unwrap());
    spec.volume(
        "/mnt/dynamic_scripts",
        &[
            (
                "10_linux_run_second.sh",
                "#!/bin/sh\ncat /etc/first > /etc/second\n",
            ),
            ("2_linux_run_first.sh", "#!/bin/sh\necho one > /etc/first\n"),
            (
                "3_linux_run_broken.sh",
                "#!/bin/sh\necho half > /etc/half\necho no such thing >&2\nexit 3\n",
            ),
            (
                "4_linux_firstboot_late.sh",
                "#!/bin/sh\necho ran > /var/lib/late\n",
            ),
        ],
    )
    .unwrap();
    spec.env("V2V_source", "ec2")
        .env("V2V_vmName", "web1")
        .env("V2V_inPlace", "1")
        .env("V2V_staticIPs", STATIC_IP)
        .env("LOCAL_MIGRATION", "true");
    let (pod, migration) = migrate(spec, Provider::Other, 3);
    let log = pod.log();
    assert_eq!(migration.exit, 0, "{log}");
    assert!(migration.fetched && migration.refused > 0);
    assert_eq!(
        migration.vm.as_ref().unwrap().status,
        204,
        "no YAML is made in place"
    );
    assert!(pod.path().join("var-tmp/v2v/inspection.xml").exists());

    assert_eq!(guest_file(&system, "/etc/second"), "one\n", "numbers count");
    let link = guest_file(&system, "/etc/systemd/network/10-refit-ens192.link");
    assert!(link.contains(MAC), "{link}");
    let broken: Vec<_> = migration
        .warnings
        .iter()
        .filter(|(_, message)| message.contains("script-3-linux-run-broken: "))
        .collect();
    assert_eq!(broken.len(), 1, "{:?}", migration.warnings);
    assert_eq!(broken[0].0, "CustomizationFailed");
    assert!(broken[0].1.contains("no such thing"), "{broken:?}");
    let half = must(
        Command::new("debugfs")
            .args(["-R", "stat /etc/half"])
            .arg(format!("{}?offset=1048576", system.display())),
    )
    .unwrap();
    assert!(
        !half.contains("Inode:"),
        "a script that fails changes nothing: {half}"
    );
    // virt-v2v mounts it to trim it, which is written down in it.
    let kept = must(Command::new("debugfs").args(["-R", "cat /kept"]).arg(&data)).unwrap();
    assert_eq!(kept, "data\n");
    must(Command::new("e2fsck").args(["-f", "-n"]).arg(&data)).unwrap();
    assert_nothing_left(&pod);

    drop(device);
    let report = boot(&[system, data, last]);
    assert_eq!(
        report["failed_units"],
        Value::Array(Vec::new()),
        "{report:#}"
    );
}

/// No overlay, nothing that was unpacked.
fn assert_nothing_left(pod: &Pod) {
    for (path, bytes) in pod.left_behind().unwrap() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            !name.ends_with(".qcow2") && !name.contains(".refit-") && bytes.len() < 16 << 20,
            "{} is left behind",
            path.display()
        );
    }
    for number in 0..3 {
        let dir = pod.path().join(format!("disk{number}"));
        let names: Vec<_> = fs::read_dir(dir)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(names.len() <= 1, "{names:?}");
    }
}

/// virt-v2v writes through the link into the volume, and the controller sees it copy. Nobody attaches a medium in a
/// cluster: what the appliance is to know of its deployment is in its guest.
#[test]
fn an_ova_is_copied_and_configures_itself() {
    let mut spec = PodSpec::new().unwrap();
    let target = spec.disk(0).unwrap();
    let original = guest(&["--kernel", "cloud-amd64", "--consumers", "all"]).unwrap();
    blank(&target, fs::metadata(original.disk()).unwrap().len() >> 20);
    let ova = spec.path().join("web1.ova");
    must(
        Command::new(root().join("tests/guests/ova.sh"))
            .arg(original.disk())
            .arg(&ova)
            .args(["--name", "Web_1", "--mac", MAC, "--products"])
            .arg(root().join("tests/guests/appliance-products.xml")),
    )
    .unwrap();
    let answers = spec.path().join("values.toml");
    fs::write(
        &answers,
        "[properties]\n\"guestinfo.hostname\" = \"onboarded\"\n\"app.mode\" = \"large\"\n",
    )
    .unwrap();
    let before = sha256(&ova);
    spec.bind(&ova, "/ova/web1.ova")
        .bind(&answers, "/mnt/ovf/values.toml")
        .env("V2V_source", "ova")
        .env("V2V_vmName", "Web_1")
        .env("V2V_NewName", "web-1")
        .env("V2V_diskPath", "/ova/web1.ova")
        .env("LOCAL_MIGRATION", "true");
    let (pod, migration) = migrate(spec, Provider::Ova, 1);
    assert_eq!(migration.exit, 0, "{}", pod.log());
    assert!(migration.fetched && migration.refused > 0 && migration.looks > 0);
    let progress = &migration.progress[&1];
    assert!(progress.len() > 1, "{progress:?}");
    assert_eq!(migration.firmware.as_deref(), Some("bios"));
    assert_eq!(migration.boot_disk, Some(0));
    let vm = migration.vm.as_ref().unwrap();
    assert_eq!(
        (vm.status, vm.content_type.as_deref()),
        (200, Some("text/yaml"))
    );
    let report = &migration.seen["/report"];
    assert_eq!(report.status, 200);
    assert_eq!(sha256(&pod.path().join("web1.ova")), before);
    assert_nothing_left(&pod);
    let booted = booted(
        &[pod.path().join("disk0/disk.img")],
        &[
            "--nic",
            MAC,
            "--run",
            "systemctl is-system-running --wait; cloud-init status --wait",
            "--run",
            "cat /root/from-vmtoolsd",
            "--run",
            "vmtoolsd --cmd 'info-get guestinfo.role'",
        ],
    );
    assert_eq!(booted["hostname"], "onboarded", "{booted:#}");
    let said = |index: usize| booted["commands"][index]["output"].as_str().unwrap();
    assert!(said(1).contains("mode=large"), "{booted:#}");
    assert!(said(2).contains("front & back"), "{booted:#}");
}

/// Each ends with 1, says why, and leaves every byte of the disk alone.
#[test]
fn failures_are_told_and_change_nothing() {
    type SetUp = fn(&mut PodSpec, &Path);
    let cases: [(&str, SetUp, &[&str]); 3] = [
        (
            "a disk without a system",
            |_, disk| blank(disk, 64),
            &["operating system"],
        ),
        ("a wrong key", encrypted, &["key"]),
        ("no room for overlays", no_room, &["space"]),
    ];
    for (name, set_up, words) in cases {
        let mut spec = PodSpec::new().unwrap();
        let disk = spec.disk(0).unwrap();
        set_up(&mut spec, &disk);
        let before = sha256(&disk);
        spec.env("V2V_source", "ec2")
            .env("V2V_vmName", "web1")
            .env("V2V_inPlace", "1")
            .env("V2V_overlayEnabled", "true")
            .env("LOCAL_MIGRATION", "true");
        let (pod, migration) = migrate(spec, Provider::Other, 1);
        let log = pod.log();
        assert_eq!(migration.exit, 1, "{name}: {log}");
        assert!(!migration.fetched && migration.refused > 0, "{name}");
        let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap();
        let message = pod.termination_message();
        for word in words {
            assert!(last.to_lowercase().contains(word), "{name}: {log}");
            assert!(message.to_lowercase().contains(word), "{name}: {message}");
        }
        assert!(!log.contains("hunter2"), "{name}: {log}");
        assert_eq!(sha256(&disk), before, "{name}");
        assert_nothing_left(&pod);
    }
}

/// A volume that another key opens.
fn encrypted(spec: &mut PodSpec, disk: &Path) {
    blank(disk, 64);
    let key = spec.path().join("right-key");
    fs::write(&key, "the right one").unwrap();
    must(
        Command::new("cryptsetup")
            .args(["luksFormat", "--batch-mode", "--type", "luks2"])
            .args(["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"])
            .arg(disk)
            .arg(&key),
    )
    .unwrap();
    spec.volume("/etc/luks", &[("key0", "hunter2")]).unwrap();
}

/// The working directory is on a volume that is nearly full.
fn no_room(spec: &mut PodSpec, disk: &Path) {
    blank(disk, 64);
    spec.tmpfs("/var/tmp/v2v", "128k");
    let stand_ins = spec.stand_ins(&["virt-v2v-in-place"]).unwrap();
    fs::write(stand_ins.join("writes"), "8388608").unwrap();
}
