//! What a guest's network configuration says of its interfaces, in one form for all formats.

use std::net::IpAddr;

use refit_engine::GuestPath;
use refit_machine::Mac;

/// One interface as one configuration file (or several that are merged) describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// What selects the device that the configuration is for.
    pub matches: Match,
    /// What kind of device it is.
    pub kind: Kind,
    /// Its static addresses, IPv4 and IPv6, without prefix length. Those of aliases (`eth0:1`)
    /// count as the interface's own; gateways and name servers are no addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it gets addresses by DHCP or router advertisement.
    pub dynamic: bool,
    /// Names of the interfaces that it is made of: ports of a bond, team or bridge; the parent of
    /// a VLAN or macvlan.
    pub lower: Vec<String>,
    /// Name of the bond, team or bridge that it is a port of.
    pub upper: Option<String>,
    /// The file that says so; of several, the one with the addresses, else the first.
    pub source: GuestPath,
}

/// What selects the device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    /// The one name that the device has in the guest, or that the configuration gives it
    /// (netplan's `set-name`). `None` if any name will do.
    pub name: Option<String>,
    /// Shell patterns for the name (`en*`): the configuration follows the device whatever it is
    /// called, as long as that matches.
    pub globs: Vec<String>,
    /// Hardware addresses that the configuration asks for (not ones that it sets).
    pub macs: Vec<Mac>,
    /// Whether the configuration itself renames the device that it matches by hardware address
    /// (netplan's `set-name`).
    pub renames: bool,
    /// Another selector that refit does not follow (driver, PCI path, ...), in the format's words.
    pub other: Option<String>,
}

/// Kind of a network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Hardware, or not said to be anything else.
    Physical,
    /// Aggregate of ports (`bonding`).
    Bond,
    /// Aggregate of ports (`teamd`).
    Team,
    /// Switch in the kernel, or Open vSwitch.
    Bridge,
    /// 802.1Q on a parent.
    Vlan,
    /// Another virtual device: loopback, dummy, tunnel, macvlan, wireless, ...; the format's word.
    Other(String),
}

/// What one reader found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The interfaces, in the order of the configuration.
    pub interfaces: Vec<Interface>,
    /// Files or lines that it could not make sense of, each with the path and the reason.
    pub warnings: Vec<String>,
}

/// A name that the guest gives to a hardware address outside of any interface's configuration:
/// udev rules, systemd `.link` files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The hardware address.
    pub mac: Mac,
    /// The name that it gets.
    pub name: String,
    /// The file that says so.
    pub source: GuestPath,
}

/// Whether the kernel accepts `name` for a network device: 1 to 15 bytes, without white space,
/// `/` or `:`, and neither `.` nor `..` (`dev_valid_name` in Linux' `net/core/dev.c`).
#[must_use]
pub fn is_device_name(name: &str) -> bool {
    (1..16).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
}
