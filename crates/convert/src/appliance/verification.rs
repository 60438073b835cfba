//! Whether an appliance's files are what its maker packed, before anything is made of them.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context as _, bail};
use refit_ovf::verify::{self, Report};
use refit_ovf::{ArchiveError, File, Package, Severity};
use refit_v2v::CancelToken;
use serde::Serialize;

use super::Appliance;
use crate::Stage;
use crate::hardware::Source;

/// What was compared with the manifest.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// Name of the manifest.
    pub manifest: String,
    /// Names of the files whose digests are right.
    pub files: Vec<String>,
    /// Who signed the manifest, if somebody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// Whether this host trusts the signer's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted: Option<bool>,
    /// Bytes that were read for it.
    pub bytes: u64,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Problems that are told, of one appliance.
const SHOWN: usize = 5;

/// Compares the descriptor and the disks of these machines, which are all of one appliance, with its manifest, and the
/// manifest with its signature. `notes` takes what somebody may want to know. None if there is no manifest, or the
/// user wants none of it.
///
/// # Errors
/// If something is not what the manifest says; if it cannot be read; if the user ends it.
pub(crate) fn verify(
    sources: &[&Source],
    skip: bool,
    cancel: &CancelToken,
    observer: &mut dyn FnMut(Stage),
    notes: &mut Vec<String>,
) -> anyhow::Result<Option<Verification>> {
    let appliances: Vec<&Appliance> = sources
        .iter()
        .filter_map(|source| source.appliance.as_ref())
        .collect();
    let Some(first) = appliances.first() else {
        return Ok(None);
    };
    if skip {
        notes.push("the files were not compared with the manifest (--no-verify)".to_owned());
        return Ok(None);
    }
    let mut known = HashSet::new();
    let files: Vec<&File> = appliances
        .iter()
        .flat_map(|appliance| appliance.files())
        .filter(|file| known.insert(&file.id))
        .collect();
    let package = &first.package;
    let mut tell = |done, total| {
        observer(Stage::Verify { done, total });
        !cancel.is_cancelled()
    };
    let report = verify::verify_files(package, &first.envelope, &files, &mut tell);
    let report = match report {
        Err(ArchiveError::Interrupted) => bail!("interrupted"),
        report => report.with_context(|| format!("verifying {}", package.path().display()))?,
    };
    if !report.ok {
        bail!(refusal(package.path(), &report));
    }
    notes.extend(remarks(&report));
    Ok(verification(package, report))
}

fn verification(package: &Package, report: Report) -> Option<Verification> {
    let manifest = package.manifest()?.name.clone();
    let (signed_by, trusted) = report
        .signature
        .map(|signature| (signature.subject, signature.trusted))
        .unzip();
    Some(Verification {
        manifest,
        files: report.files.into_iter().map(|file| file.name).collect(),
        signed_by,
        trusted,
        bytes: report.bytes,
        seconds: (report.seconds * 10.0).round() / 10.0,
    })
}

/// What is wrong, and what to do.
fn refusal(path: &Path, report: &Report) -> String {
    let wrong: Vec<String> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| match &finding.file {
            Some(file) => format!("{file}: {}", finding.message),
            None => finding.message.clone(),
        })
        .collect();
    let shown = wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    let more = match wrong.len() - shown.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!(
        "{} is not what its maker packed: {}{more}. Nothing was converted. Fetch it again; if you changed it \
         yourself, or want it as it is, use --no-verify",
        path.display(),
        shown.join("; ")
    )
}

/// Warnings of a verification that concern who converts.
fn remarks(report: &Report) -> Vec<String> {
    report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Warning)
        // Images that are larger than the descriptor says are converted in their own size.
        .filter(|finding| finding.code.starts_with("mf.") || finding.code.starts_with("cert."))
        .map(|finding| match &finding.file {
            Some(file) => format!("{file}: {}", finding.message),
            None => finding.message.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::descriptor;
    use super::super::{Selection, read};
    use super::*;

    /// SHA-256 of a file, as coreutils computes it.
    fn digest(path: &Path) -> String {
        let output = std::process::Command::new("sha256sum")
            .arg(path)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()[..64].to_owned()
    }

    #[test]
    fn what_is_used_is_compared() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        fs::write(file("a.ovf"), descriptor("d.img", &["vm"])).unwrap();
        fs::write(file("d.img"), [7; 8192]).unwrap();
        let manifest = |names: &[&str]| {
            let lines: String = names
                .iter()
                .map(|name| format!("SHA256({name})= {}\n", digest(&file(name))))
                .collect();
            // What this machine does not need may be missing.
            fs::write(file("a.mf"), lines + "SHA256(doc.iso)= 00\n").unwrap();
        };
        let run = |skip| {
            let source = read(dir.path(), &Selection::default()).unwrap();
            let mut notes = Vec::new();
            let mut told = 0;
            let result = verify(
                &[&source],
                skip,
                &CancelToken::default(),
                &mut |_| told += 1,
                &mut notes,
            );
            (result.map_err(|error| format!("{error:#}")), notes, told)
        };
        let (result, notes, told) = run(false);
        assert!(result.unwrap().is_none());
        // Nothing is read if there is nothing to compare with.
        assert_eq!((notes.len(), told), (1, 0));
        assert!(notes[0].contains("no manifest"), "{notes:?}");

        manifest(&["a.ovf", "d.img"]);
        let (result, notes, _) = run(false);
        let found = result.unwrap().unwrap();
        assert_eq!(found.files, ["a.ovf", "d.img"]);
        assert_eq!(found.manifest, "a.mf");
        assert_eq!(notes, Vec::<String>::new());

        let right = digest(&file("d.img"));
        fs::write(file("d.img"), [8; 8192]).unwrap();
        let message = run(false).0.unwrap_err();
        for words in [
            "d.img: its SHA-256 digest is ",
            right.as_str(),
            digest(&file("d.img")).as_str(),
            "Nothing was converted",
            "--no-verify",
        ] {
            assert!(message.contains(words), "{words} in {message}");
        }
        let (result, notes, told) = run(true);
        assert!(result.unwrap().is_none());
        assert_eq!((notes.len(), told), (1, 0));
        manifest(&["a.ovf"]);
        let message = run(false).0.unwrap_err();
        assert!(
            message.contains("the manifest does not name it"),
            "{message}"
        );
    }
}
