//! Copying trees between host and guest as tar archives: one call for many
//! files.

use std::ffi::{CStr, c_int};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use refit_guestfs_sys as sys;

use crate::call::set_option;
use crate::error::Result;
use crate::handle::Handle;

impl Handle {
    /// Packs a guest's directory into an archive on the host, with names
    /// relative to the directory.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn tar_out(
        &self,
        directory: impl AsRef<[u8]>,
        host_path: impl AsRef<Path>,
        options: &TarOut,
    ) -> Result<()> {
        let call = self.call("tar_out").on(&directory);
        let directory = call.string("directory", directory)?;
        let file = call.string("tarfile", host_path.as_ref().as_os_str().as_bytes())?;
        let compress = call.optional_string("compress", options.compress.as_ref())?;
        let excludes = match options.excludes.as_slice() {
            [] => None,
            excludes => Some(call.strings("excludes", excludes)?),
        };
        let mut args = sys::guestfs_tar_out_opts_argv::default();
        let compress = compress.as_deref().map(CStr::as_ptr);
        set_option!(args.compress = compress, GUESTFS_TAR_OUT_OPTS_COMPRESS);
        let numericowner = options.numericowner.map(c_int::from);
        set_option!(
            args.numericowner = numericowner,
            GUESTFS_TAR_OUT_OPTS_NUMERICOWNER
        );
        let excludes = excludes.as_ref().map(|list| list.as_ptr());
        set_option!(args.excludes = excludes, GUESTFS_TAR_OUT_OPTS_EXCLUDES);
        let xattrs = options.xattrs.map(c_int::from);
        set_option!(args.xattrs = xattrs, GUESTFS_TAR_OUT_OPTS_XATTRS);
        let selinux = options.selinux.map(c_int::from);
        set_option!(args.selinux = selinux, GUESTFS_TAR_OUT_OPTS_SELINUX);
        let acls = options.acls.map(c_int::from);
        set_option!(args.acls = acls, GUESTFS_TAR_OUT_OPTS_ACLS);
        // SAFETY: one call; strings and list live until the end of this method.
        unsafe {
            call.unit(|g| {
                let (directory, file) = (directory.as_ptr(), file.as_ptr());
                sys::guestfs_tar_out_opts_argv(g, directory, file, &raw const args)
            })
        }
    }

    /// Unpacks an archive of the host into a guest's directory, which is
    /// there already. Owners are taken by number.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn tar_in(
        &self,
        host_path: impl AsRef<Path>,
        directory: impl AsRef<[u8]>,
        options: &TarIn,
    ) -> Result<()> {
        let call = self.call("tar_in").on(&directory);
        let file = call.string("tarfile", host_path.as_ref().as_os_str().as_bytes())?;
        let directory = call.string("directory", directory)?;
        let compress = call.optional_string("compress", options.compress.as_ref())?;
        let mut args = sys::guestfs_tar_in_opts_argv::default();
        let compress = compress.as_deref().map(CStr::as_ptr);
        set_option!(args.compress = compress, GUESTFS_TAR_IN_OPTS_COMPRESS);
        let xattrs = options.xattrs.map(c_int::from);
        set_option!(args.xattrs = xattrs, GUESTFS_TAR_IN_OPTS_XATTRS);
        let selinux = options.selinux.map(c_int::from);
        set_option!(args.selinux = selinux, GUESTFS_TAR_IN_OPTS_SELINUX);
        let acls = options.acls.map(c_int::from);
        set_option!(args.acls = acls, GUESTFS_TAR_IN_OPTS_ACLS);
        // SAFETY: one call; the strings live until the end of this method.
        unsafe {
            call.unit(|g| {
                let (file, directory) = (file.as_ptr(), directory.as_ptr());
                sys::guestfs_tar_in_opts_argv(g, file, directory, &raw const args)
            })
        }
    }
}

/// The optional arguments of [`Handle::tar_out`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct TarOut {
    compress: Option<String>,
    numericowner: Option<bool>,
    excludes: Vec<Vec<u8>>,
    xattrs: Option<bool>,
    selinux: Option<bool>,
    acls: Option<bool>,
}

impl TarOut {
    /// Everything, not compressed, without attributes beyond owner and mode.
    pub fn new() -> Self {
        Self::default()
    }

    /// The compression: `gzip`, `bzip2`, `xz`, ...
    pub fn compress(mut self, compress: impl Into<String>) -> Self {
        self.compress = Some(compress.into());
        self
    }

    /// Only the numbers of owner and group, not their names in the guest.
    pub fn numericowner(mut self, numericowner: bool) -> Self {
        self.numericowner = Some(numericowner);
        self
    }

    /// Wildcards of names to leave out.
    pub fn excludes<S: AsRef<[u8]>>(mut self, excludes: impl IntoIterator<Item = S>) -> Self {
        self.excludes = excludes
            .into_iter()
            .map(|name| name.as_ref().to_vec())
            .collect();
        self
    }

    /// With extended attributes.
    pub fn xattrs(mut self, xattrs: bool) -> Self {
        self.xattrs = Some(xattrs);
        self
    }

    /// With SELinux labels.
    pub fn selinux(mut self, selinux: bool) -> Self {
        self.selinux = Some(selinux);
        self
    }

    /// With POSIX access control lists.
    pub fn acls(mut self, acls: bool) -> Self {
        self.acls = Some(acls);
        self
    }
}

/// The optional arguments of [`Handle::tar_in`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct TarIn {
    compress: Option<String>,
    xattrs: Option<bool>,
    selinux: Option<bool>,
    acls: Option<bool>,
}

impl TarIn {
    /// Not compressed; attributes beyond owner and mode are ignored.
    pub fn new() -> Self {
        Self::default()
    }

    /// The compression: `gzip`, `bzip2`, `xz`, ...
    pub fn compress(mut self, compress: impl Into<String>) -> Self {
        self.compress = Some(compress.into());
        self
    }

    /// With extended attributes.
    pub fn xattrs(mut self, xattrs: bool) -> Self {
        self.xattrs = Some(xattrs);
        self
    }

    /// With SELinux labels.
    pub fn selinux(mut self, selinux: bool) -> Self {
        self.selinux = Some(selinux);
        self
    }

    /// With POSIX access control lists.
    pub fn acls(mut self, acls: bool) -> Self {
        self.acls = Some(acls);
        self
    }
}
