//! One package, in the same form for every database.

use std::cell::OnceCell;

use refit_engine::{Guest, GuestPath};

use crate::dpkg;

/// How far a package is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Completely.
    Installed,
    /// Its files are there, but its installation or removal was not finished (dpkg: unpacked,
    /// half-configured, half-installed, triggers pending or awaited).
    Unfinished,
    /// Removed; only its configuration files are left (dpkg: `config-files`).
    ConfigFiles,
}

/// One package of a guest.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name, without architecture.
    pub name: String,
    /// Its version as the package manager shows it; for rpm `[epoch:]version-release`.
    pub version: String,
    /// Its architecture (`amd64`, `x86_64`, `all`, `noarch`); rpm's `gpg-pubkey` has none.
    pub arch: Option<String>,
    /// Who made it: rpm's Vendor (its Packager without one), dpkg's and apk's maintainer, pacman's
    /// packager.
    pub vendor: Option<String>,
    /// How far it is installed.
    pub state: State,
    /// Whether the administrator asked for it to be left as it is (dpkg: `hold`).
    pub held: bool,
    /// Whether the system is said not to work without it (dpkg: `Essential` or `Protected`).
    pub essential: bool,
    /// What it needs, one requirement each, in the words of its database
    /// (`libc6 (>= 2.36) | libc6-udeb`, `so:libc.musl-x86_64.so.1`, `/bin/sh`).
    pub requires: Vec<String>,
    /// What it provides beside its own name, in the words of its database.
    pub provides: Vec<String>,
    /// Configuration files, as the database names them.
    pub config_files: Vec<GuestPath>,
    /// Which maintainer scripts it has (`postinst`, `preun`, `post-deinstall`...). They are never run.
    pub scripts: Vec<String>,
    pub(crate) files: Files,
    pub(crate) source: Source,
}

/// The list of a package's files, which dpkg keeps in a file of its own for each package.
#[derive(Debug, Clone)]
pub(crate) enum Files {
    Known(Vec<GuestPath>),
    Dpkg {
        list: Option<GuestPath>,
        read: OnceCell<Vec<GuestPath>>,
    },
}

/// What only one package manager knows of its packages.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Dpkg(dpkg::Details),
    Apk {
        /// The checksum that identifies it in `triggers` and `scripts.tar`.
        checksum: String,
    },
    Rpm,
    Pacman {
        /// Its directory in the database.
        dir: GuestPath,
    },
}

impl Package {
    /// Whether its files are there.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.state != State::ConfigFiles
    }

    /// The files, links and directories that it owns, as its database names them: neither links in
    /// the guest nor diversions are followed. They need not exist.
    ///
    /// # Errors
    /// If the list (read from the guest when first asked for) cannot be read.
    pub fn files(&self, guest: &Guest<'_>) -> anyhow::Result<&[GuestPath]> {
        match &self.files {
            Files::Known(files) => Ok(files),
            Files::Dpkg { list, read } => {
                if let Some(files) = read.get() {
                    return Ok(files);
                }
                let files = match list {
                    Some(list) => dpkg::read_list(guest, list)?,
                    None => Vec::new(),
                };
                Ok(read.get_or_init(|| files))
            }
        }
    }

    /// `name`, or `name:arch` where two architectures of it may be installed.
    pub(crate) fn label(&self) -> String {
        match (&self.source, &self.arch) {
            (Source::Dpkg(details), Some(arch)) if details.multi_arch_same() => {
                format!("{}:{arch}", self.name)
            }
            _ => self.name.clone(),
        }
    }
}
