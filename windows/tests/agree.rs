//! All fixups of Windows guests on one guest: what one plans is what the next sees, and together they are done after
//! one run.

use std::path::Path;

use refit_cases::Case;
use refit_engine::Fixup;

#[test]
fn together_they_are_done_at_once() {
    let all = refit_windows::all();
    let mut failures = Vec::new();
    let mut count = 0;
    for &owner in &all {
        let name = owner.info().id.strip_prefix("windows-").unwrap_or_default();
        // The others' cases have megabytes of hives, and they are about one thing.
        if !["network", "ghost-devices", "disks", "clock", "ovf-env"].contains(&name) {
            continue;
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        for case in refit_cases::find(&folder).unwrap() {
            count += 1;
            let result = Case::read(&case).and_then(|case| case.together(owner, &all));
            if let Err(error) = result {
                failures.push(format!("{}:\n{error:?}", case.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(count > 15, "only {count} cases found");
}

/// The service has to come after everything that leaves a task, users' fixups too.
#[test]
fn the_service_is_the_last() {
    let all = refit_windows::all();
    let phase = |id: &str| {
        let found: Vec<&&dyn Fixup> = all.iter().filter(|fixup| fixup.info().id == id).collect();
        found[0].info().phase
    };
    let last = phase("windows-firstboot");
    for fixup in &all {
        let id = fixup.info().id.as_str();
        assert!(
            id == "windows-firstboot" || fixup.info().phase < last,
            "{id}"
        );
    }
    assert!(phase("windows-network") <= phase("windows-ghost-devices"));
}
