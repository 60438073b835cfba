//! `cargo xtask demo`: the main job, on a guest that it makes itself.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::process::{capture, cargo, root, run};
use crate::setup;

const MAC: &str = "00:50:56:aa:bb:01";
const PASSWORD: &str = "refit";

/// What a booted guest says of its first NIC.
struct Seen {
    name: String,
    state: String,
    addresses: String,
    seconds: f64,
}

/// `cargo xtask demo`
pub fn run_demo() -> anyhow::Result<()> {
    let start = Instant::now();
    setup::run_if_needed()?;
    say(&start, "building refit");
    run(cargo().args(["build", "--quiet", "--package", "refit-cli"]))?;
    let refit = root().join("target/debug/refit");
    let dir = root().join("target/demo");
    if dir.exists() {
        fs::remove_dir_all(&dir).context("removing the last demo")?;
    }
    fs::create_dir_all(&dir).context("creating target/demo")?;
    let dir = dir.canonicalize().context("finding target/demo")?;

    say(
        &start,
        "making a Debian 12 guest as it comes from VMware: static address on ens192, open-vm-tools",
    );
    let guests = root().join("tests/guests");
    let disk = dir.join("web1.img");
    run(Command::new(guests.join("debian.sh")).arg(&disk).args([
        "--hostname",
        "web1",
        "--mac",
        MAC,
    ]))?;
    let ova = dir.join("web1.ova");
    run(Command::new(guests.join("ova.sh"))
        .arg(&disk)
        .arg(&ova)
        .args(["--name", "web1", "--mac", MAC]))?;
    fs::remove_file(&disk).context("removing the raw disk: the OVA is the source from here on")?;

    say(&start, "refit convert web1.ova");
    let out = dir.join("out");
    let converting = Instant::now();
    capture(
        Command::new(&refit)
            .args(["convert", "--json", "--name", "web1", "--out"])
            .arg(&out)
            .arg(&ova),
    )?;
    let converted = converting.elapsed().as_secs_f64();
    let report: Value = serde_json::from_slice(&fs::read(out.join("report.json"))?)
        .context("reading report.json")?;

    // What virt-v2v alone makes of it: the converted disk without the fixups.
    say(
        &start,
        "refit undo on a copy: the same disk as virt-v2v alone leaves it",
    );
    let converted_disk = out.join("web1-disk0.qcow2");
    let alone = dir.join("virt-v2v-alone.qcow2");
    fs::copy(&converted_disk, &alone).context("copying the converted disk")?;
    capture(
        Command::new(&refit)
            .args(["undo", "--json"])
            .arg(out.join("undo.json"))
            .arg(&alone),
    )?;

    say(&start, "refit boot: virt-v2v alone");
    let before = boot(&refit, &alone, &dir, "virt-v2v-alone")?;
    fs::remove_file(&alone).context("removing the copy")?;
    say(&start, "refit boot: after refit");
    let after = boot(&refit, &converted_disk, &dir, "after-refit")?;

    let fixups = report["fixups"]["timings"]
        .as_object()
        .map_or(0.0, |timings| {
            timings.values().filter_map(Value::as_f64).sum()
        });
    println!();
    println!("{:<22}ens192  10.0.2.15/24", "On VMware");
    show("After virt-v2v alone", &before);
    show("After refit", &after);
    println!();
    println!(
        "Conversion {converted:.0} s, of which refit's own part {fixups:.0} s. All together {:.0} s.",
        start.elapsed().as_secs_f64()
    );
    println!("Results      {}", out.display());
    println!(
        "Screenshots  {}, {}",
        dir.join("virt-v2v-alone.png").display(),
        dir.join("after-refit.png").display()
    );
    ensure!(
        before.addresses.is_empty(),
        "virt-v2v alone was expected to lose the network"
    );
    ensure!(
        after.name == "ens192" && after.addresses.contains("10.0.2.15/24"),
        "the network is not as it was"
    );
    Ok(())
}

fn boot(refit: &Path, disk: &Path, dir: &Path, name: &str) -> anyhow::Result<Seen> {
    let password = dir.join("password");
    fs::write(&password, PASSWORD).context("writing the guest's password")?;
    let report = capture(
        Command::new(refit)
            .args([
                "boot",
                "--json",
                "--nic",
                MAC,
                "--user",
                "root",
                "--password-file",
            ])
            .arg(&password)
            .arg("--screenshot")
            .arg(dir.join(format!("{name}.png")))
            .arg("--serial-log")
            .arg(dir.join(format!("{name}.console.log")))
            .arg(disk),
    )?;
    let report: Value = serde_json::from_str(&report).context("reading the boot report")?;
    let nic = report["nics"]
        .as_array()
        .and_then(|nics| nics.iter().find(|nic| nic["mac"] == MAC))
        .with_context(|| format!("the guest shows no NIC with address {MAC}: {report:#}"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let addresses = nic["addresses"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    Ok(Seen {
        name: text(&nic["name"]),
        state: text(&nic["state"]),
        addresses: addresses.iter().map(text).collect::<Vec<_>>().join(" "),
        seconds: report["seconds"].as_f64().unwrap_or_default(),
    })
}

fn show(title: &str, seen: &Seen) {
    let addresses = if seen.addresses.is_empty() {
        "no address"
    } else {
        &seen.addresses
    };
    println!(
        "{title:<22}{:7} {addresses} ({}; booted in {:.0} s)",
        seen.name, seen.state, seen.seconds
    );
}

fn say(start: &Instant, text: &str) {
    println!("[{:4.0} s] {text}", start.elapsed().as_secs_f64());
}
