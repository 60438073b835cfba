//! What speaks for a name: every claim that something in the guest, or known of the old machine,
//! makes for one NIC.

mod leases;

use std::net::IpAddr;

use refit_engine::Nic;
use refit_machine::Mac;

use super::model::{Binding, Interface, Kind};
use super::sources::glob;
use super::sources::leases::Lease;
use super::topology::{Topology, has_address};

/// How much a claim counts; the first is the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    /// The configuration gives this device an address that the NIC had.
    Address,
    /// The configuration names the device and its MAC.
    Configuration,
    /// A systemd `.link` file names the MAC.
    Link,
    /// A udev rule names the MAC.
    Rule,
    /// cloud-init's own data name the device and its MAC, but something else configures it.
    CloudInit,
    /// This device once got an address by DHCP that the NIC had, or got one with the NIC's MAC.
    Lease,
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
pub(crate) struct Claim {
    pub name: String,
    pub strength: Strength,
    /// The file, or where the hardware was learnt from.
    pub source: String,
    /// What in the source: `address 192.0.2.10`, `slot 192`.
    pub by: String,
}

/// The address of an aggregate of several ports, that a NIC had.
#[derive(Debug, Clone)]
pub(crate) struct Aggregate<'a> {
    pub name: &'a str,
    pub ports: Vec<&'a str>,
    pub source: String,
    pub by: String,
}

/// All that is known of one NIC.
#[derive(Debug, Default)]
pub(crate) struct Findings<'a> {
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
pub(crate) struct Nameless {
    pub source: String,
    pub by: String,
    /// Whether it asks for the NIC's MAC, or has an address that the NIC had.
    pub exact: bool,
}

/// Names for MACs, and in leases for addresses, from outside the interfaces' configuration.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bindings<'a> {
    /// systemd `.link` files, in the order in which they apply.
    pub links: &'a [Binding],
    /// udev rules.
    pub rules: &'a [Binding],
    /// cloud-init, where its configuration is rendered in another format.
    pub cloud_init: &'a [Binding],
    /// DHCP leases.
    pub leases: &'a [Lease],
}

/// Collects what is known of `nic`. `new_name` is one that a card gets where none is written down.
pub(crate) fn collect<'a>(
    nic: &Nic,
    topology: &Topology<'a>,
    bindings: Bindings<'_>,
    new_name: &str,
) -> Findings<'a> {
    let mut findings = Findings::default();
    for address in &nic.addresses {
        by_address(address.addr(), topology, &mut findings);
    }
    nameless(nic, topology, new_name, &mut findings);
    by_mac(nic.mac, topology, bindings, &mut findings);
    leases::by_lease(nic, topology, bindings, &mut findings);
    if let Some((slot, name)) = nic.pci_slot.and_then(|slot| Some((slot, slot_name(slot)?))) {
        let mut unnamed = topology.unnamed.iter();
        let wanted = topology.get(&name).is_some_and(|device| device.physical)
            || unnamed.any(|one| fits(one, &name) && !fits(one, new_name));
        if wanted {
            findings.claims.push(Claim {
                name: name.clone(),
                strength: Strength::Slot,
                source: nic.origin.clone(),
                by: format!("slot {slot}"),
            });
        }
        findings.slot_name = Some(name);
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
    let cloud_init: Vec<&Binding> = bindings.cloud_init.iter().collect();
    for (bindings, strength, by) in [
        (links, Strength::Link, "MAC in .link file"),
        (rules, Strength::Rule, "MAC in rule"),
        (cloud_init, Strength::CloudInit, "MAC in cloud-init's data"),
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
fn nameless(nic: &Nic, topology: &Topology<'_>, new_name: &str, findings: &mut Findings<'_>) {
    let has_mac = |one: &Interface| one.matches.macs.contains(&nic.mac);
    let has_own_address = |one: &Interface| {
        let mut addresses = nic.addresses.iter();
        addresses.any(|address| has_address(one, address.addr()))
    };
    let takes_anything = |one: &Interface| {
        one.matches.macs.is_empty()
            && one.matches.other.is_none()
            && (one.matches.globs.is_empty() || fits(one, new_name))
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
    } else if let Some(interface) = hardware().find(|one| took_old_names(one)) {
        findings.hint = Some(format!(
            "{} asks for {}, which it will not have",
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

/// Whether the configuration's patterns, and nothing else, took a card on VMware.
fn took_old_names(interface: &Interface) -> bool {
    interface.matches.macs.is_empty()
        && interface.matches.other.is_none()
        && OLD_NAMES.iter().any(|name| fits(interface, name))
}

/// Names of each kind that cards have on VMware.
const OLD_NAMES: [&str; 5] = ["ens192", "ens33", "enp11s0", "eno16777984", "eth0"];

/// The name that udev gave a NIC on VMware: `ens` and the number of the hotplug slot that the
/// virtual firmware reports. In `ethernetN.pciSlotNumber` it is coded as `FFF.BBBBB.DDDDD` (VMware
/// KB 2047927): function, bridge and device. The functions of one bridge are ports, whose slots
/// follow each other: 160 is slot 160, and 1184, function 1 of the same bridge, is slot 161.
/// `None` if it is no such number.
fn slot_name(number: u32) -> Option<String> {
    let (function, slot) = (number >> 10, number & 0x3ff);
    (function < 8 && slot > 0).then(|| format!("ens{}", slot + function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_give_names() {
        for (number, name) in [
            (192, Some("ens192")),
            (32, Some("ens32")),
            (160, Some("ens160")),
            (1184, Some("ens161")),
            (1216, Some("ens193")),
            (2240, Some("ens194")),
            (0, None),
            (8192, None),
        ] {
            assert_eq!(slot_name(number).as_deref(), name, "{number}");
        }
    }
}
