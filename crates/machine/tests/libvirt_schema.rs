//! Written domains against libvirt's own RELAX NG schema.

use std::process::Command;

use refit_machine::{Chipset, Disk, Firmware, Machine, Nic, libvirt};

/// Where Debian's libvirt0 puts it.
const SCHEMA: &str = "/usr/share/libvirt/schemas/domain.rng";

fn disk(path: &str, bus: &str) -> Disk {
    Disk {
        path: path.to_owned(),
        format: Some("qcow2".to_owned()),
        bus: Some(bus.to_owned()),
        serial: Some("serial-1".to_owned()),
        ..Disk::default()
    }
}

#[test]
#[ignore = "needs xmllint (libxml2-utils) and libvirt's schemas (libvirt0)"]
fn every_kind_of_domain_is_valid() {
    let full = Machine {
        name: "web <1> & \u{1} / é".to_owned(),
        uuid: Some("421a257b-7a5f-17da-f93d-09015561ac2a".to_owned()),
        serial: Some("VMware-42 1a".to_owned()),
        memory: 2 << 30,
        vcpus: 4,
        cores_per_socket: 2,
        os_id: Some("http://microsoft.com/win/2k22".to_owned()),
        clock_localtime: true,
        tpm: true,
        disks: ["virtio", "scsi", "sata", "ide", "nvme"]
            .map(|bus| disk("/out/a b'c-sda", bus))
            .into_iter()
            .chain([disk("/dev/vg/lv", "virtio")])
            .collect(),
        nics: vec![
            Nic {
                mac: "00:50:56:aa:bb:01".parse().ok(),
                model: Some("e1000e".to_owned()),
                network: Some("VM Network".to_owned()),
                bridge: true,
                ..Nic::default()
            },
            Nic::default(),
        ],
        ..Machine::default()
    };
    let directory = tempfile::tempdir().unwrap();
    for chipset in [Chipset::Q35, Chipset::I440fx] {
        for firmware in [Firmware::Bios, Firmware::Uefi, Firmware::UefiSecure] {
            for base in [full.clone(), Machine::default()] {
                let machine = Machine {
                    chipset,
                    firmware,
                    ..base
                };
                let path = directory.path().join("domain.xml");
                let xml = libvirt::write(&machine);
                std::fs::write(&path, &xml).unwrap();
                let output = Command::new("xmllint")
                    .args(["--noout", "--nonet", "--relaxng", SCHEMA])
                    .arg(&path)
                    .output()
                    .unwrap();
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{errors}\n{xml}");
            }
        }
    }
}
