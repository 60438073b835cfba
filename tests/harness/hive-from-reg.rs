//! `hive-from-reg TEXT HIVE`: makes a registry hive of the text of a `.reg` file.

use std::fs;

use anyhow::{Context as _, bail};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [text, hive] = arguments.as_slice() else {
        bail!("usage: hive-from-reg TEXT HIVE");
    };
    let content = fs::read_to_string(text).with_context(|| format!("reading {text}"))?;
    let made = refit_hive::reg::import(&content).with_context(|| format!("reading {text}"))?;
    fs::write(hive, made.bytes()).with_context(|| format!("writing {hive}"))
}
