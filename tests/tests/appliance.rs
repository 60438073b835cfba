//! An appliance from its OVA to a machine that configures itself: a Debian with one consumer of the OVF
//! environment of each kind (`tests/guests/debian/consumers.sh`).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use refit_tests::{Run, booted, fixup, guest, must, refit, root, run};
use serde_json::Value;

const MAC: &str = "00:50:56:aa:bb:01";
/// `#cloud-config` that writes `yes` to `/root/from-cloud-init`, in base64.
const USER_DATA: &str = "I2Nsb3VkLWNvbmZpZwp3cml0ZV9maWxlczoKLSB7cGF0aDogL3Jvb3QvZnJvbS1jbG91ZC1pbml0LCBjb250ZW50OiAieWVzXG4ifQo=";

fn ova(dir: &Path, kernel: &str) -> PathBuf {
    let ova = dir.join("appliance.ova");
    let original = guest(&["--kernel", kernel, "--consumers", "all"]).unwrap();
    must(
        Command::new(root().join("tests/guests/ova.sh"))
            .arg(original.disk())
            .arg(&ova)
            .args(["--name", "appliance", "--mac", MAC, "--products"])
            .arg(root().join("tests/guests/appliance-products.xml")),
    )
    .unwrap();
    ova
}

fn answers(dir: &Path) -> PathBuf {
    let path = dir.join("answers.toml");
    let text = format!(
        r#"
[properties]
"guestinfo.hostname" = "onboarded"
"app.mode" = "large"
"app.debug" = true
"user-data" = "{USER_DATA}"

[networks."VM Network"]
addresses = ["10.0.2.77"]
netmask = "255.255.255.0"
gateway = "10.0.2.2"
"#
    );
    fs::write(&path, text).unwrap();
    path
}

fn convert(dir: &Path, ova: &Path, engine: &str, arguments: &[&str]) -> Run {
    run(refit()
        .current_dir(dir)
        .args(["convert", "--json", "--out", "out", "--engine", engine])
        .arg(ova)
        .args(arguments))
    .unwrap()
}

/// Boots with the medium and asks what each consumer has made of it.
fn boot(out: &Path, cdrom_bus: &str) -> Value {
    let medium = out.join("ovf-env.iso");
    let mut arguments = vec!["--nic", MAC, "--cdrom-bus", cdrom_bus];
    arguments.extend(["--cdrom", medium.to_str().unwrap()]);
    for command in [
        // Until then services write to the console, and so between the lines of what is asked.
        "systemctl is-system-running --wait; cloud-init status --wait",
        "cat /root/from-vmtoolsd",
        "cat /root/from-cd",
        "cat /root/from-cloud-init",
        "vmware-rpctool 'info-get guestinfo.ready'",
        "vmtoolsd --cmd 'info-get guestinfo.none'; echo status $?",
        "vmtoolsd --cmd 'info-get guestinfo.role'",
        "findmnt -t iso9660 -n; ls /run | grep -c refit-ovf-env",
    ] {
        arguments.extend(["--run", command]);
    }
    booted(&[out.join("appliance-disk0.qcow2")], &arguments)
}

fn assert_configured(booted: &Value) {
    assert_eq!(booted["hostname"], "onboarded", "{booted:#}");
    let addresses = booted["nics"][0]["addresses"].as_array().unwrap();
    assert!(addresses.contains(&"10.0.2.77/24".into()), "{booted:#}");
    // virt-v2v's own first-boot script writes to the same console: `[   77.1] firstboot.sh[633]: ...`.
    let is_others = |line: &&str| line.starts_with('[') && line.contains("firstboot.sh[");
    let outputs: Vec<String> = booted["commands"]
        .as_array()
        .unwrap()
        .iter()
        .skip(1)
        .map(|one| one["output"].as_str().unwrap().trim())
        .map(|output| {
            let lines: Vec<&str> = output.lines().filter(|line| !is_others(line)).collect();
            lines.join("\n")
        })
        .collect();
    assert_eq!(
        outputs,
        [
            "mode=large debug=True",
            MAC,
            "yes",
            "1",
            "No value found\nstatus 1",
            "front & back",
            "0"
        ],
        "{booted:#}"
    );
}

/// Converts, boots and asks. The kernel decides where the CD-ROM drive is.
fn converted(engine: &str, kernel: &str, cdrom_bus: &str) {
    let dir = tempfile::tempdir().unwrap();
    let ova = ova(dir.path(), kernel);
    let values = answers(dir.path());
    let made = convert(
        dir.path(),
        &ova,
        engine,
        &["--values", values.to_str().unwrap()],
    );
    assert!(matches!(made.code, Some(0 | 3)), "{made:?}");
    let report = made.json().unwrap();
    let stand_in = fixup(&report["fixups"], "ovf-env");
    assert_eq!(stand_in["verdict"], "change", "{stand_in:#}");
    let out = dir.path().join("out");
    for name in ["ovf-env.iso", "appliance.ovf-env.secret.yaml"] {
        let mode = fs::metadata(out.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let manifest = fs::read_to_string(out.join("appliance.kubevirt.yaml")).unwrap();
    assert!(manifest.contains("volumeLabel: 'OVF ENV'"), "{manifest}");
    let (_, cdrom) = manifest.split_once("cdrom:").unwrap();
    let bus = cdrom.lines().nth(1).unwrap().trim();
    assert_eq!(bus, format!("bus: '{cdrom_bus}'"), "{manifest}");
    let domain = fs::read_to_string(out.join("appliance.libvirt.xml")).unwrap();
    assert!(
        domain.contains("device='cdrom'") || domain.contains("device=\"cdrom\""),
        "{domain}"
    );
    assert_configured(&boot(&out, cdrom_bus));
}

#[test]
fn an_appliance_configures_itself() {
    // Debian's kernel for clouds has no driver for CD-ROMs on SATA.
    converted("refit", "cloud-amd64", "scsi");
}

#[test]
fn an_appliance_that_virt_v2v_converts_configures_itself() {
    converted("virt-v2v", "amd64", "sata");
}

#[test]
fn wrong_answers_are_refused_before_anything_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let ova = dir.path().join("small.ova");
    let disk = dir.path().join("disk.img");
    fs::write(&disk, vec![0; 1 << 20]).unwrap();
    must(
        Command::new(root().join("tests/guests/ova.sh"))
            .arg(&disk)
            .arg(&ova)
            .args(["--products"])
            .arg(root().join("tests/guests/appliance-products.xml")),
    )
    .unwrap();
    let wrong = convert(
        dir.path(),
        &ova,
        "refit",
        &["--property", "app.mode=huge", "--property", "app.mod=small"],
    );
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(!dir.path().join("out").exists());
    let error = wrong.json().unwrap();
    let codes: Vec<(&str, &str)> = error["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["key"].as_str().unwrap(), one["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        codes,
        [
            ("guestinfo.hostname", "prop.missing"),
            ("app.mode", "prop.valuemap"),
            ("app.mod", "prop.unknown"),
        ],
        "{error:#}"
    );
}
