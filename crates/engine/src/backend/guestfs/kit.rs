//! What is sent into the appliance to rehearse a program there: scripts and planned changes.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, ensure};
use tempfile::NamedTempFile;

use super::GuestfsBackend;
use crate::backend::Backend as _;
use crate::path::GuestPath;
use crate::rehearsal::{GuestCommand, OUTPUT_LIMIT};
use crate::stage::{Stage, Staged, appendix};

/// Where a name without a slash is looked for, in the order of Debian's and Fedora's root.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// capabilities(7) that a program keeps: those for handling files, users and its own processes.
/// Without the others it can mount nothing, make no devices, and load nothing into the kernel.
const CAPABILITIES: &[&str] = &[
    "audit_write",
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "net_bind_service",
    "setfcap",
    "setgid",
    "setpcap",
    "setuid",
    "sys_chroot",
];

/// An archive of everything, to be unpacked into a directory of the appliance. `mounts` are the
/// guest's mount points without the root, outer ones first.
pub(super) fn pack(
    backend: &GuestfsBackend,
    mounts: &[GuestPath],
    stage: &Stage,
    command: &GuestCommand,
) -> anyhow::Result<NamedTempFile> {
    let mut kit = Archive::new()?;
    let limit = format!("OUTPUT_LIMIT={OUTPUT_LIMIT}\n");
    let view = [limit.as_bytes(), include_bytes!("view.sh")].concat();
    kit.file(b"view.sh", &view)?;
    kit.file(b"devices.sh", include_bytes!("devices.sh"))?;
    kit.file(b"inside.sh", include_bytes!("inside.sh"))?;
    kit.file(b"mounts.sh", &mounts_script(mounts))?;
    kit.file(b"command.sh", &command_script(command)?)?;
    kit.file(b"stdin", &command.stdin)?;
    if !stage.is_empty() {
        stage_files(&mut kit, backend, stage).context("packing the changes planned so far")?;
    }
    kit.finish()
}

/// A function that calls another for each file system: its number and its path after the root.
fn mounts_script(mounts: &[GuestPath]) -> Vec<u8> {
    let mut script = b"mounts() {\n\"$1\" 0 ''\n".to_vec();
    for (number, mount) in mounts.iter().enumerate() {
        script.extend(format!("\"$1\" {} ", number + 1).bytes());
        script.extend(quote(mount.as_bytes()));
        script.push(b'\n');
    }
    script.extend(b"}\n");
    script
}

fn command_script(command: &GuestCommand) -> anyhow::Result<Vec<u8>> {
    let kept: Vec<String> = CAPABILITIES
        .iter()
        .map(|capability| format!("+{capability}"))
        .collect();
    let mut script = format!(
        "(exec setpriv --clear-groups --inh-caps=-all --bounding-set=-all,{} \\\n\
         env -i PATH={PATH} HOME=/root LC_ALL=C SYSTEMD_OFFLINE=1",
        kept.join(",")
    )
    .into_bytes();
    for (name, value) in &command.env {
        let is_name = !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        ensure!(is_name, "{name:?} is no name of an environment variable");
        script.extend(format!(" {name}=").bytes());
        script.extend(quote(value.as_bytes()));
    }
    script.extend(b" chroot -- \"$root\"");
    ensure!(!command.argv.is_empty(), "no program is named");
    for argument in &command.argv {
        script.push(b' ');
        script.extend(quote(argument.as_bytes()));
    }
    script.extend(b" 2>&1 3>&-)\n");
    ensure!(
        !script.contains(&0),
        "an argument or a variable contains a NUL"
    );
    Ok(script)
}

/// The planned changes: what goes, what comes as an archive, and what is changed in place.
///
/// The paths contain no links, and what a new directory replaces is removed before anything is
/// put there, so none of this can be led out of the guest's tree.
fn stage_files(kit: &mut Archive, backend: &GuestfsBackend, stage: &Stage) -> anyhow::Result<()> {
    let mut script = Vec::new();
    let mut staged = Archive::new()?;
    let target = |path: &GuestPath| [b"\"$root\"".to_vec(), quote(path.as_bytes())].concat();
    let mut line = |words: &[&[u8]]| {
        script.extend(words.concat());
        script.push(b'\n');
    };
    for (path, node) in &stage.nodes {
        if !matches!(node, Staged::Attributes { .. }) {
            line(&[b"rm -rf ", &target(path)]);
        }
    }
    line(&[b"tar -C \"$root\" --numeric-owner -xpf staged.tar"]);
    for (path, node) in &stage.nodes {
        let name = &path.as_bytes()[1..];
        match node {
            Staged::Gone => {}
            Staged::File {
                content,
                mode,
                owner,
            } => staged.entry(tar::EntryType::Regular, name, *mode, *owner, content)?,
            Staged::Hive { hive, mode, owner } => {
                staged.entry(tar::EntryType::Regular, name, *mode, *owner, hive.bytes())?;
            }
            Staged::Dir { mode, owner } => {
                staged.entry(tar::EntryType::Directory, name, *mode, *owner, &[])?;
            }
            Staged::Link { target } => staged.link(name, target)?,
            Staged::Attributes { mode, owner } => {
                let (uid, gid) = owner;
                line(&[format!("chown {uid}:{gid} ").as_bytes(), &target(path)]);
                line(&[format!("chmod {mode:04o} ").as_bytes(), &target(path)]);
            }
        }
    }
    for (number, (image, files)) in stage.appended.iter().enumerate() {
        let stat = backend
            .lstat(image)?
            .with_context(|| format!("{image} vanished"))?;
        let name = format!("appended.{number}");
        kit.file(
            name.as_bytes(),
            &appendix(backend, image, stat.size, files)?,
        )?;
        line(&[b"cat ", name.as_bytes(), b" >>", &target(image)]);
    }
    kit.file(b"staged.tar", &std::fs::read(staged.finish()?.path())?)?;
    kit.file(b"stage.sh", &script)
}

/// `text` as one word of a POSIX shell, whatever its bytes.
pub(super) fn quote(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in text {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// A tar archive in a temporary file.
struct Archive(tar::Builder<NamedTempFile>);

impl Archive {
    fn new() -> anyhow::Result<Self> {
        let file = NamedTempFile::new().context("making a temporary file")?;
        Ok(Self(tar::Builder::new(file)))
    }

    fn file(&mut self, name: &[u8], content: &[u8]) -> anyhow::Result<()> {
        self.entry(tar::EntryType::Regular, name, 0o600, (0, 0), content)
    }

    fn entry(
        &mut self,
        kind: tar::EntryType,
        name: &[u8],
        mode: u32,
        owner: (u32, u32),
        content: &[u8],
    ) -> anyhow::Result<()> {
        let mut header = header(kind, mode, owner);
        header.set_size(content.len() as u64);
        self.0
            .append_data(&mut header, OsStr::from_bytes(name), content)
            .context("writing an archive")
    }

    fn link(&mut self, name: &[u8], target: &[u8]) -> anyhow::Result<()> {
        let mut header = header(tar::EntryType::Symlink, 0o777, (0, 0));
        let (name, target) = (OsStr::from_bytes(name), OsStr::from_bytes(target));
        self.0
            .append_link(&mut header, name, target)
            .context("writing an archive")
    }

    fn finish(self) -> anyhow::Result<NamedTempFile> {
        let mut file = self.0.into_inner().context("writing an archive")?;
        file.flush().context("writing an archive")?;
        Ok(file)
    }
}

fn header(kind: tar::EntryType, mode: u32, (uid, gid): (u32, u32)) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(uid.into());
    header.set_gid(gid.into());
    header.set_mtime(0);
    header.set_size(0);
    header
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn command(argv: &[&str], env: &[(&str, &str)]) -> GuestCommand {
        GuestCommand {
            argv: argv.iter().map(ToString::to_string).collect(),
            stdin: Vec::new(),
            env: env
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect::<BTreeMap<_, _>>(),
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn words_reach_the_program_as_they_are() {
        let words = ["a b", "it's", "$(x)`y`\\", "new\nline", ""];
        let script = command_script(&command(&words, &[("A", "'; x")])).unwrap();
        // A real shell reads the words; a function takes the place of the first.
        let text = [
            b"root=/r; setpriv() { while [ \"$1\" != /r ]; do shift; done; shift; printf '%s|' \"$@\"; }\n"
                .as_slice(),
            &script[..1],
            &script[b"(exec ".len()..],
        ]
        .concat();
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(OsStr::from_bytes(&text))
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(shown, "a b|it's|$(x)`y`\\|new\nline||");
        assert!(String::from_utf8(script).unwrap().contains(" A=''\\''; x'"));
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for (argv, env) in [
            (vec![], vec![]),
            (vec!["a\0b"], vec![]),
            (vec!["a"], vec![("", "x")]),
            (vec!["a"], vec![("-i", "x")]),
            (vec!["a"], vec![("A=B", "x")]),
            (vec!["a"], vec![("1A", "x")]),
        ] {
            assert!(command_script(&command(&argv, &env)).is_err(), "{argv:?}");
        }
    }
}
