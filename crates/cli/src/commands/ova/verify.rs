//! `refit ova verify`

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use indicatif::BinaryBytes;
use refit_ovf::verify::{self, Report, Signature};
use refit_ovf::{Package, Severity};

use crate::args::OvaVerifyArgs;
use crate::interrupt::Interrupt;
use crate::output::{Exit, Output};
use crate::progress::Progress;
use crate::render::{BOLD, ERROR, RESET, WARNING, printable};

pub fn run(args: &OvaVerifyArgs, output: &Output, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let package = Package::open(&args.file)?;
    let cas: Vec<&Path> = args.ca.iter().map(AsRef::as_ref).collect();
    let progress = Progress::new();
    let mut shown = None;
    let report = verify::verify(&package, &cas, &mut |done, total| {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        // What takes no time needs no bar.
        if total > 64 << 20 && shown != Some(percent) {
            shown = Some(percent);
            let percent = u8::try_from(percent).unwrap_or(100);
            progress.bytes("Verifying", percent, Some(done), Some(total));
        }
        !interrupt.is_raised()
    })
    .with_context(|| format!("verifying {}", args.file.display()))?;
    progress.finish();
    output.print(&report, || text(&report))?;
    Ok(if !report.ok {
        Exit::Failed
    } else if report.findings.is_empty() {
        Exit::Done
    } else {
        Exit::Warnings
    })
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for file in &report.files {
        let state = match file.digests.as_slice() {
            [] => "not in the manifest".to_owned(),
            digests => digests
                .iter()
                .map(|digest| {
                    let word = if digest.ok { "right" } else { "WRONG" };
                    format!("{} {word}", digest.algorithm)
                })
                .collect::<Vec<_>>()
                .join(", "),
        };
        let _ = writeln!(
            text,
            "{BOLD}{}{RESET}  {}, {state}",
            printable(&file.name),
            BinaryBytes(file.size)
        );
    }
    for disk in &report.disks {
        let size = disk
            .virtual_size
            .or(disk.capacity)
            .map_or_else(String::new, |size| format!(" of {}", BinaryBytes(size)));
        let state = match (&disk.error, disk.grains) {
            (Some(_), _) => "cannot be read".to_owned(),
            (None, Some(grains)) => format!("whole, {grains} grains"),
            (None, None) => "its header is right".to_owned(),
        };
        let _ = writeln!(
            text,
            "{BOLD}disk {}{RESET}  {}{size}, {state}",
            printable(&disk.id),
            disk.format.as_str()
        );
    }
    if let Some(signature) = &report.signature {
        text.push_str(&signed(signature));
    }
    for finding in &report.findings {
        let (word, style) = match finding.severity {
            Severity::Error => ("error", ERROR),
            Severity::Warning => ("warning", WARNING),
        };
        let file = finding
            .file
            .as_ref()
            .map(|file| format!("{}: ", printable(file)))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "{style}{word}:{RESET} {file}{}",
            printable(&finding.message)
        );
    }
    let rate = (report.bytes as f64 / report.seconds.max(0.001)) as u64;
    let _ = writeln!(
        text,
        "{}: {} in {:.1} s ({}/s)",
        match (report.ok, report.findings.is_empty()) {
            (false, _) => "Not right",
            (true, false) => "Right, with warnings",
            (true, true) => "Right",
        },
        BinaryBytes(report.bytes),
        report.seconds,
        BinaryBytes(rate)
    );
    text
}

fn signed(signature: &Signature) -> String {
    let validity = if signature.valid { "right" } else { "WRONG" };
    let trust = if signature.trusted {
        "trusted"
    } else {
        "not trusted"
    };
    format!(
        "{BOLD}signature{RESET}  {validity}, by {} (issued by {}, {trust}, until {})\n",
        printable(&signature.subject),
        printable(&signature.issuer),
        signature.not_after
    )
}
