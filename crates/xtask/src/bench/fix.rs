//! `cargo xtask bench fix`: what happens to a guest after virt-v2v has converted it.
//!
//! Forklift's image runs virt-v2v-inspector on the converted disk, to learn what it holds, and then
//! virt-customize with a script that ties network interfaces to their old names. The script here is
//! a stand-in that does the same kind of work; nearly all of the time is the appliance's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use super::stopwatch::Stopwatch;
use super::{MAC, Site, copy, judge};
use crate::process::run as must;

/// refit's share of the other sequence's time.
const LIMIT: f64 = 0.15;
/// Names of what [`after_conversion`] puts into the guest.
const MAP: &str = "macToIP";
const SCRIPT: &str = "network.sh";
const ADDRESS: &str = "10.0.2.15";
const PREFIX: u8 = 24;
const GATEWAY: &str = "10.0.2.2";

pub fn run(site: &Site) -> anyhow::Result<()> {
    let converted = converted(site)?;
    let dir = site.fresh_dir("fix")?;
    let (theirs, ours) = (dir.join("theirs.img"), dir.join("ours.img"));
    copy(&converted, &theirs)?;
    copy(&converted, &ours)?;

    println!("\nForklift's sequence, with a stand-in for its script");
    let mut theirs_took = Stopwatch::default();
    write_inputs(&dir)?;
    after_conversion(&|name| site.command(name), &mut theirs_took, &dir, &theirs)?;
    println!("refit");
    let mut ours_took = Stopwatch::default();
    refit_fix(site, &mut ours_took, &dir, &ours)?;

    println!(
        "\ntogether {:.1} s and {:.1} s",
        theirs_took.total(),
        ours_took.total()
    );
    judge(ours_took.total(), theirs_took.total(), LIMIT)
}

/// The source as virt-v2v converts it; kept from run to run.
fn converted(site: &Site) -> anyhow::Result<PathBuf> {
    let converted = site.dir.join("converted.img");
    if !converted.exists() {
        println!("converting it with virt-v2v-in-place");
        let disk = site.fresh_dir("converting")?.join("disk.img");
        copy(&site.source, &disk)?;
        must(
            site.command("virt-v2v-in-place")
                .args(["--quiet", "-i", "disk", "-if", "raw"])
                .arg(&disk),
        )?;
        fs::rename(&disk, &converted).context("keeping the converted disk")?;
    }
    Ok(converted)
}

/// The guest's address as Forklift tells it.
pub fn map() -> String {
    format!("{MAC}:ip:{ADDRESS},{GATEWAY},{PREFIX}")
}

/// Writes what [`after_conversion`] puts into the guest.
pub fn write_inputs(dir: &Path) -> anyhow::Result<()> {
    fs::write(dir.join(MAP), format!("{}\n", map())).context("writing the map of addresses")?;
    fs::write(dir.join(SCRIPT), include_str!("network.sh")).context("writing the script")
}

/// What Forklift's image does to a converted disk. `program`: how one of its programs is started.
pub fn after_conversion(
    program: &dyn Fn(&str) -> Command,
    watch: &mut Stopwatch,
    dir: &Path,
    disk: &Path,
) -> anyhow::Result<()> {
    let inspector = "virt-v2v-inspector";
    watch.run(
        inspector,
        program(inspector)
            .args(["-v", "-x", "-if", "raw", "-i", "disk", "-O"])
            .arg(dir.join("inspection.xml"))
            .args(["--root", "first", "--mac", &map()])
            .arg(disk),
        &dir.join("inspector.log"),
    )?;
    let customize = "virt-customize";
    watch.run(
        customize,
        program(customize)
            .args(["--verbose", "--format", "raw", "--upload"])
            .arg(format!("{}:/tmp/{MAP}", dir.join(MAP).display()))
            .arg("--run")
            .arg(dir.join(SCRIPT))
            .arg("--add")
            .arg(disk),
        &dir.join("customize.log"),
    )?;
    Ok(())
}

fn refit_fix(site: &Site, watch: &mut Stopwatch, dir: &Path, disk: &Path) -> anyhow::Result<()> {
    let report = watch.run(
        "refit fix",
        site.refit()
            .args(["fix", "--json", "--nic"])
            .arg(format!("{MAC}={ADDRESS}/{PREFIX},{GATEWAY}"))
            .arg(disk),
        &dir.join("refit.log"),
    )?;
    let report: Value = serde_json::from_str(&report).context("reading refit's report")?;
    for (step, seconds) in report["timings"].as_object().into_iter().flatten() {
        println!("{:8.1} s    {step}", seconds.as_f64().unwrap_or_default());
    }
    Ok(())
}
