//! `refit convert` of an appliance with several machines.

use std::fmt::Write as _;
use std::path::Path;

use refit_convert::{Collection, State};

use crate::args::ConvertArgs;
use crate::interrupt::Interrupt;
use crate::output::{Exit, Output, UsageError};
use crate::render::printable;

/// What is said of one machine cannot be meant for all.
pub fn check(args: &ConvertArgs) -> Result<(), UsageError> {
    let fixups = &args.fixups;
    let nics = !fixups.nic.is_empty() || fixups.static_ips.is_some();
    let sources = fixups.vmx.is_some() || fixups.ovf.is_some();
    if nics || sources || args.open.os_device.is_some() {
        return Err(UsageError(
            "the OVA holds several machines, and --nic, --static-ips, --vmx, --ovf and --os-device are about one; \
             choose it with --system"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Prints the result. A machine that failed makes the whole run a failure, although the others are there.
pub fn end(
    collection: &Collection,
    input: &Path,
    output: &Output,
    interrupt: &Interrupt,
) -> anyhow::Result<Exit> {
    output.print(collection, || text(collection, input))?;
    Ok(if interrupt.is_raised() {
        Exit::Interrupted
    } else if !collection.is_complete() {
        Exit::Failed
    } else if collection.needs_attention() {
        Exit::Warnings
    } else {
        Exit::Done
    })
}

fn text(collection: &Collection, input: &Path) -> String {
    let mut text = String::new();
    for system in &collection.systems {
        if let Some(conversion) = &system.conversion {
            text.push_str(&super::text(conversion));
            text.push('\n');
        }
    }
    for note in &collection.notes {
        let _ = writeln!(text, "note: {}", printable(note));
    }
    let _ = writeln!(text, "Machines of {}:", collection.name);
    for system in &collection.systems {
        let state = match system.state {
            State::Converted => format!("in {}", printable(&system.dir.display().to_string())),
            State::Failed => "failed, and nothing of it is there".to_owned(),
            State::NotStarted => "not begun".to_owned(),
        };
        let _ = writeln!(
            text,
            "  {} ({}): {state}",
            printable(&system.id),
            printable(&system.name)
        );
    }
    let _ = writeln!(
        text,
        "To be started in this order, which nothing on KVM does by itself:"
    );
    for start in &collection.start_order {
        let step = start
            .step
            .map_or_else(|| "any time".to_owned(), |step| format!("step {step}"));
        let _ = write!(text, "  {step}: {}", printable(&start.system));
        let _ = match (start.start, start.delay, start.waiting_for_guest) {
            (false, _, _) => writeln!(text, ", only by hand"),
            (true, 0, _) => writeln!(text),
            (true, delay, false) => writeln!(text, ", then wait {delay} s"),
            (true, delay, true) => {
                writeln!(text, ", then wait until its guest is up, {delay} s at most")
            }
        };
    }
    let _ = writeln!(text, "  {}", collection.report.display());
    for system in &collection.systems {
        if let Some(error) = &system.error {
            let _ = writeln!(
                text,
                "error: {}: {}. Once that is settled, convert it alone: refit convert {} --system {:?} --name {} \
                 --out {}",
                printable(&system.id),
                printable(error.trim_end_matches('.')),
                input.display(),
                system.id,
                system.name,
                system.dir.display()
            );
        }
    }
    text
}
