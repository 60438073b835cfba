//! Extended attributes: `user.*`, `security.selinux`, ...

use refit_guestfs_sys as sys;

use crate::error::Result;
use crate::handle::Handle;
use crate::memory::{copy_buffer, copy_string, elements};

impl Handle {
    /// The attributes of a file; a link is followed.
    pub fn getxattrs(&self, path: impl AsRef<[u8]>) -> Result<Vec<Xattr>> {
        let call = self.call("getxattrs").on(&path);
        let path = call.string("path", path)?;
        // SAFETY: a structure function and the function that frees it; the
        // string lives until the end of this method.
        unsafe {
            call.structure(
                |g| sys::guestfs_getxattrs(g, path.as_ptr()),
                sys::guestfs_free_xattr_list,
                |list| Ok(copy_list(list)),
            )
        }
    }

    /// The attributes of a file, of a link itself too.
    pub fn lgetxattrs(&self, path: impl AsRef<[u8]>) -> Result<Vec<Xattr>> {
        let call = self.call("lgetxattrs").on(&path);
        let path = call.string("path", path)?;
        // SAFETY: a structure function and the function that frees it; the
        // string lives until the end of this method.
        unsafe {
            call.structure(
                |g| sys::guestfs_lgetxattrs(g, path.as_ptr()),
                sys::guestfs_free_xattr_list,
                |list| Ok(copy_list(list)),
            )
        }
    }

    /// The value of one attribute, of a link itself too. Finds also what a file system has and does not
    /// list, as ntfs-3g does its `system.ntfs_acl`.
    pub fn lgetxattr(&self, path: impl AsRef<[u8]>, name: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        let call = self.call("lgetxattr").on(&path);
        let path = call.string("path", path)?;
        let name = call.string("name", name)?;
        // SAFETY: a function that returns a buffer; the strings live until the
        // end of this method.
        unsafe {
            call.buffer(|g, size| sys::guestfs_lgetxattr(g, path.as_ptr(), name.as_ptr(), size))
        }
    }

    /// Sets an attribute; a link is followed.
    ///
    /// libguestfs passes the value on as a C string, so it can have a NUL at
    /// its end only, as SELinux labels do. Access control lists and
    /// capabilities go by [`tar_in`](Self::tar_in) or
    /// [`copy_attributes`](Self::copy_attributes).
    pub fn setxattr(
        &self,
        path: impl AsRef<[u8]>,
        name: impl AsRef<[u8]>,
        value: &[u8],
    ) -> Result<()> {
        let call = self.call("setxattr").on(&path);
        let path = call.string("path", path)?;
        let name = call.string("xattr", name)?;
        let length = call.number("vallen", value.len())?;
        let value = call.string("val", without_final_nul(value))?;
        // SAFETY: one call; the strings live until the end of this method.
        unsafe {
            call.unit(|g| {
                let (path, name, value) = (path.as_ptr(), name.as_ptr(), value.as_ptr());
                sys::guestfs_setxattr(g, name, value, length, path)
            })
        }
    }

    /// Sets an attribute, of a link itself too; for the value see
    /// [`setxattr`](Self::setxattr).
    pub fn lsetxattr(
        &self,
        path: impl AsRef<[u8]>,
        name: impl AsRef<[u8]>,
        value: &[u8],
    ) -> Result<()> {
        let call = self.call("lsetxattr").on(&path);
        let path = call.string("path", path)?;
        let name = call.string("xattr", name)?;
        let length = call.number("vallen", value.len())?;
        let value = call.string("val", without_final_nul(value))?;
        // SAFETY: one call; the strings live until the end of this method.
        unsafe {
            call.unit(|g| {
                let (path, name, value) = (path.as_ptr(), name.as_ptr(), value.as_ptr());
                sys::guestfs_lsetxattr(g, name, value, length, path)
            })
        }
    }

    /// Removes an attribute; a link is followed.
    pub fn removexattr(&self, path: impl AsRef<[u8]>, name: impl AsRef<[u8]>) -> Result<()> {
        let call = self.call("removexattr").on(&path);
        let path = call.string("path", path)?;
        let name = call.string("xattr", name)?;
        // SAFETY: one call; the strings live until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_removexattr(g, name.as_ptr(), path.as_ptr())) }
    }

    /// Removes an attribute, of a link itself too.
    pub fn lremovexattr(&self, path: impl AsRef<[u8]>, name: impl AsRef<[u8]>) -> Result<()> {
        let call = self.call("lremovexattr").on(&path);
        let path = call.string("path", path)?;
        let name = call.string("xattr", name)?;
        // SAFETY: one call; the strings live until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_lremovexattr(g, name.as_ptr(), path.as_ptr())) }
    }
}

/// The final NUL of a value: the C string has it anyway.
fn without_final_nul(value: &[u8]) -> &[u8] {
    value.strip_suffix(b"\0").unwrap_or(value)
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// The name with its name space: `user.x`.
    pub name: Vec<u8>,
    /// The value, any bytes.
    pub value: Vec<u8>,
}

/// # Safety
///
/// The list is one that libguestfs has returned and that is not freed yet.
unsafe fn copy_list(list: &sys::guestfs_xattr_list) -> Vec<Xattr> {
    // SAFETY: by this function's contract.
    let attributes = unsafe { elements(list.val, list.len) };
    let copy = |raw: &sys::guestfs_xattr| Xattr {
        // SAFETY: by this function's contract; a name is a string, a value
        // has its length beside it.
        name: unsafe { copy_string(raw.attrname) },
        // SAFETY: as above.
        value: unsafe { copy_buffer(raw.attrval, raw.attrval_len as usize) },
    };
    attributes.iter().map(copy).collect()
}
