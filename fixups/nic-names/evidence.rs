//! What speaks for a name: every claim that something in the guest, or known of the old machine,
//! makes for one NIC.

use std::net::IpAddr;

use refit_engine::Nic;
use refit_machine::Mac;

use super::model::{Binding, Interface, Kind};
use super::sources::glob;
use super::topology::{Topology, has_address};

/// How much a claim counts; the first is the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Strength {
    /// The configuration gives this device an address that the NIC had.
    Address,
    /// The configuration names the device and its MAC.
    Configuration,
    /// A systemd `.link` file names the MAC.
    Link,
    /// A udev rule names the MAC.
    Rule,
    /// The name is that of the NIC's VMware slot, and the configuration asks for it.
    Slot,
    /// The NIC has the address of an aggregate, and this is the aggregate's first free port.
    FirstPort,
    /// One NIC and one name are left.
    Elimination,
    /// The name is that of the NIC's VMware slot.
    SlotAlone,
}

/// One piece of evidence for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub name: String,
    pub strength: Strength,
    /// The file, or where the hardware was learnt from.
    pub source: String,
    /// What in the source: `address 192.0.2.10`, `slot 192`.
    pub by: String,
}

/// The address of an aggregate of several ports, that a NIC had.
#[derive(Debug, Clone)]
pub(super) struct Aggregate<'a> {
    pub name: &'a str,
    pub ports: Vec<&'a str>,
    pub source: String,
    pub by: String,
}

/// All that is known of one NIC.
#[derive(Debug, Default)]
pub(super) struct Findings<'a> {
    /// Claims, the strongest first, else in configuration order.
    pub claims: Vec<Claim>,
    /// Set if the NIC is one of the ports of this device.
    pub aggregate: Option<Aggregate<'a>>,
    /// A configuration that finds the NIC without its name.
    pub nameless: Option<Nameless>,
    /// What is known that leads to no name.
    pub hint: Option<String>,
    /// The name of its slot, if VMware's firmware gave it one.
    pub slot_name: Option<String>,
}

/// A configuration that applies to a NIC whatever it is called.
#[derive(Debug, Clone)]
pub(super) struct Nameless {
    pub source: String,
    pub by: String,
    /// Whether it asks for the NIC's MAC, or has an address that the NIC had.
    pub exact: bool,
}

/// Names for MACs from outside the interfaces' configuration.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bindings<'a> {
    /// systemd `.link` files, in the order in which they apply.
    pub links: &'a [Binding],
    /// udev rules.
    pub rules: &'a [Binding],
}

/// Collects what is known of `nic`.
pub(super) fn collect<'a>(
    nic: &Nic,
    topology: &Topology<'a>,
    bindings: Bindings<'_>,
) -> Findings<'a> {
    let mut findings = Findings::default();
    for address in &nic.addresses {
        by_address(address.addr(), topology, &mut findings);
    }
    nameless(nic, topology, &mut findings);
    by_mac(nic.mac, topology, bindings, &mut findings);
    if let Some(slot) = nic.pci_slot {
        let name = slot_name(slot);
        let mut unnamed = topology.unnamed.iter();
        let wanted = topology.get(&name).is_some_and(|device| device.physical)
            || unnamed.any(|one| fits(one, &name) && !fits_any_name(one));
        if wanted {
            findings.claims.push(Claim {
                name: name.clone(),
                strength: Strength::Slot,
                source: nic.origin.clone(),
                by: format!("slot {slot}"),
            });
        }
        // A function other than 0 is on a port of a bridge, whose slot is only inferred.
        findings.slot_name = (slot < SLOTS).then_some(name);
    }
    findings.claims.sort_by_key(|claim| claim.strength);
    let by_address = findings.claims.first();
    if by_address.is_some_and(|claim| claim.strength == Strength::Address) {
        findings.aggregate = None;
    }
    findings
}

fn by_address<'a>(address: IpAddr, topology: &Topology<'a>, findings: &mut Findings<'a>) {
    if address.is_unspecified() || address.is_loopback() {
        return;
    }
    for holder in topology.with_address(address) {
        let source = holder.interface.source.to_string();
        match holder.ports.as_slice() {
            [] => {}
            [port] => {
                let by = if *port == holder.name {
                    format!("address {address}")
                } else {
                    format!("address {address} on {}", holder.name)
                };
                findings.claims.push(Claim {
                    name: (*port).to_owned(),
                    strength: Strength::Address,
                    source,
                    by,
                });
            }
            _ if findings.aggregate.is_none() => {
                findings.aggregate = Some(Aggregate {
                    name: holder.name,
                    by: format!("address {address} on {}", holder.name),
                    ports: holder.ports,
                    source,
                });
            }
            _ => {}
        }
    }
}

fn by_mac(mac: Mac, topology: &Topology<'_>, bindings: Bindings<'_>, findings: &mut Findings<'_>) {
    for device in topology.physical() {
        let mut configurations = device.interfaces.iter();
        if let Some(interface) = configurations.find(|one| one.matches.macs.contains(&mac)) {
            findings.claims.push(Claim {
                name: device.name.to_owned(),
                strength: Strength::Configuration,
                source: interface.source.to_string(),
                by: "MAC".to_owned(),
            });
        }
    }
    // The first .link file that matches is applied; of rules, the last that assigns.
    let links: Vec<&Binding> = bindings.links.iter().collect();
    let rules: Vec<&Binding> = bindings.rules.iter().rev().collect();
    for (bindings, strength, by) in [
        (links, Strength::Link, "MAC in .link file"),
        (rules, Strength::Rule, "MAC in rule"),
    ] {
        let mut own = bindings.iter().filter(|binding| binding.mac == mac);
        if let Some(binding) = own.find(|binding| !topology.is_virtual(&binding.name)) {
            // A name that no configuration asks for is of no use to one that asks for none.
            if findings.nameless.is_some() && topology.get(&binding.name).is_none() {
                continue;
            }
            findings.claims.push(Claim {
                name: binding.name.clone(),
                strength,
                source: binding.source.to_string(),
                by: by.to_owned(),
            });
        }
    }
}

/// Looks for a configuration that applies to `nic` without asking for one name.
fn nameless(nic: &Nic, topology: &Topology<'_>, findings: &mut Findings<'_>) {
    let has_mac = |one: &Interface| one.matches.macs.contains(&nic.mac);
    let has_own_address = |one: &Interface| {
        let mut addresses = nic.addresses.iter();
        addresses.any(|address| has_address(one, address.addr()))
    };
    let takes_anything = |one: &Interface| {
        one.matches.macs.is_empty()
            && one.matches.other.is_none()
            && (one.matches.globs.is_empty() || fits_any_name(one))
    };
    let hardware = || {
        let all = topology.unnamed.iter();
        all.filter(|one| one.kind == Kind::Physical)
    };
    let by_mac = hardware().find(|one| has_mac(one));
    let by_address = hardware().find(|one| has_own_address(one) && takes_anything(one));
    let any = hardware().find(|one| takes_anything(one));
    if let Some(interface) = by_mac.or(by_address).or(any) {
        findings.nameless = Some(Nameless {
            source: interface.source.to_string(),
            by: describe(interface),
            exact: by_mac.or(by_address).is_some(),
        });
    } else if let Some(interface) = hardware().find(|one| has_own_address(one)) {
        findings.hint = Some(format!(
            "its address is in {}, which asks for {}",
            interface.source,
            describe_selector(interface)
        ));
    }
}

/// What `interface` goes by, for the evidence.
fn describe(interface: &Interface) -> String {
    if !interface.matches.macs.is_empty() {
        "MAC, whatever the name".to_owned()
    } else if interface.matches.globs.is_empty() {
        "any card".to_owned()
    } else {
        format!("names like {}", interface.matches.globs.join(" "))
    }
}

/// What `interface` asks for that a NIC does not have.
fn describe_selector(interface: &Interface) -> String {
    if let Some(mac) = interface.matches.macs.first() {
        format!("MAC {mac}")
    } else if let Some(other) = &interface.matches.other {
        other.clone()
    } else {
        format!("names like {}", interface.matches.globs.join(" "))
    }
}

/// Whether the configuration's patterns, if it has any, take `name`.
fn fits(interface: &Interface, name: &str) -> bool {
    let mut globs = interface.matches.globs.iter();
    globs.any(|glob| glob::matches(glob, name))
}

/// Whether patterns cover what udev calls a virtio card: in a PCI Express root port (`enp1s0`).
fn fits_any_name(interface: &Interface) -> bool {
    fits(interface, "enp1s0")
}

/// Numbers from here on have a function in their upper bits.
const SLOTS: u32 = 1024;

/// The name that udev gave a NIC on VMware: `ens` and the slot that the virtual firmware reports,
/// which is the number in `ethernetN.pciSlotNumber`. Its bits are `FFF.BBBBB.DDDDD` (VMware KB
/// 2047927): function, bridge and device; functions of one bridge have slot numbers that follow
/// each other (1184, function 1 on the bridge of 160, is 161).
fn slot_name(slot: u32) -> String {
    format!("ens{}", slot % SLOTS + slot / SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_give_names() {
        for (slot, name) in [
            (192, "ens192"),
            (32, "ens32"),
            (160, "ens160"),
            (1184, "ens161"),
        ] {
            assert_eq!(slot_name(slot), name);
        }
    }
}
