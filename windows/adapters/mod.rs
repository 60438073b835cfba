//! The network adapters that a SYSTEM hive knows, for the fixups that carry their settings over and
//! remove what is left of them.
//!
//! What belongs together is spread over the hive: the driver's instance in `Control\Class`, the
//! device in `Enum`, the connection in `Control\Network`, its numbers in `Nsi` and
//! `NetworkSetup2`. The GUID of the interface (`NetCfgInstanceId`) ties them together, and nothing else:
//! names are not unique, and instance numbers of the class are not those of the device.

mod guid;
mod mac;
mod values;

use refit_hive::{Hive, Key};
use refit_machine::Mac;

pub(crate) use guid::Guid;
pub(crate) use mac::{Hint, MacSource, hints};
pub(crate) use values::{dword, multi, text};

/// The device class of network adapters.
pub(crate) const NET_CLASS: &str = "{4d36e972-e325-11ce-bfc1-08002be10318}";
/// More instances than any machine has; what comes behind is not looked at.
const MOST_ADAPTERS: usize = 512;
/// `NCF_PHYSICAL` of a driver's `Characteristics` (netcfgx.h).
const NCF_PHYSICAL: u32 = 0x4;

/// What an adapter is to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// A card with its own addresses.
    Card,
    /// A card that hands its traffic to something above it, and has no addresses of its own: the name of
    /// that driver.
    Member(String),
    /// A team, bridge or virtual switch made of cards: the name of its driver.
    Compound(String),
    /// A tunnel, WAN miniport, loopback: made of software, so it outlives a change of hardware. Or a
    /// card that is no Ethernet, which the new machine has none of.
    Other,
}

/// One network adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Adapter {
    /// The interface's GUID.
    pub(crate) guid: Guid,
    /// Its driver's description.
    pub(crate) description: String,
    /// The driver's service.
    pub(crate) service: String,
    /// The device's instance (`PCI\VEN_8086&DEV_100F&...\4&3AD87E0A&0&0888`), if known.
    pub(crate) instance: Option<String>,
    /// The connection's name.
    pub(crate) name: Option<String>,
    /// The interface's `NET_LUID`, from Vista on.
    pub(crate) luid: Option<[u8; 8]>,
    /// What it is to the network.
    pub(crate) role: Role,
    /// Hardware address of the card, and where it is recorded.
    pub(crate) mac: Option<(Mac, MacSource)>,
    /// The address that Windows was told to use instead (`NetworkAddress`).
    pub(crate) replaced_mac: Option<Mac>,
    /// Number of its slot, the same that VMware calls `pciSlotNumber`.
    pub(crate) slot: Option<u32>,
    /// Whether the hive says that the device was gone when Windows last ran (from Windows 8 on).
    pub(crate) gone: bool,
    /// Services bound to it.
    pub(crate) bound: Vec<String>,
}

impl Adapter {
    /// Whether it is one of the virtio cards that the new machine has.
    pub(crate) fn is_virtio(&self) -> bool {
        self.instance
            .as_deref()
            .is_some_and(|instance| starts_with(instance, r"PCI\VEN_1AF4&"))
    }

    /// Its name for people.
    pub(crate) fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{name:?} ({})", self.description),
            None => format!("{} {}", self.description, self.guid),
        }
    }
}

/// Every adapter of the control set `set` (`ControlSet001`), in the order of their driver instances.
/// An entry without the GUID of an interface is none (Windows keeps such leftovers).
pub(crate) fn read(system: &Hive, set: &str) -> Vec<Adapter> {
    let Some(class) = system.key(&format!(r"{set}\Control\Class\{NET_CLASS}")) else {
        return Vec::new();
    };
    let instances = class
        .subkeys()
        .filter(|key| key.name().len() == 4 && key.name().bytes().all(|b| b.is_ascii_digit()));
    instances
        .take(MOST_ADAPTERS)
        .filter_map(|key| one(system, set, &key))
        .collect()
}

fn one(system: &Hive, set: &str, class: &Key<'_>) -> Option<Adapter> {
    let guid: Guid = text(class, "NetCfgInstanceId")?.parse().ok()?;
    let connection = system.key(&format!(
        r"{set}\Control\Network\{NET_CLASS}\{guid}\Connection"
    ));
    // Windows before Vista has the instance with the connection only.
    let instance = text(class, "DeviceInstanceID").or_else(|| {
        connection
            .as_ref()
            .and_then(|key| text(key, "PnpInstanceID"))
    });
    let device = instance
        .as_deref()
        .and_then(|instance| system.key(&format!(r"{set}\Enum\{instance}")));
    let service = class
        .subkey("Ndi")
        .and_then(|ndi| text(&ndi, "Service"))
        .unwrap_or_default();
    let bound = class
        .subkey("Linkage")
        .map(|linkage| multi(&linkage, "UpperBind"))
        .unwrap_or_default();
    let luid = luid(class);
    let role = role(class, &service, instance.as_deref(), &bound);
    let replaced_mac = text(class, "NetworkAddress").and_then(|text| mac::plain(&text));
    let kernel = system.key(&format!(
        r"{set}\Control\NetworkSetup2\Interfaces\{guid}\Kernel"
    ));
    let mac = mac::find(
        class,
        kernel.as_ref(),
        instance.as_deref(),
        replaced_mac.is_some(),
    );
    Some(Adapter {
        description: text(class, "DriverDesc")
            .or_else(|| device.as_ref().and_then(|key| text(key, "DeviceDesc")))
            .map(|text| plain_description(&text))
            .unwrap_or_default(),
        name: connection.as_ref().and_then(|key| text(key, "Name")),
        slot: device.as_ref().and_then(|key| dword(key, "UINumber")),
        gone: device.as_ref().is_some_and(is_gone),
        guid,
        service,
        instance,
        luid,
        role,
        mac,
        replaced_mac,
        bound,
    })
}

/// The part for people of `@inf,%key%;Text` and of `@inf,%key%;Text;(what goes into it)`.
pub(crate) fn plain_description(text: &str) -> String {
    let plain = match text.strip_prefix('@') {
        Some(rest) => rest.split(';').nth(1).unwrap_or(rest),
        None => text,
    };
    plain
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect()
}

/// `NET_LUID` as Windows keeps it (ifdef.h): 24 bits reserved, 24 bits index, 16 bits interface type.
fn luid(class: &Key<'_>) -> Option<[u8; 8]> {
    let index = u64::from(dword(class, "NetLuidIndex")?);
    let kind = u64::from(dword(class, "*IfType")?);
    let fits = index < 1 << 24 && kind < 1 << 16;
    fits.then(|| (kind << 48 | index << 24).to_le_bytes())
}

/// Drivers that make one interface of several cards, or share one card among several: Microsoft's
/// teaming (from Windows Server 2012 on), bridge and Hyper-V switch, Intel's, Broadcom's and HP's
/// teaming. In lower case: of the interface, and of what binds to the cards.
const COMPOUNDS: [(&str, &str); 10] = [
    ("ndisimplatformmp", "ndisimplatform"),
    ("ms_implat_mp", "ms_implat"),
    ("bridgemp", "bridgemp"),
    ("ms_bridgemp", "ms_bridge"),
    ("ms_l2bridge", "l2bridge"),
    ("vmsmp", "vmsp"),
    ("vms_mp", "vms_pp"),
    ("iansw60e", "iansprotocol"),
    ("blfm", "blfp"),
    ("cpqteammp", "cpqteam"),
];

fn role(class: &Key<'_>, service: &str, instance: Option<&str>, bound: &[String]) -> Role {
    let component = text(class, "ComponentId").unwrap_or_default();
    let component = component.rsplit('\\').next().unwrap_or_default();
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    if COMPOUNDS
        .iter()
        .any(|(made, _)| is(service, made) || is(component, made))
    {
        return Role::Compound(service.to_owned());
    }
    // Windows sees through `ROOT\` devices only what was added by hand or by a program.
    let by_software = instance.is_none_or(|instance| {
        [r"ROOT\", r"SW\", r"SWD\", r"COMPOSITEBUS\", r"BTH\"]
            .iter()
            .any(|bus| starts_with(instance, bus))
    });
    let physical = dword(class, "Characteristics").is_some_and(|bits| bits & NCF_PHYSICAL != 0);
    // ipifcons.h: 6 is Ethernet, 71 wireless.
    let wired = dword(class, "*IfType").is_none_or(|kind| kind == 6);
    if by_software || !physical || !wired {
        return Role::Other;
    }
    let has_addresses = bound
        .iter()
        .any(|name| is(name, "Tcpip") || is(name, "Tcpip6"));
    let above = bound.iter().find(|name| {
        COMPOUNDS
            .iter()
            .any(|(_, binds)| name.to_ascii_lowercase().starts_with(binds))
    });
    match above {
        Some(above) if !has_addresses => Role::Member(above.clone()),
        _ => Role::Card,
    }
}

/// Windows 8 and later note when a device last came and last went (`DEVPKEY_Device_LastArrivalDate` and
/// `LastRemovalDate`, devpkey.h).
fn is_gone(device: &Key<'_>) -> bool {
    let date = |property: &str| {
        let key = device
            .subkey("Properties")?
            .subkey("{83da6326-97a6-4088-9453-a1923f573b29}")?
            .subkey(property)?;
        let data = key.value("")?.data;
        Some(u64::from_le_bytes(data.try_into().ok()?))
    };
    match (date("0066"), date("0067")) {
        (Some(came), Some(went)) => went > came,
        _ => false,
    }
}

/// Whether `text` begins with `start`, without regard to the case of ASCII letters.
pub(crate) fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests;
