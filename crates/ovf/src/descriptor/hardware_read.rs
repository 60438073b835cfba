//! Reader of `VirtualHardwareSection`.

use std::collections::{HashMap, HashSet};

use refit_machine::xml::Element;

use super::context::{
    Problems, attribute, children, filled, is_ovf, is_required, is_true, is_vmware, words,
};
use super::{Bound, HardwareSection, Item, Setting};

/// What devices may refer to.
pub(super) struct Known<'k> {
    pub(super) configurations: HashSet<&'k str>,
    pub(super) networks: HashSet<&'k str>,
    pub(super) disks: HashSet<&'k str>,
    pub(super) files: HashSet<&'k str>,
}

pub(super) fn section(
    element: &Element,
    known: &Known<'_>,
    problems: &mut Problems,
) -> HardwareSection {
    let mut section = HardwareSection {
        id: filled(element, "id").map(str::to_owned),
        system_types: element
            .at(&["System", "VirtualSystemType"])
            .and_then(Element::text)
            .map(words)
            .unwrap_or_default(),
        transports: words(attribute(element, "transport").unwrap_or_default()),
        config: settings(element, "Config"),
        extra_config: settings(element, "ExtraConfig"),
        place: element.place,
        items: Vec::new(),
    };
    let mut seen: HashMap<String, Vec<String>> = HashMap::new();
    for child in &element.children {
        let is_item = matches!(
            child.name.as_str(),
            "Item" | "StorageItem" | "EthernetPortItem"
        );
        if is_item && is_ovf(child.namespace.as_deref()) {
            let item = item(child);
            check(&item, child, known, &mut seen, problems);
            section.items.push(item);
        }
    }
    parents(&section, element, problems);
    section
}

fn settings(element: &Element, name: &str) -> Vec<Setting> {
    element
        .all(name)
        .filter(|child| is_vmware(child.namespace.as_deref()) || child.namespace.is_none())
        .map(|child| {
            let of = |name| {
                child
                    .attribute_where(name, |namespace| is_vmware(namespace) || is_ovf(namespace))
                    .unwrap_or_default()
                    .to_owned()
            };
            Setting {
                key: of("key"),
                value: of("value"),
                required: is_required(child),
            }
        })
        .collect()
}

fn item(element: &Element) -> Item {
    let text = |name: &str| element.child(name).and_then(Element::text);
    let owned = |name: &str| text(name).map(str::to_owned);
    let number = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
    let all = |name: &'static str| -> Vec<String> {
        element
            .all(name)
            .filter_map(Element::text)
            .map(str::to_owned)
            .collect()
    };
    // oVirt tells sockets, cores and threads instead of an amount.
    let sockets = number("num_of_sockets");
    let cores = number("cpu_per_socket").unwrap_or(1);
    let threads = number("threads_per_cpu").unwrap_or(1);
    let ovirt_cpus = sockets
        .and_then(|sockets| sockets.checked_mul(cores))
        .and_then(|cpus| cpus.checked_mul(threads));
    Item {
        // OVF 0.9 spells it so.
        instance_id: text("InstanceID")
            .or_else(|| text("InstanceId"))
            .unwrap_or_default()
            .to_owned(),
        name: owned("ElementName").or_else(|| owned("Caption")),
        resource_type: text("ResourceType")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0),
        subtypes: element
            .all("ResourceSubType")
            .filter_map(Element::text)
            .flat_map(words)
            .collect(),
        parent: owned("Parent"),
        address: owned("MACAddress")
            .or_else(|| owned("Address"))
            .or_else(|| owned("BusNumber")),
        address_on_parent: number("AddressOnParent").and_then(|place| place.try_into().ok()),
        host_resources: all("HostResource"),
        connections: all("Connection"),
        quantity: number("VirtualQuantity").or(ovirt_cpus),
        units: owned("AllocationUnits").or_else(|| owned("VirtualQuantityUnits")),
        cores_per_socket: number("CoresPerSocket")
            .or(sockets.map(|_| cores.saturating_mul(threads)))
            .and_then(|cores| cores.try_into().ok()),
        automatic: text("AutomaticAllocation").map(|text| is_true(Some(text))),
        required: is_required(element),
        configurations: words(attribute(element, "configuration").unwrap_or_default()),
        config: settings(element, "Config"),
        bound: match attribute(element, "bound") {
            Some("min") => Some(Bound::Min),
            Some("max") => Some(Bound::Max),
            Some("normal") => Some(Bound::Normal),
            _ => None,
        },
        place: element.place,
    }
}

fn check(
    item: &Item,
    element: &Element,
    known: &Known<'_>,
    seen: &mut HashMap<String, Vec<String>>,
    problems: &mut Problems,
) {
    if item.resource_type == 0 {
        problems.warn(
            "item.type",
            element,
            "an Item must have a ResourceType, which is a number; it is left out".to_owned(),
        );
    }
    if let Some(text) = element.child("VirtualQuantity").and_then(Element::text)
        && item.quantity.is_none()
    {
        problems.warn(
            "item.quantity",
            element,
            format!("VirtualQuantity is {text:?} instead of a whole number"),
        );
    }
    for id in &item.configurations {
        if !known.configurations.contains(id.as_str()) {
            problems.warn(
                "config.unknown",
                element,
                format!("it is for the configuration {id:?}, which is not declared"),
            );
        }
    }
    for network in &item.connections {
        if item.resource_type == 10 && !known.networks.contains(network.as_str()) {
            problems.warn(
                "net.unknown",
                element,
                format!(
                    "it is connected to {network:?}, which is no Network of the NetworkSection"
                ),
            );
        }
    }
    for resource in &item.host_resources {
        let path = resource.strip_prefix("ovf:").unwrap_or(resource);
        let (is_known, what) = if let Some(id) = path.strip_prefix("/disk/") {
            (known.disks.contains(id), "diskId of no Disk")
        } else if let Some(id) = path.strip_prefix("/file/") {
            (known.files.contains(id), "id of no File")
        } else {
            continue;
        };
        if !is_known {
            problems.error(
                "item.resource",
                element,
                format!("HostResource {resource:?} names the {what}"),
            );
        }
    }
    if item.bound.is_none() {
        instance(item, element, seen, problems);
    }
}

/// One instance may be described once for all configurations, and once for each.
fn instance(
    item: &Item,
    element: &Element,
    seen: &mut HashMap<String, Vec<String>>,
    problems: &mut Problems,
) {
    if item.instance_id.is_empty() {
        problems.warn(
            "item.id",
            element,
            "an Item must have an InstanceID".to_owned(),
        );
        return;
    }
    let others = seen.entry(item.instance_id.clone()).or_default();
    let all = vec![String::new()];
    let ids = if item.configurations.is_empty() {
        &all
    } else {
        &item.configurations
    };
    for id in ids {
        if others.contains(id) {
            problems.error(
                "item.dup",
                element,
                format!(
                    "the InstanceID {:?} is given twice in one configuration; it must be unique",
                    item.instance_id
                ),
            );
            return;
        }
        if others.len() < 256 {
            others.push(id.clone());
        }
    }
}

fn parents(section: &HardwareSection, element: &Element, problems: &mut Problems) {
    let ids: HashSet<&str> = section
        .items
        .iter()
        .map(|item| item.instance_id.as_str())
        .collect();
    let elements = children(element, "Item")
        .chain(children(element, "StorageItem"))
        .chain(children(element, "EthernetPortItem"));
    for child in elements {
        let parent = child.child("Parent").and_then(Element::text);
        // oVirt writes an identifier of zeros for none.
        let parent = parent.filter(|parent| !parent.starts_with("00000000-"));
        if let Some(parent) = parent.filter(|parent| !ids.contains(parent)) {
            problems.warn(
                "item.parent",
                child,
                format!("its Parent {parent:?} is the InstanceID of no Item"),
            );
        }
    }
}
