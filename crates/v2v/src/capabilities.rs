//! What the installed virt-v2v can do, found by asking it.
//!
//! Three sources, because none is enough alone: the tokens of `--machine-readable` (some options
//! never got one), the text of `--help` (distributions build options in and out), and the version
//! (for behaviour that no option shows). Each counts by itself: what one of them does not tell is
//! assumed, whatever the others say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::errors::{ConvertError, ErrorKind};
use crate::log::Stream;
use crate::process::{CancelToken, Output, Running};
use crate::tools::{Environment, Program};

/// How long the program may think about one question.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked at whether it is done.
const TICK: Duration = Duration::from_millis(20);
/// No answer is longer, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// A version of virt-v2v.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number; odd ones are development versions.
    pub minor: u32,
    /// Third number.
    pub release: u32,
    /// The whole text, with a distribution's suffix: `2.7.1rhel=9,release=19.el9`.
    pub text: String,
}

impl Version {
    /// Reads the answer to `--version`: `virt-v2v 2.2.0`.
    fn parse(output: &str) -> Option<Self> {
        let text = output.lines().next()?.split_whitespace().nth(1)?;
        let mut numbers = text.splitn(3, '.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        let rest = numbers.next()?;
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let release = rest.get(..digits)?.parse().ok()?;
        Some(Self {
            major,
            minor,
            release,
            text: text.to_owned(),
        })
    }

    /// What a program is taken for that does not tell.
    fn current() -> Self {
        Self {
            major: 2,
            minor: 10,
            release: 0,
            text: "of an unknown version".to_owned(),
        }
    }

    /// Whether this is the given version or a later one.
    #[must_use]
    pub fn at_least(&self, major: u32, minor: u32, release: u32) -> bool {
        (self.major, self.minor, self.release) >= (major, minor, release)
    }
}

/// What one program can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Its version.
    pub version: Version,
    tokens: BTreeSet<String>,
    options: BTreeSet<String>,
}

/// What is assumed of a program whose help names no option: those of virt-v2v 2.10, which no distribution has left out.
const ASSUMED: &[&str] = &["--memsize", "--smp", "--hostname", "--block-driver"];

/// Tells which distribution this is (os-release(5)).
const OS_RELEASE: &str = "/etc/os-release";

/// What a program says of itself.
#[derive(Debug, Default)]
struct Answers {
    version: String,
    machine_readable: String,
    help: String,
}

impl Answers {
    fn ask(
        mut ask: impl FnMut(&str) -> Result<String, ConvertError>,
    ) -> Result<Self, ConvertError> {
        Ok(Self {
            version: ask("--version")?,
            machine_readable: ask("--machine-readable")?,
            help: ask("--help")?,
        })
    }
}

impl Capabilities {
    /// Asks the program: three short runs that start no appliance.
    ///
    /// # Errors
    /// [`ErrorKind::ToolMissing`] if it cannot be run or does not answer as virt-v2v does,
    /// [`ErrorKind::Interrupted`] if it was cancelled.
    pub fn probe(
        program: &Program,
        env: &Environment,
        cancel: &CancelToken,
    ) -> Result<Self, ConvertError> {
        let answers = Answers::ask(|question| ask(program, question, env, cancel, PATIENCE))?;
        if Version::parse(&answers.version).is_none() {
            return Err(unusable(program, "--version does not give a version"));
        }
        Ok(Self::of(&answers))
    }

    /// The same for a program that need not tell anything: a question without an answer is no reason to refuse it.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] if it was cancelled.
    pub(crate) fn guess(
        program: &Program,
        env: &Environment,
        cancel: &CancelToken,
    ) -> Result<Self, ConvertError> {
        let answers = Answers::ask(|question| {
            ask(program, question, env, cancel, PATIENCE).or_else(|error| match error.kind {
                ErrorKind::Interrupted => Err(error),
                _ => {
                    tracing::warn!("{error}; going on as with a current one");
                    Ok(String::new())
                }
            })
        })?;
        Ok(Self::of(&answers))
    }

    fn of(answers: &Answers) -> Self {
        let os_release = fs::read_to_string(OS_RELEASE).unwrap_or_default();
        Self::parse(
            &answers.version,
            &answers.machine_readable,
            &answers.help,
            &os_release,
        )
    }

    /// What a program of this version can do that lists these tokens and options.
    #[must_use]
    pub fn with_options(version: &str, tokens: &[&str], options: &[&str]) -> Self {
        let set = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        Self {
            version: Version::parse(&format!("virt-v2v {version}"))
                .unwrap_or_else(Version::current),
            tokens: set(tokens),
            options: set(options),
        }
    }

    /// `os_release` counts if the help names no option.
    fn parse(version: &str, machine_readable: &str, help: &str, os_release: &str) -> Self {
        let mut options: BTreeSet<String> = help.lines().flat_map(options_of_help_line).collect();
        if options.is_empty() {
            // Red Hat's builds had this one years before others. Nothing but that rule of the contract is left to go by.
            let of_rhel = is_rhel(os_release).then_some("--no-fstrim");
            options.extend(ASSUMED.iter().copied().chain(of_rhel).map(str::to_owned));
        }
        Self {
            version: Version::parse(version).unwrap_or_else(Version::current),
            tokens: machine_readable
                .lines()
                .map(|line| line.trim().to_owned())
                .filter(|line| !line.is_empty())
                .collect(),
            options,
        }
    }

    /// Whether `--machine-readable` lists this token.
    #[must_use]
    pub fn has_token(&self, token: &str) -> bool {
        self.tokens.contains(token)
    }

    /// Whether `--help` lists this option, dashes included.
    #[must_use]
    pub fn has_option(&self, option: &str) -> bool {
        self.options.contains(option)
    }

    /// Input mode (`disk`, `ova`, `vmx`, `libvirtxml`). A program without any token is taken to have all.
    #[must_use]
    pub fn has_input(&self, mode: &str) -> bool {
        self.tokens.is_empty() || self.has_token(&format!("input:{mode}"))
    }

    /// Output mode (`disk`, ...). A program without any token is taken to have all.
    #[must_use]
    pub fn has_output(&self, mode: &str) -> bool {
        self.tokens.is_empty() || self.has_token(&format!("output:{mode}"))
    }

    /// The value of `-o` that writes disks to a directory. Since 2.0 it is `disk`, and `local` its
    /// older name; since 2.10 or earlier only `disk` has a token.
    #[must_use]
    pub fn local_output(&self) -> &'static str {
        if self.has_output("disk") {
            "disk"
        } else {
            "local"
        }
    }

    /// `--block-driver` (2.3.4; its token only since 2.9.5).
    #[must_use]
    pub fn has_block_driver_option(&self) -> bool {
        self.has_token("block-driver-option") || self.has_option("--block-driver")
    }

    /// `--memsize` (2.9.4, no token).
    #[must_use]
    pub fn has_memsize(&self) -> bool {
        self.has_option("--memsize")
    }

    /// `--smp` (2.9.4, no token).
    #[must_use]
    pub fn has_smp(&self) -> bool {
        self.has_option("--smp")
    }

    /// `--parallel` (2.7.3).
    #[must_use]
    pub fn has_parallel(&self) -> bool {
        self.has_token("parallel-option") || self.has_option("--parallel")
    }

    /// `--no-fstrim` (2.11.5 and in Red Hat's older builds, no token).
    #[must_use]
    pub fn has_no_fstrim(&self) -> bool {
        self.has_option("--no-fstrim")
    }

    /// `--hostname`, one of virt-customize's options (2.5.8).
    #[must_use]
    pub fn has_hostname(&self) -> bool {
        self.has_token("customize-ops") || self.has_option("--hostname")
    }

    /// virt-customize's options (2.5.8).
    #[must_use]
    pub fn has_customize(&self) -> bool {
        self.has_token("customize-ops") || self.has_option("--run")
    }

    /// `-O` of virt-v2v-in-place (2.7.4). virt-v2v-inspector always has it.
    #[must_use]
    pub fn has_output_xml(&self) -> bool {
        self.has_token("output-xml-option") || self.has_option("-O")
    }

    /// `--key all:...` (2.4).
    #[must_use]
    pub fn has_key_all(&self) -> bool {
        self.version.at_least(2, 4, 0)
    }

    /// Whether a Windows guest may reboot for ever at first boot, because a driver that cannot be
    /// installed is tried again without limit (2.10, libguestfs/virt-v2v issue 178).
    #[must_use]
    pub fn may_loop_at_first_boot(&self) -> bool {
        self.version.at_least(2, 9, 9)
    }

    /// Whether Windows guests are left with registry keys that break `pnputil` and upgrades
    /// (before 2.10, virt-v2v(1) "guestor").
    #[must_use]
    pub fn leaves_stale_guestor(&self) -> bool {
        !self.version.at_least(2, 9, 9)
    }
}

/// Options at the start of a line such as `  -b, --bridge <in:out>   Map bridge`. What follows two blanks describes
/// them, and may name others.
fn options_of_help_line(line: &str) -> impl Iterator<Item = String> {
    let named = line.trim_start().split("  ").next().unwrap_or_default();
    let named = named.split('\t').next().unwrap_or_default();
    let is_option = |word: &&str| {
        word.starts_with('-')
            && word
                .trim_start_matches('-')
                .starts_with(|c: char| c.is_ascii_alphabetic())
    };
    named.split_whitespace().take_while(is_option).map(|word| {
        let end = word.find([',', '<', '[', '=']).unwrap_or(word.len());
        word.get(..end).unwrap_or(word).to_owned()
    })
}

fn is_rhel(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID="))
        .any(|id| id.trim().trim_matches(['"', '\'']) == "rhel")
}

/// What the program answers on standard output. It is ended, and all that it started, when it takes longer than
/// `patience` or the run is cancelled.
fn ask(
    program: &Program,
    question: &str,
    env: &Environment,
    cancel: &CancelToken,
    patience: Duration,
) -> Result<String, ConvertError> {
    let failed = |why: &str| unusable(program, &format!("{question}: {why}"));
    let mut command = Command::new(&program.path);
    command
        .arg(question)
        .env_clear()
        .envs(env.iter())
        .env("LC_ALL", "C");
    // It starts no appliance whose sockets were to be written down.
    let mut running = Running::start(command, Output::Apart, Path::new("/dev/null"))
        .map_err(|error| failed(&error.to_string()))?;
    let end = Instant::now() + patience;
    let mut answer = Vec::new();
    let result = loop {
        if cancel.is_cancelled() {
            break Err(ConvertError::new(ErrorKind::Interrupted, ""));
        }
        let has_ended = match running.try_wait() {
            Ok(status) => status.is_some(),
            Err(error) => break Err(failed(&error.to_string())),
        };
        let is_late = Instant::now() >= end;
        if is_late && !has_ended {
            break Err(failed(&format!("no answer after {} s", patience.as_secs())));
        }
        match running.next_chunk(TICK) {
            Some(chunk) if chunk.stream == Stream::Out && answer.len() < MAX_ANSWER => {
                answer.extend(chunk.bytes);
            }
            // What it has started may keep the streams open.
            _ if has_ended && (is_late || running.is_drained()) => {
                break Ok(String::from_utf8_lossy(&answer).into_owned());
            }
            _ => {}
        }
    };
    running.kill();
    result
}

fn unusable(program: &Program, why: &str) -> ConvertError {
    ConvertError::new(
        ErrorKind::ToolMissing {
            name: program.kind.program_name().to_owned(),
        },
        format!("{}: {why}", program.path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::Kind;

    #[test]
    fn versions_with_and_without_suffix() {
        for (text, numbers) in [
            ("virt-v2v 2.2.0", (2, 2, 0)),
            ("virt-v2v-in-place 2.10.0", (2, 10, 0)),
            ("virt-v2v 2.7.1rhel=9,release=19.el9 (x86_64)\n", (2, 7, 1)),
            ("virt-v2v 1.45.3", (1, 45, 3)),
        ] {
            let version = Version::parse(text).unwrap();
            assert_eq!((version.major, version.minor, version.release), numbers);
        }
        for text in [
            "",
            "virt-v2v",
            "virt-v2v two",
            "virt-v2v 2.x.1",
            "a 99999999999.1.1",
        ] {
            assert_eq!(Version::parse(text), None, "{text:?}");
        }
    }

    /// Without a distribution.
    fn parse(version: &str, machine_readable: &str, help: &str) -> Capabilities {
        Capabilities::parse(version, machine_readable, help, "")
    }

    #[test]
    fn a_token_or_the_help_text_is_enough() {
        let help = "virt-v2v: convert a guest\n\nOptions:\n  \
            -b, --bridge <in:out>               Map bridge\n  \
            -m, --memsize <MB>                  Set memory\n\
            --no-fstrim  Do not --smp this\n\
            --wrap  --block-driver is not wrapped\n\
            -x\t--hostname is traced\n\
            - --parallel is an item\n";
        let found = parse("virt-v2v 2.9.4", "virt-v2v\nparallel-option\n", help);
        assert!(found.has_parallel() && found.has_memsize() && found.has_no_fstrim());
        for option in ["-b", "--bridge", "--wrap", "-x"] {
            assert!(found.has_option(option), "{option}");
        }
        for option in ["--smp", "--block-driver", "--hostname", "--parallel"] {
            assert!(
                !found.has_option(option),
                "{option} is in a description only"
            );
        }
    }

    #[test]
    fn each_answer_counts_by_itself() {
        let tokens = "virt-v2v\ninput:ova\n";
        let found = parse("", tokens, "  --smp <N>\n");
        assert_eq!(found.version, Version::current());
        assert!(found.has_key_all());
        assert!(found.has_input("ova") && !found.has_input("disk"));
        assert!(found.has_smp() && !found.has_memsize());

        let found = parse("virt-v2v 2.2.0", "\n", "  --smp <N>\n");
        assert!(!found.has_key_all());
        assert!(found.has_input("ova") && found.has_output("kubevirt"));
        assert!(found.has_smp() && !found.has_memsize());

        let found = parse("virt-v2v 2.2.0", tokens, "usage: none\n-----\n");
        assert!(!found.has_key_all() && !found.has_input("disk"));
        assert!(found.has_memsize() && found.has_smp() && found.has_hostname());
    }

    #[test]
    fn red_hats_option_is_assumed_on_rhel_alone_and_only_without_help() {
        let of = |help: &str, os_release: &str| {
            Capabilities::parse("virt-v2v 2.7.1", "virt-v2v", help, os_release).has_no_fstrim()
        };
        let rhel = "NAME=\"Red Hat Enterprise Linux\"\nID=\"rhel\"\nID_LIKE=fedora\n";
        assert!(of("", rhel) && of("", "ID=rhel"));
        assert!(!of(
            "",
            "ID=centos\nID_LIKE=\"rhel fedora\"\nVARIANT_ID=rhel\n"
        ));
        assert!(
            !of("  --smp <N>\n", rhel),
            "help that names options is believed"
        );
    }

    #[test]
    fn a_question_has_an_end() {
        let env = Environment::current();
        let never = CancelToken::default();
        let dir = tempfile::tempdir().unwrap();
        let program = Program::script(dir.path(), "echo half; sleep 600 & sleep 600");
        let start = Instant::now();
        let error = ask(&program, "--help", &env, &never, Duration::from_millis(300)).unwrap_err();
        assert!(matches!(error.kind, ErrorKind::ToolMissing { .. }));
        assert!(error.to_string().contains("--help: no answer"), "{error}");

        let cancelled = CancelToken::default();
        cancelled.cancel();
        for result in [
            Capabilities::probe(&program, &env, &cancelled),
            Capabilities::guess(&program, &env, &cancelled),
        ] {
            assert_eq!(result.unwrap_err().kind, ErrorKind::Interrupted);
        }
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    }

    #[test]
    fn only_who_must_know_refuses_a_program_without_a_version() {
        let env = Environment::current();
        let cancel = CancelToken::default();
        let dir = tempfile::tempdir().unwrap();
        let text = "case $1 in --help) echo ' --smp <N>';; esac; exit 1";
        let program = Program::script(dir.path(), text);
        let error = Capabilities::probe(&program, &env, &cancel).unwrap_err();
        assert!(error.to_string().contains("give a version"), "{error}");
        let found = Capabilities::guess(&program, &env, &cancel).unwrap();
        assert_eq!(found.version, Version::current());
        assert!(found.has_smp() && !found.has_memsize() && found.has_input("ova"));

        let path = program.path.join("nothing");
        let kind = Kind::Convert;
        let nothing = Program { kind, path };
        assert!(Capabilities::probe(&nothing, &env, &cancel).is_err());
        let found = Capabilities::guess(&nothing, &env, &cancel).unwrap();
        assert!(found.has_memsize() && found.has_output("kubevirt"));
    }

    /// What one of the programs answers in a recorded file.
    fn recorded(text: &str, program: &str) -> Capabilities {
        let answer = |option: &str| {
            let (_, rest) = text
                .split_once(&format!("== {program} {option}\n"))
                .unwrap();
            rest.split("== ").next().unwrap()
        };
        parse(
            answer("--version"),
            answer("--machine-readable"),
            answer("--help"),
        )
    }

    #[test]
    fn the_versions_that_debian_carries() {
        for (text, version, output, offered) in [
            (
                include_str!("../fixtures/capabilities-2.2.0.txt"),
                "2.2.0",
                "local",
                [false; 6],
            ),
            (
                include_str!("../fixtures/capabilities-2.6.0.txt"),
                "2.6.0",
                "local",
                [true, true, false, false, false, false],
            ),
            (
                include_str!("../fixtures/capabilities-2.10.0.txt"),
                "2.10.0",
                "disk",
                [true; 6],
            ),
        ] {
            let convert = recorded(text, "virt-v2v");
            let in_place = recorded(text, "virt-v2v-in-place");
            let inspector = recorded(text, "virt-v2v-inspector");
            for found in [&convert, &in_place, &inspector] {
                assert_eq!(found.version.text, version);
                for mode in ["disk", "ova", "vmx", "libvirtxml"] {
                    assert!(found.has_input(mode), "{version} {mode}");
                }
                assert!(found.has_option("--root") && found.has_option("--key"));
                assert!(!found.has_no_fstrim(), "{version}");
            }
            assert_eq!(convert.local_output(), output);
            assert!(convert.has_output(output) && !in_place.has_output(output));
            assert!(inspector.has_output_xml());
            let found = [
                convert.has_customize(),
                convert.has_block_driver_option(),
                convert.has_memsize(),
                convert.has_smp(),
                convert.has_parallel(),
                in_place.has_output_xml(),
            ];
            assert_eq!(found, offered, "{version}");
        }
    }

    #[test]
    fn behaviour_follows_the_version() {
        let of = |text: &str| parse(text, "", "");
        assert!(!of("virt-v2v 2.2.0").has_key_all());
        assert!(of("virt-v2v 2.6.0").has_key_all());
        assert!(of("virt-v2v 2.2.0").leaves_stale_guestor());
        assert!(of("virt-v2v 2.10.0").may_loop_at_first_boot());
    }
}
