//! What an INF file says to Plug and Play: for which devices on which Windows, and what it installs.

use std::collections::BTreeSet;

use crate::registry::plain_name;
use crate::{Decoration, DriverVer, Inf, Service, Windows};

/// The driver package that an INF file describes.
#[derive(Debug, Clone)]
pub struct Package {
    inf: Inf,
    /// `Class`, such as `SCSIAdapter`.
    pub class: String,
    /// `ClassGuid`, with braces, in upper case; empty if not given.
    pub class_guid: String,
    /// `Provider`.
    pub provider: String,
    /// `DriverVer`; one without it is older than all others.
    pub driver_ver: Option<DriverVer>,
}

/// One device that a package drives on one Windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What the device is called.
    pub description: String,
    /// The install section.
    pub install: String,
    /// Hardware identifier first, then compatible ones, in upper case: `PCI\VEN_1AF4&DEV_1001`.
    pub ids: Vec<String>,
}

impl Package {
    /// Reads what an INF file says of its package.
    #[must_use]
    pub fn new(inf: Inf) -> Self {
        let text = |key| {
            inf.value("Version", key)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let driver_ver = inf
            .entries("Version", "DriverVer")
            .next()
            .and_then(|line| DriverVer::parse(line.field(0), line.field(1)));
        Self {
            class: text("Class"),
            class_guid: text("ClassGuid").to_uppercase(),
            provider: text("Provider"),
            driver_ver,
            inf,
        }
    }

    /// The text that it was made from.
    #[must_use]
    pub fn inf(&self) -> &Inf {
        &self.inf
    }

    /// Every decoration of its models sections, of every manufacturer; one that Windows would not
    /// understand is left out.
    #[must_use]
    pub fn decorations(&self) -> Vec<Decoration> {
        self.manufacturers()
            .flat_map(|(_, decorations)| decorations)
            .map(|(_, decoration)| decoration)
            .collect()
    }

    /// The closest decoration that admits this Windows.
    #[must_use]
    pub fn decoration_for(&self, windows: &Windows) -> Option<Decoration> {
        self.decorations()
            .into_iter()
            .filter(|decoration| decoration.admits(windows))
            .max_by(|a, b| a.closeness().cmp(&b.closeness()))
    }

    /// The devices that it drives on this Windows.
    #[must_use]
    pub fn models(&self, windows: &Windows) -> Vec<Model> {
        self.models_where(|decoration| decoration.admits(windows))
    }

    /// The devices that it drives on any Windows.
    #[must_use]
    pub fn all_models(&self) -> Vec<Model> {
        let mut all = Vec::new();
        for decoration in self.decorations() {
            for model in self.models_where(|other| *other == decoration) {
                if !all.contains(&model) {
                    all.push(model);
                }
            }
        }
        all
    }

    fn models_where(&self, admits: impl Fn(&Decoration) -> bool) -> Vec<Model> {
        let mut models = Vec::new();
        for (name, decorations) in self.manufacturers() {
            let best = decorations
                .into_iter()
                .filter(|(_, decoration)| admits(decoration))
                .max_by(|(_, a), (_, b)| a.closeness().cmp(&b.closeness()));
            let Some((suffix, _)) = best else { continue };
            let section = if suffix.is_empty() {
                name
            } else {
                format!("{name}.{suffix}")
            };
            for line in self.inf.section(&section).unwrap_or_default() {
                let ids: Vec<String> = line
                    .fields
                    .iter()
                    .skip(1)
                    .map(|id| id.to_uppercase())
                    .collect();
                if ids.iter().any(|id| !id.is_empty()) {
                    models.push(Model {
                        description: line.key.clone().unwrap_or_default(),
                        install: line.field(0).to_owned(),
                        ids: ids.into_iter().filter(|id| !id.is_empty()).collect(),
                    });
                }
            }
        }
        models
    }

    /// Each manufacturer's models section with the decorations that it has.
    fn manufacturers(&self) -> impl Iterator<Item = (String, Vec<(String, Decoration)>)> + '_ {
        self.inf
            .section("Manufacturer")
            .unwrap_or_default()
            .iter()
            .map(|line| {
                let suffixes: Vec<&str> = if line.fields.len() > 1 {
                    line.fields[1..].iter().map(String::as_str).collect()
                } else {
                    vec![""]
                };
                let decorations = suffixes
                    .into_iter()
                    .filter_map(|suffix| Some((suffix.to_owned(), Decoration::parse(suffix)?)))
                    .collect();
                (line.field(0).to_owned(), decorations)
            })
    }

    /// The install section as decorated for this Windows: `NAME.ntARCH`, `NAME.nt` or `NAME` ("INF
    /// `DDInstall` Section").
    #[must_use]
    pub fn install_section(&self, name: &str, windows: &Windows) -> Option<String> {
        [
            format!("{name}.nt{}", windows.arch),
            format!("{name}.nt"),
            name.to_owned(),
        ]
        .into_iter()
        .find(|section| self.inf.section(section).is_some())
    }

    /// The services that it installs for its devices on this Windows, each once.
    #[must_use]
    pub fn services(&self, windows: &Windows) -> Vec<Service> {
        let mut services: Vec<Service> = Vec::new();
        for model in self.models(windows) {
            let Some(section) = self.install_section(&model.install, windows) else {
                continue;
            };
            for service in Service::read(&self.inf, &format!("{section}.Services")) {
                if !services
                    .iter()
                    .any(|other| other.name.eq_ignore_ascii_case(&service.name))
                {
                    services.push(service);
                }
            }
        }
        services
    }

    /// The catalog that signs it on this Windows: `CatalogFile.ntARCH`, `CatalogFile.nt` or
    /// `CatalogFile`.
    #[must_use]
    pub fn catalog(&self, windows: &Windows) -> Option<&str> {
        [
            format!("CatalogFile.nt{}", windows.arch),
            "CatalogFile.nt".to_owned(),
            "CatalogFile".to_owned(),
        ]
        .into_iter()
        .find_map(|key| self.inf.value("Version", &key))
        .filter(|name| plain_name(name))
    }

    /// The files that belong to it on this Windows, by the names that they have beside the INF file:
    /// those of `SourceDisksFiles` and its catalog. Names that lead elsewhere are left out.
    #[must_use]
    pub fn files(&self, windows: &Windows) -> BTreeSet<String> {
        [
            "SourceDisksFiles".to_owned(),
            format!("SourceDisksFiles.{}", windows.arch),
        ]
        .iter()
        .filter_map(|section| self.inf.section(section))
        .flatten()
        .filter_map(|line| line.key.as_deref())
        .chain(self.catalog(windows))
        .filter(|name| plain_name(name))
        .map(str::to_lowercase)
        .collect()
    }

    /// Where a file of a `CopyFiles` section goes: the number of its directory (12 is
    /// `System32\drivers`, 13 the package's own folder in the driver store, 11 `System32`, 10 Windows),
    /// by the file list that names it and `DestinationDirs`.
    #[must_use]
    pub fn destination(&self, file: &str) -> Option<u32> {
        let dirs = self.inf.section("DestinationDirs")?;
        let named = |name: &str| {
            dirs.iter()
                .find(|line| {
                    line.key
                        .as_deref()
                        .is_some_and(|key| key.eq_ignore_ascii_case(name))
                })
                .and_then(|line| crate::registry::number(line.field(0)))
        };
        dirs.iter()
            .filter_map(|line| line.key.as_deref())
            .filter(|list| {
                self.inf
                    .section(list)
                    .unwrap_or_default()
                    .iter()
                    .any(|line| line.field(0).eq_ignore_ascii_case(file))
            })
            .find_map(named)
            .or_else(|| named("DefaultDestDir"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arch, ProductType};

    fn package(text: &str) -> Package {
        let text = format!("[Version]\nSignature=\"$Windows NT$\"\n{text}");
        Package::new(Inf::parse(text.as_bytes()).unwrap())
    }

    fn windows(arch: Arch, version: (u32, u32), build: u32) -> Windows {
        Windows {
            arch,
            version,
            build,
            product: ProductType::Workstation,
            suites: 0,
            sha2: true,
        }
    }

    const TEXT: &str = "Class=SCSIAdapter\nClassGUID={4d36e97b-e325-11ce-bfc1-08002be10318}\nProvider=%V%\n\
        DriverVer = 02/23/2022,100.90.104.21700\nCatalogFile=a.cat\nCatalogFile.NTamd64=a64.cat\n\
        [Manufacturer]\n%V%=M,NTx86.5.1,NTamd64.6.1,NTamd64.10.0...16299\nOther=N,NTia64\n\
        [M.NTx86.5.1]\nold=i,PCI\\OLD\n[M.NTamd64.6.1]\nmid=i,pci\\mid&rev_00,PCI\\mid\nnothing\n\
        [M.NTamd64.10.0...16299]\nnew=i,PCI\\NEW\n\
        [i.NTamd64]\nCopyFiles=list\n[i.NTamd64.Services]\nAddService=s64,2,sv\n[i]\n[i.Services]\nAddService=s32,2,sv\n\
        [sv]\nServiceType=1\nStartType=0\nErrorControl=1\nServiceBinary=%13%\\a.sys\n\
        [list]\na.sys,,,2\n[colist]\nco.dll\n[DestinationDirs]\nDefaultDestDir=10\nlist=13\ncolist = 11\n\
        [SourceDisksFiles]\na.sys=1\nco.dll=1\n..\\evil.sys=1\n[SourceDisksFiles.amd64]\nextra.sys=1\n[Strings]\nV=\"Vendor, Inc.\"";

    #[test]
    fn a_package_is_read() {
        let package = package(TEXT);
        assert_eq!(package.class, "SCSIAdapter");
        assert_eq!(package.class_guid, "{4D36E97B-E325-11CE-BFC1-08002BE10318}");
        assert_eq!(package.provider, "Vendor, Inc.");
        let w11 = windows(Arch::Amd64, (10, 0), 22631);
        let w7 = windows(Arch::Amd64, (6, 1), 7601);
        let xp = windows(Arch::X86, (5, 1), 2600);
        let first = |windows| package.models(windows)[0].ids.clone();
        assert_eq!(first(&w11), ["PCI\\NEW"]);
        assert_eq!(first(&w7), ["PCI\\MID&REV_00", "PCI\\MID"]);
        assert_eq!(first(&xp), ["PCI\\OLD"]);
        assert_eq!(package.all_models().len(), 3);
        assert_eq!(package.models(&windows(Arch::Arm64, (10, 0), 22631)), []);
        assert_eq!(package.services(&w11)[0].name, "s64");
        assert_eq!(package.services(&xp)[0].name, "s32");
        assert_eq!(package.catalog(&w7), Some("a64.cat"));
        assert_eq!(package.catalog(&xp), Some("a.cat"));
        let files = |windows| package.files(windows).into_iter().collect::<Vec<_>>();
        assert_eq!(files(&w7), ["a.sys", "a64.cat", "co.dll", "extra.sys"]);
        assert_eq!(files(&xp), ["a.cat", "a.sys", "co.dll"]);
        assert_eq!(package.destination("A.sys"), Some(13));
        assert_eq!(package.destination("co.dll"), Some(11));
        assert_eq!(package.destination("other"), Some(10));
    }

    #[test]
    fn a_package_that_says_nothing_drives_nothing() {
        let package = package("[Manufacturer]\nx=M,NTamd64\nalone");
        let w7 = windows(Arch::Amd64, (6, 1), 7601);
        assert_eq!(package.models(&w7), []);
        assert_eq!(package.services(&w7), []);
        assert_eq!(package.driver_ver, None);
        assert_eq!(package.catalog(&w7), None);
        assert_eq!(package.destination("x"), None);
    }
}
