//! The guest's own tool for building an initramfs.

use refit_engine::{Change, Guest};

/// What the guest builds its initramfs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tool {
    /// Red Hat since 6, SUSE since 12, and anyone's choice.
    Dracut,
    /// Debian, Ubuntu.
    InitramfsTools,
    /// Arch.
    Mkinitcpio,
    /// Alpine.
    Mkinitfs,
    /// SUSE up to 11.
    SuseMkinitrd,
    /// Red Hat up to 5.
    RedHatMkinitrd,
    /// None that refit knows.
    Unknown,
}

/// Programs by which a tool is recognised, in the order in which they count: dracut brings a
/// `mkinitrd` of its own, and replaces initramfs-tools where it is installed.
const PROGRAMS: [(&str, Tool); 9] = [
    ("/usr/bin/dracut", Tool::Dracut),
    ("/usr/sbin/dracut", Tool::Dracut),
    ("/sbin/dracut", Tool::Dracut),
    ("/usr/sbin/mkinitramfs", Tool::InitramfsTools),
    ("/usr/sbin/update-initramfs", Tool::InitramfsTools),
    ("/usr/bin/mkinitcpio", Tool::Mkinitcpio),
    ("/sbin/mkinitfs", Tool::Mkinitfs),
    ("/lib/mkinitrd", Tool::SuseMkinitrd),
    ("/sbin/mkinitrd", Tool::RedHatMkinitrd),
];

const INITRAMFS_TOOLS_MODULES: &str = "/etc/initramfs-tools/modules";
const DRACUT_CONF: &str = "/etc/dracut.conf.d/refit-virtio.conf";

impl Tool {
    /// The tool of `guest`.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub(super) fn of(guest: &Guest<'_>) -> anyhow::Result<Self> {
        for (program, tool) in PROGRAMS {
            if guest.exists(program)? {
                return Ok(tool);
            }
        }
        Ok(Self::Unknown)
    }

    /// What the user does in the guest to get `modules` into the initramfs of kernel `release`.
    pub(super) fn advice(self, release: &str, modules: &[&str]) -> String {
        let list = modules.join(" ");
        match self {
            Self::Dracut => {
                format!(
                    "run `dracut --force --add-drivers \"{list}\" --kver {release}` in the guest"
                )
            }
            Self::InitramfsTools => format!(
                "add {list} to {INITRAMFS_TOOLS_MODULES}, one on a line, and run `update-initramfs -u -k {release}` in the guest"
            ),
            Self::Mkinitcpio => format!(
                "add {list} to MODULES in /etc/mkinitcpio.conf and run `mkinitcpio -P` in the guest"
            ),
            Self::Mkinitfs => format!(
                "add the feature virtio to /etc/mkinitfs/mkinitfs.conf and run `mkinitfs {release}` in the guest"
            ),
            Self::SuseMkinitrd => format!(
                "add {list} to INITRD_MODULES in /etc/sysconfig/kernel and run `mkinitrd` in the guest"
            ),
            Self::RedHatMkinitrd => {
                let with: Vec<String> = modules
                    .iter()
                    .map(|name| format!("--with={name}"))
                    .collect();
                format!(
                    "run `mkinitrd -f {} /boot/initrd-{release}.img {release}` in the guest",
                    with.join(" ")
                )
            }
            Self::Unknown => format!("rebuild it in the guest with {list}"),
        }
    }

    /// The command that builds `image` for kernel `release` (whose own image is `kernel`) with `modules`,
    /// for any machine rather than for the one it runs on. Packed with gzip, which every kernel that
    /// loads modules unpacks, and refit reads; `None` if no tool is known.
    pub(super) fn command(
        self,
        release: &str,
        image: &str,
        kernel: &str,
        modules: &[&str],
    ) -> Option<Vec<String>> {
        let list = modules.join(" ");
        let with: Vec<String> = modules
            .iter()
            .map(|name| format!("--with={name}"))
            .collect();
        let with: Vec<&str> = with.iter().map(String::as_str).collect();
        let words: Vec<&str> = match self {
            Self::Dracut => vec![
                "dracut",
                "--force",
                "--no-hostonly",
                "--gzip",
                "--add-drivers",
                &list,
                image,
                release,
            ],
            Self::InitramfsTools => vec!["mkinitramfs", "-c", "gzip", "-o", image, release],
            Self::Mkinitcpio => vec![
                "mkinitcpio",
                "-S",
                "autodetect",
                "-z",
                "gzip",
                "-k",
                release,
                "-g",
                image,
            ],
            Self::Mkinitfs => vec!["mkinitfs", "-o", image, release],
            Self::SuseMkinitrd => vec!["mkinitrd", "-m", &list, "-k", kernel, "-i", image],
            Self::RedHatMkinitrd => [&["mkinitrd", "-f"], &with[..], &[image, release]].concat(),
            Self::Unknown => return None,
        };
        Some(words.into_iter().map(str::to_owned).collect())
    }

    /// What makes the guest's own next rebuild include `modules`, as far as it does not already.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub(super) fn include(
        self,
        guest: &Guest<'_>,
        modules: &[&str],
        warnings: &mut Vec<String>,
    ) -> anyhow::Result<Option<Change>> {
        let path = match self {
            Self::InitramfsTools => INITRAMFS_TOOLS_MODULES,
            Self::Dracut => DRACUT_CONF,
            // Takes in what the machine has that it runs on.
            Self::Mkinitcpio => return Ok(None),
            _ => {
                warnings.push(format!(
                    "what was added to the initramfs is lost when the guest builds it anew, unless its \
                     tool is told: {}",
                    self.advice("RELEASE", modules)
                ));
                return Ok(None);
            }
        };
        let present = guest.read(path)?;
        let mode = present.is_none().then_some(0o644);
        let present = present.unwrap_or_default();
        let content = match self {
            Self::Dracut => dracut_with(&present, modules),
            _ => initramfs_tools_with(&present, modules),
        };
        Ok((content != present).then(|| Change::Write {
            path: path.into(),
            content,
            mode,
        }))
    }
}

/// The list of modules (initramfs-tools(7)) with a line for each that has none.
fn initramfs_tools_with(present: &[u8], modules: &[&str]) -> Vec<u8> {
    let text = String::from_utf8_lossy(present);
    let listed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let missing: Vec<&&str> = modules
        .iter()
        .filter(|name| !listed.contains(*name))
        .collect();
    let mut content = present.to_vec();
    if missing.is_empty() {
        return content;
    }
    if content.last().is_some_and(|&b| b != b'\n') {
        content.push(b'\n');
    }
    content.extend_from_slice(b"# Added by refit: virtio disks and network cards\n");
    for name in missing {
        content.extend_from_slice(name.as_bytes());
        content.push(b'\n');
    }
    content
}

/// Our drop-in (dracut.conf(5)): as it is if it has them all.
fn dracut_with(present: &[u8], modules: &[&str]) -> Vec<u8> {
    let text = String::from_utf8_lossy(present);
    let lines = || text.lines().filter(|line| !line.starts_with('#'));
    let has = |name: &&str| lines().any(|line| line.split([' ', '"']).any(|word| word == *name));
    if modules.iter().all(has) {
        return present.to_vec();
    }
    format!(
        "# Written by refit: virtio disks and network cards.\nadd_drivers+=\" {} \"\n",
        modules.join(" ")
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_added() {
        let old = b"# List\nvirtio_blk\n#virtio_pci\next4 opt=1";
        let new = initramfs_tools_with(old, &["virtio_pci", "virtio_blk"]);
        assert_eq!(
            String::from_utf8(new.clone()).unwrap(),
            "# List\nvirtio_blk\n#virtio_pci\next4 opt=1\n# Added by refit: virtio disks and network cards\nvirtio_pci\n"
        );
        assert_eq!(
            initramfs_tools_with(&new, &["virtio_pci", "virtio_blk"]),
            new
        );
        assert_eq!(initramfs_tools_with(b"", &[]), b"");
    }

    #[test]
    fn dracut_gets_one_line_with_spaces_around() {
        let new = dracut_with(b"", &["virtio_pci", "virtio_blk"]);
        assert!(new.ends_with(b"\nadd_drivers+=\" virtio_pci virtio_blk \"\n"));
        assert_eq!(dracut_with(&new, &["virtio_blk"]), new);
        assert_ne!(dracut_with(&new, &["virtio"]), new, "whole words count");
    }
}
