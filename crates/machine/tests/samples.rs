//! Real files of other programs, and what damage does to them.

use refit_machine::{Chipset, Firmware, Machine, Nic, libvirt, vmx};

const VMX: &[u8] = include_bytes!("samples/alma9-clone.vmx");
const DOMAINS: [&str; 2] = [
    include_str!("samples/virt-v2v-2.5.xml"),
    include_str!("samples/virt-v2v-2.2-windows.xml"),
];

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
    for text in DOMAINS {
        // All places of a small file, and some thousands of a large one.
        let places = (0..text.trim_end().len())
            .step_by(1 + text.len() / 4096)
            .filter(|at| text.is_char_boundary(*at));
        for at in places {
            assert_eq!(libvirt::parse(&text[..at]).ok(), None, "{at}");
            if let Some(after) = text.get(at + 1..) {
                let damaged = format!("{}<{after}", &text[..at]);
                let _ = libvirt::parse(&damaged).map(writes);
            }
        }
    }
}
