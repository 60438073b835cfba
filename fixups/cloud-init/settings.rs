//! What the guest's cloud-init is told, and what it remembers.

use std::collections::BTreeMap;

use refit_engine::{Guest, GuestPath};
use serde_json::Value;

use super::ours::DROP_IN;
use crate::boot_loader::BootFiles;

const CONFIG: &str = "/etc/cloud/cloud.cfg";
const CONFIG_DIR: &str = "/etc/cloud/cloud.cfg.d";
/// Read by ds-identify alone.
pub(super) const IDENTIFY_CONFIG: &str = "/etc/cloud/ds-identify.cfg";
/// Where distributions install the program.
const PROGRAMS: [&str; 2] = ["/usr/bin/cloud-init", "/usr/local/bin/cloud-init"];
/// Finds the sources of data before cloud-init starts, and turns it off where there are none.
const IDENTIFY: [&str; 3] = [
    "/usr/lib/cloud-init/ds-identify",
    "/usr/libexec/cloud-init/ds-identify",
    "/lib/cloud-init/ds-identify",
];
/// What runs it: systemd's generator, or Alpine's service.
const IDENTIFY_STARTERS: [&str; 5] = [
    "/usr/lib/systemd/system-generators/cloud-init-generator",
    "/lib/systemd/system-generators/cloud-init-generator",
    "/etc/systemd/system-generators/cloud-init-generator",
    "/etc/runlevels/boot/cloud-init-ds-identify",
    "/etc/runlevels/default/cloud-init-ds-identify",
];

/// cloud-init in this guest.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The values that count, of the top level.
    values: BTreeMap<String, Value>,
    /// Which file they are from.
    pub(super) sources: BTreeMap<String, GuestPath>,
    /// Files that could not be read, with the line.
    pub(super) problems: Vec<String>,
    /// `datasource` in ds-identify's configuration.
    pub(super) identify_pin: Option<String>,
    /// Whether ds-identify decides if cloud-init runs.
    pub(super) identified: bool,
    /// What the last run used (`DataSourceOVF`).
    pub(super) previous: Option<String>,
    /// The instance that it set up.
    pub(super) instance: Option<String>,
}

/// Whether there is a cloud-init to speak of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is not installed.
    Absent,
    /// Turned off, and how.
    Off(String),
    /// It runs, or ds-identify decides.
    On,
}

/// Whether cloud-init takes part in the guest's boot.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn state(guest: &Guest<'_>) -> anyhow::Result<State> {
    let mut installed = false;
    for program in PROGRAMS {
        installed |= guest.exists(program)?;
    }
    if !installed || !guest.exists(CONFIG)? {
        return Ok(State::Absent);
    }
    let file = "/etc/cloud/cloud-init.disabled";
    if guest.exists(file)? {
        return Ok(State::Off(format!("{file} turns it off")));
    }
    for file in &BootFiles::read(guest)?.files {
        let mut arguments = file.lines.iter().flat_map(|line| file.arguments(line));
        if arguments.any(|(_, word)| word == "cloud-init=disabled") {
            return Ok(State::Off(format!(
                "the kernel's arguments in {} turn it off",
                file.path
            )));
        }
    }
    let identify = guest.read_text(IDENTIFY_CONFIG)?.unwrap_or_default();
    let policy = identify_value(&identify, "policy").unwrap_or_default();
    if policy.split(',').next() == Some("disabled") {
        return Ok(State::Off(format!("{IDENTIFY_CONFIG} turns it off")));
    }
    Ok(State::On)
}

impl Settings {
    /// Reads `/etc/cloud` and what cloud-init keeps in `/var/lib/cloud`, without refit's own
    /// drop-in.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub(super) fn read(guest: &Guest<'_>) -> anyhow::Result<Self> {
        let mut all = Self::default();
        let mut paths = vec![GuestPath::from(CONFIG)];
        paths.extend(guest.files(CONFIG_DIR, |name| name.ends_with(".cfg"))?);
        for path in paths {
            if path.as_bytes() == DROP_IN.as_bytes() {
                continue;
            }
            let Some(text) = guest.read_text(&path)? else {
                continue;
            };
            match from_yaml(&text) {
                Ok(values) => {
                    for (key, value) in values {
                        // The last file that says how network configuration is made counts.
                        if key == "network" && value.get("config").is_none() {
                            continue;
                        }
                        all.sources.insert(key.clone(), path.clone());
                        all.values.insert(key, value);
                    }
                }
                Err(line) => all.problems.push(format!(
                    "{path}{}: it is no YAML that cloud-init reads",
                    line.map(|line| format!(", line {line}"))
                        .unwrap_or_default()
                )),
            }
        }
        let identify = guest.read_text(IDENTIFY_CONFIG)?.unwrap_or_default();
        all.identify_pin = identify_value(&identify, "datasource").filter(|pin| !pin.is_empty());
        let policy = identify_value(&identify, "policy").unwrap_or_default();
        let asks = policy.is_empty()
            || policy.starts_with("search") && !policy.contains("notfound=enabled");
        all.identified =
            asks && any_exists(guest, &IDENTIFY)? && any_exists(guest, &IDENTIFY_STARTERS)?;
        let line = |path: &str| -> anyhow::Result<Option<String>> {
            let text = guest.read_text(path)?.unwrap_or_default();
            let line = text.lines().next().unwrap_or_default().trim();
            Ok((!line.is_empty()).then(|| line.to_owned()))
        };
        all.previous = line("/var/lib/cloud/instance/datasource")?
            .map(|text| text.split([':', ' ']).next().unwrap_or_default().to_owned());
        all.instance = line("/var/lib/cloud/data/instance-id")?;
        Ok(all)
    }

    /// The sources of data that it looks for, if they are named.
    pub(super) fn datasources(&self) -> Option<Vec<String>> {
        let list = self.values.get("datasource_list")?.as_array()?;
        let names = list.iter().filter_map(Value::as_str).map(str::to_owned);
        Some(names.collect())
    }

    /// Whether a key has this value.
    pub(super) fn is(&self, key: &str, value: bool) -> bool {
        self.values.get(key).and_then(Value::as_bool) == Some(value)
    }

    /// Whether network configuration is left to others.
    pub(super) fn network_is_off(&self) -> bool {
        let network = self.values.get("network");
        network.and_then(|network| network.get("config")) == Some(&Value::from("disabled"))
    }
}

fn any_exists(guest: &Guest<'_>, paths: &[&str]) -> anyhow::Result<bool> {
    for path in paths {
        if guest.exists(*path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A value of ds-identify's configuration: lines of `key: value`, the last one counts.
fn identify_value(text: &str, key: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    })
}

/// Reads one file within limits. What the error says of the content is withheld, for there may be
/// passwords in it; the line is counted from one.
fn from_yaml(text: &str) -> Result<BTreeMap<String, Value>, Option<usize>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 200_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_recorded_anchor_events: 100_000,
            max_depth: 64,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    let values: Option<BTreeMap<String, Value>> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map(|location| location.line() as usize);
            line.filter(|line| *line > 0)
        })?;
    Ok(values.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_read_within_limits() {
        let text =
            "## template: jinja\nusers:\n - default\ndatasource_list: [ OVF, VMware ]\nfalse: x\n";
        let values = from_yaml(text).unwrap();
        assert_eq!(values["datasource_list"][1], "VMware");
        assert_eq!(from_yaml("# nothing\n").unwrap().len(), 0);
        assert_eq!(from_yaml("a: [\n"), Err(Some(1)));
        assert!(from_yaml(&"[".repeat(1000)).is_err());
    }

    #[test]
    fn values_of_ds_identify() {
        let text = "# datasource: Ec2\npolicy: search,found=all # yes\ndatasource: 'VMware'\n";
        assert_eq!(
            identify_value(text, "datasource").as_deref(),
            Some("VMware")
        );
        assert_eq!(
            identify_value(text, "policy").as_deref(),
            Some("search,found=all")
        );
        assert_eq!(identify_value("nothing", "policy"), None);
    }
}
