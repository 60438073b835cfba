//! Copying what C gives, freeing what it gave away, and lists to give to it.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::slice;

use refit_guestfs_sys as sys;

/// The message of the last error on this thread, its control characters
/// escaped: parts of it come from the guest, and it goes to terminals.
///
/// # Safety
///
/// The handle is open.
pub(crate) unsafe fn last_message(raw: *mut sys::guestfs_h) -> Option<String> {
    // SAFETY: by this function's contract.
    let message = unsafe { sys::guestfs_last_error(raw) };
    if message.is_null() {
        return None;
    }
    // SAFETY: a string that lives until the next call on this handle.
    let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    let mut escaped = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Some(escaped)
}

/// A list of C strings that ends with NULL.
pub(crate) struct StringList {
    pointers: Vec<*mut c_char>,
    /// What the pointers point to.
    _strings: Vec<CString>,
}

impl StringList {
    pub(crate) fn new(strings: Vec<CString>) -> Self {
        // The C type is `char *const *`, but libguestfs only reads the strings.
        let pointers = strings
            .iter()
            .map(|string| string.as_ptr().cast_mut())
            .chain([ptr::null_mut()])
            .collect();
        Self {
            pointers,
            _strings: strings,
        }
    }

    pub(crate) fn as_ptr(&self) -> *const *mut c_char {
        self.pointers.as_ptr()
    }
}

/// A word that libguestfs chooses, or one that is only shown.
pub(crate) fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Copies a buffer inside a structure.
///
/// # Safety
///
/// `start` is valid for reads of `length` bytes, or the length is 0.
pub(crate) unsafe fn copy_buffer(start: *const c_char, length: usize) -> Vec<u8> {
    // An empty buffer may be NULL, which a slice may not.
    if start.is_null() || length == 0 {
        return Vec::new();
    }
    // SAFETY: by this function's contract.
    unsafe { slice::from_raw_parts(start.cast::<u8>(), length) }.to_vec()
}

/// Copies a string inside a structure; NULL gives the empty string.
///
/// # Safety
///
/// `string` is NULL or a C string.
pub(crate) unsafe fn copy_string(string: *const c_char) -> Vec<u8> {
    if string.is_null() {
        return Vec::new();
    }
    // SAFETY: by this function's contract.
    unsafe { CStr::from_ptr(string) }.to_bytes().to_vec()
}

/// The elements of a list structure.
///
/// # Safety
///
/// `start` is valid for reads of `length` elements, or the length is 0, for
/// as long as the result is used.
pub(crate) unsafe fn elements<'a, T>(start: *const T, length: u32) -> &'a [T] {
    if start.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: by this function's contract; u32 always fits here.
    unsafe { slice::from_raw_parts(start, length as usize) }
}

/// # Safety
///
/// `string` is a C string from malloc that nobody else frees.
pub(crate) unsafe fn take_string(string: *mut c_char) -> Vec<u8> {
    // SAFETY: by this function's contract.
    unsafe {
        let bytes = copy_string(string);
        libc::free(string.cast());
        bytes
    }
}

/// # Safety
///
/// `list` is an array from malloc of C strings from malloc, ends with NULL,
/// and nobody else frees it.
pub(crate) unsafe fn take_list(list: *mut *mut c_char) -> Vec<Vec<u8>> {
    let mut strings = Vec::new();
    // SAFETY: by this function's contract; the loop stops at the NULL.
    unsafe {
        let mut next = list;
        while !(*next).is_null() {
            strings.push(take_string(*next));
            next = next.add(1);
        }
        libc::free(list.cast());
    }
    strings
}

/// # Safety
///
/// `buffer` is from malloc, has `length` bytes, and nobody else frees it.
pub(crate) unsafe fn take_buffer(buffer: *mut c_char, length: usize) -> Vec<u8> {
    // SAFETY: by this function's contract.
    unsafe {
        let bytes = copy_buffer(buffer, length);
        libc::free(buffer.cast());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_buffer_is_an_empty_one() {
        // SAFETY: NULL with length 0 is what the functions are for.
        unsafe {
            assert_eq!(copy_buffer(ptr::null(), 0), b"");
            assert_eq!(copy_string(ptr::null()), b"");
            assert!(elements::<u64>(ptr::null(), 0).is_empty());
        }
    }

    #[test]
    fn lists_end_with_null() {
        let list = StringList::new(vec![c"a".to_owned(), c"b".to_owned()]);
        assert_eq!(list.pointers.len(), 3);
        assert!(list.pointers[2].is_null());
        // SAFETY: the list owns its strings.
        assert_eq!(unsafe { CStr::from_ptr(list.pointers[1]) }, c"b");
    }
}
