//! The companions that virt-v2v runs, and what happens without them.

use std::path::{Path, PathBuf};

use crate::capabilities::Capabilities;
use crate::errors::{ConvertError, ErrorKind};
use crate::firstboot;
use crate::process::CancelToken;
use crate::tools::{Environment, Kind, Tools};

/// virt-v2v's defaults (virt-v2v(1), "FILES").
const VIRTIO_WIN_ISO: &str = "/usr/share/virtio-win/virtio-win.iso";
const VIRTIO_WIN_DIR: &str = "/usr/share/virtio-win";

const QEMU_IMG: &str = "qemu-img";

/// How much a missing companion matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing can be converted.
    Required,
    /// Windows guests cannot be converted.
    ForWindows,
    /// Something is less good.
    Optional,
}

/// One thing that is there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked for.
    pub name: &'static str,
    /// Where it is, or its version; `None` if it is missing.
    pub found: Option<String>,
    /// What it is needed for.
    pub needed_for: &'static str,
    /// What to do if it is missing.
    pub advice: &'static str,
    /// How much it matters.
    pub severity: Severity,
}

/// Helper programs on the host, in the order in which virt-v2v needs them.
const HELPERS: &[(&str, &str, &str)] = &[
    (
        QEMU_IMG,
        "reading disk images",
        "Install qemu-utils (Debian) or qemu-img (Fedora, RHEL).",
    ),
    (
        "nbdkit",
        "serving disks to the appliance",
        "Install nbdkit.",
    ),
    (
        "qemu-nbd",
        "serving disks that are not raw, and writing qcow2",
        "Install qemu-utils (Debian) or qemu-img (Fedora, RHEL).",
    ),
    (
        "nbdcopy",
        "copying the disks; without it virt-v2v fails after the conversion",
        "Install libnbd-bin (Debian) or libnbd (Fedora, RHEL).",
    ),
];

/// Everything that a conversion needs on this host. Starts nothing but virt-v2v's own probes.
#[must_use]
pub fn checks(env: &Environment) -> Vec<Check> {
    let tools = Tools::find(env);
    let programs = [
        (
            Kind::Convert,
            "converting Windows guests; Linux guests are converted without it, too",
            Severity::ForWindows,
        ),
        (
            Kind::InPlace,
            "converting disks in place",
            Severity::Optional,
        ),
        (
            Kind::Inspector,
            "describing guests in virt-v2v's own words",
            Severity::Optional,
        ),
    ];
    let mut found: Vec<Check> = programs
        .into_iter()
        .map(|(kind, needed_for, severity)| Check {
            name: kind.program_name(),
            found: tools
                .get(kind)
                .and_then(|program| {
                    Ok(format!(
                        "{} ({})",
                        Capabilities::probe(program, env, &CancelToken::default())?
                            .version
                            .text,
                        program.path.display()
                    ))
                })
                .ok(),
            needed_for,
            advice: "Install virt-v2v.",
            severity,
        })
        .collect();
    // qemu-img is refit's own tool, too.
    let helpers = match tools.convert {
        Some(_) => Severity::Required,
        None => Severity::ForWindows,
    };
    found.extend(HELPERS.iter().map(|&(name, needed_for, advice)| Check {
        name,
        found: env.find_program(name).map(text),
        needed_for,
        advice,
        severity: if name == QEMU_IMG {
            Severity::Required
        } else {
            helpers
        },
    }));
    found.push(Check {
        name: "qemu-system",
        found: qemu_system(env).map(text),
        needed_for: "running the libguestfs appliance",
        advice: "Install qemu-system-x86 (Debian) or qemu-kvm (Fedora, RHEL).",
        severity: Severity::Required,
    });
    found.push(Check {
        name: "kernel",
        found: appliance_kernel(env).map(text),
        needed_for: "building the libguestfs appliance",
        advice: "Install a kernel package (linux-image-cloud-amd64 is the smallest of Debian's) that this user can read, or name a fixed appliance in LIBGUESTFS_PATH.",
        severity: Severity::Required,
    });
    found.push(Check {
        name: "rhsrvany",
        found: firstboot::installed(env)
            .or_else(|| firstboot::own(env))
            .map(text),
        needed_for: "first-boot scripts of Windows guests",
        advice: "Install rhsrvany (Debian 12: from bookworm-backports), or build refit's own with `cargo xtask firstboot`.",
        severity: Severity::ForWindows,
    });
    found.push(Check {
        name: "virtio-win",
        found: virtio_win(env).map(text),
        needed_for: "drivers of Windows guests",
        advice: "Give --virtio-win, or put the ISO at /usr/share/virtio-win/virtio-win.iso.",
        severity: Severity::ForWindows,
    });
    found.push(Check {
        name: "setpriv",
        found: env.find_program("setpriv").map(text),
        needed_for: "ending virt-v2v when refit is killed",
        advice: "Install util-linux.",
        severity: Severity::Optional,
    });
    found
}

/// Refuses to start a run that would fail for want of a helper.
///
/// # Errors
/// [`ErrorKind::ToolMissing`].
pub fn require(env: &Environment, kind: Kind) -> Result<(), ConvertError> {
    let copies = kind == Kind::Convert;
    for &(name, needed_for, advice) in HELPERS {
        if env.find_program(name).is_none() && (copies || name != "nbdcopy") {
            let kind = ErrorKind::ToolMissing {
                name: name.to_owned(),
            };
            return Err(ConvertError::new(
                kind,
                format!("it is needed for {needed_for}. {advice}"),
            ));
        }
    }
    Ok(())
}

fn text(path: PathBuf) -> String {
    path.display().to_string()
}

/// libguestfs takes the one that its build names, or `LIBGUESTFS_HV`.
fn qemu_system(env: &Environment) -> Option<PathBuf> {
    if let Some(path) = env.get("LIBGUESTFS_HV") {
        return Some(PathBuf::from(path)).filter(|path| path.is_file());
    }
    let by_arch = format!("qemu-system-{}", std::env::consts::ARCH);
    ["qemu-kvm", "kvm"]
        .into_iter()
        .chain([by_arch.as_str()])
        .rev()
        .find_map(|name| env.find_program(name))
        .or_else(|| Some(PathBuf::from("/usr/libexec/qemu-kvm")).filter(|path| path.is_file()))
}

/// supermin(1) takes a kernel of the host, or the one in `SUPERMIN_KERNEL`.
fn appliance_kernel(env: &Environment) -> Option<PathBuf> {
    if let Some(path) = env
        .get("SUPERMIN_KERNEL")
        .or_else(|| env.get("LIBGUESTFS_PATH"))
    {
        return Some(PathBuf::from(path)).filter(|path| path.exists());
    }
    let boot = std::fs::read_dir("/boot")
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    let modules = std::fs::read_dir("/lib/modules")
        .ok()
        .into_iter()
        .flatten()
        .flatten();
    boot.filter(|path| {
        path.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"vmlinuz"))
    })
    .chain(modules.map(|entry| entry.path().join("vmlinuz")))
    .find(|path| std::fs::File::open(path).is_ok())
}

/// Where virt-v2v would look for drivers, if there is something.
fn virtio_win(env: &Environment) -> Option<PathBuf> {
    if let Some(path) = env.get("VIRTIO_WIN").or_else(|| env.get("VIRTIO_WIN_DIR")) {
        return Some(PathBuf::from(path)).filter(|path| path.exists());
    }
    [VIRTIO_WIN_ISO, VIRTIO_WIN_DIR]
        .into_iter()
        .map(Path::new)
        .find(|path| path.exists())
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_missing_nbdcopy_stops_only_conversions_that_copy() {
        let dir = tempfile::tempdir().unwrap();
        for (name, ..) in HELPERS.iter().filter(|(name, ..)| *name != "nbdcopy") {
            let path = dir.path().join(name);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let env = Environment::default().with("PATH", dir.path());
        let error = require(&env, Kind::Convert).unwrap_err();
        assert_eq!(
            error.kind,
            ErrorKind::ToolMissing {
                name: "nbdcopy".into()
            }
        );
        assert!(error.to_string().contains("libnbd-bin"), "{error}");
        assert!(require(&env, Kind::InPlace).is_ok());
    }

    #[test]
    fn nothing_installed_is_reported_as_such() {
        let env = Environment::default()
            .with("PATH", "/nonexistent")
            .with("VIRTIO_WIN", "/nonexistent");
        let found = checks(&env);
        let of = |name: &str| found.iter().find(|check| check.name == name).unwrap();
        assert_eq!(of("virt-v2v").found, None);
        let required = |name| of(name).severity == Severity::Required;
        assert!(required("qemu-img") && !required("virt-v2v") && !required("nbdcopy"));
        assert_eq!(
            of("virtio-win").found,
            None,
            "a variable that leads nowhere"
        );
        assert!(
            found
                .iter()
                .all(|check| !check.advice.is_empty() && !check.needed_for.is_empty())
        );
    }
}
