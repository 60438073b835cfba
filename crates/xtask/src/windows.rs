//! `cargo xtask windows-check`: does a converted Windows come up and finish its first boot?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::process::{cargo, root, run};

/// What the first-boot service writes to COM1 when it has finished.
const SIGNAL: &str = "CONVERSION_DONE";
/// What its lines begin with: one for each task, before the signal.
const RESULT: &str = "refit-firstboot: ";

/// How to boot it.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// Disks of a converted Windows guest, the system disk first; they are not changed
    #[arg(required = true)]
    disks: Vec<PathBuf>,
    /// bios, uefi or uefi-secure
    #[arg(long, default_value = "uefi")]
    firmware: String,
    /// Where the disks are attached: virtio, scsi or sata
    #[arg(long, default_value = "virtio")]
    bus: String,
    /// MAC address of a network interface, as on the old machine (repeatable)
    #[arg(long, value_name = "MAC")]
    nic: Vec<String>,
    /// auto, kvm or tcg
    #[arg(long, default_value = "auto")]
    accel: String,
    /// Memory in MiB
    #[arg(long, default_value_t = 4096)]
    memory: u64,
    /// Give up after so many seconds; a first boot may restart several times
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    timeout: u64,
    /// Where serial log and screenshot go
    #[arg(long, value_name = "DIR", default_value = "target/windows-check")]
    out: PathBuf,
}

/// Boots the disks on throw-away overlays, waits for the signal on the serial line, and prints the verdict.
pub fn check(check: &Check) -> anyhow::Result<()> {
    run(cargo().args(["build", "--quiet", "--package", "refit-cli"]))?;
    fs::create_dir_all(&check.out).with_context(|| format!("making {}", check.out.display()))?;
    let serial = check.out.join("serial.log");
    let mut command = Command::new(root().join("target/debug/refit"));
    command
        .arg("boot")
        .args(&check.disks)
        .args(["--firmware", &check.firmware, "--bus", &check.bus])
        .args(["--accel", &check.accel, "--marker", SIGNAL])
        .args(["--memory", &check.memory.to_string()])
        .args(["--timeout", &check.timeout.to_string()])
        .arg("--serial-log")
        .arg(&serial)
        .arg("--screenshot")
        .arg(check.out.join("screen.png"));
    for mac in &check.nic {
        command.args(["--nic", mac]);
    }
    // What it says is printed; what came over the serial line decides.
    let booted = run(&mut command);
    let text = fs::read(&serial).with_context(|| format!("reading {}", serial.display()))?;
    let verdict = Verdict::read(&String::from_utf8_lossy(&text));
    println!("\n{}", verdict.text());
    println!("Serial log and screenshot are in {}", shown(&check.out));
    booted?;
    ensure!(verdict.passed(), "the first boot did not go well");
    Ok(())
}

fn shown(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.display().to_string()
}

/// What the first-boot service said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    /// Each task's result: its word, and the rest of the line.
    tasks: Vec<(String, String)>,
    finished: bool,
}

impl Verdict {
    fn read(serial: &str) -> Self {
        let mut verdict = Self::default();
        for line in serial.lines().map(str::trim_end) {
            if let Some(result) = line.strip_prefix(RESULT) {
                let (word, rest) = result.split_once(' ').unwrap_or((result, ""));
                verdict.tasks.push((word.to_owned(), rest.to_owned()));
            }
            verdict.finished |= line == SIGNAL;
        }
        verdict
    }

    fn passed(&self) -> bool {
        self.finished && self.tasks.iter().all(|(word, _)| word == "done")
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (word, rest) in &self.tasks {
            // It comes from a guest: nothing of it may reach the terminal as control codes.
            let rest: String = rest.chars().filter(|c| !c.is_control()).take(200).collect();
            let word: String = word
                .chars()
                .filter(|c| c.is_ascii_lowercase())
                .take(10)
                .collect();
            text += &format!("{word:>10}  {rest}\n");
        }
        text += match (self.finished, self.passed()) {
            (true, true) => "PASSED: Windows came up and every first-boot task was done",
            (true, false) => "FAILED: Windows came up, but some first-boot tasks were not done",
            _ => "FAILED: no signal that the first boot has finished; look at the screenshot",
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let task = "\r\nrefit-firstboot: done 20-a.task 3 driver packages\r\n";
        let good = Verdict::read(&format!("BdsDxe: loading{task}CONVERSION_DONE\r\n"));
        assert!(good.passed() && good.text().contains("20-a.task 3 driver"));
        assert!(!Verdict::read(task).passed(), "no signal");
        let bad = format!("{task}refit-firstboot: failed 40-b.task no\u{1b}[2J\r\nCONVERSION_DONE");
        let bad = Verdict::read(&bad);
        assert!(!bad.passed() && !bad.text().contains('\u{1b}'));
        assert!(
            Verdict::read("CONVERSION_DONE\n").passed(),
            "a guest without tasks"
        );
    }
}
