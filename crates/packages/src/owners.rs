//! Which package owns which path.

use std::collections::{BTreeSet, HashMap};

use refit_engine::{Guest, GuestPath};

use crate::dpkg::Diversion;
use crate::package::Package;

/// Directories that distributions have replaced by links, under which packages may still list their
/// files: the merged `/usr` (with Fedora 42's and Arch's `/usr/sbin`) and `/run`.
const ALIASES: &[&str] = &[
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/lib64",
    "/usr/sbin",
    "/var/lock",
    "/var/run",
];

/// Owned paths, links of [`ALIASES`] followed and diversions applied, with the indexes of their owners.
#[derive(Debug)]
pub(crate) struct Owners {
    aliases: Vec<(GuestPath, GuestPath)>,
    by_path: HashMap<GuestPath, Vec<usize>>,
}

impl Owners {
    /// Reads all lists of files.
    pub(crate) fn collect(
        guest: &Guest<'_>,
        packages: &[Package],
        diversions: &[Diversion],
    ) -> anyhow::Result<Self> {
        let mut owners = Self {
            aliases: Vec::new(),
            by_path: HashMap::new(),
        };
        for alias in ALIASES {
            let alias = GuestPath::from(*alias);
            match guest.resolve(&alias)? {
                Some(real) if real != alias => owners.aliases.push((alias, real)),
                _ => {}
            }
        }
        let diversions: HashMap<GuestPath, &Diversion> = diversions
            .iter()
            .map(|diversion| (owners.normalise(&diversion.from), diversion))
            .collect();
        for (index, package) in packages.iter().enumerate() {
            for path in package.files(guest)? {
                let mut path = owners.normalise(path);
                if let Some(diversion) = diversions.get(&path)
                    && diversion.by.as_ref() != Some(&package.name)
                {
                    path = owners.normalise(&diversion.to);
                }
                let of_path = owners.by_path.entry(path).or_default();
                if of_path.last() != Some(&index) {
                    of_path.push(index);
                }
            }
        }
        Ok(owners)
    }

    /// Indexes of the packages that own `path`, in ascending order.
    pub(crate) fn of(&self, path: &GuestPath) -> &[usize] {
        self.by_path
            .get(&self.normalise(path))
            .map_or(&[], Vec::as_slice)
    }

    /// Whether a package that is not among `packages` owns `path`.
    pub(crate) fn has_other(&self, path: &GuestPath, packages: &BTreeSet<usize>) -> bool {
        self.of(path).iter().any(|index| !packages.contains(index))
    }

    /// Whether `path` is one of the links that merge directories.
    pub(crate) fn is_alias(&self, path: &GuestPath) -> bool {
        self.aliases.iter().any(|(alias, _)| alias == path)
    }

    /// `path` with the link at its beginning followed.
    pub(crate) fn normalise(&self, path: &GuestPath) -> GuestPath {
        for (alias, real) in &self.aliases {
            if path.starts_with(alias) && path != alias {
                let rest = &path.as_bytes()[alias.as_bytes().len() + 1..];
                return real.join(rest);
            }
        }
        path.clone()
    }
}
