//! Golden cases: `<fixup>/cases/<case>/{guest/,params.toml,changes.json}`.
//!
//! `REFIT_BLESS=1 cargo test -p refit-fixups --test cases` writes `changes.json` anew.

use std::path::Path;

use refit_cases::{Case, Golden};

#[test]
fn golden_cases() {
    let golden = match std::env::var_os("REFIT_BLESS") {
        Some(_) => Golden::Bless,
        None => Golden::Compare,
    };
    let mut failures = Vec::new();
    let mut count = 0;
    for fixup in refit_fixups::all() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(&fixup.info().id);
        for case in refit_cases::find(&folder).unwrap() {
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
