//! The service program that virt-v2v puts into Windows guests: `rhsrvany.exe`.
//!
//! Without one virt-v2v refuses to convert Windows. Where none is installed, refit's own first-boot
//! program stands in: under that name it is one (`windows/firstboot/README.md`). It is the 32-bit one, as
//! virt-v2v's scripts expect: they look for `Sysnative`, which Windows shows to 32-bit programs only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::scratch::Scratch;
use crate::tools::Environment;

/// virt-v2v's default (virt-v2v(1), "FILES").
const VIRT_TOOLS: &str = "/usr/share/virt-tools";
const RHSRVANY: &str = "rhsrvany.exe";
/// Red Hat's and SUSE's program; either will do.
const INSTALLED: [&str; 2] = [RHSRVANY, "pvvxsvc.exe"];
/// Names the directory with refit's own programs, and then nothing else is looked at.
const VARIABLE: &str = "REFIT_FIRSTBOOT_DIR";
const OWN: &str = "refit-firstboot-i686.exe";

/// The program that virt-v2v would find by itself.
pub(crate) fn installed(env: &Environment) -> Option<PathBuf> {
    let dir = PathBuf::from(
        env.get("VIRT_TOOLS_DATA_DIR")
            .unwrap_or(VIRT_TOOLS.as_ref()),
    );
    INSTALLED
        .into_iter()
        .map(|name| dir.join(name))
        .find(|path| path.is_file())
}

/// refit's own program: beside refit, in its prefix, in the distribution's place, or where a source
/// tree builds it.
pub(crate) fn own(env: &Environment) -> Option<PathBuf> {
    let places = match env.get(VARIABLE) {
        Some(named) => vec![PathBuf::from(named)],
        None => {
            let beside = std::env::current_exe().ok();
            let beside = beside.as_deref().and_then(Path::parent);
            beside
                .into_iter()
                .flat_map(|dir| [dir.to_owned(), dir.join("../lib/refit/firstboot")])
                .chain([
                    PathBuf::from("/usr/share/refit/firstboot"),
                    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/firstboot"),
                ])
                .collect()
        }
    };
    places
        .into_iter()
        .map(|place| place.join(OWN))
        .find(|path| path.is_file())
}

/// A directory for `VIRT_TOOLS_DATA_DIR` with refit's own program, if virt-v2v would find none.
///
/// # Errors
/// It cannot be copied.
pub(crate) fn stand_in(env: &Environment, scratch: &Scratch) -> io::Result<Option<PathBuf>> {
    if installed(env).is_some() {
        return Ok(None);
    }
    let Some(own) = own(env) else {
        return Ok(None);
    };
    let dir = scratch.file("virt-tools");
    fs::create_dir(&dir)?;
    fs::copy(own, dir.join(RHSRVANY))?;
    Ok(Some(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_stands_in_only_where_none_is_installed() {
        let dir = tempfile::tempdir().unwrap();
        let (theirs, ours) = (dir.path().join("theirs"), dir.path().join("ours"));
        fs::create_dir(&theirs).unwrap();
        fs::create_dir(&ours).unwrap();
        let env = Environment::default()
            .with("VIRT_TOOLS_DATA_DIR", &theirs)
            .with(VARIABLE, &ours);
        let scratch = || Scratch::create(Some(dir.path()), &env).unwrap();
        assert_eq!(stand_in(&env, &scratch()).unwrap(), None, "there is none");

        fs::write(ours.join(OWN), "MZ ours").unwrap();
        let scratch = scratch();
        let made = stand_in(&env, &scratch).unwrap().unwrap();
        assert_eq!(fs::read(made.join(RHSRVANY)).unwrap(), b"MZ ours");

        fs::write(theirs.join("pvvxsvc.exe"), "MZ").unwrap();
        assert_eq!(stand_in(&env, &scratch).unwrap(), None);
        assert_eq!(installed(&env), Some(theirs.join("pvvxsvc.exe")));
    }
}
