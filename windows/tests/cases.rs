//! Golden cases: `<fixup>/cases/<case>/{guest/,params.toml,changes.json}`. The folder of fixup
//! `windows-network` is `network`.
//!
//! `REFIT_BLESS=1 cargo test -p refit-windows --test cases` writes `changes.json` anew.

use std::path::{Path, PathBuf};

use refit_cases::{Case, Golden};
use refit_engine::Fixup;

#[test]
fn golden_cases() {
    let golden = match std::env::var_os("REFIT_BLESS") {
        Some(_) => Golden::Bless,
        None => Golden::Compare,
    };
    let mut failures = Vec::new();
    for fixup in refit_windows::all() {
        for case in refit_cases::find(&folder(fixup)).unwrap() {
            let result = Case::read(&case).and_then(|case| case.on_directory(fixup, golden));
            if let Err(error) = result {
                failures.push(format!("{}:\n{error:?}", case.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// What is there under a name of its own does not hide a fixup's cases.
#[test]
fn every_fixup_has_cases() {
    for fixup in refit_windows::all() {
        let cases = refit_cases::find(&folder(fixup)).unwrap();
        assert!(!cases.is_empty(), "{} has no cases", fixup.info().id);
    }
}

fn folder(fixup: &dyn Fixup) -> PathBuf {
    let id = fixup.info().id.as_str();
    let name = match id {
        // `windows/firstboot` is the program that runs inside the guest.
        "windows-firstboot" => "firstboot-service",
        _ => id.strip_prefix("windows-").unwrap_or(id),
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
