//! What keeps a boot from being tried at all. A guest that does not come up is no error: it is an
//! [`Outcome`](crate::Outcome).

use std::io;

use refit_image::ImageError;

/// Why no guest was started, or why the attempt was given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The options contradict each other or ask for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// A program that is needed is not installed.
    #[error("{program} is not installed; {hint}")]
    ProgramMissing {
        /// The program's name.
        program: &'static str,
        /// What to install.
        hint: &'static str,
    },
    /// A disk image cannot be used, or no overlay made for it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// No UEFI firmware image for qemu was found.
    #[error(
        "no {firmware} firmware for qemu (searched {searched}); install ovmf (Debian, Ubuntu) or edk2-ovmf (Fedora, Red Hat)"
    )]
    FirmwareMissing {
        /// What was looked for.
        firmware: &'static str,
        /// Where.
        searched: String,
    },
    /// KVM was asked for and does not work here.
    #[error("{0}; leave the choice to refit or ask for tcg")]
    KvmUnusable(String),
    /// The caller's cancel flag was raised.
    #[error("interrupted")]
    Cancelled,
    /// qemu's control socket said something unexpected.
    #[error("talking to qemu: {0}")]
    Qmp(String),
    /// The operating system refused something.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, as a gerund phrase naming the object.
        doing: String,
        /// The error itself.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: adds what was being done.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
