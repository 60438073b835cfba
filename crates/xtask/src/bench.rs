//! `cargo xtask bench`: refit beside what it is measured against, on the same disk, in one run.
//!
//! The commands run one after the other: two at a time would take each other's processor.

mod convert;
mod fix;
mod image;
mod ova;
mod pod;
mod stopwatch;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::Subcommand;

use crate::process::{capture, cargo, root, run};
use crate::setup;

/// What is measured.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Bench {
    /// `refit fix` beside virt-v2v-inspector and virt-customize, as Forklift runs them after a conversion
    Fix,
    /// `refit convert --engine refit` beside virt-v2v
    Convert,
    /// `refit ova verify` of 4 GiB beside `sha256sum` (needs 8 GiB of space, of which 4 stay)
    Ova,
    /// `refit pod` beside virt-v2v-in-place, virt-v2v-inspector and virt-customize, as Forklift's image runs them
    Pod,
    /// The same in containers of the built image, with its virt-v2v and appliance (after `cargo xtask image`)
    Image,
}

/// `cargo xtask bench fix|convert|ova|pod|image`
pub fn run_bench(bench: Bench) -> anyhow::Result<()> {
    setup::bench_if_needed()?;
    match bench {
        Bench::Fix => fix::run(&Site::prepare()?),
        Bench::Convert => convert::run(&Site::prepare()?),
        Bench::Ova => ova::measure(&release()?, &directory()?),
        Bench::Pod => pod::run(&Site::prepare()?),
        Bench::Image => image::measure(&Site::prepare()?),
    }
}

/// The optimised build of refit.
fn release() -> anyhow::Result<PathBuf> {
    println!("building refit (release)");
    run(cargo().args(["build", "--quiet", "--release", "--package", "refit-cli"]))?;
    let refit = root().join("target/release/refit");
    refit
        .canonicalize()
        .with_context(|| format!("finding {}", refit.display()))
}

/// The directory for everything that benchmarks make.
fn directory() -> anyhow::Result<PathBuf> {
    let dir = root().join("target/bench");
    fs::create_dir_all(&dir).context("creating target/bench")?;
    dir.canonicalize().context("finding target/bench")
}

const MAC: &str = "00:50:56:aa:bb:01";

/// What all benchmarks work with.
struct Site {
    /// The optimised build.
    refit: PathBuf,
    /// Directory for everything; nothing of an earlier run is in it but the cached disks.
    dir: PathBuf,
    /// A Debian 12 guest as it comes from VMware; raw.
    source: PathBuf,
    /// Whether libguestfs must be kept from KVM, because it opens and does not work.
    emulate: bool,
}

impl Site {
    fn prepare() -> anyhow::Result<Self> {
        let refit = release()?;
        let dir = directory()?;
        let source = dir.join("source.img");
        if !source.exists() {
            println!("making a Debian 12 guest as it comes from VMware");
            run(Command::new(root().join("tests/guests/debian.sh"))
                .arg(&source)
                .args(["--hostname", "web1", "--mac", MAC]))?;
        }
        let emulate = !kvm_works(&refit)?;
        Ok(Self {
            refit,
            dir,
            source,
            emulate,
        })
    }

    /// A program with libguestfs's direct backend, which is refit's default, too.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("LIBGUESTFS_BACKEND", "direct");
        if self.emulate {
            command.env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg");
        }
        command
    }

    fn refit(&self) -> Command {
        self.command(&self.refit)
    }

    /// An empty directory of this name.
    fn fresh_dir(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = self.dir.join(name);
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))?;
        }
        fs::create_dir(&dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(dir)
    }

    /// Boots a disk and asserts that it comes up.
    fn must_boot(&self, disk: &Path) -> anyhow::Result<()> {
        println!("booting {}", disk.display());
        capture(
            self.refit()
                .args(["boot", "--json", "--timeout", "900", "--nic", MAC])
                .arg(disk),
        )
        .map(drop)
    }
}

/// A sparse copy.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    run(Command::new("cp")
        .args(["--sparse=always", "--reflink=auto"])
        .arg(from)
        .arg(to))
}

fn kvm_works(refit: &Path) -> anyhow::Result<bool> {
    let doctor = capture(Command::new(refit).args(["doctor", "--json"]))?;
    let doctor: serde_json::Value =
        serde_json::from_str(&doctor).context("reading the document of refit doctor")?;
    let checks = doctor["checks"].as_array().into_iter().flatten();
    Ok(checks
        .filter(|check| check["name"] == "KVM")
        .any(|check| !check["found"].is_null()))
}

/// Says how the two compare, and fails if refit took more than its share.
fn judge(ours: f64, theirs: f64, limit: f64) -> anyhow::Result<()> {
    let ratio = ours / theirs;
    println!("ratio {ratio:.3} (at most {limit:.2})");
    ensure!(
        ratio <= limit,
        "refit took {ours:.1} s of their {theirs:.1} s"
    );
    Ok(())
}
