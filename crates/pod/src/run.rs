//! The whole of it: disks, conversion, one session, results.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use refit_engine::disks::{ImageOptions, Options as DiskOptions};
use refit_engine::target::{self, Fixed, Settings as EngineSettings};
use refit_engine::{Facts, Fixup, Nic, Os, sha256_hex};
use refit_machine::{Devices, DiskBus, Machine};
use refit_v2v::{Accel, CancelToken, ConvertError, Environment, Outcome, Tools};

use crate::environment::termination_log;
use crate::keys::Keys;
use crate::server::{Answers, Warning};
use crate::{
    Disk, Metrics, PodEnvironment, Settings, Source, ca, copy, description, disks, in_place,
    inspection, last_words, modes, nics, refused, scripts, server, session,
};

/// What the pod is run with, beside what the controller says.
pub struct Tooling<'t, 'e> {
    /// How disks are opened, and who hears of a commit. Keys, the system and the places are set here.
    pub engine: &'t mut EngineSettings<'e>,
    /// The catalogue of fixups.
    pub fixups: &'t [&'t dyn Fixup],
    /// Ends virt-v2v.
    pub cancel: &'t CancelToken,
    /// Whether the pod was told to end, at whatever time.
    pub stop: &'t dyn Fn() -> bool,
}

impl std::fmt::Debug for Tooling<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tooling").finish_non_exhaustive()
    }
}

/// One run.
pub(crate) struct Run<'r, 'e> {
    pub(crate) settings: &'r Settings,
    pub(crate) env: &'r PodEnvironment,
    pub(crate) engine: &'r mut EngineSettings<'e>,
    pub(crate) fixups: &'r [&'r dyn Fixup],
    pub(crate) scripts: Vec<Box<dyn Fixup>>,
    pub(crate) cancel: &'r CancelToken,
    pub(crate) tools: Tools,
    pub(crate) keys: Keys,
    pub(crate) nics: Vec<Nic>,
    pub(crate) virtio_win: Option<PathBuf>,
    /// Where overlays are kept: the temporary storage that the plan gives, else the working directory.
    pub(crate) state_dir: PathBuf,
    pub(crate) metrics: Metrics,
    pub(crate) disks: Vec<Disk>,
}

/// What a conversion led to.
#[derive(Debug, Default)]
pub(crate) struct Converted {
    /// What virt-v2v said; nothing if the fixups were alone.
    pub(crate) v2v: Option<Outcome>,
    /// The machine as the source describes it.
    pub(crate) machine: Option<Machine>,
    /// What was found in the guest.
    pub(crate) facts: Option<Facts>,
    /// The fixups' report.
    pub(crate) report: Option<serde_json::Value>,
    /// For the controller.
    pub(crate) warnings: Vec<Warning>,
    /// For people.
    pub(crate) notes: Vec<String>,
}

impl Converted {
    /// Takes what the session did.
    ///
    /// # Errors
    /// If a Windows guest still has no drivers for its disks, whatever virt-v2v's exit code was, or the report cannot
    /// be written as JSON.
    pub(crate) fn fixed(&mut self, run: &Run<'_, '_>, fixed: Fixed) -> anyhow::Result<()> {
        self.warnings.extend(session::warnings(run, &fixed.report));
        self.has_drivers(fixed.devices, fixed.report.guest.os)?;
        self.report = Some(serde_json::to_value(&fixed.report).context("writing the report")?);
        self.facts = Some(fixed.report.guest);
        Ok(())
    }

    /// The session as a whole failed: a warning, if virt-v2v has converted the guest.
    ///
    /// # Errors
    /// `refusal`, if virt-v2v has not: nothing made the guest ready then. Also if a Windows guest has no drivers for
    /// its disks: the fixups were to bring them.
    pub(crate) fn not_fixed(
        &mut self,
        error: anyhow::Error,
        refusal: Option<anyhow::Error>,
    ) -> anyhow::Result<()> {
        // A disk is half written: worse than without fixups.
        if error.chain().any(|cause| {
            cause
                .downcast_ref::<target::Failure>()
                .is_some_and(|failed| failed.changed)
        }) {
            return Err(error);
        }
        if let Some(refusal) = refusal {
            tracing::error!("the fixups failed, too: {error:#}");
            return Err(refusal);
        }
        self.warnings.push(session::warning(&format!(
            "fixups: none was applied: {}",
            last_words::line(&error)
        )));
        self.has_drivers(None, None)
            .with_context(|| last_words::line(&error))
    }

    /// # Errors
    /// If virt-v2v left a Windows guest without virtio drivers, or did not convert it, and the fixups, which know
    /// `devices` to have drivers then, brought none for its disks.
    fn has_drivers(&self, devices: Option<Devices>, os: Option<Os>) -> anyhow::Result<()> {
        let lacked = match &self.v2v {
            Some(v2v) => v2v.windows_lacks_drivers(),
            None => os == Some(Os::Windows),
        };
        let brought = devices.is_some_and(|devices| devices.disk == DiskBus::Virtio);
        ensure!(
            !lacked || brought,
            "this Windows guest has no virtio drivers and would not start from virtio disks; mount virtio-win \
             into the pod and set VIRTIO_WIN, or migrate it without conversion and with compatibility devices"
        );
        Ok(())
    }
}

impl Run<'_, '_> {
    /// How virt-v2v is run, beside its options.
    pub(crate) fn complete(&self, v2v: &mut refit_v2v::Settings) {
        v2v.virtio_win.clone_from(
            &self
                .settings
                .virtio_win
                .clone()
                .filter(|path| path.exists()),
        );
        if (self.engine.force_tcg)() {
            v2v.accel = Accel::ForceTcg;
        }
    }

    pub(crate) fn disk_options(&self) -> DiskOptions {
        DiskOptions {
            state_dir: Some(self.state_dir.join("refit-overlays")),
            image: ImageOptions::default(),
        }
    }

    pub(crate) fn not_cancelled(&self) -> anyhow::Result<()> {
        ensure!(!self.cancel.is_cancelled(), "interrupted");
        Ok(())
    }
}

/// Does what the controller asks for. Gives the contract's exit code: 0 if all is done, warnings or not; 1 if it
/// failed, and the last line of the log and the termination message say why.
pub fn run(settings: &Settings, env: &PodEnvironment, tooling: Tooling<'_, '_>) -> u8 {
    match walk(settings, env, tooling) {
        Ok(()) => 0,
        Err(error) => {
            last_words::say(&words(&error), &env.termination_log);
            1
        }
    }
}

/// The same ending for an error that comes before there is anything to run.
pub fn say_failure(error: &anyhow::Error) {
    let log = termination_log(Path::new("/"), |name| std::env::var(name).ok());
    last_words::say(&words(error), &log);
}

fn words(error: &anyhow::Error) -> String {
    let mut text = format!("error: {}", last_words::line(error));
    if let Some(failed) = error.downcast_ref::<ConvertError>() {
        text.truncate(text.trim_end_matches('.').len());
        text.push_str(". ");
        text.push_str(refused::advice(failed));
    }
    text
}

fn walk(settings: &Settings, env: &PodEnvironment, tooling: Tooling<'_, '_>) -> anyhow::Result<()> {
    let start = Instant::now();
    settings.check()?;
    let paths = &settings.paths;
    if settings.source == Some(Source::VSphere)
        && let Err(error) = ca::link(&paths.root)
    {
        // Whoever does not verify the source needs no certificates.
        ensure!(!settings.libvirt_url.contains("cacert="), error);
        tracing::warn!("{error:#}");
    }
    let files = [&paths.inspection_output, &paths.libvirt_domain_file];
    for dir in files
        .into_iter()
        .filter_map(|file| file.parent())
        .chain([&*paths.work_dir])
    {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    }
    let mut run = prepare(
        settings,
        env,
        tooling.fixups,
        tooling.cancel,
        tooling.engine,
    )?;
    if settings.has_password_in_url {
        tracing::warn!(
            "V2V_libvirtURL holds a password, which was left out: it comes from {}",
            paths.secret_key.display()
        );
    }
    if settings.remote_inspection {
        ensure!(
            !settings.remote_inspect_disks.is_empty(),
            "V2V_remoteInspectDisk_0 is not set: a remote inspection needs the snapshot's disks"
        );
        let mut options = modes::remote_options(settings, &run.keys.v2v);
        run.complete(&mut options.settings);
        refit_v2v::run_inspector(&run.tools, &options, &mut |_| {}, run.cancel)
            .with_context(|| format!("inspecting {}", settings.vm_name))?;
        return Ok(());
    }
    let name = match settings.target_name() {
        // The links alone have it.
        "" if settings.in_place => "disk",
        name => name,
    };
    let cancel = run.cancel;
    let discovered = disks::discover(
        &paths.root,
        &paths.work_dir,
        name,
        settings.in_place,
        &mut |pause| sleep(pause, cancel),
    );
    run.not_cancelled()?;
    run.disks = discovered?;
    let mut early = Vec::new();
    match scripts::load(&paths.dynamic_scripts_dir) {
        Ok(scripts) => run.scripts = scripts,
        Err(error) => early.push(session::warning(&format!("scripts: {error:#}"))),
    }
    let (nics, problems) = nics::read(settings.static_ips.as_deref());
    run.nics = nics;
    early.extend(problems.iter().map(|problem| session::warning(problem)));
    let mut converted = if settings.in_place {
        in_place::convert(&mut run)?
    } else {
        copy::convert(&mut run)?
    };
    run.metrics.phase("results");
    converted.warnings.splice(0..0, early);
    let answers = results(&run, converted, name, start)
        .context("the disks are converted, but the results cannot be told")?;
    tracing::info!(
        "done in {:.0} s with {} warnings",
        start.elapsed().as_secs_f64(),
        answers.warnings.len()
    );
    if settings.local_migration {
        server::serve(&answers, env.results, tooling.stop)
            .context("the disks are converted, but the results cannot be served")?;
    }
    Ok(())
}

fn prepare<'r, 'e>(
    settings: &'r Settings,
    env: &'r PodEnvironment,
    fixups: &'r [&'r dyn Fixup],
    cancel: &'r CancelToken,
    engine: &'r mut EngineSettings<'e>,
) -> anyhow::Result<Run<'r, 'e>> {
    let keys = Keys::read(settings)?;
    let mut virtio_win = settings.virtio_win.clone();
    if let Some(path) = virtio_win.take_if(|path| !path.exists()) {
        tracing::warn!("{}: there are no drivers; going on without", path.display());
    }
    let found = refit_virtio_win::locate(virtio_win.as_deref(), |name| std::env::var_os(name));
    Ok(Run {
        settings,
        env,
        engine,
        fixups,
        scripts: Vec::new(),
        cancel,
        tools: Tools::find(&Environment::current()),
        keys,
        nics: Vec::new(),
        virtio_win: found.map(|found| found.path),
        state_dir: state_dir(&settings.paths.work_dir),
        metrics: Metrics::new(),
        disks: Vec::new(),
    })
}

/// `TMPDIR`, which is made if it is not there; `work_dir` if it cannot be.
fn state_dir(work_dir: &Path) -> PathBuf {
    let Some(given) = std::env::var_os("TMPDIR").filter(|dir| !dir.is_empty()) else {
        return work_dir.to_owned();
    };
    let given = PathBuf::from(given);
    match fs::create_dir_all(&given) {
        Ok(()) => given,
        Err(error) => {
            tracing::warn!(
                "TMPDIR, {}: {error}; overlays are kept in {}",
                given.display(),
                work_dir.display()
            );
            work_dir.to_owned()
        }
    }
}

/// Writes the documents, and gathers what is served.
fn results(
    run: &Run<'_, '_>,
    converted: Converted,
    name: &str,
    start: Instant,
) -> anyhow::Result<Answers> {
    let settings = run.settings;
    let paths = &settings.paths;
    let sizes: Vec<u64> = run.disks.iter().map(|disk| size(&disk.path)).collect();
    let said = converted.v2v.as_ref().and_then(|v2v| v2v.guest.as_deref());
    let inspection = inspection::document(converted.facts.as_ref(), said, &sizes);
    fs::write(&paths.inspection_output, &inspection)
        .with_context(|| format!("writing {}", paths.inspection_output.display()))?;
    if !settings.in_place {
        let (machine, facts) = (converted.machine.as_ref(), converted.facts.as_ref());
        description::complete(&paths.work_dir, name, run.disks.len(), machine, facts)?;
    }
    let vm = description::find(&paths.work_dir)
        .map(|path| fs::read(&path).with_context(|| format!("reading {}", path.display())))
        .transpose()?;
    let report = serde_json::json!({
        "schema": "refit/pod/v1",
        "name": name,
        "in_place": settings.in_place,
        "seconds": (start.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        "warnings": &converted.warnings,
        "notes": &converted.notes,
        "v2v": &converted.v2v,
        "fixups": converted.report.map(without_contents),
    });
    Ok(Answers {
        vm,
        in_place: settings.in_place,
        inspection: Some(inspection.into_bytes()),
        warnings: converted.warnings,
        report,
    })
}

/// Anybody in the cluster can fetch the report, and files of a guest hold passwords: their contents stay here.
fn without_contents(report: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match report {
        Value::Array(list) => list.into_iter().map(without_contents).collect(),
        Value::Object(mut map) => {
            let content = match (map.remove("content"), map.remove("content_base64")) {
                (Some(Value::String(text)), _) => Some(text.into_bytes()),
                (_, Some(Value::String(text))) => Some(
                    base64::engine::general_purpose::STANDARD
                        .decode(text)
                        .unwrap_or_default(),
                ),
                _ => None,
            };
            let mut map: serde_json::Map<_, _> = map
                .into_iter()
                .map(|(key, value)| (key, without_contents(value)))
                .collect();
            if let Some(content) = content {
                map.insert("sha256".to_owned(), sha256_hex(&content).into());
                map.insert("size".to_owned(), content.len().into());
            }
            Value::Object(map)
        }
        other => other,
    }
}

/// In bytes; 0 if it cannot be told.
fn size(path: &Path) -> u64 {
    let Ok(meta) = fs::metadata(path) else {
        return 0;
    };
    if meta.file_type().is_block_device() {
        use std::io::Seek as _;
        let end = fs::File::open(path).and_then(|mut file| file.seek(std::io::SeekFrom::End(0)));
        return end.unwrap_or(0);
    }
    meta.len()
}

/// Waits, unless it is cancelled.
fn sleep(pause: Duration, cancel: &CancelToken) {
    let end = Instant::now() + pause;
    while !cancel.is_cancelled() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(100).min(pause));
    }
}

/// Says on standard output which command is started, as the contract does for each.
pub(crate) fn announce(program: &str, args: &[&str]) {
    use std::io::Write as _;
    let args: Vec<_> = args.iter().map(|arg| refit_v2v::masked(arg)).collect();
    let _ = writeln!(
        std::io::stdout(),
        "Building command: {program} [{}]",
        args.join(" ")
    );
}

#[cfg(test)]
mod tests {
    use refit_machine::NicModel;

    use super::*;

    #[test]
    fn a_disk_that_is_half_written_is_no_warning() {
        let failed = |changed| {
            let failure = target::Failure {
                error: anyhow::anyhow!("no space"),
                changed,
            };
            Converted::default().not_fixed(failure.into(), None)
        };
        assert!(failed(false).is_ok());
        assert!(failed(true).is_err());
    }

    #[test]
    fn the_report_shows_no_contents_of_files() {
        let change = |content: serde_json::Value| {
            let mut change = serde_json::json!({"kind": "write", "path": "/a", "mode": "0600"});
            change
                .as_object_mut()
                .unwrap()
                .extend(content.as_object().unwrap().clone());
            serde_json::json!({"fixups": [{"id": "x", "changes": [change]}]})
        };
        let digest = sha256_hex(b"psk=geheim");
        let expected = change(serde_json::json!({"sha256": digest, "size": 10}));
        for content in [
            serde_json::json!({"content": "psk=geheim"}),
            serde_json::json!({"content_base64": "cHNrPWdlaGVpbQ=="}),
        ] {
            assert_eq!(without_contents(change(content)), expected);
        }
        assert_eq!(without_contents(expected.clone()), expected);
    }

    #[test]
    fn without_drivers_for_its_disks_no_guest_is_ready() {
        let converted = |guest: &str, virtio| Converted {
            v2v: Some(Outcome {
                virtio,
                guest: Some(guest.to_owned()),
                ..Outcome::default()
            }),
            ..Converted::default()
        };
        let on = |disk| {
            Some(Devices {
                disk,
                nic: NicModel::Virtio,
                cdrom: None,
            })
        };
        let windows = |virtio| converted("Windows Server 2019", virtio);
        assert!(windows(Some(true)).has_drivers(None, None).is_ok());
        assert!(windows(None).has_drivers(None, None).is_ok());
        let lacking = windows(Some(false));
        let os = Some(Os::Windows);
        assert!(lacking.has_drivers(on(DiskBus::Virtio), os).is_ok());
        assert!(lacking.has_drivers(on(DiskBus::Sata), os).is_err());
        // An old Linux starts from the emulated disk that virt-v2v describes.
        assert!(
            converted("RHEL 4", Some(false))
                .has_drivers(None, Some(Os::Linux))
                .is_ok()
        );
        // Nobody but the fixups has looked at it.
        let alone = Converted::default();
        assert!(alone.has_drivers(on(DiskBus::Sata), os).is_err());
        assert!(alone.has_drivers(on(DiskBus::Virtio), os).is_ok());
        assert!(alone.has_drivers(None, Some(Os::Linux)).is_ok());

        let mut lacking = lacking;
        let failed = anyhow::anyhow!("the appliance did not start");
        let error = lacking.not_fixed(failed, None).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains("did not start") && error.contains("no virtio drivers"));
        let failed = anyhow::anyhow!("the appliance did not start");
        assert!(windows(Some(true)).not_fixed(failed, None).is_ok());
    }
}
