//! refit's own engine: the fixups do what virt-v2v would have done, and the result is copied.
//!
//! The fixups work on overlays of the source, so that whatever is wrong with the guest shows before anything
//! is copied, and each disk is written once.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use refit_engine::disks::Format;
use refit_engine::target::{self, Fixed, Settings};
use refit_engine::{OpenError, Os};
use refit_image::ImageError;
use refit_machine::{Devices, Disk, DiskBus, Firmware, Machine, Nic, NicModel};
use refit_v2v::Input;

use crate::source::SourceDisk;
use crate::{Choice, Engine, Fallback, Made, Run, Stage, UNDO, engine, fixups, hardware};

/// Converts without virt-v2v. `fallback` tells why, if it was not asked for.
///
/// # Errors
/// If a disk of the source cannot be used, the guest cannot be opened or changed, the results cannot be
/// written, or the user ends it. A guest of which nothing is known is no error: its disks are delivered.
pub(crate) fn convert(
    run: &Run<'_>,
    fallback: Option<&Fallback>,
    settings: &mut Settings<'_>,
    observer: &mut dyn FnMut(Stage),
) -> anyhow::Result<Made> {
    let sources = run.disks(&settings.disks.image, observer)?;
    let overlays: Vec<PathBuf> = (0..sources.len())
        .map(|index| run.staging.path().join(format!("source{index}.qcow2")))
        .collect();
    make_overlays(&sources, &overlays)?;
    let mut machine = machine(run, sources.len());
    let undo = run.staging.path().join(UNDO);
    let name = run.input.path().display().to_string();
    let fixed = fixups::with_job(run, &machine, settings, observer, |settings, job| {
        target::fix_overlays(&overlays, &name, settings, job, &undo)
    });
    let mut warnings = Vec::new();
    let fixed = match fixed {
        Ok(fixed) => Some(fixed),
        Err(_) if run.cancel.is_cancelled() => anyhow::bail!("interrupted"),
        Err(error) => {
            let Some((firmware, why)) = unknown(&error, run.options.engine) else {
                return Err(error);
            };
            warnings.push(format!("nothing in this guest was changed: {why}"));
            if run.source.machine.is_none() {
                machine.firmware = firmware;
            }
            // Looking for a system may have replayed journals.
            make_overlays(&sources, &overlays)?;
            None
        }
    };
    let devices = devices(fixed.as_ref(), fallback, &mut machine, &mut warnings)?;
    if let (Some(fixed), None) = (&fixed, &run.source.machine) {
        machine.firmware = fixed.report.guest.firmware.unwrap_or_default();
    }
    machine = machine.with_devices(devices);
    let disks = copy(run, &sources, &overlays, observer)?;
    Ok(Made {
        engine: Engine::Refit,
        disks,
        machine,
        devices: fixed.as_ref().and_then(|fixed| fixed.devices),
        fixups: fixed.map(|fixed| fixed.report),
        fixups_error: None,
        v2v: None,
        warnings,
    })
}

fn make_overlays(sources: &[SourceDisk], overlays: &[PathBuf]) -> anyhow::Result<()> {
    for (source, overlay) in sources.iter().zip(overlays) {
        source.overlay(overlay)?;
    }
    Ok(())
}

/// The resulting machine but for its firmware and devices. A bare disk gets what virt-v2v gives it, one
/// card, or the cards that the user names.
fn machine(run: &Run<'_>, disks: usize) -> Machine {
    let mut machine = match &run.source.machine {
        Some(machine) => machine.clone(),
        None => Machine {
            vcpus: 1,
            nics: cards(&run.options.nics),
            disks: vec![Disk::default(); disks],
            ..Machine::default()
        },
    };
    run.name().clone_into(&mut machine.name);
    hardware::complete(&mut machine, None, run.name());
    machine
}

/// One card for each hardware address that the user names; one without an address if there are none.
fn cards(given: &[refit_engine::Nic]) -> Vec<Nic> {
    let mut cards = Vec::new();
    for nic in given {
        let card = Nic {
            mac: nic.replaces.or(Some(nic.mac)),
            ..Nic::default()
        };
        // An address may be named again, with another IP address.
        if !cards.contains(&card) {
            cards.push(card);
        }
    }
    if cards.is_empty() {
        cards.push(Nic::default());
    }
    cards
}

/// Whether the error means that nothing is known of the guest: the firmware that its disks are made for, and
/// why.
fn unknown(error: &anyhow::Error, choice: Choice) -> Option<(Firmware, String)> {
    match error.downcast_ref()? {
        OpenError::NoOperatingSystem { firmware, .. } | OpenError::Foreign { firmware, .. } => {
            Some((*firmware, format!("{error:#}")))
        }
        // A forgotten key is the likelier cause, unless the user wants it this way.
        OpenError::Encrypted { firmware, .. } if choice == Choice::Refit => {
            Some((*firmware, format!("{error:#}")))
        }
        _ => None,
    }
}

/// The devices of the machine. Where they are not virtio, a warning says why.
fn devices(
    fixed: Option<&Fixed>,
    fallback: Option<&Fallback>,
    machine: &mut Machine,
    warnings: &mut Vec<String>,
) -> anyhow::Result<Devices> {
    let os = fixed.and_then(|fixed| fixed.report.guest.os);
    let known = fixed.and_then(|fixed| fixed.devices);
    if os == Some(Os::Windows) && !machine.is_windows() {
        machine.guest_os = Some("windows".to_owned());
        machine.clock_localtime = true;
    }
    if os == Some(Os::Windows) {
        if fallback == Some(&Fallback::NotInstalled) {
            return Err(engine::needs_virt_v2v("a Windows guest").into());
        }
        if known.is_none_or(|known| known.disk != DiskBus::Virtio) {
            warnings.push("this Windows guest is delivered without virtio drivers".to_owned());
        }
    }
    let devices = known.unwrap_or(Devices::COMPATIBLE);
    let mut emulated = Vec::new();
    if devices.disk != DiskBus::Virtio {
        emulated.push("SATA disks");
    }
    if devices.nic != NicModel::Virtio {
        emulated.push("e1000e network cards");
    }
    if !emulated.is_empty() {
        let why = match known {
            Some(_) => {
                "the guest does not find its devices on virtio (see boot-disks or windows-virtio)"
            }
            None => "nothing is known of the guest's drivers",
        };
        warnings.push(format!(
            "the machine is given {}: {why}",
            emulated.join(" and ")
        ));
    }
    Ok(devices)
}

/// Copies what the overlays show, and removes them.
fn copy(
    run: &Run<'_>,
    sources: &[SourceDisk],
    overlays: &[PathBuf],
    observer: &mut dyn FnMut(Stage),
) -> anyhow::Result<Vec<PathBuf>> {
    let mut disks = Vec::new();
    let count = u32::try_from(overlays.len()).unwrap_or(u32::MAX);
    for ((number, overlay), source) in (1..).zip(overlays).zip(sources) {
        let target = run.staging.path().join(format!("copy{number}"));
        let mut tell = |percent| {
            observer(Stage::Copy {
                disk: number,
                disks: count,
                percent,
                total: source.size(),
            });
        };
        tell(0);
        refit_image::copy(
            (overlay, Format::Qcow2),
            (&target, run.format()),
            &mut tell,
            &|| run.cancel.is_cancelled(),
        )
        .map_err(|error| match error {
            ImageError::Cancelled { .. } => anyhow::Error::msg("interrupted"),
            // Where it is made is no place that the user knows.
            ImageError::NoSpace { .. } => ImageError::NoSpace {
                path: run.options.out.clone(),
            }
            .into(),
            error => error.into(),
        })
        .with_context(|| format!("copying disk {number} of {}", source_name(&run.input)))?;
        fs::remove_file(overlay).context("removing an overlay")?;
        disks.push(target);
    }
    Ok(disks)
}

fn source_name(input: &Input) -> String {
    input.path().display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unknown_guest_is_delivered_as_it_is() {
        let none = || OpenError::NoOperatingSystem {
            name: "d".to_owned(),
            seen: "nothing".to_owned(),
            firmware: Firmware::Uefi,
        };
        let encrypted = || OpenError::Encrypted {
            name: "d".to_owned(),
            devices: Vec::new(),
            firmware: Firmware::Bios,
        };
        let foreign = || OpenError::Foreign {
            name: "d".to_owned(),
            product: "freebsd 14.1".to_owned(),
            reason: "unknown file system".to_owned(),
            firmware: Firmware::Uefi,
        };
        let several = || OpenError::SeveralOperatingSystems {
            name: "d".to_owned(),
            roots: Vec::new(),
        };
        for (error, choice, firmware) in [
            (none(), Choice::Auto, Some(Firmware::Uefi)),
            (none(), Choice::Refit, Some(Firmware::Uefi)),
            (foreign(), Choice::Auto, Some(Firmware::Uefi)),
            (encrypted(), Choice::Auto, None),
            (encrypted(), Choice::Refit, Some(Firmware::Bios)),
            (several(), Choice::Refit, None),
        ] {
            let error = anyhow::Error::from(error).context("opening d");
            let found = unknown(&error, choice);
            assert_eq!(found.as_ref().map(|found| found.0), firmware, "{error:#}");
            if let Some((_, why)) = found {
                assert!(why.starts_with("opening d: "), "{why}");
            }
        }
    }

    #[test]
    fn a_bare_disk_has_the_cards_that_are_named() {
        let macs = |given: &[&str]| -> Vec<Option<String>> {
            let given: Vec<_> = given.iter().map(|text| text.parse().unwrap()).collect();
            let macs = cards(&given).into_iter().map(|card| card.mac);
            macs.map(|mac| mac.map(|mac| mac.to_string())).collect()
        };
        let (one, two) = ("00:50:56:00:00:01", "00:50:56:00:00:02");
        assert_eq!(macs(&[]), [None]);
        assert_eq!(
            macs(&[one, two, "00:50:56:00:00:01=10.0.0.1/24"]),
            [Some(one.to_owned()), Some(two.to_owned())]
        );
        // Replaced once the fixups know both.
        assert_eq!(
            macs(&["00:50:56:00:00:01=>52:54:00:00:00:01"]),
            [Some(one.to_owned())]
        );
    }

    #[test]
    fn devices_without_drivers_are_emulated_and_it_is_said() {
        let mut machine = Machine::default();
        let mut warnings = Vec::new();
        let found = devices(None, None, &mut machine, &mut warnings).unwrap();
        assert_eq!(found, Devices::COMPATIBLE);
        assert_eq!(
            warnings,
            [
                "the machine is given SATA disks and e1000e network cards: nothing is known of the guest's drivers"
            ]
        );
    }
}
