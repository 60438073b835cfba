//! A source that was read, for callers who convert onto disks of their own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use refit_engine::OvfEnvironment;
use refit_engine::disks::ImageOptions;
use refit_machine::{Machine, libvirt};
use refit_v2v::{CancelToken, Input};

use crate::appliance::{self, Reading, Selection};
use crate::environment;
use crate::hardware::{self, Source};
use crate::source::{self, SourceDisk};

/// A source whose own description was read, if it has one.
pub struct Opened {
    input: Input,
    source: Source,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

impl Opened {
    /// Reads the source's description. `selection` says what to take of an appliance.
    ///
    /// # Errors
    /// If it cannot be read, contradicts itself, or a choice is missing.
    pub fn read(input: &Input, selection: &Selection) -> anyhow::Result<Self> {
        Ok(Self {
            input: input.clone(),
            source: hardware::read_source(input, selection)?,
        })
    }

    /// The machine; a source of bare disks says nothing of one.
    #[must_use]
    pub fn machine(&self) -> Option<&Machine> {
        self.source.machine.as_ref()
    }

    /// What is wrong with the description, and what the machine will lack.
    pub fn remarks(&self) -> impl Iterator<Item = &str> {
        let remarks = self.source.warnings.iter().chain(&self.source.notes);
        remarks.map(String::as_str)
    }

    /// Compares an appliance's files with its manifest, as virt-v2v does with one that it reads itself.
    ///
    /// # Errors
    /// If something is not what the manifest says; if it cannot be read; after `cancel`.
    pub fn verify(&mut self, cancel: &CancelToken) -> anyhow::Result<()> {
        let mut notes = Vec::new();
        appliance::verify(&[&self.source], false, cancel, &mut |_| {}, &mut notes)?;
        self.source.notes.extend(notes);
        Ok(())
    }

    /// What the guest of an appliance is to know of its deployment; nothing if its description tells nothing. Holds
    /// every secret among the answers.
    #[must_use]
    pub fn environment(&self) -> Option<OvfEnvironment> {
        let appliance = self.source.appliance.as_ref()?;
        let told = appliance.told.as_ref()?;
        let machine = self.machine().cloned().unwrap_or_default();
        let adapters = environment::adapters(&machine);
        let (document, guestinfo) = environment::texts(&adapters, told);
        Some(OvfEnvironment {
            document,
            has_properties: appliance.has_properties(),
            guestinfo,
        })
    }

    /// Why virt-v2v's own reader would not see the same machine; `None` if it would, or if this is no appliance.
    #[must_use]
    pub fn beyond_virt_v2v(&self) -> Option<String> {
        self.source
            .appliance
            .as_ref()
            .and_then(|appliance| appliance.beyond_virt_v2v(self.source.machine.as_ref()))
    }

    /// What virt-v2v can be given in place of the source: overlays of its disks, and the hardware as libvirt writes it.
    /// All of it is made in `scratch`, a directory that must stay while it is used. `name` is the machine's.
    ///
    /// # Errors
    /// For a disk that is missing, damaged or not to be trusted; if nothing can be written.
    pub fn as_domain(
        &self,
        name: &str,
        scratch: &Path,
        options: &ImageOptions,
        cancel: &CancelToken,
    ) -> anyhow::Result<Input> {
        let machine = self.machine().cloned().unwrap_or_default();
        let sources = self.disks(scratch, options, cancel)?;
        domain(&sources, machine, name, scratch)
    }

    /// Puts an overlay over each disk of the source, in `scratch`, which must stay while they are used.
    ///
    /// # Errors
    /// As for [`as_domain`](Self::as_domain).
    pub fn overlays(
        &self,
        scratch: &Path,
        options: &ImageOptions,
        cancel: &CancelToken,
    ) -> anyhow::Result<Vec<PathBuf>> {
        let sources = self.disks(scratch, options, cancel)?;
        sources
            .iter()
            .enumerate()
            .map(|(index, source)| {
                let overlay = scratch.join(format!("source{index}.qcow2"));
                source.overlay(&overlay)?;
                Ok(overlay)
            })
            .collect()
    }

    fn disks(
        &self,
        scratch: &Path,
        options: &ImageOptions,
        cancel: &CancelToken,
    ) -> anyhow::Result<Vec<SourceDisk>> {
        let reading = Reading {
            options,
            scratch,
            cancel,
        };
        source::disks(&self.input, &self.source, &reading)
    }
}

/// Overlays of `sources` in `scratch`, and a description of `machine` that names them.
///
/// # Errors
/// If nothing can be written.
pub(crate) fn domain(
    sources: &[SourceDisk],
    mut machine: Machine,
    name: &str,
    scratch: &Path,
) -> anyhow::Result<Input> {
    name.clone_into(&mut machine.name);
    for (index, (source, disk)) in sources.iter().zip(&mut machine.disks).enumerate() {
        let overlay = scratch.join(format!("disk{index}.qcow2"));
        source.overlay(&overlay)?;
        disk.path = overlay.display().to_string();
        disk.format = Some("qcow2".to_owned());
    }
    let domain = scratch.join("machine.xml");
    fs::write(&domain, libvirt::write(&machine)).context("writing the machine for virt-v2v")?;
    Ok(Input::LibvirtXml(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_alone_tell_a_guest_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.ovf");
        let has_properties = |product: &str| {
            let hardware = "<VirtualHardwareSection><ExtraConfig \
                xmlns='http://www.vmware.com/schema/ovf' key='guestinfo.role' value='db'/>";
            let text = crate::appliance::tests::descriptor("x", &["a"])
                .replace("<VirtualHardwareSection>", &format!("{product}{hardware}"));
            fs::write(&path, text).unwrap();
            let opened = Opened::read(&Input::Ova(path.clone()), &Selection::default()).unwrap();
            let environment = opened.environment().unwrap();
            assert!(environment.guestinfo.unwrap().contains("guestinfo.role"));
            environment.has_properties
        };
        assert!(!has_properties(""));
        assert!(has_properties(
            "<ProductSection><Property key='ip' type='string' value='192.0.2.1'/></ProductSection>"
        ));
    }

    #[test]
    fn a_file_that_is_not_what_its_maker_packed_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.ovf");
        let text = crate::appliance::tests::descriptor("x", &["a"]);
        fs::write(&path, &text).unwrap();
        fs::write(
            dir.path().join("a.mf"),
            format!("SHA256(a.ovf)= {}\n", "0".repeat(64)),
        )
        .unwrap();
        let mut opened = Opened::read(&Input::Ova(path.clone()), &Selection::default()).unwrap();
        let error = opened.verify(&CancelToken::default()).unwrap_err();
        assert!(format!("{error:#}").contains("a.ovf"), "{error:#}");
        fs::remove_file(dir.path().join("a.mf")).unwrap();
        let mut opened = Opened::read(&Input::Ova(path), &Selection::default()).unwrap();
        opened.verify(&CancelToken::default()).unwrap();
    }
}
