//! What virt-v2v leaves behind, as far as drivers are concerned.

use refit_engine::{Guest, HiveName};
use refit_hive::{Key, Value};
use refit_virtio_win::Windows;

use super::registry::Registry;
use super::report::Report;

/// The INF file that virt-v2v makes up.
const GUESTOR: &str = "guestor.inf";
/// The label of its package up to virt-v2v 2.9. It is none of Windows' form (name, architecture, digest): `pnputil
/// /enum-drivers` ends with error 87, and upgrades of Windows fail.
const BAD_LABEL: &str = "guestor.inf_tmp";
/// Deeper than any driver package.
const MAX_DEPTH: usize = 8;

pub(super) fn plan(
    guest: &Guest<'_>,
    registry: &mut Registry,
    windows: &Windows,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut was_there = guest.exists("/Program Files/Guestfs")?;
    for hive in [HiveName::System, HiveName::Drivers] {
        let file = format!("DriverDatabase\\DriverInfFiles\\{GUESTOR}");
        was_there |= registry.key(&hive, &file).is_some();
        repair_label(registry, &hive, windows, report);
    }
    if !was_there {
        return Ok(());
    }
    report.note("virt-v2v", "it has converted this guest");
    for set in registry.sets() {
        let key = format!("{set}\\Control\\CrashControl");
        if registry.number(&HiveName::System, &key, "AutoReboot") == Some(0) {
            registry.set(&HiveName::System, &key, "AutoReboot", Value::dword(1));
            report.restart();
        }
        quote(registry, &set, report);
    }
    Ok(())
}

/// virt-v2v's service runs `C:\Program Files\Guestfs\Firstboot\rhsrvany.exe -s firstboot`, without quotes: whoever may
/// write to `C:\` puts a `C:\Program.exe` there, which Windows tries first, as `LocalSystem` (CreateProcess, Win32
/// documentation).
fn quote(registry: &mut Registry, set: &str, report: &mut Report) {
    let key = format!("{set}\\Services\\firstboot");
    let Some(value) = registry.value(&HiveName::System, &key, "ImagePath") else {
        return;
    };
    let path = value.as_str().unwrap_or_default();
    let Some((program, rest)) = path.split_once(".exe") else {
        return;
    };
    let is_its = program.to_lowercase().contains("\\guestfs\\firstboot\\");
    if is_its && program.contains(' ') && !program.contains('"') {
        let quoted = format!("\"{program}.exe\"{rest}");
        let value = Value {
            kind: value.kind,
            ..Value::sz(&quoted)
        };
        registry.set(&HiveName::System, &key, "ImagePath", value);
        report.quoted();
    }
}

/// Renames the package's key, and what points to it.
fn repair_label(registry: &mut Registry, hive: &HiveName, windows: &Windows, report: &mut Report) {
    let bad = format!("DriverDatabase\\DriverPackages\\{BAD_LABEL}");
    let file = format!("DriverDatabase\\DriverInfFiles\\{GUESTOR}");
    let good_label = format!("{GUESTOR}_{}_0000000000000000", windows.arch);
    let points = registry
        .text(hive, &file, "Active")
        .is_some_and(|label| label.eq_ignore_ascii_case(BAD_LABEL));
    let mut values = Vec::new();
    let found = match registry.key(hive, &bad) {
        Some(key) => {
            collect(key, String::new(), 0, &mut values);
            true
        }
        None => false,
    };
    if !found && !points {
        return;
    }
    for (below, name, value) in values {
        let key = format!("DriverDatabase\\DriverPackages\\{good_label}{below}");
        registry.set(hive, &key, &name, value);
    }
    registry.remove_key(hive, &bad);
    if registry.key(hive, &file).is_some() {
        registry.set(hive, &file, "", Value::multi_sz(&[&good_label]));
        registry.set(hive, &file, "Active", Value::sz(&good_label));
    }
    report.repaired(BAD_LABEL);
}

/// All values below a key, with the path of theirs.
fn collect(key: Key<'_>, path: String, depth: usize, values: &mut Vec<(String, String, Value)>) {
    for named in key.values() {
        values.push((path.clone(), named.name, named.value));
    }
    if depth < MAX_DEPTH {
        for subkey in key.subkeys() {
            let path = format!("{path}\\{}", subkey.name());
            collect(subkey, path, depth + 1, values);
        }
    }
}
