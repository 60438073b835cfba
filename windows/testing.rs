//! Hives of machines that do not exist, for tests.

use std::net::Ipv6Addr;

use refit_hive::{Hive, Value};

use crate::adapters::NET_CLASS;

/// The control set that tests use.
pub(crate) const SET: &str = "ControlSet001";

/// An empty hive.
pub(crate) fn hive() -> Hive {
    Hive::new()
}

/// Sets `values` in `key` of the control set.
pub(crate) fn set(hive: &mut Hive, key: &str, values: &[(&str, Value)]) {
    let path = format!(r"{SET}\{key}");
    hive.create_key(&path).unwrap();
    for (name, value) in values {
        hive.set_value(&path, name, value).unwrap();
    }
}

/// A network card: its number, which makes its GUID, driver instance and `NET_LUID`, and its device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Card {
    /// 1 to 9.
    pub(crate) number: u32,
    /// Instance id below `Enum`.
    pub(crate) instance: &'static str,
    /// Name of the connection.
    pub(crate) name: &'static str,
}

impl Card {
    /// The interface's GUID.
    pub(crate) fn guid(self) -> String {
        format!("{{0000000{}-1111-2222-3333-444444444444}}", self.number)
    }

    /// Enters it, with DHCP.
    pub(crate) fn enter(self, hive: &mut Hive) {
        self.enter_bound(hive, &["Tcpip", "Tcpip6"]);
    }

    /// Enters it, with what is bound to it.
    pub(crate) fn enter_bound(self, hive: &mut Hive, bound: &[&str]) {
        let (guid, class) = (self.guid(), self.class());
        set(
            hive,
            &class,
            &[
                ("NetCfgInstanceId", Value::sz(&guid)),
                ("DeviceInstanceID", Value::sz(self.instance)),
                ("DriverDesc", Value::sz("Test Adapter")),
                ("Characteristics", Value::dword(0x84)),
                ("*IfType", Value::dword(6)),
                ("NetLuidIndex", Value::dword(0x8000 + self.number)),
            ],
        );
        set(
            hive,
            &format!(r"{class}\Ndi"),
            &[("Service", Value::sz("test"))],
        );
        set(
            hive,
            &format!(r"{class}\Linkage"),
            &[("UpperBind", Value::multi_sz(bound))],
        );
        set(
            hive,
            &format!(r"Control\Network\{NET_CLASS}\{guid}\Connection"),
            &[
                ("Name", Value::sz(self.name)),
                ("PnpInstanceID", Value::sz(self.instance)),
            ],
        );
        let class = NET_CLASS.to_uppercase();
        let driver = format!(r"{class}\{:04}", self.number);
        set(
            hive,
            &format!(r"Enum\{}", self.instance),
            &[
                ("ClassGUID", Value::sz(&class)),
                ("Driver", Value::sz(&driver)),
                ("DeviceDesc", Value::sz("@test.inf,%a%;Test Adapter")),
            ],
        );
        self.ipv4(hive, &[("EnableDHCP", Value::dword(1))]);
    }

    /// The key of its driver.
    pub(crate) fn class(self) -> String {
        format!(r"Control\Class\{NET_CLASS}\{:04}", self.number)
    }

    /// Sets values of its IPv4 settings.
    pub(crate) fn ipv4(self, hive: &mut Hive, values: &[(&str, Value)]) {
        let guid = self.guid();
        set(
            hive,
            &format!(r"Services\Tcpip\Parameters\Interfaces\{guid}"),
            values,
        );
    }

    /// Gives it one static address.
    pub(crate) fn address(self, hive: &mut Hive, address: &str, mask: &str) {
        self.ipv4(
            hive,
            &[
                ("EnableDHCP", Value::dword(0)),
                ("IPAddress", Value::multi_sz(&[address])),
                ("SubnetMask", Value::multi_sz(&[mask])),
            ],
        );
    }

    /// Records its hardware address, as Windows 10 does.
    pub(crate) fn mac(self, hive: &mut Hive, mac: [u8; 6]) {
        let key = format!(r"Control\NetworkSetup2\Interfaces\{}\Kernel", self.guid());
        set(hive, &key, &[("PermanentAddress", Value::binary(mac))]);
    }

    /// Number of its slot.
    pub(crate) fn slot(self, hive: &mut Hive, slot: u32) {
        let key = format!(r"Enum\{}", self.instance);
        set(hive, &key, &[("UINumber", Value::dword(slot))]);
    }

    fn luid(self) -> [u8; 8] {
        ((6_u64 << 48) | (u64::from(0x8000 + self.number) << 24)).to_le_bytes()
    }

    /// Gives it an IPv6 address.
    pub(crate) fn ipv6(self, hive: &mut Hive, address: &str, prefix: u8) {
        let address: Ipv6Addr = address.parse().unwrap();
        let mut data = vec![0xff; 48];
        data[16] = prefix;
        let name = hex(&[&self.luid(), &address.octets()]);
        let key = r"Control\Nsi\{eb004a01-9b1a-11d4-9123-0050047759bc}\10";
        set(hive, key, &[(&name, Value::binary(data))]);
    }

    /// Gives it a persistent IPv6 route.
    pub(crate) fn route(
        self,
        hive: &mut Hive,
        destination: &str,
        prefix: u8,
        hop: &str,
        metric: u8,
    ) {
        let destination: Ipv6Addr = destination.parse().unwrap();
        let hop: Ipv6Addr = hop.parse().unwrap();
        let luid = self.luid();
        let name = hex(&[
            &[0; 4],
            &destination.octets(),
            &[prefix],
            &[0; 19],
            &luid,
            &luid,
            &hop.octets(),
        ]);
        let mut data = vec![0; 36];
        data[12] = metric;
        let key = r"Control\Nsi\{eb004a01-9b1a-11d4-9123-0050047759bc}\16";
        set(hive, key, &[(&name, Value::binary(data))]);
    }
}

fn hex(parts: &[&[u8]]) -> String {
    parts
        .concat()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
