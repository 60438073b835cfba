//! `cargo xtask bench ova`: `refit ova verify` beside `sha256sum` of the same file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::judge;
use super::stopwatch::Stopwatch;
use crate::process::{capture, run};

/// Size of the archive's disk in GiB. Its content cannot be compressed, so that the archive is as large.
const GIB: u64 = 4;
/// How often each is run, in turns.
const TURNS: usize = 3;
/// refit's time for each second of `sha256sum`.
const LIMIT: f64 = 1.3;

/// Measures in `dir`, where the archive stays for the next time.
pub fn measure(refit: &Path, dir: &Path) -> anyhow::Result<()> {
    let ova = dir.join("appliance.ova");
    if !ova.exists() {
        println!("making an OVA of {GIB} GiB");
        make(dir, &ova)?;
    }
    let log = dir.join("ova.log");
    // Neither of them is the first to read it.
    run(Command::new("cksum").arg(&ova))?;
    let (mut ours, mut theirs) = (Stopwatch::default(), Stopwatch::default());
    for _ in 0..TURNS {
        theirs.run("sha256sum", Command::new("sha256sum").arg(&ova), &log)?;
        let verify = &mut Command::new(refit);
        let report = ours.run(
            "refit ova verify",
            verify.args(["ova", "verify", "--json"]).arg(&ova),
            &log,
        )?;
        let report: serde_json::Value =
            serde_json::from_str(&report).context("reading the document of refit ova verify")?;
        let grains = report["disks"][0]["grains"].as_u64();
        ensure!(
            report["ok"] == true && grains.is_some_and(|grains| grains > 0),
            "the archive was not looked at as a whole: {report:#}"
        );
    }
    judge(ours.total(), theirs.total(), LIMIT)
}

/// A stream-optimized VMDK with its descriptor and a manifest with SHA-256 digests, as VMware writes them.
fn make(dir: &Path, ova: &Path) -> anyhow::Result<()> {
    let work = dir.join("ova.work");
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("removing {}", work.display()))?;
    }
    fs::create_dir(&work).with_context(|| format!("creating {}", work.display()))?;
    let (raw, disk) = (work.join("raw"), work.join("disk1.vmdk"));
    // A cipher's output: the same in each run, and nothing that could be compressed.
    shell(
        &work,
        &format!(
            "head -c {}G /dev/zero | openssl enc -aes-128-ctr -nosalt -K 00 -iv 00 > raw",
            GIB
        ),
    )?;
    run(Command::new("qemu-img")
        .args([
            "convert",
            "-f",
            "raw",
            "-O",
            "vmdk",
            "-o",
            "subformat=streamOptimized",
        ])
        .args([&raw, &disk]))?;
    fs::remove_file(&raw).context("removing the raw disk")?;
    let size = fs::metadata(&disk).context("looking at the disk")?.len();
    fs::write(work.join("appliance.ovf"), descriptor(size)).context("writing the descriptor")?;
    shell(
        &work,
        "for file in appliance.ovf disk1.vmdk; do \
         echo \"SHA256($file)= $(sha256sum $file | cut -d ' ' -f 1)\"; done > appliance.mf",
    )?;
    let part: PathBuf = work.join("part");
    run(Command::new("tar")
        .arg("-C")
        .arg(&work)
        .args(["--format=ustar", "-cf"])
        .arg(&part)
        .args(["appliance.ovf", "appliance.mf", "disk1.vmdk"]))?;
    fs::rename(&part, ova).with_context(|| format!("naming {}", ova.display()))?;
    fs::remove_dir_all(&work).with_context(|| format!("removing {}", work.display()))
}

fn shell(dir: &Path, script: &str) -> anyhow::Result<()> {
    capture(Command::new("sh").args(["-ec", script]).current_dir(dir)).map(drop)
}

fn descriptor(size: u64) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
  <References><File ovf:href="disk1.vmdk" ovf:id="file1" ovf:size="{size}"/></References>
  <DiskSection><Info/><Disk ovf:capacity="{GIB}" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="disk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <VirtualSystem ovf:id="appliance">
    <Info/>
    <VirtualHardwareSection>
      <Info/>
      <Item><rasd:HostResource>ovf:/disk/disk1</rasd:HostResource><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType></Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"#
    )
}
