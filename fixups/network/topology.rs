//! The devices that a guest's configuration describes, merged by name, and how they lie on one
//! another.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::model::{Interface, Kind};
use super::sources::values::is_interface_name;

/// What all readers together say of one device name.
#[derive(Debug)]
pub(crate) struct Device<'a> {
    pub name: &'a str,
    /// Whether no reader says that it is anything but hardware.
    pub physical: bool,
    /// The configurations of this name, in the order of the readers; empty if the name only occurs
    /// as a port or parent of another device.
    pub interfaces: Vec<&'a Interface>,
    /// Names that this device is made of, in configuration order.
    lower: Vec<&'a str>,
    /// The configuration that mentions the name first.
    pub first: &'a Interface,
}

/// A device that has an address.
#[derive(Debug)]
pub(crate) struct Holder<'a> {
    /// Its name, or if it has none that of the device below it.
    pub name: &'a str,
    /// The hardware under it.
    pub ports: Vec<&'a str>,
    /// The configuration that gives it the address.
    pub interface: &'a Interface,
}

/// All devices, and the configurations that ask for no particular name.
#[derive(Debug, Default)]
pub(crate) struct Topology<'a> {
    devices: Vec<Device<'a>>,
    by_name: HashMap<&'a str, usize>,
    /// Configurations that find their device by other means than one name.
    pub unnamed: Vec<&'a Interface>,
    /// Names that are refused.
    pub warnings: Vec<String>,
}

impl<'a> Topology<'a> {
    /// Merges `interfaces` by name. Ports and parents that have no configuration of their own
    /// become devices too. Names that the kernel or udev would not take are left out, with a
    /// warning.
    pub fn new(interfaces: &'a [Interface]) -> Self {
        let mut topology = Self::default();
        let mut refused = HashSet::new();
        let mut usable = |name: &'a str, source, warnings: &mut Vec<String>| {
            let name = name.split_once(':').map_or(name, |(device, _alias)| device);
            if is_valid_name(name) {
                return Some(name);
            }
            if refused.insert(name) {
                warnings.push(format!(
                    "{source}: {:?} is no name for a network device, left alone",
                    shorten(name)
                ));
            }
            None
        };
        for interface in interfaces {
            let Some(name) = interface.matches.name.as_deref() else {
                topology.unnamed.push(interface);
                continue;
            };
            let Some(name) = usable(name, &interface.source, &mut topology.warnings) else {
                continue;
            };
            let device = topology.device(name, interface);
            device.interfaces.push(interface);
            device.physical &= interface.kind == Kind::Physical;
        }
        for interface in interfaces {
            let name = interface.matches.name.as_deref();
            let name =
                name.and_then(|name| usable(name, &interface.source, &mut topology.warnings));
            for lower in &interface.lower {
                let lower = usable(lower, &interface.source, &mut topology.warnings);
                let Some(lower) = lower.filter(|lower| Some(*lower) != name) else {
                    continue;
                };
                topology.device(lower, interface);
                if let Some(name) = name {
                    topology.device(name, interface).put_below(lower);
                }
            }
            if let Some(upper) = &interface.upper {
                let upper = usable(upper, &interface.source, &mut topology.warnings);
                let Some(upper) = upper.filter(|upper| Some(*upper) != name) else {
                    continue;
                };
                let device = topology.device(upper, interface);
                device.physical = false;
                if let Some(name) = name {
                    device.put_below(name);
                }
            }
        }
        topology
    }

    /// The device `name`, made if it is new.
    fn device(&mut self, name: &'a str, mentioned_by: &'a Interface) -> &mut Device<'a> {
        let index = *self.by_name.entry(name).or_insert_with(|| {
            self.devices.push(Device {
                name,
                physical: name != "lo",
                interfaces: Vec::new(),
                lower: Vec::new(),
                first: mentioned_by,
            });
            self.devices.len() - 1
        });
        &mut self.devices[index]
    }

    /// All devices in configuration order.
    pub fn devices(&self) -> impl Iterator<Item = &Device<'a>> {
        self.devices.iter()
    }

    /// Those that are hardware, in configuration order.
    pub fn physical(&self) -> impl Iterator<Item = &Device<'a>> {
        self.devices().filter(|device| device.physical)
    }

    pub fn get(&self, name: &str) -> Option<&Device<'a>> {
        self.by_name.get(name).map(|&index| &self.devices[index])
    }

    /// Whether `name` belongs to a bond, bridge, VLAN or another device that is no hardware.
    pub fn is_virtual(&self, name: &str) -> bool {
        name == "lo" || self.get(name).is_some_and(|device| !device.physical)
    }

    /// The hardware under `name` (itself, if it is hardware), in configuration order.
    pub fn ports(&self, name: &str) -> Vec<&'a str> {
        let mut ports = Vec::new();
        let mut seen = HashSet::new();
        let mut pending = vec![name];
        while let Some(name) = pending.pop() {
            let Some(device) = self.get(name).filter(|device| seen.insert(device.name)) else {
                continue;
            };
            if device.physical {
                ports.push(device.name);
            } else {
                pending.extend(device.lower.iter().rev());
            }
        }
        ports
    }

    /// What has `address`, in configuration order.
    pub fn with_address(&self, address: IpAddr) -> Vec<Holder<'a>> {
        let named = self.devices.iter().filter_map(|device| {
            let mut configurations = device.interfaces.iter();
            let interface = configurations.find(|one| has_address(one, address))?;
            Some(Holder {
                name: device.name,
                ports: self.ports(device.name),
                interface,
            })
        });
        // A VLAN may have no name of its own, and still lies on a card that has one.
        let unnamed = self.unnamed.iter().filter(|one| has_address(one, address));
        let unnamed = unnamed.filter_map(|interface| {
            Some(Holder {
                name: interface.lower.first()?,
                ports: interface
                    .lower
                    .iter()
                    .flat_map(|name| self.ports(name))
                    .collect(),
                interface,
            })
        });
        named.chain(unnamed).collect()
    }
}

impl<'a> Device<'a> {
    fn put_below(&mut self, lower: &'a str) {
        if !self.lower.contains(&lower) {
            self.lower.push(lower);
        }
    }
}

/// Whether `interface` has `address`. Addresses compare by value; an IPv4 address written as
/// IPv6 (`::ffff:192.0.2.1`) is the IPv4 address.
pub(crate) fn has_address(interface: &Interface, address: IpAddr) -> bool {
    let addresses = &mut interface.addresses.iter();
    addresses.any(|own| own.to_canonical() == address.to_canonical())
}

/// Whether kernel, systemd and udev all take `name` literally as the name of a network device. A
/// little stricter than they are: nobody names a device with quotes or dollars, and in a udev rule
/// they would end the value or ask for another one.
pub(crate) fn is_valid_name(name: &str) -> bool {
    is_interface_name(name) && !name.contains(|c| "\"'\\$`*?[]{}#".contains(c))
}

/// The beginning of a name that may be as long as its file.
fn shorten(name: &str) -> String {
    name.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::tests::{interface, virtual_interface};

    #[test]
    fn names_that_the_kernel_or_udev_would_not_take() {
        for good in [
            "eth0",
            "ens192",
            "enp0s31f6",
            "p1p1",
            "net.0",
            "abcdefghijklmno",
        ] {
            assert!(is_valid_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "abcdefghijklmnop",
            "a/b",
            "a b",
            "a\n",
            "a\"b",
            "eth%d",
            "a:1",
            "$k",
            "*",
            "12",
            "é",
            "all",
        ] {
            assert!(!is_valid_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn ports_lead_down_to_the_hardware_in_order() {
        let mut bond = virtual_interface("bond0", Kind::Bond, &["ens224", "ens192"]);
        bond.upper = Some("br0".to_owned());
        let mut late = interface("ens256");
        late.upper = Some("bond0".to_owned());
        let all = [
            virtual_interface("br0", Kind::Bridge, &["bond0.10"]),
            virtual_interface("bond0.10", Kind::Vlan, &["bond0"]),
            bond,
            late,
            interface("ens192"),
        ];
        let topology = Topology::new(&all);
        assert_eq!(topology.ports("br0"), ["ens224", "ens192", "ens256"]);
        assert_eq!(topology.ports("ens192"), ["ens192"]);
        assert_eq!(topology.ports("unknown"), [""; 0]);
        assert!(topology.is_virtual("bond0") && topology.is_virtual("lo"));
        assert!(!topology.is_virtual("ens224"), "mentioned as port only");
        let names: Vec<_> = topology.physical().map(|device| device.name).collect();
        assert_eq!(names, ["ens256", "ens192", "ens224"]);
    }

    #[test]
    fn circles_end_and_an_upper_device_is_virtual_though_nobody_describes_it() {
        let mut port = interface("eth0");
        port.upper = Some("br0".to_owned());
        let all = [
            virtual_interface("a", Kind::Bond, &["b", "a"]),
            virtual_interface("b", Kind::Bridge, &["a"]),
            port,
        ];
        let topology = Topology::new(&all);
        assert_eq!(topology.ports("a"), [""; 0]);
        assert_eq!(topology.ports("br0"), ["eth0"]);
    }

    #[test]
    fn one_name_in_two_formats_is_one_device_and_aliases_are_their_device() {
        let mut first = interface("eth0");
        first.addresses = vec!["192.0.2.1".parse().unwrap()];
        let mut alias = interface("eth0:1");
        alias.addresses = vec!["::ffff:192.0.2.2".parse().unwrap()];
        let all = [first, alias];
        let topology = Topology::new(&all);
        assert_eq!(topology.devices().count(), 1);
        let found = topology.with_address("192.0.2.2".parse().unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "eth0");
    }

    #[test]
    fn hostile_names_are_refused_once() {
        let all = [
            interface("../../etc/x"),
            interface("../../etc/x"),
            virtual_interface("bond0", Kind::Bond, &["a\nb", "eth0"]),
        ];
        let topology = Topology::new(&all);
        assert_eq!(topology.warnings.len(), 2, "{:?}", topology.warnings);
        assert_eq!(topology.ports("bond0"), ["eth0"]);
    }
}
