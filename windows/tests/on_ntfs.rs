//! Golden cases on an NTFS in the appliance: the same plan as on a directory, applied, planned again and undone there.

use std::path::Path;

use refit_cases::{Appliance, Case, Golden, on_disks};
use refit_engine::Fixup;

/// One of each kind of change: keys in every hive and files removed; drivers; a task.
const CASES: [(&str, &str); 4] = [
    ("windows-vmware-tools", "vmware-tools/cases/server-2019"),
    ("windows-vmware-tools", "vmware-tools/cases/users"),
    ("windows-virtio", "virtio/cases/win2019"),
    ("windows-network", "network/cases/server-2019-two-nics"),
];

#[test]
#[ignore = "starts the libguestfs appliance"]
fn cases_on_ntfs() {
    let all = refit_windows::all();
    let cases = CASES.map(|(id, folder)| {
        let fixup: &dyn Fixup = *all.iter().find(|fixup| fixup.info().id == id).unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        (fixup, Case::read(&folder).unwrap())
    });
    let cases: Vec<_> = cases.iter().map(|(fixup, case)| (*fixup, case)).collect();
    let mut appliance = Appliance {
        force_tcg: &|| true,
        on_handle: &mut |_| {},
    };
    let results = on_disks(&cases, Golden::Compare, &mut appliance).unwrap();
    for (result, (_, folder)) in results.iter().zip(CASES) {
        if let Err(error) = result {
            panic!("{folder}: {error:?}");
        }
    }
    assert_eq!(results.len(), CASES.len());
}
