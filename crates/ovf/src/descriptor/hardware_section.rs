//! `VirtualHardwareSection`: devices as the descriptor lists them, for all configurations.

use super::Place;

/// One `VirtualHardwareSection`. Several in one system are alternatives for different platforms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HardwareSection {
    /// `ovf:id`, if it has one.
    pub id: Option<String>,
    /// Platforms that it is for (`vmx-10`, `virtualbox-2.2`, `kvm`).
    pub system_types: Vec<String>,
    /// How the guest wants its environment document (`iso`, `com.vmware.guestInfo`, or the address of
    /// another kind), in the descriptor's order.
    pub transports: Vec<String>,
    /// Devices of all deployment configurations, and the markers of ranges ([`Item::bound`]).
    pub items: Vec<Item>,
    /// `vmw:Config` of the machine (`firmware`, `bootOptions.efiSecureBootEnabled`).
    pub config: Vec<Setting>,
    /// `vmw:ExtraConfig` of the machine: lines of its VMX file.
    pub extra_config: Vec<Setting>,
    /// Where the section is.
    pub place: Place,
}

impl HardwareSection {
    /// The value of a `vmw:Config`, else of a `vmw:ExtraConfig`, of this key without regard to case.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        find(&self.config, key).or_else(|| find(&self.extra_config, key))
    }
}

fn find<'s>(settings: &'s [Setting], key: &str) -> Option<&'s str> {
    settings
        .iter()
        .find(|setting| setting.key.eq_ignore_ascii_case(key))
        .map(|setting| setting.value.as_str())
}

/// A key with its value, as VMware's extensions have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub key: String,
    /// The value; empty if it is missing.
    pub value: String,
    /// `ovf:required`, true by default.
    pub required: bool,
}

/// One device: an `Item`, `StorageItem` or `EthernetPortItem` with CIM's resource allocation data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// `InstanceID`: by it an item of a configuration replaces another, and children name their parent.
    pub instance_id: String,
    /// Name for people (`ElementName`, `Caption` in OVF 0.9).
    pub name: Option<String>,
    /// `ResourceType`: 3 CPU, 4 memory, 5 IDE, 6 SCSI, 10 Ethernet, 14 floppy, 15 CD, 16 DVD, 17 disk,
    /// 20 other storage, 24 graphics and so on; 0 if it is missing or no number.
    pub resource_type: u16,
    /// `ResourceSubType`: acceptable models, the preferred one first.
    pub subtypes: Vec<String>,
    /// `InstanceID` of the controller.
    pub parent: Option<String>,
    /// Address of a controller, or hardware address of a NIC.
    pub address: Option<String>,
    /// Place on the controller.
    pub address_on_parent: Option<u32>,
    /// What backs the device: `ovf:/disk/ID`, `ovf:/file/ID`.
    pub host_resources: Vec<String>,
    /// Names of networks.
    pub connections: Vec<String>,
    /// How much of it: number of CPUs, amount of memory.
    pub quantity: Option<u64>,
    /// Unit of quantity, reservation and limit, as written.
    pub units: Option<String>,
    /// `vmw:CoresPerSocket`.
    pub cores_per_socket: Option<u32>,
    /// Whether it is connected when the machine starts (`AutomaticAllocation`).
    pub automatic: Option<bool>,
    /// `ovf:required`, true by default.
    pub required: bool,
    /// Deployment configurations that the item is for; empty for all.
    pub configurations: Vec<String>,
    /// `vmw:Config` of the device (`slotInfo.pciSlotNumber`).
    pub config: Vec<Setting>,
    /// Whether a range marks it (`ovf:bound`): such an item is no device.
    pub bound: Option<Bound>,
    /// Where it is.
    pub place: Place,
}

impl Item {
    /// The value of a `vmw:Config` of this device.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        find(&self.config, key)
    }
}

/// What an item with `ovf:bound` says of the device that it accompanies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Least amount.
    Min,
    /// Greatest amount.
    Max,
    /// The usual amount.
    Normal,
}
