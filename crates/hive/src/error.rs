//! What can be wrong with a hive, its logs, or an edit.

/// Why a hive cannot be read, recovered or edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HiveError {
    /// The bytes do not begin as a hive's primary file does.
    #[error("this is not a registry hive: {0}")]
    NotAHive(&'static str),
    /// The format version is none of 1.3 to 1.6.
    #[error(
        "the registry hive has format version {major}.{minor}; only 1.3 to 1.6 can be read here"
    )]
    Version {
        /// Major version of the header.
        major: u32,
        /// Minor version of the header.
        minor: u32,
    },
    /// The file ends before the data that its header promises.
    #[error(
        "the registry hive is cut short: its header promises {promised} bytes, but there are {actual}"
    )]
    Truncated {
        /// Bytes by the header.
        promised: u64,
        /// Bytes there are.
        actual: u64,
    },
    /// Something inside contradicts the format.
    #[error("the registry hive is damaged at byte {at:#x}: {what}")]
    Unsound {
        /// Position in the file, in bytes.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Windows did not write this hive out completely: changes are in its transaction logs.
    #[error(
        "the registry hive was not written out completely (its sequence numbers are {primary} and {secondary}): \
         changes wait in its transaction logs; start and shut down this Windows properly (no hibernation, no fast start-up)"
    )]
    Dirty {
        /// Sequence number before the last write.
        primary: u32,
        /// Sequence number after the last complete write.
        secondary: u32,
    },
    /// The transaction logs cannot be replayed.
    #[error(
        "the registry hive's transaction logs cannot be replayed: {0}; start and shut down this Windows properly"
    )]
    Log(&'static str),
    /// A name that the registry does not allow.
    #[error("{name:?} is no name for the registry: {why}")]
    Name {
        /// The name or path.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The hive has no room for this edit.
    #[error("the registry hive cannot take this: {0}")]
    Limit(&'static str),
    /// Registration text that is not understood.
    #[error("line {line} of the registration text: {what}")]
    Reg {
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
}

/// `HiveError::Unsound` for an offset into the hive bins.
pub(crate) fn unsound(offset: u32, what: &'static str) -> HiveError {
    HiveError::Unsound {
        at: u64::from(offset) + crate::header::SIZE as u64,
        what,
    }
}
