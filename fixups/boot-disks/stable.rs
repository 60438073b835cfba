//! Names that change with the hardware become UUIDs, where the guest mounts and boots by them.

use std::collections::BTreeSet;

use refit_engine::{Change, Evidence, Facts, Guest, GuestPath};

use super::evidence::{Devices, ROOT_WAS_ON, Role};
use super::names::Place;
use super::part::Part;

/// Files with kernel command lines.
const COMMAND_LINES: [&str; 13] = [
    "/etc/default/grub",
    "/etc/kernel/cmdline",
    "/etc/initramfs-tools/conf.d/resume",
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/grub2/grubenv",
    "/boot/grub/grub.conf",
    "/boot/grub/menu.lst",
    "/boot/grub2/grub.conf",
    "/boot/extlinux.conf",
    "/boot/extlinux/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/etc/update-extlinux.conf",
];
/// Directories of such files, with their suffix.
const COMMAND_LINE_DIRS: [(&str, &str); 4] = [
    ("/etc/default/grub.d", ".cfg"),
    ("/boot/loader/entries", ".conf"),
    ("/boot/efi/loader/entries", ".conf"),
    ("/efi/loader/entries", ".conf"),
];
/// Parameters whose value is a device that the initramfs looks for; `RESUME` is that of
/// initramfs-tools.
const PARAMETERS: [&str; 3] = ["root", "resume", "RESUME"];

/// GRUB's environment block has one fixed size (GRUB manual, "The GRUB environment block").
const ENVIRONMENT_SIZE: usize = 1024;

/// Files whose references to devices are not changed, only told.
const OTHERS: [&str; 3] = [
    "/etc/multipath.conf",
    "/etc/mdadm/mdadm.conf",
    "/etc/mdadm.conf",
];

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
    let mut paths: Vec<GuestPath> = ["/etc/fstab", "/etc/crypttab"]
        .into_iter()
        .chain(COMMAND_LINES)
        .map(GuestPath::from)
        .collect();
    for (dir, suffix) in COMMAND_LINE_DIRS {
        paths.extend(guest.files(dir, |name| name.ends_with(suffix))?);
    }
    for dir in guest.list("/boot/efi/EFI")? {
        let dir = GuestPath::from("/boot/efi/EFI").join(&dir.name);
        paths.extend(["grub.cfg", "grubenv", "grub.conf"].map(|name| dir.join(name)));
    }
    let mut seen = BTreeSet::new();
    for path in paths {
        let Some(real) = guest.resolve(&path)? else {
            continue;
        };
        if !seen.insert(real) {
            continue;
        }
        let Some(content) = guest.read(&path)? else {
            continue;
        };
        let Ok(text) = String::from_utf8(content) else {
            let warning = format!("{path} is left alone: it is no text in UTF-8");
            names.part.warnings.push(warning);
            continue;
        };
        names.file(path, &text);
    }
    for path in OTHERS {
        let text = guest.read_text(path)?.unwrap_or_default();
        if let Some(line) = text.lines().find(|line| mentions_device(line)) {
            names.part.warnings.push(format!(
                "{path} goes by names or numbers of the old disks and is left alone: {}",
                line.trim()
            ));
        }
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
    fn file(&mut self, path: GuestPath, text: &str) {
        let mut changed = BTreeSet::new();
        let new = match path.as_bytes() {
            b"/etc/fstab" => lines(text, |line| self.fstab(&path, line, &mut changed)),
            b"/etc/crypttab" => lines(text, |line| self.crypttab(&path, line, &mut changed)),
            _ => lines(text, |line| self.command_line(&path, line, &mut changed)),
        };
        let new = if path.file_name() == b"grubenv" {
            match environment(new) {
                Some(new) => new,
                None => {
                    self.problem(format!("{path} has no room for a longer name of the root"));
                    return;
                }
            }
        } else {
            new
        };
        if new != text {
            let names: Vec<String> = changed.into_iter().collect();
            self.part
                .reasons
                .push(format!("{path} goes by {}", names.join(", ")));
            self.part.changes.push(Change::Write {
                path,
                content: new.into_bytes(),
                mode: None,
            });
        }
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

    /// Parameters of the kernel, wherever in a line they are.
    fn command_line(
        &mut self,
        path: &GuestPath,
        line: &str,
        changed: &mut BTreeSet<String>,
    ) -> Option<String> {
        // Debian's update-grub for GRUB legacy keeps its own settings in comments.
        let comment = line.trim_start().strip_prefix('#').map(str::trim_start);
        if comment.is_some_and(|text| !text.starts_with("kopt=")) {
            return None;
        }
        let mut new = String::new();
        let mut rest = line;
        let mut any = false;
        while let Some((at, parameter, value)) = next_value(rest) {
            let role = if parameter == "root" {
                Role::Root
            } else {
                Role::Swap
            };
            let uuid = self.uuid(path, value, role, changed);
            new.push_str(&rest[..at]);
            match uuid {
                Some(uuid) => {
                    any = true;
                    new.push_str("UUID=");
                    new.push_str(&uuid);
                }
                None => new.push_str(value),
            }
            rest = &rest[at + value.len()..];
        }
        new.push_str(rest);
        any.then_some(new)
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

/// Where in `line` the next value of one of [`PARAMETERS`] begins, which one, and the value.
fn next_value(line: &str) -> Option<(usize, &'static str, &str)> {
    let starts = line.match_indices('=').find_map(|(at, _)| {
        let parameter = PARAMETERS.into_iter().find(|name| {
            line[..at].strip_suffix(name).is_some_and(|before| {
                before.is_empty() || before.ends_with([' ', '\t', '"', '\'', '='])
            })
        })?;
        Some((at + 1, parameter))
    });
    let (at, parameter) = starts?;
    let value = line[at..].split([' ', '\t', '"', '\'']).next()?;
    Some((at, parameter, value))
}

/// An environment block with the size that GRUB expects, filled up with `#`.
fn environment(text: String) -> Option<String> {
    let mut block = text.trim_end_matches('#').to_owned();
    let fill = ENVIRONMENT_SIZE.checked_sub(block.len())?;
    block.extend(std::iter::repeat_n('#', fill));
    Some(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_as_whole_parameters() {
        for (line, expected) in [
            (
                "\tlinux /vmlinuz root=/dev/sda1 ro",
                Some(("root", "/dev/sda1")),
            ),
            (
                "GRUB_CMDLINE_LINUX=\"root=/dev/sda1\"",
                Some(("root", "/dev/sda1")),
            ),
            ("# kopt=root=/dev/sda1 ro", Some(("root", "/dev/sda1"))),
            ("kernelopts=root=/dev/sda1", Some(("root", "/dev/sda1"))),
            ("RESUME=/dev/sda5", Some(("RESUME", "/dev/sda5"))),
            (
                "a noresume xroot=/dev/sda1 resume=/dev/sda5",
                Some(("resume", "/dev/sda5")),
            ),
            ("quiet splash", None),
        ] {
            let found = next_value(line).map(|(_, parameter, value)| (parameter, value));
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn an_environment_block_keeps_its_size() {
        let block = environment("# GRUB Environment Block\na=b\n####".to_owned()).unwrap();
        assert_eq!(block.len(), ENVIRONMENT_SIZE);
        assert!(block.starts_with("# GRUB Environment Block\na=b\n##"));
        assert_eq!(environment("x".repeat(1025)), None);
    }
}
