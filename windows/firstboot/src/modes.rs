//! The ways in which the program is started.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::boot::{self, End, Options};
use crate::folder::Folder;
use crate::win32::service;
use crate::{attempt, guestinfo, rhsrvany};

const USAGE: &str = "usage: refit-firstboot service
       refit-firstboot run FOLDER [--settle SECONDS] [--peer SECONDS] [--pause SECONDS]
       refit-firstboot check FILE...
       refit-firstboot -s NAME [-c COMMAND] [-p DIRECTORY] install
       refit-firstboot -s NAME uninstall
       vmtoolsd --cmd COMMAND (under this name: a stand-in for VMware Tools)

run: one boot in the console, on the folder above tasks; exit code 0 done, 1 some tasks
failed, 3010 the service would restart the machine now, 2 interrupted";

const DEFAULTS: Options = Options {
    service: true,
    settle: Duration::from_secs(300),
    peer: Duration::from_secs(1800),
    pause: Duration::from_secs(15),
};

/// Does what the arguments say; gives the exit code.
pub fn run(arguments: &[String]) -> i32 {
    let (program, rest) = match arguments.split_first() {
        Some(split) => split,
        None => return usage(),
    };
    let stem = Path::new(program)
        .file_stem()
        .map(|stem| stem.to_string_lossy().to_lowercase());
    if stem.as_deref() == Some(rhsrvany::PROGRAM) || rest.first().map(String::as_str) == Some("-s")
    {
        return rhsrvany::run(rest);
    }
    if let Some(tool) = stem
        .as_deref()
        .filter(|stem| guestinfo::PROGRAMS.contains(stem))
    {
        return guestinfo::run(tool, rest);
    }
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["service"] => match service::dispatch(body) {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("not started as a service: {error}");
                2
            }
        },
        ["attempt", folder, file] => {
            attempt::process(&Folder::new(PathBuf::from(folder), false), file)
        }
        ["run", folder, options @ ..] => match console(options) {
            Some(options) => code(boot::run(
                &Folder::new(PathBuf::from(folder), true),
                options,
            )),
            None => usage(),
        },
        _ => usage(),
    }
}

fn usage() -> i32 {
    eprintln!("{USAGE}");
    2
}

fn console(words: &[&str]) -> Option<Options> {
    let mut options = Options {
        service: false,
        ..DEFAULTS
    };
    for pair in words.chunks(2) {
        let seconds = Duration::from_secs(pair.get(1)?.parse::<u16>().ok()?.into());
        match pair[0] {
            "--settle" => options.settle = seconds,
            "--peer" => options.peer = seconds,
            "--pause" => options.pause = seconds,
            _ => return None,
        }
    }
    Some(options)
}

fn code(end: End) -> i32 {
    match end {
        End::Done => 0,
        End::Failed => 1,
        End::Interrupted => 2,
        End::Restart => 3010,
    }
}

/// The service: works in the folder where the program is.
fn body() -> u32 {
    let program = std::env::current_exe().unwrap_or_default();
    let path = match program.parent() {
        Some(path) => path,
        _ => return 2,
    };
    let end = boot::run(&Folder::new(path.to_owned(), false), DEFAULTS);
    match end {
        // The machine ends us; an error would be logged as one.
        End::Restart => 0,
        end => code(end) as u32,
    }
}
