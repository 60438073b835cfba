//! The modules of one installed kernel, as depmod(8) has recorded them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use refit_engine::{Guest, GuestPath};

/// What a guest on KVM may need to reach its disks and to have its network early: the PCI
/// transport, both kinds of disks, the disks behind a SCSI controller, the card.
pub(super) const WANTED: [&str; 5] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "sd_mod",
    "virtio_net",
];

/// Suffixes of a module's file; kmod(8) reads all of them if it was built so.
const SUFFIXES: [&str; 4] = [".ko", ".ko.xz", ".ko.zst", ".ko.gz"];

/// The modules of one kernel.
#[derive(Debug)]
pub(super) struct Modules {
    /// Kernel release.
    pub(super) release: String,
    /// In the order of `modules.dep`, which is the order of depmod's priorities.
    pub(super) entries: Vec<Module>,
    /// `modules.alias`.
    pub(super) aliases: String,
    /// `modules.softdep`.
    pub(super) softdeps: Option<Vec<u8>>,
    index: BTreeMap<String, usize>,
    builtin: BTreeSet<String>,
    dir: GuestPath,
}

/// One line of `modules.dep`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    /// Name, with `_` for `-`.
    pub(super) name: String,
    /// Path below `/lib/modules/RELEASE`.
    pub(super) path: String,
    /// Names of what it depends on, in the order of the line.
    pub(super) needs: Vec<String>,
}

impl Modules {
    /// The modules of kernel `release`; `None` if none are installed.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn read(guest: &Guest<'_>, release: &str) -> anyhow::Result<Option<Self>> {
        let dir = GuestPath::new("/lib/modules").join(release);
        let text = |name: &str| guest.read_text(dir.join(name));
        let Some(dep) = text("modules.dep")? else {
            return Ok(None);
        };
        let mut modules = Self::parse(release, &dep, &text("modules.builtin")?.unwrap_or_default());
        modules.aliases = text("modules.alias")?.unwrap_or_default();
        modules.softdeps = guest.read(dir.join("modules.softdep"))?;
        Ok(Some(modules))
    }

    pub(super) fn parse(release: &str, dep: &str, builtin: &str) -> Self {
        let dir = format!("/lib/modules/{release}/");
        // module-init-tools up to 3.4 wrote absolute paths.
        let relative = |path: &str| path.strip_prefix(&dir).unwrap_or(path).to_owned();
        let mut entries = Vec::new();
        let mut index = BTreeMap::new();
        for line in dep.lines() {
            let Some((path, needs)) = line.split_once(':') else {
                continue;
            };
            let path = relative(path.trim());
            let Some(name) = module_name(&path).filter(|_| is_safe(&path)) else {
                continue;
            };
            index.entry(name.clone()).or_insert(entries.len());
            entries.push(Module {
                name,
                path,
                needs: needs.split_whitespace().filter_map(module_name).collect(),
            });
        }
        Self {
            release: release.to_owned(),
            entries,
            aliases: String::new(),
            softdeps: None,
            index,
            builtin: builtin.lines().filter_map(module_name).collect(),
            dir: GuestPath::new(dir),
        }
    }

    /// The module called `name`.
    pub(super) fn get(&self, name: &str) -> Option<&Module> {
        self.index.get(name).and_then(|&at| self.entries.get(at))
    }

    /// Whether the kernel has `name` at all, as a module or built in.
    pub(super) fn has(&self, name: &str) -> bool {
        self.builtin.contains(name) || self.index.contains_key(name)
    }

    /// Whether the kernel has a driver for virtio disks on PCI.
    pub(super) fn knows_virtio(&self) -> bool {
        self.has("virtio_pci") && (self.has("virtio_blk") || self.has("virtio_scsi"))
    }

    /// The modules that must be in its initramfs: those [`WANTED`] that it has as modules, and what
    /// they depend on.
    pub(super) fn needed(&self) -> BTreeSet<String> {
        let mut needed = BTreeSet::new();
        let mut pending: Vec<&str> = WANTED.to_vec();
        while let Some(name) = pending.pop() {
            if let Some(module) = self.get(name)
                && needed.insert(module.name.clone())
            {
                pending.extend(module.needs.iter().map(String::as_str));
            }
        }
        needed
    }

    /// The content of a module's file.
    ///
    /// # Errors
    /// If it cannot be read, or is not there.
    pub(super) fn content(&self, guest: &Guest<'_>, module: &Module) -> anyhow::Result<Vec<u8>> {
        let path = self.dir.join(&module.path);
        guest.read(&path)?.with_context(|| {
            format!("{path} is not there, although modules.dep lists it; run depmod in the guest")
        })
    }
}

/// The name of the module in the file `path`; `None` if it is no module.
pub(super) fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let name = SUFFIXES
        .iter()
        .find_map(|suffix| file.strip_suffix(suffix))?;
    (!name.is_empty()).then(|| name.replace('-', "_"))
}

/// Whether a path below the modules' directory stays there.
pub(super) fn is_safe(path: &str) -> bool {
    !path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio_ring.ko
/lib/modules/1/kernel/net/net-failover.ko.zst:
/lib/modules/1/kernel/net/virtio-net.ko.gz: /lib/modules/1/kernel/net/net-failover.ko.zst
kernel/../../../etc/passwd.ko:
/etc/shadow.ko:
kernel/readme.txt:
";

    #[test]
    fn what_is_needed_is_what_is_a_module_and_what_that_needs() {
        let modules = Modules::parse("1", DEP, "kernel/drivers/scsi/sd_mod.ko\n");
        let needed: Vec<String> = modules.needed().into_iter().collect();
        assert_eq!(
            needed,
            [
                "net_failover",
                "virtio",
                "virtio_blk",
                "virtio_net",
                "virtio_pci",
                "virtio_ring"
            ]
        );
        assert!(modules.knows_virtio());
        assert_eq!(
            modules.get("virtio_net").unwrap().path,
            "kernel/net/virtio-net.ko.gz"
        );
        assert_eq!(modules.entries.len(), 6, "no path leads out");
    }

    #[test]
    fn a_kernel_without_a_transport_or_a_disk_knows_no_virtio() {
        for (dep, builtin, knows) in [
            ("", "", false),
            ("", "virtio_pci.ko\nvirtio_blk.ko\n", true),
            ("a/virtio_pci.ko:\n", "virtio_scsi.ko\n", true),
            ("a/virtio_pci.ko:\n", "", false),
            ("a/virtio_blk.ko:\n", "", false),
        ] {
            let modules = Modules::parse("1", dep, builtin);
            assert_eq!(modules.knows_virtio(), knows, "{dep} {builtin}");
        }
    }
}
