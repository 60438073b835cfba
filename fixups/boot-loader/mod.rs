//! Kernel command lines, wherever a boot loader keeps them.
//!
//! GRUB 2 (scripts, `/etc/default/grub`, environment blocks), GRUB legacy, entries of the Boot
//! Loader Specification, syslinux and extlinux, kernel-install, Alpine's and SUSE's settings for
//! new kernels. [`BootFiles::read`] finds them all; a fixup looks at the [`CommandLine`]s and
//! replaces ranges of the text, so that everything else in a file stays as it is.

mod grub2;
mod grub_legacy;
mod loader_spec;
mod shell;
mod syslinux;

use std::collections::BTreeSet;
use std::ops::Range;

use refit_engine::{Guest, GuestPath};

/// Files with kernel command lines, and how to read them.
const FILES: [(&str, Format); 16] = [
    ("/etc/default/grub", Format::Shell),
    ("/etc/kernel/cmdline", Format::Plain),
    ("/etc/initramfs-tools/conf.d/resume", Format::Shell),
    ("/etc/sysconfig/bootloader", Format::Shell),
    ("/boot/grub/grub.cfg", Format::GrubScript),
    ("/boot/grub2/grub.cfg", Format::GrubScript),
    ("/boot/grub/grubenv", Format::GrubEnvironment),
    ("/boot/grub2/grubenv", Format::GrubEnvironment),
    ("/boot/photon.cfg", Format::GrubEnvironment),
    ("/boot/grub/grub.conf", Format::GrubLegacy),
    ("/boot/grub/menu.lst", Format::GrubLegacy),
    ("/boot/grub2/grub.conf", Format::GrubLegacy),
    ("/boot/extlinux.conf", Format::Syslinux),
    ("/boot/extlinux/extlinux.conf", Format::Syslinux),
    ("/boot/syslinux/syslinux.cfg", Format::Syslinux),
    ("/etc/update-extlinux.conf", Format::Shell),
];
/// Directories of such files, with their suffix.
const DIRECTORIES: [(&str, &str, Format); 4] = [
    ("/etc/default/grub.d", ".cfg", Format::Shell),
    ("/boot/loader/entries", ".conf", Format::LoaderSpec),
    ("/boot/efi/loader/entries", ".conf", Format::LoaderSpec),
    ("/efi/loader/entries", ".conf", Format::LoaderSpec),
];
/// Where each vendor's directory of the EFI system partition is.
const EFI_VENDORS: &str = "/boot/efi/EFI";
const EFI_FILES: [(&str, Format); 3] = [
    ("grub.cfg", Format::GrubScript),
    ("grubenv", Format::GrubEnvironment),
    ("grub.conf", Format::GrubLegacy),
];

/// GRUB's environment block has one fixed size, in bytes (GRUB manual, "The GRUB environment block").
const ENVIRONMENT_SIZE: usize = 1024;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    /// Assignments as a shell reads them.
    Shell,
    /// One command line.
    Plain,
    /// A GRUB 2 script, most often `grub.cfg`.
    GrubScript,
    /// What GRUB 2's `load_env` reads.
    GrubEnvironment,
    /// The menu of GRUB 0.9x.
    GrubLegacy,
    /// One entry of the Boot Loader Specification (type 1).
    LoaderSpec,
    /// syslinux, isolinux, extlinux.
    Syslinux,
}

/// Who passes a command line to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A boot entry.
    Entry {
        /// Which entry of its file, from 0: one may have several lines of arguments.
        number: usize,
        /// The file that is booted, as it is written; empty if the entry names none.
        kernel: String,
    },
    /// A variable that entries refer to, or that new entries are made from.
    Variable(String),
    /// A setting whose value is that of the one kernel parameter of this name.
    Setting(String),
    /// What kernel-install gives to new entries.
    Whole,
}

/// A kernel command line in the text of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// Who passes it.
    pub(crate) carrier: Carrier,
    /// Where the arguments are, without quotes around them; empty where new ones would go.
    pub(crate) range: Range<usize>,
}

/// One file with command lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BootFile {
    /// Where it was found.
    pub(crate) path: GuestPath,
    /// How it is written.
    pub(crate) format: Format,
    /// All of it.
    pub(crate) text: String,
    /// The command lines, in order.
    pub(crate) lines: Vec<CommandLine>,
}

/// All files of a guest with command lines.
#[derive(Debug, Default)]
pub(crate) struct BootFiles {
    /// In a stated order: settings first, [`FILES`] before [`DIRECTORIES`].
    pub(crate) files: Vec<BootFile>,
    /// Files that are no UTF-8, which nobody here edits.
    pub(crate) no_text: Vec<GuestPath>,
}

impl BootFiles {
    /// Reads every file that the guest has. A file that is reached by two names is read once.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub(crate) fn read(guest: &Guest<'_>) -> anyhow::Result<Self> {
        let mut paths: Vec<(GuestPath, Format)> = FILES
            .iter()
            .map(|(path, format)| (GuestPath::from(*path), *format))
            .collect();
        for (dir, suffix, format) in DIRECTORIES {
            let files = guest.files(dir, |name| name.ends_with(suffix))?;
            paths.extend(files.into_iter().map(|path| (path, format)));
        }
        for vendor in guest.list(EFI_VENDORS)? {
            let dir = GuestPath::from(EFI_VENDORS).join(&vendor.name);
            paths.extend(EFI_FILES.map(|(name, format)| (dir.join(name), format)));
        }
        let mut all = Self::default();
        let mut seen = BTreeSet::new();
        for (path, format) in paths {
            let Some(real) = guest.resolve(&path)? else {
                continue;
            };
            if !seen.insert(real) {
                continue;
            }
            let Some(content) = guest.read(&path)? else {
                continue;
            };
            match String::from_utf8(content) {
                Ok(text) => all.files.push(BootFile::parse(path, format, text)),
                Err(_) => all.no_text.push(path),
            }
        }
        Ok(all)
    }
}

impl BootFile {
    /// Finds the command lines of `text`.
    pub(crate) fn parse(path: GuestPath, format: Format, text: String) -> Self {
        let lines = match format {
            Format::Shell => shell::command_lines(&text),
            Format::Plain => plain(&text),
            Format::GrubScript => grub2::script(&text),
            Format::GrubEnvironment => grub2::environment(&text),
            Format::GrubLegacy => grub_legacy::command_lines(&text),
            Format::LoaderSpec => loader_spec::command_lines(&text),
            Format::Syslinux => syslinux::command_lines(&text),
        };
        Self {
            path,
            format,
            text,
            lines,
        }
    }

    /// Whether a line may be added at the end: not in the middle of a quoted value.
    pub(crate) fn is_complete(&self) -> bool {
        self.format != Format::Shell || shell::is_complete(&self.text)
    }

    /// The arguments of one command line with their places. A quotation mark keeps what follows
    /// together, as the kernel has it.
    pub(crate) fn arguments<'t>(
        &'t self,
        line: &CommandLine,
    ) -> impl Iterator<Item = (Range<usize>, &'t str)> {
        let start = line.range.start;
        let text = &self.text[line.range.clone()];
        words(text).map(move |range| {
            let word = &text[range.clone()];
            (start + range.start..start + range.end, word)
        })
    }

    /// The text with `edits` made: each range replaced. They must not overlap. `None` if an
    /// environment block has no room for it.
    pub(crate) fn edited(&self, mut edits: Vec<(Range<usize>, String)>) -> Option<String> {
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut text = String::with_capacity(self.text.len());
        let mut done = 0;
        for (range, new) in edits {
            text.push_str(self.text.get(done..range.start)?);
            text.push_str(&new);
            done = range.end;
        }
        text.push_str(self.text.get(done..)?);
        let block = self.format == Format::GrubEnvironment && self.text.len() == ENVIRONMENT_SIZE;
        if !block || text == self.text {
            return Some(text);
        }
        text.truncate(text.trim_end_matches('#').len());
        let fill = ENVIRONMENT_SIZE.checked_sub(text.len())?;
        text.extend(std::iter::repeat_n('#', fill));
        Some(text)
    }
}

/// `/etc/kernel/cmdline`: kernel-install(8) passes over comments.
fn plain(text: &str) -> Vec<CommandLine> {
    lines(text)
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|(start, line)| CommandLine {
            carrier: Carrier::Whole,
            range: trimmed(start, line),
        })
        .collect()
}

/// The lines of `text` with where each begins, without their ends.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line.trim_end_matches(['\n', '\r'])))
    })
}

/// Where the text of `part`, which begins at `start`, is without white space around it. Nothing
/// but white space is the place after it.
fn trimmed(start: usize, part: &str) -> Range<usize> {
    let left = part.len() - part.trim_start().len();
    start + left..start + left.max(part.trim_end().len())
}

/// The first word of `line` and where the rest begins.
fn first_word(line: &str) -> Option<(&str, usize)> {
    let range = trimmed(0, line);
    let word = line[range.clone()].split_whitespace().next()?;
    Some((word, range.start + word.len()))
}

/// The words of `text`.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &text[at..];
        let start = at + rest.find(|c: char| !c.is_whitespace())?;
        let mut quoted = false;
        let end = text[start..]
            .find(|c: char| {
                quoted ^= c == '"';
                c.is_whitespace() && !quoted
            })
            .map_or(text.len(), |length| start + length);
        at = end;
        Some(start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command lines of `text`, shown as `carrier: arguments`.
    pub(super) fn shown(format: Format, text: &str) -> Vec<String> {
        let file = BootFile::parse("/f".into(), format, text.to_owned());
        file.lines
            .iter()
            .map(|line| {
                let arguments: Vec<&str> = file.arguments(line).map(|(_, word)| word).collect();
                let carrier = match &line.carrier {
                    Carrier::Entry { number, kernel } => format!("{number} {kernel}"),
                    Carrier::Variable(name) => format!("${name}"),
                    Carrier::Setting(name) => format!("{name}="),
                    Carrier::Whole => "whole".to_owned(),
                };
                format!("{carrier}: {}", arguments.join("|"))
            })
            .collect()
    }

    #[test]
    fn words_are_kept_together_by_quotation_marks() {
        let text = " a  b=\"c d\" e\t\"f";
        let found: Vec<&str> = words(text).map(|range| &text[range]).collect();
        assert_eq!(found, ["a", "b=\"c d\"", "e", "\"f"]);
        assert_eq!(words("  ").next(), None);
    }

    #[test]
    fn plain_command_lines() {
        assert_eq!(
            shown(Format::Plain, "# comment\n\n root=UUID=1 ro \n"),
            ["whole: root=UUID=1|ro"]
        );
    }

    #[test]
    fn an_environment_block_keeps_its_size() {
        let mut block = "# GRUB Environment Block\nkernelopts=a\n".to_owned();
        block.extend(std::iter::repeat_n('#', 1024 - block.len()));
        let file = BootFile::parse("/f".into(), Format::GrubEnvironment, block);
        let range = file.lines[0].range.clone();
        let edited = file
            .edited(vec![(range.clone(), "bcd".to_owned())])
            .unwrap();
        assert_eq!(edited.len(), 1024);
        assert!(edited.starts_with("# GRUB Environment Block\nkernelopts=bcd\n##"));
        assert_eq!(file.edited(vec![(range, "x".repeat(1024))]), None);

        let short = BootFile::parse("/f".into(), Format::GrubEnvironment, "a_cmdline=b\n".into());
        let range = short.lines[0].range.clone();
        assert_eq!(
            short.edited(vec![(range, "c".to_owned())]).unwrap(),
            "a_cmdline=c\n"
        );
    }
}
