//! `forklift-wait-for-reboot`: waits until a converted Windows guest says on its serial port that it is done, and
//! then for its restart.
//!
//! Forklift starts it in a pod of its own when the new VM was started, with `VMI_NAME` and `VMI_NAMESPACE`, `SIGNAL`
//! (what the guest will say), `TIMEOUT` and `REBOOT_TIMEOUT` (seconds).

mod cluster;
mod console;
mod reboot;
mod trust;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, timeout_at};

use crate::http;
use cluster::Cluster;

/// Where a pod finds what it needs to talk to its cluster.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Between attempts, and between looks at the VMI's phase.
const PACE: Duration = Duration::from_secs(5);

/// The program. Exits with 0 when the signal was seen, whether or not a restart followed; with 1 when it was not seen
/// in time, or cannot be.
#[must_use]
pub fn wait_for_reboot() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    match run(&variable, Path::new(SERVICE_ACCOUNT), PACE) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(
    variable: &dyn Fn(&str) -> Option<String>,
    service_account: &Path,
    pace: Duration,
) -> anyhow::Result<()> {
    let settings = Settings::read(variable)?;
    let cluster = Cluster::of_pod(variable, service_account)?;
    http::runtime()?.block_on(watch(&settings, &cluster, pace))
}

async fn watch(settings: &Settings, cluster: &Cluster, pace: Duration) -> anyhow::Result<()> {
    let Settings { signal, vmi, .. } = settings;
    let seconds = settings.timeout.as_secs();
    tracing::info!("waiting {seconds} s for {signal:?} on the serial console of VMI {vmi}");
    timeout_at(
        deadline(settings.timeout),
        console::wait_for_signal(cluster, vmi, signal, pace),
    )
    .await
    .unwrap_or_else(|_| {
        anyhow::bail!(
            "the guest has not sent {signal:?} within {seconds} s (TIMEOUT); see its console"
        )
    })
    .with_context(|| format!("waiting for VMI {vmi}"))?;
    let seconds = settings.reboot_timeout.as_secs();
    tracing::info!("the guest has sent {signal:?}; waiting {seconds} s for its restart");
    let restart = reboot::wait_for_restart(cluster, vmi, pace);
    match timeout_at(deadline(settings.reboot_timeout), restart).await {
        Ok(()) => tracing::info!("VMI {vmi} was restarted"),
        Err(_) => tracing::info!(
            "no restart of VMI {vmi} was seen within {seconds} s (REBOOT_TIMEOUT); the guest is done all the same"
        ),
    }
    Ok(())
}

fn deadline(after: Duration) -> Instant {
    let now = Instant::now();
    // A time that the clock does not have is as good as a year.
    now.checked_add(after)
        .unwrap_or(now + Duration::from_secs(365 * 86400))
}

/// What the environment says.
#[derive(Debug)]
struct Settings {
    vmi: Vmi,
    signal: String,
    timeout: Duration,
    reboot_timeout: Duration,
}

/// A running machine of KubeVirt.
#[derive(Debug, PartialEq, Eq)]
struct Vmi {
    namespace: String,
    name: String,
}

impl std::fmt::Display for Vmi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Settings {
    fn read(variable: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let seconds = |name: &str, default| -> anyhow::Result<Duration> {
            let Some(value) = given(name) else {
                return Ok(Duration::from_secs(default));
            };
            let seconds = value.parse();
            let seconds = seconds
                .with_context(|| format!("reading {name}={value:?}: it must be whole seconds"))?;
            Ok(Duration::from_secs(seconds))
        };
        // They become part of an address.
        let object = |name: &str| -> anyhow::Result<String> {
            let value = given(name).with_context(|| format!("{name} is not set"))?;
            let is_name = value.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte)
            }) && value.bytes().any(|byte| byte != b'.');
            ensure!(
                is_name,
                "{name}={value:?} is no name of a Kubernetes object"
            );
            Ok(value)
        };
        Ok(Self {
            vmi: Vmi {
                namespace: object("VMI_NAMESPACE")?,
                name: object("VMI_NAME")?,
            },
            signal: given("SIGNAL").unwrap_or_else(|| "CONVERSION_DONE".to_owned()),
            timeout: seconds("TIMEOUT", 1800)?,
            reboot_timeout: seconds("REBOOT_TIMEOUT", 300)?,
        })
    }
}

#[cfg(test)]
mod tests;
