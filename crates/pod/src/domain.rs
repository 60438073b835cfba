//! The source machine's description, from libvirt.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use refit_machine::libvirt::{self, LocalDisk};
use refit_v2v::CancelToken;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::Settings;

/// No user name or password is longer, in bytes.
const MAX_SECRET: u64 = 64 * 1024;
/// How much of an error of virsh is told.
const SHOWN: usize = 500;
/// A vCenter that is busy answers within a minute or two.
const PATIENCE: Duration = Duration::from_secs(300);
/// A description is some tens of kilobytes.
const MAX_ANSWER: u64 = 16 << 20;

/// Asks libvirt for the description of the source and writes it with `disks` in place of its own to the contract's
/// file. Gives the description as it was.
///
/// # Errors
/// If libvirt does not answer within five minutes or before `cancel`, or what it says is no description.
pub(crate) fn prepare(
    settings: &Settings,
    disks: &[LocalDisk],
    cancel: &CancelToken,
) -> anyhow::Result<String> {
    let xml = fetch(settings, cancel)
        .with_context(|| format!("asking libvirt for the machine {:?}", settings.vm_name))?;
    // virsh takes numbers and UUIDs for other names of a machine, which may be another one's.
    if let Ok(machine) = libvirt::parse(&xml)
        && may_be_an_id(&settings.vm_name)
    {
        ensure!(
            machine.name == settings.vm_name,
            "libvirt describes {:?} when it is asked for {:?}",
            machine.name,
            settings.vm_name
        );
    }
    let rewritten = libvirt::with_disks(&xml, disks)
        .with_context(|| format!("reading libvirt's description of {:?}", settings.vm_name))?;
    let path = &settings.paths.libvirt_domain_file;
    fs::write(path, rewritten).with_context(|| format!("writing {}", path.display()))?;
    Ok(xml)
}

fn may_be_an_id(name: &str) -> bool {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    let is_hex = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    is_number || (name.len() >= 32 && name.bytes().all(is_hex))
}

fn fetch(settings: &Settings, cancel: &CancelToken) -> anyhow::Result<String> {
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
    let mut virsh = Command::new("virsh");
    virsh
        .args(args)
        .env("LIBVIRT_AUTH_FILE", &auth)
        .env("LC_ALL", "C.UTF-8");
    answer(&mut virsh, PATIENCE, cancel)
}

/// What the program writes to its standard output.
///
/// # Errors
/// If it fails, or is not at its end after `patience` or when `cancel` is set; it is killed then.
fn answer(
    command: &mut Command,
    patience: Duration,
    cancel: &CancelToken,
) -> anyhow::Result<String> {
    let (mut out, mut err) = (memory()?, memory()?);
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out.try_clone().context("sharing a file")?)
        .stderr(err.try_clone().context("sharing a file")?)
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let end = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait().context("waiting for it")? {
            break status;
        }
        let is_late = Instant::now() >= end;
        if is_late || cancel.is_cancelled() {
            // It may have ended by itself; it is collected in any case.
            let _ = child.kill();
            child.wait().context("waiting for it")?;
            ensure!(is_late, "{program} was interrupted");
            bail!(
                "{program} had no answer after {} s; is the host of V2V_libvirtURL reachable from this pod?",
                patience.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    if !status.success() {
        let said = String::from_utf8_lossy(&read(&mut err)?).into_owned();
        let said: String = said.trim().chars().take(SHOWN).collect();
        bail!("{program} ended with {status}: {said}");
    }
    String::from_utf8(read(&mut out)?).with_context(|| format!("{program}'s answer is no text"))
}

/// A file that a program may fill without waiting for a reader.
fn memory() -> anyhow::Result<File> {
    let memory = memfd_create("answer", MemfdFlags::CLOEXEC).context("making a file in memory")?;
    Ok(File::from(memory))
}

fn read(memory: &mut File) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    memory
        .rewind()
        .and_then(|()| memory.take(MAX_ANSWER).read_to_end(&mut bytes))
        .context("reading what it said")?;
    Ok(bytes)
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

    #[test]
    fn names_that_are_numbers_are_looked_at_twice() {
        assert!(may_be_an_id("42"));
        assert!(may_be_an_id("42000000-0000-4000-8000-000000000000"));
        assert!(!may_be_an_id("web42"));
        assert!(!may_be_an_id("feed"));
    }

    #[test]
    fn a_program_without_an_answer_is_ended() {
        let sh = |script: &str, patience: u64, cancel: &CancelToken| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            answer(&mut command, Duration::from_secs(patience), cancel)
        };
        let cancel = CancelToken::default();
        assert_eq!(sh("echo '<domain/>'", 60, &cancel).unwrap(), "<domain/>\n");
        let error = format!("{:#}", sh("echo no >&2; exit 3", 60, &cancel).unwrap_err());
        assert!(error.contains("exit status: 3: no"), "{error}");
        let error = format!("{:#}", sh("exec sleep 600", 0, &cancel).unwrap_err());
        assert!(error.contains("no answer after 0 s"), "{error}");
        cancel.cancel();
        let error = format!("{:#}", sh("exec sleep 600", 60, &cancel).unwrap_err());
        assert!(error.contains("interrupted"), "{error}");
    }
}
