//! Which product is installed and where, and what other products own.

use std::collections::{BTreeMap, BTreeSet};

use refit_engine::{Guest, GuestPath};
use refit_hive::{Hive, Key};

use crate::ovf_env;

use super::packed;
use super::paths::{Places, WinPath};
use super::reg;
use super::signatures::{self, Signatures};

/// Windows Installer's records of the machine.
pub(crate) const INSTALLER: &str = "Microsoft\\Windows\\CurrentVersion\\Installer";
/// The list of installed programs.
pub(crate) const UNINSTALL: &str = "Microsoft\\Windows\\CurrentVersion\\Uninstall";

/// One installed product that is to go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Product {
    /// Name of its key in the list of installed programs: `{ProductCode}`, or a name.
    pub(crate) key: String,
    /// Its product code as Windows Installer packs it, if that installed it.
    pub(crate) packed: Option<String>,
    pub(crate) name: String,
    pub(crate) version: String,
    /// Where it says that it is.
    pub(crate) location: Option<String>,
    /// The installer's own copy of its package.
    pub(crate) package: Option<String>,
}

/// What is known before anything is decided.
#[derive(Debug)]
pub(crate) struct Survey<'a> {
    pub(crate) signatures: &'a Signatures,
    pub(crate) places: &'a Places,
    pub(crate) products: Vec<Product>,
    /// The folders where it is installed.
    pub(crate) install: Vec<WinPath>,
    /// Its other folders.
    pub(crate) folders: Vec<WinPath>,
    /// Names of installed sibling products.
    pub(crate) siblings: Vec<String>,
    /// Whether another product of the same vendor is installed.
    pub(crate) vendor: bool,
    /// Files and folders of others; never removed.
    pub(crate) protected: BTreeSet<WinPath>,
    /// Packed codes of the products, in upper case.
    codes: BTreeSet<String>,
    /// Files that only these products' records name.
    recorded: BTreeSet<WinPath>,
}

impl<'a> Survey<'a> {
    /// Reads `software`, the hive, and looks whether the folders that it names are what they seem.
    ///
    /// # Errors
    /// If the guest's folders cannot be read.
    pub(crate) fn new(
        guest: &Guest<'_>,
        software: &Hive,
        signatures: &'a Signatures,
        places: &'a Places,
        warnings: &mut Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut survey = Self {
            signatures,
            places,
            products: Vec::new(),
            install: Vec::new(),
            folders: Vec::new(),
            siblings: Vec::new(),
            vendor: false,
            protected: BTreeSet::new(),
            codes: BTreeSet::new(),
            recorded: BTreeSet::new(),
        };
        let all = installed(software);
        let mut locations = Vec::new();
        let defaults: Vec<WinPath> = folders(places, &signatures.files.install_folders);
        for (product, publisher) in &all {
            let vendor = publisher.as_deref().is_some_and(|publisher| {
                let mut names = signatures.product.publishers.iter();
                names.any(|name| starts_with(publisher, name))
            });
            let named = signatures::any(&signatures.product.names, &product.name)
                && (vendor || publisher.is_none());
            let located = product.location.as_deref().and_then(|at| places.file(at));
            let there = vendor && located.as_ref().is_some_and(|at| defaults.contains(at));
            if named || there {
                survey.codes.extend(product.packed.clone());
                survey.products.push(product.clone());
                continue;
            }
            survey.vendor |= vendor;
            let siblings = &signatures.product.siblings;
            if siblings
                .iter()
                .any(|sibling| starts_with(&product.name, sibling))
            {
                survey.siblings.push(product.name.clone());
            }
            locations.extend(located);
        }
        survey.read_components(software);

        let declared = signatures.product.install_values.iter().filter_map(|at| {
            let text = reg::text_at(software, &at.key, &at.value)?;
            places.file(&text)
        });
        let products = survey.products.iter();
        let located = products.filter_map(|product| places.file(product.location.as_deref()?));
        let mut candidates: Vec<WinPath> = declared.chain(located).collect();
        candidates.extend(defaults.iter().cloned());
        candidates.sort();
        candidates.dedup();
        for folder in candidates {
            if defaults.contains(&folder) || survey.is_its_own(guest, &folder)? {
                survey.install.push(folder);
            } else {
                warnings.push(format!(
                    "{folder} is said to be where {} is installed, but none of its programs is there; \
                     the folder is left alone",
                    signatures.title
                ));
            }
        }
        for folder in survey.install.clone() {
            survey.install.extend(short_name(guest, places, &folder)?);
        }
        survey.folders = folders(places, &signatures.files.folders);
        // Elsewhere a folder of another product is not in danger, and `C:\Windows\System32` has been one.
        let own: Vec<&WinPath> = survey.install.iter().chain(&survey.folders).collect();
        locations.retain(|at: &WinPath| own.iter().any(|folder| at.is_in(folder) && at != *folder));
        survey.protected.extend(locations);
        for folder in &survey.install {
            if let Some(path) = places.in_guest(folder) {
                let kept = ovf_env::stand_ins(guest, &path)?.into_iter();
                survey.protected.extend(kept.map(|name| folder.join(name)));
            }
        }
        Ok(survey)
    }

    /// Whether a folder that the registry names can be the product's own: nothing of Windows, and one of
    /// its programs is there, or it is not there at all.
    fn is_its_own(&self, guest: &Guest<'_>, folder: &WinPath) -> anyhow::Result<bool> {
        if folder.depth() == 0 || self.places.is_common(folder) {
            return Ok(false);
        }
        let Some(path) = self.places.in_guest(folder) else {
            return Ok(true);
        };
        if !guest.exists(&path)? {
            return Ok(true);
        }
        for program in &self.signatures.product.proof {
            if guest.exists(path.join(program))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Windows Installer's components: which file is whose.
    fn read_components(&mut self, software: &Hive) {
        let mut own = BTreeSet::new();
        for sid in reg::names(software, &format!("{INSTALLER}\\UserData")) {
            let Some(components) =
                software.key(&format!("{INSTALLER}\\UserData\\{sid}\\Components"))
            else {
                continue;
            };
            for component in components.subkeys() {
                for value in component.values() {
                    let Some(file) = value.value.as_str().and_then(|text| self.key_path(&text))
                    else {
                        continue;
                    };
                    if self.is_product(&value.name) {
                        own.insert(file);
                    } else {
                        self.protected.insert(file);
                    }
                }
            }
        }
        self.recorded = own.difference(&self.protected).cloned().collect();
        // A file that is counted more than once has another user.
        for path in reg::views("Microsoft\\Windows\\CurrentVersion\\SharedDLLs") {
            for value in software.key(&path).iter().flat_map(Key::values) {
                if value.value.as_dword().is_some_and(|count| count > 1)
                    && let Some(file) = self.places.file(&value.name)
                {
                    self.recorded.remove(&file);
                }
            }
        }
    }

    /// The file of a component: `C:\...`, or `C?\...` if its use is counted; others are folders or keys.
    fn key_path(&self, text: &str) -> Option<WinPath> {
        if text.ends_with('\\') {
            return None;
        }
        let text = match text.split_at_checked(2) {
            Some((drive, rest)) if drive.ends_with('?') => format!("{}:{rest}", &drive[..1]),
            _ => text.to_owned(),
        };
        let bytes = text.as_bytes();
        let on_drive = bytes.len() > 3 && bytes[0].is_ascii_alphabetic() && bytes[1..3] == *b":\\";
        on_drive.then(|| self.places.file(&text))?
    }

    /// Whether `code` is the packed code of a product that is to go.
    pub(crate) fn is_product(&self, code: &str) -> bool {
        self.codes.contains(&code.to_uppercase())
    }

    /// Whether a file is in a folder where the product is installed.
    pub(crate) fn is_installed_at(&self, path: &WinPath) -> bool {
        !self.protected.contains(path)
            && path.name() != ""
            && self.install.iter().any(|folder| path.is_in(folder))
    }

    /// Whether a file is the product's: in a folder of its own, or one of those that it puts into the
    /// system's; and nobody else's.
    pub(crate) fn is_own(&self, path: &WinPath) -> bool {
        if self.is_protected(path) || signatures::any(&self.signatures.kept.files, path.name()) {
            return false;
        }
        let mut folders = self.install.iter().chain(&self.folders);
        folders.any(|folder| path.is_in(folder)) || self.is_own_system_file(path)
    }

    /// Whether it is one of the files that the product puts into the system's folders.
    fn is_own_system_file(&self, path: &WinPath) -> bool {
        let in_system = path.parent().is_some_and(|parent| {
            let folders = [
                "",
                "system32",
                "syswow64",
                "system32\\drivers",
                "syswow64\\drivers",
            ];
            folders
                .iter()
                .any(|folder| self.places.system(folder) == parent)
        });
        let files = &self.signatures.files;
        in_system
            && (signatures::any(&files.system, path.name())
                || (signatures::any(&files.recorded, path.name()) && self.recorded.contains(path)))
    }

    /// Whether it is somebody else's, or in a folder that is.
    pub(crate) fn is_protected(&self, path: &WinPath) -> bool {
        path.and_above().any(|path| self.protected.contains(&path))
    }

    /// Whether another product has a file of this name among those that its records name.
    pub(crate) fn others_have(&self, name: &str) -> bool {
        self.protected.iter().any(|path| path.name() == name)
    }
}

/// Every installed product with its publisher; one of several records that are there gives what the others lack.
fn installed(software: &Hive) -> Vec<(Product, Option<String>)> {
    let mut found: BTreeMap<String, (Product, Option<String>)> = BTreeMap::new();
    let mut add = |product: Product, publisher: Option<String>| {
        let entry = found.entry(product.key.to_lowercase()).or_default();
        let (known, known_publisher) = entry;
        if known.key.is_empty() {
            *entry = (product, publisher);
            return;
        }
        if known.name.is_empty() {
            known.name = product.name;
        }
        if known.version.is_empty() {
            known.version = product.version;
        }
        known.location = known.location.take().or(product.location);
        known.package = known.package.take().or(product.package);
        *known_publisher = known_publisher.take().or(publisher);
    };
    let full = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    for view in reg::views(UNINSTALL) {
        let Some(list) = software.key(&view) else {
            continue;
        };
        for key in list.subkeys() {
            let product = Product {
                packed: packed::pack(&key.name()),
                key: key.name(),
                name: reg::text(&key, "DisplayName").unwrap_or_default(),
                version: reg::text(&key, "DisplayVersion").unwrap_or_default(),
                location: full(reg::text(&key, "InstallLocation")),
                package: None,
            };
            add(product, full(reg::text(&key, "Publisher")));
        }
    }
    for sid in reg::names(software, &format!("{INSTALLER}\\UserData")) {
        let Some(list) = software.key(&format!("{INSTALLER}\\UserData\\{sid}\\Products")) else {
            continue;
        };
        for key in list.subkeys() {
            let (Some(code), Some(properties)) =
                (packed::unpack(&key.name()), key.subkey("InstallProperties"))
            else {
                continue;
            };
            let product = Product {
                packed: packed::pack(&code),
                key: code,
                name: reg::text(&properties, "DisplayName").unwrap_or_default(),
                version: reg::text(&properties, "DisplayVersion").unwrap_or_default(),
                location: full(reg::text(&properties, "InstallLocation")),
                package: full(reg::text(&properties, "LocalPackage")),
            };
            add(product, full(reg::text(&properties, "Publisher")));
        }
    }
    if let Some(list) = software.key("Classes\\Installer\\Products") {
        for key in list.subkeys() {
            let Some(code) = packed::unpack(&key.name()) else {
                continue;
            };
            let product = Product {
                packed: packed::pack(&code),
                key: code,
                name: reg::text(&key, "ProductName").unwrap_or_default(),
                ..Product::default()
            };
            add(product, None);
        }
    }
    found.into_values().collect()
}

/// The name of a folder in which each part has at most eight letters, as old installers wrote it in the registry:
/// `C:\PROGRA~1\VMware\VMWARE~1`. `None` if the folder is not there, or another beside it could have that name ("How
/// Windows Generates 8.3 File Names from Long File Names", Microsoft KB 142982).
fn short_name(
    guest: &Guest<'_>,
    places: &Places,
    folder: &WinPath,
) -> anyhow::Result<Option<WinPath>> {
    let stem = |name: &str| -> String {
        let letters = name.chars().filter(|c| !matches!(c, ' ' | '.'));
        letters.take(6).collect::<String>().to_lowercase()
    };
    let Some(path) = places.in_guest(folder) else {
        return Ok(None);
    };
    let mut short = places.drive().to_owned();
    let mut parent = GuestPath::root();
    for part in path.components().map(String::from_utf8_lossy) {
        short.push('\\');
        if part.len() <= 8 && !part.contains([' ', '.']) {
            short.push_str(&part);
        } else {
            // These two are made by setup, in this order.
            let number = match part.as_ref() {
                "program files" => 1,
                "program files (x86)" => 2,
                _ => {
                    let entries = guest.list(&parent)?;
                    let names = entries
                        .iter()
                        .map(|entry| String::from_utf8_lossy(&entry.name));
                    if names.filter(|name| stem(name) == stem(&part)).count() != 1 {
                        return Ok(None);
                    }
                    1
                }
            };
            short.push_str(&format!("{}~{number}", stem(&part)));
        }
        parent = parent.join(part.as_bytes());
    }
    let short = places.file(&short);
    Ok(short.filter(|short| short != folder))
}

/// The folders that a table names.
pub(crate) fn folders(places: &Places, names: &[String]) -> Vec<WinPath> {
    let mut folders: Vec<WinPath> = names.iter().filter_map(|name| places.file(name)).collect();
    folders.sort();
    folders.dedup();
    folders
}

fn starts_with(text: &str, beginning: &str) -> bool {
    text.trim()
        .get(..beginning.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}
