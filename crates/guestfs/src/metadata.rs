//! Owner, mode and times.

use std::ffi::c_int;

use refit_guestfs_sys as sys;

use crate::call::set_option;
use crate::error::Result;
use crate::handle::Handle;
use crate::stat::Timestamp;

impl Handle {
    /// Sets the permissions; a link is followed.
    pub fn chmod(&self, path: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        let call = self.call("chmod").on(&path);
        let path = call.string("path", path)?;
        let mode = call.number("mode", mode)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_chmod(g, mode, path.as_ptr())) }
    }

    /// Sets owner and group; a link is followed. Clears the set-user-ID and
    /// set-group-ID bits (chown(2)), so set the permissions afterwards.
    pub fn chown(&self, path: impl AsRef<[u8]>, uid: u32, gid: u32) -> Result<()> {
        let call = self.call("chown").on(&path);
        let path = call.string("path", path)?;
        // The daemon gives the bits to chown(2), whose arguments are unsigned.
        let (uid, gid) = (uid.cast_signed(), gid.cast_signed());
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_chown(g, uid, gid, path.as_ptr())) }
    }

    /// Sets owner and group, of a link itself too.
    pub fn lchown(&self, path: impl AsRef<[u8]>, uid: u32, gid: u32) -> Result<()> {
        let call = self.call("lchown").on(&path);
        let path = call.string("path", path)?;
        let (uid, gid) = (uid.cast_signed(), gid.cast_signed());
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_lchown(g, uid, gid, path.as_ptr())) }
    }

    /// Sets the times of last read and last change; a link is followed.
    pub fn utimens(&self, path: impl AsRef<[u8]>, atime: SetTime, mtime: SetTime) -> Result<()> {
        let call = self.call("utimens").on(&path);
        let path = call.string("path", path)?;
        let (asec, ansec) = atime.to_raw();
        let (msec, mnsec) = mtime.to_raw();
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_utimens(g, path.as_ptr(), asec, ansec, msec, mnsec)) }
    }

    /// Copies attributes from one file to another.
    pub fn copy_attributes(
        &self,
        src: impl AsRef<[u8]>,
        dest: impl AsRef<[u8]>,
        options: &CopyAttributes,
    ) -> Result<()> {
        let call = self.call("copy_attributes").on(&dest);
        let src = call.string("src", src)?;
        let dest = call.string("dest", dest)?;
        let mut args = sys::guestfs_copy_attributes_argv::default();
        let all = options.all.map(c_int::from);
        set_option!(args.all = all, GUESTFS_COPY_ATTRIBUTES_ALL);
        let mode = options.mode.map(c_int::from);
        set_option!(args.mode = mode, GUESTFS_COPY_ATTRIBUTES_MODE);
        let xattributes = options.xattributes.map(c_int::from);
        set_option!(
            args.xattributes = xattributes,
            GUESTFS_COPY_ATTRIBUTES_XATTRIBUTES
        );
        let ownership = options.ownership.map(c_int::from);
        set_option!(
            args.ownership = ownership,
            GUESTFS_COPY_ATTRIBUTES_OWNERSHIP
        );
        // SAFETY: one call; the strings live until the end of this method.
        unsafe {
            call.unit(|g| {
                let (src, dest) = (src.as_ptr(), dest.as_ptr());
                sys::guestfs_copy_attributes_argv(g, src, dest, &raw const args)
            })
        }
    }
}

/// A time to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    /// This time.
    At(Timestamp),
    /// The appliance's time.
    Now,
    /// What it is.
    Keep,
}

impl SetTime {
    /// Seconds and nanoseconds, with utimens's special nanoseconds.
    fn to_raw(self) -> (i64, i64) {
        match self {
            Self::At(time) => (time.sec, time.nsec.into()),
            Self::Now => (0, -1),
            Self::Keep => (0, -2),
        }
    }
}

/// The optional arguments of [`Handle::copy_attributes`]: nothing unless set.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct CopyAttributes {
    all: Option<bool>,
    mode: Option<bool>,
    xattributes: Option<bool>,
    ownership: Option<bool>,
}

impl CopyAttributes {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// All of the others.
    pub fn all(mut self, all: bool) -> Self {
        self.all = Some(all);
        self
    }

    /// The permissions.
    pub fn mode(mut self, mode: bool) -> Self {
        self.mode = Some(mode);
        self
    }

    /// The extended attributes, the SELinux label among them.
    pub fn xattributes(mut self, xattributes: bool) -> Self {
        self.xattributes = Some(xattributes);
        self
    }

    /// Owner and group.
    pub fn ownership(mut self, ownership: bool) -> Self {
        self.ownership = Some(ownership);
        self
    }
}
