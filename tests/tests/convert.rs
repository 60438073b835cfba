//! The main job: a guest as it comes from VMware is converted and boots with its network.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::Command;

use refit_tests::{booted, guest, must, refit, root, run};
use serde_json::Value;

const MAC: &str = "00:50:56:aa:bb:01";

fn first_nic(report: &Value) -> (String, Vec<String>) {
    let nic = report["nics"]
        .as_array()
        .unwrap()
        .iter()
        .find(|nic| nic["mac"] == MAC)
        .unwrap();
    let addresses = nic["addresses"].as_array().unwrap();
    let ipv4 = addresses
        .iter()
        .map(|address| address.as_str().unwrap().to_owned())
        .filter(|text| !text.contains(':'));
    (nic["name"].as_str().unwrap().to_owned(), ipv4.collect())
}

#[test]
fn an_ova_keeps_its_network() {
    let dir = tempfile::tempdir().unwrap();
    let original = guest(&[]).unwrap();
    let on_vmware = booted(
        &[original.copy(dir.path()).unwrap()],
        &["--nic", MAC, "--hardware", "vmware"],
    );
    assert_eq!(
        first_nic(&on_vmware),
        ("ens192".to_owned(), vec!["10.0.2.15/24".to_owned()]),
        "before the move"
    );

    let ova = dir.path().join("web1.ova");
    must(
        Command::new(root().join("tests/guests/ova.sh"))
            .arg(original.disk())
            .arg(&ova)
            .args(["--name", "web1"]),
    )
    .unwrap();
    let digest = must(Command::new("sha256sum").arg(&ova)).unwrap();
    let out = dir.path().join("out");
    let converted = run(refit()
        .args(["convert", "--json", "--out"])
        .arg(&out)
        .arg(&ova))
    .unwrap();
    assert_eq!(converted.code, Some(0), "{converted:?}");
    assert!(
        converted.stderr.contains("Copying disk 1 of 1"),
        "progress in plain lines: {}",
        converted.stderr
    );
    assert_eq!(
        must(Command::new("sha256sum").arg(&ova)).unwrap(),
        digest,
        "the source is untouched"
    );

    let report = converted.json().unwrap();
    assert_eq!(report["schema"], "refit/convert/v1");
    assert_eq!(
        report,
        serde_json::from_slice::<Value>(&fs::read(out.join("report.json")).unwrap()).unwrap()
    );
    assert_eq!(report["machine"]["nics"][0]["mac"], MAC);
    assert_eq!(report["fixups"]["checked"], true, "{report:#}");
    let mut names: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "convert.log",
            "report.json",
            "undo.json",
            "web1-disk0.qcow2",
            "web1.kubevirt.yaml",
            "web1.libvirt.xml"
        ]
    );
    let domain = fs::read_to_string(out.join("web1.libvirt.xml")).unwrap();
    assert!(
        domain.contains(&format!("{}", out.join("web1-disk0.qcow2").display()))
            && domain.contains(MAC),
        "{domain}"
    );
    let manifest = fs::read_to_string(out.join("web1.kubevirt.yaml")).unwrap();
    assert!(
        manifest.contains("kind: 'VirtualMachine'\n") && manifest.contains(MAC),
        "{manifest}"
    );

    let screenshot = dir.path().join("shot.png");
    let on_kvm = booted(
        &[out.join("web1-disk0.qcow2")],
        &["--nic", MAC, "--screenshot", screenshot.to_str().unwrap()],
    );
    assert_eq!(
        first_nic(&on_kvm),
        ("ens192".to_owned(), vec!["10.0.2.15/24".to_owned()]),
        "after the move"
    );
    assert_eq!(
        on_kvm["failed_units"],
        Value::Array(Vec::new()),
        "{on_kvm:#}"
    );
    assert!(fs::read(&screenshot).unwrap().starts_with(b"\x89PNG"));
}
