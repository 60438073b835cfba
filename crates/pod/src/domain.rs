//! The source machine's description, from libvirt.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use refit_machine::libvirt::{self, LocalDisk};

use crate::Settings;

/// No user name or password is longer, in bytes.
const MAX_SECRET: u64 = 64 * 1024;
/// How much of an error of virsh is told.
const SHOWN: usize = 500;

/// Asks libvirt for the description of the source and writes it with `disks` in place of its own to the contract's
/// file. Gives the description as it was.
///
/// # Errors
/// If libvirt does not answer, or what it says is no description.
pub(crate) fn prepare(settings: &Settings, disks: &[LocalDisk]) -> anyhow::Result<String> {
    let xml = fetch(settings)
        .with_context(|| format!("asking libvirt for the machine {:?}", settings.vm_name))?;
    let rewritten = libvirt::with_disks(&xml, disks)
        .with_context(|| format!("reading libvirt's description of {:?}", settings.vm_name))?;
    let path = &settings.paths.libvirt_domain_file;
    fs::write(path, rewritten).with_context(|| format!("writing {}", path.display()))?;
    Ok(xml)
}

fn fetch(settings: &Settings) -> anyhow::Result<String> {
    // Removed again, whatever happens. It holds the password.
    let dir = tempfile::Builder::new()
        .prefix("refit-auth-")
        .tempdir()
        .context("making a private directory")?;
    let auth = dir.path().join("auth.conf");
    write_private(&auth, &credentials(settings)?)?;
    let args = [
        "-c",
        &settings.libvirt_url,
        "dumpxml",
        "--",
        &settings.vm_name,
    ];
    crate::announce("virsh", &args);
    let output = Command::new("virsh")
        .args(args)
        .env("LIBVIRT_AUTH_FILE", &auth)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .context("starting virsh")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said: String = said.trim().chars().take(SHOWN).collect();
        bail!("virsh ended with {}: {said}", output.status);
    }
    String::from_utf8(output.stdout).context("virsh's answer is no text")
}

/// libvirt's file of credentials (libvirt's "Client configuration for authentication"); both drivers look for theirs.
fn credentials(settings: &Settings) -> anyhow::Result<String> {
    let user = secret(&settings.paths.access_key)?;
    let password = secret(&settings.paths.secret_key)?;
    Ok(format!(
        "[credentials-source]\nusername={user}\npassword={password}\n\n\
         [auth-esx-default]\ncredentials=source\n\n[auth-vpx-default]\ncredentials=source\n"
    ))
}

fn secret(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_SECRET).read_to_string(&mut text))
        .with_context(|| format!("reading {}; is the secret mounted?", path.display()))?;
    let text = text.trim_end_matches(['\n', '\r']);
    ensure!(
        !text.contains(['\n', '\r', '\0']),
        "{} has more than one line, which libvirt's file of credentials cannot hold",
        path.display()
    );
    Ok(text.to_owned())
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_from_the_files() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("etc/secret");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("accessKeyId"), "admin@vsphere.local\n").unwrap();
        fs::write(dir.join("secretKey"), " ge=heim#").unwrap();
        let env = (
            "REFIT_POD_ROOT".to_owned(),
            root.path().display().to_string(),
        );
        let settings = Settings::read([env], []).unwrap();
        let text = credentials(&settings).unwrap();
        assert!(text.contains("username=admin@vsphere.local\npassword= ge=heim#\n"));
        fs::write(dir.join("secretKey"), "a\nb").unwrap();
        let error = format!("{:#}", credentials(&settings).unwrap_err());
        assert!(error.contains("more than one line") && !error.contains("a\nb"));
    }
}
