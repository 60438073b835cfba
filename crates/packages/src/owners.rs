//! Which package owns which path.

use std::collections::{BTreeSet, HashMap};

use refit_engine::{Guest, GuestPath};

use crate::dpkg::{self, Diversion};
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
    /// Where dpkg puts what packages list as a path, and which package keeps the path for itself.
    diverted: HashMap<GuestPath, (GuestPath, Option<String>)>,
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
            diverted: HashMap::new(),
            by_path: HashMap::new(),
        };
        for alias in ALIASES {
            let alias = GuestPath::from(*alias);
            match guest.resolve(&alias)? {
                Some(real) if real != alias => owners.aliases.push((alias, real)),
                _ => {}
            }
        }
        owners.diverted = diversions
            .iter()
            .map(|diversion| {
                let to = owners.normalise(&diversion.to);
                (
                    owners.normalise(&diversion.from),
                    (to, diversion.by.clone()),
                )
            })
            .collect();
        dpkg::read_all_lists(guest, packages)?;
        for (index, package) in packages.iter().enumerate() {
            for path in package.files(guest)? {
                let path = owners.place(path, &package.name);
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

    /// Where `package` put what it lists as `path`.
    pub(crate) fn place(&self, path: &GuestPath, package: &str) -> GuestPath {
        let path = self.normalise(path);
        match self.diverted.get(&path) {
            Some((to, by)) if by.as_deref() != Some(package) => to.clone(),
            _ => path,
        }
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
