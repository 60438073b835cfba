//! What the image is made of, as an SPDX 2.3 document.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::dpkg::{Database, Package};
use super::layer::hex;
use crate::process::{capture, cargo};

/// Writes down the Debian packages of the image and of the appliance in it, and the crates in refit.
pub fn document(
    database: &Database,
    runtime: &BTreeSet<String>,
    appliance: &BTreeSet<String>,
    suite: &str,
    created: &str,
) -> anyhow::Result<Value> {
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-refit",
        "name": "refit",
        "versionInfo": env!("CARGO_PKG_VERSION"),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "Apache-2.0",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "CONTAINER",
    })];
    for package in database.packages().values() {
        let place = match (
            runtime.contains(&package.name),
            appliance.contains(&package.name),
        ) {
            (true, true) => "in the image, and in libguestfs' appliance",
            (true, false) => "in the image",
            (false, true) => {
                "in libguestfs' appliance only (/usr/lib/x86_64-linux-gnu/guestfs/root)"
            }
            (false, false) => continue,
        };
        packages.push(debian(package, place, suite));
    }
    packages.extend(crates()?);
    let relationships: Vec<Value> = packages
        .iter()
        .map(|package| match package["SPDXID"].as_str() {
            Some("SPDXRef-refit") => relationship("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-refit"),
            id => relationship("SPDXRef-refit", "CONTAINS", id.unwrap_or_default()),
        })
        .collect();
    // The name of a document must be its own: it is made of what is in it.
    let digest = {
        use sha2::Digest as _;
        hex(&sha2::Sha256::digest(serde_json::to_vec(&packages)?))
    };
    Ok(json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "refit-image",
        "documentNamespace": format!("https://refit.invalid/spdx/{digest}"),
        "creationInfo": {"created": created, "creators": ["Tool: cargo xtask image"]},
        "packages": packages,
        "relationships": relationships,
    }))
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

/// What may stand in an SPDX identifier.
fn id(kind: &str, name: &str) -> String {
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
    format!("SPDXRef-{kind}-{name}")
}

fn debian(package: &Package, place: &str, suite: &str) -> Value {
    let Package {
        name,
        version,
        arch,
        source,
        ..
    } = package;
    // A purl's version is percent-encoded (package-url specification).
    let encoded = version
        .replace('%', "%25")
        .replace('+', "%2B")
        .replace(':', "%3A");
    let source = source.as_deref().unwrap_or(name);
    json!({
        "SPDXID": id("deb", name),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "sourceInfo": format!("Debian source package {source}"),
        "comment": place,
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": format!("pkg:deb/debian/{}@{encoded}?arch={arch}&distro={suite}", name.replace('+', "%2B")),
        }],
    })
}

/// The crates that are linked into refit, of Cargo.lock.
fn crates() -> anyhow::Result<Vec<Value>> {
    let metadata = capture(cargo().args([
        "metadata",
        "--locked",
        "--format-version=1",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("reading what cargo says")?;
    let sums = checksums(&crate::process::root().join("Cargo.lock"))?;
    Ok(linked(&metadata, &sums))
}

fn linked(metadata: &Value, sums: &BTreeMap<(String, String), String>) -> Vec<Value> {
    let empty = Vec::new();
    let list = |value: &Value| value.as_array().unwrap_or(&empty).clone();
    let nodes: BTreeMap<String, Value> = list(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|node| (node["id"].as_str().unwrap_or_default().to_owned(), node))
        .collect();
    let packages = list(&metadata["packages"]);
    let mut todo: Vec<String> = packages
        .iter()
        .filter(|package| package["name"] == "refit-cli")
        .filter_map(|package| Some(package["id"].as_str()?.to_owned()))
        .collect();
    let mut found = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if !found.insert(id.clone()) {
            continue;
        }
        for dependency in list(&nodes.get(&id).unwrap_or(&Value::Null)["deps"]) {
            // Those of build scripts and tests are not in the program.
            if list(&dependency["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null())
            {
                todo.extend(dependency["pkg"].as_str().map(str::to_owned));
            }
        }
    }
    let mut crates = Vec::new();
    for package in packages {
        // Our own have no source.
        if !package["id"].as_str().is_some_and(|id| found.contains(id))
            || package["source"].is_null()
        {
            continue;
        }
        let (name, version) = (
            package["name"].as_str().unwrap_or_default(),
            package["version"].as_str().unwrap_or_default(),
        );
        let sum = sums.get(&(name.to_owned(), version.to_owned()));
        let sums: Vec<Value> = sum
            .map(|sum| json!({"algorithm": "SHA256", "checksumValue": sum}))
            .into_iter()
            .collect();
        crates.push(json!({
            "SPDXID": id("crate", &format!("{name}-{version}")),
            "name": name,
            "versionInfo": version,
            "downloadLocation": format!("https://crates.io/api/v1/crates/{name}/{version}/download"),
            "filesAnalyzed": false,
            "checksums": sums,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": package["license"].as_str().map_or("NOASSERTION".to_owned(), |l| l.replace('/', " OR ")),
            "copyrightText": "NOASSERTION",
            "comment": "linked into /usr/bin/refit",
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": format!("pkg:cargo/{name}@{}", version.replace('+', "%2B")),
            }],
        }));
    }
    crates.sort_by_key(|package| package["SPDXID"].to_string());
    crates
}

fn checksums(lock: &Path) -> anyhow::Result<BTreeMap<(String, String), String>> {
    let text =
        std::fs::read_to_string(lock).with_context(|| format!("reading {}", lock.display()))?;
    let lock: toml::Table = toml::from_str(&text).context("reading Cargo.lock")?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let field = |package: &toml::Value, name: &str| Some(package.get(name)?.as_str()?.to_owned());
    Ok(packages
        .into_iter()
        .flatten()
        .filter_map(|package| {
            Some((
                (field(package, "name")?, field(package, "version")?),
                field(package, "checksum")?,
            ))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crates_that_end_up_in_the_program_count() {
        let dependency =
            |pkg: &str, kind: Value| json!({"pkg": pkg, "dep_kinds": [{"kind": kind}]});
        let package = |name: &str, source: Value| json!({"id": name, "name": name, "version": "1.0.0+x", "source": source, "license": "MIT/Apache-2.0"});
        let metadata = json!({
            "packages": [package("refit-cli", Value::Null), package("serde", "registry".into()),
                         package("cc", "registry".into()), package("insta", "registry".into())],
            "resolve": {"nodes": [
                {"id": "refit-cli", "deps": [dependency("serde", Value::Null), dependency("insta", "dev".into())]},
                {"id": "serde", "deps": [dependency("cc", "build".into())]},
            ]},
        });
        let sums = BTreeMap::from([(
            ("serde".to_owned(), "1.0.0+x".to_owned()),
            "abcd".to_owned(),
        )]);
        let crates = linked(&metadata, &sums);
        assert_eq!(crates.len(), 1);
        assert_eq!(crates[0]["name"], "serde");
        assert_eq!(crates[0]["licenseDeclared"], "MIT OR Apache-2.0");
        assert_eq!(crates[0]["checksums"][0]["checksumValue"], "abcd");
        assert_eq!(
            crates[0]["externalRefs"][0]["referenceLocator"],
            "pkg:cargo/serde@1.0.0%2Bx"
        );
    }

    #[test]
    fn a_debian_package_has_a_purl() {
        let mut package = Package::default();
        package.name = "libstdc++6".to_owned();
        package.version = "1:14.2~rc1+b1".to_owned();
        package.arch = "amd64".to_owned();
        package.source = Some("gcc-14".to_owned());
        let entry = debian(&package, "in the image", "trixie");
        assert_eq!(
            entry["externalRefs"][0]["referenceLocator"],
            "pkg:deb/debian/libstdc%2B%2B6@1%3A14.2~rc1%2Bb1?arch=amd64&distro=trixie"
        );
        assert_eq!(entry["SPDXID"], "SPDXRef-deb-libstdc--6");
    }
}
