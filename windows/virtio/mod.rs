//! Drivers for virtio devices in a Windows guest.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod boot;
mod database;
mod device_path;
mod installed;
mod leftovers;
mod registry;
mod report;
mod staging;
mod target;

use std::sync::LazyLock;

use anyhow::{Context as _, anyhow, bail};
use refit_engine::{Fixup, Guest, Info, Os, Proposal, Request, Verdict};
use refit_machine::{CdromBus, Devices, DiskBus, NicModel};
use refit_virtio_win::{Source, choose};

use installed::Installed;
use registry::Registry;
use report::Report;

/// The fixup `windows-virtio`.
#[derive(Debug)]
pub struct Virtio;

impl Fixup for Virtio {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("virtio/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        if guest.facts().os != Some(Os::Windows) {
            let reason = "the guest is no Windows".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        }
        let bus = bus(request)?;
        if let Some(reason) = unusable(guest) {
            return Ok(Verdict::Blocked { reason }.into());
        }
        let blocked = |error: anyhow::Error| {
            let reason = format!("{error:#}");
            Ok(Verdict::Blocked { reason }.into())
        };
        let mut registry = match Registry::open(guest) {
            Ok(Some(registry)) => registry,
            Ok(None) => return blocked(anyhow!("the guest has no registry hive SYSTEM")),
            Err(error) => return blocked(error),
        };
        let windows = match target::windows(guest, &registry) {
            Ok(windows) => windows,
            Err(error) => return blocked(error),
        };
        let source = request
            .virtio_win
            .as_deref()
            .map(Source::open)
            .transpose()?;
        let choices = match &source {
            Some(source) => choose(source, &windows)?,
            None => Vec::new(),
        };
        let installed = Installed::read(guest, &windows)?;
        let mut report = Report::new(&windows, bus);
        for choice in &choices {
            report.choice(choice, &installed);
        }
        for choice in choices.iter().filter(|choice| choice.device.boot) {
            if let (Ok(chosen), Some(source)) = (&choice.driver, &source) {
                boot::plan(
                    guest,
                    &mut registry,
                    source,
                    &windows,
                    chosen,
                    choice.device,
                    &installed,
                )?;
            }
        }
        if let Some(source) = &source {
            staging::plan(
                guest,
                &mut registry,
                source,
                &windows,
                &choices,
                &installed,
                &mut report,
            )?;
        }
        leftovers::plan(guest, &mut registry, &windows, &mut report)?;
        report.recovery(guest)?;
        report.firmware(guest);
        let ready = |id: &str| boot::has_driver(guest, &registry, &windows, id);
        let chosen = |id: &str| {
            choices
                .iter()
                .any(|choice| choice.device.id == id && choice.driver.is_ok())
        };
        let starts = chosen(bus.driver()) || ready(bus.driver())?;
        let has_nic = chosen("netkvm") || has_nic_driver(guest, &installed)?;
        Ok(report.proposal(
            registry.into_changes(),
            starts,
            has_nic,
            &choices,
            source.is_some(),
        ))
    }

    fn devices(&self, guest: &Guest<'_>) -> anyhow::Result<Option<Devices>> {
        if guest.facts().os != Some(Os::Windows) {
            return Ok(None);
        }
        let Ok(Some(registry)) = Registry::open(guest) else {
            return Ok(None);
        };
        let Ok(windows) = target::windows(guest, &registry) else {
            return Ok(None);
        };
        let disk = if boot::has_driver(guest, &registry, &windows, "viostor")? {
            DiskBus::Virtio
        } else {
            DiskBus::Sata
        };
        let installed = Installed::read(guest, &windows)?;
        let nic = if has_nic_driver(guest, &installed)? {
            NicModel::Virtio
        } else {
            NicModel::E1000e
        };
        // Every Windows since Vista drives AHCI.
        let cdrom = Some(CdromBus::Sata);
        Ok(Some(Devices { disk, nic, cdrom }))
    }
}

/// The bus of the machine's disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bus {
    Blk,
    Scsi,
}

impl Bus {
    /// The driver that it needs.
    fn driver(self) -> &'static str {
        match self {
            Self::Blk => "viostor",
            Self::Scsi => "vioscsi",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Blk => "virtio-blk",
            Self::Scsi => "virtio-scsi",
        }
    }
}

fn bus(request: &Request) -> anyhow::Result<Bus> {
    let given = request
        .parameters
        .get("windows-virtio")
        .and_then(|parameters| parameters.get("bus"))
        .and_then(toml::Value::as_str);
    Ok(match given {
        None | Some("virtio-blk") => Bus::Blk,
        Some("virtio-scsi") => Bus::Scsi,
        Some(other) => bail!("windows-virtio.bus must be virtio-blk or virtio-scsi, not {other:?}"),
    })
}

/// Why nothing may be written to this guest.
fn unusable(guest: &Guest<'_>) -> Option<String> {
    let facts = guest.facts().windows.as_ref();
    let Some(facts) = facts else {
        return Some("the guest's Windows directory was not found".to_owned());
    };
    if facts.hibernated {
        return Some(
            "the guest is hibernated (or was shut down with fast start-up). Start it where it ran and shut it \
             down with `shutdown /s /t 0`, then try again"
                .to_owned(),
        );
    }
    None
}

/// Whether Plug and Play has, or will find, a driver for virtio network cards.
fn has_nic_driver(guest: &Guest<'_>, installed: &Installed) -> anyhow::Result<bool> {
    if installed.version("netkvm").is_some() {
        return Ok(true);
    }
    let facts = guest.facts().windows.as_ref();
    let root = &facts.context("the guest is no Windows")?.system_root;
    guest.exists(staging::folder(root).join("netkvm.inf"))
}
