//! Partition tables.

use refit_guestfs_sys as sys;

use crate::call::string_calls;
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::memory::elements;

string_calls! {
    /// The kind of partition table: `msdos`, `gpt`, ...
    part_get_parttype(device) on device -> text = guestfs_part_get_parttype;

    /// The disk of a partition: `/dev/sda` for `/dev/sda1`.
    part_to_dev(partition) on partition -> text = guestfs_part_to_dev;

    /// Makes an empty partition table of a kind, and destroys what was on the
    /// device.
    part_init(device, parttype) on device -> unit = guestfs_part_init;

    /// Makes a partition table with one partition that takes the whole disk.
    part_disk(device, parttype) on device -> unit = guestfs_part_disk;
}

impl Handle {
    /// The partitions of a device, in the order of the table.
    pub fn part_list(&self, device: impl AsRef<[u8]>) -> Result<Vec<Partition>> {
        let call = self.call("part_list").on(&device);
        let device = call.string("device", device)?;
        // SAFETY: a structure function and the function that frees it; the
        // string lives until the end of this method.
        unsafe {
            call.structure(
                |g| sys::guestfs_part_list(g, device.as_ptr()),
                sys::guestfs_free_partition_list,
                |list| {
                    let partitions = elements(list.val, list.len).iter();
                    partitions
                        .map(|raw| {
                            Ok(Partition {
                                number: u32::try_from(raw.part_num).map_err(|_| {
                                    Error::Malformed {
                                        call: "part_list",
                                        what: "number",
                                    }
                                })?,
                                start: raw.part_start,
                                end: raw.part_end,
                                size: raw.part_size,
                            })
                        })
                        .collect()
                },
            )
        }
    }

    /// The type GUID of a partition in a GPT.
    pub fn part_get_gpt_type(&self, device: impl AsRef<[u8]>, number: u32) -> Result<String> {
        let call = self.call("part_get_gpt_type").on(&device);
        let device = call.string("device", device)?;
        let number = call.number("partnum", number)?;
        // SAFETY: a function that returns a string; the argument lives until
        // the end of this method.
        unsafe { call.text(|g| sys::guestfs_part_get_gpt_type(g, device.as_ptr(), number)) }
    }

    /// Sets the type GUID of a partition in a GPT.
    pub fn part_set_gpt_type(
        &self,
        device: impl AsRef<[u8]>,
        number: u32,
        guid: impl AsRef<[u8]>,
    ) -> Result<()> {
        let call = self.call("part_set_gpt_type").on(&device);
        let device = call.string("device", device)?;
        let number = call.number("partnum", number)?;
        let guid = call.string("guid", guid)?;
        // SAFETY: one call; the strings live until the end of this method.
        unsafe {
            call.unit(|g| sys::guestfs_part_set_gpt_type(g, device.as_ptr(), number, guid.as_ptr()))
        }
    }

    /// The type byte of a partition in an MBR.
    pub fn part_get_mbr_id(&self, device: impl AsRef<[u8]>, number: u32) -> Result<u32> {
        let call = self.call("part_get_mbr_id").on(&device);
        let device = call.string("device", device)?;
        let number = call.number("partnum", number)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe {
            call.integer("type", |g| {
                sys::guestfs_part_get_mbr_id(g, device.as_ptr(), number)
            })
        }
    }

    /// Whether the active flag (MBR) or the legacy boot flag (GPT) is set.
    pub fn part_get_bootable(&self, device: impl AsRef<[u8]>, number: u32) -> Result<bool> {
        let call = self.call("part_get_bootable").on(&device);
        let device = call.string("device", device)?;
        let number = call.number("partnum", number)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.flag(|g| sys::guestfs_part_get_bootable(g, device.as_ptr(), number)) }
    }

    /// Sets or clears the flag of [`part_get_bootable`](Self::part_get_bootable).
    pub fn part_set_bootable(
        &self,
        device: impl AsRef<[u8]>,
        number: u32,
        bootable: bool,
    ) -> Result<()> {
        let call = self.call("part_set_bootable").on(&device);
        let device = call.string("device", device)?;
        let number = call.number("partnum", number)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe {
            call.unit(|g| {
                sys::guestfs_part_set_bootable(g, device.as_ptr(), number, bootable.into())
            })
        }
    }

    /// The number of a partition: 1 for `/dev/sda1`.
    pub fn part_to_partnum(&self, partition: impl AsRef<[u8]>) -> Result<u32> {
        let call = self.call("part_to_partnum").on(&partition);
        let partition = call.string("partition", partition)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe {
            call.integer("number", |g| {
                sys::guestfs_part_to_partnum(g, partition.as_ptr())
            })
        }
    }

    /// Adds a partition: `kind` is `primary`, `logical` or `extended`. A
    /// negative end counts from the end of the disk, in sectors.
    pub fn part_add(
        &self,
        device: impl AsRef<[u8]>,
        kind: impl AsRef<[u8]>,
        start_sector: i64,
        end_sector: i64,
    ) -> Result<()> {
        let call = self.call("part_add").on(&device);
        let device = call.string("device", device)?;
        let kind = call.string("prlogex", kind)?;
        // SAFETY: one call; the strings live until the end of this method.
        unsafe {
            call.unit(|g| {
                let (device, kind) = (device.as_ptr(), kind.as_ptr());
                sys::guestfs_part_add(g, device, kind, start_sector, end_sector)
            })
        }
    }
}

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Its number in the table, from 1.
    pub number: u32,
    /// Its first byte.
    pub start: u64,
    /// Its last byte.
    pub end: u64,
    /// Its size in bytes.
    pub size: u64,
}
