//! A user's fixup among the built-in ones.

use std::path::{Path, PathBuf};

use refit_engine::{Fixup, Guest, Info, Proposal, Request, Verdict};
use refit_rules::{Draft, Rules, Values};

use crate::problem::Problem;
use crate::program::Program;
use crate::script::Script;
use refit_firstboot::{FirstBoot, Owner};

/// A fixup that was loaded from a folder.
#[derive(Debug)]
pub struct UserFixup {
    pub(crate) info: Info,
    pub(crate) folder: PathBuf,
    /// The conditions, and the rules if there are any.
    pub(crate) rules: Rules,
    pub(crate) kind: Kind,
}

/// What it does.
#[derive(Debug)]
pub(crate) enum Kind {
    Rules,
    Script(Script),
    FirstBoot(FirstBoot),
    Program(Program),
    /// It cannot be used. It is in the catalogue all the same, so that its failure is reported.
    Broken(Vec<Problem>),
}

impl UserFixup {
    /// The folder that it was loaded from.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it does: `rules`, `script`, `firstboot`, `program`, or `broken`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Rules => "rules",
            Kind::Script(_) => "script",
            Kind::FirstBoot(_) => "firstboot",
            Kind::Program(_) => "program",
            Kind::Broken(_) => "broken",
        }
    }

    /// Whether planning runs programs of the guest, which is possible in the appliance alone.
    #[must_use]
    pub fn runs_in_guest(&self) -> bool {
        matches!(self.kind, Kind::Script(_))
    }
}

impl Fixup for UserFixup {
    fn info(&self) -> &Info {
        &self.info
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        let values = Values::of(&self.info, request);
        if let Some(reason) = self.rules.obstacle(&Draft::new(guest)?, &values)? {
            return Ok(Verdict::NotApplicable { reason }.into());
        }
        match &self.kind {
            Kind::Rules => self.rules.plan(guest, request, &self.info),
            Kind::Script(script) => script.plan(guest, request, &self.info),
            Kind::FirstBoot(firstboot) => {
                let owner = Owner {
                    id: &self.info.id,
                    summary: &self.info.summary,
                    variables: crate::environment::parameter_variables(&self.info, request),
                };
                Ok(firstboot.plan(guest, &owner)?.into())
            }
            Kind::Program(program) => program.plan(guest, request, &self.info),
            Kind::Broken(problems) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                anyhow::bail!("{}", problems.join("; "))
            }
        }
    }
}
