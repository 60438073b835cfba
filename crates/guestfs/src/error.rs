//! What can go wrong.

use std::io;
use std::time::Duration;

/// The result of a libguestfs call.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, in which call, on which guest path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No handle could be created, or a `LIBGUESTFS_*` variable is wrong.
    #[error("creating a libguestfs handle: {reason}")]
    Create {
        /// libguestfs's message, where it gave one.
        reason: String,
    },
    /// libguestfs, or the daemon in the appliance, refused a call.
    #[error("libguestfs: {}: {message}", subject(call, path.as_deref()))]
    Call {
        /// The C function without `guestfs_`.
        call: &'static str,
        /// The guest path, device or mountable that the call was about.
        path: Option<Vec<u8>>,
        /// libguestfs's message, control characters escaped; may have lines.
        message: String,
        /// The errno, `None` where libguestfs does not know it.
        errno: Option<i32>,
    },
    /// An argument has a NUL byte, which C strings cannot carry.
    #[error("libguestfs: {call}: the argument `{argument}` has a NUL byte")]
    InteriorNul {
        /// The C function without `guestfs_`.
        call: &'static str,
        /// The argument's name. Its value is left out: it may be a key.
        argument: &'static str,
    },
    /// A number does not fit the C argument.
    #[error("libguestfs: {call}: the argument `{argument}` is too large")]
    OutOfRange {
        /// The C function without `guestfs_`.
        call: &'static str,
        /// The argument's name.
        argument: &'static str,
    },
    /// The answer is one that the call cannot give: the appliance is broken,
    /// or the guest has taken it over.
    #[error("libguestfs: {call}: the appliance gave an impossible {what}")]
    Malformed {
        /// The C function without `guestfs_`.
        call: &'static str,
        /// Which part of the answer.
        what: &'static str,
    },
    /// There is more to read than the caller allows.
    #[error(
        "libguestfs: {}: more than the allowed {limit} bytes",
        subject(call, Some(path))
    )]
    TooLarge {
        /// The C function without `guestfs_`.
        call: &'static str,
        /// The guest path.
        path: Vec<u8>,
        /// The caller's limit in bytes.
        limit: u64,
    },
    /// A regular file was asked for, and this is a device, a pipe or a
    /// directory.
    #[error("libguestfs: {}: not a regular file", subject(call, Some(path)))]
    NotRegular {
        /// The C function without `guestfs_`.
        call: &'static str,
        /// The guest path.
        path: Vec<u8>,
    },
    /// [`CancelHandle::cancel`](crate::CancelHandle::cancel) ended the call, or
    /// [`CancelHandle::stop`](crate::CancelHandle::stop) kept it from being made.
    #[error("libguestfs: {}: cancelled", subject(call, path.as_deref()))]
    Cancelled {
        /// The C function without `guestfs_`.
        call: &'static str,
        /// The guest path.
        path: Option<Vec<u8>>,
    },
    /// The appliance was not up in time, and its processes were killed.
    #[error(
        "libguestfs: launch: the appliance was not up after {} seconds \
         (set LIBGUESTFS_BACKEND_SETTINGS=force_tcg if KVM does not work here): {message}",
        limit.as_secs_f32()
    )]
    LaunchTimeout {
        /// The caller's limit.
        limit: Duration,
        /// libguestfs's own account of how the launch ended.
        message: String,
    },
    /// An event callback called the handle that called it. libguestfs is in
    /// the middle of another call then.
    #[error("libguestfs: {call}: called from an event callback of the same handle")]
    Reentrant {
        /// The C function without `guestfs_`.
        call: &'static str,
    },
    /// A hive is open already; libguestfs would silently drop its uncommitted
    /// changes.
    #[error(
        "libguestfs: hivex_open: another hive is open: {:?}",
        String::from_utf8_lossy(path)
    )]
    HiveOpen {
        /// The guest path of the hive that is open.
        path: Vec<u8>,
    },
    /// The host refused what the call needs besides libguestfs.
    #[error("libguestfs: {call}: preparing the call on the host")]
    Host {
        /// The C function without `guestfs_`.
        call: &'static str,
        /// The host's reason.
        source: io::Error,
    },
}

impl Error {
    /// The C function without `guestfs_`.
    pub fn call(&self) -> Option<&'static str> {
        match self {
            Self::Create { .. } => None,
            Self::Call { call, .. }
            | Self::InteriorNul { call, .. }
            | Self::OutOfRange { call, .. }
            | Self::Malformed { call, .. }
            | Self::TooLarge { call, .. }
            | Self::NotRegular { call, .. }
            | Self::Cancelled { call, .. }
            | Self::Reentrant { call }
            | Self::Host { call, .. } => Some(call),
            Self::LaunchTimeout { .. } => Some("launch"),
            Self::HiveOpen { .. } => Some("hivex_open"),
        }
    }

    /// The guest path, device or mountable that the call was about.
    pub fn path(&self) -> Option<&[u8]> {
        match self {
            Self::Call { path, .. } | Self::Cancelled { path, .. } => path.as_deref(),
            Self::TooLarge { path, .. }
            | Self::NotRegular { path, .. }
            | Self::HiveOpen { path } => Some(path),
            _ => None,
        }
    }

    /// The errno of a refused call, where libguestfs knows it.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Call { errno, .. } => *errno,
            Self::Cancelled { .. } => Some(libc::EINTR),
            Self::Host { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// Whether the path does not exist (`ENOENT`).
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Call {
                errno: Some(libc::ENOENT),
                ..
            }
        )
    }

    /// Whether this libguestfs, or its appliance, lacks the feature
    /// (`ENOTSUP`).
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::Call {
                errno: Some(libc::ENOTSUP),
                ..
            }
        )
    }
}

/// `read_file of "/etc/x"`, quoted and escaped: guest paths may hold terminal
/// control sequences.
fn subject(call: &str, path: Option<&[u8]>) -> String {
    match path {
        Some(path) => format!("{call} of {:?}", String::from_utf8_lossy(path)),
        None => call.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn messages_name_call_and_path_and_escape_them() {
        let error = Error::Call {
            call: "read_file",
            path: Some(b"/etc/\xff\x1b[31m".to_vec()),
            message: "open: No such file or directory".to_owned(),
            errno: Some(libc::ENOENT),
        };
        assert_eq!(
            error.to_string(),
            "libguestfs: read_file of \"/etc/\u{fffd}\\u{1b}[31m\": open: No such file or directory"
        );
        assert!(error.is_not_found() && !error.is_unsupported());
        assert_eq!(error.path(), Some(&b"/etc/\xff\x1b[31m"[..]));
    }

    #[test]
    fn a_key_with_a_nul_is_not_shown() {
        let error = Error::InteriorNul {
            call: "cryptsetup_open",
            argument: "key",
        };
        assert_eq!(
            error.to_string(),
            "libguestfs: cryptsetup_open: the argument `key` has a NUL byte"
        );
    }
}
