//! One boot from power-on to report.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use refit_image::{Access, Image};
use serde_json::json;

use crate::console::Console;
use crate::login::Shell;
use crate::machine::{End, Machine, Wires};
use crate::serial::{Serial, Stop};
use crate::watch::{Sight, Watch};
use crate::{
    Accel, AccelChoice, BootReport, Error, FactsFrom, Login, Options, Outcome, facts, kvm, process,
};

/// Time for one question to the guest.
const QUESTION: Duration = Duration::from_secs(30);
/// Time for one of the caller's commands.
const COMMAND: Duration = Duration::from_secs(120);
/// What Linux says when it waits for ten timer interrupts and sees fewer (`check_timer` in its
/// `arch/x86/kernel/apic/io_apic.c`). On a busy host that is no fault of the guest.
const TIMER_PANIC: &str = "IO-APIC + timer doesn't work";
/// Lines of the console that a report of a failure keeps.
const TAIL: usize = 25;

/// Boots the guest and watches it. Blocks until the outcome, the login's questions and the screenshot
/// are done, at most the time limit and a little; the machine is off when it returns.
///
/// # Errors
/// What kept the guest from being started (see [`Error`]), and [`Error::Cancelled`] soon after
/// `cancel` was raised. A guest that does not come up is no error but an [`Outcome`].
pub fn boot(options: &Options, cancel: &AtomicBool) -> Result<BootReport, Error> {
    options.check()?;
    process::need_qemu()?;
    let images = options
        .disks
        .iter()
        .map(|disk| Image::probe(disk, Access::Read, &options.image))
        .collect::<Result<Vec<_>, _>>()?;
    let accel = accelerator(options.accel)?;
    let mut tried = 0;
    loop {
        let (report, fault) = boot_once(options, &images, accel, cancel)?;
        tried += 1;
        match fault {
            Some(fault) if accel == Accel::Tcg && tried < fault.tries() => {
                tracing::warn!("{}; booting again", fault.words());
            }
            _ => return Ok(report),
        }
    }
}

/// What may be the emulated processor's fault rather than the guest's.
#[derive(Debug)]
enum Fault {
    /// qemu died of a signal: its emulation has races that a guest's start can hit (seen:
    /// `iotlb_to_section: Assertion ... failed` while the guest moves PCI windows), or the kernel missed
    /// the timer's interrupts.
    Processor(String),
    /// The guest answered nothing to a login at its own prompt (seen twice in some hundred boots, with two
    /// emulated processors).
    Silent(String),
}

impl Fault {
    /// How often such a guest is booted. One that stays silent may well be made so.
    fn tries(&self) -> u32 {
        match self {
            Self::Processor(_) => 3,
            Self::Silent(_) => 2,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Processor(words) => {
                format!("the emulated processor failed, not the guest ({words})")
            }
            Self::Silent(words) => format!("the guest did not answer the login ({words})"),
        }
    }
}

/// One try.
fn boot_once(
    options: &Options,
    images: &[Image],
    accel: Accel,
    cancel: &AtomicBool,
) -> Result<(BootReport, Option<Fault>), Error> {
    let mut machine = Machine::create(options, images, accel)?;
    let mut report = blank_report(options, accel);

    let Some(Wires {
        mut qmp,
        serial,
        firmware,
    }) = machine.connect(cancel)?
    else {
        report.message = qemu_failure(&machine.end()?);
        return Ok((report, None));
    };
    let mut serial = Serial::new(serial, options.serial_log.as_deref(), cancel)?;
    report.serial_log.clone_from(&options.serial_log);

    qmp.execute("cont", json!({}))?;
    let start = Instant::now();
    let sight = observe(&mut serial, firmware, options, start)?;
    report.seconds = (start.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    let mut fault = None;
    let is_on = match sight {
        Some(sight) => {
            tracing::info!(seconds = report.seconds, "{}", sight.message);
            report.outcome = sight.outcome;
            report.message = sight.message;
            report.hostname = sight.hostname;
            true
        }
        None => {
            let end = machine.end()?;
            if let End::Crashed(words) = &end {
                fault = Some(Fault::Processor(words.clone()));
            }
            (report.outcome, report.message) = match end {
                End::InOrder => (
                    Outcome::PoweredOff,
                    "the guest switched itself off before it was up".into(),
                ),
                end => (Outcome::QemuFailed, qemu_failure(&end)),
            };
            false
        }
    };

    if report.outcome == Outcome::Panic && report.message.contains(TIMER_PANIC) {
        fault = Some(Fault::Processor(report.message.clone()));
    }
    if let (true, Some(login)) = (report.outcome.is_up(), &options.login) {
        let stop = ask(&mut serial, login, options, start, &mut report).err();
        if let Some(Stop::Silent(reason)) = &stop {
            fault = Some(Fault::Silent(reason.clone()));
        }
        match stop {
            None => {}
            Some(Stop::Guest(reason) | Stop::Silent(reason)) => {
                report.console_tail = serial.console.tail(TAIL);
                report
                    .warnings
                    .push(format!("the guest told no more about itself: {reason}"));
            }
            Some(Stop::Error(error)) => return Err(error),
        }
    }
    if !report.outcome.is_up() {
        report.console_tail = serial.console.tail(TAIL);
    }
    if let Some(target) = &options.screenshot {
        let taken = if is_on {
            machine.screenshot(&mut qmp, target)
        } else {
            Err("the machine was off".into())
        };
        match taken {
            Ok(()) => report.screenshot = Some(target.clone()),
            Err(reason) => report.warnings.push(format!("no screenshot: {reason}")),
        }
    }
    serial.finish_log()?;
    Ok((report, fault))
}

fn accelerator(choice: AccelChoice) -> Result<Accel, Error> {
    if choice == AccelChoice::Tcg {
        return Ok(Accel::Tcg);
    }
    let answer = kvm::probe(kvm::PROBE_TIMEOUT);
    if choice == AccelChoice::Kvm && !answer.works() {
        return Err(Error::KvmUnusable(answer.to_string()));
    }
    tracing::info!("{answer}");
    Ok(answer.accel())
}

/// The report of a machine that did not start.
fn blank_report(options: &Options, accel: Accel) -> BootReport {
    BootReport {
        outcome: Outcome::QemuFailed,
        message: String::new(),
        seconds: 0.0,
        accel,
        firmware: options.firmware,
        hardware: options.hardware,
        facts_from: None,
        hostname: None,
        kernel: None,
        root_device: None,
        nics: Vec::new(),
        routes: Vec::new(),
        failed_units: None,
        commands: Vec::new(),
        screenshot: None,
        serial_log: None,
        console_tail: Vec::new(),
        warnings: Vec::new(),
    }
}

fn qemu_failure(end: &End) -> String {
    let words = match end {
        End::InOrder => "nothing",
        End::Failed(words) | End::Crashed(words) => words,
    };
    if words.contains("lock") && words.contains("Failed to get") {
        return format!(
            "a disk is in use by another program, most likely a running guest: stop it first (qemu said: {words})"
        );
    }
    format!("qemu failed: {words}")
}

/// Watches serial console and firmware until something decisive is seen, or the time is up. Nothing
/// if the machine went off.
fn observe(
    serial: &mut Serial,
    mut firmware: UnixStream,
    options: &Options,
    start: Instant,
) -> Result<Option<Sight>, Error> {
    firmware
        .set_nonblocking(true)
        .map_err(Error::io("configuring the firmware's line"))?;
    let mut firmware_console = Console::default();
    let mut firmware_watch = Watch::new(None);
    let mut watch = Watch::new(options.marker.clone());
    while start.elapsed() < options.timeout {
        let is_on = serial.pump()?;
        if let Some(sight) = watch.look(&serial.console) {
            return Ok(Some(sight));
        }
        let mut chunk = [0; 4096];
        if let Ok(n) = firmware.read(&mut chunk) {
            firmware_console.feed(&chunk[..n]);
            // A running guest can write here, too; only the firmware's own text counts.
            let sight = firmware_watch.look(&firmware_console);
            if let Some(sight) = sight.filter(|sight| sight.outcome == Outcome::NoBootDevice) {
                return Ok(Some(sight));
            }
        }
        if !is_on {
            return Ok(None);
        }
    }
    Ok(Some(timed_out(serial, options)))
}

fn timed_out(serial: &Serial, options: &Options) -> Sight {
    let seconds = options.timeout.as_secs();
    let message = match serial.console.tail(1).first() {
        None => format!(
            "nothing was seen on the serial console within {seconds} s; Windows and guests without console=ttyS0 are silent there: see the screenshot"
        ),
        Some(line) => format!(
            "no {} within {seconds} s; the last line was: {line}",
            match &options.marker {
                Some(marker) => format!("{marker:?}"),
                None => "login prompt".into(),
            }
        ),
    };
    Sight {
        outcome: Outcome::Timeout,
        message,
        hostname: None,
    }
}

/// Logs in and fills the report with what the guest says of itself.
fn ask(
    serial: &mut Serial,
    login: &Login,
    options: &Options,
    start: Instant,
    report: &mut BootReport,
) -> Result<(), Stop> {
    if report.outcome == Outcome::Marker {
        let mut watch = Watch::new(None);
        let is_prompt = |sight: &Sight| sight.outcome == Outcome::Login;
        serial.wait("login prompt", start + options.timeout, |console| {
            watch.look(console).filter(is_prompt)
        })?;
    }
    let mut shell = Shell::log_in(serial, login)?;
    report.facts_from = Some(FactsFrom::Login);
    let end = Instant::now() + options.settle;
    loop {
        let state = shell.run(facts::SYSTEM_STATE, QUESTION)?.output;
        let links = shell.run(facts::LINKS, QUESTION)?.output;
        let addresses = shell.run(facts::ADDRESSES, QUESTION)?.output;
        report.nics = facts::nics(&links, &addresses);
        let is_starting = matches!(state.trim(), "initializing" | "starting");
        if (!is_starting && facts::all_addressed(&report.nics)) || Instant::now() > end {
            break;
        }
        shell.pause(Duration::from_secs(1))?;
    }
    let mut answer = |question| shell.run(question, QUESTION);
    report.routes = facts::default_routes(&answer(facts::ROUTES)?.output);
    report.hostname = facts::first_line(&answer("hostname")?.output).or(report.hostname.take());
    report.kernel = facts::first_line(&answer("uname -r")?.output);
    report.root_device = facts::first_line(&answer(facts::ROOT_DEVICE)?.output);
    let failed = answer(facts::FAILED_UNITS)?;
    report.failed_units = (failed.status == Some(0)).then(|| facts::failed_units(&failed.output));
    for command in &options.run {
        report.commands.push(shell.run(command, COMMAND)?);
    }
    Ok(())
}
