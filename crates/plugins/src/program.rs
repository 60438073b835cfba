//! A program on this host that is asked what to change: the protocol `refit/fixup/v1`.
//!
//! refit writes one line of JSON, the task. The program answers with lines of JSON: any number of
//! questions about the guest, each of which gets one line back, and at last a verdict. It is
//! the user's own choice of code and runs as the user; what it says of the guest is checked all the
//! same, because it read a hostile guest. It is bounded in time and size, and killed with everything
//! that it started when it is done or goes wrong.

mod answers;
mod process;
pub(crate) mod protocol;
mod registry;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use refit_engine::{Guest, Info, Proposal, Request};
use serde_json::Value;

use crate::environment;
use crate::load::Stop;
use crate::trusted;
use process::{Limits, Process};
use protocol::{Proposed, Question, Task};

/// Questions that a program may ask. A fixup that needs more reads what it need not.
const QUESTIONS: usize = 10_000;
/// Bytes of JSON that it may be given in all.
const GIVEN: usize = 64 << 20;
/// Bytes of one line, and of all lines, from it.
const LINE: usize = 32 << 20;
const SAID: usize = 64 << 20;

/// The program and how it is run.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Absolute.
    pub(crate) path: PathBuf,
    pub(crate) timeout: Duration,
    /// When the user wants to stop.
    pub(crate) stop: Stop,
}

impl Program {
    /// Starts it, answers its questions, and takes its verdict.
    ///
    /// # Errors
    /// If it cannot be started, breaks the protocol, takes too long, or ends with a status other
    /// than 0.
    pub(crate) fn plan(
        &self,
        guest: &Guest<'_>,
        request: &Request,
        info: &Info,
    ) -> anyhow::Result<Proposal> {
        // Once more: it may have changed since it was loaded.
        if let Err(reason) = trusted::check(&self.path) {
            bail!("{} is not run: {reason}", self.path.display());
        }
        let limits = Limits {
            time: self.timeout,
            line: LINE,
            all: SAID,
        };
        let mut process = Process::start(&self.path, limits, self.stop.clone())
            .with_context(|| format!("starting {}", self.path.display()))?;
        self.converse(&mut process, guest, request, info)
            .map_err(|error| match process.last_words() {
                words if words.is_empty() => error,
                words => error.context(format!("it wrote to standard error: {words}")),
            })
    }

    fn converse(
        &self,
        process: &mut Process,
        guest: &Guest<'_>,
        request: &Request,
        info: &Info,
    ) -> anyhow::Result<Proposal> {
        let task = Task::new(
            guest.facts(),
            request,
            info,
            environment::parameters(info, request),
        );
        process.send(serde_json::to_vec(&task)?);
        let (mut questions, mut given) = (0, 0);
        let proposed = loop {
            let Some(line) = process.line()? else {
                let status = process.end()?;
                bail!("the program ended ({status}) without a verdict");
            };
            match parse(&line)? {
                Said::Question(question) => {
                    questions += 1;
                    ensure!(
                        questions <= QUESTIONS,
                        "the program asked more than {QUESTIONS} questions and was stopped"
                    );
                    let answer = serde_json::to_vec(&answers::answer(guest, &question))?;
                    given += answer.len();
                    ensure!(
                        given <= GIVEN,
                        "the program asked for more than {} MiB and was stopped",
                        GIVEN >> 20
                    );
                    process.send(answer);
                }
                Said::Verdict(proposed) => break proposed,
            }
            ensure!(!self.stop.0.load(Ordering::SeqCst), "interrupted");
        };
        process.close_input();
        ensure!(
            process.line()?.is_none(),
            "the program went on after its verdict, which must be its last line"
        );
        let status = process.end()?;
        ensure!(
            status.success(),
            "the program gave a verdict, but failed then ({status})"
        );
        proposed.into_proposal()
    }
}

enum Said {
    Question(Question),
    Verdict(Proposed),
}

/// Reads one line of the program.
fn parse(line: &[u8]) -> anyhow::Result<Said> {
    let shown = || {
        let text = String::from_utf8_lossy(line);
        let start: String = text.chars().take(120).collect();
        if start.len() < text.len() {
            format!("{start}...")
        } else {
            start
        }
    };
    let value: Value = serde_json::from_slice(line)
        .with_context(|| format!("the program's line {:?} is no JSON", shown()))?;
    let has = |key| value.get(key).is_some();
    match (has("ask"), has("verdict")) {
        (true, false) => serde_json::from_value(value)
            .map(Said::Question)
            .with_context(|| format!("reading the program's question {:?}", shown())),
        (false, true) => serde_json::from_value(value)
            .map(Said::Verdict)
            .with_context(|| format!("reading the program's verdict {:?}", shown())),
        _ => bail!(
            "the program's line {:?} is neither a question (\"ask\") nor a verdict (\"verdict\")",
            shown()
        ),
    }
}

#[cfg(test)]
mod tests;
