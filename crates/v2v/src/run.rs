//! Running a program: one attempt, and a second one without KVM if the appliance does not start.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use refit_guestfs::emulation;

use crate::argv::{self, CommandLine, io_error};
use crate::capabilities::Capabilities;
use crate::errors::{ConvertError, ErrorKind};
use crate::event::{Event, Phase};
use crate::firstboot;
use crate::lines::Lines;
use crate::log::{Log, Stream};
use crate::messages::{Follower, Message};
use crate::options::{
    Accel, ConvertOptions, InPlaceOptions, Input, InspectorOptions, KubevirtOptions, Protocol,
    Settings,
};
use crate::outcome::{Conversion, Inspection, Outcome};
use crate::output::{Reader, is_bar};
use crate::outputs::Outputs;
use crate::patterns::classify;
use crate::plain::Plain;
use crate::preflight::require;
use crate::process::{CancelToken, Output, Running};
use crate::scratch::{Scratch, cache_dir};
use crate::secrets::masked;
use crate::source;
use crate::tools::{Environment, Kind, Tools};
use crate::watchdog::Watchdog;

/// How often things are looked at that announce nothing by themselves.
const TICK: Duration = Duration::from_millis(200);
/// How often helper processes are looked at.
const HELPERS_TICK: Duration = Duration::from_secs(1);
/// libguestfs's settings for its backend (guestfs(3), `LIBGUESTFS_BACKEND_SETTINGS`).
const BACKEND_SETTINGS: &str = "LIBGUESTFS_BACKEND_SETTINGS";
/// A description of a guest is never larger.
const MAX_XML: u64 = 16 * 1024 * 1024;

/// Converts a guest with virt-v2v. The source is not changed. If it fails, the disks and the XML
/// that this run made are removed. The calling thread must stay until this returns, because the
/// kernel ends virt-v2v with the thread that started it.
///
/// # Errors
/// See [`ErrorKind`]; the error names the log.
pub fn run(
    tools: &Tools,
    options: &ConvertOptions,
    observer: &mut dyn FnMut(Event),
    cancel: &CancelToken,
) -> Result<Conversion, ConvertError> {
    let mut job = Job::prepare(
        tools,
        Kind::Convert,
        &options.input,
        &options.settings,
        cancel,
    )?;
    let options = ConvertOptions {
        input: job.input.clone(),
        ..options.clone()
    };
    let outputs = Outputs::new(&options.out_dir, &options.name)?;
    let result = job
        .run(
            &|capabilities, scratch| argv::convert(&options, capabilities, scratch),
            &mut |event| observer(outputs.with_size(event)),
        )
        .and_then(|outcome| collect(&outputs, outcome, &options.settings));
    if result.is_err() {
        outputs.remove_new();
    }
    result
}

/// Converts a guest onto disks that are there already. Nothing is removed if it fails: the disks are the caller's.
///
/// # Errors
/// See [`ErrorKind`]; the error names the log.
pub fn run_kubevirt(
    tools: &Tools,
    options: &KubevirtOptions,
    observer: &mut dyn FnMut(Event),
    cancel: &CancelToken,
) -> Result<Outcome, ConvertError> {
    let mut job = Job::prepare(
        tools,
        Kind::Convert,
        &options.input,
        &options.settings,
        cancel,
    )?;
    let options = KubevirtOptions {
        input: job.input.clone(),
        ..options.clone()
    };
    let outputs = Outputs::new(&options.out_dir, &options.name)?;
    let build = |capabilities: &Capabilities, scratch: &Scratch| {
        argv::kubevirt(&options, capabilities, scratch)
    };
    let outcome = job.run(&build, &mut |event| observer(outputs.with_size(event)))?;
    with_drivers(outcome, &options.settings)
}

/// Converts disks in place with virt-v2v-in-place. If it fails, their state is unknown.
///
/// # Errors
/// See [`ErrorKind`]; the error names the log.
pub fn run_in_place(
    tools: &Tools,
    options: &InPlaceOptions,
    observer: &mut dyn FnMut(Event),
    cancel: &CancelToken,
) -> Result<Outcome, ConvertError> {
    let mut job = Job::prepare(
        tools,
        Kind::InPlace,
        &options.input,
        &options.settings,
        cancel,
    )?;
    let options = InPlaceOptions {
        input: job.input.clone(),
        ..options.clone()
    };
    let build = |capabilities: &Capabilities, scratch: &Scratch| {
        argv::in_place(&options, capabilities, scratch)
    };
    let outcome = job.run(&build, observer)?;
    with_drivers(outcome, &options.settings)
}

/// Describes a guest with virt-v2v-inspector. The source is not changed.
///
/// # Errors
/// See [`ErrorKind`]; the error names the log.
pub fn run_inspector(
    tools: &Tools,
    options: &InspectorOptions,
    observer: &mut dyn FnMut(Event),
    cancel: &CancelToken,
) -> Result<Inspection, ConvertError> {
    let mut job = Job::prepare(
        tools,
        Kind::Inspector,
        &options.input,
        &options.settings,
        cancel,
    )?;
    let options = InspectorOptions {
        input: job.input.clone(),
        ..options.clone()
    };
    let build = |capabilities: &Capabilities, scratch: &Scratch| {
        argv::inspector(&options, capabilities, scratch)
    };
    let outcome = job.run(&build, observer)?;
    let xml = match &options.output_xml {
        Some(path) => read_xml(path, &options.settings.log)?,
        None => String::new(),
    };
    Ok(Inspection { xml, outcome })
}

fn collect(
    outputs: &Outputs,
    outcome: Outcome,
    settings: &Settings,
) -> Result<Conversion, ConvertError> {
    let outcome = with_drivers(outcome, settings)?;
    let log = &settings.log;
    let xml_path = outputs.xml();
    let xml = read_xml(&xml_path, log)?;
    let disks = outputs.disks();
    if disks.is_empty() {
        return Err(ConvertError::new(ErrorKind::Other, "virt-v2v wrote no disk").with_log(log));
    }
    Ok(Conversion {
        xml_path,
        xml,
        disks,
        outcome,
    })
}

/// Exit status 0 is not enough: without drivers the guest is left on emulated devices.
fn with_drivers(outcome: Outcome, settings: &Settings) -> Result<Outcome, ConvertError> {
    if !outcome.windows_lacks_drivers() || settings.drivers_follow {
        return Ok(outcome);
    }
    let detail = outcome
        .driver_warning()
        .and_then(|text| text.lines().next())
        .unwrap_or_default();
    Err(ConvertError::new(ErrorKind::NoVirtioDrivers, detail).with_log(&settings.log))
}

fn read_xml(path: &Path, log: &Path) -> Result<String, ConvertError> {
    let read = || {
        if path.metadata()?.len() > MAX_XML {
            return Err(io::Error::other("too large"));
        }
        fs::read_to_string(path)
    };
    read().map_err(|error| io_error(&error, &format!("reading {}", path.display())).with_log(log))
}

/// Builds the command line for an attempt.
type Build<'a> = dyn Fn(&Capabilities, &Scratch) -> Result<CommandLine, ConvertError> + 'a;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Exit(ExitStatus),
    Cancelled,
    Hung,
}

/// A run of one program, in one or two attempts.
#[derive(Debug)]
struct Job<'a> {
    program: PathBuf,
    kind: Kind,
    capabilities: Capabilities,
    env: &'a Environment,
    settings: &'a Settings,
    input: Input,
    cancel: &'a CancelToken,
    log: Log,
}

impl<'a> Job<'a> {
    fn prepare(
        tools: &'a Tools,
        kind: Kind,
        input: &Input,
        settings: &'a Settings,
        cancel: &'a CancelToken,
    ) -> Result<Self, ConvertError> {
        let program = tools.get(kind)?;
        let (input, capabilities) = match settings.protocol {
            Protocol::Machine => {
                require(&tools.env, kind)?;
                let input = source::check(input, &tools.env)?;
                let found = Capabilities::probe(program, &tools.env, cancel)?;
                if !found.has_input(input.mode()) {
                    return Err(ConvertError::new(
                        ErrorKind::BadOption,
                        format!(
                            "{} {} has no input mode {}",
                            kind.program_name(),
                            found.version.text,
                            input.mode()
                        ),
                    ));
                }
                (input, found)
            }
            // If it lacks the mode, it says so itself.
            Protocol::Plain => {
                let found = Capabilities::guess(program, &tools.env, cancel)?;
                (input.clone(), found)
            }
        };
        let echo = settings.protocol == Protocol::Plain;
        let log = Log::create(&settings.log, echo).map_err(|error| {
            io_error(
                &error,
                &format!("creating the log {}", settings.log.display()),
            )
        })?;
        Ok(Self {
            program: program.path.clone(),
            kind,
            capabilities,
            env: &tools.env,
            settings,
            input,
            cancel,
            log,
        })
    }

    fn run(
        &mut self,
        build: &Build<'_>,
        observer: &mut dyn FnMut(Event),
    ) -> Result<Outcome, ConvertError> {
        let tcg = self.settings.accel == Accel::ForceTcg
            || self
                .env
                .get(BACKEND_SETTINGS)
                .is_some_and(|value| value.to_string_lossy().contains("force_tcg"));
        let first = self.attempt(build, observer, tcg)?;
        let why = match (&first.end, &first.error) {
            _ if tcg => None,
            (End::Hung, _) => {
                let seconds = self.settings.launch_limit.as_secs();
                Some(format!("The appliance has been silent for {seconds} s"))
            }
            (_, Some(error))
                if error.kind == ErrorKind::ApplianceFailed && first.phase == Some(Phase::Open) =>
            {
                Some("The appliance did not start".to_owned())
            }
            _ => None,
        };
        let last = match why {
            None => first,
            Some(why) => {
                let text = format!("{why}; starting it again without KVM (TCG), which is slower");
                tracing::warn!("{text}");
                self.note(&text);
                observer(Event::Relaunch(text));
                let mut second = self.attempt(build, observer, true)?;
                second.outcome.relaunched = true;
                second
            }
        };
        match last.error {
            Some(error) => Err(error.with_log(&self.settings.log)),
            None => Ok(last.outcome),
        }
    }

    fn attempt(
        &mut self,
        build: &Build<'_>,
        observer: &mut dyn FnMut(Event),
        tcg: bool,
    ) -> Result<Attempt, ConvertError> {
        let failed = |error: io::Error, what: &str| io_error(&error, what);
        let scratch = Scratch::create(self.settings.tmpdir.as_deref(), self.env)
            .map_err(|error| failed(error, "making a temporary directory"))?;
        let line = build(&self.capabilities, &scratch)?;
        for text in &line.remarks {
            self.note(text);
            observer(Event::Info(text.clone()));
        }
        let messages = argv::messages_file(&scratch);
        let mut follower = File::create(&messages)
            .and_then(|_| Follower::open(&messages))
            .map_err(|error| failed(error, "making a file for messages"))?;
        let mut command = self.command(&line.args, &scratch, tcg);
        if self.settings.virt_tools.is_none() {
            let stand_in = firstboot::stand_in(self.env, &scratch)
                .map_err(|error| failed(error, "copying refit's first-boot program"))?;
            if let Some(dir) = stand_in {
                self.note("no rhsrvany.exe is installed: refit's own stands in");
                command.env("VIRT_TOOLS_DATA_DIR", dir);
            }
        }
        self.note(&format!("running {}", described(&command, self.env)));
        self.log.announce(self.kind.program_name(), &line.args);
        let output = match self.settings.protocol {
            Protocol::Machine => Output::Apart,
            Protocol::Plain => Output::Together,
        };
        let mut running = Running::start(command, output, &scratch.sockets())
            .map_err(|error| failed(error, &format!("starting {}", self.program.display())))?;
        let mut reader = Reader::default();
        let start = Instant::now();
        let end = self
            .follow(&mut running, &mut follower, &mut reader, observer)
            .map_err(|error| failed(error, "following virt-v2v").with_log(&self.settings.log))?;
        if !matches!(end, End::Exit(_)) {
            running.stop();
        }
        running.clean_up();
        let _ = self.log.flush();
        let error = match end {
            End::Exit(status) if status.success() => None,
            End::Exit(status) => Some(match status.signal() {
                Some(signal) => ConvertError::new(ErrorKind::Killed { signal }, ""),
                None => classify(&reader),
            }),
            End::Cancelled => Some(ConvertError::new(ErrorKind::Interrupted, "")),
            End::Hung => Some(ConvertError::new(
                ErrorKind::ApplianceFailed,
                format!(
                    "it was silent for {} s",
                    self.settings.launch_limit.as_secs()
                ),
            )),
        };
        let phase = reader.phase();
        let mut outcome = reader.finish(start.elapsed());
        outcome.log.clone_from(&self.settings.log);
        Ok(Attempt {
            end,
            error,
            phase,
            outcome,
        })
    }

    /// Reads until the program has ended and all its output was read.
    fn follow(
        &mut self,
        running: &mut Running,
        follower: &mut Follower,
        reader: &mut Reader,
        observer: &mut dyn FnMut(Event),
    ) -> io::Result<End> {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(self.settings.launch_limit);
        let mut helpers_seen = start;
        let (mut out, mut err) = (Lines::default(), Lines::default());
        let (mut plain, errors) = match self.settings.protocol {
            Protocol::Machine => (None, Stream::Err),
            Protocol::Plain => (Some(Plain::new(self.kind.program_name())), Stream::Both),
        };
        loop {
            let status = running.try_wait()?;
            let chunk = running.next_chunk(TICK);
            // Messages first: a bar belongs to the disk that was announced before it.
            for line in follower.poll()? {
                self.log.line(Stream::Json, &line)?;
                if let Some(event) = Message::parse(&line)
                    .and_then(|message| reader.message(&message, start.elapsed()))
                {
                    observer(event);
                }
            }
            let mut sign = chunk.is_some();
            let log = &mut self.log;
            let mut written = Ok(());
            let mut events = Vec::new();
            // `begun`: how much of the line was written before the rest.
            let mut take = |stream: Stream, line: &[u8], begun: usize, log: &mut Log| {
                let (before, last) = line.split_at(begun);
                let last = String::from_utf8_lossy(last);
                let text = String::from_utf8_lossy(before) + &*last;
                if stream != Stream::Out {
                    events.extend(reader.stderr_line(&text));
                }
                let messages = plain.as_mut().map(|plain| plain.line(&text, &last));
                for message in messages.into_iter().flatten() {
                    events.extend(reader.message(&message, start.elapsed()));
                }
                log.line(stream, line)
            };
            match chunk {
                Some(chunk) => {
                    let lines = match chunk.stream {
                        Stream::Out => &mut out,
                        _ => &mut err,
                    };
                    // The last of a disk would become part of the announcement of the next.
                    if is_bar(lines.rest()) {
                        lines.finish(|line| written = take(chunk.stream, line, 0, log));
                    }
                    let mut begun = lines.rest().len();
                    lines.push(&chunk.bytes, |line| {
                        written = take(chunk.stream, line, std::mem::take(&mut begun), log);
                    });
                    if let Some(message) = plain.as_mut().and_then(Plain::end) {
                        events.extend(reader.message(&message, start.elapsed()));
                    }
                }
                None if status.is_some() => {
                    err.finish(|line| written = take(errors, line, 0, log));
                    out.finish(|line| written = take(Stream::Out, line, 0, log));
                    if let Some(message) = plain.as_mut().and_then(Plain::end) {
                        events.extend(reader.message(&message, start.elapsed()));
                    }
                }
                None => log.flush()?,
            }
            written?;
            let drained = !sign;
            events.into_iter().for_each(&mut *observer);
            if let Some(status) = status.filter(|_| drained) {
                return Ok(End::Exit(status));
            }
            if self.cancel.is_cancelled() {
                return Ok(End::Cancelled);
            }
            if helpers_seen.elapsed() >= HELPERS_TICK {
                helpers_seen = Instant::now();
                sign |= running.look_at_helpers();
            }
            if watchdog.is_hung(reader.is_launching(), sign, Instant::now()) {
                return Ok(End::Hung);
            }
        }
    }

    /// The program under `setpriv`, which makes the kernel end it if refit is killed.
    fn command(&self, args: &[OsString], scratch: &Scratch, tcg: bool) -> Command {
        let mut command = match self.env.find_program("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command
                    .args(["--pdeathsig", "TERM", "--"])
                    .arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.args(args).env_clear().envs(self.env.iter());
        // Messages are compared with patterns, so they must not be translated.
        command.env("LC_ALL", "C.UTF-8").env_remove("LANGUAGE");
        for variable in ["TMPDIR", "VIRT_V2V_TMPDIR", "LIBGUESTFS_TMPDIR"] {
            command.env(variable, scratch.tmp());
        }
        command.env("LIBGUESTFS_CACHEDIR", cache_dir(self.env));
        if let Some(path) = &self.settings.virtio_win {
            command.env("VIRTIO_WIN", path);
        }
        if let Some(path) = &self.settings.virt_tools {
            command.env("VIRT_TOOLS_DATA_DIR", path);
        }
        if tcg {
            command.env(BACKEND_SETTINGS, force_tcg(self.env));
            let present = self.env.get(emulation::APPEND).unwrap_or_default();
            let options = emulation::kernel_options(&present.to_string_lossy());
            command.env(emulation::APPEND, options);
        }
        // virt-v2v gives the appliance twice libguestfs's default.
        if let Some(memsize) = self
            .settings
            .memsize_mb
            .filter(|_| !self.capabilities.has_memsize())
        {
            command.env("LIBGUESTFS_MEMSIZE", (memsize / 2).to_string());
        }
        command
    }

    /// Says in the log what refit does. A log that cannot be written shows when output is.
    fn note(&mut self, text: &str) {
        if let Err(error) = self.log.line(Stream::Refit, text.as_bytes()) {
            tracing::warn!(%error, "cannot write the log");
        }
    }
}

/// What an attempt led to.
#[derive(Debug)]
struct Attempt {
    end: End,
    error: Option<ConvertError>,
    phase: Option<Phase>,
    outcome: Outcome,
}

/// The command line without its secrets, and of its variables those that are not as refit found them: the others may
/// hold secrets, and the log is handed on.
fn described(command: &Command, env: &Environment) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_str()?, value?)))
        .filter(|(name, value)| env.get(name) != Some(*value));
    let mut words: Vec<String> = variables
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    words.extend(
        [command.get_program()]
            .into_iter()
            .chain(command.get_args())
            .map(|word| format!("{:?}", masked(&word.to_string_lossy()))),
    );
    words.join(" ")
}

/// The backend's settings with `force_tcg` among them, and without its opposite.
fn force_tcg(env: &Environment) -> String {
    let present = env
        .get(BACKEND_SETTINGS)
        .unwrap_or_default()
        .to_string_lossy();
    let mut settings: Vec<&str> = present
        .split(':')
        .filter(|setting| !setting.is_empty() && *setting != "force_kvm" && *setting != "force_tcg")
        .collect();
    settings.push("force_tcg");
    settings.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Root;
    use crate::tools::Program;

    /// What becomes of a conversion by a script that answers `tokens` when it is asked what it can do.
    fn plainly(
        tokens: &str,
        script: &str,
        set: impl FnOnce(&mut KubevirtOptions),
    ) -> (Result<Outcome, ConvertError>, Vec<Event>) {
        let dir = tempfile::tempdir().unwrap();
        let answers =
            format!("case $1 in --machine-readable) echo '{tokens}'; exit;; --*) exit;; esac");
        let program = Program::script(dir.path(), &format!("{answers}\n{script}"));
        let env = Environment::current().with("REFIT_VIRT_V2V", program.path);
        let mut settings = Settings::new(dir.path().join("log"));
        settings.protocol = Protocol::Plain;
        settings.root = Root::First;
        settings.tmpdir = Some(dir.path().to_owned());
        let mut options = KubevirtOptions {
            input: Input::Ova("/ova/a.ova".into()),
            out_dir: dir.path().to_owned(),
            name: "web1".to_owned(),
            names_output: true,
            settings,
        };
        set(&mut options);
        let mut events = Vec::new();
        let cancel = CancelToken::default();
        let mut observe = |event| events.push(event);
        let result = run_kubevirt(&Tools::find(&env), &options, &mut observe, &cancel);
        (result, events)
    }

    #[test]
    fn a_missing_token_is_virt_v2vs_own_business() {
        let (result, _) = plainly("input:disk", "exit 0", |_| {});
        assert!(result.is_ok(), "{result:?}");
    }

    #[test]
    fn whatever_the_stream_everything_is_read_in_order() {
        let (result, events) = plainly(
            "",
            r"
            echo '[   1.0] Copying disk 1/2 (raw)'
            printf '▝  40%% [**---]\r' >&2
            printf '▝  95%% [****-]' >&2
            printf '▝  96%% [****-]Copying disk 2/2\n'
            printf '▝  70%% [***--]\r'
            printf 'virt-v2v: warning: of two\nlines\n'
            echo 'no part of it' >&2
            echo '[   9] Finishing off'",
            |_| {},
        );
        assert_eq!(result.unwrap().warnings, ["of two lines"]);
        let said: Vec<String> = events
            .iter()
            .map(|event| match event {
                Event::Phase { phase, disk, .. } => format!("{} {disk:?}", phase.id()),
                Event::Copy { disk, percent, .. } => format!("{disk}: {percent}"),
                Event::Warning(text) => text.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            said,
            [
                "copy Some((1, 2))",
                "1: 40",
                "1: 95",
                "1: 96",
                "copy Some((2, 2))",
                "2: 70",
                "of two lines",
                "finish None",
            ]
        );
    }

    #[test]
    fn the_log_shows_only_variables_that_refit_sets() {
        let env = Environment::default()
            .with("TOKEN", "geheim")
            .with("TMPDIR", "/t");
        let mut command = Command::new("virt-v2v");
        command.args(["-v", "--root-password=password:geheim"]);
        command.env_clear().envs(env.iter());
        command.env("LC_ALL", "C.UTF-8").env("TMPDIR", "/scratch");
        assert_eq!(
            described(&command, &env),
            r#"LC_ALL="C.UTF-8" TMPDIR="/scratch" "virt-v2v" "-v" "--root-password=password:***""#
        );
    }

    #[test]
    fn other_backend_settings_are_kept() {
        let env = Environment::default();
        assert_eq!(force_tcg(&env), "force_tcg");
        assert_eq!(
            force_tcg(&env.with(BACKEND_SETTINGS, "gdb:force_kvm")),
            "gdb:force_tcg"
        );
    }
}
