//! `console=` among the arguments of every kernel that may boot.
//!
//! The kernel writes to all consoles that are named, and the last one is `/dev/console`
//! (Linux, Documentation/admin-guide/serial-console.rst). So the serial one goes before the old one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use refit_engine::{Change, Evidence, Guest};

use super::{PORT, SPEED, XEN_CONSOLES};
use crate::boot_loader::{BootFile, BootFiles, Carrier, CommandLine, Format};

/// The screen, which is the console where none is named.
const SCREEN: &str = "console=tty0";
/// Settings from which the next boot entries are made, beside `GRUB_CMDLINE_LINUX`.
const SETTINGS: [&str; 3] = ["default_kernel_opts", "DEFAULT_APPEND", "FAILSAFE_APPEND"];
/// How the names of the variables end that Red Hat 8 keeps the arguments of all entries in.
const CARRIER: &str = "kernelopts";
/// grub-mkconfig's setting for all entries; the last assignment counts.
const GRUB_SETTING: &str = "GRUB_CMDLINE_LINUX";
/// The file that has it.
const GRUB_DEFAULTS: &str = "/etc/default/grub";

/// How the guest's kernels stand to a serial console.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Serial {
    /// They get it.
    Added,
    /// They name this one already.
    Named(String),
    /// `console=` or `console=null`: whoever wrote it wants none.
    Silenced,
    /// Nothing that could be changed.
    NoArguments,
}

/// What is to be done.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) serial: Serial,
    pub(super) changes: Vec<Change>,
    pub(super) reasons: Vec<String>,
    pub(super) warnings: Vec<String>,
    pub(super) evidence: Vec<Evidence>,
}

/// Looks at all kernel command lines.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn plan(guest: &Guest<'_>) -> anyhow::Result<Kernel> {
    let boot = BootFiles::read(guest)?;
    let mut kernel = Kernel {
        serial: Serial::Added,
        changes: Vec::new(),
        reasons: Vec::new(),
        warnings: Vec::new(),
        evidence: Vec::new(),
    };
    let bootable = boot
        .files
        .iter()
        .flat_map(|file| &file.lines)
        .any(boots_linux);
    if !bootable {
        kernel.serial = Serial::NoArguments;
        return Ok(kernel);
    }
    if let Some(serial) = named(&boot, &mut kernel.evidence) {
        kernel.serial = serial;
        return Ok(kernel);
    }
    for path in &boot.no_text {
        let warning = format!("{path} is left alone: it is no text in UTF-8");
        kernel.warnings.push(warning);
    }
    let commands = Commands::new(&boot);
    let mut files = Vec::new();
    for (index, file) in boot.files.iter().enumerate() {
        let edits = commands.edits(index, file);
        if edits.is_empty() {
            continue;
        }
        // An environment block without room is no carrier: its entries get the arguments.
        if let Some(new) = file.edited(edits) {
            files.push(file.path.to_string());
            kernel.changes.push(Change::Write {
                path: file.path.clone(),
                content: new.into_bytes(),
                mode: None,
            });
        }
    }
    if files.is_empty() {
        kernel.serial = Serial::NoArguments;
    } else {
        kernel.reasons.push(format!(
            "kernels get a console on {PORT}, in {}",
            files.join(", ")
        ));
    }
    Ok(kernel)
}

/// Whether it is a boot entry of a Linux kernel, and not of Xen or a memory test.
fn boots_linux(line: &CommandLine) -> bool {
    let Carrier::Entry { kernel, .. } = &line.carrier else {
        return false;
    };
    let name = kernel.rsplit(['/', ')']).next().unwrap_or_default();
    let kernels = ["vmlinu", "bzImage", "Image", "kernel", "linux", "$"];
    kernels.iter().any(|start| name.starts_with(start)) || kernel.starts_with('$')
}

/// The value of a `console=` argument, without speed and format.
fn console(argument: &str) -> Option<&str> {
    let value = argument.strip_prefix("console=")?;
    Some(value.split(',').next().unwrap_or_default())
}

/// The serial console that some command line names, first of all ours.
fn named(boot: &BootFiles, evidence: &mut Vec<Evidence>) -> Option<Serial> {
    let mut ports = BTreeSet::new();
    let mut silenced = false;
    for file in &boot.files {
        let lines = file.lines.iter();
        for (_, argument) in lines.flat_map(|line| file.arguments(line)) {
            let Some(name) = console(argument) else {
                continue;
            };
            silenced |= name.is_empty() || name == "null";
            let told = Evidence::from([
                ("console", name.to_owned()),
                ("source", file.path.to_string()),
            ]);
            if !evidence.contains(&told) {
                evidence.push(told);
            }
            if name.starts_with("ttyS") {
                ports.insert(name.to_owned());
            }
        }
    }
    if silenced {
        return Some(Serial::Silenced);
    }
    let first = ports.first()?.clone();
    Some(Serial::Named(if ports.contains(PORT) {
        PORT.to_owned()
    } else {
        first
    }))
}

/// The command lines together: entries refer to variables, and settings override one another.
struct Commands<'b> {
    /// Values of variables that entries refer to.
    variables: BTreeMap<&'b str, Vec<&'b str>>,
    /// Variables that give their arguments to the entries that refer to them.
    carriers: BTreeSet<&'b str>,
    /// File and place of the last `GRUB_CMDLINE_LINUX`.
    grub_setting: Option<(usize, Range<usize>)>,
    /// Whether another `GRUB_CMDLINE_*` names a console.
    grub_names_console: bool,
}

impl<'b> Commands<'b> {
    fn new(boot: &'b BootFiles) -> Self {
        let mut all = Self {
            variables: BTreeMap::new(),
            carriers: BTreeSet::new(),
            grub_setting: None,
            grub_names_console: false,
        };
        for (index, file) in boot.files.iter().enumerate() {
            for line in &file.lines {
                let Carrier::Variable(name) = &line.carrier else {
                    continue;
                };
                all.variables
                    .entry(name)
                    .or_default()
                    .push(&file.text[line.range.clone()]);
                if file.format == Format::Shell && name.starts_with("GRUB_CMDLINE_") {
                    let mut arguments = file.arguments(line);
                    all.grub_names_console |=
                        arguments.any(|(_, argument)| console(argument).is_some());
                    if name == GRUB_SETTING {
                        all.grub_setting = Some((index, line.range.clone()));
                    }
                }
            }
        }
        all.carriers = all.carriers(boot);
        all
    }

    /// A script sets such a variable only where the environment block does not. A block without
    /// room for more is no carrier.
    fn carriers(&self, boot: &'b BootFiles) -> BTreeSet<&'b str> {
        let in_format = |format| {
            let files = boot.files.iter().filter(move |file| file.format == format);
            let lines = files.flat_map(|file| file.lines.iter().map(move |line| (file, line)));
            lines.filter_map(|(file, line)| match &line.carrier {
                Carrier::Variable(name) if name.ends_with(CARRIER) => Some((name, file, line)),
                _ => None,
            })
        };
        let format = if in_format(Format::GrubEnvironment).next().is_some() {
            Format::GrubEnvironment
        } else {
            Format::GrubScript
        };
        in_format(format)
            .filter(|(_, file, line)| file.edited(self.add(file, &[line])).is_some())
            .map(|(name, _, _)| name.as_str())
            .collect()
    }

    /// What changes in one file.
    fn edits(&self, index: usize, file: &BootFile) -> Vec<(Range<usize>, String)> {
        let mut edits = Vec::new();
        let mut entries: BTreeMap<usize, Vec<&CommandLine>> = BTreeMap::new();
        for line in &file.lines {
            match &line.carrier {
                Carrier::Entry { number, .. } if boots_linux(line) => {
                    entries.entry(*number).or_default().push(line);
                }
                Carrier::Whole => edits.extend(self.add(file, &[line])),
                Carrier::Variable(name) if self.is_setting(name, index, line) => {
                    edits.extend(self.add(file, &[line]));
                }
                // A console of Xen is none here, wherever it is named.
                Carrier::Variable(_) => edits.extend(replace_xen(file, &[line])),
                Carrier::Entry { .. } | Carrier::Setting(_) => {}
            }
        }
        for lines in entries.values() {
            let refers = lines.iter().any(|line| {
                let mut arguments = file.arguments(line);
                arguments.any(|(_, word)| {
                    variable(word).is_some_and(|name| self.carriers.contains(name))
                })
            });
            if refers {
                edits.extend(replace_xen(file, lines));
            } else {
                edits.extend(self.add(file, lines));
            }
        }
        let defaults = file.path.as_bytes() == GRUB_DEFAULTS.as_bytes();
        if defaults && file.is_complete() && self.grub_setting.is_none() {
            let end = file.text.len();
            let newline = if file.text.is_empty() || file.text.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            let setting = format!("{newline}{GRUB_SETTING}=\"{}\"\n", self.arguments(true));
            edits.push((end..end, setting));
        }
        edits
    }

    /// Whether entries, those that are or those that come, get their arguments from this one.
    fn is_setting(&self, name: &str, index: usize, line: &CommandLine) -> bool {
        name.ends_with(CARRIER)
            || name.starts_with("kopt")
            || SETTINGS.contains(&name)
            || self.grub_setting.as_ref() == Some(&(index, line.range.clone()))
    }

    /// What is added to a line that names no console.
    fn arguments(&self, grub: bool) -> String {
        let serial = format!("console={PORT},{SPEED}");
        if grub && self.grub_names_console {
            serial
        } else {
            format!("{serial} {SCREEN}")
        }
    }

    /// The edits that give a serial console to one command line, which may be on several lines.
    fn add(&self, file: &BootFile, lines: &[&CommandLine]) -> Vec<(Range<usize>, String)> {
        let replaced = replace_xen(file, lines);
        if !replaced.is_empty() {
            return replaced;
        }
        // What follows an open quotation mark would be part of it.
        let quotes = |line: &&CommandLine| file.text[line.range.clone()].matches('"').count();
        if lines.iter().map(quotes).sum::<usize>() % 2 == 1 {
            return Vec::new();
        }
        // Before the first console, or before the variable that has it.
        let first = lines
            .iter()
            .flat_map(|line| file.arguments(line))
            .find(|(_, word)| console(word).is_some() || self.names_console(word));
        if let Some((range, _)) = first {
            let at = range.start..range.start;
            return vec![(at, format!("console={PORT},{SPEED} "))];
        }
        let Some(line) = lines.last() else {
            return Vec::new();
        };
        let grub = matches!(&line.carrier, Carrier::Variable(name) if name == GRUB_SETTING);
        let arguments = self.arguments(grub);
        let end = line.range.end..line.range.end;
        let before = file.text[..line.range.end].chars().next_back();
        // An assignment without quotes needs them now.
        let script = matches!(file.format, Format::Shell | Format::GrubScript);
        let bare = matches!(line.carrier, Carrier::Variable(_))
            && script
            && file.text[..line.range.start].ends_with('=');
        if bare {
            let old = &file.text[line.range.clone()];
            let space = if old.is_empty() { "" } else { " " };
            let new = format!("\"{old}{space}{arguments}\"");
            return vec![(line.range.clone(), new)];
        }
        let space = match before {
            Some(c) if !line.range.is_empty() || !(c.is_whitespace() || "=\"'".contains(c)) => " ",
            _ => "",
        };
        vec![(end, format!("{space}{arguments}"))]
    }

    /// Whether `word` is a variable whose value names a console.
    fn names_console(&self, word: &str) -> bool {
        let values = variable(word).and_then(|name| self.variables.get(name));
        values.is_some_and(|values| {
            let mut words = values.iter().flat_map(|value| value.split_whitespace());
            words.any(|word| console(word).is_some())
        })
    }
}

/// `$NAME`, `${NAME}` or `"$NAME"`.
fn variable(word: &str) -> Option<&str> {
    let name = word.trim_matches('"').strip_prefix('$')?;
    Some(name.trim_start_matches('{').trim_end_matches('}'))
}

/// The edits that put the serial console in the place of Xen's. Further ones of Xen's go.
fn replace_xen(file: &BootFile, lines: &[&CommandLine]) -> Vec<(Range<usize>, String)> {
    let mut edits = Vec::new();
    for (range, argument) in lines.iter().flat_map(|line| file.arguments(line)) {
        if console(argument).is_none_or(|name| !XEN_CONSOLES.contains(&name)) {
            continue;
        }
        if edits.is_empty() {
            edits.push((range, format!("console={PORT},{SPEED}")));
        } else {
            let gap = file.text[..range.start].len() - file.text[..range.start].trim_end().len();
            edits.push((range.start - gap..range.end, String::new()));
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(format: Format, text: &str) -> String {
        let file = BootFile::parse(GRUB_DEFAULTS.into(), format, text.to_owned());
        let boot = BootFiles {
            files: vec![file.clone()],
            no_text: Vec::new(),
        };
        let edits = Commands::new(&boot).edits(0, &file);
        file.edited(edits).unwrap()
    }

    #[test]
    fn the_serial_console_is_before_the_old_one() {
        for (format, text, expected) in [
            (
                Format::Shell,
                "GRUB_CMDLINE_LINUX=\"\"\n",
                "GRUB_CMDLINE_LINUX=\"console=ttyS0,115200 console=tty0\"\n",
            ),
            (
                Format::Shell,
                "GRUB_CMDLINE_LINUX=quiet\n",
                "GRUB_CMDLINE_LINUX=\"quiet console=ttyS0,115200 console=tty0\"\n",
            ),
            (
                Format::Shell,
                "GRUB_CMDLINE_LINUX=\"a console=tty1 b\"\n",
                "GRUB_CMDLINE_LINUX=\"a console=ttyS0,115200 console=tty1 b\"\n",
            ),
            (
                Format::Shell,
                "GRUB_CMDLINE_LINUX_DEFAULT='console=tty1'",
                "GRUB_CMDLINE_LINUX_DEFAULT='console=tty1'\nGRUB_CMDLINE_LINUX=\"console=ttyS0,115200\"\n",
            ),
            (
                Format::Shell,
                "GRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX=\"b console=hvc0 console=xvc0,9600\"\n",
                "GRUB_CMDLINE_LINUX=\"a\"\nGRUB_CMDLINE_LINUX=\"b console=ttyS0,115200\"\n",
            ),
            (
                Format::LoaderSpec,
                "linux /vmlinuz-6\noptions a\noptions b\n",
                "linux /vmlinuz-6\noptions a\noptions b console=ttyS0,115200 console=tty0\n",
            ),
        ] {
            let found = edited(format, text);
            let found = if format == Format::Shell {
                found
            } else {
                found.replace(
                    &format!("{GRUB_SETTING}=\"console=ttyS0,115200 console=tty0\"\n"),
                    "",
                )
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn only_linux_gets_a_console() {
        let entry = |kernel: &str| {
            boots_linux(&CommandLine {
                carrier: Carrier::Entry {
                    number: 0,
                    kernel: kernel.to_owned(),
                },
                range: 0..0,
            })
        };
        for kernel in [
            "/boot/vmlinuz-6",
            "(hd0,0)/vmlinuz",
            "/$photon_linux",
            "linux",
            "/vmlinux",
        ] {
            assert!(entry(kernel), "{kernel}");
        }
        for other in [
            "/boot/memtest86+.bin",
            "/xen.gz-2.6",
            "",
            "/boot/xen-4.4-amd64.gz",
        ] {
            assert!(!entry(other), "{other}");
        }
    }
}
