//! The machine as a whole: folders, files that outlive power loss, restarts.

use std::ffi::c_void;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr::{null, null_mut};

use super::{Handle, check, check_code, narrow, wide};

const REPLACE_EXISTING: u32 = 1;
const DELAY_UNTIL_REBOOT: u32 = 4;
const WRITE_THROUGH: u32 = 8;
const SE_FILE_OBJECT: u32 = 1;
const PROTECTED_DACL: u32 = 4 | 0x8000_0000;
/// `FILE_ATTRIBUTE_REPARSE_POINT`: a link, a junction, a mount point
const REPARSE_POINT: u32 = 0x400;
const TOKEN_ADJUST_QUERY: u32 = 0x20 | 0x8;
const SE_PRIVILEGE_ENABLED: u32 = 2;
/// Access lists (SDDL): all for the system and administrators, reading for users.
const PUBLIC: &str = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)";
/// The same, nothing for users.
const SECRET: &str = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)";
/// No crash dialogs and no "insert a disk": nobody is there to answer.
const NO_DIALOGS: u32 = 1 | 2 | 0x8000;
/// Planned, operating system, reconfiguration.
const REASON: u32 = 0x8002_0004;

#[repr(C)]
struct Privileges {
    count: u32,
    luid: [u32; 2],
    attributes: u32,
}

#[link(name = "kernel32")]
extern "system" {
    fn MoveFileExW(from: *const u16, to: *const u16, flags: u32) -> i32;
    fn GetSystemWindowsDirectoryW(buffer: *mut u16, size: u32) -> u32;
    fn GetVersion() -> u32;
    fn SetErrorMode(mode: u32) -> u32;
    fn GetCurrentProcess() -> Handle;
    fn CloseHandle(handle: Handle) -> i32;
    fn SetCommTimeouts(file: Handle, timeouts: *const [u32; 5]) -> i32;
    fn LocalFree(memory: *mut c_void) -> *mut c_void;
}

#[link(name = "advapi32")]
extern "system" {
    fn OpenProcessToken(process: Handle, access: u32, token: *mut Handle) -> i32;
    fn LookupPrivilegeValueW(system: *const u16, name: *const u16, luid: *mut [u32; 2]) -> i32;
    fn AdjustTokenPrivileges(
        token: Handle,
        disable: i32,
        new: *const Privileges,
        size: u32,
        old: *mut c_void,
        old_size: *mut u32,
    ) -> i32;
    fn InitiateSystemShutdownExW(
        machine: *const u16,
        message: *const u16,
        seconds: u32,
        force: i32,
        reboot: i32,
        reason: u32,
    ) -> i32;
    fn ConvertStringSecurityDescriptorToSecurityDescriptorW(
        text: *const u16,
        revision: u32,
        descriptor: *mut *mut c_void,
        size: *mut u32,
    ) -> i32;
    fn GetSecurityDescriptorDacl(
        descriptor: *mut c_void,
        present: *mut i32,
        dacl: *mut *mut c_void,
        defaulted: *mut i32,
    ) -> i32;
    fn SetNamedSecurityInfoW(
        name: *const u16,
        kind: u32,
        what: u32,
        owner: *mut c_void,
        group: *mut c_void,
        dacl: *mut c_void,
        sacl: *mut c_void,
    ) -> u32;
}

/// Programs that fail shall end instead of asking.
pub fn no_dialogs() {
    // SAFETY: takes and gives a number.
    unsafe { SetErrorMode(NO_DIALOGS) };
}

/// Whether this is Windows XP or Server 2003. They know no index in netsh, no disks that are offline by
/// policy, no installation of a driver in one step.
pub fn is_before_vista() -> bool {
    const VISTA: u32 = 6;
    // SAFETY: gives a number; its lowest byte is the major version, which no later Windows gives as less
    // than 6, whatever a program's manifest says.
    unsafe { GetVersion() & 0xff < VISTA }
}

/// `C:\Windows`, also on a terminal server.
pub fn windows_folder() -> String {
    let mut buffer = [0; 260];
    // SAFETY: the size is that of the buffer.
    unsafe { GetSystemWindowsDirectoryW(buffer.as_mut_ptr(), buffer.len() as u32) };
    narrow(&buffer)
}

/// Replaces a file with `content` such that after a power loss it has the old content or the new.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let staged = path.with_extension("new");
    let mut file = File::create(&staged)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    let (from, to) = (wide(&staged), wide(path));
    // SAFETY: both names end with zero.
    check(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), REPLACE_EXISTING | WRITE_THROUGH) })
}

/// Has a file or an empty folder removed when the machine starts next.
pub fn remove_at_restart(path: &Path) -> io::Result<()> {
    let path = wide(path);
    // SAFETY: the name ends with zero; a null target means removal.
    check(unsafe { MoveFileExW(path.as_ptr(), null(), DELAY_UNTIL_REBOOT) })
}

/// Leaves a folder and all below to the system and to administrators; others may read. Each file has
/// its own list replaced: what is inherited only adds to what a file says itself. Links are not followed.
pub fn protect(path: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.file_attributes() & REPARSE_POINT != 0 {
        return Ok(());
    }
    protect_one(path, PUBLIC)?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            protect(&entry?.path())?;
        }
    }
    Ok(())
}

/// Leaves a new folder, and what will be in it, to the system and to administrators: others cannot read it.
pub fn protect_secret(path: &Path) -> io::Result<()> {
    protect_one(path, SECRET)
}

fn protect_one(path: &Path, list: &str) -> io::Result<()> {
    let text = wide(list);
    let mut descriptor = null_mut();
    // SAFETY: the text ends with zero; the result is freed below.
    check(unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text.as_ptr(),
            1,
            &mut descriptor,
            null_mut(),
        )
    })?;
    let (mut present, mut defaulted, mut dacl) = (0, 0, null_mut());
    let path = wide(path);
    // SAFETY: the descriptor is valid until it is freed, and so is its list; the name ends with zero.
    let result = unsafe {
        check(GetSecurityDescriptorDacl(
            descriptor,
            &mut present,
            &mut dacl,
            &mut defaulted,
        ))
        .and_then(|()| {
            check_code(SetNamedSecurityInfoW(
                path.as_ptr(),
                SE_FILE_OBJECT,
                PROTECTED_DACL,
                null_mut(),
                null_mut(),
                dacl,
                null_mut(),
            ))
        })
    };
    // SAFETY: the memory came from the conversion above and nobody uses it any more.
    unsafe { LocalFree(descriptor) };
    result
}

/// Asks the system to restart at once.
pub fn restart() -> io::Result<()> {
    enable_privilege("SeShutdownPrivilege")?;
    let message = wide("refit: a first-boot task needs a restart");
    // SAFETY: null means this machine; the message ends with zero.
    check(unsafe { InitiateSystemShutdownExW(null(), message.as_ptr(), 0, 1, 1, REASON) })
}

/// A privilege that the account has but that is off.
pub fn enable_privilege(name: &str) -> io::Result<()> {
    let mut token = null_mut();
    // SAFETY: the pseudo handle of this process is always valid.
    check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_ADJUST_QUERY, &mut token) })?;
    let name = wide(name);
    let mut privileges = Privileges {
        count: 1,
        luid: [0; 2],
        attributes: SE_PRIVILEGE_ENABLED,
    };
    // SAFETY: the token is open until the last line; names end with zero; the structure says its count.
    unsafe {
        let result = check(LookupPrivilegeValueW(
            null(),
            name.as_ptr(),
            &mut privileges.luid,
        ))
        .and_then(|()| {
            check(AdjustTokenPrivileges(
                token,
                0,
                &privileges,
                0,
                null_mut(),
                null_mut(),
            ))
        });
        CloseHandle(token);
        result
    }
}

/// Writes to the first serial port; gives up after two seconds.
pub fn write_serial(text: &str) -> io::Result<()> {
    let mut port = OpenOptions::new()
        .read(true)
        .write(true)
        // A serial port has one user at a time.
        .share_mode(0)
        .open("\\\\.\\COM1")?;
    // Read interval, multiplier, constant; write multiplier, constant; in milliseconds.
    let timeouts = [0, 0, 0, 0, 2000];
    // SAFETY: the handle is open; the array has the layout of COMMTIMEOUTS.
    let limited = check(unsafe { SetCommTimeouts(port.as_raw_handle().cast(), &timeouts) });
    // A port without time limits could wait for ever.
    limited?;
    port.write_all(text.as_bytes())
}
