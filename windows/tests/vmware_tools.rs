//! What the removal of guest tools leaves, on whole guests: read back after applying.

use std::fs;
use std::path::Path;

use refit_engine::backend::RootBackend;
use refit_engine::{Guest, Hints, Request, Selection, plan, prepare};

#[test]
fn dump() {
    let root = std::env::var_os("WT_ROOT").unwrap();
    let root = Path::new(&root);
    let mut backend = RootBackend::open(root).unwrap();
    let fixups = refit_windows::all();
    let tools = fixups.iter().find(|f| f.info().id == "windows-vmware-tools").unwrap();
    let mut request = Request::default();
    for name in std::env::var("WT_SET").unwrap_or_default().split(',').filter(|n| !n.is_empty()) {
        request.parameters.entry("windows-vmware-tools".into()).or_default().insert(name.into(), toml::Value::Boolean(true));
    }
    let start = std::time::Instant::now();
    let mut guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    println!("inspect {:?}", start.elapsed());
    let planned = plan(&mut guest, &[*tools], &Selection::default(), &request);
    println!("plan {:?}", start.elapsed());
    fs::write("/tmp/wt-plan.json", serde_json::to_string_pretty(&planned).unwrap()).unwrap();
    let prepared = prepare(guest, &backend, vec!["windows-vmware-tools".into()]).unwrap();
    prepared.execute(&mut backend).unwrap();
    println!("done {:?}", start.elapsed());
}
