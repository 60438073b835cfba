//! The packages of a tree: which depend on which, and taking out those that nothing needs.
//!
//! apt would not take out what is declared to be needed, and dpkg itself is among what goes: so the
//! database is read and written here (deb-control(5), dpkg(1) "FILES").

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

const STATUS: &str = "var/lib/dpkg/status";

/// One installed package.
#[derive(Debug, Clone, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture: `amd64` or `all`.
    pub arch: String,
    /// The source package, if it is called otherwise.
    pub source: Option<String>,
    /// Groups of alternatives; one of each group is needed.
    depends: Vec<Vec<String>>,
    provides: Vec<String>,
    paragraph: String,
}

/// The packages that are installed below a root directory.
#[derive(Debug)]
pub struct Database {
    root: PathBuf,
    packages: BTreeMap<String, Package>,
}

impl Database {
    /// Reads the database of the tree at `root`.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let path = root.join(STATUS);
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self {
            root: root.to_owned(),
            packages: parse(&text),
        })
    }

    /// All of them, by name.
    pub fn packages(&self) -> &BTreeMap<String, Package> {
        &self.packages
    }

    /// `roots` and all that they depend on, but for what is reached through `without` alone.
    pub fn closure(
        &self,
        roots: &[String],
        without: &[String],
    ) -> anyhow::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut todo: Vec<&str> = Vec::new();
        for root in roots {
            match self.packages.get_key_value(root.as_str()) {
                Some((name, _)) => todo.push(name),
                None => bail!("the recipe names {root}, which is not installed"),
            }
        }
        while let Some(name) = todo.pop() {
            if without.iter().any(|cut| cut == name) || !found.insert(name.to_owned()) {
                continue;
            }
            for group in &self.packages[name].depends {
                todo.extend(self.chosen(group));
            }
        }
        Ok(found)
    }

    /// What satisfies a dependency here: the first of the alternatives that is installed, or all that provide one.
    fn chosen(&self, group: &[String]) -> Vec<&str> {
        for name in group {
            if let Some((name, _)) = self.packages.get_key_value(name) {
                return vec![name];
            }
            let providers: Vec<&str> = self
                .packages
                .values()
                .filter(|package| package.provides.contains(name))
                .map(|package| package.name.as_str())
                .collect();
            if !providers.is_empty() {
                return providers;
            }
        }
        Vec::new()
    }

    /// Takes out every package that is not in `keep`: its files, unless another has them, too, and its
    /// entry. Its scripts are not run.
    pub fn keep_only(&mut self, keep: &BTreeSet<String>) -> anyhow::Result<()> {
        let mut kept = BTreeSet::new();
        let mut going = BTreeSet::new();
        for package in self.packages.values() {
            let files = self.files(package)?;
            match keep.contains(&package.name) {
                true => kept.extend(files),
                false => going.extend(files),
            }
        }
        // What is in a directory comes before the directory.
        for path in going.iter().rev().filter(|path| !kept.contains(*path)) {
            let path = self.root.join(path);
            let Ok(found) = path.symlink_metadata() else {
                continue;
            };
            if !found.is_dir() {
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            } else if fs::read_dir(&path)?.next().is_none() {
                fs::remove_dir(&path).with_context(|| format!("removing {}", path.display()))?;
            }
        }
        self.packages.retain(|name, _| keep.contains(name));
        self.write(keep)
    }

    /// Makes dpkg believe that only these are installed, until that is restored.
    pub fn pretend(&self, these: &BTreeSet<String>) -> anyhow::Result<Pretence<'_>> {
        self.write(these)?;
        Ok(Pretence(self))
    }

    fn write(&self, these: &BTreeSet<String>) -> anyhow::Result<()> {
        let packages = self.packages.values();
        let status: String = packages
            .filter(|package| these.contains(&package.name))
            .map(|package| format!("{}\n\n", package.paragraph))
            .collect();
        let path = self.root.join(STATUS);
        fs::write(&path, status).with_context(|| format!("writing {}", path.display()))
    }

    /// The package's paths, relative to the root, with the links of a merged `/usr` followed.
    pub fn files(&self, package: &Package) -> anyhow::Result<Vec<PathBuf>> {
        let info = self.root.join("var/lib/dpkg/info");
        let names = [
            format!("{}.list", package.name),
            format!("{}:{}.list", package.name, package.arch),
        ];
        for name in names {
            let path = info.join(name);
            if path.exists() {
                let list = fs::read_to_string(&path)
                    .with_context(|| format!("reading {}", path.display()))?;
                let files = list
                    .lines()
                    .map(|line| merged(line.trim_start_matches('/')));
                return Ok(files.filter(|path| path != Path::new(".")).collect());
            }
        }
        bail!("dpkg has no list of the files of {}", package.name)
    }
}

/// What dpkg believes for a time.
#[derive(Debug)]
pub struct Pretence<'d>(&'d Database);

impl Pretence<'_> {
    /// Ends it.
    pub fn restore(self) -> anyhow::Result<()> {
        self.0.write(&self.0.packages.keys().cloned().collect())
    }
}

/// The path as it is where `/bin`, `/sbin`, `/lib` and `/lib64` are links into `/usr`.
fn merged(path: &str) -> PathBuf {
    let top = path.split('/').next().unwrap_or_default();
    match top {
        "bin" | "sbin" | "lib" | "lib64" if top != path => Path::new("usr").join(path),
        _ => PathBuf::from(path),
    }
}

fn parse(status: &str) -> BTreeMap<String, Package> {
    let mut packages = BTreeMap::new();
    for paragraph in status.split("\n\n") {
        let mut package = Package {
            paragraph: paragraph.trim_matches('\n').to_owned(),
            ..Package::default()
        };
        for line in package.paragraph.clone().lines() {
            let Some((field, value)) = line.split_once(": ") else {
                continue;
            };
            match field {
                "Package" => package.name = value.to_owned(),
                "Version" => package.version = value.to_owned(),
                "Architecture" => package.arch = value.to_owned(),
                "Source" => package.source = Some(value.to_owned()),
                "Depends" | "Pre-Depends" => package.depends.extend(groups(value)),
                "Provides" => package.provides = groups(value).concat(),
                _ => {}
            }
        }
        if !package.name.is_empty() {
            packages.insert(package.name.clone(), package);
        }
    }
    packages
}

/// The names of a list of dependencies, without versions and architectures.
fn groups(value: &str) -> Vec<Vec<String>> {
    let name = |one: &str| {
        let one = one.split_whitespace().next()?;
        Some(one.split(':').next().unwrap_or(one).to_owned())
    };
    value
        .split(',')
        .map(|group| group.split('|').filter_map(name).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS_TEXT: &str = "\
Package: app
Status: install ok installed
Architecture: amd64
Version: 1.0
Depends: lib (>= 1), helper:any | other, virtual
Description: an application
 whose text mentions Package: nothing

Package: lib
Architecture: amd64
Version: 2

Package: other
Architecture: all
Version: 3
Depends: perl

Package: perl
Architecture: amd64
Version: 5

Package: provider
Source: virtuals (1.1)
Architecture: all
Version: 4
Provides: virtual (= 4), more
";

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn tree() -> (tempfile::TempDir, Database) {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(STATUS, STATUS_TEXT);
        write("usr/bin/app", "");
        write("usr/lib/lib.so", "");
        write("usr/share/perl/5/deep.pm", "");
        write("usr/share/both", "");
        let list = |package: &str, paths: &str| {
            write(&format!("var/lib/dpkg/info/{package}.list"), paths);
        };
        list("app", "/.\n/usr\n/usr/bin\n/usr/bin/app\n/usr/share/both\n");
        list("lib:amd64", "/.\n/lib\n/lib/lib.so\n");
        list("other", "/.\n");
        list(
            "perl",
            "/usr\n/usr/share\n/usr/share/perl\n/usr/share/perl/5\n/usr/share/perl/5/deep.pm\n/usr/share/both\n",
        );
        list("provider", "/.\n/usr/share/gone\n");
        let database = Database::read(dir.path()).unwrap();
        (dir, database)
    }

    #[test]
    fn dependencies_are_followed_but_for_those_that_are_cut() {
        let (_dir, database) = tree();
        let closure = |without| {
            let found = database.closure(&names(&["app"]), &names(without));
            found.unwrap().into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(closure(&[]), "app lib other perl provider");
        assert_eq!(closure(&["other", "provider"]), "app lib");
        let missing = database.closure(&names(&["nothing"]), &[]).unwrap_err();
        assert!(missing.to_string().contains("nothing"), "{missing}");
        assert_eq!(
            database.packages()["provider"].source.as_deref(),
            Some("virtuals (1.1)")
        );
    }

    #[test]
    fn what_goes_takes_its_own_files_along_and_no_others() {
        let (dir, mut database) = tree();
        let keep = database
            .closure(&names(&["app"]), &names(&["perl"]))
            .unwrap();
        database.keep_only(&keep).unwrap();
        let there = |path: &str| dir.path().join(path).exists();
        assert!(there("usr/bin/app") && there("usr/lib/lib.so") && there("usr/share/both"));
        assert!(!there("usr/share/perl"));
        let again = Database::read(dir.path()).unwrap();
        assert_eq!(
            again
                .packages()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
                .join(" "),
            "app lib other provider"
        );
        let status = fs::read_to_string(dir.path().join(STATUS)).unwrap();
        assert!(
            status.starts_with("Package: app\nStatus: install ok installed\n"),
            "{status}"
        );
    }
}
