//! From arguments to an opened guest.

use std::cell::OnceCell;
use std::path::Path;
use std::time::Duration;

use refit_boot::kvm;
use refit_engine::disks::{self, DiskSpec};
use refit_engine::target::{self, Settings, Target};

use crate::args::{Accel, GuestArgs, OpenArgs};
use crate::interrupt::Interrupt;
use crate::output::UsageError;
use crate::progress::Progress;

/// An appliance starts in 2 s with KVM and in 15 s without; on a loaded machine that may take ten
/// times as long.
pub const LAUNCH_LIMIT: Duration = Duration::from_secs(150);

pub fn target(args: &GuestArgs) -> anyhow::Result<Target> {
    if let Some(root) = &args.root {
        return Ok(Target::Root(root.clone()));
    }
    let disks = args
        .disks
        .iter()
        .map(|path| disk(path, args.format.as_deref()))
        .collect::<anyhow::Result<_>>()?;
    Ok(Target::Disks(disks))
}

/// A disk with the value of `--format`.
pub fn disk(path: &Path, format: Option<&str>) -> anyhow::Result<DiskSpec> {
    let format = format
        .map(str::parse)
        .transpose()
        .map_err(|error| UsageError(format!("--format: {error}")))?;
    Ok(DiskSpec {
        path: path.to_owned(),
        format,
    })
}

pub fn disk_options(args: &GuestArgs) -> disks::Options {
    disks::Options {
        state_dir: args.state_dir.clone(),
        image: disks::ImageOptions {
            allow_outside: args.allow_outside,
        },
    }
}

/// Whether the appliance must be emulated. The probe costs a fraction of a second where KVM works
/// or is missing, and saves minutes where it opens but hangs.
pub fn force_tcg(accel: Accel) -> bool {
    match accel {
        Accel::Tcg => true,
        Accel::Kvm => false,
        Accel::Auto => {
            let told = std::env::var("LIBGUESTFS_BACKEND_SETTINGS").unwrap_or_default();
            if told.contains("force_tcg") || told.contains("force_kvm") {
                return told.contains("force_tcg");
            }
            let kvm = kvm::probe(kvm::PROBE_TIMEOUT);
            tracing::info!("KVM: {kvm}");
            !kvm.works()
        }
    }
}

/// Opens `args`'s guest for `action`, with progress and Ctrl-C wired up.
pub fn with_settings<T>(
    open: &OpenArgs,
    disks: disks::Options,
    in_place: bool,
    interrupt: &Interrupt,
    action: impl FnOnce(&mut Settings<'_>) -> T,
) -> anyhow::Result<T> {
    let progress = Progress::new();
    let keys = open
        .key
        .iter()
        .map(|key| key.parse())
        .collect::<Result<_, anyhow::Error>>()
        .map_err(|error| UsageError(format!("{error:#}")))?;
    let emulate = OnceCell::new();
    let mut settings = Settings {
        os_device: open.os_device.clone(),
        keys,
        force_tcg: &|| *emulate.get_or_init(|| force_tcg(open.accel)),
        launch_limit: LAUNCH_LIMIT,
        in_place,
        disks,
        on_handle: &mut |handle| {
            interrupt.on_raise(move || {
                // Overlays are thrown away; the disks themselves get what is being written.
                if in_place {
                    handle.stop();
                } else {
                    handle.kill();
                }
            });
        },
        progress: &mut |step| {
            if step == target::Progress::Commit {
                interrupt.shield();
            }
            progress.phase(phase(step));
        },
    };
    let result = action(&mut settings);
    progress.finish();
    Ok(result)
}

/// What a step is called for people.
pub fn phase(step: target::Progress) -> &'static str {
    match step {
        target::Progress::Open => "Opening the guest",
        target::Progress::Plan => "Planning",
        target::Progress::Apply => "Applying the changes",
        target::Progress::Check => "Checking the result",
        target::Progress::Undo => "Restoring",
        target::Progress::Commit => "Committing to the disks",
    }
}
