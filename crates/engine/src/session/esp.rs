//! What the EFI system partition of a Windows has, looked at before the guest is mounted: it has no place in a Windows'
//! tree of files.

use anyhow::Context as _;
use refit_guestfs::Handle;
use refit_hive::Hive;

use crate::facts::WindowsEsp;

/// The boot manager's object in the store of boot settings ("Boot Configuration Data", Windows documentation).
const BOOT_MANAGER: &str = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";
/// Its element that names the loader which starts by itself (`BcdBootMgrObject_DefaultObject`).
const DEFAULT: &str = "23000003";
/// A loader's element that keeps it from using graphics (`graphicsmodedisabled`).
const NO_GRAPHICS: &str = "16000046";
/// No store of boot settings is longer, in bytes: a usual one has 32 KiB.
const STORE_LIMIT: u64 = 16 << 20;
/// Where firmware without entries of its own looks (UEFI specification, "Removable Media Boot Behavior").
const FALLBACKS: [&str; 3] = ["bootx64.efi", "bootia32.efi", "bootaa64.efi"];

/// The first of `partitions` that has Windows' boot manager; `None` if none has. Nothing is mounted before and after.
pub(super) fn look<'v>(
    handle: &Handle,
    mut partitions: impl Iterator<Item = &'v str>,
) -> Option<WindowsEsp> {
    partitions.find_map(|device| {
        let found = handle
            .mount_ro(device, "/")
            .context("mounting")
            .and_then(|()| {
                let found = read(handle, device);
                handle.umount("/").context("unmounting")?;
                found
            });
        found.unwrap_or_else(|error| {
            tracing::warn!("looking at the EFI system partition {device}: {error:#}");
            None
        })
    })
}

fn read(handle: &Handle, device: &str) -> anyhow::Result<Option<WindowsEsp>> {
    let boot = "/EFI/Microsoft/Boot";
    if !handle.is_file(format!("{boot}/bootmgfw.efi"), false)? {
        return Ok(None);
    }
    let mut fallback = false;
    for name in FALLBACKS {
        fallback |= handle.is_file(format!("/EFI/Boot/{name}"), false)?;
    }
    let store = format!("{boot}/BCD");
    let no_graphics = handle.is_file(&store, false)? && {
        let content = handle.read_file_within(&store, STORE_LIMIT)?;
        // What was not written completely is Windows' to repair; the settings are hardly ever changed.
        let store =
            Hive::parse_as_flushed(content).context("reading the store of boot settings")?;
        has_no_graphics(&store)
    };
    Ok(Some(WindowsEsp {
        device: device.to_owned(),
        fallback,
        no_graphics,
    }))
}

/// Whether the loader that starts by itself must not use graphics.
fn has_no_graphics(store: &Hive) -> bool {
    let element = |object: &str, element: &str| {
        let key = store.key(&format!("Objects\\{object}\\Elements\\{element}"))?;
        key.value("Element")
    };
    element(BOOT_MANAGER, DEFAULT)
        .and_then(|loader| element(&loader.as_str()?, NO_GRAPHICS))
        .is_some_and(|set| set.data.first().is_some_and(|byte| *byte != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use refit_hive::Value;

    #[test]
    fn graphics_of_the_default_loader() {
        let loader = "{11111111-2222-4333-8444-555555555555}";
        let other = "{11111111-2222-4333-8444-666666666666}";
        for (object, byte, expected) in [(loader, 1, true), (loader, 0, false), (other, 1, false)] {
            let mut store = Hive::new();
            let mut set = |object: &str, element: &str, value: Value| {
                let key = format!("Objects\\{object}\\Elements\\{element}");
                store.set_value(&key, "Element", &value).unwrap();
            };
            set(BOOT_MANAGER, DEFAULT, Value::sz(loader));
            set(object, NO_GRAPHICS, Value::binary([byte]));
            assert_eq!(has_no_graphics(&store), expected, "{object} {byte}");
        }
        assert!(!has_no_graphics(&Hive::new()));
    }
}
