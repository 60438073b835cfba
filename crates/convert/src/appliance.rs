//! The source as an OVA archive or an OVF directory.
//!
//! refit reads the descriptor itself, and virt-v2v gets the disks and the hardware that come of it: virt-v2v's own
//! reader (`-i ova`) opens of a disk in pieces the last one, gives a collection or OVF 2 no disks and 1 TiB of
//! memory, and reads neither units of memory nor deployment configurations.

mod disks;
mod guestinfo;
mod verification;

use std::path::Path;

use anyhow::{Context as _, bail};
use refit_machine::Machine;
use refit_ovf::descriptor::Attached;
use refit_ovf::properties::{Answers, Policy, ResolvedSystem, resolve};
use refit_ovf::{Content, Envelope, File, Package, Problem, Severity, Start, Version};

use crate::environment;
use crate::hardware::Source;

pub(crate) use disks::Reading;
pub use verification::Verification;
pub(crate) use verification::verify;

/// What to take of an appliance that offers a choice.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `ovf:id` of the machine, where there are several.
    pub system: Option<String>,
    /// What the user answers to the appliance's questions, the deployment configuration among it.
    pub answers: Answers,
    /// What is let through of the answers.
    pub policy: Policy,
    /// Whether the files are used without comparing them with the manifest.
    pub skip_verification: bool,
}

/// An appliance, one of its machines chosen.
pub(crate) struct Appliance {
    package: Package,
    envelope: Envelope,
    disks: Vec<Attached>,
    /// What the guest is to be told; nothing if the appliance has neither properties nor other settings for it.
    pub(crate) told: Option<Told>,
}

/// What a guest is told.
pub(crate) struct Told {
    /// The properties, which are its OVF environment.
    pub(crate) properties: ResolvedSystem,
    /// What else it could ask VMware Tools for, by key, in the descriptor's order.
    pub(crate) guestinfo: Vec<(String, String)>,
}

/// Memory, among the types of resources (CIM_ResourceAllocationSettingData).
const MEMORY: u16 = 4;

/// Problems of a descriptor that leave open what the machine is. The others are told.
const DECISIVE: &[&str] = &["disk.", "item.", "ref.dup", "system.dup", "ovf.content"];

/// The machines that an appliance holds, where no one is chosen: their `ovf:id`, and when they are started.
///
/// # Errors
/// If it cannot be read, or two of them cannot be told apart.
pub(crate) fn machines(path: &Path) -> anyhow::Result<(Vec<String>, Vec<Start>)> {
    let reading = || format!("reading {}", path.display());
    let package = Package::open(path)?;
    let envelope = package.envelope(None).with_context(reading)?;
    let ids: Vec<String> = envelope
        .systems()
        .iter()
        .map(|one| one.id.clone())
        .collect();
    if ids.len() > 1 && ids.iter().any(String::is_empty) {
        bail!(
            "{}: one of its {} machines has no ovf:id, so that they cannot be told apart; give each one in the \
             descriptor",
            reading(),
            ids.len()
        );
    }
    Ok((ids, envelope.start_order()))
}

/// Reads an appliance and chooses one of its machines.
///
/// # Errors
/// If it cannot be read, if its descriptor contradicts itself in what matters here, or a choice is missing.
pub(crate) fn read(path: &Path, selection: &Selection) -> anyhow::Result<Source> {
    let reading = || format!("reading {}", path.display());
    let package = Package::open(path)?;
    let envelope = package.envelope(None).with_context(reading)?;
    let is_decisive = |problem: &&Problem| {
        problem.severity == Severity::Error
            && DECISIVE.iter().any(|code| problem.code.starts_with(code))
    };
    if let Some(problem) = envelope.problems.iter().find(is_decisive) {
        bail!(
            "{}: {}: {problem}; `refit ova inspect` shows all that is wrong",
            reading(),
            package.descriptor().name
        );
    }
    let system = envelope
        .choose_system(selection.system.as_deref())
        .with_context(reading)?;
    let configuration = envelope
        .choose_configuration(selection.answers.configuration.as_deref())
        .with_context(reading)?
        .map(|one| one.id.as_str());
    // What is wrong with the answers is told before anything is written.
    let resolved = resolve(&envelope, &selection.answers, selection.policy)?;
    let found = resolved.system(&system.id);
    let hardware = envelope.hardware(system, configuration, &|key| {
        found.and_then(|found| found.value(key)).map(str::to_owned)
    });
    let guestinfo = environment::settings(system);
    let told = found
        .filter(|found| {
            let siblings = found.siblings.iter();
            !found.properties.is_empty()
                || !guestinfo.is_empty()
                || siblings.into_iter().any(|(_, theirs)| !theirs.is_empty())
        })
        .map(|found| Told {
            properties: found.clone(),
            guestinfo: guestinfo.clone(),
        });
    let warnings = envelope
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| format!("{}: {problem}", package.descriptor().name))
        .chain(resolved.warnings.iter().map(ToString::to_string))
        .collect();
    Ok(Source {
        machine: Some(hardware.machine),
        appliance: Some(Appliance {
            package,
            envelope,
            disks: hardware.disks,
            told,
        }),
        warnings,
        notes: hardware
            .lost
            .into_iter()
            .chain(guestinfo::notes(&guestinfo))
            .collect(),
    })
}

impl Appliance {
    /// Whether the guest has properties of its own. Without any nothing is told about its name and network, whatever
    /// settings (`guestinfo.*`) or siblings there are.
    pub(crate) fn has_properties(&self) -> bool {
        let told = self.told.as_ref();
        told.is_some_and(|told| !told.properties.properties.is_empty())
    }

    /// Why virt-v2v's own reader (`-i ova`) would not see the same machine: it takes memory for MiB and the first
    /// system, knows neither OVF 2 nor configurations, and opens of a disk in pieces the last one.
    pub(crate) fn beyond_virt_v2v(&self, machine: Option<&Machine>) -> Option<String> {
        let envelope = &self.envelope;
        let why = if envelope.version != Version::V1 {
            format!("it is OVF {}", envelope.version)
        } else if envelope.systems().len() != 1
            || !matches!(envelope.content, Some(Content::System(_)))
        {
            "it is a collection of machines".to_owned()
        } else if !envelope.configurations.is_empty() {
            "its sizes are those of a deployment configuration".to_owned()
        } else if envelope.files.iter().any(|file| file.chunk_size.is_some()) {
            "a file is stored in pieces".to_owned()
        } else if self.is_compressed() {
            "a disk is compressed".to_owned()
        } else if self.disks.iter().any(|disk| disk.file.is_none()) {
            "a disk has no file".to_owned()
        } else if machine.is_some_and(|machine| !self.has_memory_in_mib(machine)) {
            "its memory is not counted in MiB".to_owned()
        } else {
            return None;
        };
        Some(why)
    }

    fn has_memory_in_mib(&self, machine: &Machine) -> bool {
        let systems = self.envelope.systems();
        let quantities = systems
            .iter()
            .flat_map(|system| &system.hardware)
            .flat_map(|section| &section.items)
            .filter(|item| item.resource_type == MEMORY)
            .filter_map(|item| item.quantity);
        quantities
            .into_iter()
            .all(|quantity| quantity.checked_mul(1 << 20) == Some(machine.memory))
    }

    /// The files that the machine's disks are made of.
    fn files(&self) -> Vec<&File> {
        self.disks
            .iter()
            .filter_map(|attached| self.envelope.file(attached.file.as_deref()?))
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;

    pub(crate) fn descriptor(href: &str, systems: &[&str]) -> String {
        let systems: String = systems
            .iter()
            .map(|id| {
                format!(
                    "<VirtualSystem id='{id}'><VirtualHardwareSection>\
                     <Item><AllocationUnits>byte * 2^30</AllocationUnits><InstanceID>1</InstanceID>\
                     <ResourceType>4</ResourceType><VirtualQuantity>3</VirtualQuantity></Item>\
                     <Item><HostResource>ovf:/disk/d</HostResource><InstanceID>2</InstanceID>\
                     <ResourceType>17</ResourceType></Item></VirtualHardwareSection></VirtualSystem>"
                )
            })
            .collect();
        format!(
            "<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1'>\
             <References><File id='f' href='{href}'/></References>\
             <DiskSection><Disk diskId='d' fileRef='f' capacity='8192' format='x'/></DiskSection>\
             <VirtualSystemCollection id='c'>{systems}</VirtualSystemCollection></Envelope>"
        )
    }

    #[test]
    fn a_choice_is_asked_for_and_contradictions_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.ovf");
        let error = |text: &str, system: Option<&str>| {
            fs::write(&path, text).unwrap();
            let selection = Selection {
                system: system.map(str::to_owned),
                ..Selection::default()
            };
            read(&path, &selection)
                .err()
                .map(|error| format!("{error:#}"))
        };
        let two = descriptor("x", &["a", "b"]);
        assert!(
            error(&two, None)
                .unwrap()
                .contains("(a, b); choose one with --system")
        );
        assert!(error(&two, Some("c")).unwrap().contains("there are a, b"));
        assert_eq!(error(&two, Some("b")), None);
        let zero = two.replace("8192", "0");
        let message = error(&zero, Some("b")).unwrap();
        assert!(
            message.contains("line 1") && message.contains("positive whole number"),
            "{message}"
        );
    }
}
