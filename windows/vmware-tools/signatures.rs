//! What tells one hypervisor's guest tools: data, in `signatures/`.

use std::sync::LazyLock;

use serde::Deserialize;

/// One hypervisor's guest tools.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Signatures {
    /// What people call them.
    pub(crate) title: String,
    /// Keys below `Enum` that show that the guest ran on this hypervisor.
    pub(crate) hardware: Vec<String>,
    /// What occurs in the hardware ids of its devices only.
    pub(crate) device_ids: Vec<String>,
    pub(crate) product: Product,
    pub(crate) files: Files,
    pub(crate) registry: Registry,
    #[serde(default)]
    pub(crate) shares: Shares,
    pub(crate) kept: Kept,
    #[serde(rename = "service")]
    pub(crate) services: Vec<Service>,
}

/// How the installed product is found.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Product {
    pub(crate) names: Vec<String>,
    /// Beginnings of its publisher's names.
    pub(crate) publishers: Vec<String>,
    /// Beginnings of names of other products with some of the same drivers.
    pub(crate) siblings: Vec<String>,
    pub(crate) install_values: Vec<InstallValue>,
    /// One of these files is in a folder that is its own.
    pub(crate) proof: Vec<String>,
}

/// A value of `SOFTWARE` that says where the product is installed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InstallValue {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// Its files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Files {
    pub(crate) install_folders: Vec<String>,
    pub(crate) folders: Vec<String>,
    /// Go when they are empty.
    pub(crate) parents: Vec<String>,
    /// Folders in every user's profile.
    pub(crate) profile: Vec<String>,
    /// Patterns of names in the system's folders.
    pub(crate) system: Vec<String>,
    /// The same, if the installer's records say that they are the product's alone.
    pub(crate) recorded: Vec<String>,
    /// Patterns of names in the system's folder of temporary files.
    pub(crate) logs: Vec<String>,
}

/// Its own keys and values.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Registry {
    pub(crate) keys: Vec<String>,
    /// Its own, unless a sibling product is installed.
    #[serde(default)]
    pub(crate) shared_keys: Vec<String>,
    /// Go when they are empty.
    pub(crate) parents: Vec<String>,
    pub(crate) handlers: Vec<String>,
    pub(crate) applications: Vec<String>,
    pub(crate) run: Vec<String>,
    pub(crate) vss_providers: Vec<String>,
    pub(crate) event_sources: Vec<String>,
    /// Base names of its INF files.
    pub(crate) infs: Vec<String>,
}

/// The host's folders that it shows in the guest.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shares {
    /// Names of its network provider.
    pub(crate) providers: Vec<String>,
    /// Names under which the host appears in paths.
    pub(crate) hosts: Vec<String>,
}

/// What is left as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) services: Vec<String>,
    pub(crate) files: Vec<String>,
}

/// A service or driver, and what proves that it is the one meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) name: String,
    /// File names of its program.
    #[serde(default)]
    pub(crate) programs: Vec<String>,
    /// Display names, if it runs somebody else's program.
    #[serde(default)]
    pub(crate) titles: Vec<String>,
    /// Libraries in the system's folders through which programs use it.
    #[serde(default)]
    pub(crate) libraries: Vec<String>,
    /// Whether a sibling product has it, too.
    #[serde(default)]
    pub(crate) shared: bool,
}

impl Signatures {
    /// The service of this name.
    pub(crate) fn service(&self, name: &str) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.name.eq_ignore_ascii_case(name))
    }

    /// Whether the service of this name is one that always stays.
    pub(crate) fn keeps(&self, name: &str) -> bool {
        let mut kept = self.kept.services.iter();
        kept.any(|kept| kept.eq_ignore_ascii_case(name))
    }
}

/// Whether `name` is as `pattern` says, in which `*` stands for anything and `?` for one character.
/// Without regard to case.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.to_lowercase().chars().collect();
    let name: Vec<char> = name.to_lowercase().chars().collect();
    // Where to go back to when what follows the last `*` does not fit.
    let (mut p, mut n, mut retry) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    p = star + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Whether one of `patterns` [matches](fn@matches)(matches) `name`.
pub(crate) fn any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

/// VMware Tools.
pub(crate) static VMWARE: LazyLock<Signatures> =
    LazyLock::new(|| read(include_str!("signatures/vmware.toml")));
/// VirtualBox Guest Additions.
pub(crate) static VIRTUALBOX: LazyLock<Signatures> =
    LazyLock::new(|| read(include_str!("signatures/virtualbox.toml")));
/// Parallels Tools and Virtuozzo Tools.
pub(crate) static PARALLELS: LazyLock<Signatures> =
    LazyLock::new(|| read(include_str!("signatures/parallels.toml")));
/// Xen guest tools.
pub(crate) static XEN: LazyLock<Signatures> =
    LazyLock::new(|| read(include_str!("signatures/xen.toml")));

#[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
fn read(table: &str) -> Signatures {
    toml::from_str(table).expect("a table of signatures is valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("vm3d*.dll", "VM3DUM64.DLL", true),
            ("vm3d*.dll", "vm3dmp.sys", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn nothing_of_microsoft_or_kept_is_named() {
        let microsoft = [
            "vmbus",
            "vmbusr",
            "vmbushid",
            "vmgid",
            "vmgencounter",
            "vmstorfl",
            "vms3cap",
            "vmicheartbeat",
            "vmickvpexchange",
            "vmicrdv",
            "vmicshutdown",
            "vmictimesync",
            "vmicvmsession",
            "vmicvss",
            "vmicguestinterface",
            "vmrs",
            "vmcompute",
            "vmms",
            "vmsmp",
            "vmswitch",
            "storvsc",
            "netvsc",
            "wmiapsrv",
            "vss",
            "winhv",
        ];
        for table in [&*VMWARE, &*VIRTUALBOX, &*PARALLELS, &*XEN] {
            for name in microsoft {
                assert!(table.service(name).is_none(), "{}: {name}", table.title);
                for extension in ["sys", "dll", "exe"] {
                    let file = format!("{name}.{extension}");
                    assert!(!any(&table.files.system, &file), "{}: {file}", table.title);
                }
            }
            for service in &table.services {
                assert!(!table.keeps(&service.name), "{}", service.name);
                assert!(
                    !service.programs.is_empty() || !service.titles.is_empty(),
                    "{} has no evidence",
                    service.name
                );
            }
            for file in &table.kept.files {
                assert!(!any(&table.files.system, file), "{file}");
            }
        }
    }
}
