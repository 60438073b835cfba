//! From arguments to what the fixups are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use refit_engine::{Fixup, Nic, Parameter, ParameterType, Request, Selection, nic};
use refit_ovf::Package;

use crate::args::FixupArgs;
use crate::output::UsageError;

/// Which fixups take part.
pub fn selection(args: &FixupArgs, catalogue: &[&dyn Fixup]) -> anyhow::Result<Selection> {
    let checked = |ids: &[String]| -> anyhow::Result<BTreeSet<String>> {
        for id in ids {
            find(id, catalogue)?;
        }
        Ok(ids.iter().cloned().collect())
    };
    Ok(Selection {
        only: checked(&args.only)?,
        skip: checked(&args.skip)?,
    })
}

/// NICs and parameters.
pub fn request(args: &FixupArgs, catalogue: &[&dyn Fixup]) -> anyhow::Result<Request> {
    Ok(Request {
        nics: nic::merge(nics(args)?).map_err(|error| UsageError(format!("{error:#}")))?,
        parameters: parameters(args, catalogue)?,
        virtio_win: virtio_win(args),
        ovf_environment: None,
    })
}

/// Where drivers for Windows guests are, if they are anywhere.
fn virtio_win(args: &FixupArgs) -> Option<PathBuf> {
    let found = refit_virtio_win::locate(args.virtio_win.as_deref(), |name| std::env::var_os(name));
    found.map(|found| found.path)
}

fn nics(args: &FixupArgs) -> anyhow::Result<Vec<Nic>> {
    let mut nics = Vec::new();
    if let Some(path) = &args.vmx {
        nics.extend(nic::from_machine(&refit_convert::read_vmx(path)?, "--vmx"));
    }
    if let Some(path) = &args.ovf {
        let package = Package::open(path)?;
        let envelope = package
            .envelope(None)
            .with_context(|| format!("reading {}", path.display()))?;
        let configuration = envelope.default_configuration();
        let configuration = configuration.map(|one| one.id.as_str());
        // A NIC is known by its address, so those of other machines do no harm.
        for system in envelope.systems() {
            let hardware = envelope.hardware(system, configuration, &|_| None);
            nics.extend(nic::from_machine(&hardware.machine, "--ovf"));
        }
    }
    for text in &args.nic {
        let nic: Nic = text
            .parse()
            .map_err(|error: anyhow::Error| UsageError(format!("--nic {error:#}")))?;
        nics.push(nic);
    }
    if let Some(text) = &args.static_ips {
        nics.extend(nic::parse_static_ips(text).map_err(|error| UsageError(format!("{error:#}")))?);
    }
    Ok(nics)
}

type Parameters = BTreeMap<String, BTreeMap<String, toml::Value>>;

fn parameters(args: &FixupArgs, catalogue: &[&dyn Fixup]) -> anyhow::Result<Parameters> {
    let mut parameters: Parameters = match &args.params {
        None => BTreeMap::new(),
        Some(path) => {
            let text =
                fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            let usage = |error: String| UsageError(format!("--params {}: {error}", path.display()));
            let given: Parameters =
                toml::from_str(&text).map_err(|error| usage(error.to_string()))?;
            for (id, values) in &given {
                for (name, value) in values {
                    let parameter = parameter(id, name, catalogue)
                        .map_err(|error| usage(format!("{error:#}")))?;
                    if !parameter.r#type.admits(value) {
                        return Err(
                            usage(format!("{id}.{name} is not {}", parameter.r#type)).into()
                        );
                    }
                }
            }
            given
        }
    };
    if let Some(bus) = args.bus {
        let drivers = parameters.entry("windows-virtio".to_owned()).or_default();
        drivers.insert("bus".to_owned(), bus.name().into());
    }
    for text in &args.set {
        let usage = |error: String| UsageError(format!("--set {text}: {error}"));
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| usage("expected ID.PARAM=VALUE".to_owned()))?;
        let (id, name) = name
            .rsplit_once('.')
            .ok_or_else(|| usage("expected ID.PARAM=VALUE".to_owned()))?;
        let parameter =
            parameter(id, name, catalogue).map_err(|error| usage(format!("{error:#}")))?;
        let value = parse(parameter.r#type, value)
            .ok_or_else(|| usage(format!("{value:?} is not {}", parameter.r#type)))?;
        parameters
            .entry(id.to_owned())
            .or_default()
            .insert(name.to_owned(), value);
    }
    Ok(parameters)
}

/// The fixup with this identifier.
pub fn find<'c>(id: &str, catalogue: &[&'c dyn Fixup]) -> anyhow::Result<&'c dyn Fixup> {
    catalogue
        .iter()
        .copied()
        .find(|fixup| fixup.info().id == id)
        .ok_or_else(|| {
            UsageError(format!(
                "there is no fixup {id:?}; `refit fixups list` shows them"
            ))
            .into()
        })
}

fn parameter<'c>(
    id: &str,
    name: &str,
    catalogue: &[&'c dyn Fixup],
) -> anyhow::Result<&'c Parameter> {
    find(id, catalogue)?
        .info()
        .parameters
        .get(name)
        .ok_or_else(|| {
            UsageError(format!(
                "fixup {id} has no parameter {name:?}; `refit fixups show {id}` shows them"
            ))
            .into()
        })
}

fn parse(kind: ParameterType, text: &str) -> Option<toml::Value> {
    Some(match kind {
        ParameterType::Bool => toml::Value::Boolean(text.parse().ok()?),
        ParameterType::Integer => toml::Value::Integer(text.parse().ok()?),
        ParameterType::String => toml::Value::String(text.to_owned()),
    })
}
