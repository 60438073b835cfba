//! `inspection.xml`, in the form of virt-v2v-inspector(1).

use std::fmt::Write as _;

use refit_engine::{Facts, Os};
use refit_machine::Firmware;

use crate::osinfo;

/// What is on the disks: `sizes` are theirs in bytes. If `facts` is `None` no more is known of the guest than what
/// virt-v2v `said`: `12.15 (debian12)`, the product and libosinfo's identifier. There is a document in any case, because
/// a controller that gets none asks for ever.
pub(crate) fn document(facts: Option<&Facts>, said: Option<&str>, sizes: &[u64]) -> String {
    let mut xml = Xml::default();
    xml.open("v2v-inspection");
    xml.element("program", "refit");
    xml.element("package", "refit");
    xml.element("version", env!("CARGO_PKG_VERSION"));
    xml.open("disks");
    for (index, size) in sizes.iter().enumerate() {
        xml.open_with("disk", &[("index", &index.to_string())]);
        xml.element("virtual-size", &size.to_string());
        xml.close("disk");
    }
    xml.close("disks");
    let unknown = Facts::default();
    let said = said.filter(|_| facts.is_none()).and_then(osinfo::said);
    let facts = facts.unwrap_or(&unknown);
    if let Some(firmware) = facts.firmware {
        let kind = match firmware {
            Firmware::Bios => "bios",
            _ => "uefi",
        };
        xml.empty("firmware", &[("type", kind)]);
    }
    system(&mut xml, facts, said);
    xml.close("v2v-inspection");
    xml.text
}

fn system(xml: &mut Xml, facts: &Facts, said: Option<&str>) {
    let or_unknown = |value: Option<&str>| value.unwrap_or("unknown").to_owned();
    xml.open("operatingsystem");
    let name = match facts.os {
        Some(Os::Linux) => "linux",
        Some(Os::Windows) => "windows",
        None => match said {
            Some(id) if id.starts_with("win") => "windows",
            Some(_) => "linux",
            None => "unknown",
        },
    };
    xml.element("name", name);
    xml.element("distro", osinfo::distro(facts));
    xml.element("osinfo", said.unwrap_or(&osinfo::id(facts)));
    xml.element("arch", &or_unknown(facts.arch.as_deref()));
    let (major, minor) = match &facts.windows {
        Some(windows) => (Some(windows.major), Some(windows.minor)),
        None => osinfo::numbers(facts.version.as_deref().unwrap_or_default()),
    };
    xml.element("major_version", &major.unwrap_or(0).to_string());
    xml.element("minor_version", &minor.unwrap_or(0).to_string());
    let format = match facts.package_format.as_deref() {
        Some("dpkg") => "deb",
        Some(other) => other,
        None => "unknown",
    };
    xml.element("package_format", format);
    xml.element("package_management", package_management(facts));
    xml.element("product_name", &or_unknown(facts.product.as_deref()));
    let variant = facts.windows.as_ref().map(|windows| {
        let kind = windows.installation_type.as_deref();
        kind.unwrap_or(if windows.server { "Server" } else { "Client" })
    });
    xml.element("product_variant", &or_unknown(variant));
    if let Some(windows) = &facts.windows {
        let root = windows.system_root.to_string();
        xml.element("windows_systemroot", &root);
        for (element, hive) in [
            ("windows_software_hive", "SOFTWARE"),
            ("windows_system_hive", "SYSTEM"),
        ] {
            xml.element(element, &format!("{root}/System32/config/{hive}"));
        }
        xml.element("windows_current_control_set", &windows.control_set());
    }
    if let Some(mount) = facts.mounts.iter().find(|mount| mount.path == "/") {
        xml.element("root", &mount.device);
    }
    xml.open("mountpoints");
    for mount in &facts.mounts {
        xml.element_with("mountpoint", &[("dev", &mount.device)], &mount.path);
    }
    xml.close("mountpoints");
    xml.open("filesystems");
    for device in facts
        .devices
        .iter()
        .filter(|device| !device.kind.is_empty())
    {
        xml.open_with("filesystem", &[("dev", &device.device)]);
        xml.element("type", &device.kind);
        if let Some(uuid) = &device.uuid {
            xml.element("uuid", uuid);
        }
        xml.close("filesystem");
    }
    xml.close("filesystems");
    xml.close("operatingsystem");
}

/// libguestfs's word for the tool that installs packages.
fn package_management(facts: &Facts) -> &'static str {
    let major = osinfo::numbers(facts.version.as_deref().unwrap_or_default()).0;
    match (facts.package_format.as_deref(), osinfo::distro(facts)) {
        (Some("dpkg"), _) => "apt",
        (Some("apk"), _) => "apk",
        (Some("pacman"), _) => "pacman",
        (Some("rpm"), "sles" | "sled" | "opensuse") => "zypper",
        (Some("rpm"), "fedora") => "dnf",
        (Some("rpm"), "photon") => "unknown",
        (Some("rpm"), _) if major.is_some_and(|major| major >= 8) => "dnf",
        (Some("rpm"), _) => "yum",
        _ => "unknown",
    }
}

/// A document being written.
#[derive(Debug)]
struct Xml {
    text: String,
    depth: usize,
}

impl Default for Xml {
    fn default() -> Self {
        Self {
            text: "<?xml version='1.0' encoding='utf-8'?>\n".to_owned(),
            depth: 0,
        }
    }
}

impl Xml {
    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let _ = write!(self.text, "{}<{name}", "  ".repeat(self.depth));
        for (name, value) in attributes {
            let _ = write!(self.text, " {name}='{}'", escaped(value));
        }
    }

    fn open(&mut self, name: &str) {
        self.open_with(name, &[]);
    }

    fn open_with(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.text.push_str(">\n");
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth -= 1;
        let _ = writeln!(self.text, "{}</{name}>", "  ".repeat(self.depth));
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.text.push_str("/>\n");
    }

    fn element(&mut self, name: &str, text: &str) {
        self.element_with(name, &[], text);
    }

    fn element_with(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.start(name, attributes);
        let _ = writeln!(self.text, ">{}</{name}>", escaped(text));
    }
}

/// What a guest says of itself may hold anything; XML 1.0 has no place for most control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&apos;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use refit_engine::{BlockDevice, Mount};
    use refit_machine::xml;

    use super::*;

    #[test]
    fn a_guest_with_a_hostile_name() {
        let facts = Facts {
            os: Some(Os::Linux),
            distro: Some("rhel".to_owned()),
            version: Some("9.4".to_owned()),
            product: Some("<b>\u{1}&'\"".to_owned()),
            arch: Some("x86_64".to_owned()),
            firmware: Some(Firmware::Uefi),
            package_format: Some("rpm".to_owned()),
            mounts: vec![
                Mount {
                    device: "/dev/sda3".to_owned(),
                    path: "/".to_owned(),
                },
                Mount {
                    device: "/dev/sda1".to_owned(),
                    path: "/boot/efi".to_owned(),
                },
            ],
            devices: vec![BlockDevice {
                device: "/dev/sda3".to_owned(),
                kind: "xfs".to_owned(),
                uuid: Some("u".to_owned()),
                ..BlockDevice::default()
            }],
            ..Facts::default()
        };
        let document = document(Some(&facts), Some("x (win10)"), &[10, 20]);
        let root = xml::parse(&document, 1 << 20).unwrap();
        assert_eq!(root.name, "v2v-inspection");
        let text = |path: &[&str]| {
            root.at(path)
                .and_then(|e| e.text())
                .unwrap_or("")
                .to_owned()
        };
        for (element, expected) in [
            ("name", "linux"),
            ("distro", "rhel"),
            ("osinfo", "rhel9.4"),
            ("arch", "x86_64"),
            ("major_version", "9"),
            ("package_management", "dnf"),
            ("product_name", "<b>&'\""),
            ("root", "/dev/sda3"),
        ] {
            assert_eq!(text(&["operatingsystem", element]), expected);
        }
        let mounts = root.at(&["operatingsystem", "mountpoints"]).unwrap();
        assert_eq!(mounts.children[1].attribute("dev"), Some("/dev/sda1"));
        assert_eq!(
            root.child("firmware").unwrap().attribute("type"),
            Some("uefi")
        );
        assert_eq!(root.at(&["disks"]).unwrap().children.len(), 2);
    }

    #[test]
    fn what_virt_v2v_said_stands_in_for_the_facts() {
        let document = |said| document(None, Some(said), &[]);
        let debian = document("12.15 (debian12)");
        assert!(debian.contains("<osinfo>debian12</osinfo>"), "{debian}");
        assert!(debian.contains("<name>linux</name>"), "{debian}");
        assert!(document("Windows (win2k19)").contains("<name>windows</name>"));
        for nothing in ["12.15", "x (unknown)", "x (<a>)", ")"] {
            assert!(document(nothing).contains("<osinfo>unknown</osinfo>"));
        }
    }

    #[test]
    fn a_guest_of_which_nothing_is_known_is_still_a_document() {
        let root = xml::parse(&document(None, None, &[]), 1 << 20).unwrap();
        let osinfo = root.at(&["operatingsystem", "osinfo"]).unwrap();
        assert_eq!(osinfo.text(), Some("unknown"));
    }
}
