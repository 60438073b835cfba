//! `cargo xtask bench pod`: a conversion pod's whole work on a disk that is there already.
//!
//! Forklift's image puts an overlay above the disk, runs virt-v2v-in-place on it and commits it, runs
//! virt-v2v-inspector on the disk, and then virt-customize. `refit pod` does the same work in a container
//! that is made of this machine's files, as the tests do.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::stopwatch::Stopwatch;
use super::{Site, copy, fix, judge};
use crate::process::root;

/// refit's share of the other sequence's time.
const LIMIT: f64 = 0.5;

pub fn run(site: &Site) -> anyhow::Result<()> {
    let dir = site.fresh_dir("pod")?;
    let theirs = dir.join("theirs.img");
    copy(&site.source, &theirs)?;
    let volume = dir.join("disk0");
    fs::create_dir(&volume).context("making a volume")?;
    let ours = volume.join("disk.img");
    copy(&site.source, &ours)?;

    println!("\nForklift's sequence, with a stand-in for its script");
    let mut theirs_took = Stopwatch::default();
    let program = |name: &str| site.command(name);
    fix::write_inputs(&dir)?;
    in_place(&program, &mut theirs_took, &dir, &theirs)?;
    fix::after_conversion(&program, &mut theirs_took, &dir, &theirs)?;
    println!("refit");
    let mut ours_took = Stopwatch::default();
    ours_took.run("refit pod", &mut pod(site, &dir)?, &dir.join("refit.log"))?;

    conclude(site, (&ours_took, &ours), (&theirs_took, &theirs))
}

/// Boots what came out, and compares.
pub fn conclude(
    site: &Site,
    (ours_took, ours): (&Stopwatch, &Path),
    (theirs_took, theirs): (&Stopwatch, &Path),
) -> anyhow::Result<()> {
    println!(
        "\ntogether {:.1} s and {:.1} s",
        theirs_took.total(),
        ours_took.total()
    );
    site.must_boot(theirs)?;
    site.must_boot(ours)?;
    judge(ours_took.total(), theirs_took.total(), LIMIT)
}

/// Converts a disk as Forklift's image does one that is there already. `program`: how one of its programs is started.
pub fn in_place(
    program: &dyn Fn(&str) -> Command,
    watch: &mut Stopwatch,
    dir: &Path,
    disk: &Path,
) -> anyhow::Result<()> {
    let overlay = dir.join("theirs.qcow2");
    watch.run(
        "qemu-img create",
        program("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
            .arg(disk)
            .arg(&overlay),
        &dir.join("create.log"),
    )?;
    watch.run(
        "virt-v2v-in-place",
        program("virt-v2v-in-place")
            .args(["-v", "-x", "-i", "disk", "--root", "first", "--mac"])
            .arg(fix::map())
            .arg(&overlay),
        &dir.join("in-place.log"),
    )?;
    watch.run(
        "qemu-img commit",
        program("qemu-img").args(["commit", "-q"]).arg(&overlay),
        &dir.join("commit.log"),
    )?;
    Ok(())
}

/// What the controller says to `refit pod`: a disk, its addresses, and that nobody fetches results.
pub fn variables() -> [String; 5] {
    [
        "V2V_source=ec2".to_owned(),
        "V2V_vmName=web1".to_owned(),
        "V2V_inPlace=1".to_owned(),
        format!("V2V_staticIPs={}", fix::map()),
        "LOCAL_MIGRATION=false".to_owned(),
    ]
}

/// `refit pod` with a volume.
fn pod(site: &Site, dir: &Path) -> anyhow::Result<Command> {
    let container = dir.join("container");
    let scratch = container.join("var-tmp");
    fs::create_dir_all(&scratch).context("making a container's directory")?;
    let cache = std::env::var_os("LIBGUESTFS_CACHEDIR")
        .map_or_else(|| "/var/tmp".into(), std::path::PathBuf::from)
        .join(".guestfs-0");
    let mut mounts = vec![
        format!("ro {} /usr/bin/refit", site.refit.display()),
        "link refit /usr/bin/virt-v2v-wrapper".to_owned(),
        format!("bind {} /var/tmp", scratch.display()),
        format!("bind {} /mnt/disks/disk0", dir.join("disk0").display()),
        String::new(),
    ];
    // Theirs find the appliance made, too.
    if cache.is_dir() {
        mounts.insert(3, format!("bind {} /var/tmp/.guestfs-0", cache.display()));
    }
    fs::write(container.join("mounts"), mounts.join("\n")).context("writing mounts")?;
    let mut command = Command::new(root().join("tests/harness/pod/pod.sh").canonicalize()?);
    command
        .arg(&container)
        .arg("/usr/bin/virt-v2v-wrapper")
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin")
        .env("HOME", "/root")
        .env("LIBGUESTFS_BACKEND", "direct")
        .envs(variables().iter().filter_map(|set| set.split_once('=')));
    // As for the other programs: what KVM is good for was asked before.
    if site.emulate {
        command.env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg");
    }
    Ok(command)
}
