//! What the installed virt-v2v can do, found by asking it.
//!
//! Three sources, because none is enough alone: the tokens of `--machine-readable` (some options
//! never got one), the text of `--help` (distributions build options in and out), and the version
//! (for behaviour that no option shows).

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::errors::{ConvertError, ErrorKind};
use crate::tools::{Environment, Program};

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
    /// It did not tell, so that it is taken for a current one.
    assumed: bool,
}

/// What is assumed of a program that does not tell: options of virt-v2v 2.10, which no distribution has left out.
const ASSUMED: &[&str] = &["--memsize", "--smp", "--hostname", "--block-driver"];

impl Capabilities {
    /// Asks the program: three short runs that start no appliance.
    ///
    /// # Errors
    /// [`ErrorKind::ToolMissing`] if it cannot be run or does not answer as virt-v2v does.
    pub fn probe(program: &Program, env: &Environment) -> Result<Self, ConvertError> {
        let ask = |argument: &str| -> Result<String, ConvertError> {
            let output = Command::new(&program.path)
                .arg(argument)
                .env_clear()
                .envs(env.iter())
                .env("LC_ALL", "C")
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .output()
                .map_err(|error| unusable(program, &format!("{argument}: {error}")))?;
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        Self::parse(
            &ask("--version")?,
            &ask("--machine-readable")?,
            &ask("--help")?,
        )
        .ok_or_else(|| unusable(program, "--version does not give a version"))
    }

    /// What a current virt-v2v can do, for a program that does not tell.
    #[must_use]
    pub fn assumed() -> Self {
        Self {
            version: Version {
                major: 2,
                minor: 10,
                release: 0,
                text: "of an unknown version".to_owned(),
            },
            tokens: BTreeSet::new(),
            options: ASSUMED.iter().map(|option| (*option).to_owned()).collect(),
            assumed: true,
        }
    }

    /// What a program of this version can do that lists these tokens and options.
    #[must_use]
    pub fn with_options(version: &str, tokens: &[&str], options: &[&str]) -> Self {
        let set = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
        let version = Version::parse(&format!("virt-v2v {version}"));
        Self {
            version: version.unwrap_or_else(|| Self::assumed().version),
            tokens: set(tokens),
            options: set(options),
            assumed: false,
        }
    }

    pub(crate) fn parse(version: &str, machine_readable: &str, help: &str) -> Option<Self> {
        Some(Self {
            version: Version::parse(version)?,
            tokens: machine_readable
                .lines()
                .map(|line| line.trim().to_owned())
                .filter(|line| !line.is_empty())
                .collect(),
            options: help.lines().flat_map(options_of_help_line).collect(),
            assumed: false,
        })
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

    /// Input mode (`disk`, `ova`, `vmx`, `libvirtxml`).
    #[must_use]
    pub fn has_input(&self, mode: &str) -> bool {
        self.assumed || self.has_token(&format!("input:{mode}"))
    }

    /// Output mode (`disk`, ...).
    #[must_use]
    pub fn has_output(&self, mode: &str) -> bool {
        self.assumed || self.has_token(&format!("output:{mode}"))
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

/// Options at the start of a line such as `  -b, --bridge <in:out>   Map bridge`.
fn options_of_help_line(line: &str) -> Vec<String> {
    let trimmed = line.trim_start();
    if trimmed.len() == line.len() || !trimmed.starts_with('-') {
        return Vec::new();
    }
    trimmed
        .split_whitespace()
        .take_while(|word| word.starts_with('-'))
        .map(|word| {
            let end = word.find([',', '<', '[', '=']).unwrap_or(word.len());
            word.get(..end).unwrap_or(word).to_owned()
        })
        .collect()
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

    #[test]
    fn a_token_or_the_help_text_is_enough() {
        let help = "virt-v2v: convert a guest\n\nOptions:\n  \
            -b, --bridge <in:out>               Map bridge\n  \
            -m, --memsize <MB>                  Set memory\n  \
            --no-fstrim                         Do not --smp this\n";
        let found =
            Capabilities::parse("virt-v2v 2.9.4", "virt-v2v\nparallel-option\n", help).unwrap();
        assert!(found.has_parallel() && found.has_memsize() && found.has_no_fstrim());
        assert!(found.has_option("-b") && found.has_option("--bridge"));
        assert!(!found.has_smp(), "named in a description only");
        assert!(!found.has_block_driver_option());
    }

    /// What one of the programs answers in a recorded file.
    fn recorded(text: &str, program: &str) -> Capabilities {
        let answer = |option: &str| {
            let (_, rest) = text
                .split_once(&format!("== {program} {option}\n"))
                .unwrap();
            rest.split("== ").next().unwrap()
        };
        Capabilities::parse(
            answer("--version"),
            answer("--machine-readable"),
            answer("--help"),
        )
        .unwrap()
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
        let of = |text: &str| Capabilities::parse(text, "", "").unwrap();
        assert!(!of("virt-v2v 2.2.0").has_key_all());
        assert!(of("virt-v2v 2.6.0").has_key_all());
        assert!(of("virt-v2v 2.2.0").leaves_stale_guestor());
        assert!(of("virt-v2v 2.10.0").may_loop_at_first_boot());
    }
}
