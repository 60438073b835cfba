//! The parts of KubeVirt's `kubevirt.io/v1` VirtualMachine that are written, in its own words.
//! The reference is <https://kubevirt.io/api-reference/>.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Error, RunStrategy};

/// A VirtualMachine, made by [`virtual_machine`](fn@crate::virtual_machine).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualMachine {
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) metadata: Metadata,
    pub(crate) spec: Spec,
}

impl VirtualMachine {
    /// The machine's name in Kubernetes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The manifest as `kubectl apply` takes it. All strings are quoted, because YAML readers
    /// disagree on what a bare `00:50:56:11:22:33` or `on` is.
    ///
    /// # Errors
    ///
    /// If the serialiser fails, which it has no reason to.
    pub fn to_yaml(&self) -> Result<String, Error> {
        let options = serde_saphyr::ser_options! { quote_all: true };
        Ok(serde_saphyr::to_string_with_options(self, options)?)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spec {
    pub(crate) run_strategy: RunStrategy,
    pub(crate) template: Template,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Template {
    pub(crate) metadata: TemplateMetadata,
    pub(crate) spec: InstanceSpec,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TemplateMetadata {
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstanceSpec {
    pub(crate) domain: Domain,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) networks: Vec<Network>,
    /// Seconds that the guest has to shut down.
    pub(crate) termination_grace_period_seconds: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) volumes: Vec<Volume>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Domain {
    pub(crate) clock: Clock,
    pub(crate) cpu: Cpu,
    pub(crate) devices: Devices,
    pub(crate) features: Features,
    pub(crate) firmware: Firmware,
    pub(crate) machine: MachineType,
    pub(crate) memory: Memory,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Clock {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) utc: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timer: Option<Timers>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Timers {
    pub(crate) hpet: Timer,
    pub(crate) hyperv: Timer,
    pub(crate) pit: Timer,
    pub(crate) rtc: Timer,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Timer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) present: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tick_policy: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Cpu {
    pub(crate) sockets: u32,
    pub(crate) cores: u32,
    pub(crate) threads: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Devices {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) autoattach_pod_interface: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) disks: Vec<Disk>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) inputs: Vec<Input>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) rng: Empty,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tpm: Option<Empty>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Disk {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) boot_order: Option<usize>,
    #[serde(flatten)]
    pub(crate) target: DiskTarget,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<String>,
}

/// What the guest sees of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DiskTarget {
    Disk { bus: &'static str },
    Cdrom { bus: &'static str },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Input {
    pub(crate) name: &'static str,
    pub(crate) bus: &'static str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) model: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mac_address: Option<String>,
    #[serde(flatten)]
    pub(crate) binding: Binding,
}

/// How an interface is connected to its network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Binding {
    Masquerade(Empty),
    Bridge(Empty),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Network {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) source: NetworkSource,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum NetworkSource {
    Pod(Empty),
    #[serde(rename_all = "camelCase")]
    Multus {
        network_name: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Features {
    pub(crate) acpi: Empty,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hyperv: Option<Hyperv>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) smm: Option<Enabled>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Enabled {
    pub(crate) enabled: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Hyperv {
    pub(crate) relaxed: Empty,
    pub(crate) spinlocks: Spinlocks,
    pub(crate) vapic: Empty,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Spinlocks {
    pub(crate) spinlocks: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Firmware {
    pub(crate) bootloader: Bootloader,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uuid: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Bootloader {
    Bios(Empty),
    #[serde(rename_all = "camelCase")]
    Efi {
        secure_boot: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MachineType {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Memory {
    pub(crate) guest: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Volume {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) source: VolumeSource,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum VolumeSource {
    PersistentVolumeClaim(Claim),
    /// KubeVirt makes an ISO image of it, each key a file.
    #[serde(rename_all = "camelCase")]
    Secret {
        secret_name: String,
        volume_label: &'static str,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Claim {
    pub(crate) claim_name: String,
}

/// An object whose presence is all that it says: `{}`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Empty {}
