//! Policies of hives.

use refit_hive::Value;

use super::policy::{self, Met, Policy};
use crate::testing::{SET, hive, set};

#[test]
fn the_policy_of_a_hive() {
    let cases = [
        (None, true, Policy::OfflineShared),
        (None, false, Policy::OnlineAll),
        (Some(Value::dword(0)), true, Policy::OfflineShared),
        (Some(Value::dword(1)), true, Policy::OnlineAll),
        (Some(Value::dword(3)), false, Policy::OfflineAll),
        (Some(Value::dword(4)), false, Policy::OfflineInternal),
        (Some(Value::sz("1")), false, Policy::OnlineAll),
    ];
    for (value, server, expected) in cases {
        let mut hive = hive();
        if let Some(value) = &value {
            set(
                &mut hive,
                r"Services\partmgr\Parameters",
                &[("SanPolicy", value.clone())],
            );
        }
        assert_eq!(
            policy::read(&hive, SET, server),
            expected,
            "{value:?} {server}"
        );
    }
}

#[test]
fn a_node_of_a_cluster() {
    let mut hive = hive();
    assert!(!policy::is_clustered(&hive, SET));
    set(
        &mut hive,
        r"Services\ClusSvc",
        &[("Start", Value::dword(4))],
    );
    assert!(!policy::is_clustered(&hive, SET));
    set(
        &mut hive,
        r"Services\ClusSvc",
        &[("Start", Value::dword(2))],
    );
    assert!(policy::is_clustered(&hive, SET));
}

#[test]
fn disks_that_windows_has_met() {
    let mut hive = hive();
    assert_eq!(policy::met(&hive, SET), Met::Never);
    set(
        &mut hive,
        r"Enum\SCSI\Disk&Ven_VMware_&Prod_VMware_Virtual_S\5&1&0",
        &[],
    );
    assert_eq!(policy::met(&hive, SET), Met::Never);
    let disk = r"Enum\SCSI\Disk&Ven_Red_Hat&Prod_VirtIO\5&2&0\Device Parameters\Partmgr";
    set(&mut hive, disk, &[("Attributes", Value::dword(0))]);
    assert_eq!(policy::met(&hive, SET), Met::Online);
    let other = disk.replace("5&2", "5&3");
    set(&mut hive, &other, &[("Attributes", Value::dword(1))]);
    assert_eq!(policy::met(&hive, SET), Met::Offline);
}
