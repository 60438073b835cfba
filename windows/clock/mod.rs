//! What the machine's clock shows.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

use std::sync::LazyLock;

use anyhow::bail;
use refit_engine::{Change, Evidence, Fixup, Guest, HiveName, Info, Proposal, Request, Verdict};
use refit_hive::{Hive, Value};

use crate::parameters;

/// The fixup `windows-clock`.
#[derive(Debug)]
pub struct WindowsClock;

/// The value by which Windows takes the machine's clock for UTC.
const VALUE: &str = "RealTimeIsUniversal";

impl Fixup for WindowsClock {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("clock/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        let asked = parameters::text(self.info(), request, "clock");
        let wanted = match asked {
            "keep" => None,
            "utc" | "auto" => Some(true),
            "localtime" => Some(false),
            other => bail!(
                "windows-clock.clock is {other:?} instead of \"utc\", \"localtime\", \"auto\" or \"keep\""
            ),
        };
        let Some(windows) = &guest.facts().windows else {
            let reason = "the guest is no Windows".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        if asked == "auto" && windows.major < 6 {
            let reason = "Windows before Vista needs a clock on local time".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        }
        let Some(system) = guest.hive(&HiveName::System)? else {
            let reason = "the guest has no SYSTEM hive".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        };
        let sets: Vec<String> = windows.control_set_names().collect();
        let now = is_utc(&system, &windows.control_set());
        let changes = wanted.map_or_else(Vec::new, |utc| changes(&system, &sets, utc));
        let verdict = if changes.is_empty() {
            Verdict::Fine {
                reason: format!("Windows takes the machine's clock for {}", name(now)),
            }
        } else {
            Verdict::Change {
                reason: format!(
                    "the machine's clock shows {}, which Windows would take for {}",
                    name(!now),
                    name(now)
                ),
                changes,
            }
        };
        let mut warnings = Vec::new();
        if wanted == Some(true) && windows.major < 6 {
            warnings.push(
                "this Windows knows the value, but turns the clock back now and then when daylight saving time begins \
                 or ends; better give the machine a clock on local time"
                    .to_owned(),
            );
        }
        Ok(Proposal {
            verdict,
            evidence: vec![Evidence::from([
                ("clock", name(now).to_owned()),
                ("source", format!(r"Control\TimeZoneInformation, {VALUE}")),
            ])],
            warnings,
        })
    }
}

fn name(utc: bool) -> &'static str {
    if utc { "UTC" } else { "local time" }
}

fn key(set: &str) -> String {
    format!(r"{set}\Control\TimeZoneInformation")
}

/// Some write it as `REG_QWORD`, which Windows of 64 bits takes as well.
fn is_utc(system: &Hive, set: &str) -> bool {
    let value = system.key(&key(set)).and_then(|key| key.value(VALUE));
    value.is_some_and(|value| value.as_dword() == Some(1) || value.as_qword() == Some(1))
}

fn changes(system: &Hive, sets: &[String], utc: bool) -> Vec<Change> {
    let wrong = sets.iter().filter(|set| is_utc(system, set) != utc);
    wrong
        .map(|set| {
            let (hive, key, name) = (HiveName::System, key(set), VALUE.to_owned());
            if utc {
                let value = Value::dword(1);
                Change::RegistrySet {
                    hive,
                    key,
                    name,
                    value,
                }
            } else {
                let name = Some(name);
                Change::RegistryDelete { hive, key, name }
            }
        })
        .collect()
}
