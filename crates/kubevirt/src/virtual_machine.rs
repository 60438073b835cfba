//! [`Machine`] to [`VirtualMachine`].

use std::collections::BTreeMap;

use refit_machine::{Chipset, DEFAULT_MEMORY, Firmware, Machine, Nic};

use crate::manifest::{
    self, Binding, Bootloader, Empty, NetworkSource, Timer, VirtualMachine, VolumeSource,
};
use crate::names::{MAX_LABEL, MAX_SUBDOMAIN, is_label, is_label_value, is_subdomain, label};
use crate::{Error, Options, secret};

/// Longest serial number of a machine or a disk that KubeVirt admits.
const MAX_SERIAL: usize = 256;
/// Longest part of a source's name that is kept as annotation, in characters.
const MAX_SOURCE_NAME: usize = 1024;
/// Annotation with the machine's name in its source.
const SOURCE_NAME: &str = "refit/source-name";
/// Annotation with libosinfo's identifier of the operating system, a URI.
const OSINFO_ID: &str = "refit/osinfo-id";
/// Label with libosinfo's short identifier, where virt-v2v puts it and Forklift looks for it.
const OSINFO_LABEL: &str = "libguestfs.org/osinfo";
/// Label by which services select the machine's pod.
const DOMAIN_LABEL: &str = "kubevirt.io/domain";

/// Makes the manifest of a converted machine.
///
/// - **Name**: a DNS label; the source's name is kept in the annotation `refit/source-name`.
/// - **Disks**: volumes from PersistentVolumeClaims, booted in their order. A disk on `virtio`,
///   `scsi` (KubeVirt's is virtio-scsi) or `sata` stays there, `ide` and `nvme` become `sata`, and
///   a disk without a bus is on virtio. A source machine that no longer needs its old hardware
///   goes through [`Machine::with_devices`] first.
/// - **OVF environment**, with [`Options::ovf_environment`]: the Secret of [`crate::ovf_environment`] as a
///   CD-ROM (on [`Machine::cdrom`]) with the label that guests look for; KubeVirt makes the ISO image.
/// - **Network cards** keep their MAC address, and a model that KubeVirt knows; others are virtio.
///   A card whose network is in [`Options::networks`] is bridged to that
///   NetworkAttachmentDefinition, so that the guest keeps its address. Otherwise the first card is
///   on the pod network with masquerade, which every cluster has and which allows live migration,
///   but where the guest must use DHCP; each further card gets a definition named after its
///   source network, as KubeVirt allows one pod network. [`notes`] says which must exist.
/// - **Firmware**: BIOS, or UEFI with Secure Boot (and SMM, which it needs) or explicitly without:
///   KubeVirt's default is with. SMBIOS UUID and serial number are kept.
/// - **Clock**: UTC; KubeVirt has no local time, but a time zone, which
///   [`Options::timezone`] gives.
/// - **Windows** gets Hyper-V enlightenments, timers and a tablet, and an hour to shut down
///   (updates), others three minutes.
///
/// # Errors
///
/// If a name or time zone in the options is not valid, or two cards are mapped to the pod network.
pub fn virtual_machine(machine: &Machine, options: &Options) -> Result<VirtualMachine, Error> {
    let name = name(machine, options)?;
    if let Some(namespace) = &options.namespace {
        check_label("namespace", namespace)?;
    }
    let networks = networks(machine, options, &name)?;
    let windows = machine.is_windows();
    let (disks, volumes) = disks(machine, options, &name)?;
    let domain = manifest::Domain {
        clock: clock(machine, options)?,
        cpu: cpu(machine),
        devices: manifest::Devices {
            // KubeVirt adds a card on the pod network to a machine that has none.
            autoattach_pod_interface: networks.is_empty().then_some(false),
            disks,
            inputs: windows
                .then_some(manifest::Input {
                    name: "tablet",
                    bus: "usb",
                    kind: "tablet",
                })
                .into_iter()
                .collect(),
            interfaces: interfaces(machine, &networks),
            rng: Empty {},
            tpm: machine.tpm.then_some(Empty {}),
        },
        features: manifest::Features {
            acpi: Empty {},
            hyperv: windows.then_some(manifest::Hyperv {
                relaxed: Empty {},
                spinlocks: manifest::Spinlocks { spinlocks: 8191 },
                vapic: Empty {},
            }),
            smm: (machine.firmware == Firmware::UefiSecure)
                .then_some(manifest::Enabled { enabled: true }),
        },
        firmware: manifest::Firmware {
            bootloader: match machine.firmware {
                Firmware::Bios => Bootloader::Bios(Empty {}),
                Firmware::Uefi => Bootloader::Efi { secure_boot: false },
                Firmware::UefiSecure => Bootloader::Efi { secure_boot: true },
            },
            serial: machine.serial.clone().filter(|serial| is_serial(serial)),
            uuid: machine.uuid.clone(),
        },
        machine: manifest::MachineType { kind: "q35" },
        memory: manifest::Memory {
            guest: quantity(machine.memory),
        },
    };
    Ok(VirtualMachine {
        api_version: "kubevirt.io/v1",
        kind: "VirtualMachine",
        metadata: metadata(machine, options, name.clone()),
        spec: manifest::Spec {
            run_strategy: options.run,
            template: manifest::Template {
                metadata: manifest::TemplateMetadata {
                    labels: BTreeMap::from([(DOMAIN_LABEL.to_owned(), name)]),
                },
                spec: manifest::InstanceSpec {
                    domain,
                    networks,
                    termination_grace_period_seconds: if windows { 3600 } else { 180 },
                    volumes,
                },
            },
        },
    })
}

/// What the manifest cannot carry over, and what must exist in the cluster before the machine can
/// start: one sentence each. Options for which [`virtual_machine`] fails get no notes on networks.
#[must_use]
pub fn notes(machine: &Machine, options: &Options) -> Vec<String> {
    let mut notes = Vec::new();
    let sources = name(machine, options).and_then(|name| sources(machine, options, &name));
    for (index, source) in sources.unwrap_or_default().into_iter().enumerate() {
        match source {
            NetworkSource::Multus { network_name } => notes.push(format!(
                "network card {index} needs the NetworkAttachmentDefinition {network_name}"
            )),
            NetworkSource::Pod(_) => notes.push(format!(
                "network card {index} is on the pod network, where a static address is not \
                 reachable; map its network to a NetworkAttachmentDefinition to keep one"
            )),
        }
    }
    if machine.clock_localtime && options.timezone.is_none() {
        notes.push(
            "the guest expects a clock in local time, which KubeVirt lacks: give a time zone, or \
             the guest's time is off by its zone until it is synchronised"
                .to_owned(),
        );
    }
    if machine
        .serial
        .as_deref()
        .is_some_and(|serial| !is_serial(serial))
    {
        notes.push(
            "the machine's serial number is left out, because KubeVirt takes only letters, \
             digits and the characters _ . + -"
                .to_owned(),
        );
    }
    if machine.tpm {
        notes.push(
            "the TPM starts empty: what the guest sealed in it (BitLocker, LUKS) needs its \
             recovery key"
                .to_owned(),
        );
    }
    if machine.chipset == Chipset::I440fx {
        notes.push(
            "the guest expects an i440FX chipset; KubeVirt has q35 only, on which Windows before \
             Vista does not start"
                .to_owned(),
        );
    }
    if options.ovf_environment {
        notes.push(
            "the machine needs its Secret with the OVF environment: apply it first; a change of it counts from \
             the next start"
                .to_owned(),
        );
    }
    if machine.memory == 0 {
        notes.push("the source does not say how much memory it has; 2 GiB are assumed".to_owned());
    }
    notes
}

pub(crate) fn check_label(what: &'static str, name: &str) -> Result<(), Error> {
    if is_label(name) {
        return Ok(());
    }
    Err(Error::Name {
        what,
        name: name.to_owned(),
        limit: MAX_LABEL,
    })
}

fn check_subdomain(what: &'static str, name: &str) -> Result<(), Error> {
    if is_subdomain(name) {
        return Ok(());
    }
    Err(Error::Name {
        what,
        name: name.to_owned(),
        limit: MAX_SUBDOMAIN,
    })
}

pub(crate) fn name(machine: &Machine, options: &Options) -> Result<String, Error> {
    match &options.name {
        Some(name) => {
            check_label("VirtualMachine", name)?;
            Ok(name.clone())
        }
        None => Ok(label(&machine.name, "vm")),
    }
}

fn metadata(machine: &Machine, options: &Options, name: String) -> manifest::Metadata {
    let mut labels = BTreeMap::new();
    let mut annotations = BTreeMap::new();
    if let Some(id) = &machine.os_id {
        annotations.insert(OSINFO_ID.to_owned(), id.clone());
        if let Some(short) = short_os_id(id) {
            labels.insert(OSINFO_LABEL.to_owned(), short);
        }
    }
    if machine.name != name && !machine.name.is_empty() {
        let source = machine.name.chars().take(MAX_SOURCE_NAME).collect();
        annotations.insert(SOURCE_NAME.to_owned(), source);
    }
    manifest::Metadata {
        name,
        namespace: options.namespace.clone(),
        labels,
        annotations,
    }
}

/// libosinfo's short identifier by its usual rule: `http://debian.org/debian/12` is `debian12`.
fn short_os_id(id: &str) -> Option<String> {
    let mut parts = id.rsplit('/');
    let (version, family) = (parts.next()?, parts.next()?);
    let short = format!("{family}{version}");
    is_label_value(&short).then_some(short)
}

fn is_serial(serial: &str) -> bool {
    (1..=MAX_SERIAL).contains(&serial.len())
        && serial
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte))
}

/// Bytes as a Kubernetes quantity, in the largest unit that is exact.
fn quantity(bytes: u64) -> String {
    let bytes = if bytes == 0 { DEFAULT_MEMORY } else { bytes };
    for (unit, size) in [("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size);
        }
    }
    bytes.to_string()
}

fn cpu(machine: &Machine) -> manifest::Cpu {
    let vcpus = machine.vcpus.max(1);
    // Editions of Windows limit the number of sockets, so one socket is the better guess.
    let cores = match machine.cores_per_socket {
        cores if cores > 0 && vcpus.is_multiple_of(cores) => cores,
        _ => vcpus,
    };
    manifest::Cpu {
        sockets: vcpus / cores,
        cores,
        threads: 1,
    }
}

fn clock(machine: &Machine, options: &Options) -> Result<manifest::Clock, Error> {
    let timezone = options
        .timezone
        .as_ref()
        .filter(|_| machine.clock_localtime);
    if let Some(timezone) = &options.timezone {
        let valid = !timezone.is_empty()
            && timezone
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
        if !valid {
            return Err(Error::Timezone(timezone.clone()));
        }
    }
    Ok(manifest::Clock {
        utc: timezone.is_none().then_some(Empty {}),
        timezone: timezone.cloned(),
        timer: machine.is_windows().then_some(manifest::Timers {
            hpet: Timer {
                present: Some(false),
                ..Timer::default()
            },
            hyperv: Timer::default(),
            pit: Timer {
                tick_policy: Some("delay"),
                ..Timer::default()
            },
            rtc: Timer {
                tick_policy: Some("catchup"),
                ..Timer::default()
            },
        }),
    })
}

fn disks(
    machine: &Machine,
    options: &Options,
    name: &str,
) -> Result<(Vec<manifest::Disk>, Vec<manifest::Volume>), Error> {
    let mut disks = Vec::new();
    let mut volumes = Vec::new();
    for (index, disk) in machine.disks.iter().enumerate() {
        let claim = match options.claims.get(index) {
            Some(claim) => claim.clone(),
            None => format!("{name}-disk{index}"),
        };
        check_subdomain("PersistentVolumeClaim", &claim)?;
        let volume = format!("disk{index}");
        disks.push(manifest::Disk {
            name: volume.clone(),
            boot_order: Some(index + 1),
            target: manifest::DiskTarget::Disk {
                bus: match disk.bus.as_deref() {
                    None | Some("virtio") => "virtio",
                    Some("scsi") => "scsi",
                    Some(_) => "sata",
                },
            },
            serial: disk.serial.clone().filter(|serial| is_serial(serial)),
        });
        volumes.push(manifest::Volume {
            name: volume,
            source: VolumeSource::PersistentVolumeClaim(manifest::Claim { claim_name: claim }),
        });
    }
    if options.ovf_environment {
        let volume = "ovf-env";
        disks.push(manifest::Disk {
            name: volume.to_owned(),
            boot_order: None,
            target: manifest::DiskTarget::Cdrom {
                bus: machine.cdrom.as_str(),
            },
            serial: None,
        });
        volumes.push(manifest::Volume {
            name: volume.to_owned(),
            source: VolumeSource::Secret {
                secret_name: secret::name(name),
                volume_label: secret::LABEL,
            },
        });
    }
    Ok((disks, volumes))
}

/// The network of each card, by the rules of [`virtual_machine`].
fn sources(machine: &Machine, options: &Options, name: &str) -> Result<Vec<NetworkSource>, Error> {
    let mut pod = None;
    let mut sources = Vec::new();
    for (index, nic) in machine.nics.iter().enumerate() {
        let source = source(nic, index, options, name)?;
        if matches!(source, NetworkSource::Pod(_))
            && let Some(first) = pod.replace(index)
        {
            return Err(Error::PodNetworks {
                first,
                second: index,
            });
        }
        sources.push(source);
    }
    Ok(sources)
}

fn source(nic: &Nic, index: usize, options: &Options, name: &str) -> Result<NetworkSource, Error> {
    let mapped = nic
        .network
        .as_ref()
        .and_then(|network| options.networks.get(network));
    let network_name = match (mapped, &nic.network) {
        (Some(word), _) if word == "pod" => return Ok(NetworkSource::Pod(Empty {})),
        (Some(definition), _) => {
            let (namespace, own_name) = match definition.split_once('/') {
                Some((namespace, own_name)) => (Some(namespace), own_name),
                None => (None, definition.as_str()),
            };
            if let Some(namespace) = namespace {
                check_label("namespace", namespace)?;
            }
            check_subdomain("NetworkAttachmentDefinition", own_name)?;
            definition.clone()
        }
        (None, _) if index == 0 => return Ok(NetworkSource::Pod(Empty {})),
        (None, Some(network)) => label(network, &label(&format!("{name}-net{index}"), "net")),
        (None, None) => label(&format!("{name}-net{index}"), "net"),
    };
    Ok(NetworkSource::Multus { network_name })
}

fn networks(
    machine: &Machine,
    options: &Options,
    name: &str,
) -> Result<Vec<manifest::Network>, Error> {
    let sources = sources(machine, options, name)?;
    Ok(sources
        .into_iter()
        .enumerate()
        .map(|(index, source)| manifest::Network {
            name: format!("nic{index}"),
            source,
        })
        .collect())
}

fn interfaces(machine: &Machine, networks: &[manifest::Network]) -> Vec<manifest::Interface> {
    machine
        .nics
        .iter()
        .zip(networks)
        .map(|(nic, network)| manifest::Interface {
            name: network.name.clone(),
            model: match nic.model.as_deref() {
                Some("e1000") => "e1000",
                Some("e1000e") => "e1000e",
                Some("rtl8139") => "rtl8139",
                _ => "virtio",
            },
            mac_address: nic.mac.map(|mac| mac.to_string()),
            binding: match network.source {
                NetworkSource::Pod(_) => Binding::Masquerade(Empty {}),
                NetworkSource::Multus { .. } => Binding::Bridge(Empty {}),
            },
        })
        .collect()
}
