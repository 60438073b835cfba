//! Golden cases: `<fixup>/cases/<case>/{guest/,params.toml,changes.json}`.
//!
//! `REFIT_BLESS=1 cargo test -p refit-fixups --test cases` writes `changes.json` anew.

use std::path::{Path, PathBuf};

use refit_cases::{Case, Golden};
use refit_engine::{Fixup, Phase};

#[test]
fn golden_cases() {
    let golden = match std::env::var_os("REFIT_BLESS") {
        Some(_) => Golden::Bless,
        None => Golden::Compare,
    };
    let mut failures = Vec::new();
    let mut count = 0;
    for fixup in refit_fixups::all() {
        for case in refit_cases::find(&folder(fixup)).unwrap() {
            count += 1;
            let result = Case::read(&case).and_then(|case| case.on_directory(fixup, golden));
            if let Err(error) = result {
                failures.push(format!("{}:\n{error:?}", case.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(count > 20, "only {count} cases found");
}

/// One may do what the other goes by, and both must be content with the result.
#[test]
fn network_fixups_agree() {
    let network: Vec<&dyn Fixup> = refit_fixups::all()
        .into_iter()
        .filter(|fixup| fixup.info().phase == Phase::Network)
        .collect();
    let mut failures = Vec::new();
    for &fixup in &network {
        for case in refit_cases::find(&folder(fixup)).unwrap() {
            let result = Case::read(&case).and_then(|case| case.together(fixup, &network));
            if let Err(error) = result {
                failures.push(format!("{}:\n{error:?}", case.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn folder(fixup: &dyn Fixup) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(&fixup.info().id)
}
