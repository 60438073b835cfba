//! What an interface is told to be: the settings of TCP/IP in the SYSTEM hive.
//!
//! Names of values: "TCP/IP and NBT configuration parameters" (Microsoft KB 314053) for IPv4 and NetBIOS;
//! IPv6 addresses are only in `Nsi` (see [`super::nsi`]).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use refit_hive::{Hive, Key};

use super::nsi;
use crate::adapters::{Adapter, dword, multi, text};

/// More addresses than an interface has; what comes behind is left out, with a warning.
const MOST: usize = 200;

/// The settings of one interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Whether IPv4 addresses come by DHCP.
    pub(crate) dhcp: bool,
    /// Static addresses, IPv4 first.
    pub(crate) addresses: Vec<IpNet>,
    /// Gateways, with their metrics if these are set.
    pub(crate) gateways: Vec<(IpAddr, Option<u32>)>,
    /// Routes bound to this interface: destination, next hop, metric.
    pub(crate) routes: Vec<(IpNet, IpAddr, Option<u32>)>,
    /// DNS servers set by hand.
    pub(crate) dns: Vec<IpAddr>,
    /// Connection-specific DNS suffix.
    pub(crate) suffix: Option<String>,
    /// That its addresses are kept out of DNS.
    pub(crate) unregistered: bool,
    /// WINS servers.
    pub(crate) wins: Vec<Ipv4Addr>,
    /// NetBIOS over TCP/IP, if not left to DHCP.
    pub(crate) netbios: Option<bool>,
    /// Interface metric.
    pub(crate) metric: Option<u32>,
    /// Largest packet in bytes.
    pub(crate) mtu: Option<u32>,
}

impl Settings {
    /// Whether a new interface, as Windows makes it, would already be like this.
    pub(crate) fn is_plain(&self) -> bool {
        *self
            == Self {
                dhcp: true,
                ..Self::default()
            }
    }

    /// Whether it has addresses of its own.
    pub(crate) fn is_static(&self) -> bool {
        !self.addresses.is_empty()
    }
}

/// Reads the settings of `adapter`. What is odd becomes a warning and is left out.
pub(crate) fn read(
    system: &Hive,
    set: &str,
    adapter: &Adapter,
    warnings: &mut Vec<String>,
) -> Settings {
    let mut reader = Reader {
        label: adapter.label(),
        warnings,
    };
    let guid = &adapter.guid;
    let mut settings = Settings {
        dhcp: true,
        ..Settings::default()
    };
    if let Some(key) = system.key(&format!(
        r"{set}\Services\Tcpip\Parameters\Interfaces\{guid}"
    )) {
        reader.ipv4(&key, &mut settings);
    }
    if let Some(key) = system.key(&format!(
        r"{set}\Services\NetBT\Parameters\Interfaces\Tcpip_{guid}"
    )) {
        reader.netbios(&key, &mut settings);
    }
    if let Some(key) = system.key(&format!(
        r"{set}\Services\Tcpip6\Parameters\Interfaces\{guid}"
    )) {
        reader.servers(&key, &mut settings.dns);
    }
    if let Some(luid) = adapter.luid {
        nsi::read(
            system,
            set,
            luid,
            &mut |warning| reader.warn(&warning),
            &mut settings,
        );
    }
    settings
}

struct Reader<'w> {
    label: String,
    warnings: &'w mut Vec<String>,
}

impl Reader<'_> {
    fn warn(&mut self, what: &str) {
        self.warnings.push(format!("{}: {what}", self.label));
    }

    fn ipv4(&mut self, key: &Key<'_>, settings: &mut Settings) {
        settings.dhcp = dword(key, "EnableDHCP") != Some(0);
        // Under DHCP, what is there is what was there before.
        if !settings.dhcp {
            self.addresses(key, settings);
        }
        self.gateways(key, settings);
        self.servers(key, &mut settings.dns);
        settings.suffix = text(key, "Domain").and_then(|name| self.domain(name));
        // Windows 2000 to 2003 wrote the second one.
        settings.unregistered = dword(key, "RegistrationEnabled") == Some(0)
            || dword(key, "DisableDynamicUpdate") == Some(1);
        match dword(key, "InterfaceMetric") {
            None | Some(0) => {}
            Some(metric @ 1..=9999) => settings.metric = Some(metric),
            Some(other) => self.warn(&format!(
                "its metric {other} is left out: it is not 1 to 9999"
            )),
        }
        match dword(key, "MTU") {
            None | Some(0 | u32::MAX) => {}
            Some(mtu @ 576..=65535) => settings.mtu = Some(mtu),
            Some(other) => self.warn(&format!(
                "its MTU {other} is left out: it is not 576 to 65535"
            )),
        }
    }

    fn addresses(&mut self, key: &Key<'_>, settings: &mut Settings) {
        let addresses = multi(key, "IPAddress");
        let masks = multi(key, "SubnetMask");
        if addresses.len() > MOST {
            self.warn(&format!(
                "only the first {MOST} of its {} addresses are carried over",
                addresses.len()
            ));
        }
        for (index, address) in addresses.iter().take(MOST).enumerate() {
            let mask = masks.get(index).map_or("", String::as_str);
            match network(address, mask) {
                Ok(Some(network)) => push(&mut settings.addresses, IpNet::V4(network)),
                Ok(None) => {}
                Err(why) => self.warn(&format!(
                    "the address {} with the mask {} is left out: {why}",
                    shown(address),
                    shown(mask)
                )),
            }
        }
    }

    fn gateways(&mut self, key: &Key<'_>, settings: &mut Settings) {
        let metrics = multi(key, "DefaultGatewayMetric");
        for (index, gateway) in multi(key, "DefaultGateway").iter().take(MOST).enumerate() {
            let Ok(address) = gateway.parse::<Ipv4Addr>() else {
                self.warn(&format!(
                    "the gateway {} is left out: it is no IPv4 address",
                    shown(gateway)
                ));
                continue;
            };
            if address.is_unspecified() {
                continue;
            }
            // 0: from the speed of the link.
            let metric = metrics.get(index).and_then(|text| text.parse().ok());
            let gateway = (IpAddr::V4(address), metric.filter(|metric| *metric != 0));
            if settings.gateways.iter().all(|known| known.0 != gateway.0) {
                settings.gateways.push(gateway);
            }
        }
    }

    /// `NameServer`: written with commas by some Windows, with spaces by others.
    fn servers(&mut self, key: &Key<'_>, servers: &mut Vec<IpAddr>) {
        let list = text(key, "NameServer").unwrap_or_default();
        let words = list.split([',', ' ', ';']).filter(|word| !word.is_empty());
        for word in words.take(MOST) {
            match word.parse::<IpAddr>() {
                Ok(address) if address.is_unspecified() => {}
                Ok(address) => push(servers, address),
                Err(_) => self.warn(&format!(
                    "the DNS server {} is left out: it is no address",
                    shown(word)
                )),
            }
        }
    }

    fn netbios(&mut self, key: &Key<'_>, settings: &mut Settings) {
        for word in multi(key, "NameServerList").iter().take(MOST) {
            match word.parse::<Ipv4Addr>() {
                Ok(address) if address.is_unspecified() => {}
                Ok(address) => push(&mut settings.wins, address),
                Err(_) => self.warn(&format!(
                    "the WINS server {} is left out: it is no IPv4 address",
                    shown(word)
                )),
            }
        }
        settings.netbios = match dword(key, "NetbiosOptions") {
            Some(1) => Some(true),
            Some(2) => Some(false),
            _ => None,
        };
    }

    /// A DNS name as Windows allows it (letters of all scripts, digits, hyphen, underscore).
    fn domain(&mut self, name: String) -> Option<String> {
        let sound = name.len() <= 255
            && name
                .split('.')
                .all(|label| !label.is_empty() && label.len() <= 63)
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !sound {
            self.warn(&format!(
                "the DNS suffix {} is left out: it is no domain name",
                shown(&name)
            ));
        }
        sound.then_some(name)
    }
}

/// `None` for `0.0.0.0`, which says that there is none.
fn network(address: &str, mask: &str) -> Result<Option<Ipv4Net>, &'static str> {
    let address: Ipv4Addr = address.parse().map_err(|_| "it is no IPv4 address")?;
    if address.is_unspecified() {
        return Ok(None);
    }
    let mask: Ipv4Addr = mask.parse().map_err(|_| "the mask is none")?;
    let network = Ipv4Net::with_netmask(address, mask).map_err(|_| "the mask has gaps")?;
    if network.prefix_len() == 0 {
        return Err("the mask is empty");
    }
    if address.is_loopback() || address.is_multicast() || address.is_broadcast() {
        return Err("no interface can have it");
    }
    Ok(Some(network))
}

/// Adds what is not there yet.
pub(super) fn push<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// Whether an interface can be given this address.
pub(super) fn usable(address: Ipv6Addr) -> bool {
    !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}

/// What a guest wrote, short and without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
