//! `refit pod`: a conversion pod, told what to do by its environment.

use std::cell::OnceCell;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Duration;

use refit_engine::disks;
use refit_engine::target::{self, Settings as EngineSettings};
use refit_pod::{FlagError, PodEnvironment, Settings, Tooling};
use refit_v2v::CancelToken;

use super::guest;
use crate::args::{Accel, OwnFixupsArgs};
use crate::catalogue::Catalogue;
use crate::interrupt::Interrupt;

/// The contract's code for wrong flags.
const USAGE: u8 = 2;
const FAILED: u8 = 1;

/// Runs with `args` without the program's name. The environment is the controller's.
pub fn run(args: &[String]) -> ExitCode {
    let error = match catch_unwind(|| prepared(args)) {
        Ok(Ok(code)) => return code,
        Ok(Err(error)) => error,
        // What it said is in the log.
        Err(_) => anyhow::anyhow!("a defect of refit, described above; please report it"),
    };
    refit_pod::say_failure(&error);
    FAILED.into()
}

fn prepared(args: &[String]) -> anyhow::Result<ExitCode> {
    let variables = refit_pod::environment()?;
    let variables = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let settings = match Settings::read(variables, args.iter().cloned()) {
        Ok(settings) => settings,
        // As Go's package `flag` does.
        Err(FlagError::Help) => {
            anstream::eprintln!(
                "The flags are those of Forklift's virt-v2v-wrapper; see images/CONTRACT.md."
            );
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => {
            refit_pod::say_failure(&error.into());
            return Ok(USAGE.into());
        }
    };
    crate::output::log_to_stderr("info");
    let interrupt = Interrupt::install()?;
    let env = PodEnvironment::read(&settings.paths.root, |name| std::env::var(name).ok())?;
    let catalogue = Catalogue::load(&OwnFixupsArgs::default(), &interrupt)?;
    let cancel = CancelToken::default();
    let token = cancel.clone();
    interrupt.on_raise(move || token.cancel());
    let emulate = OnceCell::new();
    let mut engine = EngineSettings {
        os_device: None,
        keys: Vec::new(),
        force_tcg: &|| *emulate.get_or_init(|| guest::force_tcg(Accel::Auto)),
        launch_limit: Duration::from_secs(300),
        in_place: false,
        disks: disks::Options::default(),
        on_handle: &mut |handle| {
            interrupt.on_raise(move || {
                // It works on overlays, and Kubernetes waits for half a minute.
                handle.kill();
            });
        },
        progress: &mut |step| {
            tracing::info!("{}", guest::phase(step));
            if step == target::Progress::Commit {
                interrupt.shield();
            }
        },
    };
    let tooling = Tooling {
        engine: &mut engine,
        fixups: &catalogue.fixups(),
        cancel: &cancel,
        // Asked while the results are served, when all is written.
        stop: &|| {
            interrupt.lift_shield();
            interrupt.was_asked()
        },
    };
    Ok(refit_pod::run(&settings, &env, tooling).into())
}
