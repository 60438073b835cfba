//! Volumes that Clevis opens: the header names servers in the guest's network, which have what is missing of the key.

use anyhow::{Context as _, bail, ensure};
use refit_guestfs::Handle;

/// Longer than curl takes to give up a server that does not answer, in seconds.
const PATIENCE: u32 = 300;
/// The shell's, if there is no such program.
const NOT_FOUND: &str = "127";

/// Opens `device` as `/dev/mapper/NAME`, as libguestfs's `clevis_luks_unlock` does from version 1.50 on. The appliance needs
/// a network and clevis-luks(1), which each distribution's libguestfs brings along or leaves out.
///
/// # Errors
/// Clevis's own words, or that it is not there.
pub(super) fn unlock(handle: &Handle, device: &str, name: &str) -> anyhow::Result<()> {
    ensure!(
        !device.contains('\'') && !name.contains('\''),
        "{device} is no name of a device"
    );
    // udev may still be looking at it, and cryptsetup takes a device that it cannot lock for none of its own.
    let script = format!(
        "udevadm settle; said=$(timeout {PATIENCE} clevis luks unlock -d '{device}' -n '{name}' 2>&1); echo \"$? $said\""
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
