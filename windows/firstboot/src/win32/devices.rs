//! Devices: SetupAPI, Configuration Manager.

use std::io;
use std::ptr::{null, null_mut};

use super::{ERROR_NO_MORE_ITEMS, Handle, check, narrow, wide};

const ALL_CLASSES: u32 = 4;
const HARDWARE_ID: u32 = 1;
const PRESENT: u32 = 2;
const COMPATIBLE_IDS: u32 = 2;
const DIF_REMOVE: u32 = 5;
const DIF_PROPERTYCHANGE: u32 = 0x12;
const DICS_PROPCHANGE: u32 = 3;
const CURRENT_PROFILE: u32 = 2;
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
    fn SetupDiSetClassInstallParamsW(
        set: Handle,
        data: *const DeviceData,
        parameters: *const [u32; 5],
        size: u32,
    ) -> i32;
    fn CM_Locate_DevNodeW(instance: *mut u32, id: *const u16, flags: u32) -> u32;
    fn CMP_WaitNoPendingInstallEvents(milliseconds: u32) -> u32;
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

impl Set {
    /// Devices of all classes and buses, also of former times, or with [`PRESENT`] those that are there.
    fn open(flags: u32) -> io::Result<Self> {
        // SAFETY: null means every class, every bus, no window.
        let handle =
            unsafe { SetupDiGetClassDevsW(null(), null(), null_mut(), ALL_CLASSES | flags) };
        if handle as isize == INVALID {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(handle))
    }

    fn devices(&self) -> io::Result<Vec<DeviceData>> {
        let mut found = Vec::new();
        for index in 0.. {
            let mut data = DeviceData {
                size: std::mem::size_of::<DeviceData>() as u32,
                class: [0; 4],
                instance: 0,
                reserved: 0,
            };
            // SAFETY: the structure says its size and outlives the call.
            match check(unsafe { SetupDiEnumDeviceInfo(self.0, index, &mut data) }) {
                Ok(()) => found.push(data),
                Err(error) if error.raw_os_error() == Some(ERROR_NO_MORE_ITEMS as i32) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

/// Removes the devices that are not present and of which `wanted` likes an id (in capital letters).
pub fn remove_absent(wanted: &dyn Fn(&str) -> bool) -> io::Result<Removed> {
    let set = Set::open(0)?;
    let mut found = Vec::new();
    for data in set.devices()? {
        let id = match instance_id(&set, &data) {
            Some(id) => id,
            _ => continue,
        };
        let matches = ids(&set, &data, HARDWARE_ID)
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

/// Hardware and compatible ids of the devices that are there, each once.
pub fn present_ids() -> io::Result<Vec<String>> {
    let set = Set::open(PRESENT)?;
    let mut found = Vec::new();
    for data in set.devices()? {
        for property in [HARDWARE_ID, COMPATIBLE_IDS] {
            found.extend(ids(&set, &data, property));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Stops a device and starts it again, as after a change of its properties.
pub fn restart(instance: &str) -> io::Result<()> {
    let set = Set::open(PRESENT)?;
    let is_it = |data: &DeviceData| {
        instance_id(&set, data).map_or(false, |id| id.eq_ignore_ascii_case(instance))
    };
    let data = match set.devices()?.into_iter().find(is_it) {
        Some(data) => data,
        None => {
            let message = format!("the device {instance} is not there");
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
    };
    // `SP_PROPCHANGE_PARAMS`; the first two are its header, whose size is that of the header alone.
    let parameters = [8, DIF_PROPERTYCHANGE, DICS_PROPCHANGE, CURRENT_PROFILE, 0];
    let size = std::mem::size_of_val(&parameters) as u32;
    // SAFETY: the element belongs to the list, which is open; the parameters say which they are.
    unsafe {
        check(SetupDiSetClassInstallParamsW(
            set.0,
            &data,
            &parameters,
            size,
        ))?;
        check(SetupDiCallClassInstaller(DIF_PROPERTYCHANGE, set.0, &data))
    }
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

/// A property that is a list of ids.
fn ids(set: &Set, data: &DeviceData, property: u32) -> Vec<String> {
    let mut buffer = [0_u16; 4096];
    let bytes = std::mem::size_of_val(&buffer) as u32;
    // SAFETY: the size is that of the buffer, in bytes.
    let result = check(unsafe {
        SetupDiGetDeviceRegistryPropertyW(
            set.0,
            data,
            property,
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
