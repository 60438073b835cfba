//! Block devices, and the file systems on them.

use std::ffi::CStr;

use refit_guestfs_sys as sys;

use crate::call::{set_option, string_calls};
use crate::error::Result;
use crate::handle::Handle;
use crate::memory::lossy;

string_calls! {
    /// The disks, in the order in which they were added.
    list_devices() -> texts = guestfs_list_devices;

    /// The partitions of all disks.
    list_partitions() -> texts = guestfs_list_partitions;

    /// The device mapper's devices, but for logical volumes.
    list_dm_devices() -> texts = guestfs_list_dm_devices;

    /// The Linux software RAID devices that are active.
    list_md_devices() -> texts = guestfs_list_md_devices;

    /// The kind of file system on a mountable, by blkid's name; empty if
    /// unknown.
    vfs_type(mountable) on mountable -> text = guestfs_vfs_type;

    /// Everything that blkid(8) says of a device by `-p`, name and value: `TYPE` and `UUID` of what it
    /// holds, and of a partition its entry in the table (`PART_ENTRY_SCHEME`, `PART_ENTRY_NUMBER`,
    /// `PART_ENTRY_TYPE`). Special characters in a value have a backslash before them.
    blkid(device) on device -> pairs = guestfs_blkid;

    /// The label of the file system; empty if it has none.
    vfs_label(mountable) on mountable -> bytes = guestfs_vfs_label;

    /// The UUID of the file system; empty if it has none.
    vfs_uuid(mountable) on mountable -> text = guestfs_vfs_uuid;

    /// The usual name of a device (`/dev/sda` for `/dev/vda`, `/dev/VG/LV` for
    /// `/dev/mapper/VG-LV`).
    canonical_device_name(device) on device -> text = guestfs_canonical_device_name;

    /// Writes out everything that is cached.
    sync() -> unit = guestfs_sync;
}

impl Handle {
    /// Whether an NTFS volume could be mounted, with `writable` also for writing: the exit code of
    /// ntfs-3g.probe(8), 0 if so. The volume is not mounted.
    pub fn ntfs_3g_probe(&self, device: impl AsRef<[u8]>, writable: bool) -> Result<u32> {
        let call = self.call("ntfs_3g_probe").on(&device);
        let device = call.string("device", device)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe {
            call.integer("exit code", |g| {
                sys::guestfs_ntfs_3g_probe(g, writable.into(), device.as_ptr())
            })
        }
    }

    /// All mountables with their kinds of file system (`ext4`, `ntfs`, `swap`,
    /// `crypto_LUKS`, ..., `unknown`), sorted.
    pub fn list_filesystems(&self) -> Result<Vec<(Vec<u8>, String)>> {
        // SAFETY: a function that returns a hash table.
        let found = unsafe {
            self.call("list_filesystems")
                .pairs(|g| sys::guestfs_list_filesystems(g))
        }?;
        let mut found: Vec<_> = found
            .into_iter()
            .map(|(mountable, kind)| (mountable, lossy(kind)))
            .collect();
        found.sort();
        Ok(found)
    }

    /// The size of a device in bytes.
    pub fn blockdev_getsize64(&self, device: impl AsRef<[u8]>) -> Result<u64> {
        let call = self.call("blockdev_getsize64").on(&device);
        let device = call.string("device", device)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe {
            call.integer("size", |g| {
                sys::guestfs_blockdev_getsize64(g, device.as_ptr())
            })
        }
    }

    /// Up to `count` bytes of a device from `offset`; fewer at its end. A
    /// single answer has at most 4 MiB.
    pub fn pread_device(
        &self,
        device: impl AsRef<[u8]>,
        count: u32,
        offset: u64,
    ) -> Result<Vec<u8>> {
        let call = self.call("pread_device").on(&device);
        let device = call.string("device", device)?;
        let count = call.number("count", count)?;
        let offset = call.number("offset", offset)?;
        // SAFETY: a function that returns a buffer; the string lives until the
        // end of this method.
        unsafe {
            call.buffer(|g, size| {
                sys::guestfs_pread_device(g, device.as_ptr(), count, offset, size)
            })
        }
    }

    /// Makes a file system, and destroys what was on the device.
    pub fn mkfs(
        &self,
        fstype: impl AsRef<[u8]>,
        device: impl AsRef<[u8]>,
        options: &Mkfs,
    ) -> Result<()> {
        let call = self.call("mkfs").on(&device);
        let fstype = call.string("fstype", fstype)?;
        let device = call.string("device", device)?;
        let features = call.optional_string("features", options.features.as_ref())?;
        let label = call.optional_string("label", options.label.as_ref())?;
        let blocksize = call.optional_number("blocksize", options.blocksize)?;
        let inode = call.optional_number("inode", options.inode)?;
        let sectorsize = call.optional_number("sectorsize", options.sectorsize)?;

        let mut args = sys::guestfs_mkfs_opts_argv::default();
        set_option!(args.blocksize = blocksize, GUESTFS_MKFS_OPTS_BLOCKSIZE);
        let features = features.as_deref().map(CStr::as_ptr);
        set_option!(args.features = features, GUESTFS_MKFS_OPTS_FEATURES);
        set_option!(args.inode = inode, GUESTFS_MKFS_OPTS_INODE);
        set_option!(args.sectorsize = sectorsize, GUESTFS_MKFS_OPTS_SECTORSIZE);
        let label = label.as_deref().map(CStr::as_ptr);
        set_option!(args.label = label, GUESTFS_MKFS_OPTS_LABEL);
        // SAFETY: one call; the strings live until the end of this method.
        unsafe {
            call.unit(|g| {
                sys::guestfs_mkfs_opts_argv(g, fstype.as_ptr(), device.as_ptr(), &raw const args)
            })
        }
    }

    /// Makes a swap area, and destroys what was on the device.
    pub fn mkswap(&self, device: impl AsRef<[u8]>, label: Option<&str>) -> Result<()> {
        let call = self.call("mkswap").on(&device);
        let device = call.string("device", device)?;
        let label = label.map(|label| call.string("label", label)).transpose()?;
        let mut args = sys::guestfs_mkswap_opts_argv::default();
        let label = label.as_deref().map(CStr::as_ptr);
        set_option!(args.label = label, GUESTFS_MKSWAP_OPTS_LABEL);
        // SAFETY: one call; the strings live until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_mkswap_opts_argv(g, device.as_ptr(), &raw const args)) }
    }

    /// Tells the disk which blocks of a mounted file system are free, so that
    /// the image can give them back (the drive needs
    /// [`Discard`](crate::Discard)).
    pub fn fstrim(&self, mountpoint: impl AsRef<[u8]>, options: &Fstrim) -> Result<()> {
        let call = self.call("fstrim").on(&mountpoint);
        let mountpoint = call.string("mountpoint", mountpoint)?;
        let offset = call.optional_number("offset", options.offset)?;
        let length = call.optional_number("length", options.length)?;
        let minimum = call.optional_number("minimumfreeextent", options.minimum_free_extent)?;
        let mut args = sys::guestfs_fstrim_argv::default();
        set_option!(args.offset = offset, GUESTFS_FSTRIM_OFFSET);
        set_option!(args.length = length, GUESTFS_FSTRIM_LENGTH);
        set_option!(
            args.minimumfreeextent = minimum,
            GUESTFS_FSTRIM_MINIMUMFREEEXTENT
        );
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_fstrim_argv(g, mountpoint.as_ptr(), &raw const args)) }
    }
}

/// The optional arguments of [`Handle::mkfs`]. Not every kind of file system
/// takes every one.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Mkfs {
    blocksize: Option<u32>,
    features: Option<String>,
    inode: Option<u32>,
    sectorsize: Option<u32>,
    label: Option<String>,
}

impl Mkfs {
    /// What the kind of file system takes by default.
    pub fn new() -> Self {
        Self::default()
    }

    /// The block size in bytes.
    pub fn blocksize(mut self, bytes: u32) -> Self {
        self.blocksize = Some(bytes);
        self
    }

    /// Features, as `mkfs -O` takes them.
    pub fn features(mut self, features: impl Into<String>) -> Self {
        self.features = Some(features.into());
        self
    }

    /// The size of an inode in bytes.
    pub fn inode(mut self, bytes: u32) -> Self {
        self.inode = Some(bytes);
        self
    }

    /// The sector size in bytes.
    pub fn sectorsize(mut self, bytes: u32) -> Self {
        self.sectorsize = Some(bytes);
        self
    }

    /// The label.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }
}

/// The optional arguments of [`Handle::fstrim`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Fstrim {
    offset: Option<u64>,
    length: Option<u64>,
    minimum_free_extent: Option<u64>,
}

impl Fstrim {
    /// The whole file system.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where to begin, in bytes.
    pub fn offset(mut self, bytes: u64) -> Self {
        self.offset = Some(bytes);
        self
    }

    /// How much to look through, in bytes.
    pub fn length(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    /// Leave alone free extents that are smaller, in bytes.
    pub fn minimum_free_extent(mut self, bytes: u64) -> Self {
        self.minimum_free_extent = Some(bytes);
        self
    }
}
