//! `refit ova env`

use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
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
    let document = env::document(&Environment {
        platform,
        properties: &found.properties,
        adapters: &adapters,
        siblings: &found.siblings,
    });
    let settings: Vec<(String, String)> = system
        .guestinfo()
        .into_iter()
        .map(|setting| (setting.key.clone(), setting.value.clone()))
        .collect();
    let guestinfo = env::guestinfo(&settings);
    let medium =
        env::medium_with(&document, guestinfo.as_deref(), now()).context("making the ISO image")?;
    let files = Files::prepare(&args.out, args.force)?;
    files.write(&files.document, document.as_bytes())?;
    files.write(&files.iso, &medium)?;
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

/// Time of the medium: that of `SOURCE_DATE_EPOCH` (reproducible-builds.org), or now.
fn now() -> i64 {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
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
            iso: out.join("ovf-env.iso"),
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

    /// A new file takes the place of an old one, so that nobody reads half of it, and nothing is written
    /// through a link.
    fn write(&self, path: &Path, content: &[u8]) -> anyhow::Result<()> {
        let writing = || format!("writing {}", path.display());
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir).with_context(writing)?;
        let private = fs::Permissions::from_mode(0o600);
        file.as_file()
            .set_permissions(private)
            .with_context(writing)?;
        file.write_all(content).with_context(writing)?;
        file.as_file().sync_all().with_context(writing)?;
        file.persist(path).with_context(writing)?;
        Ok(())
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
