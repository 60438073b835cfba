//! Volumes and drive letters.

use std::io;
use std::ptr::null_mut;

use super::{ERROR_NO_MORE_ITEMS, Handle, check, narrow, wide};

const INVALID: isize = -1;
const DRIVE_NO_ROOT_DIR: u32 = 1;
const DRIVE_CDROM: u32 = 5;

#[link(name = "kernel32")]
extern "system" {
    fn FindFirstVolumeW(name: *mut u16, size: u32) -> Handle;
    fn FindNextVolumeW(find: Handle, name: *mut u16, size: u32) -> i32;
    fn FindVolumeClose(find: Handle) -> i32;
    fn GetVolumePathNamesForVolumeNameW(
        name: *const u16,
        paths: *mut u16,
        size: u32,
        needed: *mut u32,
    ) -> i32;
    fn GetVolumeNameForVolumeMountPointW(path: *const u16, name: *mut u16, size: u32) -> i32;
    fn SetVolumeMountPointW(path: *const u16, name: *const u16) -> i32;
    fn DeleteVolumeMountPointW(path: *const u16) -> i32;
    fn GetDriveTypeW(path: *const u16) -> u32;
    fn GetVolumeInformationW(
        path: *const u16,
        label: *mut u16,
        label_size: u32,
        serial: *mut u32,
        longest_name: *mut u32,
        flags: *mut u32,
        system: *mut u16,
        system_size: u32,
    ) -> i32;
}

/// Who has a drive letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Nobody.
    Nobody,
    /// A CD-ROM drive.
    Cdrom,
    /// Somebody else.
    Other,
}

fn root(letter: char) -> Vec<u16> {
    wide(format!("{letter}:\\"))
}

/// Names of all volumes, `\\?\Volume{…}\`.
pub fn all() -> io::Result<Vec<String>> {
    let mut buffer = [0; 64];
    let size = buffer.len() as u32;
    // SAFETY: the size is that of the buffer.
    let find = unsafe { FindFirstVolumeW(buffer.as_mut_ptr(), size) };
    if find as isize == INVALID {
        return Err(io::Error::last_os_error());
    }
    let mut names = vec![narrow(&buffer)];
    let result = loop {
        // SAFETY: the search is open; the size is that of the buffer.
        match check(unsafe { FindNextVolumeW(find, buffer.as_mut_ptr(), size) }) {
            Ok(()) => names.push(narrow(&buffer)),
            Err(error) if error.raw_os_error() == Some(ERROR_NO_MORE_ITEMS as i32) => {
                break Ok(names);
            }
            Err(error) => break Err(error),
        }
    };
    // SAFETY: the search is open.
    unsafe { FindVolumeClose(find) };
    result
}

/// The drive letters of a volume.
pub fn letters(volume: &str) -> io::Result<Vec<char>> {
    let volume = wide(volume);
    let mut buffer = [0; 4096];
    let mut needed = 0;
    // SAFETY: the name ends with zero; the size is that of the buffer.
    check(unsafe {
        GetVolumePathNamesForVolumeNameW(
            volume.as_ptr(),
            buffer.as_mut_ptr(),
            buffer.len() as u32,
            &mut needed,
        )
    })?;
    let letter = |path: &[u16]| match path {
        [letter, colon, backslash] if (*colon, *backslash) == (58, 92) => {
            char::from_u32((*letter).into())
        }
        _ => None,
    };
    Ok(buffer.split(|unit| *unit == 0).filter_map(letter).collect())
}

/// Who has a drive letter.
pub fn holder(letter: char) -> Holder {
    let root = root(letter);
    // SAFETY: the name ends with zero.
    match unsafe { GetDriveTypeW(root.as_ptr()) } {
        DRIVE_NO_ROOT_DIR => Holder::Nobody,
        DRIVE_CDROM => Holder::Cdrom,
        _ => Holder::Other,
    }
}

/// The CD-ROM drives with a medium: letter and the medium's label.
pub fn cdroms() -> Vec<(char, String)> {
    let label = |letter: char| {
        if holder(letter) != Holder::Cdrom {
            return None;
        }
        let root = root(letter);
        let mut buffer = [0; 261];
        // SAFETY: the name ends with zero; the size is that of the buffer; what is optional is null.
        check(unsafe {
            GetVolumeInformationW(
                root.as_ptr(),
                buffer.as_mut_ptr(),
                buffer.len() as u32,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                0,
            )
        })
        .ok()?;
        Some((letter, narrow(&buffer)))
    };
    ('A'..='Z').filter_map(label).collect()
}

/// The name of the volume that has a drive letter.
pub fn of_letter(letter: char) -> io::Result<String> {
    let root = root(letter);
    let mut buffer = [0; 64];
    // SAFETY: the name ends with zero; the size is that of the buffer.
    check(unsafe {
        GetVolumeNameForVolumeMountPointW(root.as_ptr(), buffer.as_mut_ptr(), buffer.len() as u32)
    })?;
    Ok(narrow(&buffer))
}

/// Takes a drive letter away.
pub fn release(letter: char) -> io::Result<()> {
    let root = root(letter);
    // SAFETY: the name ends with zero.
    check(unsafe { DeleteVolumeMountPointW(root.as_ptr()) })
}

/// Gives a volume a drive letter that nobody has.
pub fn assign(letter: char, volume: &str) -> io::Result<()> {
    let (root, volume) = (root(letter), wide(volume));
    // SAFETY: both names end with zero.
    check(unsafe { SetVolumeMountPointW(root.as_ptr(), volume.as_ptr()) })
}
