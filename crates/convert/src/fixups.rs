//! The fixups of a conversion: what they are asked with.

use refit_engine::target::Settings;
use refit_engine::{Job, Report, Request, VerdictKind, nic};
use refit_machine::Machine;

use crate::appliance::Appliance;
use crate::{Run, Stage, hardware};

/// Tells Windows what the machine's clock shows.
const CLOCK: &str = "windows-clock";

/// Whether the guest now takes the machine's clock for UTC, which KubeVirt's always is, although it is a
/// Windows. Not if the user has said what its clock shows.
pub(crate) fn runs_on_utc(run: &Run<'_>, report: &Report) -> bool {
    let asked = &run.options.job.request.parameters;
    let kept = asked.get(CLOCK).and_then(|ours| ours.get("clock"));
    let is_utc = kept.is_none_or(|kept| matches!(kept.as_str(), Some("auto" | "utc")));
    let found = report.fixups.iter().find(|fixup| fixup.id == CLOCK);
    is_utc
        && found
            .is_some_and(|fixup| matches!(fixup.verdict, VerdictKind::Change | VerdictKind::Fine))
}

/// Calls `action` with the settings and the job of `run`, whose NICs are those of `machine`.
///
/// # Errors
/// If what is known of the NICs contradicts itself, or `action` fails.
pub(crate) fn with_job<T>(
    run: &Run<'_>,
    machine: &Machine,
    settings: &mut Settings<'_>,
    observer: &mut dyn FnMut(Stage),
    action: impl FnOnce(&mut Settings<'_>, Job<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut parameters = run.options.job.request.parameters.clone();
    let appliance = run.source.appliance.as_ref();
    if appliance.is_some_and(Appliance::has_properties) {
        // What the guest is told about its name and network is to count.
        let ours = parameters.entry("cloud-init".to_owned()).or_default();
        ours.entry("keep".to_owned())
            .or_insert(toml::Value::Boolean(false));
    }
    let clock = parameters.entry(CLOCK.to_owned()).or_default();
    clock
        .entry("clock".to_owned())
        .or_insert(toml::Value::String("auto".to_owned()));
    let request = Request {
        parameters,
        nics: nic::merge(
            hardware::nics(machine, run.source.machine.as_ref())
                .into_iter()
                .chain(run.options.nics.iter().cloned()),
        )?,
        ..run.options.job.request.clone()
    };
    let job = Job {
        request: &request,
        ..run.options.job
    };
    let mut settings = Settings {
        os_device: settings.os_device.clone(),
        keys: settings.keys.clone(),
        disks: settings.disks.clone(),
        force_tcg: settings.force_tcg,
        launch_limit: settings.launch_limit,
        in_place: settings.in_place,
        on_handle: &mut *settings.on_handle,
        progress: &mut |step| observer(Stage::Fixups(step)),
    };
    action(&mut settings, job)
}
