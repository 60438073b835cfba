//! The tasks that fixups write are tasks that the first-boot service takes: it reads them here with its own parser.
#![allow(
    dead_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_imports,
    clippy::all,
    reason = "modules of another program for an older compiler, of which only the parser is used"
)]

#[path = "../firstboot/src/mac.rs"]
mod mac;
#[path = "../firstboot/src/task/mod.rs"]
mod task;
#[path = "../firstboot/src/vars.rs"]
mod vars;

use std::path::Path;

#[test]
fn the_service_takes_every_task() {
    let mut count = 0;
    for fixup in refit_windows::all() {
        let name = fixup.info().id.strip_prefix("windows-").unwrap_or_default();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        for case in refit_cases::find(&folder).unwrap() {
            // The test of the cases tells of one that is missing.
            let Ok(plan) = std::fs::read(case.join("changes.json")) else {
                continue;
            };
            let plan: serde_json::Value = serde_json::from_slice(&plan).unwrap();
            for change in plan["changes"].as_array().unwrap() {
                let (Some(path), Some(text)) =
                    (change["path"].as_str(), change["content"].as_str())
                else {
                    continue;
                };
                let Some((_, name)) = path.rsplit_once("/firstboot/tasks/") else {
                    continue;
                };
                count += 1;
                if let Err(error) = task::Task::parse(name, text.as_bytes()) {
                    panic!("{}: {name}: {error:?}\n{text}", case.display());
                }
            }
        }
    }
    assert!(count > 15, "only {count} tasks found");
}
