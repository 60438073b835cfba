//! Where the kernel looks up the service of a device that it has never seen, while it starts.
//!
//! Before Windows 8 that is `Control\CriticalDeviceDatabase` of each control set; from then on
//! `DriverDatabase`, in `SYSTEM` or, if it is not there, in the hive `DRIVERS`.

use refit_engine::HiveName;
use refit_hive::Value;
use refit_virtio_win::{Chosen, Windows};

use super::registry::Registry;

/// Value of `DeviceIds\...` for an INF file whose device is identified by hardware id.
const BY_HARDWARE_ID: [u8; 4] = [1, 0xff, 0, 0];

/// The name of the one configuration of an entry of ours.
const CONFIGURATION: &str = "refit_conf";

/// Which of the two databases this Windows uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Database {
    Critical,
    /// In these hives; what is new goes into the first.
    Drivers(HiveName, Option<HiveName>),
}

impl Database {
    /// By what the hives hold, as long as that agrees with the version; a Windows 8 or later without a
    /// `DriverDatabase` is no whole Windows, and gets what can be written.
    pub(super) fn of(registry: &Registry, windows: &Windows) -> Self {
        let has = |hive: &HiveName| registry.key(hive, "DriverDatabase").is_some();
        let second = Some(HiveName::Drivers).filter(has);
        if windows.version < (6, 2) {
            return Self::Critical;
        }
        if has(&HiveName::System) {
            return Self::Drivers(HiveName::System, second);
        }
        if let Some(hive) = second {
            return Self::Drivers(hive, None);
        }
        Self::Critical
    }

    /// Services that are registered for devices whose identifier begins with `id` (`PCI\VEN_1AF4&DEV_1001`),
    /// in control set `set`.
    pub(super) fn services(&self, registry: &Registry, set: &str, id: &str) -> Vec<String> {
        let Some((bus, device)) = id.split_once('\\') else {
            return Vec::new();
        };
        match self {
            Self::Critical => {
                let key = format!("{set}\\Control\\CriticalDeviceDatabase");
                registry
                    .key(&HiveName::System, &key)
                    .into_iter()
                    .flat_map(|key| key.subkeys())
                    .filter(|entry| begins_with(&entry.name(), &format!("{bus}#{device}")))
                    .filter_map(|entry| entry.value("Service")?.as_str())
                    .collect()
            }
            Self::Drivers(first, second) => std::iter::once(first)
                .chain(second)
                .flat_map(|hive| in_driver_database(registry, hive, bus, device))
                .collect(),
        }
    }

    /// Registers `service` for the identifiers of `chosen` that begin with `prefix`, and for `prefix`
    /// itself: another hypervisor may have another subsystem.
    pub(super) fn register(
        &self,
        registry: &mut Registry,
        windows: &Windows,
        chosen: &Chosen<'_>,
        prefix: &str,
        service: &str,
    ) {
        let own = chosen.ids.iter().map(String::as_str);
        let mut ids: Vec<&str> = own.filter(|id| begins_with(id, prefix)).collect();
        if !ids.contains(&prefix) {
            ids.push(prefix);
        }
        let class = &chosen.files.package.class_guid;
        match self {
            Self::Critical => {
                for set in registry.sets() {
                    for id in &ids {
                        let id = id.replace('\\', "#");
                        let key = format!("{set}\\Control\\CriticalDeviceDatabase\\{id}");
                        let mut put = |name: &str, text: &str| {
                            registry.set(&HiveName::System, &key, name, Value::sz(text));
                        };
                        put("Service", service);
                        put("ClassGUID", class);
                    }
                }
            }
            Self::Drivers(hive, _) => {
                let inf = format!("refit{}.inf", chosen.files.stem());
                let label = format!("{inf}_{}_0000000000000000", windows.arch);
                let package = format!("DriverDatabase\\DriverPackages\\{label}");
                let mut put =
                    |key: String, name: &str, value| registry.set(hive, &key, name, value);
                for id in &ids {
                    let known = format!("DriverDatabase\\DeviceIds\\{id}");
                    put(known, &inf, Value::binary(BY_HARDWARE_ID));
                    let descriptor = format!("{package}\\Descriptors\\{id}");
                    put(descriptor, "Configuration", Value::sz(CONFIGURATION));
                }
                let file = format!("DriverDatabase\\DriverInfFiles\\{inf}");
                put(file.clone(), "", Value::multi_sz(&[&label]));
                put(file.clone(), "Active", Value::sz(&label));
                put(file, "Configurations", Value::multi_sz(&[CONFIGURATION]));
                put(package.clone(), "Version", Value::binary(version(class)));
                let configuration = format!("{package}\\Configurations\\{CONFIGURATION}");
                put(configuration.clone(), "ConfigFlags", Value::dword(0));
                put(configuration, "Service", Value::sz(service));
            }
        }
    }
}

/// Services of a device in the driver database of one hive.
fn in_driver_database(
    registry: &Registry,
    hive: &HiveName,
    bus: &str,
    device: &str,
) -> Vec<String> {
    let key = format!("DriverDatabase\\DeviceIds\\{bus}");
    let known = registry.key(hive, &key).into_iter();
    let known = known.flat_map(|key| key.subkeys());
    let mut services = Vec::new();
    for entry in known.filter(|entry| begins_with(&entry.name(), device)) {
        let id = format!("{bus}\\{}", entry.name());
        let of_inf = |inf: &str| service_of(registry, hive, inf, &id);
        services.extend(entry.values().filter_map(|inf| of_inf(&inf.name)));
    }
    services
}

/// The service that an INF file of the driver database has for an identifier.
fn service_of(registry: &Registry, hive: &HiveName, inf: &str, id: &str) -> Option<String> {
    let file = format!("DriverDatabase\\DriverInfFiles\\{inf}");
    let label = registry.text(hive, &file, "Active")?;
    let package = format!("DriverDatabase\\DriverPackages\\{label}");
    let descriptor = format!("{package}\\Descriptors\\{id}");
    let configuration = registry.text(hive, &descriptor, "Configuration")?;
    let configuration = format!("{package}\\Configurations\\{configuration}");
    registry.text(hive, &configuration, "Service")
}

/// Whether an identifier is `prefix`, or that with a subsystem or revision behind; without regard to case.
fn begins_with(id: &str, prefix: &str) -> bool {
    let Some((start, rest)) = id.split_at_checked(prefix.len()) else {
        return false;
    };
    start.eq_ignore_ascii_case(prefix) && (rest.is_empty() || rest.starts_with('&'))
}

/// `Version` of a driver package: bytes that are the same in all packages, the class, then date and version.
/// These are zero here, so that the real package wins as soon as it is installed.
fn version(class: &str) -> Vec<u8> {
    let mut bytes = vec![0, 0xff, 9, 0, 0, 0, 0, 0];
    bytes.extend(guid(class).unwrap_or_default());
    bytes.resize(48, 0);
    bytes
}

/// `{4D36E97B-E325-11CE-BFC1-08002BE10318}` as Windows stores it: the first three parts with the least byte
/// first.
fn guid(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let number = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok())??;
    let mut bytes = number.to_be_bytes();
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_stored_as_windows_does() {
        // As virt-v2v writes it, and as in lsi_sas.inf of Windows 8.1.
        let bytes = version("{4D36E97B-E325-11CE-BFC1-08002BE10318}");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "00ff0900000000007be9364d25e3ce11bfc108002be10318000000000000000000000000000000000000000000000000"
        );
        assert_eq!(version("none").len(), 48);
    }

    #[test]
    fn identifiers_are_compared_without_case() {
        for (id, expected) in [
            ("pci#ven_1af4&dev_1001", true),
            ("PCI#VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00", true),
            ("PCI#VEN_1AF4&DEV_10011", false),
            ("PCI#VEN_1AF4&DEV_1002", false),
            ("PCI", false),
            ("ÄÖÜäöüÄÖÜäöü", false),
        ] {
            assert_eq!(begins_with(id, "PCI#VEN_1AF4&DEV_1001"), expected, "{id}");
        }
    }
}
