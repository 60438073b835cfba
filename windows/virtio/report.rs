//! What is said of the guest, and the verdict.

use refit_engine::{Change, Evidence, Guest, Proposal, Verdict};
use refit_virtio_win::devices::Device;
use refit_virtio_win::{Choice, Refusal, Windows};

use super::Bus;
use super::installed::Installed;

/// Where to get drivers.
const GET: &str = "Get virtio-win.iso from https://fedorapeople.org/groups/virt/virtio-win/direct-downloads/ (it has drivers \
                   for Windows XP and later; packages of distributions may lack the old ones) and name it with \
                   --virtio-win, or put it into /usr/share/virtio-win";

/// Collects what the parts find.
#[derive(Debug)]
pub(super) struct Report {
    name: &'static str,
    arch: &'static str,
    bus: Bus,
    evidence: Vec<Evidence>,
    warnings: Vec<String>,
    staged: usize,
    done: Vec<String>,
}

impl Report {
    pub(super) fn new(windows: &Windows, bus: Bus) -> Self {
        Self {
            name: windows.name(),
            arch: windows.arch.as_str(),
            bus,
            evidence: Vec::new(),
            warnings: Vec::new(),
            staged: 0,
            done: Vec::new(),
        }
    }

    /// Which driver was chosen for a device, and what the guest had.
    pub(super) fn choice(&mut self, choice: &Choice<'_>, installed: &Installed) {
        let installed = installed
            .version(choice.device.id)
            .map(|version| version.to_string());
        let mut facts = match &choice.driver {
            Ok(chosen) => Evidence::from([
                ("device", choice.device.title.to_owned()),
                ("driver", chosen.files.inf.clone()),
                (
                    "version",
                    chosen
                        .files
                        .package
                        .driver_ver
                        .map_or_else(String::new, |version| version.to_string()),
                ),
            ]),
            Err(Refusal::Absent) => return,
            Err(refusal) => Evidence::from([
                ("device", choice.device.title.to_owned()),
                ("refused", refusal.to_string()),
            ]),
        };
        if let Some(installed) = installed {
            facts.0.insert("installed".into(), installed);
        }
        self.evidence.push(facts);
        if let (Ok(chosen), true) = (&choice.driver, choice.device.boot) {
            self.old_form(choice.device, &chosen.ids);
        }
    }

    /// On PCI Express, virtio devices have only their modern form, which the oldest drivers do not know.
    fn old_form(&mut self, device: &Device, ids: &[String]) {
        let knows = |form: &&str| ids.iter().any(|id| id.starts_with(form));
        if !device.ids.iter().all(knows) {
            self.warnings.push(format!(
                "the driver for {} knows their transitional form only: the machine must have them on a PCI bus, as \
                 machine type i440fx does, and not on PCI Express (q35)",
                device.title
            ));
        }
    }

    pub(super) fn note(&mut self, about: &'static str, text: &str) {
        self.evidence
            .push(Evidence::from([(about, text.to_owned())]));
    }

    pub(super) fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }

    pub(super) fn staged(&mut self, count: usize) {
        self.staged = count;
    }

    pub(super) fn repaired(&mut self, label: &str) {
        self.done.push(format!(
            "the label {label}, which breaks pnputil and upgrades, is repaired"
        ));
    }

    pub(super) fn restart(&mut self) {
        self.once("the restart after a crash, which virt-v2v switched off, is switched on");
    }

    pub(super) fn quoted(&mut self) {
        self.once("the path of virt-v2v's service gets its quotes, without which others could take its place");
    }

    fn once(&mut self, text: &str) {
        if !self.done.iter().any(|done| done == text) {
            self.done.push(text.to_owned());
        }
    }

    /// The recovery environment has drivers of its own, in an image that is not changed.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub(super) fn recovery(&mut self, guest: &Guest<'_>) -> anyhow::Result<()> {
        let facts = guest.facts().windows.as_ref();
        let Some(facts) = facts else {
            return Ok(());
        };
        let place = match &facts.winre {
            Some(image) => Some(image.to_string()),
            // Where it is, Windows notes beside the place that it came from.
            None if guest.exists(facts.system_root.join("System32/Recovery/ReAgent.xml"))? => {
                Some("in a partition of its own".to_owned())
            }
            None => None,
        };
        if let Some(place) = place {
            self.evidence.push(Evidence::from([
                ("recovery", place),
                (
                    "note",
                    "the recovery environment gets no virtio drivers: it does not see disks on virtio".to_owned(),
                ),
            ]));
        }
        Ok(())
    }

    /// What firmware that has never seen this guest needs to start it, and what nobody put right yet: virt-v2v does.
    pub(super) fn firmware(&mut self, guest: &Guest<'_>) {
        let facts = guest.facts().windows.as_ref();
        let Some(esp) = facts.and_then(|facts| facts.esp.as_ref()) else {
            return;
        };
        if !esp.fallback {
            self.warnings.push(format!(
                "the EFI system partition {} has no boot loader in EFI\\Boot, the only place where a machine without the \
                 old one's boot entries looks. In the guest, before the move, `mountvol S: /S` and \
                 `bcdboot C:\\Windows /s S: /f UEFI` put it there, or convert with virt-v2v, which does",
                esp.device
            ));
        }
        if esp.no_graphics {
            self.warnings.push(format!(
                "the boot settings on {} forbid graphics (graphicsmodedisabled): the start may show nothing on the new \
                 machine. In the guest, `bcdedit /deletevalue {{default}} graphicsmodedisabled` allows them, and so \
                 does a conversion with virt-v2v",
                esp.device
            ));
        }
    }

    /// The verdict. `starts`: there is a driver for the disks, now or with the changes; `has_nic`: the same
    /// for network cards.
    pub(super) fn proposal(
        mut self,
        changes: Vec<Change>,
        starts: bool,
        has_nic: bool,
        choices: &[Choice<'_>],
        has_source: bool,
    ) -> Proposal {
        let refusal = |id: &str| {
            let choice = choices.iter().find(|choice| choice.device.id == id);
            choice.and_then(|choice| choice.driver.as_ref().err().map(ToString::to_string))
        };
        let why = |id: &str| match refusal(id) {
            Some(refusal) => format!(" ({refusal})"),
            None if has_source => String::new(),
            None => " (no driver set was found)".to_owned(),
        };
        let (name, arch, bus) = (self.name, self.arch, self.bus.name());
        if starts && !has_nic {
            self.warnings.push(format!(
                "there is no driver for virtio network cards on {name} ({arch}){}. {GET}",
                why("netkvm")
            ));
        }
        let verdict = if !starts {
            Verdict::Blocked {
                reason: format!(
                    "there is no driver for disks on {bus} for {name} ({arch}){}. {GET}",
                    why(self.bus.driver())
                ),
            }
        } else if changes.is_empty() {
            Verdict::Fine {
                reason: format!("{name} starts from disks on {bus}"),
            }
        } else {
            let mut parts = vec![format!("{name} starts from disks on {bus}")];
            match self.staged {
                0 => {}
                1 => parts.push("1 driver lies ready for Plug and Play".to_owned()),
                count => parts.push(format!("{count} drivers lie ready for Plug and Play")),
            }
            parts.append(&mut self.done);
            Verdict::Change {
                reason: parts.join("; "),
                changes,
            }
        };
        Proposal {
            verdict,
            evidence: self.evidence,
            warnings: self.warnings,
        }
    }
}
