//! Removing packages by the guest's own rpm: only it knows how to change its database.

use std::collections::BTreeMap;
use std::time::Duration;

use refit_engine::{Guest, GuestCommand, RehearseError};

use crate::package::Package;
use crate::packages::Packages;
use crate::removal::Removal;

/// Scripts of packages take seconds; an emulated machine is slower than a real one.
const TIMEOUT: Duration = Duration::from_secs(300);

/// See [`Packages::removal`].
pub(crate) fn removal(
    packages: &Packages,
    guest: &Guest<'_>,
    chosen: &[usize],
) -> anyhow::Result<Removal> {
    let mut argv: Vec<String> = ["rpm", "-e", "--"].map(str::to_owned).to_vec();
    argv.extend(
        chosen
            .iter()
            .map(|&index| full_name(&packages.all()[index])),
    );
    let command = GuestCommand {
        argv,
        stdin: Vec::new(),
        env: BTreeMap::from([("LC_ALL".to_owned(), "C".to_owned())]),
        timeout: TIMEOUT,
    };
    match guest.rehearse(&command) {
        Ok(rehearsal) if rehearsal.status == 0 => {
            let said = rehearsal.output.trim();
            Ok(Removal::Changes {
                changes: rehearsal.changes,
                notes: match said.is_empty() {
                    true => Vec::new(),
                    false => vec![format!("rpm said: {said}")],
                },
            })
        }
        Ok(rehearsal) => Ok(Removal::Blocked {
            reason: format!(
                "rpm refuses (status {}): {}",
                rehearsal.status,
                rehearsal.output.trim()
            ),
        }),
        Err(RehearseError::Unavailable { reason }) => Ok(Removal::Blocked {
            reason: format!("only the guest's own rpm can remove packages, and {reason}"),
        }),
        Err(error) => Err(anyhow::Error::from(error).context("removing packages with rpm")),
    }
}

/// `name-version-release.arch`, which is one package even where several of a name are installed.
fn full_name(package: &Package) -> String {
    let version = match package.version.split_once(':') {
        Some((_epoch, version)) => version,
        None => &package.version,
    };
    match &package.arch {
        Some(arch) => format!("{}-{version}.{arch}", package.name),
        None => format!("{}-{version}", package.name),
    }
}
