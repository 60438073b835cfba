//! Windows: the only place with unsafe code.
//!
//! Functions and structures are declared here by hand, as the Windows SDK documents them ("Windows API
//! reference" at learn.microsoft.com), so that the program needs no other crate and the compiler of
//! Debian 12 is enough. Everything outside sees safe functions, `io::Error` with Windows' error
//! numbers, and owned handles that close themselves.

// Before any other library, so that the C runtime's exception handler comes from the C runtime's own
// library: nobody documents since when kernel32.dll has it, too.
#[link(name = "msvcrt")]
extern "C" {}

pub mod adapters;
mod adapters_nt5;
mod before_vista;
pub mod devices;
pub mod disks;
pub mod drivers;
pub mod process;
pub mod registry;
pub mod service;
pub mod system;
pub mod volumes;

use std::ffi::{OsStr, c_void};
use std::io;
use std::os::windows::ffi::OsStrExt;

/// `HANDLE` and its like.
type Handle = *mut c_void;

const ERROR_SUCCESS: u32 = 0;
const ERROR_FILE_NOT_FOUND: i32 = 2;
const ERROR_MORE_DATA: u32 = 234;
const ERROR_NO_MORE_ITEMS: u32 = 259;

/// A string as Windows wants it, with its zero.
fn wide(text: impl AsRef<OsStr>) -> Vec<u16> {
    text.as_ref().encode_wide().chain([0]).collect()
}

/// A string that ends at its zero or at the end of the buffer.
fn narrow(units: &[u16]) -> String {
    let end = units
        .iter()
        .position(|unit| *unit == 0)
        .unwrap_or(units.len());
    String::from_utf16_lossy(&units[..end])
}

/// The result of a function that answers with zero when it fails.
fn check(result: i32) -> io::Result<()> {
    match result {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The result of a function that answers with an error number.
fn check_code(code: u32) -> io::Result<()> {
    match code {
        ERROR_SUCCESS => Ok(()),
        code => Err(io::Error::from_raw_os_error(code as i32)),
    }
}
