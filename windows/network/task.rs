//! The first-boot task that gives settings to one NIC.

use refit_machine::Mac;

use super::settings::Settings;
use crate::adapters::Guid;
use crate::tasks::{Task, Unwritable};

/// Seconds that one attempt waits for the NIC: its driver is being installed meanwhile.
const TIMEOUT: u32 = 300;

/// The task for the NIC `mac`. `old` is the interface that had the settings.
pub(super) fn build(
    mac: Mac,
    name: Option<&str>,
    settings: &Settings,
    old: Option<&Guid>,
) -> Result<Task, Unwritable> {
    let digits: String = mac.to_string().replace(':', "");
    let mut task = Task::new(40, &format!("network-{digits}"), "network");
    task.line("title", format_args!("Network settings of {mac}"))?;
    task.line("timeout", TIMEOUT)?;
    task.line("mac", mac)?;
    if let Some(guid) = old {
        task.line("release-interface", guid)?;
    }
    if let Some(name) = name {
        task.line("name", name)?;
    }
    task.line("dhcp4", if settings.dhcp { "yes" } else { "no" })?;
    for address in &settings.addresses {
        task.line("address", address)?;
    }
    for (gateway, metric) in &settings.gateways {
        match metric {
            Some(metric) => task.line("gateway", format_args!("{gateway} {metric}"))?,
            None => task.line("gateway", gateway)?,
        }
    }
    for (destination, hop, metric) in &settings.routes {
        match metric {
            Some(metric) => task.line("route", format_args!("{destination} {hop} {metric}"))?,
            None => task.line("route", format_args!("{destination} {hop}"))?,
        }
    }
    for server in &settings.dns {
        task.line("dns", server)?;
    }
    if let Some(suffix) = &settings.suffix {
        task.line("dns-suffix", suffix)?;
    }
    if settings.unregistered {
        task.line("dns-register", "no")?;
    }
    for server in &settings.wins {
        task.line("wins", server)?;
    }
    if let Some(enabled) = settings.netbios {
        task.line("netbios", if enabled { "enabled" } else { "disabled" })?;
    }
    if let Some(metric) = settings.metric {
        task.line("metric", metric)?;
    }
    if let Some(mtu) = settings.mtu {
        task.line("mtu", mtu)?;
    }
    Ok(task)
}
