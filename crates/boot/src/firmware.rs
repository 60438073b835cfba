//! Finds UEFI firmware for qemu, where Debian and Red Hat put it.

use std::path::{Path, PathBuf};

use refit_machine::Firmware;

use crate::Error;

/// Code and variables of one firmware build. The code is used in place; the variables are a template
/// to copy, as the guest writes to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Build {
    /// The read-only code image.
    pub code: &'static str,
    /// The template of the variable store.
    pub vars: &'static str,
}

const fn build(code: &'static str, vars: &'static str) -> Build {
    Build { code, vars }
}

/// Newest layout first: 4 MiB images hold the larger revocation lists of today.
const PLAIN: [Build; 3] = [
    build(
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    build(
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    build(
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
];

/// With Secure Boot enforced: needs SMM, and a variable store with Microsoft's keys enrolled.
const SECURE: [Build; 3] = [
    build(
        "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.ms.fd",
    ),
    build(
        "/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd",
    ),
    build(
        "/usr/share/OVMF/OVMF_CODE.ms.fd",
        "/usr/share/OVMF/OVMF_VARS.ms.fd",
    ),
];

/// The first build that is installed; nothing for BIOS, which qemu brings itself.
///
/// # Errors
/// [`Error::FirmwareMissing`] with the paths that were tried.
pub(crate) fn find(firmware: Firmware) -> Result<Option<Build>, Error> {
    find_with(firmware, Path::is_file)
}

fn find_with(firmware: Firmware, exists: impl Fn(&Path) -> bool) -> Result<Option<Build>, Error> {
    let (name, builds) = match firmware {
        Firmware::Bios => return Ok(None),
        Firmware::Uefi => ("UEFI", &PLAIN),
        Firmware::UefiSecure => ("Secure Boot", &SECURE),
    };
    let found = builds
        .iter()
        .find(|build| exists(Path::new(build.code)) && exists(Path::new(build.vars)));
    found
        .copied()
        .map(Some)
        .ok_or_else(|| Error::FirmwareMissing {
            firmware: name,
            searched: builds.map(|build| build.code).join(", "),
        })
}

/// A writable copy of the variable store in `dir`.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn copy_vars(build: Build, dir: &Path) -> Result<PathBuf, Error> {
    let copy = dir.join("vars.fd");
    std::fs::copy(build.vars, &copy).map_err(Error::io(format!("copying {}", build.vars)))?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_complete_build_wins() {
        assert_eq!(find_with(Firmware::Bios, |_| false).unwrap(), None);
        let red_hat = |path: &Path| path.starts_with("/usr/share/edk2");
        let found = find_with(Firmware::UefiSecure, red_hat).unwrap().unwrap();
        assert_eq!(found.code, "/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd");
        // Code without its variables is of no use.
        let half = |path: &Path| path.ends_with("OVMF_CODE_4M.fd");
        let message = find_with(Firmware::Uefi, half).unwrap_err().to_string();
        assert!(
            message.contains("OVMF_CODE_4M.fd") && message.contains("install ovmf"),
            "{message}"
        );
    }
}
