//! Mounting file systems at guest paths.

use refit_guestfs_sys as sys;

use crate::call::string_calls;
use crate::error::Result;
use crate::handle::Handle;
use crate::memory::lossy;

string_calls! {
    /// Mounts read-write.
    mount(mountable, mountpoint) on mountable -> unit = guestfs_mount;

    /// Mounts with options, as `mount -o` takes them.
    mount_options(options, mountable, mountpoint) on mountable -> unit = guestfs_mount_options;

    /// Mounts read-only. On a writable drive a journal is replayed all the
    /// same, so add the drive read-only if nothing may change.
    mount_ro(mountable, mountpoint) on mountable -> unit = guestfs_mount_ro;

    /// Mounts with options and a given kind of file system.
    mount_vfs(options, vfstype, mountable, mountpoint) on mountable -> unit = guestfs_mount_vfs;

    /// Unmounts everything. Do so before closing: it tells of write errors.
    umount_all() -> unit = guestfs_umount_all;
}

impl Handle {
    /// Unmounts one file system, by its mount point or device.
    pub fn umount(&self, path_or_device: impl AsRef<[u8]>) -> Result<()> {
        let call = self.call("umount").on(&path_or_device);
        let target = call.string("pathordevice", path_or_device)?;
        let args = sys::guestfs_umount_opts_argv::default();
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_umount_opts_argv(g, target.as_ptr(), &raw const args)) }
    }

    /// The devices that are mounted, with their mount points.
    pub fn mountpoints(&self) -> Result<Vec<(String, Vec<u8>)>> {
        // SAFETY: a function that returns a hash table.
        let mounted = unsafe {
            self.call("mountpoints")
                .pairs(|g| sys::guestfs_mountpoints(g))
        }?;
        Ok(mounted
            .into_iter()
            .map(|(device, at)| (lossy(device), at))
            .collect())
    }
}
