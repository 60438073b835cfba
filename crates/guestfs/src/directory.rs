//! Directories: what is in them, making and removing them.

use std::ffi::c_char;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::thread;

use refit_guestfs_sys as sys;

use crate::call::string_calls;
use crate::cancel::CancelHandle;
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::memory::{copy_string, elements};
use crate::stat::FileType;

string_calls! {
    /// Makes a directory, its mode 0777 less the umask 022.
    mkdir(path) on path -> unit = guestfs_mkdir;

    /// Makes a directory and those above it that are missing.
    mkdir_p(path) on path -> unit = guestfs_mkdir_p;

    /// Makes a directory of mode 0700 with a new name, for a template that
    /// ends in `XXXXXX`; gives its path.
    mkdtemp(template) on template -> bytes = guestfs_mkdtemp;

    /// Removes an empty directory.
    rmdir(path) on path -> unit = guestfs_rmdir;

    /// Removes a path and everything below it; nothing is no error.
    rm_rf(path) on path -> unit = guestfs_rm_rf;
}

impl Handle {
    /// Makes a directory with a mode, less the umask 022.
    pub fn mkdir_mode(&self, path: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        let call = self.call("mkdir_mode").on(&path);
        let path = call.string("path", path)?;
        let mode = call.number("mode", mode)?;
        // SAFETY: one call; the string lives until the end of this method.
        unsafe { call.unit(|g| sys::guestfs_mkdir_mode(g, path.as_ptr(), mode)) }
    }

    /// The entries of a directory, in no order, without `.` and `..`.
    pub fn readdir(&self, directory: impl AsRef<[u8]>) -> Result<Vec<DirEntry>> {
        let call = self.call("readdir").on(&directory);
        let directory = call.string("dir", directory)?;
        // SAFETY: a structure function and the function that frees it, whose
        // names are strings; the argument lives until the end of this method.
        unsafe {
            call.structure(
                |g| sys::guestfs_readdir(g, directory.as_ptr()),
                sys::guestfs_free_dirent_list,
                |list| {
                    let entries = elements(list.val, list.len).iter();
                    let entries = entries.map(|raw| DirEntry {
                        ino: raw.ino.cast_unsigned(),
                        file_type: file_type(raw.ftyp),
                        name: copy_string(raw.name),
                    });
                    Ok(entries
                        .filter(|e| e.name != b"." && e.name != b"..")
                        .collect())
                },
            )
        }
    }

    /// The names in a directory, in no order, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if the names, with a byte each to end them, take
    /// more than `limit` bytes.
    pub fn ls0(&self, directory: impl AsRef<[u8]>, limit: u64) -> Result<Vec<Vec<u8>>> {
        let path = directory.as_ref();
        let call = self.call("ls0").on(path);
        let directory = call.string("dir", path)?;
        self.names("ls0", path, limit, |file| {
            // SAFETY: one call; the strings live until it returns.
            unsafe { call.unit(|g| sys::guestfs_ls0(g, directory.as_ptr(), file)) }
        })
    }

    /// All paths below a directory, relative to it, in no order.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if the paths, with a byte each to end them, take
    /// more than `limit` bytes.
    pub fn find0(&self, directory: impl AsRef<[u8]>, limit: u64) -> Result<Vec<Vec<u8>>> {
        let path = directory.as_ref();
        let call = self.call("find0").on(path);
        let directory = call.string("directory", path)?;
        self.names("find0", path, limit, |file| {
            // SAFETY: one call; the strings live until it returns.
            unsafe { call.unit(|g| sys::guestfs_find0(g, directory.as_ptr(), file)) }
        })
    }

    /// Runs a function that writes names to a file of the host, through a pipe,
    /// so that a guest with endless names fills neither memory nor disk.
    fn names(
        &self,
        call: &'static str,
        path: &[u8],
        limit: u64,
        function: impl FnOnce(*const c_char) -> Result<()>,
    ) -> Result<Vec<Vec<u8>>> {
        let host = |source| Error::Host { call, source };
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|errno| host(errno.into()))?;
        let file = self
            .call(call)
            .string("file", format!("/proc/self/fd/{}", writer.as_raw_fd()))?;
        let cancel = self.cancel_handle();
        let (result, read) = thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name(format!("guestfs-{call}"))
                .spawn_scoped(scope, || read_within(reader, limit, &cancel))?;
            let result = function(file.as_ptr());
            // Or the reader would wait for more.
            drop(writer);
            Ok((
                result,
                thread
                    .join()
                    .unwrap_or_else(|_| Err(io::ErrorKind::Other.into())),
            ))
        })
        .map_err(host)?;
        let Some(text) = read.map_err(host)? else {
            return Err(Error::TooLarge {
                call,
                path: path.to_vec(),
                limit,
            });
        };
        result?;
        Ok(split_names(&text))
    }
}

/// Reads to the end; `None` if there is more than `limit`: then the transfer
/// is cancelled, and what still comes is dropped.
fn read_within(pipe: OwnedFd, limit: u64, cancel: &CancelHandle) -> io::Result<Option<Vec<u8>>> {
    let mut pipe = File::from(pipe);
    let mut text = Vec::new();
    // One more than allowed tells "full" from "too much".
    pipe.by_ref()
        .take(limit.saturating_add(1))
        .read_to_end(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= limit) {
        return Ok(Some(text));
    }
    cancel.cancel();
    io::copy(&mut pipe, &mut io::sink())?;
    Ok(None)
}

/// Each name ends with a NUL.
fn split_names(text: &[u8]) -> Vec<Vec<u8>> {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The inode's number.
    pub ino: u64,
    /// The kind of file; unknown on file systems that do not keep it here.
    pub file_type: FileType,
    /// The name.
    pub name: Vec<u8>,
}

/// From the letters that the daemon uses for `d_type` (guestfs(3), readdir).
fn file_type(letter: c_char) -> FileType {
    match letter.to_ne_bytes() {
        [b'r'] => FileType::Regular,
        [b'd'] => FileType::Directory,
        [b'l'] => FileType::Symlink,
        [b'b'] => FileType::Block,
        [b'c'] => FileType::Char,
        [b'f'] => FileType::Fifo,
        [b's'] => FileType::Socket,
        _ => FileType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn names_end_with_nul() {
        for (text, expected) in [
            (&b""[..], &[][..]),
            (b"a\0", &[&b"a"[..]]),
            (b"a\0b\xff\n\0", &[b"a", b"b\xff\n"]),
        ] {
            assert_eq!(split_names(text), expected, "{text:?}");
        }
    }

    #[test]
    fn reading_stops_at_the_limit_and_drains_the_pipe() {
        let handle = Handle::new().unwrap();
        for (limit, expected) in [
            (4, None),
            (5, Some(b"12345".to_vec())),
            (u64::MAX, Some(b"12345".to_vec())),
        ] {
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            File::from(writer).write_all(b"12345").unwrap();
            let read = read_within(reader, limit, &handle.cancel_handle()).unwrap();
            assert_eq!(read, expected, "{limit}");
        }
    }

    #[test]
    fn a_listing_that_cannot_begin_ends() {
        let handle = Handle::new().unwrap();
        let error = handle.find0("/", 1000).unwrap_err();
        assert!(
            matches!(error, Error::Call { call: "find0", .. }),
            "{error:?}"
        );
    }
}
