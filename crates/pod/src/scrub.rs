//! Secrets out of the environment.
//!
//! The controller mounts the source's Secret as files and puts it into the environment as well, as `V2V_` and the key.
//! Whatever is in a process's environment is inherited by all that it starts and can be read in `/proc`. So before
//! anything else the process replaces itself by the same program without any `V2V_` variable; what those say that are
//! settings comes on standard input, from a file in memory. All others may be keys of the Secret.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::handover::{self, Variables};
use crate::settings;

/// Says that the rest of the environment is on standard input.
const MARK: &str = "REFIT_POD_SETTINGS";
const VIRTIO_WIN: &str = "VIRTIO_WIN";
/// The one directory that can be written to in every pod.
const SCRATCH: &str = "/var/tmp";

/// The environment as the controller gave it, but for its secrets. Does not return the first time that it is called
/// in an environment with `V2V_` variables: the process starts anew then, with the same arguments.
///
/// # Errors
/// If that is not possible.
pub fn environment() -> anyhow::Result<Variables> {
    let mut variables: Variables = std::env::vars_os().collect();
    if std::env::var_os(MARK).is_some() {
        variables.extend(received().context("reading the settings from standard input")?);
        return Ok(variables);
    }
    let (ours, theirs): (Variables, Variables) = variables
        .iter()
        .cloned()
        .partition(|(name, _)| handover::is_controllers(name));
    let mut handed_over = settings::without_secrets(ours.clone());
    // Children do not see one that names nothing, but it was given.
    handed_over.extend(
        theirs
            .iter()
            .filter(|(name, _)| name == VIRTIO_WIN)
            .cloned(),
    );
    let theirs = for_children(theirs, &ours, is_writable(Path::new("/tmp")));
    let memory = handover::keep(&handed_over).context("keeping the settings in memory")?;
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| "refit".into());
    let program = std::env::current_exe().context("looking for this program")?;
    let error = Command::new(program)
        .arg0(name)
        .args(args)
        .env_clear()
        .envs(theirs)
        .env(MARK, "stdin")
        .stdin(memory)
        .exec();
    Err(error).context("starting this program again without secrets in its environment")
}

/// What children are to inherit. `tmp`: whether they can write to `/tmp`.
fn for_children(mut theirs: Variables, ours: &Variables, tmp: bool) -> Variables {
    let given = theirs.clone();
    let get = |list: &Variables, name: &str| {
        let found = list.iter().find(|(there, _)| there == name);
        found.map(|(_, value)| value.clone())
    };
    let mut set = |name: &str, value: OsString| {
        theirs.retain(|(there, _)| there != name);
        theirs.push((name.into(), value));
    };
    // libvirt's backend needs a namespace for users, which stock Kubernetes refuses.
    if get(&given, "LIBGUESTFS_BACKEND").is_none() {
        set("LIBGUESTFS_BACKEND", "direct".into());
    }
    if !tmp {
        // libguestfs makes its sockets in the second one, else in `/tmp`.
        for name in ["TMPDIR", "XDG_RUNTIME_DIR"] {
            if get(&given, name).is_none() {
                set(name, SCRATCH.into());
            }
        }
    }
    // There CentOS and RHEL keep virt-v2v-in-place.
    if let Some(mut path) = get(&given, "PATH")
        && !path
            .as_bytes()
            .split(|&b| b == b':')
            .any(|dir| dir == b"/usr/libexec")
    {
        path.push(":/usr/libexec");
        set("PATH", path);
    }
    let ignores = get(ours, "V2V_xfsRepairIgnore")
        .and_then(|value| crate::goflag::parse_bool(value.to_str()?))
        .unwrap_or(false);
    if ignores {
        let mut append = get(&given, "LIBGUESTFS_APPEND").unwrap_or_default();
        if !append.is_empty() {
            append.push(" ");
        }
        append.push("xfs_repair_ignore=1");
        set("LIBGUESTFS_APPEND", append);
    }
    // virt-v2v would look for drivers in what is not there.
    if let Some(path) = get(&given, VIRTIO_WIN)
        && !Path::new(&path).exists()
    {
        theirs.retain(|(there, _)| there != VIRTIO_WIN);
    }
    theirs
}

fn is_writable(dir: &Path) -> bool {
    tempfile::tempfile_in(dir).is_ok()
}

/// From its beginning, wherever another process that has it has read to.
fn received() -> std::io::Result<Variables> {
    handover::received(File::open("/proc/self/fd/0")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn settings_come_through_and_secrets_do_not() {
        let given = variables(&[
            ("V2V_vmName", "a=b\nc"),
            ("V2V_secretKey", "geheim"),
            ("V2V_RootDisk", ""),
            ("V2V_token", "geheim"),
            ("V2V_accessKeyId", "admin"),
            ("V2V_cacert", "PEM"),
            ("V2V_libvirtURL", "vpx://admin:geheim@vc/DC"),
        ]);
        assert_eq!(
            settings::without_secrets(given),
            variables(&[
                ("V2V_vmName", "a=b\nc"),
                ("V2V_RootDisk", ""),
                ("V2V_libvirtURL", "vpx://admin@vc/DC"),
            ])
        );
    }

    #[test]
    fn what_children_inherit() {
        let theirs = for_children(
            variables(&[
                ("HOME", "/h"),
                ("PATH", "/bin"),
                ("TMPDIR", "/t"),
                ("VIRTIO_WIN", "/nowhere.iso"),
                ("LOCAL_MIGRATION", "true"),
            ]),
            &variables(&[("V2V_xfsRepairIgnore", "T")]),
            false,
        );
        let get = |name: &str| {
            let found = theirs.iter().find(|(there, _)| there == name);
            found.map(|(_, value)| value.to_string_lossy().into_owned())
        };
        for (name, expected) in [
            ("HOME", Some("/h")),
            ("PATH", Some("/bin:/usr/libexec")),
            ("LIBGUESTFS_BACKEND", Some("direct")),
            ("LIBGUESTFS_APPEND", Some("xfs_repair_ignore=1")),
            ("TMPDIR", Some("/t")),
            ("XDG_RUNTIME_DIR", Some("/var/tmp")),
            ("VIRTIO_WIN", None),
        ] {
            assert_eq!(get(name).as_deref(), expected, "{name}");
        }
    }
}
