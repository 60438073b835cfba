//! refit with the virt-v2v and libguestfs of other Debian releases: inside their root directories.
//!
//! The machine's own refit is copied in: it is built for the oldest libguestfs, and newer ones have
//! the same soname. `REFIT_V2V_SUITES` names the releases, separated by commas; without it only a
//! stable one is tried, so that a run can be repeated.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use refit_tests::{Run, guest, must, refit, root, run};
use serde_json::Value;

const MAC: &str = "00:50:56:aa:bb:01";

/// A Debian release in a directory.
struct Release {
    dir: tempfile::TempDir,
}

impl Release {
    /// Takes minutes the first time, seconds later.
    fn make(suite: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("refit-versions-")
            .tempdir_in("/var/tmp")
            .unwrap();
        let release = Self { dir };
        must(
            Command::new(root().join("tests/guests/v2v-root.sh"))
                .arg(suite)
                .arg(release.root()),
        )
        .unwrap();
        fs::copy(
            refit().get_program(),
            release.root().join("usr/local/bin/refit"),
        )
        .unwrap();
        fs::create_dir(release.work()).unwrap();
        release
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// `/work` inside.
    fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    /// Runs `refit` inside, in `/work`. The mounts live in a namespace of their own and end with it.
    fn refit(&self, arguments: &[&str]) -> Run {
        let script = "for dir in proc dev sys; do mount --rbind /$dir $0/$dir; done\n\
            exec chroot $0 env --chdir=/work \"$@\"";
        run(Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-euc", script])
            .arg(self.root())
            .arg("/usr/local/bin/refit")
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LIBGUESTFS_BACKEND", "direct")
            .env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")
            .env("REFIT_LOG", "info"))
        .unwrap()
    }
}

/// Why nothing can be tried here, if so.
fn obstacle() -> Option<&'static str> {
    if must(Command::new("id").arg("-u")).unwrap().trim() != "0" {
        return Some("making a root directory of another release needs root");
    }
    run(Command::new("mmdebstrap").arg("--version"))
        .is_err()
        .then_some("mmdebstrap is not installed")
}

#[test]
fn virt_v2v_of_other_debian_releases() {
    if let Some(reason) = obstacle() {
        println!("skipped: {reason}");
        return;
    }
    let suites = std::env::var("REFIT_V2V_SUITES").unwrap_or_else(|_| "trixie".to_owned());
    for suite in suites.split(',') {
        let release = Release::make(suite);
        let version = doctor_names_the_version(&release);
        println!("{suite}: virt-v2v {version}");
        assert!(
            !version.starts_with("2.2."),
            "{suite} has Debian 12's own virt-v2v"
        );
        a_disk_without_system_is_refused(&release);
        the_guest_is_converted(&release);
    }
}

fn doctor_names_the_version(release: &Release) -> String {
    let doctor = release.refit(&["doctor", "--json"]);
    assert_eq!(doctor.code, Some(0), "{doctor:?}");
    let document = doctor.json().unwrap();
    assert_eq!(document["ok"], true, "{document:#}");
    let checks = document["checks"].as_array().unwrap();
    let versions = ["virt-v2v", "virt-v2v-in-place", "virt-v2v-inspector"].map(|program| {
        let check = checks
            .iter()
            .find(|check| check["name"] == program)
            .unwrap();
        let found = check["found"].as_str().unwrap();
        let (version, path) = found.split_once(' ').unwrap();
        assert_eq!(path, format!("(/usr/bin/{program})"));
        version.to_owned()
    });
    let installed = must(
        Command::new("chroot")
            .arg(release.root())
            .args(["virt-v2v", "--version"]),
    )
    .unwrap();
    for version in &versions {
        assert_eq!(installed.trim(), format!("virt-v2v {version}"));
    }
    versions.into_iter().next().unwrap()
}

fn a_disk_without_system_is_refused(release: &Release) {
    let disk = release.work().join("data.img");
    must(
        Command::new("mke2fs")
            .args(["-q", "-t", "ext4"])
            .arg(&disk)
            .arg("32M"),
    )
    .unwrap();
    let refused = release.refit(&[
        "convert", "--engine", "virt-v2v", "--out", "none", "data.img",
    ]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("no operating system was found on the disks"),
        "{refused:?}"
    );
    assert!(
        entries(&release.root().join("var/tmp"))
            .iter()
            .all(|name| name.starts_with(".guestfs-")),
        "only the appliance's cache is left"
    );
}

fn the_guest_is_converted(release: &Release) {
    let original = guest(&[]).unwrap();
    must(
        Command::new(root().join("tests/guests/ova.sh"))
            .arg(original.disk())
            .arg(release.work().join("web1.ova"))
            .args(["--name", "web1"]),
    )
    .unwrap();
    let converted = release.refit(&["convert", "--json", "--out", "out", "web1.ova"]);
    let log = release.work().join("out/convert.log");
    assert_eq!(
        converted.code,
        Some(0),
        "{converted:?} {}",
        tail(&log).unwrap_or_default()
    );
    for line in ["Copying disk 1 of 1: 0%", "Copying disk 1 of 1: 100%"] {
        assert!(converted.stderr.contains(line), "{line}: {converted:?}");
    }

    let report = converted.json().unwrap();
    let on_disk = fs::read(release.work().join("out/report.json")).unwrap();
    assert_eq!(report, serde_json::from_slice::<Value>(&on_disk).unwrap());
    assert_eq!(report["fixups"]["checked"], true, "{report:#}");
    assert_eq!(report["v2v"]["virtio"], true, "{report:#}");
    assert_eq!(report["v2v"]["relaunched"], false, "{report:#}");
    assert_eq!(report["machine"]["nics"][0]["mac"], MAC);

    let steps = report["v2v"]["timings"].as_array().unwrap();
    let named = |id: &str| steps.iter().filter(|step| step["phase"] == id).count();
    for id in [
        "setup",
        "open",
        "inspect",
        "check",
        "convert",
        "trim",
        "close",
        "target",
        "destination",
        "copy",
        "metadata",
        "finish",
    ] {
        assert!(named(id) > 0, "no step {id}: {steps:#?}");
    }
    assert_eq!(named("other"), 0, "a step without a name: {steps:#?}");

    let verdicts = report["fixups"]["fixups"].as_array().unwrap();
    let nic_names = verdicts
        .iter()
        .find(|verdict| verdict["id"] == "nic-names")
        .unwrap();
    assert_eq!(nic_names["verdict"], "change", "{nic_names:#}");
    let evidence = &nic_names["evidence"][0];
    assert_eq!(
        (&evidence["mac"], &evidence["name"]),
        (&Value::from(MAC), &Value::from("ens192")),
        "{nic_names:#}"
    );
}

fn entries(dir: &Path) -> Vec<String> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The end of a log, for a failure's message.
fn tail(log: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&fs::read(log).ok()?).into_owned();
    let from = text.lines().count().saturating_sub(100);
    Some(text.lines().skip(from).collect::<Vec<_>>().join("\n"))
}
