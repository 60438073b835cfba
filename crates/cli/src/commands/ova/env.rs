//! `refit ova env`

use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use refit_convert::PrivateFile;
use refit_convert::environment::{self, Medium};
use refit_ovf::env::{self, Adapter, Environment, Platform};
use refit_ovf::properties::{Assigned, Violation, resolve};
use refit_ovf::{ChoiceError, Envelope};
use serde::Serialize;

use super::{answers, descriptor};
use crate::args::EnvArgs;
use crate::output::{Exit, Output, UsageError};
use crate::render;

/// The document of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    system: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<String>,
    document: PathBuf,
    iso: PathBuf,
    properties: Vec<Shown>,
    warnings: Vec<Violation>,
    notes: Vec<String>,
}

/// A property; the value of a secret stays out.
#[derive(Debug, Serialize)]
struct Shown {
    key: String,
    secret: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl From<&Assigned> for Shown {
    fn from(one: &Assigned) -> Self {
        Self {
            key: one.key.clone(),
            secret: one.secret,
            value: (!one.secret).then(|| one.value.clone()),
        }
    }
}

pub fn run(args: &EnvArgs, output: &Output) -> anyhow::Result<Exit> {
    let envelope = descriptor::read(&args.file)?;
    let system = envelope
        .choose_system(args.system.as_deref())
        .map_err(|error| match error {
            ChoiceError::SeveralSystems(_) => UsageError(error.to_string()).into(),
            error @ ChoiceError::UnknownSystem { .. } => {
                UsageError(format!("--system: {error}")).into()
            }
            other => anyhow::Error::from(other),
        })?;
    let adapters: Vec<Adapter> = args
        .nic
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()
        .map_err(|error| UsageError(format!("--nic: {error}")))?;
    let (given, policy) = answers::read(&args.answers, (&args.set).into())?;
    let resolved = resolve(&envelope, &given, policy)?;
    let found = resolved
        .system(&system.id)
        .context("finding the system's properties")?;
    let mut platform = Platform::default();
    platform.kind = args.platform_kind.clone().unwrap_or(platform.kind);
    let told = Environment {
        platform,
        properties: &found.properties,
        adapters: &adapters,
        siblings: &found.siblings,
    };
    let medium = Medium::new(&told, &environment::settings(system))?;
    let files = Files::prepare(&args.out, args.force)?;
    PrivateFile::create(&files.document)?.finish(medium.document.as_bytes())?;
    PrivateFile::create(&files.iso)?.finish(&medium.iso)?;
    let report = Report {
        schema: "refit/ova-env/v1",
        system: system.id.clone(),
        configuration: resolved.configuration.clone(),
        document: files.document,
        iso: files.iso,
        properties: found.properties.iter().map(Shown::from).collect(),
        notes: notes(&envelope, &adapters),
        warnings: resolved.warnings,
    };
    output.print(&report, || text(&report))?;
    Ok(if report.warnings.is_empty() {
        Exit::Done
    } else {
        Exit::Warnings
    })
}

fn notes(envelope: &Envelope, adapters: &[Adapter]) -> Vec<String> {
    let mut notes = Vec::new();
    let declared: Vec<&str> = envelope
        .networks
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    for adapter in adapters {
        if !declared.contains(&adapter.network.as_str()) {
            notes.push(format!(
                "--nic: the descriptor has no network {:?}, but {}",
                adapter.network,
                declared.join(", ")
            ));
        }
    }
    if adapters.is_empty() && !declared.is_empty() {
        notes.push(
            "no network card is told to the guest; where it looks for the card of a network, give \
             --nic MAC=NETWORK"
                .to_owned(),
        );
    }
    notes
}

/// The results: for their owner alone, because they hold every secret.
struct Files {
    document: PathBuf,
    iso: PathBuf,
}

impl Files {
    fn prepare(out: &Path, force: bool) -> anyhow::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(out)
            .with_context(|| format!("making the directory {}", out.display()))?;
        let files = Self {
            document: out.join(env::FILE),
            iso: out.join(environment::ISO),
        };
        for path in [&files.document, &files.iso] {
            let there = fs::symlink_metadata(path).is_ok();
            anyhow::ensure!(
                force || !there,
                "{} exists; give another --out, or overwrite it with --force",
                path.display()
            );
        }
        Ok(files)
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for one in &report.properties {
        let value = one.value.as_deref().unwrap_or("(secret)");
        let line = format!("  {} = {value}", one.key).replace('\n', "\\n");
        let _ = writeln!(text, "{}", render::printable(&line));
    }
    for warning in &report.warnings {
        let warning = warning.to_string();
        let _ = writeln!(text, "warning: {}", render::printable(&warning));
    }
    for note in &report.notes {
        let _ = writeln!(text, "note: {}", render::printable(note));
    }
    let _ = writeln!(text, "Wrote {}", report.document.display());
    let _ = writeln!(text, "Wrote {}", report.iso.display());
    text
}
