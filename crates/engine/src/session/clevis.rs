//! Volumes that Clevis opens: the header names servers in the guest's network, which have what is missing of the key.

use anyhow::{Context as _, bail, ensure};
use refit_guestfs::Handle;

/// Longer than curl takes to give up a server that does not answer, in seconds.
const PATIENCE: u32 = 300;
/// The shell's, if there is no such program.
const NOT_FOUND: &str = "127";

/// Opens the volume with this UUID as `/dev/mapper/NAME`, as libguestfs's `clevis_luks_unlock` does from version 1.50 on.
/// The appliance needs a network and clevis-luks(1), which each distribution's libguestfs brings along or leaves out.
///
/// # Errors
/// Clevis's own words, or that it is not there.
pub(super) fn unlock(handle: &Handle, uuid: &str, name: &str) -> anyhow::Result<()> {
    let is_plain = |text: &str| {
        let mut bytes = text.bytes();
        !text.is_empty()
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte))
    };
    ensure!(is_plain(uuid), "{uuid:?} is no UUID");
    ensure!(is_plain(name), "{name:?} is no name of a volume");
    // By its UUID, because its own name in the appliance is not the one that libguestfs has for it: disks get theirs
    // in the order in which they answer. udev may still be looking at it, and cryptsetup takes a device that it cannot
    // lock for none of its own.
    let script = format!(
        "udevadm settle; set -- $(blkid -c /dev/null -t UUID={uuid} -o device); \
         [ $# = 1 ] || {{ echo 1 $# volumes have this UUID; exit; }}; \
         said=$(timeout {PATIENCE} clevis luks unlock -d \"$1\" -n {name} 2>&1); echo \"$? $said\""
    );
    let answer = handle.appliance_sh(&script).context("running Clevis")?;
    let answer = String::from_utf8_lossy(&answer);
    let (status, said) = answer.trim().split_once(' ').unwrap_or((answer.trim(), ""));
    match status {
        "0" => Ok(()),
        NOT_FOUND => bail!(
            "libguestfs's appliance has no Clevis; install clevis-luks on this host, if its libguestfs knows it \
             (1.50 and later)"
        ),
        _ if said.is_empty() => {
            bail!("none of the servers that the volume names gave its part of the key")
        }
        _ => bail!("{}", said.lines().collect::<Vec<_>>().join("; ")),
    }
}
