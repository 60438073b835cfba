//! An appliance of several machines, converted in one run; and archives that were damaged on their way.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use refit_tests::{Run, failing_virt_v2v, must, refit, run};
use serde_json::{Value, json};

/// Bytes of a piece of the database's disk.
const CHUNK: usize = 65536;
/// Bytes of each disk.
const SIZE: usize = 4 << 20;

/// A machine with one disk, and what else its hardware section has.
fn system(id: &str, disk: &str, properties: &str, more: &str) -> String {
    format!(
        r#"
    <VirtualSystem ovf:id="{id}">
      <Info>{id}</Info>
      <ProductSection><Info/>{properties}</ProductSection>
      <VirtualHardwareSection ovf:transport="iso com.vmware.guestInfo">
        <Info/>
        <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>1</rasd:InstanceID>
          <rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>
        <Item><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>
          <rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
        <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/{disk}</rasd:HostResource>
          <rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType></Item>
        <Item><rasd:Connection>lan</rasd:Connection><rasd:InstanceID>4</rasd:InstanceID>
          <rasd:ResourceType>10</rasd:ResourceType></Item>{more}
      </VirtualHardwareSection>
    </VirtualSystem>"#
    )
}

fn descriptor() -> String {
    let property = |key: &str, value: &str| {
        format!(
            r#"<Property ovf:key="{key}" ovf:type="string" ovf:userConfigurable="true" ovf:value="{value}"/>"#
        )
    };
    let role = r#"
        <vmw:ExtraConfig ovf:required="false" vmw:key="guestinfo.role" vmw:value="database"/>"#;
    let systems = [
        system("web", "web", &property("ip", "192.0.2.1"), ""),
        system("db", "db", &property("ip", "192.0.2.2"), role),
        system("tool", "delta", "", ""),
    ]
    .concat();
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:id="f1" ovf:href="web.vmdk"/>
    <File ovf:id="f2" ovf:href="db.vmdk.gz" ovf:compression="gzip" ovf:chunkSize="{CHUNK}"/>
  </References>
  <DiskSection>
    <Info/>
    <Disk ovf:diskId="web" ovf:fileRef="f1" ovf:capacity="{SIZE}" ovf:format="x"/>
    <Disk ovf:diskId="db" ovf:fileRef="f2" ovf:capacity="{SIZE}" ovf:format="x"/>
    <Disk ovf:diskId="delta" ovf:fileRef="f1" ovf:parentRef="web" ovf:capacity="{SIZE}" ovf:format="x"/>
  </DiskSection>
  <NetworkSection><Info/><Network ovf:name="lan"/></NetworkSection>
  <VirtualSystemCollection ovf:id="shop">
    <Info/>
    <ProductSection><Info/>{}</ProductSection>
    <StartupSection>
      <Info/>
      <Item ovf:id="db" ovf:order="1" ovf:startDelay="60" ovf:waitingForGuest="true"/>
      <Item ovf:id="web" ovf:order="2"/>
    </StartupSection>{systems}
  </VirtualSystemCollection>
</Envelope>
"#,
        property("domain", "example.org")
    )
}

/// Data that cannot be compressed, so that the disks have pieces.
fn data(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        // Knuth's MMIX.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    // Half of it is empty, as disks are.
    (0..SIZE / 2)
        .map(|_| next())
        .chain(std::iter::repeat_n(0, SIZE / 2))
        .collect()
}

fn image(dir: &Path, name: &str, data: &[u8]) {
    let raw = dir.join("raw");
    fs::write(&raw, data).unwrap();
    must(
        Command::new("qemu-img")
            .args(["convert", "-f", "raw", "-O", "vmdk", "-o"])
            .arg("subformat=streamOptimized")
            .args([&raw, &dir.join(name)]),
    )
    .unwrap();
}

/// The appliance with a manifest; the disk of `db` is compressed and in pieces.
fn ova(dir: &Path) -> PathBuf {
    let files = dir.join("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("shop.ovf"), descriptor()).unwrap();
    image(dir, "files/web.vmdk", &data(1));
    image(dir, "db.vmdk", &data(2));
    must(Command::new("gzip").arg(dir.join("db.vmdk"))).unwrap();
    let packed = fs::read(dir.join("db.vmdk.gz")).unwrap();
    assert!(packed.len() > 2 * CHUNK);
    for (number, piece) in packed.chunks(CHUNK).enumerate() {
        fs::write(files.join(format!("db.vmdk.gz.{number:09}")), piece).unwrap();
    }
    let script = "for f in *; do echo \"SHA256($f)= $(sha256sum \"$f\" | cut -d' ' -f1)\"; done > ../shop.mf; mv ../shop.mf .";
    must(Command::new("sh").args(["-ec", script]).current_dir(&files)).unwrap();
    let path = dir.join("shop.ova");
    let mut archive = tar::Builder::new(File::create(&path).unwrap());
    archive.sparse(false);
    let mut names: Vec<_> = fs::read_dir(&files)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort_by_key(|name| (name != "shop.ovf", name.clone()));
    for name in names {
        archive
            .append_path_with_name(files.join(&name), &name)
            .unwrap();
    }
    archive.finish().unwrap();
    path
}

fn convert(dir: &Path, ova: &Path, arguments: &[&str]) -> Run {
    run(refit()
        .current_dir(dir)
        .env("SOURCE_DATE_EPOCH", "1000000000")
        .args(["convert", "--json", "--engine", "refit"])
        .arg(ova)
        .args(arguments))
    .unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A disk's content.
fn content(disk: &Path) -> Vec<u8> {
    let raw = disk.with_extension("raw");
    must(
        Command::new("qemu-img")
            .args(["convert", "-f", "qcow2", "-O", "raw"])
            .args([disk, &raw]),
    )
    .unwrap();
    fs::read(raw).unwrap()
}

/// A file of an ISO image, as another program reads it.
fn on_medium(iso: &Path, name: &str) -> String {
    must(
        Command::new("isoinfo")
            .args(["-J", "-i"])
            .arg(iso)
            .args(["-x", name]),
    )
    .unwrap()
}

#[test]
fn all_machines_of_a_collection_in_one_run() {
    let dir = tempfile::tempdir().unwrap();
    let ova = ova(dir.path());
    let made = convert(dir.path(), &ova, &["--out", "out"]);
    // One machine's disk holds differences, which nobody can convert.
    assert_eq!(made.code, Some(1), "{made:?}");
    let report = made.json().unwrap();
    let out = dir.path().join("out");
    assert_eq!(names(&out), ["db", "report.json", "web"]);
    for report in ["report.json", "web/report.json"] {
        let mode = fs::metadata(out.join(report)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "it has what stands in guests' files");
    }
    let written: Value =
        serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(written, report);
    let states: Vec<_> = report["systems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["id"].as_str().unwrap(), one["state"].as_str().unwrap()))
        .collect();
    assert_eq!(
        states,
        [
            ("web", "converted"),
            ("db", "converted"),
            ("tool", "failed")
        ]
    );
    let error = report["systems"][2]["error"].as_str().unwrap();
    assert!(error.contains("without snapshots"), "{error}");
    assert_eq!(
        report["start_order"],
        json!([
            {"system": "db", "step": 1, "start": true, "delay": 60, "waiting_for_guest": true},
            {"system": "web", "step": 2, "start": true, "delay": 0, "waiting_for_guest": false},
            {"system": "tool", "step": null, "start": true, "delay": 0, "waiting_for_guest": false},
        ])
    );
    let verified = report["verification"]["files"].as_array().unwrap();
    assert!(
        verified.contains(&"web.vmdk".into()) && verified.len() > 3,
        "{verified:?}"
    );

    for (id, other, seed) in [("web", "db", 1), ("db", "web", 2)] {
        let machine = out.join(id);
        let name = format!("shop-{id}");
        assert_eq!(
            names(&machine),
            [
                "ovf-env.iso".to_owned(),
                "report.json".to_owned(),
                format!("{name}-disk0.qcow2"),
                format!("{name}.kubevirt.yaml"),
                format!("{name}.libvirt.xml"),
                format!("{name}.ovf-env.secret.yaml"),
            ]
        );
        let disk = content(&machine.join(format!("{name}-disk0.qcow2")));
        assert!(disk == data(seed), "{id}");
        let document = on_medium(&machine.join("ovf-env.iso"), "/ovf-env.xml");
        let ip = |id| {
            if id == "web" {
                "192.0.2.1"
            } else {
                "192.0.2.2"
            }
        };
        for line in [
            format!("         <Property oe:key=\"ip\" oe:value=\"{}\"/>", ip(id)),
            "         <Property oe:key=\"domain\" oe:value=\"example.org\"/>".to_owned(),
            format!("   <Entity oe:id=\"{other}\">"),
            format!(
                "            <Property oe:key=\"ip\" oe:value=\"{}\"/>",
                ip(other)
            ),
        ] {
            assert!(
                document.contains(&format!("\n{line}\n")),
                "{line} in {document}"
            );
        }
        let manifest = fs::read_to_string(machine.join(format!("{name}.kubevirt.yaml"))).unwrap();
        assert!(manifest.contains(&format!("name: '{name}'")), "{manifest}");
    }
    // The volume's creation in its descriptor (ECMA-119, 8.4.26).
    let medium = fs::read(out.join("web/ovf-env.iso")).unwrap();
    assert_eq!(medium[16 * 2048 + 813..][..14], *b"20010909014640");
    // What the descriptor sets for the machine itself lies beside its environment.
    let settings = on_medium(&out.join("db/ovf-env.iso"), "/guestinfo.xml");
    assert!(
        settings.contains(r#"<Property oe:key="guestinfo.role" oe:value="database"/>"#),
        "{settings}"
    );
    let secret = fs::read_to_string(out.join("db/shop-db.ovf-env.secret.yaml")).unwrap();
    assert!(secret.contains("guestinfo.xml"), "{secret}");

    // What cannot be meant for several is asked about, and one that fails alone leaves nothing.
    let nic = convert(
        dir.path(),
        &ova,
        &["--out", "x", "--nic", "52:54:00:00:00:01"],
    );
    assert_eq!(nic.code, Some(2), "{nic:?}");
    let alone = convert(dir.path(), &ova, &["--out", "x", "--system", "tool"]);
    assert_eq!(alone.code, Some(1), "{alone:?}");
    assert!(!dir.path().join("x").exists());
}

#[test]
fn of_machines_that_virt_v2v_fails_on_the_logs_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let ova = ova(dir.path());
    let before = names(dir.path());
    let virt_v2v = failing_virt_v2v(&dir.path().join("files"));
    let mut kept = Vec::new();
    for logs in [
        ["out.db.failed.log", "out.web.failed.log"],
        ["out.db.failed-2.log", "out.web.failed-2.log"],
    ] {
        let failed = run(refit()
            .current_dir(dir.path())
            .env("REFIT_VIRT_V2V", &virt_v2v)
            .args(["convert", "--json", "--out", "out"])
            .arg(&ova))
        .unwrap();
        assert_eq!(failed.code, Some(1), "{failed:?}");
        let message = failed.json().unwrap()["error"].to_string();
        assert!(message.contains(logs[1]), "{message}");
        kept.extend(logs.map(str::to_owned));
    }
    let mut left = names(dir.path());
    left.retain(|name| !before.contains(name));
    kept.sort();
    assert_eq!(left, kept);
}

#[test]
fn a_damaged_appliance_is_refused_before_anything_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let ova = ova(dir.path());
    let mut bytes = fs::read(&ova).unwrap();
    let start = bytes.windows(4).position(|four| four == b"KDMV").unwrap();
    bytes[start + 100_000] ^= 1;
    fs::write(&ova, bytes).unwrap();
    let wrong = convert(dir.path(), &ova, &["--out", "out", "--system", "web"]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(!dir.path().join("out").exists());
    let message = wrong.json().unwrap()["error"].to_string();
    let expected = must(Command::new("sha256sum").arg(dir.path().join("files/web.vmdk"))).unwrap();
    for words in [
        "web.vmdk: its SHA-256 digest is ",
        &expected[..64],
        "--no-verify",
    ] {
        assert!(message.contains(words), "{words} in {message}");
    }
    // One damaged file is enough to refuse all machines: none of them is begun.
    let other = convert(dir.path(), &ova, &["--out", "out"]);
    assert_eq!(other.code, Some(1), "{other:?}");
    assert!(!dir.path().join("out").exists());
}
