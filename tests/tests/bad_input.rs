//! What cannot be worked on is refused: one clear message, the documented exit code, and nothing
//! is changed or left behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use refit_tests::{
    SECRET, SmallDisk, Watched, assert_refused, assert_says, encrypted_disk, fixup, must, refit,
    run, shell, snapshot, system_disk,
};
use serde_json::Value;
use tempfile::TempDir;

const NIC: &str = "00:50:56:aa:bb:01=192.0.2.10/24";

/// Disks that are no good, and files of other kinds.
fn bad_files() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    shell(
        dir.path(),
        "mkdir directory elsewhere
         : > empty.img
         yes 'just text' | head -c 5000 > text.img
         mkfs.ext4 -q -F good.img 4M
         head -c 1000001 good.img > odd.img
         qemu-img create -q -f qcow2 whole.qcow2 16M
         qemu-io -f qcow2 -c 'write -P 7 0 1M' whole.qcow2 > whole.log
         head -c 60 whole.qcow2 > header.qcow2
         head -c 700000 whole.qcow2 > short.qcow2
         qemu-img create -q -f vmdk -o subformat=monolithicFlat gone.vmdk 1M
         rm gone-flat.vmdk
         qemu-img create -q -f raw elsewhere/base.img 1M
         qemu-img create -q -f qcow2 -F raw -b elsewhere/base.img outside.qcow2
         qemu-img create -q -f qcow2 -F raw -u -b base.img orphan.qcow2 1M
         cp good.img readonly.img
         chmod a-w readonly.img
         cp good.img busy.img
         mkdir full
         : > full/something
         echo '{\"schema\": \"refit/undo/v1\", ' > damaged.undo.json
         echo '[nic-names' > bad.toml
         echo 'memsize = \"1024\"' > some.vmx",
    );
    // Neither a signature that is known nor text.
    let noise: Vec<u8> = (0..1_u32 << 20)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80)
        .collect();
    fs::write(dir.path().join("noise.img"), noise).unwrap();
    dir
}

/// Runs `refit --json` with these arguments in `dir`, where all must stay as it is.
fn refused(dir: &Path, arguments: &[&str], code: i32) -> String {
    println!("refit {}", arguments.join(" "));
    let before = snapshot(dir).unwrap();
    let done = run(refit().current_dir(dir).arg("--json").args(arguments)).unwrap();
    let message = assert_refused(&done, code);
    assert_eq!(snapshot(dir).unwrap(), before, "{arguments:?}");
    message
}

/// How long the rest of a run may take.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(600);

/// A program that has the disk open for writing, ended when dropped.
struct Writer(Child);

impl Writer {
    fn of(disk: &Path) -> Self {
        let child = Command::new("qemu-io")
            .args(["-f", "raw"])
            .arg(disk)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Its locks are on single bytes from 100 on; somebody else must not get one on byte 101.
        let inode = fs::metadata(disk)
            .map(|found| std::os::unix::fs::MetadataExt::ino(&found))
            .unwrap();
        let end = format!(":{inode} ");
        while !fs::read_to_string("/proc/locks").unwrap().contains(&end) {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Self(child)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn disks_that_are_no_good() {
    let dir = bad_files();
    let undo = undo_file(dir.path());
    let undo = undo.to_str().unwrap();
    let _writer = Writer::of(&dir.path().join("busy.img"));
    let all: &[&str] = &["inspect", "plan", "fix", "undo", "convert", "boot"];
    for (disk, advice, commands) in [
        (
            "missing.img",
            "check the path",
            &[all, &["recover"]].concat()[..],
        ),
        // A directory may be an unpacked OVA.
        (
            "directory",
            "give a disk image or a block device",
            &["inspect", "plan", "fix", "undo", "boot", "recover"],
        ),
        ("empty.img", "was the copy interrupted?", all),
        ("text.img", "it is a text file", all),
        ("noise.img", "say so with --format raw", all),
        ("odd.img", "it may be truncated", all),
        ("header.qcow2", "copy it again from its source", all),
        ("short.qcow2", "copy it again from its source", all),
        ("gone.vmdk", "copy it beside the image", all),
        ("orphan.qcow2", "copy it beside the image", all),
        ("outside.qcow2", "allow it with --allow-outside", all),
        ("busy.img", "stop that first", all),
        ("readonly.img", "allow it with chmod u+w", &["fix", "undo"]),
    ] {
        for command in commands {
            let arguments = match *command {
                "undo" => vec!["undo", undo, disk],
                "convert" => vec!["convert", "--out", "out", disk],
                "boot" => vec!["boot", "--accel", "tcg", disk],
                command => vec![command, disk],
            };
            assert_says(&refused(dir.path(), &arguments, 1), &[disk, advice]);
        }
    }
    assert_says(
        &refused(dir.path(), &["inspect", "busy.img"], 1),
        &["qemu-io (process"],
    );
}

/// A real one, made from a small tree below `dir`.
fn undo_file(dir: &Path) -> PathBuf {
    let root = dir.join("root");
    make_root(&root);
    let fixed = run(refit()
        .args(["fix", "--json", "--nic", NIC, "--root"])
        .arg(&root)
        .arg("--undo-dir")
        .arg(dir))
    .unwrap();
    assert_eq!(fixed.code, Some(0), "{fixed:?}");
    fixed.json().unwrap()["undo"].as_str().unwrap().into()
}

fn make_root(root: &Path) {
    fs::create_dir_all(root.join("etc/network")).unwrap();
    fs::write(
        root.join("etc/os-release"),
        "ID=debian\nVERSION_ID=\"12\"\n",
    )
    .unwrap();
    let interfaces = "auto ens192\niface ens192 inet static\n  address 192.0.2.10/24\n";
    fs::write(root.join("etc/network/interfaces"), interfaces).unwrap();
}

#[test]
fn undo_files_that_are_no_good() {
    let dir = bad_files();
    let undo = undo_file(dir.path());
    let cut = dir.path().join("cut.undo.json");
    fs::write(&cut, &fs::read(&undo).unwrap()[..200]).unwrap();
    for (file, why) in [
        ("missing.undo.json", "no such file; check the path"),
        (
            "damaged.undo.json",
            "no undo file of refit, or it is damaged",
        ),
        ("cut.undo.json", "no undo file of refit, or it is damaged"),
        ("good.img", "no undo file of refit, or it is damaged"),
    ] {
        assert_says(
            &refused(dir.path(), &["undo", file, "good.img"], 1),
            &[file, why],
        );
    }
    // Another guest, whose file of the same name says something else.
    let other = dir.path().join("other");
    make_root(&other);
    let link = "etc/systemd/network/10-refit-ens192.link";
    fs::create_dir_all(other.join("etc/systemd/network")).unwrap();
    fs::write(
        other.join(link),
        "[Match]\nPermanentMACAddress=00:50:56:aa:bb:99\n",
    )
    .unwrap();
    let message = refused(
        dir.path(),
        &["undo", undo.to_str().unwrap(), "--root", "other"],
        1,
    );
    assert_says(&message, &[link, "Nothing was restored", "--force"]);
}

#[test]
fn wrong_usage() {
    let dir = bad_files();
    for (arguments, words) in [
        (&["inspect"][..], &["<DISK>"][..]),
        (&["frobnicate", "good.img"], &["frobnicate"]),
        (&["plan", "good.img", "--root", "directory"], &["--root"]),
        (
            &["plan", "good.img", "--nic", "nonsense"],
            &["--nic", "nonsense", "00:50:56:aa:bb:01"],
        ),
        (
            &[
                "plan",
                "good.img",
                "--nic",
                "00:50:56:aa:bb:01=300.0.0.1/24",
            ],
            &["--nic", "300.0.0.1/24", "192.0.2.10/24"],
        ),
        (
            &[
                "plan",
                "good.img",
                "--nic",
                "00:50:56:aa:bb:01=192.0.2.1/33",
            ],
            &["--nic", "192.0.2.1/33"],
        ),
        (
            &["plan", "good.img", "--static-ips", "nonsense"],
            &["--static-ips", "MAC:ip:ADDRESS"],
        ),
        (
            &["plan", "good.img", "--set", "nonsense"],
            &["--set", "ID.PARAM=VALUE"],
        ),
        (
            &["plan", "good.img", "--set", "nonsense.x=1"],
            &["--set", "refit fixups list"],
        ),
        (
            &["plan", "good.img", "--set", "nic-names.nonsense=1"],
            &["--set", "refit fixups show nic-names"],
        ),
        (
            &["plan", "good.img", "--params", "bad.toml"],
            &["--params", "bad.toml"],
        ),
        (
            &["fix", "good.img", "--only", "nonsense"],
            &["nonsense", "refit fixups list"],
        ),
        (
            &["fix", "good.img", "--skip", "nonsense"],
            &["nonsense", "refit fixups list"],
        ),
        (
            &["fixups", "show", "nonsense"],
            &["nonsense", "refit fixups list"],
        ),
        (
            &["fix", "good.img", "--vmx", "some.vmx", "--ovf", "some.vmx"],
            &["--vmx", "--ovf"],
        ),
        (
            &["inspect", "good.img", "--format", "nonsense"],
            &["--format", "nonsense", "qcow2"],
        ),
        (
            &["boot", "good.img", "--format", "nonsense"],
            &["--format", "nonsense", "qcow2"],
        ),
        (
            &[
                "convert", "good.img", "--out", "out", "--format", "nonsense",
            ],
            &["--format", "nonsense", "qcow2"],
        ),
        (
            &["convert", "some.vmx", "--out", "out", "--format", "raw"],
            &["--format", "disk images"],
        ),
        (
            &["inspect", "good.img", "--os-device", "nonsense"],
            &["--os-device", "/dev/sda2"],
        ),
        (
            &["convert", "good.img", "--out", "out", "--os-device", "sda"],
            &["--os-device", "/dev/sda2"],
        ),
        (
            &["inspect", "good.img", "--accel", "nonsense"],
            &["--accel", "tcg"],
        ),
        (
            &["inspect", "good.img", "--key", "all:geheim"],
            &["--key", "ID:file:FILE"],
        ),
        (
            &["inspect", "good.img", "--key", "all:file:missing.key"],
            &["--key", "missing.key"],
        ),
        (
            &[
                "convert",
                "good.img",
                "--out",
                "out",
                "--key",
                "all:geheim:x",
            ],
            &["--key", "ID:file:"],
        ),
        (
            &[
                "convert",
                "good.img",
                "--out",
                "out",
                "--key",
                "all:file:missing.key",
            ],
            &["--key", "missing.key"],
        ),
        (
            &["convert", "good.img", "--out", "out", "--name", "../x"],
            &["--name", "../x"],
        ),
        (&["convert", "good.img"], &["--out"]),
        (
            &["boot", "good.img", "--nic", "nonsense"],
            &["--nic", "nonsense"],
        ),
        (
            &["boot", "good.img", "--bus", "ide"],
            &["--bus", "virtio-scsi"],
        ),
        (
            &["boot", "good.img", "--hardware", "xen"],
            &["--hardware", "vmware"],
        ),
        (
            &["boot", "good.img", "--memory", "1"],
            &["--memory <MIB>", "64..=1048576"],
        ),
        (
            // 2^44 MiB are no bytes in 64 bits.
            &["boot", "good.img", "--memory", "17592186044417"],
            &["--memory <MIB>", "64..=1048576"],
        ),
        (
            &["boot", "good.img", "--user", "root"],
            &["--password-file"],
        ),
    ] {
        let message = refused(dir.path(), arguments, 2);
        assert_says(&message, words);
        assert!(
            !message.contains("geheim"),
            "a secret is not repeated: {message}"
        );
    }
}

#[test]
fn other_files_that_are_no_good() {
    let dir = bad_files();
    for (arguments, words) in [
        (
            &["plan", "good.img", "--vmx", "missing.vmx"][..],
            &["missing.vmx: there is no such file; check the path"][..],
        ),
        (
            &["plan", "good.img", "--vmx", "/dev/zero"],
            &["/dev/zero has more than", "no VMX file"],
        ),
        (
            &["plan", "good.img", "--vmx", "text.img"],
            &["text.img", "no VMX file"],
        ),
        (
            &["plan", "good.img", "--vmx", "good.img"],
            &["good.img", "no VMX file"],
        ),
        (
            &["plan", "good.img", "--ovf", "text.img"],
            &["text.img", "no OVA"],
        ),
        (
            &["plan", "good.img", "--params", "missing.toml"],
            &["missing.toml", "No such file"],
        ),
        (
            &["inspect", "--root", "missing"],
            &["missing", "root directory"],
        ),
        (
            &["fix", "--root", "text.img"],
            &["text.img", "root directory"],
        ),
        (
            &["fix", "good.img", "--undo-dir", "text.img"],
            &["--undo-dir text.img"],
        ),
        (
            &["convert", "good.img", "--out", "full"],
            &["full", "not empty", "something", "--out"],
        ),
        (
            &["convert", "good.img", "--out", "text.img"],
            &["text.img", "not a directory", "--out"],
        ),
        (
            &["convert", "--out", "out", "missing.vmx"],
            &["missing.vmx: there is no such file; check the path"],
        ),
        (
            &["convert", "--out", "out", "--input-kind", "vmx", "text.img"],
            &["text.img", "no VMX file"],
        ),
        (
            &[
                "convert",
                "--out",
                "out",
                "--input-kind",
                "libvirtxml",
                "text.img",
            ],
            &["text.img", "not well-formed"],
        ),
        (
            &["convert", "--out", "out", "missing.ova"],
            &["missing.ova does not exist. Check the path"],
        ),
        (
            &[
                "convert",
                "--out",
                "out",
                "--input-kind",
                "ova",
                "empty.img",
            ],
            &["empty.img", "is empty"],
        ),
        (
            &[
                "boot",
                "good.img",
                "--user",
                "root",
                "--password-file",
                "missing",
            ],
            &["password file missing", "No such file"],
        ),
    ] {
        let message = refused(dir.path(), arguments, 1);
        assert_says(&message, words);
        let times = message.matches(words[0]).count();
        assert_eq!(times, 1, "it says what is wrong once: {message}");
    }
}

#[test]
fn a_disk_without_operating_system() {
    let dir = bad_files();
    let message = refused(dir.path(), &["fix", "good.img", "--nic", NIC], 1);
    assert_says(
        &message,
        &[
            "good.img",
            "no operating system",
            "/dev/sda is ext4",
            "give all of them",
            "--key",
        ],
    );
}

#[test]
fn two_operating_systems() {
    let dir = tempfile::tempdir().unwrap();
    system_disk(dir.path(), "web").unwrap();
    system_disk(dir.path(), "database").unwrap();
    let disks = ["web.img", "database.img"];
    let with = |arguments: &[&'static str]| [arguments, &disks].concat();

    let message = refused(dir.path(), &with(&["inspect"]), 1);
    assert_says(
        &message,
        &[
            "/dev/sda (debian 12.5, host name web)",
            "/dev/sdb (debian 12.5, host name database)",
            "--os-device",
        ],
    );
    let message = refused(dir.path(), &with(&["plan", "--os-device", "/dev/sdc"]), 1);
    assert_says(
        &message,
        &["/dev/sdc", "/dev/sda (debian", "/dev/sdb (debian"],
    );

    let before = snapshot(dir.path()).unwrap();
    let planned = run(refit().current_dir(dir.path()).args(with(&[
        "plan",
        "--json",
        "--os-device",
        "/dev/sdb",
        "--nic",
        NIC,
    ])))
    .unwrap();
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let plan = planned.json().unwrap();
    assert_eq!(plan["guest"]["hostname"], "database");
    let names = fixup(&plan, "nic-names");
    assert_eq!(names["verdict"], "change", "{plan:#}");
    assert_eq!(names["evidence"][0]["name"], "ens192", "{plan:#}");
    assert_eq!(
        snapshot(dir.path()).unwrap(),
        before,
        "a plan writes nothing"
    );
}

#[test]
fn an_encrypted_disk() {
    let dir = tempfile::tempdir().unwrap();
    encrypted_disk(dir.path(), "web");
    let message = refused(dir.path(), &["inspect", "web.luks.img"], 1);
    assert_says(
        &message,
        &[
            "web.luks.img",
            "encrypted",
            "/dev/sda",
            "no key was given",
            "--key ID:file:FILE",
        ],
    );
    let message = refused(
        dir.path(),
        &["fix", "web.luks.img", "--key", "all:file:wrong"],
        1,
    );
    assert_says(
        &message,
        &[
            "web.luks.img",
            "encrypted",
            "/dev/sda",
            "no key fits",
            "--key ID:file:FILE",
        ],
    );

    let mut command = refit();
    command.current_dir(dir.path()).args([
        "fix",
        "--json",
        "-vv",
        "--nic",
        NIC,
        "--key",
        "all:file:key",
        "web.luks.img",
    ]);
    let mut fixing = Watched::start(command.env("REFIT_LOG", "trace"), dir.path()).unwrap();
    let mut seen = Vec::new();
    fixing
        .wait_until("planning", |fixing| {
            seen.extend(fixing.command_lines());
            fixing.stderr().contains("] Planning")
        })
        .unwrap();
    let fixed = fixing.end(LIMIT).unwrap();
    assert_eq!(fixed.code, Some(0), "{fixed:?}");
    let report = fixed.json().unwrap();
    assert_eq!(report["guest"]["hostname"], "web");
    assert_eq!(
        (&report["applied"], &report["checked"]),
        (&true.into(), &true.into())
    );
    assert!(
        seen.iter().any(|line| line.contains("qemu-system")),
        "the appliance was seen: {seen:#?}"
    );
    for text in seen.iter().chain([&fixed.stdout, &fixed.stderr]) {
        assert!(!text.contains(SECRET), "{text}");
    }
}

/// Where the report cannot be written nothing is changed, and where its reader is gone afterwards, how to go back is
/// told all the same.
#[test]
fn fixing_without_a_place_for_the_report() {
    let dir = tempfile::tempdir().unwrap();
    make_root(&dir.path().join("root"));
    let mut arguments = vec!["fix", "--root", "root", "--nic", NIC, "--undo-dir", "."];
    arguments.push("--report");
    for report in ["missing/report.json", "root", "/dev/null"] {
        let message = refused(dir.path(), &[&arguments[..], &[report]].concat(), 1);
        assert_says(&message, &["--report", report]);
    }

    let full = File::options().write(true).open("/dev/full").unwrap();
    let done = run(refit()
        .current_dir(dir.path())
        .args(&arguments)
        .arg("report.json")
        .stdout(full))
    .unwrap();
    assert_eq!(done.code, Some(4), "{done:?}");
    let report = dir.path().join("report.json");
    let mode = fs::metadata(&report).unwrap().permissions().mode();
    assert_eq!(
        mode & 0o777,
        0o600,
        "it has what stands in the guest's files"
    );
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let undo = report["undo"].as_str().unwrap();
    let back = format!("refit undo {undo} --root root");
    assert_says(&done.stderr, &["the guest was changed", &back]);
    must(
        refit()
            .current_dir(dir.path())
            .args(back.split(' ').skip(1)),
    )
    .unwrap();
    assert!(!dir.path().join("root/etc/systemd").exists());
}

/// The undo file is written before anything else; where it cannot be, nothing is changed.
#[test]
fn fixing_without_space_for_the_undo_file() {
    let dir = tempfile::tempdir().unwrap();
    let Some(small) = SmallDisk::mount(dir.path().join("undo"), "16k") else {
        println!("skipped: this user may not mount a small file system");
        return;
    };
    let filler = File::create(small.path().join("filler")).unwrap();
    let mut at = 0;
    while filler.write_all_at(&[1; 4096], at).is_ok() {
        at += 4096;
    }
    let root = dir.path().join("root");
    make_root(&root);
    fs::set_permissions(root.join("etc"), fs::Permissions::from_mode(0o755)).unwrap();
    let message = refused(
        dir.path(),
        &["fix", "--root", "root", "--nic", NIC, "--undo-dir", "undo"],
        1,
    );
    assert_says(&message, &["undo file", "undo/root."]);
}
