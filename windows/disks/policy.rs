//! What Windows does with a disk that it sees for the first time: the SAN policy (`VDS_SAN_POLICY`, vds.h).

use refit_hive::Hive;

use crate::adapters::{dword, starts_with};

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

/// What Windows knows of disks on virtio: it keeps their state itself once it has met them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// None.
    Never,
    /// Some, all online.
    Online,
    /// Some, of which one at least stayed offline or is read-only.
    Offline,
}

/// Names of disks behind viostor and vioscsi.
const DISKS: [&str; 2] = ["Disk&Ven_Red_Hat&Prod_VirtIO", "Disk&Ven_QEMU"];
/// More disks than a machine has.
const MOST: usize = 1000;

/// Whether Windows has run on virtio disks.
pub(super) fn met(system: &Hive, set: &str) -> Met {
    let mut met = Met::Never;
    let Some(scsi) = system.key(&format!(r"{set}\Enum\SCSI")) else {
        return met;
    };
    for disk in scsi.subkeys().take(MOST) {
        if !DISKS.iter().any(|name| starts_with(&disk.name(), name)) {
            continue;
        }
        for instance in disk.subkeys().take(MOST) {
            // DISK_ATTRIBUTE_OFFLINE and DISK_ATTRIBUTE_READ_ONLY (ntdddisk.h).
            let attributes = instance
                .key(r"Device Parameters\Partmgr")
                .and_then(|key| dword(&key, "Attributes"));
            if attributes.is_some_and(|attributes| attributes & 3 != 0) {
                return Met::Offline;
            }
            met = Met::Online;
        }
    }
    met
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
