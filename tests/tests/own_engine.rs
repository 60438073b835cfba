//! Conversions without virt-v2v: what it refuses is converted all the same, or delivered as it is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom};
use std::path::Path;
use std::process::Command;

use refit_tests::{Run, booted, edit, fixup, guest, must, refit, root, run};
use serde_json::Value;

const MAC: &str = "00:50:56:aa:bb:01";

fn convert(dir: &Path, arguments: &[&str]) -> Run {
    run(refit()
        .current_dir(dir)
        .args(["convert", "--json", "--out", "out"])
        .args(arguments))
    .unwrap()
}

/// Boots the first disk of a conversion on virtio; returns the report and the names of what came out beside it.
fn boot(out: &Path, name: &str) -> (Value, Vec<String>) {
    let disk = out.join(format!("{name}-disk0.qcow2"));
    (booted(&[disk], &["--nic", MAC]), names(out))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn assert_network_kept(booted: &Value) {
    let nic = &booted["nics"][0];
    assert_eq!(
        (&nic["mac"], &nic["name"]),
        (&MAC.into(), &"ens192".into()),
        "{booted:#}"
    );
    assert_eq!(nic["driver"], "virtio_net");
    let addresses = nic["addresses"].as_array().unwrap();
    assert!(addresses.contains(&"10.0.2.15/24".into()), "{booted:#}");
    assert_eq!(booted["root_device"], "/dev/vda1");
    assert_eq!(booted["failed_units"], Value::Array(Vec::new()));
}

/// No image of Photon can be had here. This is a Debian that says of itself what Photon says, which is what
/// virt-v2v goes by: it is refused with the same words, and it really boots. Its initramfs has the drivers of
/// VMware's disks alone.
#[test]
fn a_guest_that_virt_v2v_refuses_is_converted_and_boots() {
    let dir = tempfile::tempdir().unwrap();
    let original = guest(&["--initramfs", "vmware"]).unwrap();
    let disk = original.copy(dir.path()).unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let release = write(
        "os-release",
        "NAME=\"VMware Photon OS\"\nVERSION=\"5.0\"\nID=photon\nVERSION_ID=5.0\n\
         PRETTY_NAME=\"VMware Photon OS/Linux\"\n",
    );
    let photon = write("photon-release", "VMware Photon OS 5.0\n");
    edit(
        &disk,
        &format!(
            "rm /usr/lib/os-release\nwrite {release} /usr/lib/os-release\n\
             rm /etc/debian_version\nwrite {photon} /etc/photon-release\n"
        ),
    )
    .unwrap();
    let digest = || must(Command::new("sha256sum").arg(&disk)).unwrap();
    let before = digest();

    let converted = convert(
        dir.path(),
        &["--nic", &format!("{MAC}=10.0.2.15/24"), "disk.img"],
    );
    assert_eq!(converted.code, Some(0), "{converted:?}");
    assert!(
        converted.stderr.contains("] Inspecting the source")
            && converted
                .stderr
                .contains("an unknown distribution: inspection could not detect")
            && converted.stderr.contains("; refit goes on without it"),
        "virt-v2v was asked first: {converted:?}"
    );
    assert_eq!(digest(), before, "the source is untouched");
    let report = converted.json().unwrap();
    assert_eq!(report["engine"], "refit");
    assert!(report["fallback"].as_str().unwrap().contains("i_distro"));
    assert_eq!(report["v2v"], Value::Null);
    assert_eq!(report["fixups"]["guest"]["distro"], "photon");
    assert_eq!(report["fixups"]["checked"], true);
    for id in ["boot-disks", "nic-names"] {
        assert_eq!(fixup(&report["fixups"], id)["verdict"], "change", "{id}");
    }
    assert_eq!(report["machine"]["disks"][0]["bus"], "virtio");
    assert_eq!(report["machine"]["nics"][0]["model"], "virtio");
    let out = dir.path().join("out");
    let log = fs::read_to_string(out.join("convert.log")).unwrap();
    assert!(log.contains("i_distro"), "virt-v2v's log is kept");

    let (booted, names) = boot(&out, "disk");
    assert_network_kept(&booted);
    assert_eq!(
        names,
        [
            "convert.log",
            "disk-disk0.qcow2",
            "disk.kubevirt.yaml",
            "disk.libvirt.xml",
            "report.json",
            "undo.json",
        ]
    );
}

/// Where nothing can be appended, the guest's own tool is run. refit does not read LZO.
#[test]
fn an_initramfs_that_refit_cannot_read_is_built_anew_by_the_guests_own_tool() {
    let dir = tempfile::tempdir().unwrap();
    let original = guest(&["--initramfs", "vmware"]).unwrap();
    let disk = original.copy(dir.path()).unwrap();
    let list = must(
        Command::new("debugfs")
            .args(["-R", "ls -p /boot"])
            .arg(format!("{}?offset=1048576", disk.display())),
    )
    .unwrap();
    let name = list
        .split('/')
        .find(|name| name.starts_with("initrd.img-"))
        .unwrap();
    let packed = dir.path().join("initrd");
    edit(&disk, &format!("dump /boot/{name} {}\n", packed.display())).unwrap();
    let lzo = dir.path().join("initrd.lzo");
    let script = format!(
        "set -eo pipefail; zstd -qdc {0} | lzop -c > {1}",
        packed.display(),
        lzo.display()
    );
    must(Command::new("bash").args(["-c", &script])).unwrap();
    let write = format!("rm /boot/{name}\nwrite {} /boot/{name}\n", lzo.display());
    edit(&disk, &write).unwrap();

    let converted = convert(
        dir.path(),
        &[
            "--engine",
            "refit",
            "--nic",
            &format!("{MAC}=10.0.2.15/24"),
            "disk.img",
        ],
    );
    assert_eq!(converted.code, Some(0), "{converted:?}");
    let report = converted.json().unwrap();
    assert_eq!(report["fixups"]["checked"], true);
    let drivers = fixup(&report["fixups"], "boot-disks");
    assert_eq!(drivers["verdict"], "change");
    let reason = drivers["reason"].as_str().unwrap();
    assert!(
        reason.contains("cannot be searched") && reason.contains("builds it anew"),
        "{reason}"
    );
    assert_eq!(report["machine"]["disks"][0]["bus"], "virtio");
    let (booted, _) = boot(&dir.path().join("out"), "disk");
    assert_network_kept(&booted);
}

#[test]
fn a_supported_guest_in_an_ova_is_converted_without_virt_v2v_and_boots() {
    let dir = tempfile::tempdir().unwrap();
    let original = guest(&[]).unwrap();
    let ova = dir.path().join("web1.ova");
    must(
        Command::new(root().join("tests/guests/ova.sh"))
            .arg(original.disk())
            .arg(&ova)
            .args(["--name", "web1"]),
    )
    .unwrap();
    let digest = || must(Command::new("sha256sum").arg(&ova)).unwrap();
    let before = digest();
    let converted = convert(dir.path(), &["--engine", "refit", "web1.ova"]);
    assert_eq!(converted.code, Some(0), "{converted:?}");
    assert!(
        converted
            .stderr
            .contains("Copying disk 1 of 1: 100% of 3.00 GiB"),
        "progress in plain lines: {converted:?}"
    );
    assert!(!converted.stderr.contains("Inspecting"), "{converted:?}");
    assert_eq!(digest(), before, "the source is untouched");
    let report = converted.json().unwrap();
    assert_eq!(report["engine"], "refit");
    assert_eq!(report["machine"]["vcpus"], 2, "from the descriptor");
    let out = dir.path().join("out");
    let domain = fs::read_to_string(out.join("web1.libvirt.xml")).unwrap();
    assert!(
        domain.contains("bus='virtio'") || domain.contains("bus=\"virtio\""),
        "{domain}"
    );

    let (booted, names) = boot(&out, "web1");
    assert_network_kept(&booted);
    assert_eq!(
        names,
        [
            "report.json",
            "undo.json",
            "web1-disk0.qcow2",
            "web1.kubevirt.yaml",
            "web1.libvirt.xml",
        ],
        "no log: virt-v2v was not run"
    );
}

#[test]
fn disks_of_which_nothing_is_known_are_delivered_on_compatible_hardware() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("data.img");
    File::create(&disk).unwrap().set_len(64 << 20).unwrap();
    must(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk)).unwrap();
    let converted = convert(
        dir.path(),
        &["--engine", "refit", "--output-format", "raw", "data.img"],
    );
    assert_eq!(converted.code, Some(3), "{converted:?}");
    let report = converted.json().unwrap();
    assert_eq!(report["fixups"], Value::Null);
    let warnings: Vec<&str> = report["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning.as_str().unwrap())
        .collect();
    assert!(
        matches!(
            warnings[..],
            [nothing, devices] if nothing.contains("nothing in this guest was changed")
                && nothing.contains("no operating system")
                && devices.contains("SATA disks and e1000e network cards")
        ),
        "{warnings:?}"
    );
    let out = dir.path().join("out");
    assert_eq!(
        names(&out),
        [
            "data-disk0.raw",
            "data.kubevirt.yaml",
            "data.libvirt.xml",
            "report.json"
        ]
    );
    must(
        Command::new("cmp")
            .arg(&disk)
            .arg(out.join("data-disk0.raw")),
    )
    .unwrap();
    let manifest = fs::read_to_string(out.join("data.kubevirt.yaml")).unwrap();
    assert!(
        manifest.contains("bus: 'sata'") && manifest.contains("model: 'e1000e'"),
        "{manifest}"
    );
    let domain = fs::read_to_string(out.join("data.libvirt.xml")).unwrap();
    let domain = domain.replace('\'', "\"");
    assert!(
        domain.contains(r#"<target dev="sda" bus="sata"/>"#)
            && domain.contains(r#"<model type="e1000e"/>"#),
        "{domain}"
    );

    // What is there is never overwritten, whatever the engine.
    let again = convert(dir.path(), &["--engine", "refit", "data.img"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again.stderr.contains("is not empty") && again.stderr.contains("nothing in it is ever"),
        "{again:?}"
    );
}

/// The layout of Flatcar (two `/usr` under dm-verity, the root almost empty), which libguestfs 1.48 does not
/// find, and whose `/usr` must stay as it is to the last bit.
#[test]
fn a_system_with_a_sealed_usr_is_found_and_its_usr_left_alone() {
    const MIB: usize = 1 << 20;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let write = |path: &str, text: &str| {
        fs::create_dir_all(at(path).parent().unwrap()).unwrap();
        fs::write(at(path), text).unwrap();
    };
    write(
        "usr/lib/os-release",
        "NAME=\"Flatcar Container Linux by Kinvolk\"\nID=flatcar\nVERSION_ID=3975.2.2\n\
         PRETTY_NAME=\"Flatcar Container Linux by Kinvolk 3975.2.2 (Oklo)\"\n",
    );
    write("usr/lib/modules/6.6.54-flatcar/modules.dep", "");
    write(
        "usr/lib/modules/6.6.54-flatcar/modules.builtin",
        "kernel/virtio_pci.ko\nkernel/virtio_blk.ko\nkernel/virtio_net.ko\n",
    );
    fs::create_dir(at("usr/bin")).unwrap();
    fs::copy("/bin/true", at("usr/bin/bash")).unwrap();
    write("root/etc/hostname", "core1\n");
    for sub in ["usr", "var", "home"] {
        fs::create_dir(at("root").join(sub)).unwrap();
    }
    for (link, target) in [
        ("root/lib", "usr/lib"),
        ("root/bin", "usr/bin"),
        ("root/etc/os-release", "../usr/lib/os-release"),
    ] {
        std::os::unix::fs::symlink(target, at(link)).unwrap();
    }
    let disk = at("flatcar.img");
    let mut image = File::create(&disk).unwrap();
    image.set_len(100 << 20).unwrap();
    fs::write(
        at("layout"),
        "label: gpt\n\
         3: start=2048, size=32M, type=5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6, name=USR-A\n\
         4: size=16M, type=5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6, name=USR-B\n\
         9: size=48M, type=3884dd41-8582-4404-b9a8-e9b84f2df50e, name=ROOT\n",
    )
    .unwrap();
    must(
        Command::new("sfdisk")
            .arg("-q")
            .arg(&disk)
            .stdin(File::open(at("layout")).unwrap()),
    )
    .unwrap();
    for (tree, size, start) in [("usr", "32M", 1), ("root", "48M", 49)] {
        let file_system = at("file-system");
        must(
            Command::new("mkfs.ext4")
                .args(["-q", "-F", "-d"])
                .arg(at(tree))
                .arg(&file_system)
                .arg(size),
        )
        .unwrap();
        image.seek(SeekFrom::Start(start << 20)).unwrap();
        std::io::copy(&mut File::open(&file_system).unwrap(), &mut image).unwrap();
        fs::remove_file(&file_system).unwrap();
    }
    let converted = convert(
        dir.path(),
        &["--engine", "refit", "--output-format", "raw", "flatcar.img"],
    );
    let report = converted.json().unwrap();
    let found = &report["fixups"]["guest"];
    assert_eq!(
        (&found["distro"], &found["hostname"]),
        (&"flatcar".into(), &"core1".into()),
        "{converted:?}"
    );
    assert_eq!(
        found["mounts"],
        serde_json::json!([
            {"device": "/dev/sda9", "path": "/"},
            {"device": "/dev/sda3", "path": "/usr"},
        ])
    );
    assert_eq!(
        (
            &report["machine"]["disks"][0]["bus"],
            &report["machine"]["nics"][0]["model"]
        ),
        (&"virtio".into(), &"virtio".into()),
        "{report:#}"
    );
    let usr = MIB..33 * MIB;
    let before = fs::read(&disk).unwrap();
    let after = fs::read(at("out").join("flatcar-disk0.raw")).unwrap();
    assert!(before[usr.clone()] == after[usr], "/usr is untouched");
}
