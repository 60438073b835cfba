//! `refit boot`

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use refit_boot::{AccelChoice, BootReport, Login, NicSpec, Options};

use super::guest;
use crate::args::{Accel, BootArgs, CdromBus, Firmware};
use crate::interrupt::Interrupt;
use crate::output::{Exit, Output, UsageError};
use crate::progress::Progress;
use crate::render;

pub fn run(args: &BootArgs, output: &Output, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let options = options(args)?;
    let progress = Progress::new();
    progress.phase("Booting the guest");
    let report = refit_boot::boot(&options, interrupt.flag()).map_err(|error| match error {
        refit_boot::Error::Usage(text) => UsageError(text).into(),
        other => anyhow::Error::from(other),
    })?;
    progress.finish();
    // Ctrl-C reaches qemu, too, which may be the first to end.
    anyhow::ensure!(
        report.outcome.is_up() || !interrupt.is_raised(),
        "interrupted"
    );
    output.print(&report, || text(&report))?;
    Ok(if report.outcome.is_up() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn options(args: &BootArgs) -> anyhow::Result<Options> {
    let disks = args
        .disks
        .iter()
        .map(|path| guest::disk(path, args.format.as_deref()))
        .collect::<anyhow::Result<_>>()?;
    let mut options = Options::new(disks);
    options.image.allow_outside = args.allow_outside;
    options.cdrom.clone_from(&args.cdrom);
    options.cdrom_bus = match args.cdrom_bus {
        CdromBus::Sata => refit_machine::CdromBus::Sata,
        CdromBus::Scsi => refit_machine::CdromBus::Scsi,
    };
    if !args.nic.is_empty() {
        options.nics = args
            .nic
            .iter()
            .map(|mac| {
                Ok(NicSpec {
                    mac: Some(mac.parse()?),
                })
            })
            .collect::<Result<_, refit_machine::ParseMacError>>()
            .map_err(|error| UsageError(format!("--nic: {error}")))?;
    }
    options.firmware = match args.firmware {
        Firmware::Bios => refit_machine::Firmware::Bios,
        Firmware::Uefi => refit_machine::Firmware::Uefi,
        Firmware::UefiSecure => refit_machine::Firmware::UefiSecure,
    };
    options.disk_bus = args.bus;
    options.hardware = args.hardware;
    options.accel = match args.accel {
        Accel::Auto => AccelChoice::Auto,
        Accel::Kvm => AccelChoice::Kvm,
        Accel::Tcg => AccelChoice::Tcg,
    };
    options.memory = args.memory * 1024 * 1024;
    options.vcpus = args.vcpus;
    options.timeout = Duration::from_secs(args.timeout);
    options.marker.clone_from(&args.marker);
    if let (Some(user), Some(path)) = (&args.user, &args.password_file) {
        let password = fs::read_to_string(path)
            .with_context(|| format!("reading the password file {}", path.display()))?;
        let password = password.lines().next().unwrap_or_default().to_owned();
        options.login = Some(Login {
            user: user.clone(),
            password,
        });
    }
    options.run.clone_from(&args.run);
    options.screenshot.clone_from(&args.screenshot);
    options.serial_log.clone_from(&args.serial_log);
    Ok(options)
}

fn text(report: &BootReport) -> String {
    let mut text = format!(
        "{} ({:.0} s, {})\n",
        render::printable(&report.message),
        report.seconds,
        report.accel
    );
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:>12}  {}", render::printable(value));
    };
    if let Some(hostname) = &report.hostname {
        line("host name", hostname);
    }
    if let Some(kernel) = &report.kernel {
        line("kernel", kernel);
    }
    for nic in &report.nics {
        let mac = nic.mac.map(|mac| mac.to_string()).unwrap_or_default();
        let addresses = if nic.addresses.is_empty() {
            "no address".to_owned()
        } else {
            nic.addresses.join(", ")
        };
        line(
            "NIC",
            &format!("{} {mac} {}: {addresses}", nic.name, nic.state),
        );
    }
    for route in &report.routes {
        line("route", route);
    }
    for unit in report.failed_units.iter().flatten() {
        line("failed unit", unit);
    }
    for command in &report.commands {
        line("ran", &format!("{}: {}", command.command, command.output));
    }
    for console in &report.console_tail {
        line("console", console);
    }
    if let Some(path) = &report.screenshot {
        line("screenshot", &path.display().to_string());
    }
    for warning in &report.warnings {
        line("warning", warning);
    }
    text
}
