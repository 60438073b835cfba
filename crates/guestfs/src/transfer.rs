//! Copying single files between host and guest.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use refit_guestfs_sys as sys;

use crate::error::Result;
use crate::handle::Handle;

impl Handle {
    /// Copies a guest's file to the host, over what is there.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`](crate::Error::Cancelled); what came before it
    /// stays on the host.
    pub fn download(&self, path: impl AsRef<[u8]>, host_path: impl AsRef<Path>) -> Result<()> {
        let call = self.call("download").on(&path);
        let path = call.string("remotefilename", path)?;
        let host_path = call.string("filename", host_path.as_ref().as_os_str().as_bytes())?;
        // SAFETY: one call; the strings live until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_download(g, path.as_ptr(), host_path.as_ptr())) }
    }

    /// Copies a file of the host into the guest, over what is there.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`](crate::Error::Cancelled); what came before it
    /// stays in the guest.
    pub fn upload(&self, host_path: impl AsRef<Path>, path: impl AsRef<[u8]>) -> Result<()> {
        let call = self.call("upload").on(&path);
        let host_path = call.string("filename", host_path.as_ref().as_os_str().as_bytes())?;
        let path = call.string("remotefilename", path)?;
        // SAFETY: one call; the strings live until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_upload(g, host_path.as_ptr(), path.as_ptr())) }
    }
}
