//! Reading and writing files, and their names.

use std::ffi::c_int;

use refit_guestfs_sys as sys;

use crate::call::{set_option, string_calls};
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::stat::FileType;

string_calls! {
    /// Whether anything has this path; a link counts wherever it leads.
    exists(path) on path -> flag = guestfs_exists;

    /// Whether the path is a symbolic link.
    is_symlink(path) on path -> flag = guestfs_is_symlink;

    /// Removes a file.
    rm(path) on path -> unit = guestfs_rm;

    /// Removes a file; none is no error.
    rm_f(path) on path -> unit = guestfs_rm_f;

    /// Moves like mv(1): into `dest` if that is a directory, and across file
    /// systems.
    mv(src, dest) on src -> unit = guestfs_mv;

    /// Renames within a file system, in one step, and replaces what is there.
    rename(oldpath, newpath) on oldpath -> unit = guestfs_rename;

    /// Makes a hard link.
    ln(target, linkname) on linkname -> unit = guestfs_ln;

    /// Makes a hard link in place of what is there.
    ln_f(target, linkname) on linkname -> unit = guestfs_ln_f;

    /// Makes a symbolic link.
    ln_s(target, linkname) on linkname -> unit = guestfs_ln_s;

    /// Makes a symbolic link in place of what is there.
    ln_sf(target, linkname) on linkname -> unit = guestfs_ln_sf;

    /// Where a symbolic link points to.
    readlink(path) on path -> bytes = guestfs_readlink;

    /// The path without links and dots.
    realpath(path) on path -> bytes = guestfs_realpath;

    /// The path with the case that the names really have, for paths from a
    /// Windows guest: ntfs-3g tells cases apart. The last name may be missing.
    case_sensitive_path(path) on path -> bytes = guestfs_case_sensitive_path;

    /// The checksum of a file, in hexadecimal: `md5`, `sha256`, ...
    checksum(kind, path) on path -> text = guestfs_checksum;

    /// The architecture of a binary, a kernel module or an initramfs.
    file_architecture(path) on path -> text = guestfs_file_architecture;

    /// Copies like `cp -a`: directories, owners, times, links, and all.
    cp_a(src, dest) on src -> unit = guestfs_cp_a;
}

impl Handle {
    /// Whether the path is a regular file; `follow` says if a link to one is.
    pub fn is_file(&self, path: impl AsRef<[u8]>, follow: bool) -> Result<bool> {
        let call = self.call("is_file").on(&path);
        let path = call.string("path", path)?;
        let mut args = sys::guestfs_is_file_opts_argv::default();
        let follow = Some(c_int::from(follow));
        set_option!(
            args.followsymlinks = follow,
            GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS
        );
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.flag(|g| sys::guestfs_is_file_opts_argv(g, path.as_ptr(), &raw const args)) }
    }

    /// Whether the path is a directory; `follow` says if a link to one is.
    pub fn is_dir(&self, path: impl AsRef<[u8]>, follow: bool) -> Result<bool> {
        let call = self.call("is_dir").on(&path);
        let path = call.string("path", path)?;
        let mut args = sys::guestfs_is_dir_opts_argv::default();
        let follow = Some(c_int::from(follow));
        set_option!(
            args.followsymlinks = follow,
            GUESTFS_IS_DIR_OPTS_FOLLOWSYMLINKS
        );
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.flag(|g| sys::guestfs_is_dir_opts_argv(g, path.as_ptr(), &raw const args)) }
    }

    /// The size of a file in bytes; a link is followed.
    pub fn filesize(&self, path: impl AsRef<[u8]>) -> Result<u64> {
        let call = self.call("filesize").on(&path);
        let path = call.string("path", path)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.integer("size", |g| sys::guestfs_filesize(g, path.as_ptr())) }
    }

    /// The content of a file, however large, and for ever if it is a pipe:
    /// [`read_file_within`](Self::read_file_within) suits files that a guest
    /// has chosen.
    pub fn read_file(&self, path: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        let call = self.call("read_file").on(&path);
        let path = call.string("path", path)?;
        // SAFETY: a function that returns a buffer; the string lives until the
        // end of this method.
        unsafe { call.buffer(|g, size| sys::guestfs_read_file(g, path.as_ptr(), size)) }
    }

    /// The content of a regular file of at most `limit` bytes; a link is
    /// followed.
    ///
    /// # Errors
    ///
    /// [`Error::NotRegular`], [`Error::TooLarge`].
    pub fn read_file_within(&self, path: impl AsRef<[u8]>, limit: u64) -> Result<Vec<u8>> {
        let call = "read_file";
        let path = path.as_ref();
        let stat = self.statns(path)?;
        if stat.file_type() != FileType::Regular {
            return Err(Error::NotRegular {
                call,
                path: path.to_vec(),
            });
        }
        if stat.size > limit {
            return Err(Error::TooLarge {
                call,
                path: path.to_vec(),
                limit,
            });
        }
        self.read_file(path)
    }

    /// Up to `count` bytes of a file from `offset`; fewer, or none, at its end.
    /// A single answer has at most 4 MiB.
    pub fn pread(&self, path: impl AsRef<[u8]>, count: u32, offset: u64) -> Result<Vec<u8>> {
        let call = self.call("pread").on(&path);
        let path = call.string("path", path)?;
        let count = call.number("count", count)?;
        let offset = call.number("offset", offset)?;
        // SAFETY: a function that returns a buffer; the string lives until the
        // end of this method.
        unsafe { call.buffer(|g, size| sys::guestfs_pread(g, path.as_ptr(), count, offset, size)) }
    }

    /// Writes a file, anew or in place of its content; owner and mode of a file
    /// that is there stay.
    pub fn write(&self, path: impl AsRef<[u8]>, content: &[u8]) -> Result<()> {
        let call = self.call("write").on(&path);
        let path = call.string("path", path)?;
        // SAFETY: one call; C reads the content by its length, and string and
        // content live until the end of this method.
        unsafe {
            call.unit(|g| {
                sys::guestfs_write(g, path.as_ptr(), content.as_ptr().cast(), content.len())
            })
        }
    }

    /// Appends to a file, or writes it anew.
    pub fn write_append(&self, path: impl AsRef<[u8]>, content: &[u8]) -> Result<()> {
        let call = self.call("write_append").on(&path);
        let path = call.string("path", path)?;
        // SAFETY: as for `write`.
        unsafe {
            call.unit(|g| {
                sys::guestfs_write_append(g, path.as_ptr(), content.as_ptr().cast(), content.len())
            })
        }
    }

    /// Writes into a file that is there, from `offset`; gives how many bytes
    /// were written, which may be fewer than there are. A single request has
    /// at most 4 MiB.
    pub fn pwrite(&self, path: impl AsRef<[u8]>, content: &[u8], offset: u64) -> Result<usize> {
        let call = self.call("pwrite").on(&path);
        let path = call.string("path", path)?;
        let offset = call.number("offset", offset)?;
        // SAFETY: as for `write`.
        unsafe {
            call.integer("length", |g| {
                let (start, length) = (content.as_ptr().cast(), content.len());
                sys::guestfs_pwrite(g, path.as_ptr(), start, length, offset)
            })
        }
    }

    /// Cuts a file off at `size` bytes, or lengthens it with zeros.
    pub fn truncate_size(&self, path: impl AsRef<[u8]>, size: u64) -> Result<()> {
        let call = self.call("truncate_size").on(&path);
        let path = call.string("path", path)?;
        let size = call.number("size", size)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_truncate_size(g, path.as_ptr(), size)) }
    }

    /// Copies the content of a file over that of another, or a new one; not
    /// its owner, mode and attributes.
    pub fn copy_file_to_file(&self, src: impl AsRef<[u8]>, dest: impl AsRef<[u8]>) -> Result<()> {
        let call = self.call("copy_file_to_file").on(&src);
        let src = call.string("src", src)?;
        let dest = call.string("dest", dest)?;
        let args = sys::guestfs_copy_file_to_file_argv::default();
        // SAFETY: one call; the strings live until the end of this method.
        unsafe {
            call.unit(|g| {
                let (src, dest) = (src.as_ptr(), dest.as_ptr());
                sys::guestfs_copy_file_to_file_argv(g, src, dest, &raw const args)
            })
        }
    }
}
