//! What a udev rule has to do with the names of network cards.

use refit_machine::Mac;

use super::syntax::{Op, Token};
use crate::network::model::is_device_name;
use crate::network::sources::glob;

/// A rule that gives one fixed name to network cards.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Naming {
    pub(super) name: String,
    pub(super) selector: Selector,
    /// Whether nothing that the rule asks beyond the address can keep it from a network card on a
    /// new machine, and udev would find the address as it is written.
    pub(super) sure: bool,
    /// Whether it does anything but name the card.
    pub(super) does_more: bool,
}

/// What a rule finds the card by.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selector {
    /// The hardware address.
    Mac(Mac),
    /// The place in the machine, in the rule's words.
    Slot(String),
}

/// Reads a rule; `None` if it does not give a fixed name by address or place.
pub(super) fn naming(tokens: &[Token]) -> Option<Naming> {
    let mut name = None;
    let mut mac = None;
    let mut slot = None;
    let mut sure = true;
    let mut does_more = false;
    for token in tokens {
        if !token.op.is_match() && !is_old_match(token) {
            match token.key.as_str() {
                "NAME" if matches!(token.op, Op::Assign | Op::AssignFinal) => {
                    name = Some(token.value.clone());
                }
                _ => does_more = true,
            }
            continue;
        }
        let asks = |value: &str| token.value == value;
        match (token.key.as_str(), token.attribute.as_deref()) {
            ("SUBSYSTEM" | "SUBSYSTEMS", None) => {
                if !selects(token, "net") {
                    return None;
                }
            }
            ("ACTION", None) => {
                if !selects(token, "add") {
                    return None;
                }
            }
            ("ATTR" | "ATTRS" | "SYSFS", Some("address")) if token.op != Op::NotEqual => {
                let address = token.value.parse::<Mac>().ok()?;
                // sysfs has lower case, and udev compares letter by letter.
                sure &= token.any_case || token.value == address.to_string();
                mac = Some(address);
            }
            ("KERNELS" | "DEVPATH" | "ID" | "BUS", None)
            | ("ENV", Some("ID_PATH" | "ID_NET_NAME_PATH" | "ID_NET_NAME_SLOT" | "ID_BUS")) => {
                let attribute = token.attribute.as_deref();
                if token.key != "BUS" && attribute != Some("ID_BUS") {
                    let attribute = attribute.map(|name| format!("{{{name}}}"));
                    slot = Some(format!(
                        "{}{}={:?}",
                        token.key,
                        attribute.unwrap_or_default(),
                        token.value
                    ));
                }
                sure = false;
            }
            ("DRIVERS", None) if asks("?*") || asks("*") => {}
            // Ethernet, and the first port of its function: so are virtio's.
            ("ATTR" | "SYSFS", Some("type")) if asks("1") => {}
            ("ATTR" | "SYSFS", Some("dev_id")) if asks("0x0") => {}
            // Settled by whoever knows the name.
            ("KERNEL", None) => {}
            _ => sure = false,
        }
    }
    let name = name.filter(|name| is_device_name(name) && !name.contains(['$', '%', '*', '?']))?;
    // The kernel's own name for the card; where the wanted one is of that kind, so was the card's.
    sure &= tokens
        .iter()
        .filter(|token| token.key == "KERNEL")
        .all(|token| selects(token, &name));
    let selector = match (mac, slot) {
        (Some(mac), _) => Selector::Mac(mac),
        (None, Some(slot)) => Selector::Slot(slot),
        (None, None) => return None,
    };
    Some(Naming {
        name,
        selector,
        sure,
        does_more,
    })
}

/// The oldest rules compare with a single `=`.
fn is_old_match(token: &Token) -> bool {
    token.op == Op::Assign
        && matches!(
            (token.key.as_str(), token.attribute.as_deref()),
            ("SYSFS" | "ATTRS", Some(_))
                | (
                    "SUBSYSTEM"
                        | "SUBSYSTEMS"
                        | "KERNEL"
                        | "KERNELS"
                        | "BUS"
                        | "ID"
                        | "ACTION"
                        | "DRIVERS",
                    None
                )
        )
}

/// Whether the match lets `value` through.
fn selects(token: &Token, value: &str) -> bool {
    let any = token
        .value
        .split('|')
        .any(|pattern| glob::matches(pattern, value));
    any != (token.op == Op::NotEqual)
}

#[cfg(test)]
mod tests {
    use super::super::syntax::parse;
    use super::*;

    fn of(line: &str) -> Option<Naming> {
        naming(parse(line.as_bytes())[0].tokens.as_ref().unwrap())
    }

    #[test]
    fn rules_that_name_by_address() {
        let mac: Mac = "00:0c:29:83:42:de".parse().unwrap();
        for (line, sure, does_more) in [
            (
                r#"SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="00:0c:29:83:42:de", ATTR{dev_id}=="0x0", ATTR{type}=="1", KERNEL=="eth*", NAME="eth0""#,
                true,
                false,
            ),
            (
                r#"SUBSYSTEM=="net",ACTION=="add",ATTR{address}=="00:0c:29:83:42:de",NAME="eth0""#,
                true,
                false,
            ),
            (
                r#"SUBSYSTEM=="net", ATTRS{address}=="00:0c:29:83:42:de", NAME:="eth0""#,
                true,
                false,
            ),
            (
                r#"KERNEL=="eth*", SYSFS{address}=="00:0c:29:83:42:de", NAME="eth0""#,
                true,
                false,
            ),
            (
                r#"KERNEL="eth*", SYSFS{address}="00:0c:29:83:42:de", NAME="eth0""#,
                true,
                false,
            ),
            (
                r#"ACTION!="remove", SUBSYSTEM=="net|usb", ATTR{address}==i"00:0C:29:83:42:DE", NAME="eth0""#,
                true,
                false,
            ),
            (
                r#"SUBSYSTEM=="net", ATTR{address}=="00:0C:29:83:42:DE", NAME="eth0""#,
                false,
                false,
            ),
            (
                r#"SUBSYSTEM=="net", DRIVERS=="vmxnet3", ATTR{address}=="00:0c:29:83:42:de", NAME="eth0""#,
                false,
                false,
            ),
            (
                r#"SUBSYSTEM=="net", KERNEL=="ens*", ATTR{address}=="00:0c:29:83:42:de", NAME="eth0""#,
                false,
                false,
            ),
            (
                r#"SUBSYSTEM=="net", KERNELS=="0000:03:00.0", ATTR{address}=="00:0c:29:83:42:de", NAME="eth0""#,
                false,
                false,
            ),
            (
                r#"SUBSYSTEM=="net", ATTR{address}=="00:0c:29:83:42:de", NAME="eth0", RUN+="/bin/x""#,
                true,
                true,
            ),
            (
                r#"SUBSYSTEM=="net", ATTR{address}=="00:0c:29:83:42:de", NAME="eth0", GOTO="end""#,
                true,
                true,
            ),
        ] {
            assert_eq!(
                of(line),
                Some(Naming {
                    name: "eth0".to_owned(),
                    selector: Selector::Mac(mac),
                    sure,
                    does_more
                }),
                "{line}"
            );
        }
    }

    #[test]
    fn rules_that_name_by_place() {
        for (line, slot) in [
            (
                r#"SUBSYSTEM=="net", ACTION=="add", KERNELS=="0000:03:00.0", NAME="eth0""#,
                "KERNELS=\"0000:03:00.0\"",
            ),
            (
                r#"SUBSYSTEM=="net", ENV{ID_PATH}=="pci-0000:03:00.0", NAME="eth0""#,
                "ENV{ID_PATH}=\"pci-0000:03:00.0\"",
            ),
            (
                r#"SUBSYSTEM=="net", BUS=="pci", ID=="0000:03:00.0", NAME="eth0""#,
                "ID=\"0000:03:00.0\"",
            ),
        ] {
            let naming = of(line).unwrap();
            assert_eq!(naming.selector, Selector::Slot(slot.to_owned()), "{line}");
            assert!(!naming.sure, "{line}");
        }
    }

    #[test]
    fn rules_that_do_neither() {
        for line in [
            r#"SUBSYSTEM=="net", KERNEL=="eth0", NAME="eth0""#,
            r#"SUBSYSTEM=="block", ATTR{address}=="00:0c:29:83:42:de", NAME="eth0""#,
            r#"SUBSYSTEM!="net", ATTR{address}=="00:0c:29:83:42:de", NAME="eth0""#,
            r#"SUBSYSTEM=="net", ACTION=="remove", ATTR{address}=="00:0c:29:83:42:de", NAME="eth0""#,
            r#"SUBSYSTEM=="net", ATTR{address}=="00:0c:29:*", NAME="eth0""#,
            r#"SUBSYSTEM=="net", ATTR{address}!="00:0c:29:83:42:de", NAME="eth0""#,
            r#"SUBSYSTEM=="net", ATTR{address}=="00:0c:29:83:42:de", NAME="%k""#,
            r#"SUBSYSTEM=="net", ATTR{address}=="00:0c:29:83:42:de", NAME="$env{ID_NET_NAME}""#,
            r#"SUBSYSTEM=="net", ATTR{address}=="00:0c:29:83:42:de", NAME=="eth0""#,
            r#"SUBSYSTEM=="net", ATTR{address}=="00:0c:29:83:42:de", ENV{x}="1""#,
            r#"SUBSYSTEM=="net", ATTR{address}=="00:0c:29:83:42:de", NAME="much-too-long-name""#,
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
