//! Every machine of the matrix as it was before (VMware's hardware), on virtio untouched, and on
//! virtio after `refit fix`: names, addresses, mounts, routes and services, as seen from inside.
//!
//! `REFIT_MATRIX_RESULTS` names a file for the results (JSON), from which `cargo xtask matrix` writes
//! the table; `REFIT_MATRIX_ONLY` names machines, separated by commas; `REFIT_MATRIX_AT_ONCE` is how many
//! are tried at a time (one, because other tests run beside this one; an emulated machine keeps one
//! processor busy).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use refit_tests::{
    MACHINES, Machine, PASSWORD, Untouched, differences, guest, must, refit, run, tree,
};
use serde_json::{Value, json};

/// Each physical card with its permanent address; a bond gives its ports another.
const CARDS: &str = "for d in /sys/class/net/*/device; do n=${d%/device}; p=$n/bonding_slave/perm_hwaddr; \
    [ -e $p ] || p=$n/address; echo ${n##*/} $(cat $p); done";
/// Mount points of file systems that are on disks.
const MOUNTS: &str = "findmnt --real --list --noheadings --output TARGET,FSTYPE";

#[test]
fn guests_come_up_as_they_were() {
    let only = std::env::var("REFIT_MATRIX_ONLY").ok();
    let is_wanted = |machine: &&Machine| match &only {
        Some(names) => names.split(',').any(|name| name == machine.name),
        None => true,
    };
    let at_once = std::env::var("REFIT_MATRIX_AT_ONCE").map_or(1, |count| count.parse().unwrap());
    let queue = Mutex::new(MACHINES.iter().filter(is_wanted).enumerate());
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some((place, machine)) = next else { break };
                    let result = prove(machine);
                    println!("{}: {result:#?}", machine.name);
                    results.lock().unwrap().push((place, machine, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(place, ..)| *place);
    assert!(!results.is_empty(), "no machine is called {only:?}");

    if let Some(path) = std::env::var_os("REFIT_MATRIX_RESULTS") {
        let rows: Vec<Value> = results
            .iter()
            .map(|(_, machine, result)| row(machine, result))
            .collect();
        fs::write(path, serde_json::to_string_pretty(&rows).unwrap()).unwrap();
    }
    let failed: Vec<String> = results
        .iter()
        .filter_map(|(_, machine, result)| {
            let error = result.as_ref().err()?;
            Some(format!("{}: {error:#}", machine.name))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// One machine's results, with its traits.
fn row(machine: &Machine, result: &anyhow::Result<Value>) -> Value {
    let mut row = json!({
        "name": machine.name,
        "system": machine.system,
        "root": machine.root,
        "initramfs": machine.initramfs,
        "network": machine.network,
    });
    match result {
        Ok(proof) => row["proof"] = proof.clone(),
        Err(error) => row["error"] = format!("{error:#}").into(),
    }
    row
}

/// Takes one machine through all of it; what came out is for the table.
fn prove(machine: &Machine) -> anyhow::Result<Value> {
    let dir = tempfile::tempdir()?;
    let building = Instant::now();
    let original = guest(machine.options)?;
    let built = building.elapsed();
    let disk = original.copy(dir.path())?;

    let before = boot(machine, &disk, "vmware").context("booting as on VMware")?;
    as_expected(machine, &before, "vmxnet3").context("as on VMware")?;

    if machine.boot_entry {
        forget_fallback_loader(&disk)?;
    }
    let untouched = match machine.untouched {
        None => Value::Null,
        Some(expected) => {
            let report = boot(machine, &disk, "virtio").context("booting untouched")?;
            is_broken(machine, &report, expected).context("untouched on virtio")?;
            json!({"outcome": report["outcome"], "seconds": report["seconds"], "names": names(&report)})
        }
    };

    let fixing = Instant::now();
    let fixed = fix(machine, &disk, dir.path())?;
    let seconds = fixing.elapsed();
    let after = boot(machine, &disk, "virtio").context("booting after refit fix")?;
    as_expected(machine, &after, "virtio_net").context("after refit fix")?;

    if machine.name == "bond" {
        undo_brings_everything_back(original.disk(), &disk, &fixed)?;
    }
    Ok(json!({
        "built": built.as_secs(),
        "before": {"seconds": before["seconds"]},
        "untouched": untouched,
        "fix": {"seconds": seconds.as_secs(), "timings": fixed["timings"], "changes": changes(&fixed)},
        "after": {"seconds": after["seconds"], "addresses": expected_addresses(machine)},
    }))
}

/// Removes what firmware without boot entries starts, from the EFI system partition, which
/// `tests/guests/debian.sh` puts at the first mebibyte.
fn forget_fallback_loader(disk: &Path) -> anyhow::Result<()> {
    let image = format!("{}@@1M", disk.display());
    must(Command::new("mdel").args(["-i", &image, "::/EFI/BOOT/BOOTX64.EFI"]))?;
    Ok(())
}

/// Boots and asks; the document of `refit boot --json`.
fn boot(machine: &Machine, disk: &Path, hardware: &str) -> anyhow::Result<Value> {
    let password = disk.with_extension("password");
    fs::write(&password, PASSWORD)?;
    let firmware = if machine.is_uefi() { "uefi" } else { "bios" };
    let mut command = refit();
    command
        .args(["boot", "--json", "--accel", "tcg", "--timeout", "900"])
        .args(["--hardware", hardware, "--firmware", firmware])
        .args(["--run", CARDS, "--run", MOUNTS])
        .args(["--user", "root", "--password-file"])
        .arg(&password);
    for mac in machine.macs() {
        command.args(["--nic", mac]);
    }
    let done = run(command.arg(disk))?;
    done.json()
}

/// Asserts that the guest is up and has everything that it had on its old hardware.
fn as_expected(machine: &Machine, report: &Value, driver: &str) -> anyhow::Result<()> {
    ensure!(report["outcome"] == "login", "did not come up: {report:#}");
    let mut cards = lines(report, CARDS)?;
    cards.sort();
    let expected: Vec<String> = machine
        .cards
        .iter()
        .map(|(name, mac)| format!("{name} {mac}"))
        .collect();
    ensure!(cards == expected, "network cards: {cards:?}");

    let drivers: Vec<&str> = nics(report)
        .filter_map(|nic| nic["driver"].as_str())
        .collect();
    ensure!(
        drivers.iter().all(|found| *found == driver),
        "drivers: {drivers:?}"
    );
    let found = addresses(report);
    for wanted in expected_addresses(machine) {
        ensure!(found.contains(&wanted), "no {wanted} in {found:?}");
    }
    let routes: Vec<&str> = report["routes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if let Some(wanted) = machine.route {
        ensure!(
            routes.iter().any(|route| route.starts_with(wanted)),
            "no {wanted:?} in {routes:?}"
        );
    }
    let mounts: BTreeSet<String> = lines(report, MOUNTS)?
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for (path, kind) in machine.mounts {
        ensure!(
            mounts.contains(&format!("{path} {kind}")),
            "{path} is not {kind} in {mounts:?}"
        );
    }
    ensure!(
        report["failed_units"] == json!([]),
        "failed units: {}",
        report["failed_units"]
    );
    Ok(())
}

/// Asserts that there was something to fix.
fn is_broken(machine: &Machine, report: &Value, expected: Untouched) -> anyhow::Result<()> {
    match expected {
        Untouched::NoRoot => ensure!(
            report["outcome"] == "initramfs-shell",
            "the root file system was found: {report:#}"
        ),
        Untouched::NoNetwork => {
            ensure!(report["outcome"] == "login", "did not come up: {report:#}");
            let found = addresses(report);
            for (name, address) in machine.addresses {
                let kept = found.iter().any(|found| found.ends_with(address));
                ensure!(!kept, "{name} has kept {address}: {found:?}");
            }
        }
    }
    Ok(())
}

/// `refit fix`: no warnings, and the expected fixups had something to do.
fn fix(machine: &Machine, disk: &Path, dir: &Path) -> anyhow::Result<Value> {
    let key = dir.join("key");
    fs::write(&key, PASSWORD)?;
    let mut command = refit();
    command.args(["fix", "--json"]);
    for nic in machine.nics {
        command.args(["--nic", nic]);
    }
    if machine.unlock {
        command.args(["--key", &format!("all:file:{}", key.display())]);
    }
    let done = run(command.arg(disk))?;
    ensure!(done.code == Some(0), "fixing: {done:?}");
    let report = done.json()?;
    ensure!(report["checked"] == true, "not checked: {report:#}");
    let changed = changes(&report);
    for id in machine.fixups {
        ensure!(
            changed.iter().any(|changed| changed == id),
            "{id} changed nothing: {report:#}"
        );
    }
    Ok(report)
}

fn undo_brings_everything_back(original: &Path, disk: &Path, fixed: &Value) -> anyhow::Result<()> {
    let undo = PathBuf::from(fixed["undo"].as_str().context("finding the undo file")?);
    let done = run(refit().arg("undo").arg(undo).arg(disk))?;
    ensure!(done.code == Some(0), "undoing: {done:?}");
    let left = differences(&tree(original, "raw")?, &tree(disk, "raw")?);
    if !left.is_empty() {
        bail!("undo left differences: {left:#?}");
    }
    Ok(())
}

fn nics(report: &Value) -> impl Iterator<Item = &Value> {
    report["nics"].as_array().into_iter().flatten()
}

/// `name address`, for every address that it must have. Routers may give it more.
fn expected_addresses(machine: &Machine) -> Vec<String> {
    let expected = machine.addresses.iter();
    expected
        .map(|(name, address)| format!("{name} {address}"))
        .collect()
}

/// `name address`, for every address that it has.
fn addresses(report: &Value) -> Vec<String> {
    nics(report)
        .flat_map(|nic| {
            let name = nic["name"].as_str().unwrap_or_default();
            let addresses = nic["addresses"].as_array().into_iter().flatten();
            addresses
                .filter_map(Value::as_str)
                .map(move |address| format!("{name} {address}"))
        })
        .collect()
}

/// Names of the interfaces that have a driver.
fn names(report: &Value) -> Vec<&str> {
    nics(report)
        .filter(|nic| !nic["driver"].is_null())
        .filter_map(|nic| nic["name"].as_str())
        .collect()
}

/// The fixups that changed something.
fn changes(report: &Value) -> Vec<&str> {
    let fixups = report["fixups"].as_array().into_iter().flatten();
    fixups
        .filter(|fixup| fixup["verdict"] == "change")
        .filter_map(|fixup| fixup["id"].as_str())
        .collect()
}

/// What a command that was run in the guest printed.
fn lines(report: &Value, command: &str) -> anyhow::Result<Vec<String>> {
    let commands = report["commands"].as_array().into_iter().flatten();
    let ran = commands
        .filter(|ran| ran["command"] == command)
        .find(|ran| ran["status"] == 0)
        .with_context(|| format!("running {command:?} in the guest: {}", report["commands"]))?;
    let output = ran["output"].as_str().unwrap_or_default();
    Ok(output.lines().map(str::to_owned).collect())
}
