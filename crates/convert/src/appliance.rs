//! The source as an OVA archive or an OVF directory.
//!
//! refit reads the descriptor itself, and virt-v2v gets the disks and the hardware that come of it: virt-v2v's own
//! reader (`-i ova`) opens of a disk in pieces the last one, gives a collection or OVF 2 no disks and 1 TiB of
//! memory, and reads neither units of memory nor deployment configurations.

use std::path::Path;

use anyhow::{Context as _, bail};
use refit_engine::disks::{Format, ImageOptions};
use refit_image::Piece;
use refit_machine::Machine;
use refit_ovf::archive::Kind;
use refit_ovf::descriptor::Attached;
use refit_ovf::properties::{Answers, Policy, ResolvedSystem, resolve};
use refit_ovf::{Compression, Content, Envelope, File, Package, Problem, Severity, Version};

use crate::hardware::Source;
use crate::source::{self, SourceDisk};

/// What to take of an appliance that offers a choice.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `ovf:id` of the machine, where there are several.
    pub system: Option<String>,
    /// What the user answers to the appliance's questions, the deployment configuration among it.
    pub answers: Answers,
    /// What is let through of the answers.
    pub policy: Policy,
}

/// An appliance, one of its machines chosen.
pub(crate) struct Appliance {
    package: Package,
    envelope: Envelope,
    disks: Vec<Attached>,
    /// What the guest is to be told; nothing if the appliance has no properties.
    pub(crate) told: Option<ResolvedSystem>,
}

/// Memory, among the types of resources (CIM_ResourceAllocationSettingData).
const MEMORY: u16 = 4;

/// Problems of a descriptor that leave open what the machine is. The others are told.
const DECISIVE: &[&str] = &["disk.", "item.", "system.dup", "ovf.content"];

/// Reads an appliance and chooses one of its machines.
///
/// # Errors
/// If it cannot be read, if its descriptor contradicts itself in what matters here, or a choice is missing.
pub(crate) fn read(path: &Path, selection: &Selection) -> anyhow::Result<Source> {
    let reading = || format!("reading {}", path.display());
    let package = Package::open(path).with_context(reading)?;
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
    let told = found.filter(|found| !found.properties.is_empty()).cloned();
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
        notes: hardware.lost,
    })
}

impl Appliance {
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
        } else if envelope
            .files
            .iter()
            .any(|file| file.compression != Compression::None)
        {
            "a file is compressed".to_owned()
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

    /// Its disks, ready to be read where they lie. `scratch` is a directory for lists of pieces, which must stay
    /// for as long as the disks are used.
    ///
    /// # Errors
    /// For a disk that is missing, damaged, in use, not to be trusted, or stored in a way that is not read in place.
    pub(crate) fn disks(
        &self,
        machine: &Machine,
        options: &ImageOptions,
        scratch: &Path,
    ) -> anyhow::Result<Vec<SourceDisk>> {
        if machine.disks.is_empty() {
            bail!(
                "{} describes a machine without disks",
                self.package.path().display()
            );
        }
        self.disks
            .iter()
            .zip(&machine.disks)
            .enumerate()
            .map(|(index, (attached, disk))| {
                self.disk(
                    attached,
                    disk.capacity,
                    options,
                    &scratch.join(format!("pieces{index}")),
                )
            })
            .collect::<anyhow::Result<_>>()
            .with_context(|| format!("checking the disks of {}", self.package.path().display()))
    }

    fn disk(
        &self,
        attached: &Attached,
        capacity: Option<u64>,
        options: &ImageOptions,
        list: &Path,
    ) -> anyhow::Result<SourceDisk> {
        let entry = attached
            .disk
            .as_deref()
            .and_then(|id| self.envelope.disk(id));
        if let Some(parent) = entry.and_then(|entry| entry.parent.as_deref()) {
            bail!(
                "the disk {:?} holds the differences to {parent:?}; export the machine without snapshots",
                attached.disk.as_deref().unwrap_or_default()
            );
        }
        let Some(file) = attached
            .file
            .as_deref()
            .and_then(|id| self.envelope.file(id))
        else {
            let size = capacity.context(
                "a disk without a file and without a size (if it is a property, it must have a value)",
            )?;
            return Ok(SourceDisk::Blank { size });
        };
        let stored = self.stored(file, options, list)?;
        Ok(stored.at_least(capacity))
    }

    fn stored(
        &self,
        file: &File,
        options: &ImageOptions,
        list: &Path,
    ) -> anyhow::Result<SourceDisk> {
        if file.compression != Compression::None {
            bail!(
                "the disk {:?} is compressed and cannot be read in place; unpack the appliance into a directory, \
                 gunzip the disk there, take ovf:compression out of the descriptor, and give the directory",
                file.href
            );
        }
        if self.package.kind() == Kind::Directory && file.chunk_size.is_none() {
            return self.beside(file, options);
        }
        let pieces = self.package.pieces(file)?;
        let image = match pieces.as_slice() {
            [piece] => {
                refit_image::Member::probe(&piece.path, &piece.name, piece.offset, piece.size)?
            }
            pieces => {
                let pieces: Vec<Piece> = pieces
                    .iter()
                    .map(|piece| Piece {
                        path: piece.path.clone(),
                        offset: piece.offset,
                        size: piece.size,
                    })
                    .collect();
                refit_image::Member::probe_pieces(&pieces, &file.href, list)?
            }
        };
        Ok(SourceDisk::Stored {
            name: image.filename().to_owned(),
            format: image.format(),
            size: image.virtual_size(),
            own_size: image.virtual_size(),
        })
    }

    /// A file of its own, which may be of any format and refer to others beside it.
    fn beside(&self, file: &File, options: &ImageOptions) -> anyhow::Result<SourceDisk> {
        match self.package.pieces(file) {
            Ok(pieces) => {
                let path = pieces.first().map_or(Path::new(""), |piece| &piece.path);
                source::stored(path, None::<Format>, options)
            }
            // What lies elsewhere, or behind a link, is for those who trust it.
            Err(_) if options.allow_outside => {
                let path = self.package.path();
                let dir = if path.is_dir() {
                    path
                } else {
                    path.parent().unwrap_or(Path::new("."))
                };
                source::stored(&dir.join(&file.href), None, options)
            }
            Err(error) => Err(error).context(
                "a disk of an appliance is a regular file below its directory; if you trust another, allow it \
                 with --allow-outside",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn descriptor(href: &str, systems: &[&str]) -> String {
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
    fn what_an_appliance_may_name() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("ova");
        fs::create_dir(&dir).unwrap();
        fs::write(outer.path().join("outside.img"), [0; 4096]).unwrap();
        fs::write(dir.join("inside.img"), [0; 4096]).unwrap();
        std::os::unix::fs::symlink("../outside.img", dir.join("link.img")).unwrap();
        let open = |href: &str, allow_outside| {
            fs::write(dir.join("a.ovf"), descriptor(href, &["vm"])).unwrap();
            let source = read(&dir, &Selection::default()).unwrap();
            let machine = source.machine.unwrap();
            assert_eq!(machine.memory, 3 << 30);
            source
                .appliance
                .unwrap()
                .disks(&machine, &ImageOptions { allow_outside }, outer.path())
                .map_err(|error| format!("{error:#}"))
        };
        // As large as the descriptor says.
        assert!(matches!(
            open("inside.img", false).as_deref(),
            Ok([SourceDisk::Stored {
                format: Format::Raw,
                size: 8192,
                own_size: 4096,
                ..
            }])
        ));
        for href in ["../outside.img", "link.img"] {
            let message = open(href, false).unwrap_err();
            assert!(message.contains("--allow-outside"), "{message}");
            open(href, true).unwrap();
        }
        for href in ["missing.img", "http://example.org/d.img"] {
            open(href, false).unwrap_err();
        }
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
