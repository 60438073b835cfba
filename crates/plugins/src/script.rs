//! A script that is run in the guest's root, ahead of time.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::bail;
use refit_engine::{
    Evidence, Guest, GuestCommand, Info, Os, Proposal, RehearseError, Request, Verdict,
};

use crate::environment::{self, PATH};

/// The status by which a script says that it has nothing to do with the guest.
const NOT_APPLICABLE: i32 = 100;
/// Reads the whole script before it runs, so that no command in it can read the rest of it; fails where the guest has
/// no `cat`.
const EVALUATE: &str = "refit_script=$(cat) || exit; eval \"$refit_script\"";
/// How much of its output is reported.
const SHOWN: usize = 2048;

/// The script and how it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) interpreter: Vec<String>,
    pub(crate) text: Vec<u8>,
    pub(crate) timeout: Duration,
    /// Whether status 100 means that it has nothing to do with the guest, and no failure.
    pub(crate) may_decline: bool,
}

/// How to have `text` run by the interpreter that its first line names, when it is given on standard
/// input: so no file need be put into the guest, and none is left there.
///
/// # Errors
/// What is wrong with the first line.
pub(crate) fn interpreter(text: &[u8], id: &str) -> Result<Vec<String>, String> {
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default();
    let Some(line) = line.strip_prefix("#!") else {
        return Err(
            "the first line must name the interpreter of the guest, such as #!/bin/sh".to_owned(),
        );
    };
    if line.ends_with('\r') {
        return Err(
            "it has Windows line ends: convert it to Unix ones, for example with `sed -i 's/\\r$//'`"
                .to_owned(),
        );
    }
    // As the kernel does it: all behind the interpreter is one argument (execve(2)).
    let line = line.trim();
    let (path, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let mut argv: Vec<String> = vec![path.to_owned()];
    argv.extend(Some(argument.trim().to_owned()).filter(|argument| !argument.is_empty()));
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let program = match name(path).as_str() {
        "env" => name(argument.trim()),
        other => other.to_owned(),
    };
    match program.as_str() {
        "sh" | "bash" | "dash" | "ash" | "ksh" | "zsh" => {
            argv.extend(["-c".to_owned(), EVALUATE.to_owned(), id.to_owned()]);
        }
        // These read all of it before they run any.
        other
            if ["python", "perl", "ruby"]
                .iter()
                .any(|known| other.starts_with(known)) =>
        {
            argv.push("-".to_owned());
        }
        other => {
            return Err(format!(
                "the interpreter {other:?} in the first line is not supported: use sh, bash, dash, \
                 ash, ksh, zsh, python, perl or ruby"
            ));
        }
    }
    Ok(argv)
}

impl Script {
    /// Runs it on a throw-away copy of the guest; its effect is the proposal.
    ///
    /// # Errors
    /// If it ends with a status other than 0 (or 100, where that has its meaning), or takes too long.
    pub(crate) fn plan(
        &self,
        guest: &Guest<'_>,
        request: &Request,
        info: &Info,
    ) -> anyhow::Result<Proposal> {
        if guest.facts().os != Some(Os::Linux) {
            return Ok(Verdict::NotApplicable {
                reason: "the guest is no Linux".to_owned(),
            }
            .into());
        }
        let command = GuestCommand {
            argv: self.interpreter.clone(),
            stdin: self.text.clone(),
            env: variables(guest, request, info),
            timeout: self.timeout,
        };
        let rehearsal = match guest.rehearse(&command) {
            Ok(rehearsal) => rehearsal,
            Err(RehearseError::Unavailable { reason }) => {
                return Ok(Verdict::Blocked {
                    reason: format!("its script cannot be run: {reason}. Give the guest's disks"),
                }
                .into());
            }
            Err(error) => return Err(error.into()),
        };
        let output = end(&rehearsal.output);
        let last = output.lines().next_back().unwrap_or_default().trim();
        let verdict = match (rehearsal.status, rehearsal.changes.is_empty()) {
            (0, false) => Verdict::Change {
                reason: info.summary.clone(),
                changes: rehearsal.changes,
            },
            (0, true) => Verdict::Fine {
                reason: "the script changes nothing".to_owned(),
            },
            (NOT_APPLICABLE, _) if self.may_decline => Verdict::NotApplicable {
                reason: match last {
                    "" => "the script says so".to_owned(),
                    text => text.to_owned(),
                },
            },
            (status, _) if output.is_empty() => {
                bail!("the script ended with status {status} and said nothing")
            }
            (status, _) => bail!("the script ended with status {status} and said: {output}"),
        };
        let mut proposal = Proposal::from(verdict);
        if !output.is_empty() && !matches!(proposal.verdict, Verdict::NotApplicable { .. }) {
            proposal.evidence = vec![Evidence::from([("output", output)])];
        }
        Ok(proposal)
    }
}

fn variables(guest: &Guest<'_>, request: &Request, info: &Info) -> BTreeMap<String, String> {
    let mut variables = environment::parameter_variables(info, request);
    variables.extend(environment::fact_variables(guest.facts()));
    variables.extend(environment::nic_variables(request));
    for (name, value) in [("PATH", PATH), ("HOME", "/root"), ("LC_ALL", "C")] {
        variables.insert(name.to_owned(), value.to_owned());
    }
    variables
}

/// The end of what a program said, at most [`SHOWN`] bytes.
fn end(output: &str) -> String {
    let output = output.trim();
    let mut start = output.len().saturating_sub(SHOWN);
    while !output.is_char_boundary(start) {
        start += 1;
    }
    output[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters() {
        let cases: [(&str, Result<&[&str], &str>); 8] = [
            ("#!/bin/sh\necho", Ok(&["/bin/sh", "-c", EVALUATE, "x"])),
            (
                "#! /bin/bash -e\n",
                Ok(&["/bin/bash", "-e", "-c", EVALUATE, "x"]),
            ),
            ("#!/usr/bin/python3\n", Ok(&["/usr/bin/python3", "-"])),
            ("#!/usr/bin/env perl\n", Ok(&["/usr/bin/env", "perl", "-"])),
            ("echo\n", Err("#!/bin/sh")),
            ("", Err("#!/bin/sh")),
            ("#!/bin/sh\r\n", Err("Windows line ends")),
            ("#!/usr/bin/node\n", Err("\"node\"")),
        ];
        for (text, expected) in cases {
            match (interpreter(text.as_bytes(), "x"), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text:?}"),
                (Err(found), Err(part)) => assert!(found.contains(part), "{text:?}: {found}"),
                (found, expected) => panic!("{text:?}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn only_the_end_of_long_output_is_shown() {
        let output = format!("{}ä end", "ö".repeat(5000));
        let shown = end(&output);
        assert!(shown.len() <= SHOWN && shown.ends_with("ä end"));
    }
}
