//! The JSON of `govc import.spec`, as govmomi's `ovf/importer` defines it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::asks;
use crate::properties::{Kind, Rules};
use crate::{Content, Envelope};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Options {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    all_deployment_options: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<String>,
    disk_provisioning: &'static str,
    #[serde(rename = "IPAllocationPolicy")]
    ip_allocation_policy: &'static str,
    #[serde(rename = "IPProtocol")]
    ip_protocol: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    property_mapping: Vec<KeyValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    network_mapping: Vec<NetworkName>,
    #[serde(skip_serializing_if = "String::is_empty")]
    annotation: String,
    mark_as_template: bool,
    power_on: bool,
    inject_ovf_env: bool,
    #[serde(rename = "WaitForIP")]
    wait_for_ip: bool,
    name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeyValue {
    key: String,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkName {
    name: String,
    network: String,
}

/// Writes the form for a deployment configuration; for the default one if none is chosen. It knows no
/// systems: of a collection it has the properties of all members, each key once.
#[must_use]
pub fn govc(envelope: &Envelope, configuration: Option<&str>) -> String {
    let default = envelope.default_configuration().map(|one| one.id.as_str());
    let configuration = configuration.or(default);
    let mut seen = BTreeSet::new();
    let mut property_mapping = Vec::new();
    let mut pending: Vec<&Content> = envelope.content.iter().collect();
    while let Some(content) = pending.pop() {
        let products = content.products().iter();
        for property in products.flat_map(|product| &product.properties) {
            let rules = Rules::of(property);
            let default = property.default_value(configuration).unwrap_or("");
            let key = property.qualified();
            if !property.applies(configuration)
                || !asks(property, &rules, default)
                || !seen.insert(key.clone())
            {
                continue;
            }
            // vSphere's own spelling.
            let value = match rules.kind {
                Kind::Boolean => rules.check(default).unwrap_or_else(|_| default.to_owned()),
                _ => default.to_owned(),
            };
            property_mapping.push(KeyValue { key, value });
        }
        if let Content::Collection(collection) = content {
            pending.extend(collection.members.iter().rev());
        }
    }
    let annotation = envelope
        .systems()
        .first()
        .and_then(|system| system.annotation.clone());
    let options = Options {
        all_deployment_options: envelope
            .configurations
            .iter()
            .map(|one| one.id.clone())
            .collect(),
        deployment: configuration.map(str::to_owned),
        disk_provisioning: "flat",
        ip_allocation_policy: "fixedPolicy",
        ip_protocol: "IPv4",
        property_mapping,
        network_mapping: envelope
            .networks
            .iter()
            .map(|network| NetworkName {
                name: network.name.clone(),
                network: String::new(),
            })
            .collect(),
        annotation: annotation.unwrap_or_default(),
        mark_as_template: false,
        power_on: false,
        inject_ovf_env: false,
        wait_for_ip: false,
        name: None,
    };
    // Texts and numbers alone: there is nothing that could fail.
    let mut text = serde_json::to_string_pretty(&options).unwrap_or_default();
    text.push('\n');
    text
}
