//! Takes back what the tarball installer of VMware Tools did, by its own database.

use anyhow::Context as _;
use refit_engine::backend::FileKind;
use refit_engine::{Change, Evidence, GuestPath};
use refit_rules::{Draft, Findings, Owned};

use super::blocks;
use super::locations::{self, Locations};

/// What the names of all that VMware Tools install have in them. The database is only a file in the
/// guest: what it lists under other names is not taken for VMware's.
const MARKS: [&str; 16] = [
    "vmware",
    "vmtools",
    "vmhgfs",
    "hgfs",
    "vmblock",
    "vmci",
    "vmxnet",
    "vmmemctl",
    "vmsync",
    "vmmouse",
    "vmwgfx",
    "vmguest",
    "vm-support",
    "vgauth",
    "pvscsi",
    "vsock",
];

/// What the installer calls the file that it replaces.
const BACKUP: &str = ".BeforeVMwareToolsInstall";

/// Files to which installers have added blocks; with a database, those that it names too.
const WITH_BLOCKS: [&str; 7] = [
    "/etc/fstab",
    "/etc/modules",
    "/etc/modprobe.conf",
    "/etc/modules.conf",
    "/etc/initramfs-tools/modules",
    "/etc/dracut.conf",
    "/etc/services",
];

/// Removes the installer's files and directories, puts back what it replaced, and takes out the
/// blocks that it added to other files.
pub(super) fn uninstall(draft: &mut Draft<'_>, findings: &mut Findings) -> anyhow::Result<()> {
    let database = draft.content(&locations::PATH.into())?.unwrap_or_default();
    let all = Locations::parse(&String::from_utf8_lossy(&database));
    let before = draft.revision();
    let mut left = Left::default();
    backups(draft, &all, &mut left).context("putting back what VMware's installer replaced")?;
    cut_blocks(draft, &all)?;
    files(draft, &all, &mut left).context("removing the files of VMware's installer")?;
    if draft.revision() > before {
        findings
            .reasons
            .push("VMware Tools are installed from their tarball".to_owned());
        findings.evidence.push(Evidence::from([
            ("source", locations::PATH.to_owned()),
            ("found", format!("{} files", all.files.len())),
        ]));
    }
    left.report(&mut findings.warnings);
    Ok(())
}

/// What stays, and why.
#[derive(Debug, Default)]
struct Left {
    foreign: Vec<String>,
    changed: Vec<String>,
    owned: Vec<String>,
    backups: Vec<String>,
}

impl Left {
    fn report(self, warnings: &mut Vec<String>) {
        for (what, why) in [
            (
                self.foreign,
                "are in the database of VMware's installer, but do not look like its own",
            ),
            (
                self.changed,
                "are configuration that was changed since VMware Tools installed it",
            ),
            (self.owned, "belong to other packages"),
            (
                self.backups,
                "were replaced by VMware's installer and changed since, so their backups are not \
                 put back",
            ),
        ] {
            if !what.is_empty() {
                warnings.push(format!("left, as they {why}: {}", what.join(", ")));
            }
        }
    }
}

/// A path of the database, if it is one that can be meant.
fn path(text: &str) -> Option<GuestPath> {
    let relative = text.strip_prefix('/')?;
    let plain = !relative.is_empty()
        && relative
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."))
        && !text.contains(char::is_control);
    plain.then(|| GuestPath::new(text))
}

/// Where `text` is in the guest, if both that and the text look like VMware's.
fn own_path(draft: &Draft<'_>, text: &str) -> anyhow::Result<Option<GuestPath>> {
    let Some(path) = path(text).filter(is_marked) else {
        return Ok(None);
    };
    let real = draft.guest().resolve_parent(&path)?;
    Ok(real.filter(is_marked))
}

fn is_marked(path: &GuestPath) -> bool {
    let text = String::from_utf8_lossy(path.as_bytes()).to_ascii_lowercase();
    MARKS.iter().any(|mark| text.contains(mark))
}

/// Whether a path is in a directory that is all VMware's.
fn is_inside(path: &GuestPath) -> bool {
    let mut parents = path.components().rev().skip(1);
    parents.any(|part| part.starts_with(b"vmware-tools"))
}

/// Modules are left to the rules, which keep their indexes right.
fn is_module(path: &GuestPath) -> bool {
    ["/lib/modules", "/usr/lib/modules"]
        .iter()
        .any(|dir| path.starts_with(&GuestPath::new(dir)))
}

fn files(draft: &mut Draft<'_>, all: &Locations, left: &mut Left) -> anyhow::Result<()> {
    let replaced: Vec<&str> = all.backups().into_iter().map(|(file, _)| file).collect();
    for (file, time) in &all.files {
        if replaced.contains(&file.as_str()) {
            continue;
        }
        let Some(at) = own_path(draft, file)? else {
            // What is gone is no matter.
            if path(file).is_some_and(|path| matches!(draft.kind(&path), Ok(Some(_)))) {
                left.foreign.push(file.clone());
            }
            continue;
        };
        let kind = draft.kind(&at)?;
        if is_module(&at) || !matches!(kind, Some(FileKind::File | FileKind::Symlink)) {
            continue;
        }
        let in_etc = at.starts_with(&GuestPath::new("/etc"));
        if !is_inside(&at)
            && (all.config.contains(file) || in_etc)
            && is_changed(draft, &at, file, *time, all)?
        {
            left.changed.push(file.clone());
            continue;
        }
        let kept = draft.remove(&at, Owned::Keep)?;
        // Of those inside, a rule tells.
        let owned = kept.owned.into_iter().filter(|_| !is_inside(&at));
        left.owned
            .extend(owned.map(|(path, owner)| format!("{path} ({owner})")));
    }
    let mut dirs: Vec<&String> = all.dirs.iter().collect();
    dirs.sort_by_key(|dir| std::cmp::Reverse(dir.len()));
    for dir in dirs {
        if let Some(at) = own_path(draft, dir)? {
            draft.remove_if_empty(&at)?;
        }
    }
    Ok(())
}

/// Whether a file is not as the installer left it.
fn is_changed(
    draft: &Draft<'_>,
    at: &GuestPath,
    name: &str,
    time: Option<i64>,
    all: &Locations,
) -> anyhow::Result<bool> {
    if all.modified.contains(name) {
        return Ok(true);
    }
    let stat = draft.guest().stat(at)?;
    Ok(match (time, stat) {
        (Some(time), Some(stat)) => stat.mtime.0 != time,
        _ => false,
    })
}

fn backups(draft: &mut Draft<'_>, all: &Locations, left: &mut Left) -> anyhow::Result<()> {
    for (name, backup_name) in all.backups() {
        let (Some(file), Some(backup)) = (path(name), path(backup_name)) else {
            continue;
        };
        if !backup_name.ends_with(BACKUP) {
            left.foreign.push(backup_name.to_owned());
            continue;
        }
        if draft.kind(&backup)? != Some(FileKind::File) {
            continue;
        }
        let Some(old) = draft.content(&backup)? else {
            continue;
        };
        let stat = draft.guest().stat(&backup)?;
        let kind = draft.kind(&file)?;
        if matches!(kind, Some(FileKind::Dir | FileKind::Other)) {
            continue;
        }
        let now = draft.content(&file)?;
        let without_block = now.as_deref().and_then(blocks::without);
        let is_same = kind == Some(FileKind::File)
            && (now.as_ref() == Some(&old) || without_block.as_ref() == Some(&old));
        // The installer's service switches links between the two versions.
        let is_link = kind == Some(FileKind::Symlink);
        let noted = all.files.get(name);
        let is_installed = match noted {
            Some(time) => !is_changed(draft, &file, name, *time, all)?,
            None => false,
        };
        if kind.is_none() || is_link || is_installed || is_same {
            if is_link {
                draft.push(Change::Remove { path: file.clone() })?;
            }
            draft.push(Change::Write {
                path: file,
                content: old,
                mode: stat.filter(|_| !is_same).map(|stat| stat.mode),
            })?;
            draft.push(Change::Remove { path: backup })?;
        } else {
            left.backups.push(name.to_owned());
        }
    }
    Ok(())
}

fn cut_blocks(draft: &mut Draft<'_>, all: &Locations) -> anyhow::Result<()> {
    let appended: Vec<GuestPath> = all
        .appended()
        .filter_map(path)
        .chain(WITH_BLOCKS.iter().map(GuestPath::new))
        .collect();
    for file in appended {
        if draft.kind(&file)? != Some(FileKind::File) {
            continue;
        }
        let content = draft.content(&file)?;
        if let Some(content) = content.as_deref().and_then(blocks::without) {
            draft.push(Change::Write {
                path: file,
                content,
                mode: None,
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_can_be_meant_are_taken() {
        for (text, taken) in [
            ("/usr/bin/vmtoolsd", true),
            ("/etc/vmware-tools/tools conf", true),
            ("/usr/lib/vmware-tools/../../../etc/passwd", false),
            ("../vmware", false),
            ("/", false),
            ("", false),
            ("/etc//vmware", false),
            ("/etc/vmware\u{1b}", false),
        ] {
            assert_eq!(path(text).is_some(), taken, "{text}");
        }
        for (text, marked) in [
            ("/etc", false),
            ("/etc/passwd", false),
            ("/etc/lvm/lvm.conf", false),
            ("/usr/lib/libvmGuestLib.so", true),
            ("/lib/modules/3/misc/pvscsi.ko", true),
        ] {
            assert_eq!(is_marked(&GuestPath::new(text)), marked, "{text}");
        }
    }
}
