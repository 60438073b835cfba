//! Reports as text for people.

mod registry;

use std::fmt::Write as _;

use anstyle::{AnsiColor, Reset, Style};
use refit_engine::{Change, Facts, Planned, VerdictKind};
use similar::{ChangeTag, TextDiff};

pub const ERROR: Style = AnsiColor::Red.on_default().bold();
pub const RESET: Reset = Reset;
pub const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
pub const WARNING: Style = AnsiColor::Yellow.on_default();

/// Text from a guest, or from a program that read it, without what would drive the terminal: control characters, and
/// those that cannot be seen or turn the direction of what follows, are shown as escapes.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => shown.extend(c.escape_default()),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// The facts, a line each.
pub fn facts(facts: &Facts) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{BOLD}{name:>16}{RESET}  {}", printable(&value));
        }
    };
    line("product", facts.product.clone());
    line(
        "distribution",
        facts.distro.as_ref().map(|distro| match &facts.version {
            Some(version) => format!("{distro} {version}"),
            None => distro.clone(),
        }),
    );
    line("architecture", facts.arch.clone());
    line("host name", facts.hostname.clone());
    line(
        "firmware",
        facts
            .firmware
            .map(|firmware| format!("{firmware:?}").to_lowercase()),
    );
    line("boot loader", facts.boot_loader.clone());
    line(
        "init",
        facts.init.as_ref().map(|init| match facts.systemd {
            Some(version) => format!("{init} {version}"),
            None => init.clone(),
        }),
    );
    line("packages", facts.package_format.clone());
    line("SELinux", facts.selinux.clone());
    if let Some(windows) = &facts.windows {
        registry::facts(windows, &mut line);
    }
    for mount in &facts.mounts {
        line("mount", Some(format!("{} on {}", mount.device, mount.path)));
    }
    for kernel in &facts.kernels {
        let initramfs = kernel
            .initramfs
            .as_ref()
            .map_or("no initramfs".to_owned(), ToString::to_string);
        line("kernel", Some(format!("{} ({initramfs})", kernel.release)));
    }
    if text.is_empty() {
        text.push_str("nothing is known of this guest\n");
    }
    text
}

/// One line that says which guest this is.
pub fn headline(facts: &Facts) -> String {
    let product = facts
        .product
        .as_deref()
        .or(facts.distro.as_deref())
        .unwrap_or("unknown system");
    let host = facts
        .hostname
        .as_ref()
        .map(|host| format!(" ({host})"))
        .unwrap_or_default();
    let mut text = format!("{BOLD}{}{}{RESET}\n", printable(product), printable(&host));
    let windows = facts.windows.as_ref();
    if let Some(reason) = windows.and_then(|windows| windows.unwritable.as_ref()) {
        let _ = writeln!(
            text,
            "{WARNING}cannot be changed as it is:{RESET} {}",
            printable(reason)
        );
    }
    text
}

/// A fixup's verdict, its evidence, and each change as a diff.
pub fn planned(planned: &Planned) -> String {
    let (word, style) = match planned.verdict {
        VerdictKind::Change => ("change", ADDED),
        VerdictKind::Fine => ("fine", DIM),
        VerdictKind::NotApplicable => ("not applicable", DIM),
        VerdictKind::Blocked => ("blocked", WARNING),
        VerdictKind::Failed => ("failed", ERROR),
    };
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{BOLD}{}{RESET}: {style}{word}{RESET}: {}",
        planned.id,
        printable(&planned.reason)
    );
    for evidence in &planned.evidence {
        let facts: Vec<String> = evidence
            .0
            .iter()
            .map(|(key, value)| format!("{key} {}", printable(value)))
            .collect();
        let _ = writeln!(text, "  {DIM}{}{RESET}", facts.join(", "));
    }
    for warning in &planned.warnings {
        let _ = writeln!(text, "  {WARNING}warning:{RESET} {}", printable(warning));
    }
    let mut last = None;
    for (index, change) in planned.changes.iter().enumerate() {
        if let Some(key) = change.key() {
            let header = last != Some(key);
            text.push_str(&registry::diff(change, planned.held.get(&index), header));
        } else {
            let original = change.path().and_then(|path| planned.originals.get(path));
            text.push_str(&diff(change, original.map(Vec::as_slice)));
        }
        last = change.key();
    }
    text
}

fn diff(change: &Change, original: Option<&[u8]>) -> String {
    let mut text = String::new();
    let path = change.path().map(ToString::to_string);
    let path = printable(&path.unwrap_or_default());
    match change {
        Change::Write { content, mode, .. } => {
            let mode = mode
                .map(|mode| format!(" (mode {mode:04o})"))
                .unwrap_or_default();
            let verb = if original.is_some() { "edit" } else { "create" };
            let _ = writeln!(text, "  {BOLD}{verb} {path}{RESET}{mode}");
            text.push_str(&lines(original.unwrap_or_default(), content));
        }
        Change::Remove { .. } => {
            let _ = writeln!(text, "  {REMOVED}remove {path}{RESET}");
        }
        Change::Link { target, .. } => {
            let _ = writeln!(
                text,
                "  {ADDED}link {path} -> {}{RESET}",
                printable(&String::from_utf8_lossy(target))
            );
        }
        Change::Chmod { mode, .. } => {
            let _ = writeln!(text, "  {BOLD}chmod {mode:04o} {path}{RESET}");
        }
        Change::Mkdir { mode, .. } => {
            let _ = writeln!(
                text,
                "  {ADDED}make directory {path}{RESET} (mode {mode:04o})"
            );
        }
        Change::Chown { uid, gid, .. } => {
            let _ = writeln!(text, "  {BOLD}chown {uid}:{gid} {path}{RESET}");
        }
        Change::InitramfsAppend { files, .. } => {
            let _ = writeln!(text, "  {BOLD}append to initramfs {path}{RESET}");
            for file in files {
                let _ = writeln!(
                    text,
                    "    {ADDED}+ {} ({} bytes){RESET}",
                    file.path,
                    file.content.len()
                );
            }
        }
        // Shown by the module for them.
        Change::RegistrySet { .. }
        | Change::RegistryDelete { .. }
        | Change::RegistryCreate { .. } => {}
    }
    text
}

fn lines(old: &[u8], new: &[u8]) -> String {
    let (Ok(old), Ok(new)) = (std::str::from_utf8(old), std::str::from_utf8(new)) else {
        return format!(
            "    {DIM}binary, {} bytes before, {} after{RESET}\n",
            old.len(),
            new.len()
        );
    };
    let mut text = String::new();
    let diff = TextDiff::from_lines(old, new);
    for (index, group) in diff.grouped_ops(3).iter().enumerate() {
        if index > 0 {
            let _ = writeln!(text, "    {DIM}...{RESET}");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (sign, style) = match change.tag() {
                ChangeTag::Delete => ("-", REMOVED),
                ChangeTag::Insert => ("+", ADDED),
                ChangeTag::Equal => (" ", DIM),
            };
            let line = printable(change.value().trim_end_matches('\n'));
            let _ = writeln!(text, "    {style}{sign} {line}{RESET}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_drive_the_terminal() {
        let change = Change::Write {
            path: "/a\u{202e}".into(),
            content: b"x\x1b[2J\xc2\x9b\n".to_vec(),
            mode: None,
        };
        let shown = diff(&change, Some(b"old\x07\n"));
        let plain = anstream::adapter::strip_str(&shown).to_string();
        assert!(
            !plain.contains(['\x1b', '\x07', '\u{9b}', '\u{202e}']),
            "{plain:?}"
        );
        assert!(
            plain.contains("- old\\u{7}") && plain.contains("+ x\\u{1b}[2J\\u{9b}"),
            "{plain}"
        );
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(
            printable("a\u{202e}b\u{200b}\u{feff}c\u{2066}\u{61c}\u{1b}\r\td\né"),
            "a\\u{202e}b\\u{200b}\\u{feff}c\\u{2066}\\u{61c}\\u{1b}\\r\td\né"
        );
    }
}
