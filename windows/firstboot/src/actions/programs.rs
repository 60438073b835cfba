//! Installers and users' scripts.

use std::io;
use std::os::windows::process::CommandExt;
use std::process::{Command, Stdio};

use super::{Done, Result};
use crate::task::{Interpreter, Program, Script};
use crate::vars::Folders;

pub fn run(program: &Program, folders: &Folders) -> Result {
    let mut command = Command::new(folders.expand(&program.path));
    command.args(expanded(program, folders));
    finish(command, program, folders)
}

pub fn script(script: &Script, folders: &Folders) -> Result {
    let path = folders.expand(&script.program.path);
    let arguments = expanded(&script.program, folders);
    let system32 = format!("{}\\System32", folders.system_root);
    let mut command;
    match script.interpreter {
        Interpreter::Cmd => {
            command = Command::new(format!("{system32}\\cmd.exe"));
            // With /s cmd takes away the outer quotation marks and looks at nothing else. The task's
            // parser lets nothing through that means something to cmd.
            let line: String = arguments.iter().map(|argument| word(argument)).collect();
            command.raw_arg(format!("/d /s /c \"\"{path}\"{line}\""));
        }
        Interpreter::PowerShell => {
            command = Command::new(format!(
                "{system32}\\WindowsPowerShell\\v1.0\\powershell.exe"
            ));
            command.args([
                "-NoLogo",
                "-NoProfile",
                "-NonInteractive",
                "-ExecutionPolicy",
                "Bypass",
                "-File",
            ]);
            command.arg(path).args(arguments);
        }
    }
    finish(command, &script.program, folders)
}

/// An argument of a script; cmd separates words at these characters, too.
fn word(argument: &str) -> String {
    match argument.contains([',', '=']) {
        true => format!(" \"{argument}\""),
        false => format!(" {argument}"),
    }
}

fn expanded(program: &Program, folders: &Folders) -> Vec<String> {
    program.args.iter().map(|arg| folders.expand(arg)).collect()
}

/// Waits for it and judges its exit code. What it prints goes where this process prints.
fn finish(mut command: Command, program: &Program, folders: &Folders) -> Result {
    let directory = program.directory.as_ref().unwrap_or(&folders.refit);
    command
        .stdin(Stdio::null())
        .current_dir(folders.expand(directory));
    let failed = |error: io::Error| format!("{}: {error}", program.path);
    let status = command.status().map_err(failed)?;
    let code = status.code().unwrap_or(-1);
    if program.reboot.contains(&code) {
        return Ok(Done {
            restart: true,
            message: format!("exit code {code}: needs a restart"),
        });
    }
    if program.success.contains(&code) {
        return Ok(Done::new(format!("exit code {code}")));
    }
    Err(format!("exit code {code}"))
}

/// Runs a program of the system and gives its exit code.
pub fn system_program(name: &str, arguments: &[String], folders: &Folders) -> io::Result<i32> {
    let path = format!("{}\\System32\\{name}", folders.system_root);
    let status = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .status()?;
    Ok(status.code().unwrap_or(-1))
}
