//! Descriptors as others wrote them: what is read of each, and which rule each of the bad ones breaks.

#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use std::fs;
use std::path::Path;

use refit_machine::{Firmware, Machine};
use refit_ovf::descriptor::DescriptorError;
use refit_ovf::{Capacity, ChoiceError, Envelope, Severity, Version};

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    String::from_utf8_lossy(&fs::read(path.join(name)).unwrap()).into_owned()
}

fn envelope(name: &str) -> Envelope {
    Envelope::parse(&text(name)).unwrap()
}

/// The machine of this identifier in this configuration, or in the default one.
fn machine(name: &str, system: Option<&str>, configuration: Option<&str>) -> Machine {
    let envelope = envelope(name);
    let system = envelope.choose_system(system).unwrap();
    let configuration = envelope.choose_configuration(configuration).unwrap();
    let configuration = configuration.map(|one| one.id.as_str());
    envelope.hardware(system, configuration, &|_| None).machine
}

#[test]
fn what_is_in_each() {
    // Version, files, disks, networks, configurations, systems, properties.
    for (name, version, counts) in [
        ("v0.9.ovf", Version::V0_9, [1, 1, 1, 0, 1, 0]),
        ("virtualbox-2.0.ovf", Version::V2, [1, 1, 1, 0, 1, 0]),
        ("configurations-list.ovf", Version::V1, [3, 1, 1, 3, 1, 10]),
        ("deployment-configs.ovf", Version::V1, [4, 6, 1, 3, 1, 7]),
        ("collection.ovf", Version::V2, [1, 1, 1, 0, 2, 4]),
        ("nested.ovf", Version::V1, [3, 3, 1, 0, 3, 0]),
        ("property-types.ovf", Version::V1, [1, 1, 0, 0, 1, 23]),
        ("everything.ovf", Version::V1, [1, 1, 1, 3, 2, 2]),
        (
            "virtualbox-controllers.ovf",
            Version::V1,
            [2, 2, 1, 0, 1, 0],
        ),
        ("xenserver.ovf", Version::V1, [1, 1, 0, 0, 1, 0]),
    ] {
        let envelope = envelope(name);
        let properties = envelope
            .systems()
            .iter()
            .flat_map(|system| &system.products)
            .map(|product| product.properties.len())
            .sum();
        let found = [
            envelope.files.len(),
            envelope.disks.len(),
            envelope.networks.len(),
            envelope.configurations.len(),
            envelope.systems().len(),
            properties,
        ];
        assert_eq!((envelope.version, found), (version, counts), "{name}");
        let errors: Vec<_> = envelope
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn a_broken_rule_has_its_place() {
    for (name, code, line, element, words) in [
        (
            "unknown-section.ovf",
            "section.required",
            9,
            "UnknownSection",
            "must be understood",
        ),
        (
            "unbound-prefix.ovf",
            "ovf.prefix",
            60,
            "Property",
            "\"ovf\" is not declared",
        ),
        (
            "unbound-prefix.ovf",
            "prop.dup",
            64,
            "Property",
            "first at line 60, column 4",
        ),
        (
            "same-instance.ovf",
            "item.dup",
            32,
            "Item",
            "\"6\" is given twice",
        ),
        (
            "same-disk.ovf",
            "disk.dup",
            10,
            "Disk",
            "\"vmdisk1\" is given twice",
        ),
        (
            "same-disk.ovf",
            "ref.unsafe",
            4,
            "File",
            "leads out of the package",
        ),
        (
            "everything.ovf",
            "service.dependency",
            292,
            "vServiceDependencySection",
            "vCenter",
        ),
    ] {
        let envelope = envelope(name);
        let found = envelope
            .problems
            .iter()
            .find(|problem| problem.code == code)
            .unwrap_or_else(|| panic!("{name} {code}: {:?}", envelope.problems));
        assert_eq!(
            (found.place.line, found.element.as_str()),
            (line, element),
            "{name} {code}"
        );
        assert!(found.message.contains(words), "{name}: {found}");
    }
}

#[test]
fn what_cannot_be_read_at_all() {
    let error = |name: &str| Envelope::parse(&text(name)).unwrap_err().to_string();
    assert!(error("garbage.ovf").contains("line 1, column 1"));
    assert!(error("version-3.ovf").contains("envelope/3"));
    assert_eq!(
        Envelope::parse("<domain/>").unwrap_err(),
        DescriptorError::NotOvf("domain".to_owned())
    );
    for (bad, words) in [
        (
            "<!DOCTYPE e [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><Envelope>&x;</Envelope>",
            "DOCTYPE",
        ),
        ("<Envelope>&x;</Envelope>", "entity &x;"),
        ("<Envelope>\n  <a></b></Envelope>", "line 2, column 6"),
    ] {
        let error = Envelope::parse(bad).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn hardware_of_each_kind_of_producer() {
    let old = machine("v0.9.ovf", None, None);
    assert_eq!((old.memory, old.vcpus), (8 << 30, 1));
    assert_eq!(old.disks[0].path, "input.vmdk");
    let virtualbox = machine("virtualbox-2.0.ovf", None, None);
    assert_eq!((virtualbox.memory, virtualbox.vcpus), (512 << 20, 1));
    assert_eq!(virtualbox.disks[0].path, "ubuntu.2.0-disk1.vmdk");
    assert_eq!(virtualbox.disks[0].bus.as_deref(), Some("sata"));
    assert_eq!(virtualbox.disks[0].capacity, Some(8 << 30));
    let secure = machine("secure-boot.ovf", None, None);
    assert_eq!(secure.firmware, Firmware::UefiSecure);
    assert!(secure.clock_localtime);
    let nics: Vec<_> = machine("three-nics.ovf", None, None)
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
}

#[test]
fn configurations_change_the_hardware() {
    // The default configuration of three is `large`.
    for (configuration, memory, vcpus) in [(None, 8 << 30, 8), (Some("large"), 8 << 30, 8)] {
        let machine = machine("deployment-configs.ovf", None, configuration);
        assert_eq!((machine.memory, machine.vcpus), (memory, vcpus));
        assert_eq!(machine.disks[0].path, "system-large.vmdk");
        assert_eq!(machine.disks[2].path, "");
    }
    for (configuration, gib, vcpus, nics) in [
        (None, 4, 4, 3),
        (Some("1CPU-1GB-1NIC"), 1, 1, 1),
        (Some("2CPU-2GB-1NIC"), 2, 2, 1),
    ] {
        let machine = machine("configurations-list.ovf", None, configuration);
        let found = (machine.memory, machine.vcpus, machine.nics.len());
        assert_eq!(found, (gib << 30, vcpus, nics), "{configuration:?}");
    }
    assert!(matches!(
        envelope("configurations-list.ovf").choose_configuration(Some("x")),
        Err(ChoiceError::UnknownConfiguration { .. })
    ));
}

#[test]
fn one_of_several_machines_is_chosen() {
    let nested = envelope("nested.ovf");
    let error = nested.choose_system(None).unwrap_err();
    let ChoiceError::SeveralSystems(ids) = error else {
        panic!("{error}")
    };
    assert_eq!(ids.len(), 3);
    for id in &ids {
        assert_eq!(&nested.choose_system(Some(id)).unwrap().id, id);
        assert!(nested.parent_of(id).is_some());
    }
    let everything = envelope("everything.ovf");
    let parent = everything.parent_of("vs2").unwrap();
    assert_eq!(parent.id, "vsc1");
    let keys: Vec<_> = parent.products[0]
        .properties
        .iter()
        .map(refit_ovf::Property::qualified)
        .collect();
    assert!(
        keys.contains(&"com.vmware.test.dbIp.vapp".to_owned()),
        "{keys:?}"
    );
    let start: Vec<_> = parent
        .startup
        .iter()
        .map(|one| (one.order, one.start_delay))
        .collect();
    assert_eq!(start, [(1, 120), (2, 119)]);
    // Its BootOrderSection names the second device, which has the same disk.
    let first = machine("everything.ovf", Some("vs1"), None);
    assert_eq!(first.disks.len(), 2);
}

#[test]
fn a_size_may_be_a_property() {
    let envelope = envelope("capacity-property.ovf");
    let Capacity::Property { key, unit } = &envelope.disks[0].capacity else {
        panic!("{:?}", envelope.disks)
    };
    let system = envelope.systems()[0];
    let size = |value: Option<&str>| {
        let hardware = envelope.hardware(system, None, &|asked| {
            value.filter(|_| asked == key).map(str::to_owned)
        });
        hardware.machine.disks[0].capacity
    };
    assert_eq!(size(Some("7")), Some(7 * unit));
    assert!(size(None).is_some());
    assert_eq!(size(Some("much")), None);
    assert_eq!(size(Some(&u64::MAX.to_string())), None);
}

#[test]
fn what_the_guest_may_ask_vmware_tools_for() {
    let text = text("extraconfig.ovf");
    let settings = |text: &str| -> Vec<(String, String)> {
        let envelope = Envelope::parse(text).unwrap();
        let found = envelope.systems()[0].guestinfo();
        let pairs = found.iter();
        pairs
            .map(|one| (one.key.clone(), one.value.clone()))
            .collect()
    };
    assert_eq!(settings(&text), []);
    let more = text.replace(
        "<vmw:ExtraConfig",
        "<vmw:ExtraConfig vmw:key='guestinfo.a' vmw:value='1'/>
         <vmw:ExtraConfig ovf:key='GuestInfo.B' ovf:value='2'/>
         <vmw:ExtraConfig vmw:key='guestinfo.ovfEnv' vmw:value='old'/>
         <vmw:ExtraConfig vmw:key='guestinfo.' vmw:value='x'/>
         <vmw:ExtraConfig",
    );
    let expected = [("guestinfo.a", "1"), ("GuestInfo.B", "2")];
    assert_eq!(
        settings(&more),
        expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
}

#[test]
fn texts_in_other_languages() {
    let bundle = text("bundle.ovf");
    let eula = |text: &str, locale: Option<&str>| {
        let load = |href: &str| {
            (href == "de.xml")
                .then(|| "<Strings><Msg msgid='msg1'>Vertrag</Msg></Strings>".to_owned())
        };
        let envelope = Envelope::parse_localised(text, locale, &load).unwrap();
        (
            envelope.systems()[0].eulas[0].text.clone(),
            envelope.locales,
        )
    };
    // A text that is there stays; only one that is empty is filled in.
    assert_eq!(eula(&bundle, None).0, "eula");
    let empty = bundle.replace(">eula<", "><");
    assert_eq!(eula(&empty, None).0, "大饿发");
    let german = empty
        .replace(
            "<References/>",
            "<References><File ovf:id='f' ovf:href='de.xml'/></References>",
        )
        .replace(
            "</Envelope>",
            "<Strings xml:lang='de-DE' ovf:fileRef='f'/></Envelope>",
        );
    assert_eq!(
        eula(&german, Some("de")),
        ("Vertrag".to_owned(), vec!["de-DE".to_owned()])
    );
}

/// A prefix is what a full disk or a broken connection leaves; a damaged byte is anything.
#[test]
fn damage_is_an_error_or_an_envelope_but_never_a_panic() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let look = |text: &str| {
        let Ok(envelope) = Envelope::parse(text) else {
            return;
        };
        for system in envelope.systems() {
            let _ = envelope.hardware(system, Some("large"), &|_| Some("1".to_owned()));
        }
    };
    let mut state = 1_u64;
    for entry in fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "ovf") {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        for _ in 0..12 {
            // A small generator of pseudo-random numbers (Knuth's MMIX).
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = usize::try_from(state >> 33).unwrap() % text.len();
            let (Some(before), Some(after)) = (text.get(..at), text.get(at + 1..)) else {
                continue;
            };
            assert!(path.ends_with("garbage.ovf") || Envelope::parse(before.trim_end()).is_err());
            for middle in [
                "<",
                "\"",
                "&",
                "9",
                "-",
                "${",
                "",
                "18446744073709551615",
                "\u{0}",
            ] {
                look(&format!("{before}{middle}{after}"));
            }
        }
    }
}
