//! The `[Match]` section of `.network` and `.link` files.

use refit_machine::Mac;

use crate::network::model::{Kind, Match};
use crate::network::sources::glob;
use crate::network::sources::unit_file::UnitFile;
use crate::network::sources::values;

/// First version of systemd that ignores a file whose `[Match]` has nothing valid; before, it
/// matched every device.
const EMPTY_MATCH_IGNORED: u32 = 245;

/// Conditions on the machine rather than the device (systemd.network(5), `[Match]`).
const CONDITIONS: [&str; 6] = [
    "Host",
    "KernelCommandLine",
    "KernelVersion",
    "Credential",
    "Architecture",
    "Firmware",
];

/// Selectors of the device that refit does not evaluate.
const OTHER_SELECTORS: [&str; 6] = [
    "Path",
    "Driver",
    "Property",
    "WLANInterfaceType",
    "SSID",
    "BSSID",
];

/// What a `[Match]` section selects.
#[derive(Debug, Default)]
pub struct Selector {
    /// Names, not negated.
    pub names: Vec<String>,
    /// Ethernet addresses, current or permanent.
    pub macs: Vec<Mac>,
    /// Kind of device that the section restricts itself to, if not to ordinary ones.
    pub kind: Option<Kind>,
    /// Whether it leaves out virtual devices (`Type=ether`, `Kind=!*`).
    pub ordinary_only: bool,
    /// The settings that are not evaluated, as they are written.
    pub other: Vec<String>,
    /// Whether it has no settings at all.
    pub empty: bool,
    /// Whether it can hold in a virtual machine.
    pub possible: bool,
}

impl Selector {
    /// Reads the section; names are under `name_key` (`Name` or `OriginalName`).
    #[must_use]
    pub fn read(unit: &UnitFile, name_key: &str) -> Self {
        let mut selector = Self {
            possible: true,
            ..Self::default()
        };
        selector.read_names(unit, name_key);
        selector.read_macs(unit);
        selector.read_type(unit);
        selector.read_virtualization(unit);
        for key in OTHER_SELECTORS.into_iter().chain(CONDITIONS) {
            for value in unit.values("Match", key) {
                selector.other.push(format!("{key}={value}"));
            }
        }
        selector.empty = [
            name_key,
            "MACAddress",
            "PermanentMACAddress",
            "Type",
            "Kind",
        ]
        .iter()
        .chain(&OTHER_SELECTORS)
        .chain(&CONDITIONS)
        .chain(&["Virtualization"])
        .all(|key| unit.values("Match", key).is_empty());
        selector
    }

    /// Whether this version of systemd (`None`: unknown, taken as recent) ignores the file for its
    /// lack of selectors.
    #[must_use]
    pub fn ignored_as_empty(&self, systemd: Option<u32>) -> bool {
        self.empty && systemd.is_none_or(|version| version >= EMPTY_MATCH_IGNORED)
    }

    /// The section in the common model.
    #[must_use]
    pub fn to_match(&self) -> Match {
        let (name, globs) = match self.names.as_slice() {
            [name] if !glob::is_pattern(name) => (Some(name.clone()), Vec::new()),
            names => (None, names.to_vec()),
        };
        Match {
            name,
            globs,
            macs: self.macs.clone(),
            renames: false,
            other: (!self.other.is_empty()).then(|| self.other.join(" ")),
        }
    }

    fn read_names(&mut self, unit: &UnitFile, key: &str) {
        for value in unit.values("Match", key) {
            match value.strip_prefix('!') {
                None => self
                    .names
                    .extend(value.split_whitespace().map(str::to_owned)),
                Some(_) => self.other.push(format!("{key}={value}")),
            }
        }
    }

    fn read_macs(&mut self, unit: &UnitFile) {
        for key in ["MACAddress", "PermanentMACAddress"] {
            for word in unit.words("Match", key) {
                match values::mac(word) {
                    Some(mac) if self.macs.contains(&mac) => {}
                    Some(mac) => self.macs.push(mac),
                    // A tunnel's or InfiniBand address: no Ethernet device has it.
                    None => self.other.push(format!("{key}={word}")),
                }
            }
        }
    }

    /// `Type=` as networkctl(1) prints it: `ether` for a NIC, the kind for most virtual devices.
    /// `Kind=`: a NIC has none.
    fn read_type(&mut self, unit: &UnitFile) {
        for value in unit.values("Match", "Type") {
            let words = value.strip_prefix('!').unwrap_or(value);
            let ether = words
                .split_whitespace()
                .any(|word| glob::matches(word, "ether"));
            match (value.starts_with('!'), ether) {
                (false, true) => {
                    self.ordinary_only |= words.split_whitespace().all(|word| word == "ether");
                }
                (false, false) => self.kind = words.split_whitespace().next().map(kind),
                (true, true) => self.other.push(format!("Type={value}")),
                (true, false) => {}
            }
        }
        for value in unit.values("Match", "Kind") {
            match value.strip_prefix('!') {
                Some(words) => {
                    self.ordinary_only |= words.split_whitespace().any(|word| word == "*");
                }
                None => self.kind = value.split_whitespace().next().map(kind),
            }
        }
    }

    /// A guest was in a virtual machine before and is in one now, so only a product's name needs
    /// attention (systemd.unit(5), `ConditionVirtualization=`).
    fn read_virtualization(&mut self, unit: &UnitFile) {
        let Some(value) = unit.last("Match", "Virtualization") else {
            return;
        };
        let (negated, word) = match value.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, value),
        };
        let holds = match word {
            "vm" | "yes" | "true" | "1" | "on" => !negated,
            "container" | "private-users" | "no" | "false" | "0" | "off" => negated,
            _ => {
                self.other.push(format!("Virtualization={value}"));
                return;
            }
        };
        self.possible &= holds;
    }
}

/// The kind of device that networkd calls by `word` (systemd.netdev(5), table 1).
#[must_use]
pub fn kind(word: &str) -> Kind {
    match word {
        "bond" => Kind::Bond,
        "bridge" => Kind::Bridge,
        "vlan" => Kind::Vlan,
        other => Kind::Other(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(text: &str) -> Selector {
        let (unit, _) = UnitFile::parse(&format!("[Match]\n{text}")).unwrap();
        Selector::read(&unit, "Name")
    }

    #[test]
    fn names_and_patterns() {
        for (text, name, globs, other) in [
            ("Name=ens192", Some("ens192"), &[][..], None),
            ("Name=en*", None, &["en*"], None),
            ("Name=eth0 eth1", None, &["eth0", "eth1"], None),
            ("Name=eth0\nName=\nName=eth1", Some("eth1"), &[], None),
            (
                "Name=e*\nName=!eth0 eth1",
                None,
                &["e*"],
                Some("Name=!eth0 eth1"),
            ),
            (
                "Name=en*\nDriver=vmxnet3",
                None,
                &["en*"],
                Some("Driver=vmxnet3"),
            ),
            ("Type=ether\nName=en*", None, &["en*"], None),
            ("Name=en*\nKind=!*", None, &["en*"], None),
            (
                "Virtualization=vmware\nName=a",
                Some("a"),
                &[],
                Some("Virtualization=vmware"),
            ),
            ("Virtualization=!container\nName=a", Some("a"), &[], None),
        ] {
            let found = selector(text).to_match();
            assert_eq!(found.name.as_deref(), name, "{text}");
            assert_eq!(found.globs, globs, "{text}");
            assert_eq!(found.other.as_deref(), other, "{text}");
        }
    }

    #[test]
    fn addresses_in_every_writing() {
        let found = selector(
            "MACAddress=00:50:56:AA:BB:01 00-50-56-aa-bb-02\nPermanentMACAddress=0050.56aa.bb03 \
             00:50:56:aa:bb:01\nMACAddress=10.0.0.1",
        );
        let macs: Vec<_> = found.macs.iter().map(ToString::to_string).collect();
        assert_eq!(
            macs,
            [
                "00:50:56:aa:bb:01",
                "00:50:56:aa:bb:02",
                "00:50:56:aa:bb:03"
            ]
        );
        assert_eq!(found.other, ["MACAddress=10.0.0.1"]);
    }

    #[test]
    fn kinds_of_devices() {
        for (text, expected, ordinary) in [
            ("Type=ether", None, true),
            ("Type=!loopback", None, false),
            ("Type=wlan", Some(Kind::Other("wlan".into())), false),
            ("Type=ether wlan", None, false),
            ("Kind=bond", Some(Kind::Bond), false),
            ("Kind=!*", None, true),
            ("Kind=!veth", None, false),
        ] {
            let found = selector(text);
            assert_eq!(found.kind, expected, "{text}");
            assert_eq!(found.ordinary_only, ordinary, "{text}");
            assert_eq!(found.other, [""; 0], "{text}");
        }
    }

    #[test]
    fn what_is_for_containers_is_not_for_a_guest() {
        assert!(!selector("Name=host0\nVirtualization=container").possible);
        assert!(selector("Name=e*\nVirtualization=yes").possible);
        assert!(!selector("Name=e*\nVirtualization=!vm").possible);
    }

    #[test]
    fn a_section_without_selectors() {
        let empty = selector("# nothing\nUnknown=1");
        assert!(empty.ignored_as_empty(None));
        assert!(empty.ignored_as_empty(Some(252)));
        assert!(!empty.ignored_as_empty(Some(237)));
        assert!(!selector("Architecture=x86-64").ignored_as_empty(None));
    }
}
