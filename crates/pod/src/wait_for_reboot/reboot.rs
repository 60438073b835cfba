//! The phase of a VMI.

use std::time::Duration;

use serde::Deserialize;

use super::Vmi;
use super::cluster::{Cluster, Failure};

const RUNNING: &str = "Running";

#[derive(Debug, Deserialize)]
struct Object {
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    phase: String,
}

/// Returns when the machine ran, then did not, and runs again. What cannot be read counts for nothing.
pub async fn wait_for_restart(cluster: &Cluster, vmi: &Vmi, pace: Duration) {
    let path = format!(
        "/apis/kubevirt.io/v1/namespaces/{}/virtualmachineinstances/{}",
        vmi.namespace, vmi.name
    );
    let mut watch = Watch::default();
    let mut told = String::new();
    loop {
        match phase(cluster, &path).await {
            Ok(phase) => {
                if phase != told {
                    tracing::info!("the phase of VMI {vmi} is {phase:?}");
                }
                if watch.is_restart(&phase) {
                    return;
                }
                told = phase;
            }
            Err(error) => tracing::info!("the phase of VMI {vmi} cannot be read: {error}"),
        }
        tokio::time::sleep(pace).await;
    }
}

async fn phase(cluster: &Cluster, path: &str) -> Result<String, Failure> {
    let object = cluster.get(path).await?;
    let object: Object =
        serde_json::from_slice(&object).map_err(|error| Failure::Passing(error.into()))?;
    Ok(object.status.phase)
}

/// Running, another phase, Running.
#[derive(Debug, Default)]
struct Watch {
    has_run: bool,
    has_stopped: bool,
}

impl Watch {
    fn is_restart(&mut self, phase: &str) -> bool {
        if phase == RUNNING {
            self.has_run = true;
            return self.has_stopped;
        }
        self.has_stopped |= self.has_run && !phase.is_empty();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_running_again() {
        for (phases, restart) in [
            ("Running Running Running", false),
            ("Scheduled Running Running", false),
            ("Running Succeeded", false),
            ("Running Succeeded Running", true),
            (
                "Scheduling Scheduled Running Failed Scheduled Running",
                true,
            ),
        ] {
            let mut watch = Watch::default();
            let found: Vec<bool> = phases
                .split(' ')
                .map(|phase| watch.is_restart(phase))
                .collect();
            assert_eq!(found.last(), Some(&restart), "{phases}");
            assert_eq!(
                found.iter().filter(|found| **found).count(),
                usize::from(restart)
            );
        }
        let mut watch = Watch::default();
        assert!(
            !["Running", "", "Running"]
                .into_iter()
                .any(|phase| watch.is_restart(phase))
        );
    }
}
