//! Hardware addresses, wherever Windows keeps them.

use refit_hive::{Hive, Key};
use refit_machine::Mac;

use super::starts_with;
use super::values::text;

/// Where the address of a card is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MacSource {
    /// `NetworkSetup2`, from Windows 10 and Server 2016 on: what the card itself says.
    Permanent,
    /// The device's instance: a PCI Express card's serial number is its address (PCI Express Base Specification,
    /// Device Serial Number; IEEE EUI-64).
    SerialNumber,
    /// The address from before somebody replaced it, which some drivers keep.
    Original,
    /// `NetworkSetup2`: the address in use.
    Current,
}

impl MacSource {
    /// For the report.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Permanent => "NetworkSetup2, PermanentAddress",
            Self::SerialNumber => "serial number of the PCI Express card",
            Self::Original => "class key, OriginalNetworkAddress",
            Self::Current => "NetworkSetup2, CurrentAddress",
        }
    }
}

/// An address of some card of the machine, but the hive does not say which; and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hint {
    /// The address.
    pub(crate) mac: Mac,
    /// Where it is recorded.
    pub(crate) source: &'static str,
}

/// The card's own address. `replaced`: Windows uses another, so that the one in use tells nothing.
pub(super) fn find(
    class: &Key<'_>,
    kernel: Option<&Key<'_>>,
    instance: Option<&str>,
    replaced: bool,
) -> Option<(Mac, MacSource)> {
    let in_kernel = |name: &str| {
        let data = kernel?.value(name)?.data;
        sound(Mac(data.try_into().ok()?))
    };
    let original = || text(class, "OriginalNetworkAddress").and_then(|text| plain(&text));
    in_kernel("PermanentAddress")
        .map(|mac| (mac, MacSource::Permanent))
        .or_else(|| Some((serial_number(instance?)?, MacSource::SerialNumber)))
        .or_else(|| Some((original()?, MacSource::Original)))
        .or_else(|| {
            let current = in_kernel("CurrentAddress").filter(|_| !replaced)?;
            Some((current, MacSource::Current))
        })
}

/// Twelve hexadecimal digits, with or without separators: the form of `NetworkAddress`.
pub(super) fn plain(text: &str) -> Option<Mac> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    sound(Mac(bytes(&digits)?))
}

/// A real card's address is neither zero nor a group's.
fn sound(mac: Mac) -> Option<Mac> {
    (mac.0 != [0; 6] && mac.0[0] & 1 == 0).then_some(mac)
}

/// Windows calls a PCI Express device by its serial number in sixteen digits and a `00` behind. Cards write
/// the EUI-64 of their address either most significant byte first (Intel 82574: `000C29FFFF661AA200`) or
/// as two words of four bytes, each least significant first (vmxnet3: `FF565000BB0895FE00`).
fn serial_number(instance: &str) -> Option<Mac> {
    if !starts_with(instance, r"PCI\") {
        return None;
    }
    let (_, last) = instance.rsplit_once('\\')?;
    let number: [u8; 8] = bytes(last.get(..16)?)?;
    if last.len() != 18 || !last.ends_with("00") {
        return None;
    }
    let [a, b, c, d, e, f, g, h] = number;
    let eui64 = |id: [u8; 8]| {
        let [a, b, c, x, y, d, e, f] = id;
        let filled = x == 0xff && (y == 0xfe || y == 0xff);
        filled.then_some(Mac([a, b, c, d, e, f])).and_then(sound)
    };
    eui64(number).or_else(|| eui64([d, c, b, a, h, g, f, e]))
}

fn bytes<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.len() != 2 * N || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; N];
    for (index, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(out)
}

/// Addresses that the hive notes beside the adapters. They may be those of a template that this machine was
/// cloned from, so they only count where something else agrees.
pub(crate) fn hints(system: &Hive, set: &str) -> Vec<Hint> {
    let mut hints: Vec<Hint> = Vec::new();
    let mut add = |mac: Option<Mac>, source| {
        if let Some(mac) = mac.filter(|mac| hints.iter().all(|hint| hint.mac != *mac)) {
            hints.push(Hint { mac, source });
        }
    };
    let duid = system
        .key(&format!(r"{set}\Services\Tcpip6\Parameters"))
        .and_then(|key| key.value("Dhcpv6DUID"));
    if let Some(duid) = duid {
        add(from_duid(&duid.data), "DHCPv6 identifier");
    }
    if let Some(devices) = system.key("MountedDevices") {
        for value in devices.values().take(4096) {
            if let Some(volume) = value.name.strip_prefix(r"\??\Volume") {
                add(from_volume(volume), "name of a volume");
            }
        }
    }
    hints
}

/// RFC 8415, section 11: a DUID made of a hardware address of type Ethernet, with or without the time.
fn from_duid(duid: &[u8]) -> Option<Mac> {
    let address = match duid {
        [0, 1, 0, 1, _, _, _, _, address @ ..] | [0, 3, 0, 1, address @ ..] => address,
        _ => return None,
    };
    sound(Mac(address.try_into().ok()?))
}

/// RFC 4122, section 4.1.6: the node of a UUID of version 1 is a hardware address, if one was there; else a
/// random number with the group bit set.
fn from_volume(guid: &str) -> Option<Mac> {
    let guid = guid.parse::<super::Guid>().ok()?.to_string();
    let mut groups = guid.trim_matches(['{', '}']).split('-');
    if !groups.nth(2)?.starts_with('1') {
        return None;
    }
    // Windows writes "\x80nonic" where there is no address.
    sound(Mac(bytes(groups.nth(1)?)?)).filter(|mac| mac.0[1..] != *b"nonic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_of_cards() {
        let mac = |instance: &str| serial_number(instance).map(|mac| mac.to_string());
        let known = [
            (
                r"PCI\VEN_8086&DEV_10D3&SUBSYS_07D015AD&REV_00\000C29FFFF661AA200",
                Some("00:0c:29:66:1a:a2"),
            ),
            (
                r"PCI\VEN_15AD&DEV_07B0&SUBSYS_07B015AD&REV_01\FF565000BB0895FE00",
                Some("00:50:56:95:08:bb"),
            ),
            (
                r"PCI\VEN_8086&DEV_100F&SUBSYS_075015AD&REV_01\4&3AD87E0A&0&0888",
                None,
            ),
            (r"PCI\X\000C29FFFF661AA201", None),
            (r"PCI\X\000C290000661AA200", None),
            (r"PCI\X\010C29FFFF661AA200", None),
            (r"USB\X\000C29FFFF661AA200", None),
            (r"PCI\X\000C29FFFF661AA2", None),
            (
                "PCI\\X\\\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}",
                None,
            ),
        ];
        for (instance, expected) in known {
            assert_eq!(mac(instance).as_deref(), expected, "{instance}");
        }
    }

    #[test]
    fn addresses_of_identifiers_and_volumes() {
        let text = |mac: Option<Mac>| mac.map(|mac| mac.to_string());
        let duid = [
            0, 1, 0, 1, 0x14, 0xf6, 0x5a, 0xba, 0, 0x0c, 0x29, 0xec, 0x25, 0x45,
        ];
        assert_eq!(text(from_duid(&duid)).as_deref(), Some("00:0c:29:ec:25:45"));
        assert_eq!(from_duid(&duid[..13]), None);
        assert_eq!(from_duid(&[0, 2, 0, 1, 1, 2, 3, 4, 5, 6]), None);
        let volume = "{11c333b2-468c-11e6-ba8e-000c299ae287}";
        assert_eq!(
            text(from_volume(volume)).as_deref(),
            Some("00:0c:29:9a:e2:87")
        );
        assert_eq!(from_volume("{b334c00f-3f11-11e0-96cd-806e6f6e6963}"), None);
        assert_eq!(from_volume("{9b0b0071-9634-4c69-af70-80db4e8ec7b1}"), None);
    }

    #[test]
    fn addresses_set_by_hand() {
        assert_eq!(
            plain("005056AABB01").map(|mac| mac.to_string()).as_deref(),
            Some("00:50:56:aa:bb:01")
        );
        assert!(plain("00-50-56-AA-BB-01").is_some());
        for text in [
            "",
            "005056AABB0",
            "x05056AABB01",
            "000000000000",
            "010000000000",
        ] {
            assert_eq!(plain(text), None, "{text}");
        }
    }
}
