//! `NAME.yaml`, from which the controller takes the firmware and the disk that boots.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use refit_engine::Facts;
use refit_machine::{Disk, Machine};

/// What is needed of a machine that nobody described, in bytes.
const MEMORY: u64 = 2 << 30;

/// The first `*.yaml` in the working directory, by name.
pub(crate) fn find(work_dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(work_dir).ok()?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    found.sort();
    found.into_iter().next()
}

/// Sees to it that there is a description: what virt-v2v wrote (2.3 and later), else ours as `NAME.yaml`. `source` is the machine as its source describes it.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn complete(
    work_dir: &Path,
    name: &str,
    disks: usize,
    source: Option<&Machine>,
    facts: Option<&Facts>,
) -> anyhow::Result<()> {
    let path = match find(work_dir) {
        None => work_dir.join(format!("{name}.yaml")),
        Some(path) if fs::read_to_string(&path).is_ok_and(|text| is_instance(&text)) => path,
        Some(_) => return Ok(()),
    };
    let manifest = refit_kubevirt::virtual_machine(
        &machine(name, disks, source, facts),
        &refit_kubevirt::Options::default(),
    )
    .and_then(|manifest| manifest.to_yaml())
    .context("describing the machine for KubeVirt")?;
    fs::write(&path, manifest).with_context(|| format!("writing {}", path.display()))
}

/// virt-v2v 2.2 writes a VirtualMachineInstance, which says nothing of the firmware.
fn is_instance(text: &str) -> bool {
    text.lines()
        .any(|line| line.trim_end().replace(['"', '\''], "") == "kind: VirtualMachineInstance")
}

fn machine(name: &str, disks: usize, source: Option<&Machine>, facts: Option<&Facts>) -> Machine {
    let mut machine = source.cloned().unwrap_or_default();
    name.clone_into(&mut machine.name);
    machine.vcpus = machine.vcpus.max(1);
    if machine.memory == 0 {
        machine.memory = MEMORY;
    }
    machine.disks.resize(disks, Disk::default());
    // The networks of the source are the controller's business.
    machine.nics.clear();
    if let (None, Some(firmware)) = (source, facts.and_then(|facts| facts.firmware)) {
        machine.firmware = firmware;
    }
    machine
}

#[cfg(test)]
mod tests {
    use refit_machine::Firmware;

    use super::*;

    #[test]
    fn virt_v2vs_own_stays_unless_it_is_an_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web1.yaml");
        let facts = Facts {
            firmware: Some(Firmware::Uefi),
            ..Facts::default()
        };
        let complete = || {
            complete(dir.path(), "web1", 2, None, Some(&facts)).unwrap();
            fs::read_to_string(&path).unwrap()
        };
        let ours = complete();
        assert!(
            ours.contains("kind: 'VirtualMachine'\n") && ours.contains("efi:"),
            "{ours}"
        );
        assert!(ours.contains("bootOrder: 1"), "{ours}");
        fs::write(&path, "kind: VirtualMachineInstance\n").unwrap();
        assert_eq!(complete(), ours);
        let theirs = "apiVersion: kubevirt.io/v1\nkind: \"VirtualMachine\"\n";
        fs::write(&path, theirs).unwrap();
        assert_eq!(complete(), theirs);
        fs::write(dir.path().join("a.yaml"), "").unwrap();
        assert_eq!(find(dir.path()).unwrap(), dir.path().join("a.yaml"));
        assert_eq!(find(&dir.path().join("none")), None);
    }
}
