//! Another implementation reads our OVF environment: cloud-init's own parser, from its Debian package, which is
//! unpacked and not installed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use refit_tests::{must, refit, root, run};
use serde_json::{Value, json};

/// cloud-init, and what its module for OVF imports.
const PACKAGES: [&str; 9] = [
    "cloud-init",
    "python3-certifi",
    "python3-chardet",
    "python3-configobj",
    "python3-idna",
    "python3-requests",
    "python3-six",
    "python3-urllib3",
    "python3-yaml",
];

/// The directory of its Python modules.
static MODULES: LazyLock<PathBuf> = LazyLock::new(fetch);

/// Fetches them, unless they are there.
fn fetch() -> PathBuf {
    let kept = root().join("target/cloud-init");
    if !kept.exists() {
        let part = root().join("target/cloud-init.part");
        let _ = fs::remove_dir_all(&part);
        fs::create_dir_all(&part).unwrap();
        let download = || {
            run(Command::new("apt-get")
                .args(["-qq", "-o", "APT::Sandbox::User=root", "download"])
                .args(PACKAGES)
                .current_dir(&part))
            .unwrap()
        };
        if download().code != Some(0) {
            // Container images ship no lists.
            must(Command::new("apt-get").args(["-qq", "update"])).unwrap();
            let again = download();
            assert_eq!(again.code, Some(0), "{again:?}");
        }
        let unpack = "for package in *.deb; do dpkg-deb -x \"$package\" tree; done; rm ./*.deb";
        must(Command::new("sh").args(["-ec", unpack]).current_dir(&part)).unwrap();
        fs::rename(&part, &kept).unwrap();
    }
    kept.join("tree/usr/lib/python3/dist-packages")
}

/// What its two functions make of a document, as JSON.
const READ: &str = r"
import json, sys
from cloudinit.sources import DataSourceOVF as ovf
text = open(sys.argv[1], encoding='utf-8', newline='').read()
metadata, user_data, settings = ovf.read_ovf_environment(text, read_network=True)
json.dump({
    'properties': ovf.get_properties(text),
    'metadata': metadata,
    'user-data': None if user_data is None else user_data.decode(),
    'settings': settings,
}, sys.stdout)
";

fn read(document: &Path) -> Value {
    let read = must(
        // Without what else is installed on this host.
        Command::new("/usr/bin/python3")
            .args(["-S", "-c", READ])
            .arg(document)
            .env("PYTHONPATH", &*MODULES),
    )
    .unwrap();
    serde_json::from_str(&read).unwrap()
}

/// The environment of an appliance with these answers, as refit writes it.
fn environment(dir: &Path, descriptor: &Path, values: &Value) -> PathBuf {
    let answers = dir.join("answers.json");
    // TOML's basic strings are JSON's.
    let lines: String = values
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| format!("{} = {value}\n", json!(key)))
        .collect();
    fs::write(&answers, format!("[properties]\n{lines}")).unwrap();
    let out = dir.join("env");
    let made = run(refit()
        .args(["ova", "env", "--force", "--out"])
        .arg(&out)
        .arg("--values")
        .arg(&answers)
        .arg(descriptor))
    .unwrap();
    assert!(matches!(made.code, Some(0 | 3)), "{made:?}");
    // What is read is what is on the medium.
    let document = dir.join("ovf-env.xml");
    let content = must(
        Command::new("isoinfo")
            .args(["-J", "-x", "/ovf-env.xml", "-i"])
            .arg(out.join("ovf-env.iso")),
    )
    .unwrap();
    assert_eq!(
        content,
        fs::read_to_string(out.join("ovf-env.xml")).unwrap()
    );
    fs::write(&document, content).unwrap();
    document
}

fn descriptor(properties: &[(&str, &str, &str)]) -> String {
    let properties: String = properties
        .iter()
        .map(|(key, kind, more)| {
            format!(
                "<Property ovf:key=\"{key}\" ovf:type=\"{kind}\" ovf:userConfigurable=\"true\" {more}/>\n"
            )
        })
        .collect();
    format!(
        "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\" \
         xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\"><VirtualSystem ovf:id=\"vm\"><Info/>\
         <ProductSection><Info/>{properties}</ProductSection>\
         <ProductSection ovf:class=\"com.example\" ovf:instance=\"1\"><Info/>\
         <Property ovf:key=\"hostname\" ovf:type=\"string\" ovf:value=\"fixed &amp; set\"/></ProductSection>\
         </VirtualSystem></Envelope>"
    )
}

#[test]
fn cloud_init_reads_what_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.ovf");
    let integers = [
        "uint8", "sint8", "uint16", "sint16", "uint32", "sint32", "uint64", "sint64",
    ];
    let mut properties: Vec<(&str, &str, &str)> = integers.map(|kind| (kind, kind, "")).to_vec();
    properties.extend([
        ("int", "int", ""),
        ("real32", "real32", ""),
        ("real64", "real64", ""),
        ("yes", "boolean", ""),
        ("no", "boolean", ""),
        (
            "map",
            "string",
            "ovf:qualifiers='ValueMap{&quot;a,b&quot;,&quot;c(d)&quot;}'",
        ),
        ("empty", "string", ""),
        ("special", "string", ""),
        ("lines", "string", ""),
        ("unicode", "string", ""),
        ("markup", "string", ""),
        ("default", "string", "ovf:value=\"'&quot;&lt;&gt;\""),
        ("password", "string", "ovf:password=\"true\""),
        ("local-hostname", "string", ""),
        ("instance-id", "string", ""),
        ("public-keys", "string", ""),
        ("user-data", "string", ""),
        ("network-config", "string", ""),
    ]);
    fs::write(&path, descriptor(&properties)).unwrap();
    let values = json!({
        "uint8": "255", "sint8": "-128", "uint16": "65535", "sint16": "-32768",
        "uint32": "4294967295", "sint32": "-2147483648",
        "uint64": "18446744073709551615", "sint64": "-9223372036854775808",
        "int": "-1", "real32": "0.5", "real64": "-1e300",
        "yes": "true", "no": "FALSE", "map": "a,b", "empty": "",
        "special": "a&b <c> \"d\" 'e' \\f $g `h` %i ;j #k ]]> &amp; &#10;",
        "lines": "one\n\ttwo\r\nthree",
        "unicode": "\u{e4}\u{1f600}\u{4e2d} \u{a0}\u{85}",
        "markup": "--><Property oe:key=\"x\" oe:value=\"y\"/><!--",
        "password": "p&<\"'\\ w",
        "local-hostname": "web1.example.com",
        "instance-id": "i-1",
        "public-keys": "ssh-ed25519 AAAA a@b\nssh-rsa BBBB",
        // #cloud-config
        "user-data": "I2Nsb3VkLWNvbmZpZwo=",
        // network: {version: 2}
        "network-config": "bmV0d29yazoge3ZlcnNpb246IDJ9Cg==",
    });
    let found = read(&environment(dir.path(), &path, &values));
    let mut expected = values.clone();
    let truth = [("yes", "True"), ("no", "False")];
    let fixed = [
        ("default", "'\"<>"),
        ("com.example.hostname.1", "fixed & set"),
    ];
    for (key, value) in truth.into_iter().chain(fixed) {
        expected[key] = value.into();
    }
    assert_eq!(found["properties"], expected);
    assert_eq!(
        found["metadata"],
        json!({
            "local-hostname": "web1.example.com",
            "instance-id": "i-1",
            "public-keys": values["public-keys"],
            "network-config": {"version": 2},
        })
    );
    assert_eq!(found["user-data"], "#cloud-config\n");
    assert_eq!(found["settings"], json!({"password": values["password"]}));
}

/// Real descriptors (origin and licence: crates/ovf/tests/properties/README.md) with the answers that they need.
#[test]
fn cloud_init_reads_real_appliances() {
    for (name, values, count) in [
        ("csr1000v.ovf", json!({}), 27),
        ("property-types.ovf", json!({}), 23),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = root().join("crates/ovf/tests/properties").join(name);
        let document = environment(dir.path(), &path, &values);
        let found = read(&document);
        let found = found["properties"].as_object().unwrap();
        assert_eq!(found.len(), count, "{name}: {found:#?}");
        // Every line that scripts would find is one that the parser finds, with the same value.
        for line in fs::read_to_string(document).unwrap().lines() {
            let Some((key, rest)) = line
                .trim()
                .strip_prefix("<Property oe:key=\"")
                .and_then(|line| line.split_once("\" oe:value=\""))
            else {
                continue;
            };
            let value = rest.strip_suffix("\"/>").unwrap();
            let escaped = found[key].as_str().unwrap();
            let escaped = escaped.replace('&', "&amp;").replace('"', "&quot;");
            let escaped = escaped.replace('<', "&lt;").replace('>', "&gt;");
            assert_eq!(value, escaped, "{name} {key}");
        }
    }
}
