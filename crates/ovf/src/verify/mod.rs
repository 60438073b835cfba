//! Is an appliance what its maker packed: digests, signature, files and disks.
//!
//! One pass over the package at the speed of the disk that it is on: a thread reads, another one digests and
//! walks the structure of the disk images that go by.

mod certificate;
mod manifest;
mod pass;
mod report;
mod vmdk;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Instant;

use crate::archive::name::{self, Href};
use crate::archive::{ArchiveError, Member, Package, check_sizes};
use crate::descriptor::{Compression, Envelope, File, Severity};

pub use certificate::Signature;
pub use manifest::Algorithm;
pub use report::{Digest, DiskReport, FileReport, Finding, Report};

use manifest::{Entry, Manifest};
use pass::{Job, Outcome};

/// Largest manifest and certificate that are read, in bytes.
const MAX_MANIFEST: u64 = 4 << 20;
const MAX_CERTIFICATE: u64 = 1 << 20;

/// Verifies a package. `cas` are files of certificates that may sign beside those that the system trusts;
/// `progress` is told how many bytes of how many are read, and answers whether to go on.
///
/// # Errors
///
/// If the package cannot be read to its end, or `progress` ends it. That something is wrong with it is no
/// error but in the [`Report`].
pub fn verify(
    package: &Package,
    cas: &[&Path],
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Report, ArchiveError> {
    let start = Instant::now();
    let mut check = Check::new(package, false);
    for note in package.notes() {
        check
            .report
            .add(note.severity, note.code, None, note.message.clone());
    }
    let manifest = check.manifest()?;
    let envelope = check.envelope();
    let files = envelope.iter().flat_map(|envelope| &envelope.files);
    check.run(
        envelope.as_ref(),
        &files.collect::<Vec<_>>(),
        manifest.as_ref(),
        cas,
        progress,
    )?;
    Ok(check.result(start))
}

/// Verifies what a conversion is about to use: the descriptor, these files of it, and the signature. Nothing else
/// of the package is read or missed, and what is wrong in the descriptor's text is not said again. Without a
/// manifest there is nothing to compare with, and no file is read.
///
/// # Errors
///
/// As [`verify`].
pub fn verify_files(
    package: &Package,
    envelope: &Envelope,
    files: &[&File],
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Report, ArchiveError> {
    let start = Instant::now();
    let mut check = Check::new(package, true);
    if let Some(manifest) = check.manifest()? {
        check.run(Some(envelope), files, Some(&manifest), &[], progress)?;
    }
    Ok(check.result(start))
}

struct Check<'p> {
    package: &'p Package,
    /// Whether only chosen files count, and not all that the manifest names.
    chosen: bool,
    report: Report,
    jobs: Vec<Job>,
    /// Index of each member in `jobs`.
    index: HashMap<String, usize>,
    referenced: HashSet<String>,
}

impl<'p> Check<'p> {
    fn new(package: &'p Package, chosen: bool) -> Self {
        Self {
            package,
            chosen,
            report: Report::new(package.path()),
            jobs: Vec::new(),
            index: HashMap::new(),
            referenced: HashSet::new(),
        }
    }

    fn run(
        &mut self,
        envelope: Option<&Envelope>,
        files: &[&File],
        manifest: Option<&Manifest>,
        cas: &[&Path],
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<(), ArchiveError> {
        self.add(self.package.descriptor());
        if let Some(envelope) = envelope {
            self.references(envelope, files);
        }
        if let Some(manifest) = manifest {
            self.listed(manifest);
        }
        self.signature(manifest, cas)?;
        let outcomes = pass::run(&self.jobs, progress)?;
        self.finish(outcomes, envelope, manifest);
        Ok(())
    }

    fn result(mut self, start: Instant) -> Report {
        let is_wrong = |finding: &Finding| finding.severity == Severity::Error;
        self.report.ok = !self.report.findings.iter().any(is_wrong);
        self.report.seconds = start.elapsed().as_secs_f64();
        self.report
    }

    fn manifest(&mut self) -> Result<Option<Manifest>, ArchiveError> {
        let Some(member) = self.package.manifest() else {
            self.report.warn(
                "mf.absent",
                None,
                "there is no manifest: whether the files are unchanged cannot be known".to_owned(),
            );
            return Ok(None);
        };
        let bytes = self.package.read(member, MAX_MANIFEST)?;
        let manifest = Manifest::parse(&bytes);
        for (line, why) in &manifest.unread {
            self.report.error(
                "mf.unparsed",
                Some(&member.name),
                format!("line {line}: {why}"),
            );
        }
        if manifest
            .entries
            .iter()
            .any(|entry| entry.algorithm == Algorithm::Sha1)
        {
            self.report.warn(
                "mf.sha1",
                Some(&member.name),
                "it has SHA-1 digests, which find damage but not forgery".to_owned(),
            );
        }
        self.report.manifest = Some(member.name.clone());
        Ok(Some(manifest))
    }

    fn envelope(&mut self) -> Option<Envelope> {
        match self.package.envelope(None) {
            Ok(envelope) => {
                let name = self.package.descriptor().name.clone();
                for problem in &envelope.problems {
                    self.report.add(
                        problem.severity,
                        problem.code,
                        Some(&name),
                        problem.to_string(),
                    );
                }
                Some(envelope)
            }
            Err(error) => {
                self.report.error("ovf.xml", None, error.to_string());
                None
            }
        }
    }

    /// Has a member read, once.
    fn add(&mut self, member: &Member) -> usize {
        let next = self.jobs.len();
        let index = *self.index.entry(member.name.clone()).or_insert(next);
        if index == next {
            self.jobs.push(Job {
                member: member.clone(),
                algorithms: Vec::new(),
                disk: None,
            });
        }
        index
    }

    fn references(&mut self, envelope: &Envelope, files: &[&File]) {
        let disks: HashSet<&str> = envelope
            .disks
            .iter()
            .filter_map(|disk| disk.file.as_deref())
            .collect();
        for (number, file) in envelope.files.iter().enumerate() {
            if !files.iter().any(|one| one.id == file.id) {
                continue;
            }
            // What the descriptor must not name was said of the descriptor.
            if !matches!(name::classify(&file.href), Ok(Href::Inside(_))) {
                continue;
            }
            match self.package.located(file) {
                Err(error) => {
                    self.report
                        .error("ref.missing", Some(&file.href), error.to_string());
                }
                Ok(pieces) => {
                    if let Err(error) = check_sizes(file, &pieces) {
                        self.report
                            .error("ref.size", Some(&file.href), error.to_string());
                    }
                    for (part, piece) in pieces.iter().enumerate() {
                        self.referenced.insert(piece.name.clone());
                        let index = self.add(piece);
                        if disks.contains(file.id.as_str())
                            && let Some(job) = self.jobs.get_mut(index)
                        {
                            job.disk = Some(pass::Piece {
                                file: number,
                                part,
                                gzip: file.compression == Compression::Gzip,
                            });
                        }
                    }
                }
            }
        }
    }

    /// What the manifest names is digested, and it must name all that belongs to the appliance.
    fn listed(&mut self, manifest: &Manifest) {
        let mut named = HashSet::new();
        let descriptor = self.package.descriptor().name.clone();
        for Entry {
            algorithm, name, ..
        } in &manifest.entries
        {
            let Ok(member) = self.package.find(name) else {
                if self.chosen {
                    continue;
                }
                self.report.error(
                    "mf.missing",
                    Some(name),
                    "the manifest names it, but it is not in the package".to_owned(),
                );
                continue;
            };
            let is_used = member.name == descriptor || self.referenced.contains(&member.name);
            if self.chosen && !is_used {
                continue;
            }
            named.insert(member.name.clone());
            let index = self.add(&member);
            if let Some(job) = self.jobs.get_mut(index)
                && !job.algorithms.contains(algorithm)
            {
                job.algorithms.push(*algorithm);
            }
        }
        let wanted = self.referenced.iter().chain(std::iter::once(&descriptor));
        let mut missing: Vec<&String> = wanted.filter(|name| !named.contains(*name)).collect();
        missing.sort();
        for name in missing {
            self.report.error(
                "mf.incomplete",
                Some(name),
                "it belongs to the appliance, but the manifest does not name it".to_owned(),
            );
        }
    }

    fn signature(
        &mut self,
        manifest: Option<&Manifest>,
        cas: &[&Path],
    ) -> Result<(), ArchiveError> {
        let Some(member) = self.package.certificate() else {
            return Ok(());
        };
        let name = member.name.clone();
        let (Some(signed), Some(_)) = (self.package.manifest(), manifest) else {
            self.report.error(
                "cert.manifest",
                Some(&name),
                "it signs a manifest, but there is none".to_owned(),
            );
            return Ok(());
        };
        let content = self.package.read(member, MAX_CERTIFICATE)?;
        let signed_bytes = self.package.read(signed, MAX_MANIFEST)?;
        match certificate::check(&content, &signed.name, &signed_bytes, cas) {
            Err(why) => self.report.error("cert.unreadable", Some(&name), why),
            Ok(signature) => {
                if !signature.valid {
                    self.report.error(
                        "cert.signature",
                        Some(&name),
                        format!(
                            "the signature is not one of {} by {}: the manifest was changed after it was signed, \
                             or the certificate is another's",
                            signed.name, signature.subject
                        ),
                    );
                } else if let Some(why) = &signature.untrusted {
                    self.report.warn(
                        "cert.untrusted",
                        Some(&name),
                        format!(
                            "it is signed by {}, whose certificate is not trusted: {why}; if you know it \
                             (SHA-256 {}), give its issuer with --ca",
                            signature.subject, signature.fingerprint
                        ),
                    );
                }
                self.report.signature = Some(signature);
            }
        }
        Ok(())
    }

    fn finish(
        &mut self,
        outcomes: Vec<Outcome>,
        envelope: Option<&Envelope>,
        manifest: Option<&Manifest>,
    ) {
        let expected = manifest.map_or(&[][..], |manifest| &manifest.entries);
        for (job, outcome) in self.jobs.iter().zip(&outcomes) {
            self.report.bytes += job.member.size;
            let mut digests = Vec::new();
            for entry in expected {
                let is_this = self
                    .package
                    .find(&entry.name)
                    .is_ok_and(|member| member.name == job.member.name);
                let Some((_, actual)) = outcome
                    .digests
                    .iter()
                    .find(|(algorithm, _)| *algorithm == entry.algorithm)
                    .filter(|_| is_this)
                else {
                    continue;
                };
                let digest = Digest {
                    algorithm: entry.algorithm,
                    expected: entry.digest.clone(),
                    actual: actual.clone(),
                    ok: *actual == entry.digest,
                };
                if !digest.ok {
                    self.report
                        .findings
                        .push(Finding::mismatch(&job.member.name, &digest));
                }
                digests.push(digest);
            }
            self.report.files.push(FileReport {
                name: job.member.name.clone(),
                size: job.member.size,
                referenced: self.referenced.contains(&job.member.name),
                digests,
            });
        }
        let Some(envelope) = envelope else { return };
        for (number, file) in envelope.files.iter().enumerate() {
            let images: Vec<&pass::Image> = outcomes
                .iter()
                .filter_map(|outcome| outcome.image.as_ref())
                .filter(|image| image.file == number)
                .collect();
            let Some(image) = images.first() else {
                continue;
            };
            for disk in envelope
                .disks
                .iter()
                .filter(|disk| disk.file.as_deref() == Some(&file.id))
            {
                let report = image.report(disk, &file.href);
                if let Some(error) = &report.error {
                    self.report
                        .error("disk.unreadable", Some(&file.href), error.clone());
                }
                if let Some(warning) = image.shrinks(disk) {
                    self.report.warn("disk.shrink", Some(&file.href), warning);
                }
                self.report.disks.push(report);
            }
        }
        if !self.chosen {
            self.unreferenced();
        }
    }

    fn unreferenced(&mut self) {
        let companions = [self.package.manifest(), self.package.certificate()];
        let known: HashSet<&str> = companions
            .into_iter()
            .flatten()
            .map(|member| member.name.as_str())
            .collect();
        if self.package.kind() != crate::archive::Kind::Archive {
            return;
        }
        for member in self.package.members() {
            let name = member.name.as_str();
            if !self.index.contains_key(name) && !known.contains(name) {
                self.report.warn(
                    "ref.extra",
                    Some(name),
                    "neither the descriptor nor the manifest names it".to_owned(),
                );
            }
        }
    }
}
