//! What is around the pod's process beside the controller's wishes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::{MetricsServer, RESULTS_ADDRESS};

/// Where the metrics are served, if not on port 2112.
const METRICS: &str = "REFIT_POD_METRICS_ADDR";
/// Where the results are served, if not on port 8080.
const RESULTS: &str = "REFIT_POD_HTTP_ADDR";
/// The file that Kubernetes shows when a container has ended, if not its default one.
const TERMINATION_LOG: &str = "REFIT_TERMINATION_LOG";
/// Answers to an appliance's questions.
const OVF_VALUES: &str = "REFIT_OVF_VALUES";

/// Addresses and files that the contract fixes, unless a variable says otherwise: all but the answers are for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodEnvironment {
    /// For the metrics.
    pub metrics: SocketAddr,
    /// For the results.
    pub results: SocketAddr,
    /// Where the last words go.
    pub termination_log: PathBuf,
    /// Answers for an appliance, if there is such a file.
    pub ovf_values: Option<PathBuf>,
}

impl PodEnvironment {
    /// Reads variables by `variable`; places are below `root`.
    ///
    /// # Errors
    /// If an address is none, or `REFIT_OVF_VALUES` names no file.
    pub fn read(root: &Path, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let address = |name: &str, default: SocketAddr| match variable(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .with_context(|| format!("{name}: {text:?} is no address and port")),
        };
        let path = |name: &str| {
            variable(name)
                .filter(|text| !text.is_empty())
                .map(PathBuf::from)
        };
        let ovf_values = match path(OVF_VALUES) {
            Some(path) => {
                anyhow::ensure!(
                    path.is_file(),
                    "{OVF_VALUES}: {} is no file; is the ConfigMap or Secret mounted?",
                    path.display()
                );
                Some(path)
            }
            None => Some(root.join("mnt/ovf/values.toml")).filter(|path| path.is_file()),
        };
        Ok(Self {
            metrics: address(METRICS, MetricsServer::ADDRESS)?,
            results: address(RESULTS, RESULTS_ADDRESS)?,
            termination_log: termination_log(root, &variable),
            ovf_values,
        })
    }
}

/// Where the last words go.
pub(crate) fn termination_log(root: &Path, variable: impl Fn(&str) -> Option<String>) -> PathBuf {
    let given = variable(TERMINATION_LOG).filter(|text| !text.is_empty());
    given.map_or_else(|| root.join("dev/termination-log"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_values_unless_a_variable_says_otherwise() {
        let root = tempfile::tempdir().unwrap();
        let found = PodEnvironment::read(root.path(), |_| None).unwrap();
        assert_eq!(found.metrics.port(), 2112);
        assert_eq!(found.results.port(), 8080);
        assert_eq!(found.ovf_values, None);
        let values = root.path().join("mnt/ovf/values.toml");
        std::fs::create_dir_all(values.parent().unwrap()).unwrap();
        std::fs::write(&values, "").unwrap();
        let found = PodEnvironment::read(root.path(), |name| {
            (name == METRICS).then(|| "127.0.0.1:9".to_owned())
        })
        .unwrap();
        assert_eq!(found.metrics.port(), 9);
        assert_eq!(found.ovf_values, Some(values));
        for name in [METRICS, OVF_VALUES] {
            let error = PodEnvironment::read(root.path(), |asked| {
                (asked == name).then(|| "nonsense".to_owned())
            });
            assert!(error.unwrap_err().to_string().starts_with(name));
        }
    }
}
