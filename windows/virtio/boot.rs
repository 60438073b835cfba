//! Drivers that Windows starts from.

use anyhow::Context as _;
use refit_engine::{Change, Guest, HiveName};
use refit_hive::Value;
use refit_virtio_win::devices::{DEVICES, Device};
use refit_virtio_win::{Chosen, RegData, Service, Source, Windows};

use super::database::Database;
use super::installed::Installed;
use super::registry::Registry;

/// `Start` of a service that the boot loader loads.
const BOOT: u32 = 0;
/// `Type` of a driver.
const KERNEL_DRIVER: u32 = 1;

/// Makes a driver of disks start with the kernel: its program, its service in every control set that may
/// boot, and its entry in the database of devices.
pub(super) fn plan(
    guest: &Guest<'_>,
    registry: &mut Registry,
    source: &Source,
    windows: &Windows,
    chosen: &Chosen<'_>,
    device: &Device,
    installed: &Installed,
) -> anyhow::Result<()> {
    let Some(service) = chosen
        .services
        .iter()
        .find(|service| service.start == BOOT && service.kind == KERNEL_DRIVER)
    else {
        return Ok(());
    };
    let database = Database::of(registry, windows);
    let current = registry.sets().into_iter().next().unwrap_or_default();
    // Forms of the device (transitional, modern) that the driver knows and nobody registered.
    let forms: Vec<&str> = device
        .ids
        .iter()
        .copied()
        .filter(|form| chosen.ids.iter().any(|id| id.starts_with(form)))
        .collect();
    let known = |registry: &Registry, set: &str, form: &str| {
        database
            .services(registry, set, form)
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&service.name))
    };
    let complete = forms.iter().all(|form| known(registry, &current, form));
    let works = complete && has_program(guest, registry, &current, &service.name)?;
    let offered = chosen.files.package.driver_ver;
    // One that Windows installed itself starts the guest as well: Plug and Play will replace it by a newer
    // one, which is better at that.
    let keep =
        installed.keeps(device.id, offered) || (works && installed.version(device.id).is_some());

    for set in registry.sets() {
        if keep && has_program(guest, registry, &set, &service.name)? {
            enable(registry, &set, service);
        } else {
            write_program(guest, registry, source, chosen, service, keep)?;
            write_service(registry, &set, service);
        }
    }
    let sets = match &database {
        Database::Critical => registry.sets(),
        Database::Drivers(..) => vec![current],
    };
    for form in forms {
        if !sets.iter().all(|set| known(registry, set, form)) {
            database.register(registry, windows, chosen, form, &service.name);
        }
    }
    Ok(())
}

/// Whether the guest's kernel finds a driver for the disks of a device (`viostor`, `vioscsi`), by whatever name, in
/// the control set that boots.
pub(super) fn has_driver(
    guest: &Guest<'_>,
    registry: &Registry,
    windows: &Windows,
    device: &str,
) -> anyhow::Result<bool> {
    let Some(set) = registry.sets().into_iter().next() else {
        return Ok(false);
    };
    let database = Database::of(registry, windows);
    let forms = DEVICES
        .iter()
        .filter(|known| known.id == device)
        .flat_map(|known| known.ids);
    for form in forms {
        for service in database.services(registry, &set, form) {
            let key = format!("{set}\\Services\\{service}");
            let start = registry.number(&HiveName::System, &key, "Start");
            if start == Some(BOOT) && has_program(guest, registry, &set, &service)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether a service is there and its program, too.
fn has_program(
    guest: &Guest<'_>,
    registry: &Registry,
    set: &str,
    service: &str,
) -> anyhow::Result<bool> {
    let facts = guest.facts().windows.as_ref();
    let facts = facts.context("the guest is no Windows")?;
    let key = format!("{set}\\Services\\{service}");
    if registry.key(&HiveName::System, &key).is_none() {
        return Ok(false);
    }
    // Without a path the kernel takes the file with the service's name.
    let path = registry
        .text(&HiveName::System, &key, "ImagePath")
        .filter(|path| !path.is_empty())
        .unwrap_or_else(|| format!("System32\\drivers\\{service}.sys"));
    match facts.guest_path(&path) {
        Some(path) => guest.exists(path),
        None => Ok(false),
    }
}

/// Puts the driver's program where the boot loader finds it. A newer one (`keep`) that is there stays.
fn write_program(
    guest: &Guest<'_>,
    registry: &mut Registry,
    source: &Source,
    chosen: &Chosen<'_>,
    service: &Service,
    keep: bool,
) -> anyhow::Result<()> {
    let name = service.binary_name().to_lowercase();
    let facts = guest.facts().windows.as_ref();
    let root = &facts.context("the guest is no Windows")?.system_root;
    let path = root.join("System32/drivers").join(&name);
    let found = guest.read(&path)?;
    if keep && found.is_some() {
        return Ok(());
    }
    let from = chosen
        .files
        .beside
        .get(&name)
        .with_context(|| format!("{name} is missing beside {}", chosen.files.inf))?;
    let content = source.read(from)?;
    if found.as_ref() != Some(&content) {
        registry.push(Change::Write {
            path,
            content,
            mode: None,
        });
    }
    Ok(())
}

/// The service as the INF file has it, but for the program's place: the driver store has no such package
/// before Plug and Play has put it there, and the boot loader takes paths below the Windows directory.
fn write_service(registry: &mut Registry, set: &str, service: &Service) {
    let key = format!("{set}\\Services\\{}", service.name);
    let system = &HiveName::System;
    let path = format!(
        "System32\\drivers\\{}",
        service.binary_name().to_lowercase()
    );
    registry.set(system, &key, "Type", Value::dword(service.kind));
    registry.set(
        system,
        &key,
        "ErrorControl",
        Value::dword(service.error_control),
    );
    // Letters of another case in the path are no other file.
    let same = registry
        .text(system, &key, "ImagePath")
        .is_some_and(|own| own.eq_ignore_ascii_case(&path));
    if !same {
        registry.set(system, &key, "ImagePath", Value::expand_sz(&path));
    }
    if let Some(group) = &service.group {
        registry.set(system, &key, "Group", Value::sz(group));
    }
    if let Some(name) = &service.display_name {
        registry.set(system, &key, "DisplayName", Value::sz(name));
    }
    for value in &service.values {
        let data = match &value.data {
            RegData::Sz(text) => Value::sz(text),
            RegData::ExpandSz(text) => Value::expand_sz(text),
            RegData::MultiSz(texts) => Value::multi_sz(texts),
            RegData::Dword(number) => Value::dword(*number),
            RegData::Binary(bytes) => Value::binary(bytes.clone()),
        };
        let below = if value.key.is_empty() {
            key.clone()
        } else {
            format!("{key}\\{}", value.key)
        };
        registry.set(system, &below, &value.name, data);
    }
    enable(registry, set, service);
}

/// Lets the boot loader load it. `StartOverride` (Windows 8 and later) would switch it off for hardware that
/// was not there before.
fn enable(registry: &mut Registry, set: &str, service: &Service) {
    let key = format!("{set}\\Services\\{}", service.name);
    registry.set(&HiveName::System, &key, "Start", Value::dword(BOOT));
    registry.remove_key(&HiveName::System, &format!("{key}\\StartOverride"));
}
