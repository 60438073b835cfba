//! Names of disks and partitions that change with the hardware.

use std::fmt;

/// What a name tells of the place on the old machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Which disk, from 0, where the name counts them.
    pub(super) disk: Option<usize>,
    /// Which partition of it; `None` for the whole disk.
    pub(super) partition: Option<u32>,
}

impl Place {
    /// The place that `name` means, if it is a name that other hardware changes: those that count
    /// disks on a bus (`/dev/sda1`, `/dev/hda1`, `/dev/xvda1`, `/dev/nvme0n1p1`), go by its slot or
    /// the disk's own serial number (`/dev/disk/by-path`, `by-id`), or by multipath's name for it.
    /// `None` for all others, such as logical volumes.
    pub(super) fn of(name: &str) -> Option<Self> {
        let name = name.strip_prefix("/dev/")?;
        for prefix in ["sd", "hd", "xvd"] {
            if let Some(rest) = name.strip_prefix(prefix) {
                return Self::lettered(rest);
            }
        }
        if let Some(rest) = name.strip_prefix("nvme") {
            let (disk, rest) = rest.split_once('n')?;
            let (namespace, partition) = match rest.split_once('p') {
                Some((namespace, partition)) => (namespace, Some(number(partition)?)),
                None => (rest, None),
            };
            let (disk, namespace) = (number(disk)?, number(namespace)?);
            return Some(Self {
                disk: (namespace == 1).then_some(disk as usize),
                partition,
            });
        }
        let by_hardware = name.strip_prefix("disk/by-path/").or_else(|| {
            let id = name.strip_prefix("disk/by-id/")?;
            // These go by what is on the disk.
            let on_disk = ["dm-", "lvm-", "md-"]
                .iter()
                .any(|kind| id.starts_with(kind));
            (!on_disk).then_some(id)
        });
        if let Some(rest) = by_hardware {
            return Some(Self {
                disk: None,
                partition: rest.rsplit_once("-part").and_then(|(_, n)| number(n)),
            });
        }
        let rest = name.strip_prefix("mapper/mpath")?;
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_lowercase() && c != 'p');
        let digits = rest.trim_start_matches("-part").trim_start_matches('p');
        if digits.is_empty() {
            return Some(Self {
                disk: None,
                partition: None,
            });
        }
        Some(Self {
            disk: None,
            partition: Some(number(digits)?),
        })
    }

    /// `a`, `b12`, `aa1`: letters count disks as a spreadsheet's columns.
    fn lettered(rest: &str) -> Option<Self> {
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_lowercase());
        let letters = &rest[..rest.len() - digits.len()];
        if letters.is_empty() || letters.len() > 3 {
            return None;
        }
        let count = letters
            .bytes()
            .fold(0, |count, b| count * 26 + usize::from(b - b'a') + 1);
        let partition = match digits {
            "" => None,
            digits => Some(number(digits)?),
        };
        Some(Self {
            disk: Some(count - 1),
            partition,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.disk {
            Some(disk) => write!(f, "disk {}", disk + 1)?,
            None => write!(f, "the only disk")?,
        }
        match self.partition {
            Some(partition) => write!(f, ", partition {partition}"),
            None => Ok(()),
        }
    }
}

/// Digits alone: no sign, not empty.
fn number(digits: &str) -> Option<u32> {
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_change_with_the_hardware() {
        for (name, disk, partition) in [
            ("/dev/sda", Some(0), None),
            ("/dev/sda1", Some(0), Some(1)),
            ("/dev/sdz15", Some(25), Some(15)),
            ("/dev/sdaa2", Some(26), Some(2)),
            ("/dev/hdb3", Some(1), Some(3)),
            ("/dev/xvda1", Some(0), Some(1)),
            ("/dev/nvme1n1p2", Some(1), Some(2)),
            ("/dev/nvme0n1", Some(0), None),
            ("/dev/nvme0n2p1", None, Some(1)),
            (
                "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0-part2",
                None,
                Some(2),
            ),
            ("/dev/disk/by-id/wwn-0x6000c29b", None, None),
            ("/dev/disk/by-id/scsi-36000c29-part5", None, Some(5)),
            ("/dev/mapper/mpatha", None, None),
            ("/dev/mapper/mpathap1", None, Some(1)),
            ("/dev/mapper/mpathb-part3", None, Some(3)),
        ] {
            assert_eq!(Place::of(name), Some(Place { disk, partition }), "{name}");
        }
    }

    #[test]
    fn names_that_do_not() {
        for name in [
            "UUID=1-2",
            "/dev/vda1",
            "/dev/sr0",
            "/dev/sda+1",
            "/dev/sd",
            "/dev/sd1",
            "/dev/sdabcd",
            "/dev/fd0",
            "/dev/mapper/vg-root",
            "/dev/vg/root",
            "/dev/md0",
            "/dev/nvme0",
            "/dev/disk/by-uuid/0d3c",
            "/dev/disk/by-label/root",
            "/dev/disk/by-id/dm-name-vg-root",
            "/dev/disk/by-id/md-uuid-1:2",
            "/dev/disk/by-id/lvm-pv-uuid-a",
            "sda1",
            "",
        ] {
            assert_eq!(Place::of(name), None, "{name}");
        }
    }
}
