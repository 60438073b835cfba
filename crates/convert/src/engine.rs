//! Which engine converts.

use std::fmt;

use refit_v2v::{ConvertError, ErrorKind, Tools};
use serde::Serialize;

/// What is to convert a guest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// virt-v2v; refit itself where virt-v2v refuses the kind of guest, or is not installed.
    #[default]
    Auto,
    /// virt-v2v, whatever it says.
    VirtV2v,
    /// refit itself.
    Refit,
}

/// What converted a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// virt-v2v, and then the fixups.
    VirtV2v,
    /// The fixups alone, and a copy.
    Refit,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::VirtV2v => "virt-v2v",
            Self::Refit => "refit",
        })
    }
}

/// Why refit itself converts although it was not told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// virt-v2v does not convert such a guest, in these words.
    Refused(String),
    /// virt-v2v is not installed.
    NotInstalled,
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(words) => write!(f, "{words}; refit goes on without it"),
            Self::NotInstalled => write!(f, "virt-v2v is not installed; refit goes on without it"),
        }
    }
}

impl Choice {
    /// Whether virt-v2v is not even asked, and why.
    pub(crate) fn without_asking(self, tools: &Tools) -> Option<Fallback> {
        (self == Self::Auto && tools.convert.is_none()).then_some(Fallback::NotInstalled)
    }

    /// Whether refit takes over after this error.
    pub(crate) fn after(self, error: &ConvertError) -> Option<Fallback> {
        (self == Self::Auto && error.kind.refuses_guest())
            .then(|| Fallback::Refused(error.to_string().trim_end_matches('.').to_owned()))
    }
}

/// The error of a guest that only virt-v2v converts, where it is not installed.
pub(crate) fn needs_virt_v2v(what: &str) -> ConvertError {
    ConvertError::new(
        ErrorKind::ToolMissing {
            name: "virt-v2v".to_owned(),
        },
        format!("{what} is converted by it alone"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refit_takes_over_only_for_the_kind_of_guest() {
        let unsupported = ErrorKind::UnsupportedGuest {
            guest: "linux/arch".to_owned(),
        };
        for (choice, kind, taken) in [
            (Choice::Auto, unsupported.clone(), true),
            (Choice::Auto, ErrorKind::NoOperatingSystem, true),
            (Choice::Auto, ErrorKind::EncryptedNoKey, false),
            (Choice::Auto, ErrorKind::DirtyNtfs, false),
            (Choice::Auto, ErrorKind::NoVirtioDrivers, false),
            (Choice::Auto, ErrorKind::NoSpaceHost, false),
            (Choice::Auto, ErrorKind::Interrupted, false),
            (Choice::VirtV2v, unsupported, false),
        ] {
            let error = ConvertError::new(kind, "");
            assert_eq!(choice.after(&error).is_some(), taken, "{choice:?} {error}");
        }
    }
}
