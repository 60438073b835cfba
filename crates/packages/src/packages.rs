//! All packages of a guest.

use std::cell::OnceCell;
use std::fmt;

use refit_engine::{Guest, GuestPath};

use crate::owners::Owners;
use crate::package::{Package, State};
use crate::removal::Removal;
use crate::{apk, dpkg, pacman, rpm};

/// Which package manager's database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Debian's dpkg: `/var/lib/dpkg`.
    Dpkg,
    /// rpm, in SQLite, ndb or Berkeley DB: `/usr/lib/sysimage/rpm`, `/var/lib/rpm` or `/usr/share/rpm`.
    Rpm,
    /// Alpine's apk: `/lib/apk/db`, or `/usr/lib/apk/db` since version 3.
    Apk,
    /// Arch's pacman: `/var/lib/pacman`.
    Pacman,
}

/// The name of the program.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dpkg => "dpkg",
            Self::Rpm => "rpm",
            Self::Apk => "apk",
            Self::Pacman => "pacman",
        })
    }
}

/// The package database of a guest, as it was when it was read: a fixup reads it anew.
#[derive(Debug)]
pub struct Packages {
    format: Format,
    packages: Vec<Package>,
    owners: OnceCell<Owners>,
}

impl Packages {
    /// Reads the guest's package database; `None` if it has none that is known.
    ///
    /// Where there are several (a Debian with `rpm` installed), the one with most packages is the
    /// system's own.
    ///
    /// # Errors
    /// If a database is there but cannot be read or is damaged, unless another one is surely the
    /// system's.
    pub fn read(guest: &Guest<'_>) -> anyhow::Result<Option<Self>> {
        let found = [
            (Format::Dpkg, dpkg::read(guest)),
            (Format::Rpm, rpm::read(guest)),
            (Format::Apk, apk::read(guest)),
            (Format::Pacman, pacman::read(guest)),
        ];
        let mut best: Option<Self> = None;
        let mut damaged = None;
        for (format, result) in found {
            match result {
                Ok(packages) => {
                    let most = best.as_ref().map_or(0, |best| best.packages.len());
                    if packages.len() > most {
                        best = Some(Self {
                            format,
                            packages,
                            owners: OnceCell::new(),
                        });
                    }
                }
                Err(error) => damaged = Some((format, error)),
            }
        }
        let Some((format, error)) = damaged else {
            return Ok(best);
        };
        // The other one is the system's own only if the system is in it.
        if let Some(best) = best {
            for release in ["/usr/lib/os-release", "/etc/os-release"] {
                if !best.owners(guest, release)?.is_empty() {
                    tracing::warn!("the database of {format} is passed over: {error:#}");
                    return Ok(Some(best));
                }
            }
        }
        Err(error.context(format!("reading the guest's packages ({format})")))
    }

    /// Which database it is.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The installed package of that name; `name:arch` chooses among architectures. Of several
    /// (kernels of rpm, two architectures) the first in the database.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Package> {
        self.iter().find(|package| is_named(package, name))
    }

    /// All packages whose files are there, in the order of the database.
    pub fn iter(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| package.is_installed())
    }

    /// Packages that are removed but have left their configuration files (dpkg's `rc`).
    pub fn residual(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| package.state == State::ConfigFiles)
    }

    /// The packages that own what is at `path`, in the order of the database.
    ///
    /// Links in the directories of `path` are followed, `/bin/sh` is `/usr/bin/sh` on a merged
    /// `/usr`, and what dpkg was told to divert belongs to whoever put it there.
    ///
    /// # Errors
    /// If a list of files cannot be read: all of them are, when first asked.
    pub fn owners(
        &self,
        guest: &Guest<'_>,
        path: impl Into<GuestPath>,
    ) -> anyhow::Result<Vec<&Package>> {
        let path = path.into();
        let real = guest.resolve_parent(&path)?.unwrap_or(path);
        Ok(self
            .owner_index(guest)?
            .of(&real)
            .iter()
            .filter_map(|&index| self.packages.get(index))
            .collect())
    }

    /// What has to change for `names` to be gone as if their package manager had removed them with
    /// their configuration (`dpkg --purge`, `apk del --purge`, `pacman -Rn`, `rpm -e`). Names that
    /// are not installed are passed over, so that a second removal is empty.
    ///
    /// # Errors
    /// If the guest cannot be read, or its database is not what its package manager writes.
    pub fn removal(&self, guest: &Guest<'_>, names: &[&str]) -> anyhow::Result<Removal> {
        let chosen: Vec<usize> = (0..self.packages.len())
            .filter(|&index| {
                names
                    .iter()
                    .any(|name| is_named(&self.packages[index], name))
            })
            .collect();
        if chosen.is_empty() {
            return Ok(Removal::default());
        }
        match self.format {
            Format::Dpkg => dpkg::removal(self, guest, &chosen),
            Format::Rpm => rpm::removal(self, guest, &chosen),
            Format::Apk => apk::removal(self, guest, &chosen),
            Format::Pacman => pacman::removal(self, guest, &chosen),
        }
    }

    pub(crate) fn all(&self) -> &[Package] {
        &self.packages
    }

    pub(crate) fn owner_index(&self, guest: &Guest<'_>) -> anyhow::Result<&Owners> {
        if let Some(owners) = self.owners.get() {
            return Ok(owners);
        }
        let diversions = match self.format {
            Format::Dpkg => dpkg::diversions(guest)?,
            _ => Vec::new(),
        };
        let owners = Owners::collect(guest, &self.packages, &diversions)?;
        Ok(self.owners.get_or_init(|| owners))
    }
}

/// Whether `wanted` (`name` or `name:arch`) is this package.
fn is_named(package: &Package, wanted: &str) -> bool {
    wanted == package.name
        || wanted.split_once(':').is_some_and(|(name, arch)| {
            name == package.name && package.arch.as_deref() == Some(arch)
        })
}
