//! The tests, in tiers.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::firstboot;
use crate::lanes::{self, Program};
use crate::process::{capture, cargo, root, run};
use crate::setup;

/// `cargo xtask test [--fast]`
pub fn run_tier(fast: bool) -> anyhow::Result<()> {
    setup::run_if_needed()?;
    step("formatting");
    run(cargo().args(["fmt", "--all", "--check"]))?;
    step("lints");
    run(cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))?;
    step("layering");
    layering()?;
    step("unit tests and golden cases");
    run(emulated(cargo().args([
        "test",
        "--quiet",
        "--workspace",
        "--lib",
        "--bins",
    ])))?;
    run(emulated(cargo().args([
        "test",
        "--quiet",
        "--package",
        "refit-fixups",
        "--package",
        "refit-windows",
        "--tests",
    ])))?;
    run(emulated(cargo().args([
        "test",
        "--quiet",
        "--package",
        "refit-engine",
        "--test",
        "tree",
        "--test",
        "registry",
    ])))?;
    run(emulated(cargo().args([
        "test",
        "--quiet",
        "--package",
        "refit-hive",
        "--test",
        "edits",
        "--test",
        "hostile",
        "--test",
        "recover",
    ])))?;
    step("first-boot service of Windows guests: the part that runs anywhere");
    firstboot::test()?;
    if fast {
        return Ok(());
    }
    step("first-boot service of Windows guests: built twice");
    firstboot::test_build()?;
    step("documentation");
    run(cargo()
        .args([
            "doc",
            "--quiet",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ])
        .env("RUSTDOCFLAGS", "--deny warnings"))?;
    run(emulated(cargo().args([
        "test",
        "--quiet",
        "--workspace",
        "--doc",
    ])))?;
    step("real components: libguestfs, qemu, virt-v2v");
    let (alone, beside): (Vec<Program>, Vec<Program>) = slow_programs()?
        .into_iter()
        .partition(|program| ALONE.contains(&program.name.as_str()));
    // The second must be run whatever becomes of the first.
    let beside = lanes::run(lanes::LANES, beside);
    let alone = lanes::run(1, alone);
    beside.and(alone)
}

/// Programs that look for what anybody's libguestfs leaves in `/tmp`.
const ALONE: [&str; 1] = ["crates/v2v: real"];

/// The programs of tests that start machines. Those that take longest come first, so that in the
/// end no lane waits long for another.
const LONGEST_FIRST: [&str; 18] = [
    "matrix",
    "image",
    "appliance",
    "pod",
    "windows_drivers",
    "firstboot",
    "firstboot_network",
    "own_engine",
    "bad_input",
    "bad_conversions",
    "boot",
    "pod_interrupt",
    "interrupt",
    "collection",
    "pod_commands",
    "convert",
    "fix",
    "trees",
];

/// Builds refit and all integration tests in one go, and gives the programs. Started by `cargo test`
/// one after the other, each package would be built anew with the features that it alone needs.
fn slow_programs() -> anyhow::Result<Vec<Program>> {
    run(cargo().args(["build", "--quiet", "--workspace"]))?;
    let messages = capture(cargo().args([
        "test",
        "--quiet",
        "--workspace",
        "--tests",
        "--no-run",
        "--message-format=json",
    ]))?;
    let mut programs = Vec::new();
    for message in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(message)?;
        let (Some(executable), Some(name), Some(manifest)) = (
            message["executable"].as_str(),
            message["target"]["name"].as_str(),
            message["manifest_path"].as_str(),
        ) else {
            continue;
        };
        if message["target"]["kind"] != serde_json::json!(["test"]) {
            continue;
        }
        let package = Path::new(manifest)
            .parent()
            .context("a manifest in no directory")?;
        let mut command = Command::new(executable);
        emulated(&mut command)
            .args(["--test-threads", "1", "--include-ignored"])
            .current_dir(package);
        let rank = LONGEST_FIRST
            .iter()
            .position(|longest| *longest == name)
            .unwrap_or(LONGEST_FIRST.len());
        let package = package.strip_prefix(root().canonicalize()?)?;
        let name = format!("{}: {name}", package.display());
        programs.push((rank, Program { name, command }));
    }
    programs.sort_by_key(|(rank, _)| *rank);
    Ok(programs.into_iter().map(|(_, program)| program).collect())
}

/// Tests never use KVM: on some machines it opens, and guests hang.
fn emulated(command: &mut Command) -> &mut Command {
    command
        .env("LIBGUESTFS_BACKEND", "direct")
        .env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")
        .env("RUST_BACKTRACE", "0")
}

fn step(name: &str) {
    println!("\n== {name}");
}

/// Which of our crates may depend on which. What is missing here may depend on none of ours.
const LAYERS: &[(&str, &[&str])] = &[
    ("refit-guestfs", &["refit-guestfs-sys"]),
    (
        "refit-engine",
        &[
            "refit-guestfs",
            "refit-hive",
            "refit-image",
            "refit-machine",
        ],
    ),
    (
        "refit-cases",
        &["refit-engine", "refit-guestfs", "refit-hive"],
    ),
    (
        "refit-plugins",
        &[
            "refit-cases",
            "refit-engine",
            "refit-firstboot",
            "refit-rules",
        ],
    ),
    ("refit-firstboot", &["refit-engine"]),
    ("refit-packages", &["refit-engine"]),
    (
        "refit-v2v",
        &["refit-guestfs", "refit-image", "refit-machine"],
    ),
    ("refit-kubevirt", &["refit-machine"]),
    ("refit-ovf", &["refit-iso9660", "refit-machine"]),
    ("refit-virtio-win", &["refit-iso9660"]),
    ("refit-boot", &["refit-image", "refit-machine"]),
    (
        "refit-rules",
        &["refit-engine", "refit-hive", "refit-packages"],
    ),
    (
        "refit-fixups",
        &[
            "refit-engine",
            "refit-firstboot",
            "refit-machine",
            "refit-packages",
            "refit-rules",
        ],
    ),
    (
        "refit-windows",
        &[
            "refit-engine",
            "refit-hive",
            "refit-machine",
            "refit-rules",
            "refit-virtio-win",
        ],
    ),
    (
        "refit-convert",
        &[
            "refit-engine",
            "refit-image",
            "refit-kubevirt",
            "refit-machine",
            "refit-ovf",
            "refit-v2v",
            "refit-virtio-win",
        ],
    ),
    (
        "refit-pod",
        &[
            "refit-convert",
            "refit-engine",
            "refit-image",
            "refit-kubevirt",
            "refit-machine",
            "refit-ovf",
            "refit-plugins",
            "refit-v2v",
            "refit-virtio-win",
            "refit-windows",
        ],
    ),
    (
        "refit-cli",
        &[
            "refit-boot",
            "refit-cases",
            "refit-convert",
            "refit-engine",
            "refit-fixups",
            "refit-hive",
            "refit-machine",
            "refit-ovf",
            "refit-plugins",
            "refit-pod",
            "refit-v2v",
            "refit-virtio-win",
            "refit-windows",
        ],
    ),
    ("refit-tests", &["refit-guestfs", "refit-hive"]),
];

/// Dependencies between our crates point one way: the table above is all there is.
fn layering() -> anyhow::Result<()> {
    let metadata = capture(cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let empty = Vec::new();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().unwrap_or(&empty) {
        let name = package["name"].as_str().unwrap_or_default();
        let allowed = LAYERS
            .iter()
            .find(|(layer, _)| *layer == name)
            .map_or(&[][..], |(_, allowed)| allowed);
        for dependency in package["dependencies"].as_array().unwrap_or(&empty) {
            // What a crate's tests use does not count.
            if dependency["kind"].as_str() == Some("dev") {
                continue;
            }
            let dependency = dependency["name"].as_str().unwrap_or_default();
            if dependency.starts_with("refit-") && !allowed.contains(&dependency) {
                wrong.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "{}: see LAYERS in {}",
        wrong.join(", "),
        root().join("crates/xtask/src/test.rs").display()
    );
    println!("dependencies between our crates point one way");
    Ok(())
}
