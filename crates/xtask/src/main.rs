//! Project tasks, run as `cargo xtask TASK`.

mod bench;
mod bindings;
mod demo;
mod firstboot;
mod image;
mod lanes;
mod matrix;
mod process;
mod setup;
mod test;
mod windows;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Project tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Make a guest as it comes from VMware, convert it, boot it, and show what refit did
    Demo,
    /// Run the tests: all of them, or with --fast those that take seconds
    Test {
        /// No appliance and no virtual machine
        #[arg(long)]
        fast: bool,
    },
    /// Take every machine of the matrix through its boots and `refit fix`, and write tests/MATRIX.md
    Matrix {
        /// Only write the table, of results that the test left in this file (REFIT_MATRIX_RESULTS)
        #[arg(long, value_name = "FILE")]
        from: Option<std::path::PathBuf>,
    },
    /// Measure refit beside other tools
    Bench {
        /// What to measure
        #[command(subcommand)]
        bench: bench::Bench,
    },
    /// Build the first-boot service of Windows guests, for both architectures
    Firstboot {
        /// Run its unit tests, too, and see that two builds give the same bytes
        #[arg(long)]
        check: bool,
    },
    Image(image::Image),
    /// Boot a converted Windows guest that you have and see whether its first boot goes well
    WindowsCheck(windows::Check),
    /// Install the Debian packages that building, tests and demo need
    Setup,
    /// Regenerate the committed libguestfs bindings from the installed header
    Bindings {
        /// Only say whether they are up to date
        #[arg(long)]
        check: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Demo => demo::run_demo(),
        Task::WindowsCheck(check) => windows::check(&check),
        Task::Image(image) => image::build(&image),
        Task::Firstboot { check: false } => firstboot::build(),
        Task::Firstboot { check: true } => {
            firstboot::test()?;
            firstboot::test_build()
        }
        Task::Test { fast } => test::run_tier(fast),
        Task::Matrix { from: None } => matrix::run_matrix(),
        Task::Matrix {
            from: Some(results),
        } => matrix::write_table(&results),
        Task::Bench { bench } => bench::run_bench(bench),
        Task::Setup => setup::run(),
        Task::Bindings { check } => bindings::run(check),
    }
}
