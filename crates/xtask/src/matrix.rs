//! `cargo xtask matrix`: the test of the matrix, and its results as a table.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::Value;

use crate::process::{cargo, root, run};
use crate::setup;

const HEAD: &str = "\
# Guests that were fixed and booted

Written by `cargo xtask matrix`, which makes each guest (`tests/guests/debian.sh`), boots it as it was
(pvscsi or NVMe, vmxnet3, VMware's slot numbers), on virtio untouched, and on virtio after `refit fix`, and
asks it from inside for names and permanent MACs of its network cards, addresses, default route, mounts and
failed services (`tests/tests/matrix.rs`). As it was and after `refit fix`, all of them must be the same.
Times are those of emulated machines, with another one beside them on two processors.
";

/// `cargo xtask matrix`
pub fn run_matrix() -> anyhow::Result<()> {
    setup::run_if_needed()?;
    let results = root().join("target/matrix.json");
    // What is timed is the optimised build.
    run(cargo().args(["build", "--quiet", "--release", "--package", "refit-cli"]))?;
    let start = Instant::now();
    let done = run(cargo()
        .args(["test", "--quiet", "--release", "--package", "refit-tests"])
        .args(["--test", "matrix", "--", "--nocapture"])
        .env("REFIT_MATRIX_RESULTS", &results)
        .env("REFIT_MATRIX_AT_ONCE", "2"));
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    // Failures are results, too; without the file the test was not even built.
    write_table(&results)?;
    fs::remove_file(&results).context("removing the results")?;
    println!("all together {minutes:.1} minutes, with the guests that had to be built");
    done
}

/// Writes tests/MATRIX.md.
///
/// # Errors
/// If the results cannot be read, or the table not written.
pub fn write_table(results: &Path) -> anyhow::Result<()> {
    let rows = fs::read_to_string(results).context("reading the results")?;
    let rows: Vec<Value> = serde_json::from_str(&rows).context("reading the results")?;
    let table = table(&rows);
    fs::write(root().join("tests/MATRIX.md"), &table).context("writing tests/MATRIX.md")?;
    print!("{table}");
    Ok(())
}

fn table(rows: &[Value]) -> String {
    let mut text = format!(
        "{HEAD}\n\
        | guest | system | root | initramfs | network | untouched on virtio | after `refit fix` | changed by | s: as it was, fix, after |\n\
        |---|---|---|---|---|---|---|---|---|\n"
    );
    for row in rows {
        let proof = &row["proof"];
        let cells = [
            word(&row["name"]),
            word(&row["system"]),
            word(&row["root"]),
            word(&row["initramfs"]),
            word(&row["network"]),
            untouched(&proof["untouched"]),
            match row["error"].as_str() {
                Some(error) => format!("**failed**: {}", error.lines().next().unwrap_or_default()),
                None => format!("as it was: {}", list(&proof["after"]["addresses"])),
            },
            list(&proof["fix"]["changes"]),
            format!(
                "{}, {}, {}",
                seconds(&proof["before"]["seconds"]),
                seconds(&proof["fix"]["seconds"]),
                seconds(&proof["after"]["seconds"])
            ),
        ];
        let _ = writeln!(text, "| {} |", cells.map(escaped).join(" | "));
    }
    text
}

fn untouched(untouched: &Value) -> String {
    match untouched["outcome"].as_str() {
        None => "not tried".to_owned(),
        Some("login") => format!("no network: its names are {}", list(&untouched["names"])),
        Some(_) => "does not find its root file system".to_owned(),
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(values: &Value) -> String {
    let values = values.as_array().into_iter().flatten();
    values
        .filter_map(Value::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

fn seconds(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.0}"))
}

/// A vertical bar would end the cell.
fn escaped(cell: String) -> String {
    cell.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::table;

    #[test]
    fn results_become_rows() {
        let text = table(&[
            json!({"name": "a", "system": "Debian 12", "root": "ext4", "initramfs": "dracut", "network": "x|y",
                "proof": {"untouched": {"outcome": "login", "names": ["enp1s0"]}, "before": {"seconds": 30.4},
                    "fix": {"seconds": 12, "changes": ["nic-names"]},
                    "after": {"seconds": 31.0, "addresses": ["ens192 192.0.2.1/24"]}}}),
            json!({"name": "b", "error": "did not come up\nmore"}),
        ]);
        let rows: Vec<&str> = text.lines().rev().take(2).collect();
        assert_eq!(
            rows[1],
            "| a | Debian 12 | ext4 | dracut | x\\|y | no network: its names are enp1s0 \
             | as it was: ens192 192.0.2.1/24 | nic-names | 30, 12, 31 |"
        );
        assert_eq!(
            rows[0],
            "| b |  |  |  |  | not tried | **failed**: did not come up |  | -, -, - |"
        );
    }
}
