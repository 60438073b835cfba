//! Driver packages: SetupAPI and newdev.

use std::io;
use std::ptr::{null, null_mut};

use super::devices;
use super::system::{is_before_vista, windows_folder};
use super::{ERROR_NO_MORE_ITEMS, Handle, check, wide};
use crate::inf;

/// The INF file's folder is where its files are.
const SPOST_PATH: u32 = 1;
/// `ERROR_NO_SUCH_DEVINST`
const NO_SUCH_DEVICE: u32 = 0xE000_020B;

#[link(name = "setupapi")]
extern "system" {
    fn SetupSetNonInteractiveMode(on: i32) -> i32;
    fn SetupCopyOEMInfW(
        inf: *const u16,
        media: *const u16,
        media_kind: u32,
        style: u32,
        copied: *mut u16,
        copied_size: u32,
        needed: *mut u32,
        file_part: *mut *mut u16,
    ) -> i32;
}

#[link(name = "kernel32")]
extern "system" {
    fn LoadLibraryW(path: *const u16) -> Handle;
    fn GetProcAddress(library: Handle, name: *const u8) -> Handle;
}

/// `DiInstallDriverW`, which mingw-w64 does not know: window, INF file, flags, whether a restart is needed.
type InstallDriver = unsafe extern "system" fn(Handle, *const u16, u32, *mut i32) -> i32;
/// `UpdateDriverForPlugAndPlayDevicesW`: window, hardware id, INF file, flags, whether a restart is needed.
type UpdateDriver = unsafe extern "system" fn(Handle, *const u16, *const u16, u32, *mut i32) -> i32;

/// A function of newdev.dll, the system's own and no other of that name. `name` ends with zero.
fn newdev(name: &[u8]) -> io::Result<Handle> {
    let path = wide(format!("{}\\System32\\newdev.dll", windows_folder()));
    // SAFETY: both names end with zero. The library stays loaded.
    unsafe {
        let library = LoadLibraryW(path.as_ptr());
        if library.is_null() {
            return Err(io::Error::last_os_error());
        }
        let function = GetProcAddress(library, name.as_ptr());
        if function.is_null() {
            return Err(io::Error::last_os_error());
        }
        Ok(function)
    }
}

/// Stages a driver package and installs it where it fits; whether Windows needs a restart.
pub fn install(inf: &str) -> io::Result<bool> {
    // SAFETY: takes and gives a number. Nobody is there to be asked about a driver's signature.
    unsafe { SetupSetNonInteractiveMode(1) };
    if is_before_vista() {
        return install_before_vista(inf);
    }
    // SAFETY: the function has this signature since Windows Vista, where it first appeared.
    let install =
        unsafe { std::mem::transmute::<Handle, InstallDriver>(newdev(b"DiInstallDriverW\0")?) };
    let inf = wide(inf);
    let mut restart = 0;
    // SAFETY: the name ends with zero; no window; `restart` outlives the call.
    fitting(check(unsafe {
        install(null_mut(), inf.as_ptr(), 0, &mut restart)
    }))?;
    Ok(restart != 0)
}

/// The two steps of which `DiInstallDriverW` makes one: devices that come later find the package in
/// `%SystemRoot%\inf`; those that are there are updated one by one.
fn install_before_vista(inf: &str) -> io::Result<bool> {
    let content = std::fs::read(inf)?;
    let name = wide(inf);
    // SAFETY: the name ends with zero; what is optional is null.
    check(unsafe {
        SetupCopyOEMInfW(
            name.as_ptr(),
            null(),
            SPOST_PATH,
            0,
            null_mut(),
            0,
            null_mut(),
            null_mut(),
        )
    })?;
    // SAFETY: the function has this signature since Windows 2000, where it first appeared.
    let update = unsafe {
        std::mem::transmute::<Handle, UpdateDriver>(newdev(
            b"UpdateDriverForPlugAndPlayDevicesW\0",
        )?)
    };
    let mut needs_restart = false;
    for id in inf::named(&content, &devices::present_ids()?) {
        let id = wide(id);
        let mut restart = 0;
        // SAFETY: both names end with zero; no window; `restart` outlives the call.
        fitting(check(unsafe {
            update(null_mut(), id.as_ptr(), name.as_ptr(), 0, &mut restart)
        }))?;
        needs_restart |= restart != 0;
    }
    Ok(needs_restart)
}

/// Staged is enough: each device has this driver or a better one, or there is none.
fn fitting(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) => match error.raw_os_error().map(|code| code as u32) {
            Some(ERROR_NO_MORE_ITEMS | NO_SUCH_DEVICE) => Ok(()),
            _ => Err(error),
        },
        Ok(()) => Ok(()),
    }
}
