//! Whole manifests: against files checked in, and against KubeVirt's own schema.

#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use std::collections::BTreeMap;
use std::path::Path;

use refit_kubevirt::{
    Error, Options, RunStrategy, VirtualMachine, notes, ovf_environment, virtual_machine,
};
use refit_machine::{CdromBus, Chipset, Disk, Firmware, Machine, Nic};
use serde_json::{Value, json};

fn linux() -> Machine {
    Machine {
        name: "Web 1".to_owned(),
        uuid: Some("421a257b-7a5f-17da-f93d-09015561ac2a".to_owned()),
        serial: Some("VMware-42 1a 25 7b".to_owned()),
        memory: 2 << 30,
        vcpus: 2,
        os_id: Some("http://debian.org/debian/12".to_owned()),
        disks: vec![
            Disk {
                path: "web1-sda".to_owned(),
                bus: Some("virtio".to_owned()),
                ..Disk::default()
            },
            Disk {
                path: "web1-sdb".to_owned(),
                bus: Some("sata".to_owned()),
                serial: Some("data.1".to_owned()),
                ..Disk::default()
            },
        ],
        nics: vec![Nic {
            mac: "00:50:56:11:22:33".parse().ok(),
            model: Some("vmxnet3".to_owned()),
            network: Some("VM Network".to_owned()),
            ..Nic::default()
        }],
        ..Machine::default()
    }
}

fn windows() -> Machine {
    Machine {
        name: "win2022".to_owned(),
        serial: Some("ABC-1".to_owned()),
        memory: (4 << 30) + 1024,
        vcpus: 8,
        cores_per_socket: 4,
        firmware: Firmware::UefiSecure,
        os_id: Some("http://microsoft.com/win/2k22".to_owned()),
        clock_localtime: true,
        tpm: true,
        disks: vec![Disk {
            bus: Some("scsi".to_owned()),
            ..Disk::default()
        }],
        nics: ["VM Network", "Storage 10G", "Lab"]
            .iter()
            .zip(1..)
            .map(|(network, last)| Nic {
                mac: format!("00:50:56:aa:bb:0{last}").parse().ok(),
                model: Some("e1000e".to_owned()),
                network: Some((*network).to_owned()),
                ..Nic::default()
            })
            .collect(),
        ..Machine::default()
    }
}

fn windows_options() -> Options {
    Options {
        name: Some("win".to_owned()),
        namespace: Some("migrated".to_owned()),
        run: RunStrategy::Always,
        claims: vec!["imported.c".to_owned()],
        networks: BTreeMap::from([
            ("VM Network".to_owned(), "default/vlan-10".to_owned()),
            ("Lab".to_owned(), "pod".to_owned()),
        ]),
        timezone: Some("Europe/Berlin".to_owned()),
        ovf_environment: false,
    }
}

fn made(machine: &Machine, options: &Options) -> VirtualMachine {
    virtual_machine(machine, options).unwrap()
}

#[track_caller]
fn assert_golden(name: &str, manifest: &VirtualMachine) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let yaml = manifest.to_yaml().unwrap();
    if std::env::var_os("REFIT_BLESS").is_some() {
        std::fs::write(&path, &yaml).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert_eq!(yaml, golden, "{name} differs; REFIT_BLESS=1 writes it anew");
}

/// The schema with every object closed: the API server drops unknown fields without a word, so
/// here they are errors. `metadata` is the one object that its schema leaves open.
fn strict_schema() -> Value {
    fn close(schema: &mut Value) {
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        if object.get("type") == Some(&json!("object"))
            && !object.contains_key("additionalProperties")
        {
            object.insert("additionalProperties".to_owned(), json!(false));
        }
        for key in ["items", "additionalProperties"] {
            if let Some(inner) = object.get_mut(key) {
                close(inner);
            }
        }
        if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
            for (name, inner) in properties {
                if name == "metadata" {
                    *inner = json!({"type": "object", "properties": {
                        "name": {"type": "string"}, "namespace": {"type": "string"},
                        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
                    }});
                }
                close(inner);
            }
        }
    }
    let mut schema = serde_json::from_str(include_str!("virtualmachine-v1.schema.json")).unwrap();
    close(&mut schema);
    schema
}

fn errors(manifest: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(&strict_schema()).unwrap();
    validator
        .iter_errors(manifest)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn a_bios_linux() {
    assert_golden("linux-bios.yaml", &made(&linux(), &Options::default()));
}

#[test]
fn an_appliance_gets_its_environment_from_a_secret() {
    let options = Options {
        ovf_environment: true,
        namespace: Some("lab".to_owned()),
        ..Options::default()
    };
    assert_golden("appliance.yaml", &made(&linux(), &options));
    let document = "<?xml?>\n<Environment>: 'x' \"y\"\n</Environment>\n".to_owned();
    let secret = ovf_environment(&linux(), &options, document.clone()).unwrap();
    assert!(!format!("{secret:?}").contains("Environment"));
    let value: Value = serde_saphyr::from_str(&secret.to_yaml().unwrap()).unwrap();
    assert_eq!(
        value,
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "web-1-ovf-env", "namespace": "lab"},
            "stringData": {"ovf-env.xml": document},
        })
    );
    let machine = serde_json::to_value(made(&linux(), &options)).unwrap();
    let spec = &machine["spec"]["template"]["spec"];
    assert_eq!(
        spec["volumes"][2],
        json!({"name": "ovf-env", "secret": {"secretName": "web-1-ovf-env", "volumeLabel": "OVF ENV"}})
    );
    assert_eq!(
        spec["domain"]["devices"]["disks"][2],
        json!({"name": "ovf-env", "cdrom": {"bus": "sata"}})
    );
    let on_scsi = Machine {
        cdrom: CdromBus::Scsi,
        ..linux()
    };
    let machine = serde_json::to_value(made(&on_scsi, &options)).unwrap();
    assert_eq!(
        machine["spec"]["template"]["spec"]["domain"]["devices"]["disks"][2]["cdrom"],
        json!({"bus": "scsi"})
    );
    let secret = ovf_environment(&linux(), &options, "document".to_owned()).unwrap();
    let both = secret
        .clone()
        .with_guestinfo("settings".to_owned())
        .unwrap();
    assert_eq!(
        serde_json::to_value(both).unwrap()["stringData"],
        json!({"ovf-env.xml": "document", "guestinfo.xml": "settings"})
    );
    assert!(matches!(
        secret.with_guestinfo("x".repeat(1 << 20)),
        Err(Error::SecretSize(_))
    ));
    let large = ovf_environment(&linux(), &options, "x".repeat((1 << 20) + 1));
    assert!(matches!(large, Err(Error::SecretSize(_))));
}

#[test]
fn a_secure_boot_windows() {
    assert_golden(
        "windows-secure-boot.yaml",
        &made(&windows(), &windows_options()),
    );
}

#[test]
fn the_yaml_says_what_the_json_says_and_the_schema_accepts_it() {
    let empty = Machine::default();
    let uefi = Machine {
        firmware: Firmware::Uefi,
        ..linux()
    };
    for (machine, options) in [
        (linux(), Options::default()),
        (windows(), windows_options()),
        (windows(), Options::default()),
        (uefi, Options::default()),
        (
            linux(),
            Options {
                ovf_environment: true,
                ..Options::default()
            },
        ),
        (empty, Options::default()),
    ] {
        let manifest = made(&machine, &options);
        let value = serde_json::to_value(&manifest).unwrap();
        assert_eq!(errors(&value), Vec::<String>::new());
        let yaml: Value = serde_saphyr::from_str(&manifest.to_yaml().unwrap()).unwrap();
        assert_eq!(yaml, value);
    }
}

#[test]
fn the_schema_refuses_what_kubevirt_would_drop() {
    let good = serde_json::to_value(made(&windows(), &windows_options())).unwrap();
    // Mistakes that virt-v2v's own manifests have had, and a spelling mistake in each part.
    for (path, value) in [
        ("/spec/template/spec/domain/cpu/thread", json!(1)),
        ("/spec/template/spec/domain/resources", json!({"clock": {}})),
        ("/spec/template/spec/domain/clock/localtime", json!({})),
        (
            "/spec/template/spec/domain/devices/interfaces/0/bridge/x",
            json!(1),
        ),
        ("/spec/template/spec/networks/0/networkName", json!("lan")),
        (
            "/spec/template/spec/volumes/0/persistentVolumeClaim/claim",
            json!("x"),
        ),
        ("/spec/template/spec/domain/devices/rng/x", json!(1)),
        ("/spec/runstrategy", json!("Always")),
        ("/metadata/label", json!({})),
        ("/metadata/labels/a", json!(1)),
        ("/status", json!({})),
    ] {
        let mut bad = good.clone();
        let (parent, key) = path.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[key] = value;
        assert_ne!(errors(&bad), Vec::<String>::new(), "{path}");
    }
    let mut bad = good;
    bad["spec"]["template"]["spec"]["domain"]["memory"]["guest"] = json!("2 GiB");
    assert_ne!(errors(&bad), Vec::<String>::new());
}

#[test]
fn what_admission_checks_beyond_the_schema() {
    let value = serde_json::to_value(made(&windows(), &windows_options())).unwrap();
    let domain = &value["spec"]["template"]["spec"]["domain"];
    // Secure Boot needs SMM.
    assert_eq!(domain["firmware"]["bootloader"]["efi"]["secureBoot"], true);
    assert_eq!(domain["features"]["smm"]["enabled"], true);
    // Each disk has its volume, each interface its network, under unique names.
    for (devices, sources) in [("disks", "volumes"), ("interfaces", "networks")] {
        let names = |list: &Value| -> Vec<String> {
            let list = list.as_array().unwrap().iter();
            list.map(|item| item["name"].as_str().unwrap().to_owned())
                .collect()
        };
        let devices = names(&domain["devices"][devices]);
        assert_eq!(devices, names(&value["spec"]["template"]["spec"][sources]));
        let mut unique = devices.clone();
        unique.dedup();
        assert_eq!(unique, devices);
    }
    // UEFI without Secure Boot must say so: KubeVirt's default is with it.
    let uefi = Machine {
        firmware: Firmware::Uefi,
        ..linux()
    };
    let value = serde_json::to_value(made(&uefi, &Options::default())).unwrap();
    let domain = &value["spec"]["template"]["spec"]["domain"];
    assert_eq!(domain["firmware"]["bootloader"]["efi"]["secureBoot"], false);
    // A serial number with spaces is refused by KubeVirt.
    assert_eq!(domain["firmware"].get("serial"), None);
    // A machine without network card gets none.
    let value = serde_json::to_value(made(&Machine::default(), &Options::default())).unwrap();
    let devices = &value["spec"]["template"]["spec"]["domain"]["devices"];
    assert_eq!(devices["autoattachPodInterface"], false);
}

#[test]
fn wrong_options_are_refused() {
    let name = |name: &str| Options {
        name: Some(name.to_owned()),
        ..Options::default()
    };
    let network = |definition: &str| Options {
        networks: BTreeMap::from([("VM Network".to_owned(), definition.to_owned())]),
        ..Options::default()
    };
    let claim = Options {
        claims: vec!["Upper".to_owned()],
        ..Options::default()
    };
    let namespace = Options {
        namespace: Some("a.b".to_owned()),
        ..Options::default()
    };
    for options in [
        name(""),
        name("Web"),
        name(&"a".repeat(64)),
        network("VM Network"),
        network("a/b/c"),
        network("/b"),
        claim,
        namespace,
    ] {
        let error = virtual_machine(&linux(), &options).unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{options:?}: {error}");
    }
    let timezone = Options {
        timezone: Some("Mars; rm".to_owned()),
        ..Options::default()
    };
    assert!(matches!(
        virtual_machine(&linux(), &timezone),
        Err(Error::Timezone(_))
    ));
    let pods = Options {
        networks: BTreeMap::from([
            ("VM Network".to_owned(), "pod".to_owned()),
            ("Lab".to_owned(), "pod".to_owned()),
        ]),
        ..Options::default()
    };
    assert!(matches!(
        virtual_machine(&windows(), &pods),
        Err(Error::PodNetworks {
            first: 0,
            second: 2
        })
    ));
}

#[test]
fn notes_say_what_is_lost_or_needed() {
    assert_eq!(
        notes(
            &Machine {
                memory: 1 << 30,
                ..Machine::default()
            },
            &Options::default()
        ),
        [""; 0]
    );
    let machine = Machine {
        serial: Some("VMware-42 1a".to_owned()),
        chipset: Chipset::I440fx,
        memory: 0,
        ..windows()
    };
    let notes = notes(&machine, &Options::default()).join("\n");
    for part in [
        "network card 0 is on the pod network",
        "network card 1 needs the NetworkAttachmentDefinition storage-10g",
        "network card 2 needs the NetworkAttachmentDefinition lab",
        "local time",
        "serial number",
        "TPM",
        "i440FX",
        "2 GiB",
    ] {
        assert!(notes.contains(part), "{part} in {notes}");
    }
}
