//! The first-boot service of Windows guests, `rhsrvany.exe` for virt-v2v, and a stand-in for VMware Tools.
//!
//! `README.md` says what it does and when, `TASKS.md` what it can be told. The pure part (tasks, their
//! order, the plan for a network interface) is tested on any system; the rest is Windows.
#![cfg_attr(not(windows), allow(dead_code, unused_imports))]

mod clock;
mod guestinfo;
mod inf;
mod layout;
mod mac;
mod netplan;
mod netregistry;
mod schedule;
mod srwlock;
mod state;
mod task;
mod vars;

#[cfg(windows)]
mod actions;
#[cfg(windows)]
mod attempt;
#[cfg(windows)]
mod boot;
#[cfg(windows)]
mod completion;
#[cfg(windows)]
mod folder;
#[cfg(windows)]
mod modes;
#[cfg(windows)]
mod peer;
#[cfg(windows)]
mod rhsrvany;
#[cfg(windows)]
#[allow(unsafe_code)]
mod win32;

/// What the log says about this program.
const VERSION: &str = "0.1.0";

fn main() {
    let arguments: Vec<String> = std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let code = match arguments.get(1).map(String::as_str) {
        Some("check") => check(&arguments[2..]),
        _ => run(&arguments),
    };
    std::process::exit(code);
}

#[cfg(windows)]
fn run(arguments: &[String]) -> i32 {
    modes::run(arguments)
}

#[cfg(not(windows))]
fn run(_: &[String]) -> i32 {
    eprintln!("usage: refit-firstboot check FILE...; the rest needs Windows");
    2
}

/// `check FILE...`: says which task files would be refused, on any system.
fn check(files: &[String]) -> i32 {
    let mut code = 0;
    for file in files {
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let result = std::fs::read(file)
            .map_err(|error| error.to_string())
            .and_then(|content| task::Task::parse(name, &content));
        match result {
            Ok(task) => println!("{file}: {}", task.title),
            Err(error) => {
                println!("{file}: refused: {error}");
                code = 1;
            }
        }
    }
    code
}
