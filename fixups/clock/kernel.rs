//! `clocksource=` among the kernel's arguments.

use refit_engine::{Change, Evidence, Guest};

use super::Found;
use crate::boot_loader::BootFiles;

/// Sources that only Hyper-V, Xen, and VMware's old paravirtual interface have.
const FOREIGN: [&str; 4] = [
    "hyperv_clocksource_tsc_page",
    "hyperv_clocksource",
    "xen",
    "vmi-timer",
];

/// Takes the names of foreign sources away, so that the kernel chooses by itself.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn plan(guest: &Guest<'_>, found: &mut Found) -> anyhow::Result<()> {
    for file in &BootFiles::read(guest)?.files {
        let mut edits = Vec::new();
        for (range, argument) in file.lines.iter().flat_map(|line| file.arguments(line)) {
            let Some(source) = argument.strip_prefix("clocksource=") else {
                continue;
            };
            let told = Evidence::from([
                ("clocksource", source.to_owned()),
                ("source", file.path.to_string()),
            ]);
            if !found.evidence.contains(&told) {
                found.evidence.push(told);
            }
            if FOREIGN.contains(&source) {
                // With the space on one side, so that none is left in quotes.
                let before = &file.text[..range.start];
                let after = &file.text[range.end..];
                let gap_before = before.len() - before.trim_end_matches([' ', '\t']).len();
                let gap_after = after.len() - after.trim_start_matches([' ', '\t']).len();
                let opens = before.ends_with(['"', '\'', '=']);
                let range = if opens {
                    range.start..range.end + gap_after
                } else {
                    range.start - gap_before..range.end
                };
                edits.push((range, String::new()));
            }
        }
        if edits.is_empty() {
            continue;
        }
        match file.edited(edits) {
            Some(new) => {
                found.reasons.push(format!(
                    "{} names no clock source that the new machine has not",
                    file.path
                ));
                found.changes.push(Change::Write {
                    path: file.path.clone(),
                    content: new.into_bytes(),
                    mode: None,
                });
            }
            None => found
                .warnings
                .push(format!("{} is left alone: it has no room", file.path)),
        }
    }
    Ok(())
}
