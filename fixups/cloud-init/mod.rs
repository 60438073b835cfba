//! cloud-init on another platform.
//!
//! `README.md` beside this file says what cloud-init does there by itself, and what is written.

mod ours;
mod settings;

use std::sync::LazyLock;

use refit_engine::{
    Change, Evidence, Fixup, Guest, GuestPath, Info, Os, Proposal, Request, Verdict,
};

use crate::parameters::flag;
use ours::{DROP_IN, DropIn};
use settings::{IDENTIFY_CONFIG, Settings, State};

/// Sources of data that a KVM machine can have without a service in the network: KubeVirt's
/// `cloudInitNoCloud` and `cloudInitConfigDrive`, and `virt-install --cloud-init`.
const LOCAL: [&str; 2] = ["NoCloud", "ConfigDrive"];
/// The source of last resort, a new instance without data.
const NONE: &str = "None";

/// The fixup `cloud-init`.
#[derive(Debug)]
pub struct CloudInit;

impl Fixup for CloudInit {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("cloud-init/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal> {
        if guest.facts().os != Some(Os::Linux) {
            let reason = "the guest is no Linux".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        }
        match settings::state(guest)? {
            State::Absent => {
                let reason = "cloud-init is not installed".to_owned();
                return Ok(Verdict::NotApplicable { reason }.into());
            }
            State::Off(reason) => return Ok(Verdict::Fine { reason }.into()),
            State::On => {}
        }
        let mut settings = Settings::read(guest)?;
        let verdict = match unaffected(guest, &settings)? {
            Some(reason) => Verdict::Fine { reason },
            None => propose(guest, &mut settings, flag(self.info(), request, "keep"))?,
        };
        Ok(Proposal {
            verdict,
            evidence: evidence(&settings),
            warnings: settings.problems,
        })
    }
}

fn evidence(settings: &Settings) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    if let Some(previous) = &settings.previous {
        let mut facts = vec![("last_source", previous.clone())];
        facts.extend(settings.instance.clone().map(|id| ("instance", id)));
        let facts = facts.into_iter().map(|(key, value)| (key.into(), value));
        evidence.push(Evidence(facts.collect()));
    }
    if let (Some(list), Some(source)) = (
        settings.datasources(),
        settings.sources.get("datasource_list"),
    ) {
        evidence.push(Evidence::from([
            ("datasource_list", list.join(", ")),
            ("source", source.to_string()),
        ]));
    }
    if let Some(pin) = &settings.identify_pin {
        evidence.push(Evidence::from([
            ("datasource", pin.clone()),
            ("source", IDENTIFY_CONFIG.to_owned()),
        ]));
    }
    evidence
}

/// Why the move changes nothing for cloud-init, if that is so.
fn unaffected(guest: &Guest<'_>, settings: &Settings) -> anyhow::Result<Option<String>> {
    let marker = "/var/lib/cloud/instance/manual-clean";
    if settings.is("manual_cache_clean", true) || guest.exists(marker)? {
        let reason = "it keeps to its last instance whatever the machine is (manual_cache_clean)";
        return Ok(Some(reason.to_owned()));
    }
    let list = settings.datasources();
    if list.as_deref() == Some(&[NONE.to_owned()]) {
        return Ok(Some("it takes data from no machine".to_owned()));
    }
    let sought = |name: &str| {
        list.as_ref()
            .is_none_or(|list| list.iter().any(|one| one == name))
    };
    // A seed in the guest's own files is the same source on every machine.
    for (source, dir, needed) in [
        ("NoCloud", "nocloud", "meta-data"),
        ("NoCloud", "nocloud-net", "meta-data"),
        ("OVF", "ovf", "ovf-env.xml"),
        (
            "ConfigDrive",
            "config_drive",
            "openstack/latest/meta_data.json",
        ),
    ] {
        let seed = format!("/var/lib/cloud/seed/{dir}/{needed}");
        let was_used = settings.previous.as_deref().is_some_and(|previous| {
            previous
                .strip_prefix("DataSource")
                .is_some_and(|name| name.starts_with(source))
        });
        if sought(source) && was_used && guest.exists(seed.as_str())? {
            return Ok(Some(format!("its data is in the guest itself: {seed}")));
        }
    }
    Ok(None)
}

fn propose(guest: &Guest<'_>, settings: &mut Settings, keep: bool) -> anyhow::Result<Verdict> {
    let pinned_list = settings
        .datasources()
        .filter(|list| !list.iter().any(|name| LOCAL.contains(&name.as_str())));
    let drop_in = DropIn {
        datasources: datasources(settings, pinned_list.is_some()),
        network: keep && !settings.network_is_off() && has_network(guest)?,
        hostname: keep && !settings.is("preserve_hostname", true),
        host_keys: keep && !settings.is("ssh_deletekeys", false) && has_host_keys(guest)?,
    };
    let mut reasons = Vec::new();
    let mut changes = Vec::new();
    let content = drop_in.content();
    if !content.is_empty() && guest.read_text(DROP_IN)?.as_deref() != Some(content.as_str()) {
        reasons.extend(drop_in.reasons());
        changes.push(Change::Write {
            path: DROP_IN.into(),
            content: content.into_bytes(),
            mode: None,
        });
    }
    let pin = settings.identify_pin.clone();
    if let Some(pin) = pin.filter(|pin| !LOCAL.contains(&pin.as_str()) && pin != NONE) {
        match guest.read(IDENTIFY_CONFIG)?.map(String::from_utf8) {
            Some(Ok(text)) => {
                reasons.push(format!(
                    "{IDENTIFY_CONFIG} no longer insists on {pin}, which the new machine has not"
                ));
                changes.push(Change::Write {
                    path: IDENTIFY_CONFIG.into(),
                    content: without_pin(&text).into_bytes(),
                    mode: None,
                });
            }
            _ => settings.problems.push(format!(
                "{IDENTIFY_CONFIG} is left alone: it is no text in UTF-8"
            )),
        }
    }
    Ok(if changes.is_empty() {
        Verdict::Fine {
            reason: "it finds the new machine's data, and keeps the guest as it is without any"
                .to_owned(),
        }
    } else {
        Verdict::Change {
            reason: reasons.join("; "),
            changes,
        }
    })
}

/// The list to write, if the guest's own does not do: it lacks what the new machine may have, or
/// it ends in a new instance although nothing turns cloud-init off.
fn datasources(settings: &Settings, pinned: bool) -> Option<Vec<String>> {
    let list = settings.datasources();
    let was_none = settings.previous.as_deref() == Some("DataSourceNone");
    let without_data = list
        .as_ref()
        .is_none_or(|list| list.iter().any(|name| name == NONE));
    // ds-identify never finds "None"; without ds-identify it always counts.
    let falls_back = !settings.identified && without_data && !was_none;
    if !pinned && !falls_back {
        return None;
    }
    let mut new: Vec<String> = LOCAL.map(str::to_owned).to_vec();
    match list {
        Some(list) => new.extend(list),
        None => new.extend(settings.previous.iter().filter_map(|previous| {
            let name = previous.strip_prefix("DataSource")?;
            ["OVF", "VMware"].contains(&name).then(|| name.to_owned())
        })),
    }
    let mut seen = std::collections::BTreeSet::new();
    new.retain(|name| {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let kept = name != NONE || !falls_back;
        plain && kept && seen.insert(name.clone())
    });
    Some(new)
}

/// ds-identify's configuration with its `datasource` as a comment.
fn without_pin(text: &str) -> String {
    text.split_inclusive('\n')
        .map(|line| {
            let is_pin = line
                .split_once(':')
                .is_some_and(|(key, _)| key.trim() == "datasource");
            if is_pin {
                format!("# {line}")
            } else {
                line.to_owned()
            }
        })
        .collect()
}

/// Whether the guest's own files configure a network card, so that it needs nobody else for that.
fn has_network(guest: &Guest<'_>) -> anyhow::Result<bool> {
    for (dir, start, end) in [
        ("/etc/netplan", "", ".yaml"),
        ("/etc/sysconfig/network-scripts", "ifcfg-", ""),
        ("/etc/sysconfig/network", "ifcfg-", ""),
        ("/etc/NetworkManager/system-connections", "", ""),
        ("/etc/systemd/network", "", ".network"),
        ("/etc/wicked/ifconfig", "", ".xml"),
    ] {
        let files = guest.files(dir, |name| {
            name.starts_with(start) && name.ends_with(end) && name != "ifcfg-lo"
        })?;
        if !files.is_empty() {
            return Ok(true);
        }
    }
    let mut paths = vec![GuestPath::from("/etc/network/interfaces")];
    paths.extend(guest.files("/etc/network/interfaces.d", |_| true)?);
    for path in paths {
        let text = guest.read_text(&path)?.unwrap_or_default();
        let mut stanzas = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next()? == "iface").then(|| words.next())?
        });
        if stanzas.any(|name| name != "lo") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_host_keys(guest: &Guest<'_>) -> anyhow::Result<bool> {
    let keys = guest.files("/etc/ssh", |name| {
        name.starts_with("ssh_host_") && name.ends_with("_key")
    })?;
    Ok(!keys.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_becomes_a_comment() {
        assert_eq!(
            without_pin("policy: search\ndatasource: VMware\n#datasource: X"),
            "policy: search\n# datasource: VMware\n#datasource: X"
        );
    }
}
