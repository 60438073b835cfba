//! `cargo xtask bench convert`: the same source by both engines.

use super::stopwatch::Stopwatch;
use super::{MAC, Site, judge};

/// refit's share of virt-v2v's time.
const LIMIT: f64 = 1.0 / 3.0;

pub fn run(site: &Site) -> anyhow::Result<()> {
    let dir = site.fresh_dir("convert")?;
    let virt_v2v = dir.join("virt-v2v");
    std::fs::create_dir(&virt_v2v)?;

    println!();
    let mut theirs = Stopwatch::default();
    theirs.run(
        "virt-v2v",
        site.command("virt-v2v")
            .args(["-i", "disk", "-if", "raw"])
            .arg(&site.source)
            .args(["-o", "local", "-of", "qcow2", "-on", "web1", "-os"])
            .arg(&virt_v2v),
        &dir.join("virt-v2v.log"),
    )?;
    let mut ours = Stopwatch::default();
    ours.run(
        "refit convert --engine refit",
        site.refit()
            .args(["convert", "--json", "--engine", "refit", "--name", "web1"])
            .args(["--nic", &format!("{MAC}=10.0.2.15/24,10.0.2.2")])
            .arg("--out")
            .arg(dir.join("refit"))
            .arg(&site.source),
        &dir.join("refit.log"),
    )?;
    println!();
    site.must_boot(&virt_v2v.join("web1-sda"))?;
    site.must_boot(&dir.join("refit/web1-disk0.qcow2"))?;
    judge(ours.total(), theirs.total(), LIMIT)
}
