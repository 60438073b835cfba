//! What Windows does with a disk that it sees for the first time: the SAN policy (`VDS_SAN_POLICY`, vds.h).

use refit_hive::Hive;

use crate::adapters::dword;

/// The value in `Services\partmgr\Parameters`.
pub(super) const VALUE: &str = "SanPolicy";

/// A policy, from Windows Vista and Server 2008 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// All disks come online.
    OnlineAll,
    /// Those on a bus that several machines may share stay offline: SAS, iSCSI, Fibre Channel, and so virtio.
    OfflineShared,
    /// All stay offline, but the one that it boots from.
    OfflineAll,
    /// Those inside the machine stay offline.
    OfflineInternal,
}

const NUMBERS: [(Policy, u32); 4] = [
    (Policy::OnlineAll, 1),
    (Policy::OfflineShared, 2),
    (Policy::OfflineAll, 3),
    (Policy::OfflineInternal, 4),
];

impl Policy {
    /// Its number.
    pub(super) fn number(self) -> u32 {
        NUMBERS
            .iter()
            .find(|(policy, _)| *policy == self)
            .map_or(0, |(_, number)| *number)
    }

    fn from_number(number: u32) -> Option<Self> {
        let found = NUMBERS.iter().find(|(_, known)| *known == number)?;
        Some(found.0)
    }
}

/// The key of the value.
pub(super) fn key(set: &str) -> String {
    format!(r"{set}\Services\partmgr\Parameters")
}

/// The policy of a control set. Without a value, or with one that means nothing, it is the edition's: some
/// servers' is *offline shared*, and the careful answer for a server is that it is such a one.
pub(super) fn read(system: &Hive, set: &str, server: bool) -> Policy {
    let value = system.key(&key(set)).and_then(|key| dword(&key, VALUE));
    let edition = if server {
        Policy::OfflineShared
    } else {
        Policy::OnlineAll
    };
    value.and_then(Policy::from_number).unwrap_or(edition)
}

/// The policy that a planned task sets.
pub(super) fn planned(task: &str) -> Option<Policy> {
    let number = task
        .lines()
        .find_map(|line| line.strip_prefix("san-policy "))?;
    Policy::from_number(number.parse().ok()?)
}

/// Whether it is a node of a failover cluster: its disks are the cluster's business.
pub(super) fn is_clustered(system: &Hive, set: &str) -> bool {
    system
        .key(&format!(r"{set}\Services\ClusSvc"))
        .and_then(|key| dword(&key, "Start"))
        .is_some_and(|start| start < 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_a_task() {
        assert_eq!(
            planned("refit-task 1\nkind online-disks\nsan-policy 2\n"),
            Some(Policy::OfflineShared)
        );
        for task in ["", "san-policy 0\n", "san-policy x\n", "# san-policy 2\n"] {
            assert_eq!(planned(task), None, "{task}");
        }
    }
}
