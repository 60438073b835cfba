//! Guests that ask VMware's hypervisor itself, by its I/O port: no program can stand in there.

use refit_engine::Guest;

use crate::boot_loader::BootFiles;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reader {
    /// What it is.
    pub(super) name: &'static str,
    /// Where it is seen.
    pub(super) source: String,
    instead: &'static str,
}

/// Arguments of the kernel that say which platform it is on.
const ARGUMENTS: [(&str, &str, &str); 4] = [
    (
        "ignition.platform.id=vmware",
        "Ignition",
        "set the kernel's argument ignition.platform.id to qemu or kubevirt, and give the configuration as that \
         platform's data",
    ),
    (
        "coreos.oem.id=vmware",
        "Ignition",
        "set the kernel's argument coreos.oem.id to qemu, and give the configuration as that platform's data",
    ),
    (
        "flatcar.oem.id=vmware",
        "Ignition",
        "set the kernel's argument flatcar.oem.id to qemu or kubevirt, and give the configuration as that \
         platform's data",
    ),
    (
        "talos.platform=vmware",
        "Talos",
        "use the image for the platform nocloud, and give the configuration as its user data",
    ),
];

/// Programs that are there for VMware alone.
const PROGRAMS: [(&str, &str, &str); 2] = [
    (
        "/usr/bin/coreos-cloudinit",
        "coreos-cloudinit",
        "attach the environment as a CD-ROM, which it reads as well, or give a config drive",
    ),
    (
        "/usr/bin/early-boot-config",
        "Bottlerocket",
        "attach the user data as a CD-ROM (user-data or ovf-env.xml), which it reads as well",
    ),
];

impl Reader {
    /// What it means, and what to do instead.
    pub(super) fn advice(&self) -> String {
        format!(
            "{} ({}) asks VMware's hypervisor itself, which no program can answer for: {}",
            self.name, self.source, self.instead
        )
    }
}

/// All that are recognised.
pub(super) fn readers(guest: &Guest<'_>) -> anyhow::Result<Vec<Reader>> {
    let mut readers: Vec<Reader> = Vec::new();
    for file in &BootFiles::read(guest)?.files {
        for (_, word) in file.lines.iter().flat_map(|line| file.arguments(line)) {
            let known = ARGUMENTS.iter().find(|(argument, _, _)| *argument == word);
            if let Some((argument, name, instead)) = known
                && !readers.iter().any(|reader| reader.name == *name)
            {
                readers.push(Reader {
                    name,
                    source: format!("{argument} in {}", file.path),
                    instead,
                });
            }
        }
    }
    for (path, name, instead) in PROGRAMS {
        if guest.exists(path)? {
            readers.push(Reader {
                name,
                source: path.to_owned(),
                instead,
            });
        }
    }
    let unit = "/etc/systemd/system/multi-user.target.requires/afterburn-checkin.service";
    let afterburn = "/usr/bin/afterburn";
    if readers.iter().any(|reader| reader.name == "Ignition") && guest.exists(afterburn)? {
        let source = if guest.exists(unit)? { unit } else { afterburn };
        readers.push(Reader {
            name: "Afterburn",
            source: source.to_owned(),
            instead: "it follows the platform that Ignition is told",
        });
    }
    Ok(readers)
}
