//! What Rust's standard library imports from Windows and versions before Vista and 7 do not have.
//!
//! A program that imports one missing function does not start at all. A function that is defined here is
//! linked in place of the import, so Windows is never asked for it, whichever Windows it is: what is
//! tested is what runs on XP. `imports.txt` has what may be imported; `cargo xtask firstboot --check`
//! holds the built programs against it.
#![allow(non_snake_case)]
#![deny(unsafe_op_in_unsafe_fn)]

use std::ffi::c_void;
use std::sync::atomic::AtomicUsize;

use super::Handle;
use crate::srwlock;

const ERROR_INVALID_PARAMETER: u32 = 87;
/// With this error the standard library does without the function.
const ERROR_CALL_NOT_IMPLEMENTED: u32 = 120;
/// `STATUS_NOT_SUPPORTED`
const STATUS_NOT_SUPPORTED: u32 = 0xC000_00BB;
/// `CSTR_EQUAL`; less is one less, greater one more.
const CSTR_EQUAL: i32 = 2;

/// `UNICODE_STRING`; lengths in bytes.
#[repr(C)]
struct UnicodeString {
    length: u16,
    capacity: u16,
    text: *const u16,
}

#[link(name = "ntdll")]
extern "system" {
    fn RtlCompareUnicodeString(
        a: *const UnicodeString,
        b: *const UnicodeString,
        ignore_case: u8,
    ) -> i32;
}

#[link(name = "kernel32")]
extern "system" {
    fn Sleep(milliseconds: u32);
    fn SetLastError(error: u32);
}

fn wait() {
    // SAFETY: takes a number. Not 0: that would never let a thread of lower priority go on.
    unsafe { Sleep(1) };
}

fn refuse(error: u32) -> i32 {
    // SAFETY: takes a number.
    unsafe { SetLastError(error) };
    0
}

/// Locks for one user. `SRWLOCK` is one word, zero at first.
///
/// # Safety
/// `lock` points to an `SRWLOCK` that outlives the call and that only functions of this module change.
#[no_mangle]
pub unsafe extern "system" fn AcquireSRWLockExclusive(lock: *const AtomicUsize) {
    // SAFETY: as the caller promises.
    srwlock::exclusive(unsafe { &*lock }, wait);
}

/// Locks for one user, if it is free.
///
/// # Safety
/// As for [`AcquireSRWLockExclusive`].
#[no_mangle]
pub unsafe extern "system" fn TryAcquireSRWLockExclusive(lock: *const AtomicUsize) -> u8 {
    // SAFETY: as the caller promises.
    srwlock::try_exclusive(unsafe { &*lock }).into()
}

/// Unlocks.
///
/// # Safety
/// As for [`AcquireSRWLockExclusive`]; the caller has the lock.
#[no_mangle]
pub unsafe extern "system" fn ReleaseSRWLockExclusive(lock: *const AtomicUsize) {
    // SAFETY: as the caller promises.
    srwlock::release_exclusive(unsafe { &*lock });
}

/// Locks for readers.
///
/// # Safety
/// As for [`AcquireSRWLockExclusive`].
#[no_mangle]
pub unsafe extern "system" fn AcquireSRWLockShared(lock: *const AtomicUsize) {
    // SAFETY: as the caller promises.
    srwlock::shared(unsafe { &*lock }, wait);
}

/// Unlocks for a reader.
///
/// # Safety
/// As for [`AcquireSRWLockShared`]; the caller has the lock.
#[no_mangle]
pub unsafe extern "system" fn ReleaseSRWLockShared(lock: *const AtomicUsize) {
    // SAFETY: as the caller promises.
    srwlock::release_shared(unsafe { &*lock });
}

/// Compares two strings by code units, as Windows compares names; -1 as a length means up to the zero.
///
/// # Safety
/// Each pointer has as many units behind it as its length says.
#[no_mangle]
pub unsafe extern "system" fn CompareStringOrdinal(
    a: *const u16,
    a_length: i32,
    b: *const u16,
    b_length: i32,
    ignore_case: i32,
) -> i32 {
    // SAFETY: as the caller promises.
    match unsafe { (counted(a, a_length), counted(b, b_length)) } {
        (Some(a), Some(b)) => {
            // SAFETY: both structures describe memory that the caller keeps.
            let order = unsafe { RtlCompareUnicodeString(&a, &b, (ignore_case != 0).into()) };
            CSTR_EQUAL + order.signum()
        }
        _ => refuse(ERROR_INVALID_PARAMETER),
    }
}

/// # Safety
/// As for [`CompareStringOrdinal`].
unsafe fn counted(text: *const u16, length: i32) -> Option<UnicodeString> {
    if text.is_null() {
        return None;
    }
    let units = match usize::try_from(length) {
        Ok(units) => units,
        // SAFETY: without a length a zero ends it.
        Err(_) => (0..).find(|at| unsafe { *text.add(*at) } == 0)?,
    };
    let length = u16::try_from(units * 2).ok()?;
    Some(UnicodeString {
        length,
        capacity: length,
        text,
    })
}

/// Refuses: the standard library then takes `SystemFunction036` (`RtlGenRandom`), which every Windows has.
#[no_mangle]
pub extern "system" fn BCryptGenRandom(_: Handle, _: *mut u8, _: u32, _: u32) -> u32 {
    STATUS_NOT_SUPPORTED
}

/// Refuses: a stack overflow ends the program without a message.
#[no_mangle]
pub extern "system" fn SetThreadStackGuarantee(_: *mut u32) -> i32 {
    refuse(ERROR_CALL_NOT_IMPLEMENTED)
}

/// Refuses: the program asks for no file's path.
#[no_mangle]
pub extern "system" fn GetFinalPathNameByHandleW(_: Handle, _: *mut u16, _: u32, _: u32) -> u32 {
    refuse(ERROR_CALL_NOT_IMPLEMENTED) as u32
}

/// Refuses: `GetFileInformationByHandle` has what the program asks for.
#[no_mangle]
pub extern "system" fn GetFileInformationByHandleEx(
    _: Handle,
    _: u32,
    _: *mut c_void,
    _: u32,
) -> i32 {
    refuse(ERROR_CALL_NOT_IMPLEMENTED)
}

/// Refuses: the program sets nothing by a handle.
#[no_mangle]
pub extern "system" fn SetFileInformationByHandle(
    _: Handle,
    _: u32,
    _: *const c_void,
    _: u32,
) -> i32 {
    refuse(ERROR_CALL_NOT_IMPLEMENTED)
}
