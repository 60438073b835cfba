//! Reader of `ProductSection`.

use std::collections::HashMap;

use refit_machine::xml::Element;

use super::context::{
    Problems, attribute, children, filled, is_ovf, is_true, is_vmware, text, words,
};
use super::{ConfigurationValue, Place, ProductSection, Property, PropertyType};

/// Reads one section. `seen` has the qualified keys of the system so far.
pub(super) fn product(
    section: &Element,
    seen: &mut HashMap<String, Vec<(Vec<String>, Place)>>,
    problems: &mut Problems,
) -> ProductSection {
    let text = |name: &str| text(section, name);
    let mut product = ProductSection {
        class: filled(section, "class").unwrap_or_default().to_owned(),
        instance: filled(section, "instance").unwrap_or_default().to_owned(),
        info: text("Info"),
        product: text("Product"),
        vendor: text("Vendor"),
        version: text("Version"),
        // OVF 0.9's spelling.
        full_version: text("FullVersion").or_else(|| text("Full-version")),
        product_url: text("ProductUrl"),
        vendor_url: text("VendorUrl"),
        app_url: text("AppUrl"),
        properties: Vec::new(),
        place: section.place,
    };
    let mut category = None;
    for child in &section.children {
        if !is_ovf(child.namespace.as_deref()) {
            continue;
        }
        match child.name.as_str() {
            "Category" => category = child.text().map(str::to_owned),
            "Property" => {
                let mut property = property(child, &product, problems);
                property.category.clone_from(&category);
                unique(&property, child, seen, problems);
                product.properties.push(property);
            }
            _ => {}
        }
    }
    product
}

fn property(element: &Element, product: &ProductSection, problems: &mut Problems) -> Property {
    let key = filled(element, "key").unwrap_or_default().to_owned();
    if key.is_empty() {
        problems.error("prop.key", element, "a Property must have a key".to_owned());
    }
    let type_name = filled(element, "type").unwrap_or_default().to_owned();
    let kind = PropertyType::parse(&type_name);
    let shown = if key.is_empty() { "it" } else { key.as_str() };
    if type_name.is_empty() {
        problems.warn(
            "prop.type",
            element,
            format!("a Property must have a type; {shown} is taken for a string"),
        );
    } else if kind == PropertyType::Unknown {
        problems.warn(
            "prop.type",
            element,
            format!("{type_name:?} is not a type; {shown} is taken for a string"),
        );
    }
    // VMware's own attribute is written with and without its prefix.
    let secret = element.attribute_where("isPassword", |namespace| {
        is_ovf(namespace) || is_vmware(namespace)
    });
    Property {
        class: product.class.clone(),
        instance: product.instance.clone(),
        qualifiers: filled(element, "qualifiers").map(str::to_owned),
        vendor_qualifiers: element
            .attribute_where("qualifiers", is_vmware)
            .filter(|value| !value.trim().is_empty())
            .map(str::to_owned),
        user_configurable: is_true(attribute(element, "userConfigurable")),
        password: is_true(attribute(element, "password"))
            || is_true(secret)
            || kind == PropertyType::Password,
        required: is_true(attribute(element, "required")),
        value: attribute(element, "value").map(str::to_owned),
        values: children(element, "Value")
            .flat_map(|value| {
                let text = attribute(value, "value").unwrap_or_default();
                let mut configurations: Vec<Option<String>> =
                    words(attribute(value, "configuration").unwrap_or_default())
                        .into_iter()
                        .map(Some)
                        .collect();
                if configurations.is_empty() {
                    configurations.push(None);
                }
                configurations
                    .into_iter()
                    .map(move |configuration| ConfigurationValue {
                        configuration,
                        value: text.to_owned(),
                    })
            })
            .collect(),
        configurations: words(attribute(element, "configuration").unwrap_or_default()),
        label: text(element, "Label"),
        description: text(element, "Description"),
        category: None,
        place: element.place,
        key,
        kind,
        type_name,
    }
}

/// Two properties of one system with the same qualified key would be one in the environment. That is allowed
/// where no configuration has both.
fn unique(
    property: &Property,
    element: &Element,
    seen: &mut HashMap<String, Vec<(Vec<String>, Place)>>,
    problems: &mut Problems,
) {
    if property.key.is_empty() {
        return;
    }
    let qualified = property.qualified();
    let others = seen.entry(qualified.clone()).or_default();
    let overlaps = |other: &[String]| {
        other.is_empty()
            || property.configurations.is_empty()
            || other.iter().any(|id| property.configurations.contains(id))
    };
    if let Some((_, place)) = others.iter().find(|(other, _)| overlaps(other)) {
        problems.error(
            "prop.dup",
            element,
            format!("the property {qualified:?} is declared twice, first at {place}"),
        );
    }
    if others.len() < 64 {
        others.push((property.configurations.clone(), property.place));
    }
}
