//! `fixup.toml` of a user's fixup.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use refit_engine::{Info, Parameter, Phase};
use refit_rules::{Rule, Rules, When};
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::environment;
use crate::problem::Problem;

/// What a fixup of your own is and does. Exactly one of `rule`, `script`, `firstboot` and `program`
/// says what it does.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    title = "fixup.toml",
    extend("oneOf" = [
        {"required": ["rule"]},
        {"required": ["script"]},
        {"required": ["firstboot"]},
        {"required": ["program"]}
    ])
)]
pub(crate) struct Manifest {
    /// Its name on the command line and in reports, and the name of its folder: lower-case letters,
    /// digits and hyphens.
    #[schemars(regex(pattern = "^[a-z][a-z0-9-]{0,62}$"))]
    id: String,
    /// One line: what it does for the guest.
    summary: String,
    /// When in the order it runs.
    #[serde(default = "user")]
    phase: Phase,
    /// Parameters that `--set ID.PARAM=VALUE` accepts, by name.
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
    /// Conditions. Where they do not hold, the fixup is not applicable.
    #[serde(default)]
    when: When,
    /// Declarative rules, in the order in which they are applied.
    #[serde(default)]
    #[schemars(with = "Vec<Rule>")]
    rule: Vec<Spanned<Rule>>,
    /// A script that is run in the guest's root, ahead of time, on a throw-away copy.
    script: Option<ScriptKeys>,
    /// A script that the guest runs once, at its next boot.
    firstboot: Option<FirstBootKeys>,
    /// A program on this host that is given the facts and answers with changes.
    program: Option<ProgramKeys>,
}

fn user() -> Phase {
    Phase::User
}

/// `[script]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScriptKeys {
    /// The script, a file in the folder.
    pub(crate) run: String,
    /// Seconds after which it is killed.
    #[serde(default = "script_timeout")]
    #[schemars(range(min = 1, max = 86400))]
    pub(crate) timeout: u64,
}

fn script_timeout() -> u64 {
    300
}

/// `[firstboot]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstBootKeys {
    /// The script, a file in the folder.
    pub(crate) run: String,
    /// Whether it needs the network.
    #[serde(default)]
    pub(crate) network: bool,
    /// How often it is tried until it ends with status 0.
    #[serde(default = "attempts")]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) attempts: u32,
    /// Seconds for all attempts in one boot (systemd guests; others have no limit).
    #[serde(default = "firstboot_timeout")]
    #[schemars(range(min = 1, max = 86400))]
    pub(crate) timeout: u64,
}

fn attempts() -> u32 {
    3
}

fn firstboot_timeout() -> u64 {
    600
}

/// `[program]`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProgramKeys {
    /// The program, an executable file in the folder.
    pub(crate) run: String,
    /// Seconds after which it is killed. The time in which refit answers does not count.
    #[serde(default = "program_timeout")]
    #[schemars(range(min = 1, max = 86400))]
    pub(crate) timeout: u64,
}

fn program_timeout() -> u64 {
    60
}

/// What a fixup does, as `fixup.toml` says it.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    Rules,
    Script(ScriptKeys),
    FirstBoot(FirstBootKeys),
    Program(ProgramKeys),
}

/// A `fixup.toml` that makes sense in itself.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) info: Info,
    /// The conditions, and the rules if there are any.
    pub(crate) rules: Rules,
    pub(crate) does: Does,
}

/// Seconds that any part of a fixup may ask for.
const LONGEST: u64 = 86400;

/// Reads the text of the file at `path`, whose folder has the fixup's name.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Parsed, Vec<Problem>> {
    let manifest: Manifest =
        toml::from_str(text).map_err(|error| vec![unreadable(text, path, &error)])?;
    let mut problems = Problems {
        text,
        path,
        found: Vec::new(),
    };
    check_names(&manifest, path, &mut problems);
    check_numbers(&manifest, &mut problems);
    let does = what_it_does(&manifest, &mut problems);
    let info = Info {
        id: manifest.id,
        summary: manifest.summary,
        phase: manifest.phase,
        parameters: manifest.parameters,
    };
    check_rules(&info, &manifest.when, &manifest.rule, &mut problems);
    let rules = manifest.rule.into_iter().map(Spanned::into_inner);
    match does {
        Some(does) if problems.found.is_empty() => Ok(Parsed {
            info,
            rules: Rules {
                when: manifest.when,
                rules: rules.collect(),
            },
            does,
        }),
        _ => Err(problems.found),
    }
}

fn check_rules(info: &Info, when: &When, rules: &[Spanned<Rule>], problems: &mut Problems<'_>) {
    if let Err(error) = when.check(info) {
        problems.add(&["when"], format!("when: {error:#}"));
    }
    for (number, rule) in (1..).zip(rules) {
        if let Err(error) = rule.get_ref().check(info) {
            problems.found.push(Problem {
                file: problems.path.to_owned(),
                line: Some(line_of(problems.text, &rule.span())),
                message: format!("rule {number}: {error:#}"),
            });
        }
    }
}

fn check_names(manifest: &Manifest, path: &Path, problems: &mut Problems<'_>) {
    let folder = path.parent().and_then(Path::file_name);
    let folder = folder
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    if !is_id(&manifest.id) {
        problems.add(
            &["id"],
            format!(
                "id: {:?} is no identifier: begin with a lower-case letter, and use lower-case \
                 letters, digits and hyphens, at most 63",
                manifest.id
            ),
        );
    } else if manifest.id != folder {
        problems.add(
            &["id"],
            format!(
                "id: {:?} is not the name of its folder, {folder:?}: rename one of them",
                manifest.id
            ),
        );
    }
    if manifest.summary.trim().is_empty() || manifest.summary.contains(char::is_control) {
        problems.add(
            &["summary"],
            "summary: say in one line what the fixup does for the guest".to_owned(),
        );
    }
    let mut variables = BTreeSet::new();
    for (name, parameter) in &manifest.parameters {
        let key = ["parameters", name.as_str()];
        if !is_parameter(name) {
            problems.add(
                &key,
                format!(
                    "parameters.{name}: begin with a lower-case letter, and use lower-case \
                     letters, digits, hyphens and underscores"
                ),
            );
        } else if !variables.insert(environment::parameter_variable(name)) {
            problems.add(
                &key,
                format!(
                    "parameters.{name}: another parameter differs in hyphens alone: rename one"
                ),
            );
        }
        if let Some(default) = &parameter.default
            && !parameter.r#type.admits(default)
        {
            problems.add(
                &["parameters", name, "default"],
                format!("parameters.{name}.default must be {}", parameter.r#type),
            );
        }
    }
}

fn check_numbers(manifest: &Manifest, problems: &mut Problems<'_>) {
    let timeouts = [
        ("script", manifest.script.as_ref().map(|keys| keys.timeout)),
        (
            "firstboot",
            manifest.firstboot.as_ref().map(|keys| keys.timeout),
        ),
        (
            "program",
            manifest.program.as_ref().map(|keys| keys.timeout),
        ),
    ];
    for (table, timeout) in timeouts {
        if timeout.is_some_and(|seconds| !(1..=LONGEST).contains(&seconds)) {
            problems.add(
                &[table, "timeout"],
                format!("{table}.timeout: give seconds from 1 to {LONGEST}"),
            );
        }
    }
    if let Some(keys) = &manifest.firstboot
        && !(1..=100).contains(&keys.attempts)
    {
        problems.add(
            &["firstboot", "attempts"],
            "firstboot.attempts: give a number from 1 to 100".to_owned(),
        );
    }
}

fn what_it_does(manifest: &Manifest, problems: &mut Problems<'_>) -> Option<Does> {
    let mut does: Vec<Does> = Vec::new();
    if !manifest.rule.is_empty() {
        does.push(Does::Rules);
    }
    does.extend(manifest.script.clone().map(Does::Script));
    does.extend(manifest.firstboot.clone().map(Does::FirstBoot));
    does.extend(manifest.program.clone().map(Does::Program));
    if does.len() > 1 {
        problems.add(
            &[],
            "only one of [[rule]], [script], [firstboot] and [program] can be used: make a \
             fixup of each"
                .to_owned(),
        );
        return None;
    }
    let does = does.pop();
    if does.is_none() {
        problems.add(
            &[],
            "nothing says what the fixup does: add [[rule]], [script], [firstboot] or [program]"
                .to_owned(),
        );
    }
    does
}

fn is_id(id: &str) -> bool {
    id.len() <= 63
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_parameter(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

/// What toml or serde says, with the line.
fn unreadable(text: &str, path: &Path, error: &toml::de::Error) -> Problem {
    let line = error.span().map(|span| line_of(text, &span));
    let quoted = line
        .and_then(|line| text.lines().nth(line - 1))
        .map(str::trim)
        .filter(|source| !source.is_empty())
        .map(|source| format!(" (in the line `{source}`)"))
        .unwrap_or_default();
    Problem {
        file: path.to_owned(),
        line,
        message: format!("{}{quoted}", error.message().replace('\n', ", ")),
    }
}

fn line_of(text: &str, span: &Range<usize>) -> usize {
    let before = text.get(..span.start).unwrap_or(text);
    before.matches('\n').count() + 1
}

/// Problems of keys, each with its line.
struct Problems<'t> {
    text: &'t str,
    path: &'t Path,
    found: Vec<Problem>,
}

impl Problems<'_> {
    fn add(&mut self, key: &[&str], message: String) {
        self.found.push(Problem {
            file: self.path.to_owned(),
            line: line_of_key(self.text, key),
            message,
        });
    }
}

/// The line on which a key stands; of its closest table if it is not there.
pub(crate) fn line_of_key(text: &str, key: &[&str]) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut line = None;
    for part in key {
        let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == part) else {
            break;
        };
        line = Some(line_of(text, &name.span()));
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let path = Path::new("/f/motd/fixup.toml");
        match parse(text, path) {
            Ok(parsed) => panic!("{parsed:?}"),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_short_one_has_defaults() {
        let text = "id = \"motd\"\nsummary = \"x\"\n[program]\nrun = \"go\"\n";
        let parsed = parse(text, Path::new("/f/motd/fixup.toml")).unwrap();
        assert_eq!(parsed.info.phase, Phase::User);
        assert!(
            matches!(&parsed.does, Does::Program(keys) if keys.run == "go" && keys.timeout == 60)
        );
    }

    #[test]
    fn each_problem_names_file_line_and_key() {
        const HEAD: &str = "id = \"motd\"\nsummary = \"x\"\n";
        let program = "[program]\nrun = \"go\"\n";
        let cases = [
            (
                "id = \"Motd\"\nsummary = \"x\"\n[program]\nrun = \"go\"\n".to_owned(),
                "fixup.toml:1: id: \"Motd\" is no identifier",
            ),
            (
                "id = \"other\"\nsummary = \"x\"\n[program]\nrun = \"go\"\n".to_owned(),
                "fixup.toml:1: id: \"other\" is not the name of its folder, \"motd\"",
            ),
            (
                "id = \"motd\"\nsummary = \"\"\n[program]\nrun = \"go\"\n".to_owned(),
                "fixup.toml:2: summary: ",
            ),
            (HEAD.to_owned(), "fixup.toml: nothing says what"),
            (
                format!("{HEAD}{program}[script]\nrun = \"go\"\n"),
                "fixup.toml: only one of",
            ),
            (
                format!("{HEAD}{program}timeout = 0\n"),
                "fixup.toml:5: program.timeout: give seconds",
            ),
            (
                format!("{HEAD}{program}timeout = \"x\"\n"),
                "fixup.toml:5: invalid type",
            ),
            (
                format!("{HEAD}{program}tiemout = 5\n"),
                "fixup.toml:5: unknown field `tiemout`",
            ),
            (
                format!(
                    "{HEAD}{program}[parameters.n]\ntype = \"integer\"\ndefault = \"1\"\ndoc = \"\"\n"
                ),
                "fixup.toml:7: parameters.n.default must be a whole number",
            ),
            (
                format!(
                    "{HEAD}{program}[parameters]\na-b = {{ type = \"bool\", doc = \"\" }}\na_b = {{ type = \"bool\", doc = \"\" }}\n"
                ),
                "fixup.toml:7: parameters.a_b: another parameter",
            ),
            (
                format!("{HEAD}[firstboot]\nrun = \"go\"\nattempts = 0\n"),
                "fixup.toml:5: firstboot.attempts",
            ),
            (format!("{HEAD}[program\n"), "fixup.toml:3: "),
            (
                format!("{HEAD}[[rule]]\nremove = \"/a\"\n[[rule]]\nwhy = \"x\"\n"),
                "fixup.toml:5: rule 2: it does nothing",
            ),
            (
                format!("{HEAD}when.version = \"new\"\n{program}"),
                "fixup.toml:3: when: ",
            ),
        ];
        for (text, expected) in cases {
            let found = problems(&text);
            assert!(
                matches!(&found[..], [one] if one.contains(expected)),
                "{text}: {found:?} instead of {expected}"
            );
        }
    }
}
