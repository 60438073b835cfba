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
use std::process::Command;

use anyhow::Context as _;

use crate::handover::{self, Variables};
use crate::settings::is_setting;

/// Says that the rest of the environment is on standard input.
const MARK: &str = "REFIT_POD_SETTINGS";

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
    let theirs = for_children(theirs, &ours);
    let memory = handover::keep(&settings(ours)).context("keeping the settings in memory")?;
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

/// What children are to inherit.
fn for_children(mut theirs: Variables, ours: &Variables) -> Variables {
    let get = |list: &Variables, name: &str| {
        let found = list.iter().find(|(there, _)| there == name);
        found.map(|(_, value)| value.clone())
    };
    let mut set = |name: &str, value: OsString| {
        theirs.retain(|(there, _)| there != name);
        theirs.push((name.into(), value));
    };
    let given = std::env::vars_os().collect::<Variables>();
    // libvirt's backend needs a namespace for users, which stock Kubernetes refuses.
    if get(&given, "LIBGUESTFS_BACKEND").is_none() {
        set("LIBGUESTFS_BACKEND", "direct".into());
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
    if let Some(path) = get(&given, "VIRTIO_WIN")
        && !std::path::Path::new(&path).exists()
    {
        theirs.retain(|(there, _)| there != "VIRTIO_WIN");
    }
    theirs
}

/// Those that say something else than a secret.
fn settings(mut ours: Variables) -> Variables {
    ours.retain(|(name, _)| name.to_str().is_some_and(is_setting));
    ours
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
        ]);
        assert_eq!(
            settings(given),
            variables(&[("V2V_vmName", "a=b\nc"), ("V2V_RootDisk", "")])
        );
    }

    #[test]
    fn what_children_inherit() {
        let theirs = for_children(
            variables(&[("HOME", "/h"), ("LOCAL_MIGRATION", "true")]),
            &variables(&[("V2V_xfsRepairIgnore", "T")]),
        );
        let get = |name: &str| {
            let found = theirs.iter().find(|(there, _)| there == name);
            found.map(|(_, value)| value.to_string_lossy().into_owned())
        };
        assert_eq!(get("HOME").as_deref(), Some("/h"));
        assert!(
            get("LIBGUESTFS_APPEND")
                .unwrap()
                .ends_with("xfs_repair_ignore=1")
        );
        assert!(
            get("PATH")
                .unwrap()
                .split(':')
                .any(|dir| dir == "/usr/libexec")
        );
    }
}
