//! TOML.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::asks;
use crate::properties::{Kind, Rules};
use crate::{Content, Envelope, ProductSection, Property};

/// Comments are broken after so many characters.
const WIDTH: usize = 100;

/// Writes the form for a deployment configuration; for the default one if none is chosen.
#[must_use]
pub fn toml(envelope: &Envelope, configuration: Option<&str>) -> String {
    let mut text = String::new();
    let name = appliance(envelope);
    comment(
        &mut text,
        &format!(
            "Answers for {name}, for `refit ova env --values` and `refit convert --values`. A value that is \
             left out has its default."
        ),
    );
    let default = envelope.default_configuration().map(|one| one.id.as_str());
    let configuration = configuration.or(default);
    if let Some(chosen) = configuration {
        text.push_str("\n# Deployment configuration: one of\n");
        for one in &envelope.configurations {
            let label = [one.label.as_deref(), one.description.as_deref()];
            let label: Vec<&str> = label.into_iter().flatten().collect();
            comment(
                &mut text,
                &format!("  {}: {}", quoted(&one.id), label.join(". ")),
            );
        }
        let _ = writeln!(text, "configuration = {}", quoted(chosen));
    }
    if uses_networks(envelope) {
        text.push('\n');
        comment(
            &mut text,
            "Addresses: \"dhcp\" leaves those to a DHCP server that are not given here.",
        );
        text.push_str("# ip_allocation = \"dhcp\"\n");
    }
    match &envelope.content {
        Some(content @ Content::System(_)) => {
            text.push_str("\n[properties]\n");
            properties(&mut text, content.products(), configuration);
        }
        Some(content) => members(&mut text, content, configuration),
        None => {}
    }
    if uses_networks(envelope) {
        for network in &envelope.networks {
            text.push('\n');
            comment(
                &mut text,
                &format!(
                    "What is known of the network {}, for properties that ask for it:",
                    quoted(&network.name)
                ),
            );
            let _ = writeln!(text, "# [networks.{}]", quoted(&network.name));
            for line in [
                "addresses = [\"192.0.2.10\"]",
                "netmask = \"255.255.255.0\"",
                "gateway = \"192.0.2.1\"",
                "dns = [\"192.0.2.1\"]",
            ] {
                let _ = writeln!(text, "# {line}");
            }
        }
    }
    text
}

fn members(text: &mut String, content: &Content, configuration: Option<&str>) {
    let _ = write!(text, "\n[systems.{}]\n", quoted(content.id()));
    properties(text, content.products(), configuration);
    if let Content::Collection(collection) = content {
        for member in &collection.members {
            members(text, member, configuration);
        }
    }
}

fn appliance(envelope: &Envelope) -> String {
    let content = envelope.content.as_ref();
    let products = content.map(Content::products).unwrap_or_default();
    let named = products.iter().find_map(|one| {
        let version = one.full_version.as_ref().or(one.version.as_ref());
        let product = one.product.as_ref()?;
        Some(version.map_or(product.clone(), |version| format!("{product} {version}")))
    });
    let id = content.map(|content| content.id().to_owned());
    named.or(id).unwrap_or_else(|| "an appliance".to_owned())
}

fn uses_networks(envelope: &Envelope) -> bool {
    let products = envelope
        .systems()
        .into_iter()
        .flat_map(|system| &system.products);
    let mut all = products.flat_map(|product| &product.properties);
    all.any(|property| Rules::of(property).network.is_some())
}

fn properties(text: &mut String, products: &[ProductSection], configuration: Option<&str>) {
    let mut category: Option<&str> = None;
    let mut seen = BTreeSet::new();
    for property in products.iter().flat_map(|product| &product.properties) {
        let key = property.qualified();
        let shown = property.user_configurable && property.applies(configuration);
        if !shown || !seen.insert(key.clone()) {
            continue;
        }
        if property.category.as_deref() != category {
            category = property.category.as_deref();
            if let Some(category) = category {
                text.push('\n');
                comment(text, &format!("--- {category} ---"));
            }
        }
        question(text, property, &key, configuration);
    }
}

fn question(text: &mut String, property: &Property, key: &str, configuration: Option<&str>) {
    let rules = Rules::of(property);
    let default = property.default_value(configuration).unwrap_or("");
    text.push('\n');
    for words in [&property.label, &property.description]
        .into_iter()
        .flatten()
    {
        comment(text, words);
    }
    let mut allowed = rules.allowed();
    if rules.secret {
        allowed.push_str("; secret");
    }
    if default.is_empty() && !rules.takes_empty() {
        allowed.push_str("; needs a value");
    }
    comment(text, &format!("({allowed})"));
    if asks(property, &rules, default) {
        let _ = writeln!(text, "{} = {}", quoted(key), value(&rules, default));
    } else {
        text.push_str("# The appliance brings a value.\n");
        let _ = writeln!(text, "# {} = \"\"", quoted(key));
    }
}

/// Numbers and truth values as such where TOML reads them back as they were.
fn value(rules: &Rules, text: &str) -> String {
    let trimmed = text.trim();
    match rules.kind {
        Kind::Boolean if trimmed.eq_ignore_ascii_case("true") => "true".to_owned(),
        Kind::Boolean if trimmed.eq_ignore_ascii_case("false") => "false".to_owned(),
        Kind::Integer { .. }
            if trimmed
                .parse::<i64>()
                .is_ok_and(|n| n.to_string() == trimmed) =>
        {
            trimmed.to_owned()
        }
        _ => quoted(text),
    }
}

/// A text on one line in double quotes (TOML 1.0, basic strings).
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            other if other.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(other));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Words of the descriptor as lines of a comment; line breaks and control characters become blanks.
fn comment(text: &mut String, words: &str) {
    let indent = words.len() - words.trim_start_matches(' ').len();
    let mut line = format!("# {:indent$}", "");
    let mut fresh = true;
    for word in words.split(|character: char| character.is_whitespace() || character.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = format!("# {:indent$}", "");
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    if !fresh {
        let _ = writeln!(text, "{line}");
    }
}
