//! The environment documents of real descriptors, read back by others: Python's XML parser, and the one-liners
//! of real appliances' scripts.

#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use refit_ovf::env::{Adapter, Environment, Platform, document};
use refit_ovf::properties::{Answer, Answers, Kind, Origin, Policy, Resolved, Rules, resolve};
use refit_ovf::{Envelope, spec};

fn descriptors() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/properties");
    let mut all: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "ovf"))
        .collect();
    all.sort();
    assert_eq!(all.len(), 6);
    all
}

fn envelope(path: &Path) -> Envelope {
    Envelope::parse(&fs::read_to_string(path).unwrap()).unwrap()
}

fn answer(value: impl Into<String>) -> Answer {
    Answer {
        value: value.into(),
        origin: Origin::Private,
    }
}

/// Values for what has no good default.
fn answers(envelope: &Envelope) -> Answers {
    let mut answers = Answers::default();
    for system in envelope.systems() {
        for property in system
            .products
            .iter()
            .flat_map(|product| &product.properties)
        {
            let rules = Rules::of(property);
            let default = property.default_value(None).unwrap_or("");
            if !property.user_configurable || !default.is_empty() || rules.takes_empty() {
                continue;
            }
            let value = match rules.kind {
                Kind::Boolean => "true".to_owned(),
                Kind::Integer { .. } | Kind::Real { .. } => "1".to_owned(),
                Kind::Text => "x".repeat(rules.min_len.unwrap_or(1) as usize),
            };
            answers
                .properties
                .insert(property.qualified(), answer(value));
        }
    }
    answers
}

fn resolved(envelope: &Envelope, answers: &Answers) -> Resolved {
    resolve(envelope, answers, Policy::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn text(resolved: &Resolved, index: usize) -> String {
    let adapters: [Adapter; 1] = ["52:54:00:00:00:01=VM Network".parse().unwrap()];
    document(&Environment {
        platform: Platform::default(),
        properties: &resolved.systems[index].properties,
        adapters: &adapters,
        siblings: &resolved.systems[index].siblings,
    })
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Prints `key TAB value` of the properties of the first section, and `@id` lines for entities.
const ELEMENT_TREE: &str = r#"
import sys, xml.etree.ElementTree as tree
oe = '{http://schemas.dmtf.org/ovf/environment/1}'
root = tree.parse(sys.argv[1]).getroot()
assert root.tag == oe + 'Environment' and root.get(oe + 'id') == ''
for one in root.find(oe + 'PropertySection'):
    print(one.get(oe + 'key') + '\t' + repr(one.get(oe + 'value')))
for one in root.findall(oe + 'Entity'):
    print('@' + one.get(oe + 'id') + '\t%d' % len(one.find(oe + 'PropertySection')))
"#;

#[test]
fn real_descriptors_read_back_by_an_xml_parser() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ovf-env.xml");
    for path in descriptors() {
        let envelope = envelope(&path);
        let resolved = resolved(&envelope, &answers(&envelope));
        for (index, system) in resolved.systems.iter().enumerate() {
            let text = text(&resolved, index);
            fs::write(&file, &text).unwrap();
            let found = run("python3", &["-c", ELEMENT_TREE, file.to_str().unwrap()]);
            let mut expected: Vec<String> = system
                .properties
                .iter()
                .map(|one| format!("{}\t'{}'", one.key, one.value))
                .collect();
            expected.extend(
                system
                    .siblings
                    .iter()
                    .map(|(id, properties)| format!("@{id}\t{}", properties.len())),
            );
            assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{path:?}");
            // One line for each, in byte order of the keys.
            let lines: Vec<&str> = text
                .lines()
                .filter(|line| line.starts_with("         <Property oe:key=\""))
                .collect();
            assert_eq!(lines.len(), system.properties.len());
            assert!(
                system
                    .properties
                    .windows(2)
                    .all(|two| two[0].key < two[1].key)
            );
        }
    }
}

#[test]
fn files_of_answers_read_back_as_they_were() {
    for path in descriptors() {
        let envelope = envelope(&path);
        let filled = answers(&envelope);
        let expected = resolved(&envelope, &filled);
        for form in [spec::toml(&envelope, None), spec::govc(&envelope, None)] {
            let mut read = spec::read(&form).unwrap_or_else(|error| panic!("{error}\n{form}"));
            read.merge(Answers {
                properties: filled.properties.clone(),
                ..Answers::default()
            });
            // Where every system has its own table, what is filled in has to go there.
            for answers in read.systems.values_mut() {
                answers.retain(|key, _| !filled.properties.contains_key(key));
            }
            let again = resolved(&envelope, &read);
            assert_eq!(again.systems, expected.systems, "{path:?}\n{form}");
            assert_eq!(again.configuration, expected.configuration);
        }
    }
}

#[test]
fn scripts_of_appliances_find_every_type_of_value() {
    let descriptor = r#"<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"><VirtualSystem ovf:id="vm"><Info/><ProductSection><Info/>
 <Property ovf:key="guestinfo.hostname" ovf:type="string" ovf:userConfigurable="true"/>
 <Property ovf:key="guestinfo.hostname2" ovf:type="string" ovf:value="other"/>
 <Property ovf:key="guestinfo.ssh" ovf:type="boolean" ovf:value="true"/>
 <Property ovf:key="guestinfo.port" ovf:type="uint16" ovf:value="8080"/>
 <Property ovf:key="guestinfo.ratio" ovf:type="real32" ovf:value="0.5"/>
 <Property ovf:key="guestinfo.note" ovf:type="string" ovf:userConfigurable="true"/>
 <Property ovf:key="guestinfo.password" ovf:type="string" ovf:password="true" ovf:userConfigurable="true"/>
</ProductSection></VirtualSystem></Envelope>"#;
    let envelope = Envelope::parse(descriptor).unwrap();
    let values = [
        ("guestinfo.hostname", "web1.example.com"),
        ("guestinfo.note", "it's = two words; $HOME `x` \\n %s"),
        ("guestinfo.password", "p'w!#/ \u{e4}"),
    ];
    let answers = Answers {
        properties: BTreeMap::from(values.map(|(key, value)| (key.to_owned(), answer(value)))),
        ..Answers::default()
    };
    let resolved = resolved(&envelope, &answers);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ovf-env.xml");
    fs::write(&file, text(&resolved, 0)).unwrap();
    let file = file.to_str().unwrap();
    let fixed = [
        ("guestinfo.ssh", "True"),
        ("guestinfo.port", "8080"),
        ("guestinfo.ratio", "0.5"),
    ];
    for (key, value) in values.into_iter().chain(fixed) {
        for script in [
            r#"grep "$2\"" "$1" | awk -F'oe:value="' '{print $2}' | awk -F'"' '{print $1}'"#,
            r#"sed -n "s/.*Property oe:key=\"$2\" oe:value=\"\([^\"]*\).*/\1/p" "$1""#,
            r#"perl -CSD -ne 'BEGIN { $key = shift } print "$1\n" if /key="\Q$key\E".*value="(.*)"/' "$2" "$1""#,
            r#"grep -oP "(?<=oe:key=\"$2\" oe:value=\")[^\"]*" "$1""#,
            r#"sed -n '/<\/PlatformSection>/,/<\/ve:EthernetAdapterSection>/p' "$1" | grep "\"$2\"" | cut -d'"' -f4"#,
        ] {
            let found = run("sh", &["-c", script, "sh", file, key]);
            assert_eq!(found.strip_suffix('\n'), Some(value), "{script}");
        }
    }
    // The NIC of a network by its name.
    let script = r#"grep 've:network="VM Network"' "$1" | sed -e 's/.*ve:mac="//' -e 's/".*//'"#;
    assert_eq!(
        run("sh", &["-c", script, "sh", file]),
        "52:54:00:00:00:01\n"
    );
}
