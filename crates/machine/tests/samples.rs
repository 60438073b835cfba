//! Real files of other programs, and what damage does to them.

use refit_machine::{Chipset, Firmware, Machine, Nic, libvirt, ovf, vmx};

const VMX: &[u8] = include_bytes!("samples/alma9-clone.vmx");
const DOMAINS: [&str; 2] = [
    include_str!("samples/virt-v2v-2.5.xml"),
    include_str!("samples/virt-v2v-2.2-windows.xml"),
];
const SECURE_BOOT: &str = include_str!("samples/secure-boot.ovf");
const THREE_NICS: &str = include_str!("samples/three-nics.ovf");
const CONFIGURATIONS: &str = include_str!("samples/deployment-configs.ovf");

#[test]
fn a_vmx_file_of_esxi() {
    let machine = vmx::parse(VMX).unwrap();
    assert_eq!(machine.name, "alma9-clone");
    assert_eq!(machine.firmware, Firmware::UefiSecure);
    assert_eq!((machine.memory, machine.vcpus), (2 << 30, 1));
    let paths: Vec<_> = machine
        .disks
        .iter()
        .map(|disk| disk.path.as_str())
        .collect();
    assert_eq!(
        paths,
        ["alma9-clone_17-000001.vmdk", "alma9-clone-000001.vmdk"]
    );
    let nic = |mac: &str, slot| Nic {
        mac: mac.parse().ok(),
        model: Some("vmxnet3".to_owned()),
        network: Some("PG-206".to_owned()),
        bridge: false,
        pci_slot: Some(slot),
    };
    assert_eq!(
        machine.nics,
        [nic("00:50:56:9a:2d:f1", 192), nic("00:50:56:9a:10:89", 224)]
    );
}

#[test]
fn what_virt_v2v_writes() {
    let linux = libvirt::parse(DOMAINS[0]).unwrap();
    assert_eq!(linux.name, "yzamir-03");
    assert_eq!(linux.os_id.as_deref(), Some("http://redhat.com/rhel/8.2"));
    assert_eq!(
        (linux.memory, linux.vcpus, linux.chipset),
        (2 << 30, 1, Chipset::Q35)
    );
    assert_eq!(linux.disks[0].path, "/var/tmp/v2v/yzamir-03-sda");
    assert_eq!(linux.disks[0].format.as_deref(), Some("raw"));
    assert_eq!(linux.nics[0].mac, "00:50:56:83:f9:7f".parse().ok());
    assert_eq!(linux.nics[0].network.as_deref(), Some("VM Network"));
    assert!(linux.nics[0].bridge && !linux.is_windows());
    assert!(libvirt::parse(DOMAINS[1]).unwrap().is_windows());
}

#[test]
fn domains_come_through_writing_unchanged() {
    for xml in DOMAINS {
        let machine = libvirt::parse(xml).unwrap();
        assert_eq!(libvirt::parse(&libvirt::write(&machine)).unwrap(), machine);
    }
}

#[test]
fn ovf_descriptors_of_vsphere() {
    let secure = ovf::parse(SECURE_BOOT).unwrap();
    assert_eq!(secure.firmware, Firmware::UefiSecure);
    assert!(secure.clock_localtime);
    let nics: Vec<_> = ovf::parse(THREE_NICS)
        .unwrap()
        .nics
        .into_iter()
        .map(|nic| (nic.model.unwrap(), nic.network.unwrap()))
        .collect();
    let expected = [
        ("E1000", "VM Network"),
        ("VMXNET3", "VM Network 2"),
        ("PCNet32", "VM Network 3"),
    ];
    assert_eq!(
        nics,
        expected.map(|(model, network)| (model.to_owned(), network.to_owned()))
    );
    // The default configuration of three is `large`.
    let large = ovf::parse(CONFIGURATIONS).unwrap();
    assert_eq!((large.memory, large.vcpus), (8 << 30, 8));
    assert_eq!(large.disks[0].path, "system-large.vmdk");
    assert_eq!(large.disks[2].path, "");
}

/// A prefix is what a full disk or a broken connection leaves; a damaged byte is anything.
#[test]
fn damage_is_an_error_or_a_machine_but_never_a_panic() {
    let writes = |machine: Machine| assert!(libvirt::write(&machine).ends_with("</domain>\n"));
    for end in 0..VMX.len() {
        let _ = vmx::parse(&VMX[..end]).map(writes);
        let mut damaged = VMX.to_vec();
        damaged[end] ^= 0x80;
        let _ = vmx::parse(&damaged).map(writes);
    }
    type Read = fn(&str) -> Option<Machine>;
    let domain: Read = |text| libvirt::parse(text).ok();
    let descriptor: Read = |text| ovf::parse(text).ok();
    for (text, parse) in [
        (DOMAINS[0], domain),
        (DOMAINS[1], domain),
        (SECURE_BOOT, descriptor),
        (THREE_NICS, descriptor),
    ] {
        // All places of a small file, and some thousands of a large one.
        let places = (0..text.trim_end().len())
            .step_by(1 + text.len() / 4096)
            .filter(|at| text.is_char_boundary(*at));
        for at in places {
            assert_eq!(parse(&text[..at]), None, "{at}");
            if let Some(after) = text.get(at + 1..) {
                let damaged = format!("{}<{after}", &text[..at]);
                let _ = parse(&damaged).map(writes);
            }
        }
    }
}
