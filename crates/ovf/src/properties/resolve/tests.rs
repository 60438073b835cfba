#![allow(clippy::unwrap_used)]

use super::*;
use crate::properties::NetworkSettings;
use crate::{
    Collection, ConfigurationValue, Content, DeploymentConfiguration, Network, ProductSection,
    PropertyType, System,
};

fn property(key: &str, kind: &str, qualifiers: &str) -> Property {
    Property {
        key: key.to_owned(),
        kind: PropertyType::parse(kind),
        type_name: kind.to_owned(),
        qualifiers: Some(qualifiers.to_owned()),
        user_configurable: true,
        ..Property::default()
    }
}

fn with(property: Property, value: &str) -> Property {
    Property {
        value: Some(value.to_owned()),
        ..property
    }
}

fn product(properties: Vec<Property>) -> Vec<ProductSection> {
    vec![ProductSection {
        properties,
        ..ProductSection::default()
    }]
}

fn envelope(properties: Vec<Property>) -> Envelope {
    Envelope {
        content: Some(Content::System(System {
            id: "vm".to_owned(),
            products: product(properties),
            ..System::default()
        })),
        networks: vec![Network {
            name: "VM Network".to_owned(),
            ..Network::default()
        }],
        ..Envelope::default()
    }
}

fn answers(pairs: &[(&str, &str)], origin: Origin) -> Answers {
    Answers {
        properties: pairs
            .iter()
            .map(|(key, value)| {
                let answer = Answer {
                    value: (*value).to_owned(),
                    origin,
                };
                ((*key).to_owned(), answer)
            })
            .collect(),
        ..Answers::default()
    }
}

fn given(pairs: &[(&str, &str)]) -> Answers {
    answers(pairs, Origin::Private)
}

fn values(resolved: &Resolved) -> Vec<(&str, &str)> {
    let all = resolved.systems[0].properties.iter();
    all.map(|one| (one.key.as_str(), one.value.as_str()))
        .collect()
}

fn codes(result: &Result<Resolved, Violations>) -> Vec<(&str, &str)> {
    let all = result.as_ref().unwrap_err().0.iter();
    all.map(|one| (one.key.as_str(), one.code)).collect()
}

#[test]
fn answers_and_defaults() {
    let fixed = Property {
        user_configurable: false,
        ..with(property("vmname", "string", ""), "appliance")
    };
    let envelope = envelope(vec![
        property("hostname", "string", "MinLen(1)"),
        with(property("ssh", "boolean", ""), "true"),
        with(property("port", "uint16", ""), "8080"),
        property("note", "string", ""),
        fixed,
    ]);
    let resolved = resolve(
        &envelope,
        &given(&[("hostname", "web1"), ("port", "81")]),
        Policy::default(),
    )
    .unwrap();
    assert_eq!(
        values(&resolved),
        [
            ("hostname", "web1"),
            ("note", ""),
            ("port", "81"),
            ("ssh", "True"),
            ("vmname", "appliance"),
        ]
    );
    assert_eq!(resolved.warnings, []);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_secrets_are_not() {
    let secret = Property {
        password: true,
        label: Some("Root password".to_owned()),
        ..property("password", "string", "MinLen(12)")
    };
    let fixed = Property {
        user_configurable: false,
        ..with(property("vmname", "string", ""), "appliance")
    };
    let envelope = envelope(vec![
        property("hostname", "string", "MinLen(1)"),
        property("size", "int", ""),
        secret,
        fixed,
    ]);
    let given = answers(
        &[
            ("password", "hunter2"),
            ("vmname", "x"),
            ("hostnme", "web1"),
            ("something", "y"),
        ],
        Origin::Arguments,
    );
    let result = resolve(&envelope, &given, Policy::default());
    assert_eq!(
        codes(&result),
        [
            ("password", "prop.password-on-cli"),
            ("vmname", "prop.fixed"),
            ("hostname", "prop.missing"),
            ("size", "prop.missing"),
            ("password", "prop.minlen"),
            ("hostnme", "prop.unknown"),
            ("something", "prop.unknown"),
        ]
    );
    let text = result.as_ref().unwrap_err().to_string();
    assert!(text.contains("did you mean \"hostname\"?"), "{text}");
    assert!(text.contains("password (Root password): "), "{text}");
    assert!(
        text.contains("allowed: text, at least 12 characters"),
        "{text}"
    );
    assert!(!format!("{text}{result:?}{given:?}").contains("hunter2"));

    let policy = Policy {
        allow_secret_arguments: true,
        allow_fixed: true,
        ..Policy::default()
    };
    let given = answers(
        &[
            ("password", "long enough, this"),
            ("vmname", "x"),
            ("hostname", "h"),
            ("size", "1"),
        ],
        Origin::Arguments,
    );
    let resolved = resolve(&envelope, &given, policy).unwrap();
    assert!(!format!("{resolved:?}").contains("long enough"));
    assert_eq!(resolved.systems[0].value("vmname"), Some("x"));
}

#[test]
fn configurations() {
    let value = |id: &str, value: &str| ConfigurationValue {
        configuration: Some(id.to_owned()),
        value: value.to_owned(),
    };
    let only_large = Property {
        configurations: vec!["large".to_owned()],
        ..property("nodes", "int", "MinValue(3)")
    };
    let sized = Property {
        values: vec![value("small", "10"), value("large", "100")],
        ..property("size", "int", "")
    };
    let mut envelope = envelope(vec![sized, only_large]);
    envelope.configurations = ["small", "large"]
        .map(|id| DeploymentConfiguration {
            id: id.to_owned(),
            default: id == "small",
            ..DeploymentConfiguration::default()
        })
        .to_vec();
    let resolved = resolve(&envelope, &given(&[]), Policy::default()).unwrap();
    assert_eq!(resolved.configuration.as_deref(), Some("small"));
    assert_eq!(values(&resolved), [("size", "10")]);

    let result = resolve(&envelope, &given(&[("nodes", "3")]), Policy::default());
    assert_eq!(codes(&result), [("nodes", "prop.configuration")]);

    let mut large = given(&[("nodes", "3")]);
    large.configuration = Some("large".to_owned());
    let resolved = resolve(&envelope, &large, Policy::default()).unwrap();
    assert_eq!(values(&resolved), [("nodes", "3"), ("size", "100")]);
    large.configuration = Some("huge".to_owned());
    let result = resolve(&envelope, &large, Policy::default());
    assert_eq!(codes(&result)[0].1, "config.unknown");
}

#[test]
fn macros_and_networks() {
    let envelope = envelope(vec![
        with(property("url", "string", ""), "https://${ip}:${port}/"),
        with(property("port", "int", ""), "443"),
        property("ip", "string", "Ip('VM Network')"),
        property("mask", "string", "Netmask('VM Network')"),
        with(property("dns", "string", ""), "${dns:VM Network}"),
        with(property("literal", "string", ""), "x"),
    ]);
    let mut all = given(&[("literal", "${nothing}")]);
    let missing = resolve(&envelope, &all, Policy::default());
    assert_eq!(codes(&missing), [("dns", "macro.unresolved")]);
    all.networks.insert(
        "VM Network".to_owned(),
        NetworkSettings {
            addresses: vec!["192.0.2.10".to_owned()],
            netmask: Some("255.255.255.0".to_owned()),
            dns: vec!["192.0.2.1".to_owned(), "192.0.2.2".to_owned()],
            ..NetworkSettings::default()
        },
    );
    let resolved = resolve(&envelope, &all, Policy::default()).unwrap();
    assert_eq!(
        values(&resolved),
        [
            ("dns", "192.0.2.1,192.0.2.2"),
            ("ip", "192.0.2.10"),
            ("literal", "${nothing}"),
            ("mask", "255.255.255.0"),
            ("port", "443"),
            ("url", "https://192.0.2.10:443/"),
        ]
    );
    all.ip_allocation = Some(IpAllocation::Dhcp);
    let resolved = resolve(&envelope, &all, Policy::default()).unwrap();
    assert_eq!(resolved.systems[0].value("ip"), Some(""));
}

#[test]
fn macros_that_never_end() {
    let one = |key: &str, value: &str| with(property(key, "string", ""), value);
    let circle = envelope(vec![one("a", "${b}"), one("b", "x${a}"), one("c", "${c}")]);
    let result = resolve(&circle, &given(&[]), Policy::default());
    assert!(
        codes(&result)
            .iter()
            .all(|(_, code)| *code == "macro.unresolved")
    );
    // Each doubles the one before.
    let mut bomb = vec![one("p00", &"x".repeat(64))];
    for n in 1..40 {
        let before = format!("${{p{:02}}}", n - 1);
        bomb.push(one(&format!("p{n:02}"), &before.repeat(2)));
    }
    let result = resolve(&envelope(bomb), &given(&[]), Policy::default());
    assert!(
        codes(&result)
            .iter()
            .all(|(_, code)| *code == "prop.too-long")
    );
    let long: Vec<Property> = (0..10_000)
        .map(|n| one(&format!("p{n:05}"), &format!("${{p{:05}}}", n + 1)))
        .collect();
    assert!(resolve(&envelope(long), &given(&[]), Policy::default()).is_err());
    // A secret taints what is made of it.
    let secret = Property {
        password: true,
        ..one("pw", "hunter2")
    };
    let tainted = envelope(vec![secret, one("url", "http://${pw}@host")]);
    let resolved = resolve(&tainted, &given(&[]), Policy::default()).unwrap();
    assert!(resolved.systems[0].properties.iter().all(|one| one.secret));
}

#[test]
fn members_of_a_collection_see_their_parent_and_each_other() {
    let system = |id: &str, properties| {
        Content::System(System {
            id: id.to_owned(),
            products: product(properties),
            ..System::default()
        })
    };
    let envelope = Envelope {
        content: Some(Content::Collection(Collection {
            id: "app".to_owned(),
            products: product(vec![
                with(property("domain", "string", ""), "example.com"),
                with(property("ip", "string", "Ip"), "192.0.2.9"),
            ]),
            members: vec![
                system(
                    "web",
                    vec![
                        with(property("fqdn", "string", ""), "web.${domain}"),
                        property("ip", "string", "Ip MinLen(1)"),
                    ],
                ),
                system("db", vec![property("ip", "string", "Ip MinLen(1)")]),
            ],
            ..Collection::default()
        })),
        ..Envelope::default()
    };
    let result = resolve(&envelope, &given(&[]), Policy::default());
    let missing = result.as_ref().unwrap_err();
    let systems: Vec<_> = missing.0.iter().map(|one| one.system.as_deref()).collect();
    assert_eq!(systems, [Some("web"), Some("db")]);

    let mut all = given(&[("ip", "192.0.2.1")]);
    let one = given(&[("ip", "192.0.2.2")]).properties;
    all.systems.insert("db".to_owned(), one);
    let resolved = resolve(&envelope, &all, Policy::default()).unwrap();
    assert_eq!(
        values(&resolved),
        [
            ("domain", "example.com"),
            ("fqdn", "web.example.com"),
            ("ip", "192.0.2.1")
        ]
    );
    let siblings = &resolved.systems[0].siblings;
    assert_eq!(siblings.len(), 1);
    assert_eq!((siblings[0].0.as_str(), siblings[0].1.len()), ("db", 1));
    assert_eq!(siblings[0].1[0].value, "192.0.2.2");
    let unknown = given(&[("ip", "192.0.2.3")]).properties;
    all.systems.insert("cache".to_owned(), unknown);
    let result = resolve(&envelope, &all, Policy::default());
    assert_eq!(codes(&result), [("", "system.unknown")]);
}

#[test]
fn the_vendors_own_values_only_deserve_a_warning() {
    let fixed = Property {
        user_configurable: false,
        ..with(property("size", "uint8", ""), "300")
    };
    let empty = Property {
        user_configurable: false,
        ..property("flag", "boolean", "")
    };
    let twice = vec![
        fixed.clone(),
        empty,
        with(property("x", "nosuchtype", ""), "1"),
        with(property("x", "string", ""), "2"),
    ];
    let resolved = resolve(&envelope(twice), &given(&[]), Policy::default()).unwrap();
    assert_eq!(
        values(&resolved),
        [("flag", "False"), ("size", "300"), ("x", "1")]
    );
    let warned: Vec<_> = resolved.warnings.iter().map(|one| one.code).collect();
    assert_eq!(
        warned,
        ["prop.duplicate", "prop.range", "prop.rule-unknown"]
    );
    let mine = Property {
        user_configurable: true,
        ..fixed
    };
    let result = resolve(&envelope(vec![mine]), &given(&[]), Policy::default());
    assert_eq!(codes(&result), [("size", "prop.range")]);
}

#[test]
fn odd_values_get_a_remark() {
    let envelope = envelope(vec![property("text", "string", "")]);
    let resolved = resolve(&envelope, &given(&[("text", " a&b\n")]), Policy::default()).unwrap();
    let warned: Vec<_> = resolved.warnings.iter().map(|one| one.code).collect();
    assert_eq!(
        warned,
        ["prop.xml-special", "prop.multiline", "prop.blanks"]
    );
    let mut extra = given(&[]);
    extra.extra = given(&[("net.mgmt.addr", "192.0.2.1/24")]).properties;
    let resolved = resolve(&envelope, &extra, Policy::default()).unwrap();
    assert_eq!(
        resolved.systems[0].value("net.mgmt.addr"),
        Some("192.0.2.1/24")
    );
    extra.extra = given(&[("text", "x")]).properties;
    let result = resolve(&envelope, &extra, Policy::default());
    assert_eq!(codes(&result), [("text", "prop.extra")]);
}
