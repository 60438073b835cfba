//! The `refit` command: arguments in, a report out. What it does is in the libraries.

mod args;
mod catalogue;
mod commands;
mod interrupt;
mod names;
mod output;
mod progress;
mod render;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command, FixupsCommand, OvaCommand};
use interrupt::Interrupt;
use output::{Exit, Output};

fn main() -> ExitCode {
    match refit_pod::init::supervise_if_pid_1() {
        Ok(None) => {}
        Ok(Some(code)) => return code,
        Err(error) => {
            anstream::eprintln!("refit: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    if let Some(code) = names::run_other() {
        return code;
    }
    let cli = match Cli::try_parse_from(names::arguments()) {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
                let message = error.to_string();
                let message = message.strip_prefix("error: ").unwrap_or(&message);
                output::print_error(message.trim_end(), Exit::Usage);
            }
            error.exit()
        }
    };
    if let Command::Pod { args } = &cli.command {
        return commands::pod::run(args);
    }
    let output = Output::new(cli.json, cli.verbose);
    let interrupt = match Interrupt::install() {
        Ok(interrupt) => interrupt,
        Err(error) => return output.fail(&error.into()).into(),
    };
    let result = match &cli.command {
        Command::Inspect(args) => commands::inspect::run(args, &output, &interrupt),
        Command::Plan(args) => commands::plan::run(args, &output, &interrupt),
        Command::Fix(args) => commands::fix::run(args, &output, &interrupt),
        Command::Undo(args) => commands::undo::run(args, &output, &interrupt),
        Command::Recover(args) => commands::recover::run(args, &output),
        Command::Convert(args) => commands::convert::run(args, &output, &interrupt),
        Command::Boot(args) => commands::boot::run(args, &output, &interrupt),
        Command::Ova { command } => match command {
            OvaCommand::Spec(args) => commands::ova::spec::run(args, &output),
            OvaCommand::Env(args) => commands::ova::env::run(args, &output),
            OvaCommand::Inspect(args) => commands::ova::inspect::run(args, &output),
            OvaCommand::Verify(args) => commands::ova::verify::run(args, &output, &interrupt),
        },
        Command::Fixups { command } => match command {
            FixupsCommand::List { own } => commands::fixups::list(own, &output, &interrupt),
            FixupsCommand::Show { id, own } => commands::fixups::show(id, own, &output, &interrupt),
            FixupsCommand::Check(args) => commands::check::run(args, &output, &interrupt),
            FixupsCommand::Schema { of } => commands::fixups::schema(*of, &output),
        },
        Command::Doctor => commands::doctor::run(&output),
        Command::Pod { .. } => Ok(Exit::Done),
    };
    let exit = match result {
        Ok(exit) => exit,
        // Where something was changed, how to go back matters more than why it ended.
        Err(error) if interrupt.is_raised() && !output::has_changed(&error) => {
            output.interrupted();
            Exit::Interrupted
        }
        Err(error) => output.fail(&error),
    };
    exit.into()
}
