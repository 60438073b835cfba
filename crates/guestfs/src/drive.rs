//! The disks of the appliance.

use std::ffi::{CStr, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use refit_guestfs_sys as sys;

use crate::call::set_option;
use crate::error::Result;
use crate::handle::Handle;

impl Handle {
    /// Adds a disk image or block device of the host. The guest sees the disks
    /// in the order in which they are added: `/dev/sda`, `/dev/sdb`, ...
    ///
    /// Name the format of every image: a guest could write a header into a raw
    /// disk that makes it look like another format, and name files of the host
    /// there.
    ///
    /// # Errors
    ///
    /// [`Error::Call`](crate::Error::Call): the file cannot be read, an option
    /// is wrong, or the appliance runs already.
    pub fn add_drive(&self, host_path: impl AsRef<Path>, options: &AddDrive) -> Result<()> {
        let path = host_path.as_ref().as_os_str().as_bytes();
        let call = self.call("add_drive").on(path);
        let path = call.string("filename", path)?;
        let format = call.optional_string("format", options.format.as_ref())?;
        let iface = call.optional_string("iface", options.iface.as_ref())?;
        let name = call.optional_string("name", options.name.as_ref())?;
        let label = call.optional_string("label", options.label.as_ref())?;
        let blocksize = call.optional_number("blocksize", options.blocksize)?;
        let cachemode = options.cachemode.map(|mode| match mode {
            CacheMode::Writeback => c"writeback",
            CacheMode::Unsafe => c"unsafe",
        });
        let discard = options.discard.map(|discard| match discard {
            Discard::Disable => c"disable",
            Discard::Enable => c"enable",
            Discard::BestEffort => c"besteffort",
        });

        let mut args = sys::guestfs_add_drive_opts_argv::default();
        let readonly = options.readonly.map(c_int::from);
        set_option!(args.readonly = readonly, GUESTFS_ADD_DRIVE_OPTS_READONLY);
        let format = format.as_deref().map(CStr::as_ptr);
        set_option!(args.format = format, GUESTFS_ADD_DRIVE_OPTS_FORMAT);
        let iface = iface.as_deref().map(CStr::as_ptr);
        set_option!(args.iface = iface, GUESTFS_ADD_DRIVE_OPTS_IFACE);
        let name = name.as_deref().map(CStr::as_ptr);
        set_option!(args.name = name, GUESTFS_ADD_DRIVE_OPTS_NAME);
        let label = label.as_deref().map(CStr::as_ptr);
        set_option!(args.label = label, GUESTFS_ADD_DRIVE_OPTS_LABEL);
        set_option!(
            args.cachemode = cachemode.map(CStr::as_ptr),
            GUESTFS_ADD_DRIVE_OPTS_CACHEMODE
        );
        set_option!(
            args.discard = discard.map(CStr::as_ptr),
            GUESTFS_ADD_DRIVE_OPTS_DISCARD
        );
        let copyonread = options.copyonread.map(c_int::from);
        set_option!(
            args.copyonread = copyonread,
            GUESTFS_ADD_DRIVE_OPTS_COPYONREAD
        );
        set_option!(args.blocksize = blocksize, GUESTFS_ADD_DRIVE_OPTS_BLOCKSIZE);
        // SAFETY: one call; the strings live until the end of this method.
        unsafe {
            call.unit(|g| sys::guestfs_add_drive_opts_argv(g, path.as_ptr(), &raw const args))
        }
    }
}

/// How qemu caches the writes of a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMode {
    /// What is written reaches the disk when the appliance syncs. The default.
    Writeback,
    /// Syncs are ignored: fast, for disks that a crash may spoil.
    Unsafe,
}

/// What happens to the blocks that the guest discards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// They stay. The default.
    Disable,
    /// They are freed; the launch fails where that is not possible.
    Enable,
    /// They are freed where that is possible.
    BestEffort,
}

/// The optional arguments of [`Handle::add_drive`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct AddDrive {
    readonly: Option<bool>,
    format: Option<String>,
    iface: Option<String>,
    name: Option<String>,
    label: Option<String>,
    cachemode: Option<CacheMode>,
    discard: Option<Discard>,
    copyonread: Option<bool>,
    blocksize: Option<u32>,
}

impl AddDrive {
    /// A writable drive whose format is detected.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes go to a temporary overlay and are dropped at the end.
    pub fn readonly(mut self, readonly: bool) -> Self {
        self.readonly = Some(readonly);
        self
    }

    /// The image format, by qemu's name (`raw`, `qcow2`).
    pub fn format(mut self, format: impl Into<String>) -> Self {
        self.format = Some(format.into());
        self
    }

    /// The kind of controller; libguestfs chooses a good one itself.
    pub fn iface(mut self, iface: impl Into<String>) -> Self {
        self.iface = Some(iface.into());
        self
    }

    /// The name of the device in the original guest (`xvda`): inspection
    /// understands it then in `/etc/fstab`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The drive is also called `/dev/disk/guestfs/<label>`: up to 20 ASCII
    /// letters.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// How writes are cached.
    pub fn cachemode(mut self, cachemode: CacheMode) -> Self {
        self.cachemode = Some(cachemode);
        self
    }

    /// What discards do.
    pub fn discard(mut self, discard: Discard) -> Self {
        self.discard = Some(discard);
        self
    }

    /// What is read from a remote backing file is kept in the overlay.
    pub fn copyonread(mut self, copyonread: bool) -> Self {
        self.copyonread = Some(copyonread);
        self
    }

    /// The sector size in bytes: 512 or 4096.
    pub fn blocksize(mut self, bytes: u32) -> Self {
        self.blocksize = Some(bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn wrong_drives_are_typed_errors() {
        let handle = Handle::new().unwrap();
        for (path, options) in [
            ("/nonexistent.img", AddDrive::new().readonly(true)),
            ("/dev/null", AddDrive::new().format("r w")),
            ("/dev/null", AddDrive::new().blocksize(7)),
        ] {
            let error = handle.add_drive(path, &options).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Call {
                        call: "add_drive",
                        ..
                    }
                ),
                "{error:?}"
            );
            assert_eq!(error.path(), Some(path.as_bytes()));
        }
        let error = handle
            .add_drive("/dev/null", &AddDrive::new().name("a\0"))
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::InteriorNul {
                    argument: "name",
                    ..
                }
            ),
            "{error:?}"
        );
    }

    #[test]
    fn every_drive_option_is_understood() {
        let handle = Handle::new().unwrap();
        let options = AddDrive::new()
            .readonly(true)
            .format("raw")
            .iface("virtio")
            .name("xvda")
            .label("os")
            .cachemode(CacheMode::Unsafe)
            .discard(Discard::BestEffort)
            .copyonread(false)
            .blocksize(512);
        handle.add_drive("/dev/null", &options).unwrap();
        for cachemode in [CacheMode::Writeback, CacheMode::Unsafe] {
            handle
                .add_drive("/dev/null", &AddDrive::new().cachemode(cachemode))
                .unwrap();
        }
        handle
            .add_drive("/dev/null", &AddDrive::new().discard(Discard::Disable))
            .unwrap();
        let image = tempfile::NamedTempFile::new().unwrap();
        let enable = AddDrive::new().format("raw").discard(Discard::Enable);
        handle.add_drive(image.path(), &enable).unwrap();
    }
}
