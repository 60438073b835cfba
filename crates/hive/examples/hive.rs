//! Looks at hives from the command line, and measures.
//!
//! ```text
//! cargo run --release -p refit-hive --example hive -- check HIVE...
//! cargo run --release -p refit-hive --example hive -- export HIVE
//! cargo run --release -p refit-hive --example hive -- recover HIVE OUT LOG...
//! cargo run --release -p refit-hive --example hive -- time HIVE...
//! ```

use std::fs;
use std::time::Instant;

use refit_hive::{Hive, HiveError, Value, reg};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["check", hives @ ..] => hives.iter().try_for_each(|hive| check(hive)),
        ["export", hive] => {
            print!("{}", reg::export(&Hive::parse(fs::read(hive)?)?));
            Ok(())
        }
        ["recover", hive, out, logs @ ..] => {
            let logs: Vec<Vec<u8>> = logs.iter().map(fs::read).collect::<Result<_, _>>()?;
            let logs: Vec<&[u8]> = logs.iter().map(Vec::as_slice).collect();
            fs::write(out, Hive::recover(fs::read(hive)?, &logs)?.bytes())?;
            Ok(())
        }
        ["time", hives @ ..] => hives.iter().try_for_each(|hive| time(hive)),
        _ => Err("check HIVE... | export HIVE | recover HIVE OUT LOG... | time HIVE...".into()),
    }
}

fn check(path: &str) -> Outcome {
    match Hive::parse(fs::read(path)?) {
        Ok(hive) => println!(
            "{path}: sound, {} keys below its root",
            hive.root().subkeys().len()
        ),
        Err(HiveError::Dirty { .. }) => println!("{path}: dirty"),
        Err(error) => println!("{path}: {error}"),
    }
    Ok(())
}

/// Reading, 200 edits across the hive, the check of everything.
fn time(path: &str) -> Outcome {
    let bytes = fs::read(path)?;
    let length = bytes.len();
    let start = Instant::now();
    let mut hive = Hive::parse_as_flushed(bytes)?;
    let parsed = start.elapsed();
    let keys: Vec<String> = hive.root().subkeys().map(|key| key.name()).collect();
    let start = Instant::now();
    for (edit, key) in (0..200).zip(keys.iter().cycle()) {
        hive.set_value(
            &format!("{key}\\refit {}", edit / 4),
            &format!("value {edit}"),
            &Value::sz("text"),
        )?;
    }
    let edited = start.elapsed();
    let start = Instant::now();
    hive.check()?;
    let checked = start.elapsed();
    println!("{path}: {length} bytes; read {parsed:?}, 200 edits {edited:?}, check {checked:?}");
    Ok(())
}
