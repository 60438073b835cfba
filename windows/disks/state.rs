//! What keeps a Windows file system from being used, or will ask for something at the first boot.

use refit_engine::{Evidence, Facts, WindowsFacts};
use refit_hive::Hive;

use crate::adapters::dword;

/// Why nothing may be written.
pub(super) fn blocked(windows: &WindowsFacts) -> Option<String> {
    if windows.hibernated {
        return Some(
            "this Windows is hibernated, or was shut down with fast start-up: its file systems must not be changed \
             before it is woken. Start it where it was, and shut it down with `shutdown /s /t 0` (that does not \
             hibernate)"
                .to_owned(),
        );
    }
    let why = windows.unwritable.as_ref()?;
    Some(format!(
        "the file system of this Windows cannot be written to: {why}"
    ))
}

/// What there is to know, and what somebody should know.
pub(super) fn found(
    facts: &Facts,
    windows: &WindowsFacts,
    system: &Hive,
) -> (Vec<Evidence>, Vec<String>) {
    let (mut evidence, mut warnings) = (Vec::new(), Vec::new());
    let mut state = |what: &'static str, value: &str, source: &str| {
        evidence.push(Evidence::from([
            (what, value.to_owned()),
            ("source", source.to_owned()),
        ]));
    };
    if windows.fast_startup {
        state(
            "fast_startup",
            "on, but it was shut down completely",
            "HiberbootEnabled",
        );
    }
    // What `compact /compactos` writes.
    if system.key("Setup").and_then(|key| dword(&key, "Compact")) == Some(1) {
        state(
            "compact_os",
            "files of Windows are compressed (CompactOS)",
            r"Setup, Compact",
        );
    }
    let set = windows.control_set();
    let encrypted: Vec<&str> = facts
        .devices
        .iter()
        .filter(|device| device.kind.eq_ignore_ascii_case("bitlocker"))
        .map(|device| device.device.as_str())
        .collect();
    let boots_encrypted = system
        .key(&format!(r"{set}\Control\BitLockerStatus"))
        .and_then(|key| dword(&key, "BootStatus"))
        == Some(1);
    if !encrypted.is_empty() || boots_encrypted {
        let volumes = if encrypted.is_empty() {
            "the system's volume".to_owned()
        } else {
            encrypted.join(", ")
        };
        warnings.push(format!(
            "{volumes} is encrypted by BitLocker: keys that the old machine's TPM holds do not come along, so have the \
             recovery key at hand for the first boot, or suspend BitLocker before the move (manage-bde -protectors \
             -disable C: -RebootCount 0)"
        ));
    }
    volumes(facts, &mut evidence, &mut warnings);
    // libguestfs names volumes on dynamic disks so; before Vista, the driver notes the group of these disks.
    let group = format!(r"{set}\Services\dmio\Boot Info\Primary Disk Group");
    let dynamic = facts
        .devices
        .iter()
        .any(|device| device.device.contains("/ldm_"));
    if dynamic || system.key(&group).is_some() {
        warnings.push(
            "the guest has dynamic disks: Windows may take those other than the system's for foreign ones, and then \
             they are to be imported in Disk Management"
                .to_owned(),
        );
    }
    (evidence, warnings)
}

/// NTFS volumes: those that Windows will check, and those beside the system's.
fn volumes(facts: &Facts, evidence: &mut Vec<Evidence>, warnings: &mut Vec<String>) {
    let volumes = facts.devices.iter().filter(|device| device.kind == "ntfs");
    for volume in volumes {
        let name = match &volume.label {
            Some(label) => {
                let printable: String = label.chars().filter(|c| !c.is_control()).collect();
                format!("{} ({printable})", volume.device)
            }
            None => volume.device.clone(),
        };
        if volume.dirty {
            warnings.push(format!(
                "{name} is marked as not in order: Windows checks it (chkdsk) before it starts, which can take long and \
                 must not be interrupted. Better do that where the guest ran: `chkdsk /f` for that volume, restart, \
                 shut down"
            ));
        }
        let mut mounts = facts.mounts.iter();
        if !mounts.any(|mount| mount.device == volume.device) {
            evidence.push(Evidence::from([
                ("volume", name),
                (
                    "note",
                    "not the system's; nothing in it is looked at or changed".to_owned(),
                ),
            ]));
        }
    }
}
