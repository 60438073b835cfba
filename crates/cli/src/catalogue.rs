//! All fixups of one run: the built-in ones, and the user's own.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;

use refit_engine::Fixup;
use refit_plugins::{Problem, Stop, UserFixup};

use crate::args::OwnFixupsArgs;
use crate::interrupt::Interrupt;
use crate::output::UsageError;

/// Fixups of this host's own, which always take part.
const SITE: &str = "/etc/refit/fixups.d";

/// The built-in fixups and those that were loaded.
#[derive(Debug, Default)]
pub struct Catalogue {
    own: Vec<UserFixup>,
}

impl Catalogue {
    /// Loads the user's own fixups. One in a directory that was given and cannot be used is wrong
    /// usage; one of the host's own fails in the plan, and costs only itself.
    pub fn load(args: &OwnFixupsArgs, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let stop = stop(interrupt);
        let mut taken = built_in_ids();
        let mut own = Vec::new();
        let site = Path::new(SITE);
        if site.is_dir() {
            own.extend(refit_plugins::load(site, &mut taken, &stop).tolerant(&mut taken));
        }
        let mut problems = Vec::new();
        for dir in &args.dirs {
            let loaded = refit_plugins::load(dir, &mut taken, &stop);
            own.extend(loaded.fixups);
            problems.extend(loaded.problems);
        }
        if problems.is_empty() {
            Ok(Self { own })
        } else {
            Err(UsageError(usage(&problems)).into())
        }
    }

    /// All of them, the built-in ones first.
    pub fn fixups(&self) -> Vec<&dyn Fixup> {
        let own = self.own.iter().map(|fixup| fixup as &dyn Fixup);
        built_in()
            .map(|fixup| fixup as &dyn Fixup)
            .chain(own)
            .collect()
    }

    /// The user's own fixup with this identifier.
    pub fn own(&self, id: &str) -> Option<&UserFixup> {
        self.own.iter().find(|fixup| fixup.info().id == id)
    }
}

fn built_in() -> impl Iterator<Item = &'static dyn Fixup> {
    refit_fixups::all().into_iter().chain(refit_windows::all())
}

/// The identifiers that a user's fixup cannot have.
pub fn built_in_ids() -> BTreeSet<String> {
    built_in().map(|fixup| fixup.info().id.clone()).collect()
}

/// Set when the user wants to stop.
pub fn stop(interrupt: &Interrupt) -> Stop {
    let stop = Stop::default();
    let raised = stop.clone();
    interrupt.on_raise(move || raised.0.store(true, Ordering::SeqCst));
    stop
}

fn usage(problems: &[Problem]) -> String {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!("--fixups: {}", problems.join("\n"))
}
