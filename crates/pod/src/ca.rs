//! The certificates that a vSphere URL names: `cacert=/opt/ca-bundle.crt`.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The link that the controller's URLs name.
const LINK: &str = "opt/ca-bundle.crt";
/// The certificate of the source, if the user gave one.
const SECRET: &str = "etc/secret/cacert";
/// The system's own certificates: Fedora and RHEL, Debian, SUSE; and a copy that Forklift's images may have.
const SYSTEM: &[&str] = &[
    "etc/pki/tls/certs/ca-bundle.crt.bak",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ssl/certs/ca-certificates.crt",
    "etc/ssl/ca-bundle.pem",
];

/// Makes the link to the source's certificate, else to the system's. A link that leads there already, as after a
/// restart, is as good.
///
/// # Errors
/// If the link cannot be made, or something else is in its place.
pub(crate) fn link(root: &Path) -> anyhow::Result<()> {
    let Some(target) = target(root) else {
        tracing::warn!("there are no certificates to verify the source with");
        return Ok(());
    };
    let link = root.join(LINK);
    if let Some(dir) = link.parent() {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    }
    match symlink(&target, &link) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::read_link(&link).is_ok_and(|there| there == target) {
                return Ok(());
            }
            // One that leads nowhere helps nobody.
            if fs::symlink_metadata(&link).is_ok_and(|meta| meta.is_symlink()) && !link.exists() {
                fs::remove_file(&link).with_context(|| format!("removing {}", link.display()))?;
                return symlink(&target, &link)
                    .with_context(|| format!("linking {}", link.display()));
            }
            bail!(
                "{} is there and is no link to {}; remove it from the volume",
                link.display(),
                target.display()
            );
        }
        made => made.with_context(|| format!("linking {}", link.display())),
    }
}

fn target(root: &Path) -> Option<PathBuf> {
    [SECRET]
        .iter()
        .chain(SYSTEM)
        .map(|path| root.join(path))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_certificate_comes_first_and_an_existing_link_may_stay() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let put = |path: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "PEM").unwrap();
        };
        let made = || fs::read_link(root.join(LINK)).ok();
        link(root).unwrap();
        assert_eq!(made(), None, "nothing to lead to");
        put("etc/ssl/certs/ca-certificates.crt");
        link(root).unwrap();
        link(root).unwrap();
        assert!(made().unwrap().ends_with("ca-certificates.crt"));
        fs::remove_file(root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
        put(SECRET);
        link(root).unwrap();
        assert!(made().unwrap().ends_with(SECRET), "the other led nowhere");
        fs::remove_file(root.join(LINK)).unwrap();
        put(LINK);
        assert!(format!("{:#}", link(root).unwrap_err()).contains("no link"));
    }
}
