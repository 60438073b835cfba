//! Which devices the machine may have.

use refit_engine::{Guest, Kernel};
use refit_machine::{CdromBus, Devices, DiskBus, NicModel};

use super::drivers::{Outcome, alone, examine};
use super::lvm;
use super::mdadm;
use super::modules::Modules;
use super::stable;

/// What the newest kernel drives, with its initramfs as `guest` shows it: virtio where it does, else what
/// every kernel drives. A disk that the guest, or its LVM, goes by a name like `/dev/sda1` for stays on a bus
/// that gives such names. `None` without a kernel.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn of(guest: &Guest<'_>) -> anyhow::Result<Option<Devices>> {
    let kernels = &guest.facts().kernels;
    let has_image = |kernel: &&Kernel| kernel.image.is_some();
    let mut driven = match kernels.iter().find(has_image).or_else(|| kernels.first()) {
        Some(kernel) => driven_by(guest, kernel)?,
        None => match driven_by_modules_alone(guest)? {
            Some(driven) => driven,
            None => return Ok(None),
        },
    };
    for part in [stable::plan(guest)?, lvm::plan(guest)?, mdadm::plan(guest)?] {
        if !part.changes.is_empty() || part.is_blocked() {
            driven.disk = DiskBus::Sata;
        }
    }
    Ok(Some(driven))
}

fn driven_by(guest: &Guest<'_>, kernel: &Kernel) -> anyhow::Result<Devices> {
    let initramfs = match &kernel.initramfs {
        Some(path) => guest.resolve(path)?,
        None => None,
    };
    let (release, outcome) = match initramfs {
        Some(path) => examine(guest, kernel, &path)?,
        None => (kernel.release.clone(), alone(guest, kernel)?),
    };
    let modules = Modules::read(guest, &release)?;
    let has = |name: &str| modules.as_ref().is_some_and(|modules| modules.has(name));
    let ready = matches!(outcome, Outcome::Ready { .. } | Outcome::Appended { .. });
    Ok(Devices {
        disk: if ready && has("virtio_blk") {
            DiskBus::Virtio
        } else {
            DiskBus::Sata
        },
        nic: if has("virtio_pci") && has("virtio_net") {
            NicModel::Virtio
        } else {
            NicModel::E1000e
        },
        cdrom: modules.as_ref().map_or(Some(CdromBus::Sata), cdrom),
    })
}

/// Where a kernel with these modules sees a CD-ROM. It is looked for after the root is mounted, so that the modules
/// need not be in the initramfs.
fn cdrom(modules: &Modules) -> Option<CdromBus> {
    let has = |name| modules.has(name);
    if !has("sr_mod") {
        return None;
    }
    if has("ahci") {
        Some(CdromBus::Sata)
    } else {
        (has("virtio_pci") && has("virtio_scsi")).then_some(CdromBus::Scsi)
    }
}

/// Flatcar and its relatives keep the image where it is not looked for, with an initramfs inside. Whichever
/// kernel boots, all must drive a device.
fn driven_by_modules_alone(guest: &Guest<'_>) -> anyhow::Result<Option<Devices>> {
    let mut all: Option<Devices> = None;
    for entry in guest.list("/lib/modules")? {
        let kernel = Kernel {
            release: String::from_utf8_lossy(&entry.name).into_owned(),
            image: None,
            initramfs: None,
        };
        let one = driven_by(guest, &kernel)?;
        let all = all.get_or_insert(one);
        if one.disk == DiskBus::Sata {
            all.disk = DiskBus::Sata;
        }
        if one.nic == NicModel::E1000e {
            all.nic = NicModel::E1000e;
        }
        if one.cdrom != all.cdrom {
            all.cdrom = None;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cdrom_is_where_the_kernel_sees_it() {
        let cloud = "kernel/drivers/scsi/sr_mod.ko: kernel/drivers/cdrom/cdrom.ko\n\
                     kernel/drivers/scsi/virtio_scsi.ko:\n";
        let ahci = "kernel/drivers/ata/ahci.ko.xz: kernel/drivers/ata/libahci.ko.xz\n";
        let virtio = "kernel/drivers/virtio/virtio_pci.ko\n";
        let usual = format!("{ahci}{cloud}");
        for (dep, builtin, expected) in [
            (usual.as_str(), virtio, Some(CdromBus::Sata)),
            (cloud, virtio, Some(CdromBus::Scsi)),
            // Without the transport, and without a driver for the drive itself.
            (cloud, "", None),
            (ahci, virtio, None),
            (
                "",
                "kernel/drivers/ata/ahci.ko\nkernel/drivers/scsi/sr_mod.ko\n",
                Some(CdromBus::Sata),
            ),
        ] {
            let modules = Modules::parse("6.1.0", dep, builtin);
            assert_eq!(cdrom(&modules), expected, "{dep}{builtin}");
        }
    }
}
