//! `cargo xtask bench image`: what `bench pod` compares, with both sequences in containers of the built image.
//!
//! A pod has the image's virt-v2v, libguestfs and appliance, and not this machine's. virt-customize, which the image
//! does not need, is added to the containers of the other sequence from the same Debian packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::stopwatch::Stopwatch;
use super::{Site, copy, fix, pod};
use crate::image;
use crate::process::{capture, root, run};

const CUSTOMIZE: &str = "usr/bin/virt-customize";
/// Whom KubeVirt and Forklift run conversion pods as.
const USER: &str = "107:107";

pub fn measure(site: &Site) -> anyhow::Result<()> {
    let archive = root().join("target/image/refit.tar");
    ensure!(
        archive.exists(),
        "there is no image to measure: run `cargo xtask image`"
    );
    let dir = site.fresh_dir("image")?;
    let customize = customize(site)?;
    let (theirs_dir, volume) = (dir.join("theirs"), dir.join("disk0"));
    for made in [&theirs_dir, &volume, &dir.join("tmp")] {
        fs::create_dir(made).with_context(|| format!("making {}", made.display()))?;
    }
    let (theirs, ours) = (theirs_dir.join("disk.img"), volume.join("disk.img"));
    copy(&site.source, &theirs)?;
    copy(&site.source, &ours)?;
    fix::write_inputs(&theirs_dir)?;
    run(Command::new("chown").args(["-R", USER]).arg(&dir))?;
    let podman = Podman::load(&archive, site.emulate)?;

    println!("\nForklift's sequence, with a stand-in for its script");
    let mut theirs_took = Stopwatch::default();
    let program = |name: &str| {
        let mut container = podman.container(&dir.join("tmp"));
        // At the same place as out here, so that paths mean the same.
        container
            .arg("--volume")
            .arg(format!("{0}:{0}", theirs_dir.display()))
            .arg("--volume")
            .arg(format!("{}:/{CUSTOMIZE}:ro", customize.display()))
            .args(["--env", "LIBGUESTFS_BACKEND=direct", "--entrypoint", name])
            .arg(&podman.image);
        container
    };
    pod::in_place(&program, &mut theirs_took, &theirs_dir, &theirs)?;
    fix::after_conversion(&program, &mut theirs_took, &theirs_dir, &theirs)?;

    println!("refit");
    let mut ours_took = Stopwatch::default();
    let mut container = podman.container(&dir.join("tmp"));
    container
        .arg("--volume")
        .arg(format!("{}:/mnt/disks/disk0", volume.display()));
    for variable in pod::variables() {
        container.arg("--env").arg(variable);
    }
    ours_took.run(
        "refit pod",
        container.arg(&podman.image),
        &dir.join("refit.log"),
    )?;

    pod::conclude(site, (&ours_took, &ours), (&theirs_took, &theirs))
}

/// virt-customize of the image's Debian; kept from run to run.
fn customize(site: &Site) -> anyhow::Result<PathBuf> {
    let kept = site.dir.join("virt-customize");
    if !kept.exists() {
        println!("fetching virt-customize for the image's Debian");
        let dir = site.fresh_dir("customize")?;
        let archive = dir.join("installed.tar");
        image::install_with(&["guestfs-tools"], &archive)?;
        run(Command::new("tar")
            .args(["--extract", "--file"])
            .arg(&archive)
            .arg("--directory")
            .arg(&dir)
            .arg(format!("./{CUSTOMIZE}")))?;
        fs::rename(dir.join(CUSTOMIZE), &kept).context("keeping virt-customize")?;
        fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
    }
    Ok(kept)
}

/// podman with a storage of its own, which goes with it.
struct Podman {
    storage: TempDir,
    /// Apart, because podman wants a short path.
    state: TempDir,
    /// What it calls the image.
    image: String,
    emulate: bool,
}

impl Podman {
    fn load(archive: &Path, emulate: bool) -> anyhow::Result<Self> {
        let dir = archive.parent().unwrap_or(Path::new("."));
        let mut podman = Self {
            storage: tempfile::tempdir_in(dir).context("making a directory for podman")?,
            state: tempfile::tempdir().context("making a directory for podman")?,
            image: String::new(),
            emulate,
        };
        let mut load = podman.command();
        load.args(["load", "--quiet", "--input"]).arg(archive);
        let said = capture(&mut load)?;
        let name = said.trim().rsplit(' ').next().unwrap_or_default();
        name.clone_into(&mut podman.image);
        Ok(podman)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command.arg("--root").arg(self.storage.path());
        command.arg("--runroot").arg(self.state.path());
        command.args(["--cgroup-manager", "cgroupfs", "--runtime", "runc"]);
        command
    }

    /// As a cluster would run it, up to the volumes and the image's name.
    fn container(&self, scratch: &Path) -> Command {
        let mut command = self.command();
        command
            .args(["run", "--rm", "--read-only", "--user", USER])
            .args(["--cap-drop", "ALL", "--network", "none"])
            .args(["--security-opt", "no-new-privileges"])
            // podman's own are more than it may set on some machines.
            .args(["--ulimit", "nofile=4096:4096"])
            .args(["--ulimit", "nproc=4096:4096"])
            .arg("--volume")
            .arg(format!("{}:/var/tmp", scratch.display()));
        if self.emulate {
            command.args(["--env", "LIBGUESTFS_BACKEND_SETTINGS=force_tcg"]);
        }
        command
    }
}

impl Drop for Podman {
    /// Unmounts what podman has mounted, so that its directories can go.
    fn drop(&mut self) {
        if let Err(error) = capture(self.command().args(["system", "reset", "--force"])) {
            eprintln!("{error:#}");
        }
    }
}
