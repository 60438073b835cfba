//! Running the guest's programs in the appliance, on overlayfs.
//!
//! The appliance is a disposable virtual machine without a network, but the guest's disks are in
//! it. So the program gets the guest's file systems below an overlay whose upper layer is on the
//! appliance's own disk, devices that lead nowhere, no capability to make others, and namespaces
//! of its own; `view.sh` sets that up and says why for each step. The guest's own mounts are not
//! touched: everything is mounted in a namespace that ends with the script.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use refit_guestfs::{TarIn, TarOut};
use tempfile::NamedTempFile;

use super::{GuestfsBackend, kit, upper};
use crate::path::GuestPath;
use crate::rehearsal::{EFFECT_FILES, EFFECT_LIMIT, GuestCommand, RehearseError, Traces};
use crate::stage::Stage;

/// `timeout(1)` takes 0 for "no limit".
const SHORTEST: Duration = Duration::from_millis(1);

impl GuestfsBackend {
    pub(super) fn run(
        &self,
        stage: &Stage,
        command: &GuestCommand,
    ) -> Result<Traces, RehearseError> {
        let mounts = self.mounts()?;
        let kit = kit::pack(self, &mounts[1..], stage, command)?;
        // libguestfs may be built without the command, and its manual promises nothing.
        let dir = self
            .handle
            .appliance_sh("mktemp -d /tmp/refit.XXXXXX")
            .map_err(|error| RehearseError::Unavailable {
                reason: format!("libguestfs runs no commands in its appliance: {error}"),
            })?;
        let dir = String::from_utf8_lossy(&dir).trim().to_owned();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/.".contains(c);
        if !dir.starts_with("/tmp/refit.") || !dir.chars().all(is_plain) {
            return Err(anyhow!("making a directory in the appliance: it answers {dir:?}").into());
        }
        let traces = self.run_in(&dir, &kit, &mounts, command.timeout);
        let cleared = self.handle.appliance_sh(format!("rm -rf {dir}"));
        let traces = traces?;
        cleared.context("clearing up in the appliance")?;
        Ok(traces)
    }

    /// Mount points of the guest, outer ones first; the root is the first.
    fn mounts(&self) -> anyhow::Result<Vec<GuestPath>> {
        let mounted = self.handle.mountpoints();
        let mut mounts: Vec<GuestPath> = mounted
            .context("asking for the guest's mount points")?
            .iter()
            .map(|(_, path)| GuestPath::new(path))
            .collect();
        mounts.sort();
        mounts.dedup();
        ensure!(
            mounts.first().is_some_and(GuestPath::is_root),
            "the guest has no root file system"
        );
        Ok(mounts)
    }

    fn run_in(
        &self,
        dir: &str,
        kit: &NamedTempFile,
        mounts: &[GuestPath],
        timeout: Duration,
    ) -> Result<Traces, RehearseError> {
        // tar in the appliance takes the directory from its own root: this leads to `dir`.
        let outside = |dir: &str| format!("/..{dir}");
        self.handle
            .tar_in(kit.path(), outside(dir), &TarIn::new())
            .context("sending a program's scripts into the appliance")?;
        let answer = self
            .handle
            .appliance_sh(format!(
                "unshare --mount --net --ipc --uts sh {dir}/view.sh {dir} {:.3}",
                timeout.max(SHORTEST).as_secs_f64()
            ))
            .context("running a program of the guest in the appliance")?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        check(&answer, timeout)?;
        let effect = NamedTempFile::new().context("making a temporary file")?;
        self.handle
            .tar_out(
                outside(&format!("{dir}/effect")),
                effect.path(),
                &TarOut::new().numericowner(true),
            )
            .context("fetching what a program wrote")?;
        let effect = effect.reopen().context("opening what a program wrote")?;
        Ok(upper::read(effect, mounts).context("reading what a program wrote")?)
    }
}

/// Reads the script's last line.
fn check(answer: &str, timeout: Duration) -> Result<(), RehearseError> {
    let last = answer.trim_end().lines().next_back().unwrap_or_default();
    let mut words = last.splitn(2, ' ');
    match (words.next(), words.next()) {
        (Some("unavailable"), reason) => Err(RehearseError::Unavailable {
            reason: reason.unwrap_or_default().trim().to_owned(),
        }),
        (Some("timeout"), None) => Err(anyhow!(
            "the program had not ended after {} s and was killed",
            timeout.as_secs_f64()
        )
        .into()),
        (Some("ended"), Some(sizes)) => Ok(check_size(sizes)?),
        _ => Err(anyhow!("running a program of the guest in the appliance: {answer}").into()),
    }
}

fn check_size(sizes: &str) -> anyhow::Result<()> {
    let mut numbers = sizes.split(' ').map(str::parse::<u64>);
    let (Some(Ok(bytes)), Some(Ok(files))) = (numbers.next(), numbers.next()) else {
        bail!("measuring what a program wrote: {sizes:?}");
    };
    ensure!(
        bytes <= EFFECT_LIMIT && files <= EFFECT_FILES,
        "the program wrote {bytes} bytes in {files} files, which is more than can be taken over \
         ({EFFECT_LIMIT} bytes, {EFFECT_FILES} files)"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_tells() {
        assert!(check("noise\nended 4096 3\n", SHORTEST).is_ok());
        assert!(matches!(
            check("unavailable unknown filesystem type\n", SHORTEST),
            Err(RehearseError::Unavailable { reason }) if reason == "unknown filesystem type"
        ));
        for answer in [
            "",
            "timeout",
            "ended",
            "ended x y",
            "ended 1",
            "other",
            "ended 536870913 1",
            "ended 1 100001",
        ] {
            assert!(
                matches!(check(answer, SHORTEST), Err(RehearseError::Failed(_))),
                "{answer:?}"
            );
        }
    }
}
