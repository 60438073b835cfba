//! A domain description with other disks in it.

use std::fmt::Write as _;
use std::path::PathBuf;

use quick_xml::escape::escape;

use super::{DomainError, MAX_SIZE};
use crate::xml::{self, Element};

/// A disk that takes the place of one of the description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDisk {
    /// The file or block device.
    pub path: PathBuf,
    /// Its format in qemu's words (`raw`, `qcow2`).
    pub format: &'static str,
    /// Whether it is a block device.
    pub block: bool,
}

/// The description with `disks` in the place of its own, in its order. CD-ROMs and floppies are left out, a disk
/// without a file or device counts but is left out as well, and so is what there is no local disk for. Elements and
/// attributes of other namespaces than libvirt's own are left out.
///
/// # Errors
/// If it is no domain description.
pub fn with_disks(xml: &str, disks: &[LocalDisk]) -> Result<String, DomainError> {
    let mut domain = xml::parse(xml, MAX_SIZE)?;
    if domain.name != "domain" {
        return Err(DomainError::NotDomain(domain.name));
    }
    for devices in domain
        .children
        .iter_mut()
        .filter(|child| child.name == "devices")
    {
        let mut local = disks.iter();
        devices.children.retain_mut(|child| {
            if child.name != "disk" {
                return true;
            }
            if matches!(child.attribute("device"), Some("cdrom" | "floppy")) {
                return false;
            }
            let Some(disk) = local.next() else {
                return false;
            };
            let is_stored = child.child("source").is_some_and(|source| {
                source.attribute("file").is_some() || source.attribute("dev").is_some()
            });
            if is_stored {
                replace(child, disk);
            }
            is_stored
        });
    }
    let mut text = String::new();
    write(&mut text, &domain, 0);
    Ok(text)
}

fn replace(element: &mut Element, disk: &LocalDisk) {
    let (kind, attribute) = if disk.block {
        ("block", "dev")
    } else {
        ("file", "file")
    };
    set(element, "type", kind);
    element
        .children
        .retain(|child| !matches!(child.name.as_str(), "source" | "driver" | "backingStore"));
    let mut driver = Element::named("driver");
    set(&mut driver, "name", "qemu");
    set(&mut driver, "type", disk.format);
    let mut source = Element::named("source");
    set(&mut source, attribute, &disk.path.to_string_lossy());
    element.children.insert(0, source);
    element.children.insert(0, driver);
}

fn set(element: &mut Element, name: &str, value: &str) {
    match element.attributes.iter_mut().find(|one| one.name == name) {
        Some(attribute) => value.clone_into(&mut attribute.value),
        None => element.attributes.push(xml::Attribute {
            name: name.to_owned(),
            namespace: None,
            value: value.to_owned(),
        }),
    }
}

fn write(text: &mut String, element: &Element, depth: usize) {
    let indent = "  ".repeat(depth);
    let _ = write!(text, "{indent}<{}", element.name);
    for attribute in element
        .attributes
        .iter()
        .filter(|attribute| attribute.namespace.is_none())
    {
        let _ = write!(
            text,
            " {}='{}'",
            attribute.name,
            escape(attribute.value.as_str())
        );
    }
    let children: Vec<&Element> = element
        .children
        .iter()
        .filter(|child| child.namespace.is_none())
        .collect();
    let content = element.text().map(escape).unwrap_or_default();
    if children.is_empty() && content.is_empty() {
        text.push_str("/>\n");
        return;
    }
    let _ = write!(text, ">{content}");
    if !children.is_empty() {
        text.push('\n');
        for child in children {
            write(text, child, depth + 1);
        }
        text.push_str(&indent);
    }
    let _ = writeln!(text, "</{}>", element.name);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(number: usize) -> LocalDisk {
        LocalDisk {
            path: format!("/w/vm-{number}").into(),
            format: "qcow2",
            block: false,
        }
    }

    fn domain(disks: &str) -> String {
        format!(
            "<domain type='vmware' xmlns:vmware='http://libvirt.org/schemas/domain/vmware/1.0'>\
             <name>a &amp; b</name><memory unit='KiB'>1</memory><devices>{disks}\
             <interface type='bridge'><mac address='00:50:56:aa:bb:01'/></interface></devices>\
             <vmware:datacenterpath>dc</vmware:datacenterpath></domain>"
        )
    }

    /// Each disk: what it is, and which local disk it gets.
    #[test]
    fn disks_are_counted_and_others_left_out() {
        let file = "<disk type='file' device='disk'><source file='[ds] x.vmdk'/><target dev='sda'/></disk>";
        let block = "<disk type='block'><source dev='/dev/x'/><target dev='sdb'/></disk>";
        let cdrom = "<disk type='file' device='cdrom'><source file='x.iso'/></disk>";
        let empty = "<disk type='file'><target dev='sdc'/></disk>";
        for (disks, count, expected) in [
            (vec![file, block], 2, vec!["/w/vm-0", "/w/vm-1"]),
            (vec![cdrom, file], 1, vec!["/w/vm-0"]),
            (vec![file, empty, block], 3, vec!["/w/vm-0", "/w/vm-2"]),
            (vec![file, block], 1, vec!["/w/vm-0"]),
            (vec![], 2, vec![]),
        ] {
            let local: Vec<LocalDisk> = (0..count).map(local).collect();
            let text = with_disks(&domain(&disks.concat()), &local).unwrap();
            let machine = crate::libvirt::parse(&text).unwrap();
            let found: Vec<&str> = machine.disks.iter().map(|d| d.path.as_str()).collect();
            assert_eq!(found, expected, "{text}");
            assert!(
                machine
                    .disks
                    .iter()
                    .all(|d| d.format.as_deref() == Some("qcow2"))
            );
            assert_eq!(machine.nics.len(), 1);
            assert!(text.contains("<name>a &amp; b</name>"), "{text}");
            assert!(!text.contains("datacenterpath"), "{text}");
        }
    }

    #[test]
    fn a_block_device_and_what_is_no_domain() {
        let disk = LocalDisk {
            path: "/dev/block0".into(),
            format: "raw",
            block: true,
        };
        let text = with_disks(
            &domain("<disk type='file'><driver name='x' type='vmdk'/><source file='y'/></disk>"),
            &[disk],
        )
        .unwrap();
        assert!(
            text.contains("<driver name='qemu' type='raw'/>")
                && text.contains("<source dev='/dev/block0'/>"),
            "{text}"
        );
        assert!(!text.contains("vmdk"), "{text}");
        with_disks("<network/>", &[]).unwrap_err();
        with_disks("", &[]).unwrap_err();
    }
}
