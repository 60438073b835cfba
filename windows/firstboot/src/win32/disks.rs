//! Disks and the volumes' places on them.

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::ptr::null_mut;

use super::{Handle, check};
use crate::layout::{self, Layout};

const GET_DISK_ATTRIBUTES: u32 = 0x0007_00f0;
const SET_DISK_ATTRIBUTES: u32 = 0x0007_c0f4;
const IS_CLUSTERED: u32 = 0x0007_00f8;
const UPDATE_PROPERTIES: u32 = 0x0007_0140;
const GET_DRIVE_LAYOUT_EX: u32 = 0x0007_0050;
const GET_VOLUME_DISK_EXTENTS: u32 = 0x0056_0000;
const OFFLINE_OR_READ_ONLY: u64 = 1 | 2;
/// Disks are numbered from 0; numbers of removed ones stay free.
const MAX_DISKS: u32 = 256;

#[link(name = "kernel32")]
extern "system" {
    fn DeviceIoControl(
        device: Handle,
        code: u32,
        input: *const c_void,
        input_size: u32,
        output: *mut c_void,
        output_size: u32,
        returned: *mut u32,
        overlapped: *mut c_void,
    ) -> i32;
}

/// A disk.
#[derive(Debug)]
pub struct Disk {
    /// As in `PhysicalDrive2`.
    pub number: u32,
    file: File,
}

fn control(file: &File, code: u32, input: &[u8], output: &mut [u8]) -> io::Result<usize> {
    let mut returned = 0;
    // SAFETY: the sizes are those of the buffers, which outlive the call; it is synchronous.
    check(unsafe {
        DeviceIoControl(
            file.as_raw_handle().cast(),
            code,
            input.as_ptr().cast(),
            input.len() as u32,
            output.as_mut_ptr().cast(),
            output.len() as u32,
            &mut returned,
            null_mut(),
        )
    })?;
    Ok(returned as usize)
}

/// All disks that can be opened.
pub fn all() -> Vec<Disk> {
    let open = |number| {
        let name = format!("\\\\.\\PhysicalDrive{number}");
        let file = OpenOptions::new().read(true).write(true).open(name).ok()?;
        Some(Disk { number, file })
    };
    (0..MAX_DISKS).filter_map(open).collect()
}

impl Disk {
    /// Whether it is offline or read-only because somebody said so.
    pub fn is_held_back(&self) -> io::Result<bool> {
        let mut answer = [0; 16];
        control(&self.file, GET_DISK_ATTRIBUTES, &[], &mut answer)?;
        Ok(layout::attributes(&answer) & OFFLINE_OR_READ_ONLY != 0)
    }

    /// Whether a cluster owns it.
    pub fn is_clustered(&self) -> bool {
        let mut answer = [0; 1];
        control(&self.file, IS_CLUSTERED, &[], &mut answer).is_ok() && answer != [0]
    }

    /// Brings it online and makes it writable, for good.
    pub fn release(&self) -> io::Result<()> {
        let request = layout::set_attributes(0, OFFLINE_OR_READ_ONLY);
        control(&self.file, SET_DISK_ATTRIBUTES, &request, &mut [])?;
        // Has the volumes found.
        control(&self.file, UPDATE_PROPERTIES, &[], &mut [])?;
        Ok(())
    }

    /// Its partitions.
    pub fn layout(&self) -> io::Result<Layout> {
        let mut answer = vec![0; 64 * 1024];
        let length = control(&self.file, GET_DRIVE_LAYOUT_EX, &[], &mut answer)?;
        Layout::parse(&answer[..length.min(answer.len())]).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "partition table not understood")
        })
    }
}

/// The disk's number and the offset in bytes where a volume begins; `None` if it lies on several.
pub fn place_of_volume(name: &str) -> io::Result<Option<(u32, u64)>> {
    let device = name.trim_end_matches('\\');
    // To ask about a volume no access to it is needed.
    let file = OpenOptions::new().access_mode(0).open(device)?;
    let mut answer = [0; 8 + 24 * 32];
    let length = control(&file, GET_VOLUME_DISK_EXTENTS, &[], &mut answer)?;
    Ok(layout::single_extent(&answer[..length.min(answer.len())]))
}
