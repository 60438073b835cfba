//! Why an appliance cannot be opened.

use std::io;
use std::path::PathBuf;

/// Why an appliance cannot be opened, or a file of it not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// Reading failed.
    #[error("reading {path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// No such file.
    #[error("{path} does not exist. Check the path", path = .0.display())]
    Missing(PathBuf),
    /// A file without content.
    #[error("{path} is empty; fetch it again", path = .0.display())]
    Empty(PathBuf),
    /// Neither an archive nor a descriptor.
    #[error("{path} is no OVA: it is neither a tar archive nor an .ovf file", path = .0.display())]
    NotOva(PathBuf),
    /// An archive in another wrapping.
    #[error(
        "{path} is {form}; only plain tar archives are read, so unpack it first: {advice}",
        path = .path.display()
    )]
    Packed {
        /// The file.
        path: PathBuf,
        /// What it is, such as "compressed with gzip".
        form: &'static str,
        /// A command that unpacks it.
        advice: String,
    },
    /// A damaged or truncated archive.
    #[error("{path} is damaged at byte {offset}: {what}; fetch it again", path = .path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// Something that no appliance needs and that is not safe to read.
    #[error("{path} is refused: its member {member:?} {what}", path = .path.display())]
    Refused {
        /// The archive.
        path: PathBuf,
        /// The member.
        member: String,
        /// What is wrong with it.
        what: String,
    },
    /// No descriptor inside.
    #[error("{path} holds no OVF descriptor (no file named *.ovf)", path = .0.display())]
    NoDescriptor(PathBuf),
    /// More than one descriptor inside.
    #[error(
        "{path} holds several OVF descriptors ({names}); only one is expected",
        path = .path.display(), names = .names.join(", ")
    )]
    SeveralDescriptors {
        /// The archive or directory.
        path: PathBuf,
        /// The descriptors' names.
        names: Vec<String>,
    },
    /// Beyond the limits.
    #[error("{path} has {what}, more than the {limit} that are read", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What there is too much of.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// A text in no known character set.
    #[error(
        "{name} is not valid {encoding} from byte {offset} on, which its XML declaration or the lack of one \
         promises"
    )]
    Encoding {
        /// The descriptor.
        name: String,
        /// The character set.
        encoding: &'static str,
        /// Where.
        offset: usize,
    },
    /// A file that the descriptor refers to.
    #[error("the file {href:?} {what}")]
    Reference {
        /// The reference as written.
        href: String,
        /// What is wrong.
        what: String,
    },
    /// OpenSSL has no such digest (some are switched off by its configuration).
    #[error("digesting: {0}")]
    Digest(String),
    /// The user ended it.
    #[error("interrupted")]
    Interrupted,
}
