//! Where drivers come from: an ISO or a directory, in any of the layouts that virtio-win has had.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use refit_iso9660::{IsoFile, IsoImage};

use crate::{Inf, Package};

/// A directory tree of drivers has about 2,000 files.
const MAX_FILES: usize = 100_000;
const MAX_DEPTH: usize = 12;
/// The largest file of virtio-win is the installer of the guest tools, of some 30 MiB.
const MAX_FILE: u64 = 256 << 20;

/// Where a driver set was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The ISO or directory.
    pub path: PathBuf,
    /// Who said so.
    pub place: Place,
}

/// Who named a driver set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The user, for this run.
    Given,
    /// This environment variable.
    Variable(&'static str),
    /// Nobody: it lies where packages of virtio-win put it.
    Default,
}

/// The variables that virt-v2v looks at, in its order.
const VARIABLES: [&str; 2] = ["VIRTIO_WIN", "VIRTIO_WIN_DIR"];

/// Where packages of virtio-win put it, and where administrators do. Each is a directory with the ISO, the
/// drivers, or both.
const DEFAULTS: [&str; 3] = [
    "/usr/share/virtio-win",
    "/usr/local/share/virtio-win",
    "/usr/local/virtio-win",
];

/// Finds a driver set: the one that is given, that of the variables `VIRTIO_WIN` and `VIRTIO_WIN_DIR`, or
/// the first usual place that exists. What is named is not checked: a wrong name must be an error later,
/// and not lead to other drivers. `variable` looks up the environment.
#[must_use]
pub fn locate(given: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Option<Found> {
    locate_in(given, variable, Path::new("/"))
}

fn locate_in(
    given: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
    root: &Path,
) -> Option<Found> {
    if let Some(path) = given {
        return Some(Found {
            path: path.to_owned(),
            place: Place::Given,
        });
    }
    for name in VARIABLES {
        if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
            return Some(Found {
                path: value.into(),
                place: Place::Variable(name),
            });
        }
    }
    DEFAULTS
        .iter()
        .map(|path| root.join(path.trim_start_matches('/')))
        .find_map(|directory| {
            let iso = directory.join(ISO_NAME);
            // A directory of drivers need not be unpacked.
            if directory.join("drivers").is_dir() || (directory.is_dir() && !iso.is_file()) {
                Some(directory)
            } else {
                iso.is_file().then_some(iso)
            }
        })
        .map(|path| Found {
            path,
            place: Place::Default,
        })
}

/// The link to the newest ISO in the package.
const ISO_NAME: &str = "virtio-win.iso";

/// A driver set that was opened: all its driver packages, and its other files.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    files: BTreeMap<String, Entry>,
    packages: Vec<DriverFiles>,
    warnings: Vec<String>,
    iso: Option<IsoImage>,
}

#[derive(Debug)]
enum Entry {
    Iso(IsoFile),
    Host(PathBuf),
}

/// One driver package of a source.
#[derive(Debug)]
pub struct DriverFiles {
    /// The INF file's path in the source, with `/` between the names.
    pub inf: String,
    /// What it says.
    pub package: Package,
    /// The files beside it by their names in lower case, with their paths in the source.
    pub beside: BTreeMap<String, String>,
}

impl DriverFiles {
    /// The INF file's name in lower case, without directory and ending: `viostor`.
    #[must_use]
    pub fn stem(&self) -> String {
        let name = self
            .inf
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_lowercase();
        name.strip_suffix(".inf").unwrap_or(&name).to_owned()
    }

    /// The names of the directories that it is in, in lower case, outermost first.
    pub fn folders(&self) -> impl Iterator<Item = String> + '_ {
        let directory = self
            .inf
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory);
        directory.split('/').map(str::to_lowercase)
    }
}

impl Source {
    /// Opens an ISO, or a directory of drivers (or one with `virtio-win.iso` in it), and reads every INF
    /// file. One that cannot be read is a warning.
    ///
    /// # Errors
    /// If the path cannot be read, or no driver is in it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let about = || format!("opening the drivers in {}", path.display());
        let metadata = fs::metadata(path).with_context(about)?;
        let mut source = if metadata.is_dir() {
            Self::directory(path).with_context(about)?
        } else {
            let image = IsoImage::open(path).with_context(about)?;
            Self::image(path, image)
        };
        source.read_packages();
        let iso = path.join(ISO_NAME);
        if source.packages.is_empty() && metadata.is_dir() && iso.is_file() {
            return Self::open(&iso);
        }
        ensure!(
            !source.packages.is_empty(),
            "{} has no driver: expected the ISO or the unpacked files of virtio-win",
            path.display()
        );
        Ok(source)
    }

    fn directory(path: &Path) -> anyhow::Result<Self> {
        let mut files = BTreeMap::new();
        let mut pending = vec![(path.to_owned(), String::new(), 0)];
        // Each directory once, whatever links lead to it.
        let mut seen = BTreeSet::new();
        while let Some((directory, prefix, depth)) = pending.pop() {
            if !seen.insert(fs::canonicalize(&directory)?) {
                continue;
            }
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                // A dangling link is no driver.
                let Ok(metadata) = fs::metadata(entry.path()) else {
                    continue;
                };
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                    continue;
                };
                let inner = format!("{prefix}{name}");
                if metadata.is_dir() && depth < MAX_DEPTH {
                    pending.push((entry.path(), format!("{inner}/"), depth + 1));
                } else if metadata.is_file() {
                    files.insert(inner, Entry::Host(entry.path()));
                }
                if files.len() > MAX_FILES {
                    bail!("more than {MAX_FILES} files: this is not a directory of drivers");
                }
            }
        }
        Ok(Self::new(path, files, None))
    }

    fn image(path: &Path, image: IsoImage) -> Self {
        let files = image
            .files()
            .iter()
            .map(|file| (file.path.clone(), Entry::Iso(file.clone())))
            .collect();
        Self::new(path, files, Some(image))
    }

    fn new(path: &Path, files: BTreeMap<String, Entry>, iso: Option<IsoImage>) -> Self {
        Self {
            path: path.to_owned(),
            files,
            packages: Vec::new(),
            warnings: Vec::new(),
            iso,
        }
    }

    fn read_packages(&mut self) {
        let mut directories: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
        for path in self.files.keys() {
            let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
            directories
                .entry(directory)
                .or_default()
                .insert(name.to_lowercase(), path.clone());
        }
        let mut packages = Vec::new();
        let mut warnings = Vec::new();
        for path in self.files.keys() {
            let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
            if !name.to_lowercase().ends_with(".inf") {
                continue;
            }
            let parsed = self.read(path).and_then(|bytes| Ok(Inf::parse(&bytes)?));
            match parsed {
                Ok(inf) => packages.push(DriverFiles {
                    inf: path.clone(),
                    package: Package::new(inf),
                    beside: directories.get(directory).cloned().unwrap_or_default(),
                }),
                Err(error) => warnings.push(format!(
                    "{}: {path} cannot be used: {error:#}",
                    self.path.display()
                )),
            }
        }
        self.packages = packages;
        self.warnings = warnings;
    }

    /// The ISO or directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is an ISO, which virt-v2v can read only in further appliances.
    #[must_use]
    pub fn is_iso(&self) -> bool {
        self.iso.is_some()
    }

    /// All driver packages, in the order of their paths.
    #[must_use]
    pub fn packages(&self) -> &[DriverFiles] {
        &self.packages
    }

    /// The paths of all files.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// What could not be used, and why.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The content of a file, by its path in the source.
    ///
    /// # Errors
    /// If there is none, it has more than 256 MiB, or cannot be read.
    pub fn read(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let about = || format!("reading {path} of {}", self.path.display());
        match (self.files.get(path), &self.iso) {
            (Some(Entry::Iso(file)), Some(iso)) => iso.read(file, MAX_FILE).with_context(about),
            (Some(Entry::Host(host)), _) => {
                let size = fs::metadata(host).with_context(about)?.len();
                ensure!(size <= MAX_FILE, "{}: larger than 256 MiB", about());
                fs::read(host).with_context(about)
            }
            _ => bail!("{}: there is no such file", about()),
        }
    }

    /// Writes its files below `directory`, which must be empty: the drivers, and the installers of guest agents. Debug
    /// symbols, two thirds of an ISO, are left out.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn unpack(&self, directory: &Path) -> anyhow::Result<()> {
        for path in self.files.keys().filter(|path| is_wanted(path)) {
            // Paths of an image are made of plain names, those of a directory come from one.
            let target = directory.join(path);
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)
                    .with_context(|| format!("making {}", parent.display()))?;
            }
            fs::write(&target, self.read(path)?)
                .with_context(|| format!("writing {}", target.display()))?;
        }
        Ok(())
    }
}

/// What a conversion can use of a driver set.
fn is_wanted(path: &str) -> bool {
    let lower = path.to_lowercase();
    let wanted = [".inf", ".cat", ".sys", ".dll", ".exe", ".msi", ".txt"];
    wanted.iter().any(|ending| lower.ends_with(ending)) && !lower.starts_with("virtio-win-g")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: &str = "[Version]\nSignature=\"$Windows NT$\"\n";

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        dir
    }

    #[test]
    fn a_directory_is_read_with_what_lies_beside_each_inf() {
        let dir = tree(&[
            ("Drv/w10/amd64/Drv.INF", INF),
            ("Drv/w10/amd64/drv.sys", "s"),
            ("Drv/w10/x86/drv.inf", "no inf"),
            ("guest-agent/a.msi", "m"),
            ("a.pdb", "p"),
        ]);
        std::os::unix::fs::symlink(dir.path(), dir.path().join("Drv/loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("dangling")).unwrap();
        let source = Source::open(dir.path()).unwrap();
        assert!(!source.is_iso());
        assert_eq!(source.packages().len(), 1);
        let files = &source.packages()[0];
        assert_eq!(files.inf, "Drv/w10/amd64/Drv.INF");
        assert_eq!(files.stem(), "drv");
        assert_eq!(files.folders().collect::<Vec<_>>(), ["drv", "w10", "amd64"]);
        assert_eq!(files.beside["drv.sys"], "Drv/w10/amd64/drv.sys");
        assert_eq!(source.read("Drv/w10/amd64/drv.sys").unwrap(), b"s");
        assert!(source.read("../etc/passwd").is_err());
        assert_eq!(source.warnings().len(), 1);
        assert!(source.warnings()[0].contains("Drv/w10/x86/drv.inf"));
        let out = tempfile::tempdir().unwrap();
        source.unpack(out.path()).unwrap();
        assert!(out.path().join("guest-agent/a.msi").is_file());
        assert!(!out.path().join("a.pdb").exists());
        assert!(!out.path().join("Drv/loop").exists());
    }

    #[test]
    fn without_drivers_it_is_an_error_that_names_the_path() {
        let dir = tree(&[("readme.txt", "")]);
        let error = format!("{:#}", Source::open(dir.path()).unwrap_err());
        assert!(error.contains("has no driver"), "{error}");
        let missing = dir.path().join("missing.iso");
        let error = format!("{:#}", Source::open(&missing).unwrap_err());
        assert!(error.contains("missing.iso"), "{error}");
        let error = format!(
            "{:#}",
            Source::open(&dir.path().join("readme.txt")).unwrap_err()
        );
        assert!(error.contains("no ISO 9660 file system"), "{error}");
    }

    #[test]
    fn the_first_place_that_is_named_or_exists() {
        let none = |_: &str| None;
        let root = tree(&[]);
        let find = || locate_in(None, none, root.path());
        assert_eq!(find(), None);
        let place = |path: &str| {
            Some(Found {
                path: root.path().join(path),
                place: Place::Default,
            })
        };
        fs::create_dir_all(root.path().join("usr/local/virtio-win")).unwrap();
        assert_eq!(find(), place("usr/local/virtio-win"));
        fs::create_dir_all(root.path().join("usr/share/virtio-win")).unwrap();
        fs::write(root.path().join("usr/share/virtio-win/virtio-win.iso"), "").unwrap();
        assert_eq!(find(), place("usr/share/virtio-win/virtio-win.iso"));
        fs::create_dir_all(root.path().join("usr/share/virtio-win/drivers")).unwrap();
        assert_eq!(find(), place("usr/share/virtio-win"));

        let variable = |name: &str| (name == "VIRTIO_WIN_DIR").then(|| OsString::from("/v"));
        let found = locate_in(None, variable, root.path()).unwrap();
        assert_eq!(found.place, Place::Variable("VIRTIO_WIN_DIR"));
        assert_eq!(found.path, Path::new("/v"));
        let found = locate_in(Some(Path::new("/given")), variable, root.path()).unwrap();
        assert_eq!(found.place, Place::Given);
        assert_eq!(found.path, Path::new("/given"));
    }
}
