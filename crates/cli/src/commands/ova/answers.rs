//! Answers from arguments, files, standard input and the environment.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::Context as _;
use refit_ovf::properties::{self, Answer, Answers, Origin, Policy};
use refit_ovf::spec;

use crate::args::{AnswerArgs, IpAllocation, PropertyArgs, SetArgs};
use crate::output::UsageError;

/// Longest file of answers, or value in a file, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Single values by where they are from, each `KEY=...`.
#[derive(Debug, Clone, Copy)]
pub struct Single<'a> {
    set: &'a [String],
    file: &'a [String],
    env: &'a [String],
    /// The option's name without what follows for files and variables.
    option: &'static str,
}

impl<'a> From<&'a SetArgs> for Single<'a> {
    fn from(args: &'a SetArgs) -> Self {
        Self {
            set: &args.set,
            file: &args.set_file,
            env: &args.set_env,
            option: "--set",
        }
    }
}

impl<'a> From<&'a PropertyArgs> for Single<'a> {
    fn from(args: &'a PropertyArgs) -> Self {
        Self {
            set: &args.property,
            file: &args.property_file,
            env: &args.property_env,
            option: "--property",
        }
    }
}

/// Whether anything is answered at all.
pub fn any(args: &AnswerArgs, single: Single<'_>) -> bool {
    let lists = [single.set, single.file, single.env, &args.extra];
    !args.values.is_empty()
        || args.configuration.is_some()
        || lists.iter().any(|list| !list.is_empty())
}

/// Collects everything: files first, in their order, then single values.
///
/// # Errors
/// If something cannot be read, is no answer, or is answered twice on the command line.
pub fn read(args: &AnswerArgs, single: Single<'_>) -> anyhow::Result<(Answers, Policy)> {
    let mut input = Input::default();
    let mut answers = Answers::default();
    for path in &args.values {
        let naming = || format!("reading the answers in {}", path.display());
        let text = input.text(path).with_context(naming)?;
        answers.merge(spec::read(&text).with_context(naming)?);
    }
    let mut given = BTreeMap::new();
    let mut add = |option: &str, key: &str, value: String, origin| {
        let answer = Answer { value, origin };
        match given.insert(key.to_owned(), answer) {
            None => Ok(()),
            Some(_) => Err(UsageError(format!("{option}: {key} is given twice"))),
        }
    };
    for text in single.set {
        let (key, value) = pair(single.option, text)?;
        add(single.option, key, value.to_owned(), Origin::Arguments)?;
    }
    for text in single.file {
        let option = format!("{}-file", single.option);
        let (key, path) = pair(&option, text)?;
        let value = input
            .text(Path::new(path))
            .with_context(|| format!("reading the value of {key} in {path}"))?;
        let value = value.strip_suffix('\n').unwrap_or(&value);
        let value = value.strip_suffix('\r').unwrap_or(value);
        add(&option, key, value.to_owned(), Origin::Private)?;
    }
    for text in single.env {
        let option = format!("{}-env", single.option);
        let (key, name) = pair(&option, text)?;
        // The error of a value that is no UTF-8 would show it.
        let value = std::env::var_os(name)
            .ok_or_else(|| UsageError(format!("{option}: there is no variable {name}")))?
            .into_string()
            .map_err(|_| UsageError(format!("{option}: {name} is no text in UTF-8")))?;
        add(&option, key, value, Origin::Private)?;
    }
    answers.merge(Answers {
        configuration: args.configuration.clone(),
        properties: given,
        extra: args
            .extra
            .iter()
            .map(|text| {
                let (key, value) = pair("--extra", text)?;
                let answer = Answer {
                    value: value.to_owned(),
                    origin: Origin::Arguments,
                };
                Ok((key.to_owned(), answer))
            })
            .collect::<Result<_, UsageError>>()?,
        ip_allocation: args.ip_allocation.map(|policy| match policy {
            IpAllocation::Fixed => properties::IpAllocation::Fixed,
            IpAllocation::Dhcp => properties::IpAllocation::Dhcp,
        }),
        ..Answers::default()
    });
    let policy = Policy {
        allow_fixed: args.allow_fixed,
        allow_secret_arguments: args.allow_secrets_in_arguments,
        literal_macros: args.literal_macros,
    };
    Ok((answers, policy))
}

/// `KEY=REST`; the rest is not part of the message.
fn pair<'t>(option: &str, text: &'t str) -> Result<(&'t str, &'t str), UsageError> {
    match text.split_once('=') {
        Some((key, rest)) if !key.is_empty() => Ok((key, rest)),
        _ => Err(UsageError(format!(
            "{option} takes KEY=..., and one of its values has no KEY="
        ))),
    }
}

/// Where texts are read from; standard input only once.
#[derive(Default)]
struct Input {
    stdin_used: bool,
}

impl Input {
    fn text(&mut self, path: &Path) -> anyhow::Result<String> {
        let mut content = Vec::new();
        if path == Path::new("-") {
            if std::mem::replace(&mut self.stdin_used, true) {
                return Err(UsageError("standard input can be read once only".to_owned()).into());
            }
            io::stdin()
                .lock()
                .take(MAX_FILE + 1)
                .read_to_end(&mut content)?;
        } else {
            File::open(path)?
                .take(MAX_FILE + 1)
                .read_to_end(&mut content)?;
        }
        anyhow::ensure!(
            content.len() as u64 <= MAX_FILE,
            "it has more than {MAX_FILE} bytes"
        );
        // The error's own text has the place; the content stays out of it.
        String::from_utf8(content)
            .map_err(|error| error.utf8_error())
            .context("it is no text in UTF-8; a value of other bytes has to be encoded, such as in base64")
    }
}
