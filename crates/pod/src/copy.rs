//! virt-v2v copies onto the target's disks; then the fixups work on the copies.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use refit_convert::{Opened, Selection};
use refit_engine::Nic;
use refit_engine::disks::{Format, ImageOptions};
use refit_machine::Machine;
use refit_v2v::{Event, Input, KubevirtOptions, Phase};

use crate::modes::{hyperv_options, ova_options, vsphere_options};
use crate::run::{Converted, Run};
use crate::session::{self, On};
use crate::{Metrics, MetricsServer, Source, refused};

/// No file of answers is longer, in bytes.
const MAX_ANSWERS: u64 = 4 << 20;
/// Where what stands for the source is kept while it is read: whole disks, if they are compressed.
const SCRATCH: &str = "refit-source";

/// Converts.
///
/// # Errors
/// If virt-v2v fails, or a disk cannot be written. The target's disks are unfinished then; the source is as it was.
pub(crate) fn convert(run: &mut Run<'_, '_>) -> anyhow::Result<Converted> {
    let scratch = run.state_dir.join(SCRATCH);
    fs::create_dir_all(&scratch).with_context(|| format!("creating {}", scratch.display()))?;
    let result = with_scratch(run, &scratch);
    if let Err(error) = fs::remove_dir_all(&scratch) {
        tracing::warn!("removing {}: {error}", scratch.display());
    }
    result
}

fn with_scratch(run: &mut Run<'_, '_>, scratch: &Path) -> anyhow::Result<Converted> {
    let (mut opened, mut options) = source(run, scratch)?;
    run.complete(&mut options.settings);
    // Until the fixups are done, of which it tells, too; and no longer: then the results are served.
    let _server = metrics_server(run)?;
    let metrics = run.metrics.clone();
    let mut observe = |event: Event| tell(&metrics, &event);
    let done = refit_v2v::run_kubevirt(&run.tools, &options, &mut observe, run.cancel)
        .with_context(|| format!("converting {}", options.input.path().display()));
    let mut converted = Converted {
        machine: opened.as_ref().and_then(Opened::machine).cloned(),
        notes: opened
            .iter()
            .flat_map(Opened::remarks)
            .map(str::to_owned)
            .collect(),
        ..Converted::default()
    };
    match done {
        Ok(outcome) => converted.v2v = Some(outcome),
        Err(error) => {
            let (Some(why), Some(opened)) = (refused::by_virt_v2v(&error), &mut opened) else {
                return Err(error);
            };
            tracing::warn!("{why}; refit goes on without it");
            return own(run, opened, scratch, converted, error);
        }
    }
    run.metrics.all_copied();
    for disk in &run.disks {
        ensure!(
            disk.path.exists(),
            "{}: virt-v2v wrote nothing to it; has the source fewer disks?",
            disk.path.display()
        );
    }
    let nics = nics(converted.machine.as_ref());
    let told = opened.as_ref().and_then(Opened::environment);
    let specs = run
        .disks
        .iter()
        .map(|disk| session::raw(&disk.path))
        .collect();
    match session::fix(run, &On::Disks(specs), nics, told) {
        Ok(fixed) => converted.fixed(run, fixed)?,
        Err(_) if run.cancel.is_cancelled() => bail!("interrupted"),
        Err(error) => converted.not_fixed(error, None)?,
    }
    Ok(converted)
}

/// What is read, and how virt-v2v is to read it.
fn source(run: &Run<'_, '_>, scratch: &Path) -> anyhow::Result<(Option<Opened>, KubevirtOptions)> {
    let (settings, keys) = (run.settings, &run.keys.v2v);
    Ok(match settings.source {
        Some(Source::VSphere) => (None, vsphere_options(settings, keys)),
        Some(Source::HyperV) => {
            let options = hyperv_options(settings, keys);
            let opened = Opened::read(&options.input, &Selection::default())?;
            (Some(opened), options)
        }
        Some(Source::Ova) => {
            let given = Input::Ova(PathBuf::from(&settings.disk_path));
            let (opened, input) = appliance(run, &given, scratch)?;
            (opened, ova_options(settings, keys, input))
        }
        // `Settings::check` has refused them.
        Some(Source::Ec2) | None => bail!("{} cannot be copied", settings.source_name),
    })
}

/// Reads an appliance's descriptor. virt-v2v gets the appliance itself where it would see the same machine, and where
/// refit cannot read it.
fn appliance(
    run: &Run<'_, '_>,
    given: &Input,
    scratch: &Path,
) -> anyhow::Result<(Option<Opened>, Input)> {
    let answered = run.env.ovf_values.is_some();
    let mut opened = match Opened::read(given, &selection(run.env.ovf_values.as_deref())?) {
        Ok(opened) => opened,
        Err(error) if answered => return Err(error),
        Err(error) => {
            tracing::warn!("{error:#}; leaving the appliance to virt-v2v");
            return Ok((None, given.clone()));
        }
    };
    let Some(why) = opened.beyond_virt_v2v() else {
        return Ok((Some(opened), given.clone()));
    };
    tracing::info!(
        "{}: {why}: virt-v2v gets its hardware and disks from refit",
        given.path().display()
    );
    opened.verify(run.cancel)?;
    let domain = opened.as_domain(
        run.settings.target_name(),
        scratch,
        &ImageOptions::default(),
        run.cancel,
    );
    match domain {
        Ok(input) => Ok((Some(opened), input)),
        Err(error) if answered || run.cancel.is_cancelled() => Err(error),
        Err(error) => {
            tracing::warn!("{error:#}; leaving the appliance to virt-v2v");
            Ok((Some(opened), given.clone()))
        }
    }
}

fn selection(values: Option<&Path>) -> anyhow::Result<Selection> {
    let Some(path) = values else {
        return Ok(Selection::default());
    };
    let reading = || format!("reading the answers in {}", path.display());
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_ANSWERS).read_to_string(&mut text))
        .with_context(reading)?;
    Ok(Selection {
        answers: refit_ovf::spec::read(&text).with_context(reading)?,
        ..Selection::default()
    })
}

/// refit's own copy, of a guest that virt-v2v refuses: the fixups work on overlays of the source, and what these show
/// is copied.
fn own(
    run: &mut Run<'_, '_>,
    opened: &mut Opened,
    scratch: &Path,
    mut converted: Converted,
    refusal: anyhow::Error,
) -> anyhow::Result<Converted> {
    // It may not have come so far.
    opened.verify(run.cancel)?;
    // virt-v2v's overlays may be there.
    let scratch = scratch.join("own");
    fs::create_dir_all(&scratch).context("making a directory for overlays")?;
    let overlays = opened.overlays(&scratch, &ImageOptions::default(), run.cancel)?;
    ensure!(
        overlays.len() == run.disks.len(),
        "the source has {} disks, and {} are mounted for the target",
        overlays.len(),
        run.disks.len()
    );
    let nics = nics(converted.machine.as_ref());
    let cancel = run.cancel;
    let renew = || {
        let made = opened.overlays(&scratch, &ImageOptions::default(), cancel);
        made.map(drop)
    };
    match session::fix(
        run,
        &On::Overlays(&overlays, &renew),
        nics,
        opened.environment(),
    ) {
        Ok(fixed) => converted.fixed(run, fixed)?,
        Err(_) if run.cancel.is_cancelled() => bail!("interrupted"),
        Err(error) => converted.not_fixed(error, Some(refusal))?,
    }
    run.metrics.phase("copy");
    let disks = u32::try_from(overlays.len()).unwrap_or(u32::MAX);
    for ((number, overlay), disk) in (1..).zip(&overlays).zip(&run.disks) {
        run.metrics.disk_started(number, disks);
        let metrics = run.metrics.clone();
        refit_image::copy(
            (overlay, Format::Qcow2),
            (&disk.path, Format::Raw),
            &mut |percent| metrics.disk_percent(number, f64::from(percent)),
            &|| run.cancel.is_cancelled(),
        )
        .with_context(|| format!("copying disk {number} to {}", disk.path.display()))?;
        fs::File::open(&disk.path)
            .and_then(|file| file.sync_all())
            .with_context(|| format!("writing {}", disk.path.display()))?;
    }
    run.metrics.all_copied();
    Ok(converted)
}

fn nics(machine: Option<&Machine>) -> Vec<Nic> {
    machine
        .map(|machine| refit_engine::nic::from_machine(machine, "the source's hardware"))
        .unwrap_or_default()
}

/// The metrics, for as long as somebody has the server.
fn metrics_server(run: &Run<'_, '_>) -> anyhow::Result<Option<MetricsServer>> {
    match MetricsServer::start(run.metrics.clone(), run.env.metrics) {
        Ok(server) => Ok(Some(server)),
        // A missing progress bar is no reason not to migrate.
        Err(error) => {
            tracing::warn!("there will be no metrics: {error:#}");
            Ok(None)
        }
    }
}

fn tell(metrics: &Metrics, event: &Event) {
    match event {
        Event::Phase { phase, disk, .. } => {
            metrics.phase(phase.id());
            match (phase, disk) {
                (_, Some((disk, disks))) => metrics.disk_started(*disk, *disks),
                (Phase::Metadata | Phase::Finish, None) => metrics.all_copied(),
                _ => {}
            }
        }
        Event::Copy {
            disk,
            disks,
            percent,
            bytes,
            total,
        } => {
            metrics.disk_started(*disk, *disks);
            metrics.disk_percent(*disk, f64::from(*percent));
            if let (Some(bytes), Some(total)) = (bytes, total) {
                metrics.bytes(*disk, *bytes, *total);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::process::Command;
    use std::time::Duration;

    use refit_engine::target::Settings as EngineSettings;
    use refit_v2v::{CancelToken, Environment, Tools};

    use super::*;
    use crate::keys::Keys;
    use crate::{PodEnvironment, Settings};

    #[test]
    fn a_disk_that_was_begun_has_a_series_and_is_there_at_the_end() {
        let metrics = Metrics::new();
        let begin = |phase, disk| {
            let text = String::new();
            let at = Duration::ZERO;
            let event = Event::Phase {
                phase,
                text,
                disk,
                at,
            };
            tell(&metrics, &event);
            metrics.render()
        };
        let series = |value: u8| format!("v2v_disk_transfers{{disk_id=\"2\"}} {value}\n");
        assert!(begin(Phase::Copy, Some((2, 3))).contains(&series(0)));
        assert!(begin(Phase::Other, None).contains(&series(0)));
        assert!(begin(Phase::Metadata, None).contains(&series(100)));
    }

    /// A script stands for virt-v2v, and the session ends where it would start the appliance.
    #[test]
    fn metrics_are_served_while_the_fixups_run_and_no_longer() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let script = root.join("virt-v2v");
        let text = "case $1 in --*) exit;; esac\n\
            echo '[ 1.0] Copying disk 1/1'; echo '  40% [**--]'; echo '[ 2.0] Finishing off'";
        // A child writes it, because another test's child might hold the file open.
        let status = Command::new("sh")
            .args([
                "-ec",
                r#"printf '#!/bin/sh\n%s\n' "$1" > "$0"; chmod +x "$0""#,
            ])
            .args([script.as_os_str(), text.as_ref()])
            .status();
        assert!(status.unwrap().success());
        let disk = root.join("disk.img");
        fs::write(&disk, vec![1; 1 << 20]).unwrap();
        let settings = [
            ("V2V_source", "ova"),
            ("V2V_vmName", "web1"),
            ("V2V_diskPath", "/nowhere.ova"),
            ("REFIT_POD_ROOT", root.to_str().unwrap()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::read(settings, []).unwrap();
        fs::create_dir_all(&settings.paths.work_dir).unwrap();
        let mut env = PodEnvironment::read(root, |_| None).unwrap();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        env.metrics = TcpListener::bind(any_port).unwrap().local_addr().unwrap();
        let mut pages = Vec::new();
        let mut engine = EngineSettings {
            os_device: None,
            keys: Vec::new(),
            force_tcg: &|| false,
            launch_limit: Duration::from_secs(1),
            in_place: false,
            disks: refit_engine::disks::Options::default(),
            on_handle: &mut |handle| assert!(handle.stop()),
            progress: &mut |_| {
                let mut stream = TcpStream::connect(env.metrics).unwrap();
                write!(stream, "GET /metrics HTTP/1.1\r\nHost: pod\r\n\r\n").unwrap();
                let mut page = String::new();
                stream.read_to_string(&mut page).unwrap();
                pages.push(page);
            },
        };
        let cancel = CancelToken::default();
        let environment = Environment::current().with("REFIT_VIRT_V2V", script);
        let mut run = Run {
            settings: &settings,
            env: &env,
            engine: &mut engine,
            fixups: &[],
            scripts: Vec::new(),
            cancel: &cancel,
            tools: Tools::find(&environment),
            keys: Keys::default(),
            nics: Vec::new(),
            virtio_win: None,
            state_dir: root.to_owned(),
            metrics: Metrics::new(),
            disks: vec![crate::Disk {
                number: 0,
                link: disk.clone(),
                path: disk,
            }],
        };
        let converted = convert(&mut run).unwrap();
        assert!(converted.warnings[0].message.contains("none was applied"));
        assert_eq!(pages.len(), 1);
        assert!(
            pages[0].contains("v2v_disk_transfers{disk_id=\"1\"} 100\n"),
            "{}",
            pages[0]
        );
        let error = TcpStream::connect(env.metrics).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn answers_that_cannot_be_read_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("values.toml");
        assert!(selection(Some(&path)).is_err());
        fs::write(&path, "nonsense [").unwrap();
        assert!(format!("{:#}", selection(Some(&path)).unwrap_err()).contains("values.toml"));
        selection(None).unwrap();
    }
}
