//! What operating systems are on the disks (guestfs(3), INSPECTION).
//!
//! A root is a mountable, as `inspect_os` gives it. Call that first; the
//! others answer from what it found, but `osinfo` and some others ask the
//! appliance again.

use refit_guestfs_sys as sys;

use crate::call::string_calls;
use crate::error::Result;
use crate::handle::Handle;
use crate::memory::lossy;

string_calls! {
    /// Looks for operating systems, and gives the root of each. Takes seconds,
    /// and unmounts everything.
    inspect_os() -> list = guestfs_inspect_os;

    /// The kind: `linux`, `windows`, `freebsd`, ..., `unknown`.
    inspect_get_type(root) on root -> text = guestfs_inspect_get_type;

    /// The distribution: `debian`, `rhel`, `windows`, ..., `unknown`.
    inspect_get_distro(root) on root -> text = guestfs_inspect_get_distro;

    /// The product's name as the guest gives it, for people; `unknown`.
    inspect_get_product_name(root) on root -> text = guestfs_inspect_get_product_name;

    /// Windows: the edition (`Client`, `Server`, ...); `unknown`.
    inspect_get_product_variant(root) on root -> text = guestfs_inspect_get_product_variant;

    /// The architecture: `x86_64`, `i386`, `aarch64`, ..., `unknown`.
    inspect_get_arch(root) on root -> text = guestfs_inspect_get_arch;

    /// The host name as the guest gives it; `unknown`.
    inspect_get_hostname(root) on root -> text = guestfs_inspect_get_hostname;

    /// The mountables of the operating system, swap included.
    inspect_get_filesystems(root) on root -> list = guestfs_inspect_get_filesystems;

    /// The package format: `rpm`, `deb`, ..., `unknown`.
    inspect_get_package_format(root) on root -> text = guestfs_inspect_get_package_format;

    /// The package manager: `dnf`, `apt`, ..., `unknown`.
    inspect_get_package_management(root) on root -> text =
        guestfs_inspect_get_package_management;

    /// The operating system's short name in the libosinfo database; `unknown`.
    /// Slow: several questions to the appliance.
    inspect_get_osinfo(root) on root -> text = guestfs_inspect_get_osinfo;

    /// Windows: the guest path of `%systemroot%`, `/Windows` as a rule.
    inspect_get_windows_systemroot(root) on root -> bytes =
        guestfs_inspect_get_windows_systemroot;

    /// Windows: the guest path of the SOFTWARE hive.
    inspect_get_windows_software_hive(root) on root -> bytes =
        guestfs_inspect_get_windows_software_hive;

    /// Windows: the guest path of the SYSTEM hive.
    inspect_get_windows_system_hive(root) on root -> bytes =
        guestfs_inspect_get_windows_system_hive;

    /// Windows: the control set that is used, `ControlSet001` as a rule.
    inspect_get_windows_current_control_set(root) on root -> text =
        guestfs_inspect_get_windows_current_control_set;
}

impl Handle {
    /// The first number of the version; 0 if unknown.
    pub fn inspect_get_major_version(&self, root: impl AsRef<[u8]>) -> Result<i32> {
        let call = self.call("inspect_get_major_version").on(&root);
        let root = call.string("root", root)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe {
            call.integer("version", |g| {
                sys::guestfs_inspect_get_major_version(g, root.as_ptr())
            })
        }
    }

    /// The second number of the version; 0 if unknown.
    pub fn inspect_get_minor_version(&self, root: impl AsRef<[u8]>) -> Result<i32> {
        let call = self.call("inspect_get_minor_version").on(&root);
        let root = call.string("root", root)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe {
            call.integer("version", |g| {
                sys::guestfs_inspect_get_minor_version(g, root.as_ptr())
            })
        }
    }

    /// What to mount where: mount points with their mountables, in an order in
    /// which they can be mounted. Mounting some may fail, so report those and
    /// go on.
    pub fn inspect_get_mountpoints(
        &self,
        root: impl AsRef<[u8]>,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let call = self.call("inspect_get_mountpoints").on(&root);
        let root = call.string("root", root)?;
        // SAFETY: a function that returns a hash table; the string lives until
        // the end of this method.
        let mut mountpoints =
            unsafe { call.pairs(|g| sys::guestfs_inspect_get_mountpoints(g, root.as_ptr())) }?;
        mountpoints.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
        Ok(mountpoints)
    }

    /// Windows: drive letters (`C`) with their devices (`/dev/sda2`), sorted;
    /// empty if unknown.
    pub fn inspect_get_drive_mappings(
        &self,
        root: impl AsRef<[u8]>,
    ) -> Result<Vec<(String, String)>> {
        let call = self.call("inspect_get_drive_mappings").on(&root);
        let root = call.string("root", root)?;
        // SAFETY: a function that returns a hash table; the string lives until
        // the end of this method.
        let mappings =
            unsafe { call.pairs(|g| sys::guestfs_inspect_get_drive_mappings(g, root.as_ptr())) }?;
        let mut mappings: Vec<_> = mappings
            .into_iter()
            .map(|(letter, device)| (lossy(letter), lossy(device)))
            .collect();
        mappings.sort();
        Ok(mappings)
    }
}
