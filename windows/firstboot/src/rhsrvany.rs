//! `rhsrvany.exe` for virt-v2v: any program as a service.
//!
//! The interface is the one that virt-v2v uses: `-s NAME install`, `-s NAME uninstall`, and as a service
//! the values `CommandLine` and `PWD` in `Services\NAME\Parameters`.

use crate::task::Data;
use crate::win32::process::Process;
use crate::win32::registry::Key;
use crate::win32::service;

/// The program's name without `.exe`, by which it is known.
pub const PROGRAM: &str = "rhsrvany";
/// The service's name without `-s`.
const DEFAULT_SERVICE: &str = "RHSrvAny";

/// What its arguments say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    service: Option<String>,
    command: Option<String>,
    directory: Option<String>,
    action: Option<String>,
}

fn parse(arguments: &[String]) -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let place = match argument.as_str() {
            "-s" => &mut parsed.service,
            "-c" => &mut parsed.command,
            "-p" => &mut parsed.directory,
            "install" | "uninstall" => {
                parsed.action = Some(argument.clone());
                continue;
            }
            _ => return Err(format!("unknown argument: {argument}")),
        };
        *place = Some(
            rest.next()
                .ok_or_else(|| format!("{argument} needs a value"))?
                .clone(),
        );
    }
    let valid =
        |name: &String| !name.is_empty() && name.len() <= 256 && !name.contains(['\\', '/']);
    match &parsed.service {
        Some(name) if !valid(name) => Err(format!("not the name of a service: {name}")),
        _ => Ok(parsed),
    }
}

impl Arguments {
    fn name(&self) -> &str {
        self.service.as_deref().unwrap_or(DEFAULT_SERVICE)
    }

    fn parameters(&self) -> String {
        format!(
            "SYSTEM\\CurrentControlSet\\Services\\{}\\Parameters",
            self.name()
        )
    }
}

/// The program; its result is the exit code.
pub fn run(arguments: &[String]) -> i32 {
    let result = parse(arguments).and_then(|parsed| match parsed.action.as_deref() {
        Some("install") => install(&parsed),
        Some(_) => service::uninstall(parsed.name()).map_err(|error| error.to_string()),
        None => {
            service::dispatch(body).map_err(|error| format!("not started as a service: {error}"))
        }
    });
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{PROGRAM}: {error}");
            1
        }
    }
}

fn install(arguments: &Arguments) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let program = std::env::current_exe().map_err(text)?;
    let command = format!("\"{}\" -s \"{}\"", program.display(), arguments.name());
    service::install(arguments.name(), &command).map_err(text)?;
    let key = Key::create(&arguments.parameters()).map_err(text)?;
    for (name, value) in [
        ("CommandLine", &arguments.command),
        ("PWD", &arguments.directory),
    ] {
        if let Some(value) = value {
            key.set(name, &Data::Sz(value.clone())).map_err(text)?;
        }
    }
    Ok(())
}

/// The service: runs the program and ends with it. Told to stop, it ends without: the program may have
/// asked for the restart that stops us.
fn body() -> u32 {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let parsed = match parse(&arguments) {
        Ok(parsed) => parsed,
        _ => return 1,
    };
    let key = match Key::open(&parsed.parameters()) {
        Ok(Some(key)) => key,
        _ => return 2,
    };
    let command = match key.string("CommandLine") {
        Some(command) => command,
        _ => return 3,
    };
    let directory = key.string("PWD");
    let process = match Process::start(&command, directory.as_deref()) {
        Ok(process) => process,
        _ => return 4,
    };
    while !service::stopping() {
        match process.wait(500) {
            Ok(None) => {}
            Ok(Some(code)) => return code,
            Err(_) => return 5,
        }
    }
    0
}
