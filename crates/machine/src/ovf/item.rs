//! The devices of a machine, `<Item>` elements, in the configuration that is read.

use crate::xml::Element;

/// One device, an `<Item>` with children of CIM's resource allocation setting data.
pub(super) struct Item<'a>(&'a Element);

impl<'a> Item<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.child(name).and_then(Element::text)
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.parse().ok()
    }

    /// The value of a `vmw:Config` of this device.
    pub(super) fn config(&self, key: &str) -> Option<&'a str> {
        config(self.0, "Config", key)
    }
}

/// The value of the child `element` that has this key.
pub(super) fn config<'a>(parent: &'a Element, element: &'static str, key: &str) -> Option<&'a str> {
    parent
        .all(element)
        .find(|config| config.attribute("key") == Some(key))?
        .attribute("value")
}

/// The devices of the chosen configuration. An item that names configurations (a list) counts
/// for these only, and replaces the item of the same instance that names none.
pub(super) fn items<'a>(hardware: &'a Element, chosen: Option<&str>) -> Vec<Item<'a>> {
    let instance = |item: &Element| {
        item.child("InstanceID")
            .and_then(Element::text)
            .map(str::to_owned)
    };
    let applies = |item: &&Element| match item.attribute("configuration") {
        Some(list) => chosen.is_some_and(|chosen| list.split_whitespace().any(|id| id == chosen)),
        None => false,
    };
    let is_device = |item: &&Element| item.attribute("bound").is_none();
    let configured: Vec<Option<String>> = hardware
        .all("Item")
        .filter(is_device)
        .filter(applies)
        .map(instance)
        .collect();
    hardware
        .all("Item")
        .filter(is_device)
        .filter(|item| {
            applies(item)
                || (item.attribute("configuration").is_none()
                    && !configured.contains(&instance(item)))
        })
        .map(Item)
        .collect()
}

/// The items of one CIM resource type: 3 CPU, 4 memory, 5 IDE, 6 SCSI, 10 Ethernet, 17 disk,
/// 20 other storage.
pub(super) fn of_type<'a>(
    items: &'a [Item<'a>],
    kind: &'static str,
) -> impl Iterator<Item = &'a Item<'a>> {
    items
        .iter()
        .filter(move |item| item.get("ResourceType") == Some(kind))
}
