//! Devices and their drivers: SetupAPI, Configuration Manager, newdev.

use std::io;
use std::ptr::{null, null_mut};

use super::system::windows_folder;
use super::{ERROR_NO_MORE_ITEMS, Handle, check, narrow, wide};

const ALL_CLASSES: u32 = 4;
const HARDWARE_ID: u32 = 1;
const DIF_REMOVE: u32 = 5;
const WAIT_OBJECT_0: u32 = 0;
const WAIT_TIMEOUT: u32 = 258;
const INVALID: isize = -1;

/// `SP_DEVINFO_DATA`
#[repr(C)]
#[derive(Clone, Copy)]
struct DeviceData {
    size: u32,
    class: [u32; 4],
    instance: u32,
    reserved: usize,
}

#[link(name = "setupapi")]
extern "system" {
    fn SetupDiGetClassDevsW(
        class: *const u8,
        enumerator: *const u16,
        window: Handle,
        flags: u32,
    ) -> Handle;
    fn SetupDiEnumDeviceInfo(set: Handle, index: u32, data: *mut DeviceData) -> i32;
    fn SetupDiGetDeviceInstanceIdW(
        set: Handle,
        data: *const DeviceData,
        id: *mut u16,
        size: u32,
        needed: *mut u32,
    ) -> i32;
    fn SetupDiGetDeviceRegistryPropertyW(
        set: Handle,
        data: *const DeviceData,
        property: u32,
        kind: *mut u32,
        buffer: *mut u16,
        size: u32,
        needed: *mut u32,
    ) -> i32;
    fn SetupDiCallClassInstaller(function: u32, set: Handle, data: *const DeviceData) -> i32;
    fn SetupDiDestroyDeviceInfoList(set: Handle) -> i32;
    fn SetupSetNonInteractiveMode(on: i32) -> i32;
    fn CM_Locate_DevNodeW(instance: *mut u32, id: *const u16, flags: u32) -> u32;
    fn CMP_WaitNoPendingInstallEvents(milliseconds: u32) -> u32;
}

#[link(name = "kernel32")]
extern "system" {
    fn LoadLibraryW(path: *const u16) -> Handle;
    fn GetProcAddress(library: Handle, name: *const u8) -> Handle;
}

/// `DiInstallDriverW`, which mingw-w64 does not know: window, INF file, flags, whether a restart is needed.
type InstallDriver = unsafe extern "system" fn(Handle, *const u16, u32, *mut i32) -> i32;

/// The function, from the system's own library and no other of that name.
fn di_install_driver() -> io::Result<InstallDriver> {
    let path = wide(format!("{}\\System32\\newdev.dll", windows_folder()));
    // SAFETY: both names end with zero. The library stays loaded. The function has this signature since
    // Windows Vista, where it first appeared.
    unsafe {
        let library = LoadLibraryW(path.as_ptr());
        if library.is_null() {
            return Err(io::Error::last_os_error());
        }
        let function = GetProcAddress(library, b"DiInstallDriverW\0".as_ptr());
        if function.is_null() {
            return Err(io::Error::last_os_error());
        }
        Ok(std::mem::transmute::<Handle, InstallDriver>(function))
    }
}

/// Waits until Plug and Play has nothing to install; whether that was so in time.
pub fn wait_settled(milliseconds: u32) -> io::Result<bool> {
    // SAFETY: takes and gives a number.
    match unsafe { CMP_WaitNoPendingInstallEvents(milliseconds) } {
        WAIT_OBJECT_0 => Ok(true),
        WAIT_TIMEOUT => Ok(false),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Stages a driver package and installs it where it fits; whether Windows needs a restart.
pub fn install_driver(inf: &str) -> io::Result<bool> {
    let install = di_install_driver()?;
    let inf = wide(inf);
    let mut restart = 0;
    // SAFETY: the name ends with zero; no window; `restart` outlives the call.
    let result = unsafe {
        // Nobody is there to be asked about a driver's signature.
        SetupSetNonInteractiveMode(1);
        check(install(null_mut(), inf.as_ptr(), 0, &mut restart))
    };
    match result {
        // Staged; each device has this driver or a better one, or there is none.
        Err(error) if error.raw_os_error() == Some(ERROR_NO_MORE_ITEMS as i32) => Ok(false),
        result => result.map(|()| restart != 0),
    }
}

/// A list of devices.
struct Set(Handle);

impl Drop for Set {
    fn drop(&mut self) {
        // SAFETY: the list is ours.
        unsafe { SetupDiDestroyDeviceInfoList(self.0) };
    }
}

/// What became of devices.
#[derive(Debug, Default)]
pub struct Removed {
    /// Instance ids of those that were removed.
    pub removed: Vec<String>,
    /// Those that could not be, and why.
    pub failed: Vec<String>,
}

/// Removes the devices that are not present and of which `wanted` likes an id (in capital letters).
pub fn remove_absent(wanted: &dyn Fn(&str) -> bool) -> io::Result<Removed> {
    // SAFETY: null means every class, every bus, no window.
    let handle = unsafe { SetupDiGetClassDevsW(null(), null(), null_mut(), ALL_CLASSES) };
    if handle as isize == INVALID {
        return Err(io::Error::last_os_error());
    }
    let set = Set(handle);
    let mut found = Vec::new();
    for index in 0.. {
        let mut data = DeviceData {
            size: std::mem::size_of::<DeviceData>() as u32,
            class: [0; 4],
            instance: 0,
            reserved: 0,
        };
        // SAFETY: the structure says its size and outlives the call.
        if let Err(error) = check(unsafe { SetupDiEnumDeviceInfo(set.0, index, &mut data) }) {
            if error.raw_os_error() == Some(ERROR_NO_MORE_ITEMS as i32) {
                break;
            }
            return Err(error);
        }
        let id = match instance_id(&set, &data) {
            Some(id) => id,
            _ => continue,
        };
        let matches = hardware_ids(&set, &data)
            .iter()
            .chain([&id])
            .any(|id| wanted(&id.to_ascii_uppercase()));
        if matches && !is_present(&id) {
            found.push((id, data));
        }
    }
    let mut result = Removed::default();
    for (id, data) in found {
        // SAFETY: the element belongs to the list, which is open.
        match check(unsafe { SetupDiCallClassInstaller(DIF_REMOVE, set.0, &data) }) {
            Ok(()) => result.removed.push(id),
            Err(error) => result.failed.push(format!("{id}: {error}")),
        }
    }
    Ok(result)
}

fn instance_id(set: &Set, data: &DeviceData) -> Option<String> {
    // Instance ids have 200 characters at most (MAX_DEVICE_ID_LEN).
    let mut id = [0; 512];
    // SAFETY: the size is that of the buffer.
    check(unsafe {
        SetupDiGetDeviceInstanceIdW(set.0, data, id.as_mut_ptr(), id.len() as u32, null_mut())
    })
    .ok()?;
    Some(narrow(&id))
}

fn hardware_ids(set: &Set, data: &DeviceData) -> Vec<String> {
    let mut buffer = [0_u16; 4096];
    let bytes = std::mem::size_of_val(&buffer) as u32;
    // SAFETY: the size is that of the buffer, in bytes.
    let result = check(unsafe {
        SetupDiGetDeviceRegistryPropertyW(
            set.0,
            data,
            HARDWARE_ID,
            null_mut(),
            buffer.as_mut_ptr(),
            bytes,
            null_mut(),
        )
    });
    match result {
        Ok(()) => buffer
            .split(|unit| *unit == 0)
            .take_while(|units| !units.is_empty())
            .map(String::from_utf16_lossy)
            .collect(),
        Err(_) => Vec::new(),
    }
}

/// A device that was there once has no node in the device tree unless phantoms are asked for.
fn is_present(id: &str) -> bool {
    let id = wide(id);
    let mut instance = 0;
    // SAFETY: the name ends with zero; `instance` outlives the call.
    unsafe { CM_Locate_DevNodeW(&mut instance, id.as_ptr(), 0) == 0 }
}
