//! Keys below `HKEY_LOCAL_MACHINE`, in the 64-bit view.

use std::io;
use std::ptr::{null, null_mut};

use super::{
    ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS, Handle, check_code, narrow, wide,
};
use crate::task::Data;

/// `HKEY_LOCAL_MACHINE`: a number that is a handle, sign-extended.
const LOCAL_MACHINE: Handle = 0x8000_0002_u32 as i32 as isize as Handle;
const KEY_READ: u32 = 0x2_0019;
const KEY_ALL_ACCESS: u32 = 0xF_003F;
const KEY_WOW64_64KEY: u32 = 0x100;
/// Largest value that is read, in bytes.
const MAX_VALUE: usize = 1 << 20;

#[link(name = "ntdll")]
extern "system" {
    fn NtDeleteKey(key: Handle) -> i32;
    fn RtlNtStatusToDosError(status: i32) -> u32;
}

#[link(name = "advapi32")]
extern "system" {
    fn RegOpenKeyExW(
        key: Handle,
        name: *const u16,
        options: u32,
        access: u32,
        out: *mut Handle,
    ) -> u32;
    fn RegCreateKeyExW(
        key: Handle,
        name: *const u16,
        reserved: u32,
        class: *const u16,
        options: u32,
        access: u32,
        security: *const u8,
        out: *mut Handle,
        disposition: *mut u32,
    ) -> u32;
    fn RegQueryValueExW(
        key: Handle,
        name: *const u16,
        reserved: *mut u32,
        kind: *mut u32,
        data: *mut u8,
        size: *mut u32,
    ) -> u32;
    fn RegSetValueExW(
        key: Handle,
        name: *const u16,
        reserved: u32,
        kind: u32,
        data: *const u8,
        size: u32,
    ) -> u32;
    fn RegDeleteValueW(key: Handle, name: *const u16) -> u32;
    fn RegEnumKeyExW(
        key: Handle,
        index: u32,
        name: *mut u16,
        size: *mut u32,
        reserved: *mut u32,
        class: *mut u16,
        class_size: *mut u32,
        written: *mut u64,
    ) -> u32;
    fn RegFlushKey(key: Handle) -> u32;
    fn RegCloseKey(key: Handle) -> u32;
}

/// An open key.
#[derive(Debug)]
pub struct Key(Handle);

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the handle is ours and was opened successfully.
        unsafe { RegCloseKey(self.0) };
    }
}

impl Key {
    /// Opens a key for reading.
    pub fn open(path: &str) -> io::Result<Option<Self>> {
        Self::open_with(path, KEY_READ)
    }

    fn open_with(path: &str, access: u32) -> io::Result<Option<Self>> {
        let mut key = null_mut();
        let path = wide(path);
        // SAFETY: the name ends with zero; `key` outlives the call.
        let code = unsafe {
            RegOpenKeyExW(
                LOCAL_MACHINE,
                path.as_ptr(),
                0,
                access | KEY_WOW64_64KEY,
                &mut key,
            )
        };
        if code as i32 == ERROR_FILE_NOT_FOUND {
            return Ok(None);
        }
        check_code(code)?;
        Ok(Some(Self(key)))
    }

    /// Opens a key for writing, and makes it if it is missing.
    pub fn create(path: &str) -> io::Result<Self> {
        let mut key = null_mut();
        let path = wide(path);
        // SAFETY: the name ends with zero; optional pointers are null; `key` outlives the call.
        check_code(unsafe {
            RegCreateKeyExW(
                LOCAL_MACHINE,
                path.as_ptr(),
                0,
                null(),
                0,
                KEY_ALL_ACCESS | KEY_WOW64_64KEY,
                null(),
                &mut key,
                null_mut(),
            )
        })?;
        Ok(Self(key))
    }

    /// A value's type and bytes.
    fn raw(&self, name: &str) -> io::Result<Option<(u32, Vec<u8>)>> {
        let name = wide(name);
        let mut buffer = vec![0; 512];
        loop {
            let (mut kind, mut size) = (0, buffer.len() as u32);
            // SAFETY: `size` says how large the buffer is; name and buffer outlive the call.
            let code = unsafe {
                RegQueryValueExW(
                    self.0,
                    name.as_ptr(),
                    null_mut(),
                    &mut kind,
                    buffer.as_mut_ptr(),
                    &mut size,
                )
            };
            match code {
                ERROR_MORE_DATA if (size as usize) <= MAX_VALUE => buffer.resize(size as usize, 0),
                _ if code as i32 == ERROR_FILE_NOT_FOUND => return Ok(None),
                _ => {
                    check_code(code)?;
                    buffer.truncate(size as usize);
                    return Ok(Some((kind, buffer)));
                }
            }
        }
    }

    /// The string of a `REG_SZ` or `REG_EXPAND_SZ`, unexpanded.
    pub fn string(&self, name: &str) -> Option<String> {
        match self.raw(name).ok()?? {
            (1 | 2, bytes) => Some(narrow(&units(&bytes))),
            _ => None,
        }
    }

    /// The strings of a `REG_MULTI_SZ`.
    pub fn strings(&self, name: &str) -> Vec<String> {
        match self.raw(name) {
            Ok(Some((7, bytes))) => units(&bytes)
                .split(|unit| *unit == 0)
                .filter(|units| !units.is_empty())
                .map(String::from_utf16_lossy)
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The number of a `REG_DWORD`.
    pub fn dword(&self, name: &str) -> Option<u32> {
        match self.raw(name).ok()?? {
            (4, bytes) => Some(u32::from_le_bytes(bytes.try_into().ok()?)),
            _ => None,
        }
    }

    /// Writes a value.
    pub fn set(&self, name: &str, data: &Data) -> io::Result<()> {
        let (kind, bytes) = encoded(data);
        let name = wide(name);
        // SAFETY: the size is that of the data; both outlive the call.
        check_code(unsafe {
            RegSetValueExW(
                self.0,
                name.as_ptr(),
                0,
                kind,
                bytes.as_ptr(),
                bytes.len() as u32,
            )
        })
    }

    /// Whether a value is there and is this.
    pub fn has(&self, name: &str, data: &Data) -> bool {
        matches!(self.raw(name), Ok(Some(found)) if found == encoded(data))
    }

    /// Names of the keys directly below.
    fn subkeys(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for index in 0.. {
            // Names of keys have 255 characters at most.
            let mut name = [0; 256];
            let mut size = name.len() as u32;
            // SAFETY: `size` is that of the buffer; what is optional is null.
            let code = unsafe {
                RegEnumKeyExW(
                    self.0,
                    index,
                    name.as_mut_ptr(),
                    &mut size,
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                )
            };
            if code == ERROR_NO_MORE_ITEMS {
                break;
            }
            check_code(code)?;
            found.push(narrow(&name));
        }
        Ok(found)
    }

    /// Deletes a value; one that is missing is no error.
    pub fn delete(&self, name: &str) -> io::Result<()> {
        let name = wide(name);
        // SAFETY: the name ends with zero.
        match unsafe { RegDeleteValueW(self.0, name.as_ptr()) } {
            code if code as i32 == ERROR_FILE_NOT_FOUND => Ok(()),
            code => check_code(code),
        }
    }

    /// Has it on the disk when this returns.
    pub fn flush(&self) -> io::Result<()> {
        // SAFETY: the handle is open.
        check_code(unsafe { RegFlushKey(self.0) })
    }
}

/// Deletes a key with everything below; one that is missing is no error.
pub fn delete_tree(path: &str) -> io::Result<()> {
    let key = match Key::open_with(path, KEY_ALL_ACCESS)? {
        Some(key) => key,
        _ => return Ok(()),
    };
    for name in key.subkeys()? {
        delete_tree(&format!("{path}\\{name}"))?;
    }
    // By its handle, which says which view it is of: RegDeleteKeyExW, which is told, is not in XP.
    // SAFETY: the handle is open, with the right to delete, and is closed afterwards.
    match unsafe { NtDeleteKey(key.0) } {
        status if status >= 0 => Ok(()),
        // SAFETY: takes and gives a number.
        status => check_code(unsafe { RtlNtStatusToDosError(status) }),
    }
}

/// A value's type and bytes.
fn encoded(data: &Data) -> (u32, Vec<u8>) {
    let string = |text: &str| {
        wide(text)
            .iter()
            .flat_map(|unit| unit.to_le_bytes())
            .collect()
    };
    match data {
        Data::Sz(text) => (1, string(text)),
        Data::ExpandSz(text) => (2, string(text)),
        Data::Binary(bytes) => (3, bytes.clone()),
        Data::Dword(value) => (4, value.to_le_bytes().to_vec()),
        Data::MultiSz(list) => (
            7,
            list.iter()
                .flat_map(|text| string(text))
                .chain([0, 0])
                .collect(),
        ),
        Data::Qword(value) => (11, value.to_le_bytes().to_vec()),
    }
}

fn units(bytes: &[u8]) -> Vec<u16> {
    bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}
