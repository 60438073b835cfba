//! Names that change with the hardware become UUIDs, where the guest mounts and boots by them.

use std::collections::BTreeSet;
use std::ops::Range;

use refit_engine::{Change, Evidence, Facts, Guest, GuestPath};

use super::evidence::{Devices, ROOT_WAS_ON, Role};
use super::names::Place;
use super::part::Part;
use crate::boot_loader::{BootFile, BootFiles, Carrier, CommandLine};

/// Parameters whose value is a device that the initramfs looks for.
const PARAMETERS: [&str; 2] = ["root", "resume"];

/// Its references to devices are not changed, only told.
const MULTIPATH: &str = "/etc/multipath.conf";

/// fstab, crypttab and kernel command lines.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn plan(guest: &Guest<'_>) -> anyhow::Result<Part> {
    let mut names = Names {
        devices: Devices::read(guest)?,
        root_by_uuid: finds_root_by_uuid(guest.facts()),
        told: BTreeSet::new(),
        left_alone: false,
        part: Part::default(),
    };
    for path in ["/etc/fstab", "/etc/crypttab"] {
        let Some(content) = guest.read(path)? else {
            continue;
        };
        match String::from_utf8(content) {
            Ok(text) => names.table(path, &text),
            Err(_) => names.no_text(&path.into()),
        }
    }
    let boot = BootFiles::read(guest)?;
    for path in &boot.no_text {
        names.no_text(path);
    }
    for file in &boot.files {
        names.command_lines(file);
    }
    let text = guest.read_text(MULTIPATH)?.unwrap_or_default();
    if let Some(line) = text.lines().find(|line| mentions_device(line)) {
        names.part.warnings.push(format!(
            "{MULTIPATH} goes by names or numbers of the old disks and is left alone: {}",
            line.trim()
        ));
    }
    if names.part.changes.is_empty() && names.part.problems.is_empty() {
        let fine = if names.left_alone {
            "no other name of a disk can be made one that does not change with the hardware"
        } else {
            "disks go by names that do not change with the hardware"
        };
        names.part.fine.push(fine.to_owned());
    }
    Ok(names.part)
}

/// A `root=UUID=` needs an initramfs; and that of Red Hat up to 5 finds the root in its own way.
fn finds_root_by_uuid(facts: &Facts) -> bool {
    let version = facts.version.as_deref().unwrap_or_default();
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    let old_red_hat = matches!(
        facts.distro.as_deref(),
        Some("rhel" | "centos" | "ol" | "scientific")
    ) && major.is_some_and(|major| major <= 5);
    !old_red_hat
        && facts
            .kernels
            .iter()
            .any(|kernel| kernel.initramfs.is_some())
}

fn mentions_device(line: &str) -> bool {
    let line = line.trim();
    let devices = [
        "/dev/sd",
        "/dev/hd",
        "/dev/xvd",
        "/dev/nvme",
        "by-path",
        "sys_wwid",
        "wwid ",
    ];
    !line.starts_with('#') && devices.iter().any(|name| line.contains(name))
}

/// The work on the files one after another.
struct Names {
    devices: Devices,
    root_by_uuid: bool,
    /// Names whose meaning is already in the report.
    told: BTreeSet<String>,
    /// Whether a name was left that changes.
    left_alone: bool,
    part: Part,
}

impl Names {
    fn no_text(&mut self, path: &GuestPath) {
        let warning = format!("{path} is left alone: it is no text in UTF-8");
        self.part.warnings.push(warning);
    }

    /// fstab and crypttab.
    fn table(&mut self, path: &str, text: &str) {
        let path = GuestPath::from(path);
        let mut changed = BTreeSet::new();
        let new = lines(text, |line| match path.as_bytes() {
            b"/etc/fstab" => self.fstab(&path, line, &mut changed),
            _ => self.crypttab(&path, line, &mut changed),
        });
        if new != text {
            self.write(&path, new, changed);
        }
    }

    /// Parameters of the kernel.
    fn command_lines(&mut self, file: &BootFile) {
        let mut changed = BTreeSet::new();
        let mut edits = Vec::new();
        for (range, parameter, value) in file.lines.iter().flat_map(|line| values(file, line)) {
            let role = if parameter == "root" {
                Role::Root
            } else {
                Role::Swap
            };
            if let Some(uuid) = self.uuid(&file.path, value, role, &mut changed) {
                edits.push((range, format!("UUID={uuid}")));
            }
        }
        if edits.is_empty() {
            return;
        }
        match file.edited(edits) {
            Some(new) => self.write(&file.path, new, changed),
            None => self.problem(format!(
                "{} has no room for a longer name of the root",
                file.path
            )),
        }
    }

    fn write(&mut self, path: &GuestPath, new: String, changed: BTreeSet<String>) {
        let names: Vec<String> = changed.into_iter().collect();
        self.part
            .reasons
            .push(format!("{path} goes by {}", names.join(", ")));
        self.part.changes.push(Change::Write {
            path: path.clone(),
            content: new.into_bytes(),
            mode: None,
        });
    }

    /// fstab(5): device, directory, type.
    fn fstab(
        &mut self,
        path: &GuestPath,
        line: &str,
        changed: &mut BTreeSet<String>,
    ) -> Option<String> {
        let mut fields = line.split_whitespace();
        let (name, dir, kind) = (fields.next()?, fields.next()?, fields.next()?);
        let role = match (dir, kind) {
            _ if name.starts_with('#') => return None,
            ("/", _) => Role::Root,
            (_, "swap") => Role::Swap,
            (_, kind) => Role::FileSystem(kind),
        };
        let uuid = self.uuid(path, name, role, changed)?;
        let new = line.replacen(name, &format!("UUID={uuid}"), 1);
        // The old name tells that the disks are in another order now. Without it, the next plan
        // would take the other names by this order.
        Some(if role == Role::Root && !self.devices.order_holds() {
            format!("{ROOT_WAS_ON}{name} before refit\n{new}")
        } else {
            new
        })
    }

    /// crypttab(5): name, device.
    fn crypttab(
        &mut self,
        path: &GuestPath,
        line: &str,
        changed: &mut BTreeSet<String>,
    ) -> Option<String> {
        let mut fields = line.split_whitespace();
        let (target, name) = (fields.next()?, fields.next()?);
        if target.starts_with('#') {
            return None;
        }
        let uuid = self.uuid(path, name, Role::Encrypted, changed)?;
        let (before, after) = line.split_once(target)?;
        Some(format!(
            "{before}{target}{}",
            after.replacen(name, &format!("UUID={uuid}"), 1)
        ))
    }

    /// The UUID to write for `name`; `None` if it is to stay.
    fn uuid(
        &mut self,
        path: &GuestPath,
        name: &str,
        role: Role<'_>,
        changed: &mut BTreeSet<String>,
    ) -> Option<String> {
        let place = Place::of(name)?;
        let by_kernel = !matches!(path.as_bytes(), b"/etc/fstab" | b"/etc/crypttab");
        if by_kernel && role == Role::Root && !self.root_by_uuid {
            self.problem(format!(
                "{path} names the root {name}, and this guest's boot finds none by UUID; on virtio it is \
                 probably {}",
                name.replacen("/dev/sd", "/dev/vd", 1).replacen("/dev/hd", "/dev/vd", 1)
            ));
            return None;
        }
        match self.devices.meaning(name, &place, role) {
            Ok(meaning) => {
                changed.insert(name.to_owned());
                if self.told.insert(name.to_owned()) {
                    self.part.evidence.push(Evidence::from([
                        ("name", name.to_owned()),
                        ("uuid", meaning.uuid.clone()),
                        ("by", meaning.by),
                    ]));
                }
                Some(meaning.uuid)
            }
            Err(why) => {
                let text = format!(
                    "{path} goes by {name}, which the new machine's disk may not be called: {why}; put a \
                     UUID there"
                );
                if role == Role::Root {
                    self.problem(text);
                } else if !self.part.warnings.contains(&text) {
                    self.left_alone = true;
                    self.part.warnings.push(text);
                }
                None
            }
        }
    }

    fn problem(&mut self, text: String) {
        if !self.part.problems.contains(&text) {
            self.part.problems.push(text);
        }
    }
}

/// `text` with the lines that `edit` gives another form; ends of lines stay as they are.
fn lines(text: &str, mut edit: impl FnMut(&str) -> Option<String>) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            let content = line.trim_end_matches(['\n', '\r']);
            match edit(content) {
                Some(new) => format!("{new}{}", &line[content.len()..]),
                None => line.to_owned(),
            }
        })
        .collect()
}

/// The values of [`PARAMETERS`] in one command line, with their places.
fn values<'f>(file: &'f BootFile, line: &'f CommandLine) -> Vec<(Range<usize>, &'f str, &'f str)> {
    if let Carrier::Setting(name) = &line.carrier {
        let value = &file.text[line.range.clone()];
        return vec![(line.range.clone(), name, value)];
    }
    let values = file.arguments(line).filter_map(|(range, argument)| {
        let (name, value) = argument.split_once('=')?;
        let start = range.end - value.len();
        PARAMETERS
            .contains(&name)
            .then_some((start..range.end, name, value))
    });
    values.collect()
}
