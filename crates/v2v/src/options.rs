//! Typed options of the three programs.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use refit_machine::Mac;

/// Where the guest comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// One disk image.
    Disk {
        /// The image.
        path: PathBuf,
        /// Its format; detected if `None`. An untrusted raw image must say `raw`.
        format: Option<String>,
    },
    /// An OVA: a tar or zip file, or a directory with its unpacked content.
    Ova(PathBuf),
    /// A VMware configuration file beside its disks.
    Vmx(PathBuf),
    /// A libvirt domain description that names local disks.
    LibvirtXml(PathBuf),
    /// Several disk images of one guest, in order.
    Disks {
        /// The images.
        paths: Vec<PathBuf>,
        /// The format of each; virt-v2v detects it if `None`.
        format: Option<String>,
    },
    /// A guest of another hypervisor that libvirt reaches.
    Libvirt(LibvirtGuest),
}

/// A guest that is asked of libvirt (virt-v2v(1), `-i libvirt`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibvirtGuest {
    /// libvirt's name for it.
    pub name: String,
    /// The connection (`vpx://...`, `esx://...`), without a password.
    pub uri: String,
    /// A file with the password.
    pub password_file: PathBuf,
    /// How VMware's library is used; without it disks are read over HTTPS.
    pub vddk: Option<Vddk>,
    /// Names of the disks' files on the datastore, where they are not to be those of the description (2.7.13).
    pub vddk_files: Vec<String>,
}

/// VMware's VDDK (virt-v2v-input-vmware(1), `-it vddk`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vddk {
    /// Its directory.
    pub lib_dir: PathBuf,
    /// SHA-1 thumbprint of the server's certificate.
    pub thumbprint: String,
    /// Its configuration file.
    pub config: Option<PathBuf>,
}

impl Input {
    /// What it is called in messages: the file or directory, the first of several, or libvirt's name.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Disk { path, .. }
            | Self::Ova(path)
            | Self::Vmx(path)
            | Self::LibvirtXml(path) => path,
            Self::Disks { paths, .. } => paths.first().map_or(Path::new(""), PathBuf::as_path),
            Self::Libvirt(guest) => Path::new(&guest.name),
        }
    }

    /// virt-v2v's word for it, the value of `-i`.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Disk { .. } | Self::Disks { .. } => "disk",
            Self::Libvirt(_) => "libvirt",
            Self::Ova(_) => "ova",
            Self::Vmx(_) => "vmx",
            Self::LibvirtXml(_) => "libvirtxml",
        }
    }
}

/// Format of the converted disks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// qcow2.
    #[default]
    Qcow2,
    /// Raw, sparse.
    Raw,
}

impl OutputFormat {
    /// virt-v2v's word for it, the value of `-of`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
        }
    }
}

/// Which operating system of the guest is converted. virt-v2v's own default, to ask, does not
/// exist here: nobody would answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Root {
    /// The only one; several are an error that lists them.
    #[default]
    Single,
    /// The first that is found.
    First,
    /// The one whose root file system is on this device of the guest, such as `/dev/sda2`.
    Device(String),
}

/// How virt-v2v is talked to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// It is asked for messages for machines, and its source is looked at first.
    #[default]
    Machine,
    /// It gets the options that were asked for and no other, its text for people is read, and all that it
    /// prints is passed on to standard output. What a program does not tell of itself is assumed as of a
    /// current one. For callers who promise a command line and a log, as a conversion pod does.
    Plain,
}

/// Whether the appliance may use KVM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Accel {
    /// libguestfs decides; if the appliance does not come up, it is tried again with TCG.
    #[default]
    Auto,
    /// TCG at once.
    ForceTcg,
}

/// The bus for which a Windows guest's boot driver is made ready (virt-v2v 2.3.4 and later).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockDriver {
    /// virtio-blk, virt-v2v's default.
    VirtioBlk,
    /// virtio-scsi.
    VirtioScsi,
}

/// A mapping of networks or bridges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkMap {
    /// The source's name; `None` maps all.
    pub from: Option<String>,
    /// The target's name.
    pub to: String,
}

/// What one network card is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacMap {
    /// The card.
    pub mac: Mac,
    /// Its target.
    pub to: MacTarget,
}

/// Target of a [`MacMap`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MacTarget {
    /// A libvirt network.
    Network(String),
    /// A bridge of the host.
    Bridge(String),
}

/// How a key is given.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// The key itself. Never put on a command line.
    Secret(String),
    /// A file that holds it.
    File(PathBuf),
    /// A Tang server, asked from the appliance.
    Clevis,
}

/// A key for an encrypted disk, as virt-v2v writes them: `ID:key:SECRET`, `ID:file:PATH` or
/// `ID:clevis`, where `ID` is a device of the guest, a UUID or `all` (virt-v2v(1), `--key`).
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    pub(crate) id: String,
    pub(crate) source: KeySource,
}

/// The text is not a key; the text itself is not repeated, because it may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a key: write ID:key:SECRET, ID:file:PATH or ID:clevis, where ID is a device such as /dev/sda2, a UUID or \"all\""
)]
pub struct ParseKeyError;

impl FromStr for Key {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, ':');
        let id = parts.next().unwrap_or_default();
        let source = match (parts.next(), parts.next()) {
            (Some("key"), Some(secret)) if !secret.is_empty() => {
                KeySource::Secret(secret.to_owned())
            }
            (Some("file"), Some(path)) if !path.is_empty() => KeySource::File(path.into()),
            (Some("clevis"), None) => KeySource::Clevis,
            _ => return Err(ParseKeyError),
        };
        if id.is_empty() || id.contains(['\n', '\0']) {
            return Err(ParseKeyError);
        }
        Ok(Self {
            id: id.to_owned(),
            source,
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            KeySource::Secret(_) => write!(f, "{}:key:***", self.id),
            KeySource::File(path) => write!(f, "{}:file:{}", self.id, path.display()),
            KeySource::Clevis => write!(f, "{}:clevis", self.id),
        }
    }
}

/// What all three programs share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Keys for encrypted disks.
    pub keys: Vec<Key>,
    /// Which operating system is converted.
    pub root: Root,
    /// The boot driver for Windows.
    pub block_driver: Option<BlockDriver>,
    /// Memory of the appliance in MiB; libguestfs decides if `None`.
    pub memsize_mb: Option<u32>,
    /// Virtual CPUs of the appliance; virt-v2v decides if `None`. Ignored before 2.9.4.
    pub smp: Option<u32>,
    /// Do not discard unused blocks first. Ignored where virt-v2v lacks the option.
    pub no_fstrim: bool,
    /// The guest's host name (2.5.8). Left out where virt-v2v lacks the option.
    pub hostname: Option<String>,
    /// Addresses of network cards, `MAC:ip:ADDRESS,...` as `--mac` takes them; they are for Windows guests.
    pub static_ips: Vec<String>,
    /// Targets of single network cards.
    pub macs: Vec<MacMap>,
    /// Targets of networks.
    pub networks: Vec<NetworkMap>,
    /// Targets of bridges.
    pub bridges: Vec<NetworkMap>,
    /// virtio-win: a directory (fast) or an ISO (costs two or three more appliance starts).
    pub virtio_win: Option<PathBuf>,
    /// A Windows guest that virt-v2v had no virtio drivers for is a result, because the caller adds them.
    pub drivers_follow: bool,
    /// Directory with `rhsrvany.exe`, in place of `/usr/share/virt-tools`.
    pub virt_tools: Option<PathBuf>,
    /// Directory for temporary files; overlays of the disks are kept there.
    pub tmpdir: Option<PathBuf>,
    /// Whether the appliance may use KVM.
    pub accel: Accel,
    /// How long a starting appliance may be silent before it counts as hung.
    pub launch_limit: Duration,
    /// More arguments, passed as they are before the input.
    pub extra_args: Vec<OsString>,
    /// How virt-v2v is talked to.
    pub protocol: Protocol,
    /// The full log; replaced if it exists.
    pub log: PathBuf,
}

impl Settings {
    /// Defaults, with the log in this file.
    #[must_use]
    pub fn new(log: PathBuf) -> Self {
        Self {
            keys: Vec::new(),
            root: Root::default(),
            block_driver: None,
            memsize_mb: None,
            smp: None,
            no_fstrim: false,
            hostname: None,
            static_ips: Vec::new(),
            macs: Vec::new(),
            networks: Vec::new(),
            bridges: Vec::new(),
            virtio_win: None,
            drivers_follow: false,
            virt_tools: None,
            tmpdir: None,
            accel: Accel::default(),
            launch_limit: Duration::from_secs(120),
            extra_args: Vec::new(),
            protocol: Protocol::default(),
            log,
        }
    }
}

/// A conversion with virt-v2v: `-o local`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvertOptions {
    /// The source; it is not changed.
    pub input: Input,
    /// Existing directory for the disks (`NAME-sda`, ...) and `NAME.xml`.
    pub out_dir: PathBuf,
    /// Name of the converted guest.
    pub name: String,
    /// Format of its disks.
    pub output_format: OutputFormat,
    /// How many disks are copied at a time; one if `None`. Ignored before 2.7.3.
    pub parallel: Option<u32>,
    /// The rest.
    pub settings: Settings,
}

impl ConvertOptions {
    /// Defaults: qcow2, one disk after the other, the log beside the disks.
    #[must_use]
    pub fn new(input: Input, out_dir: PathBuf, name: impl Into<String>) -> Self {
        let log = out_dir.join("virt-v2v.log");
        Self {
            input,
            out_dir,
            name: name.into(),
            output_format: OutputFormat::default(),
            parallel: None,
            settings: Settings::new(log),
        }
    }
}

/// A conversion with virt-v2v onto disks that are there already, for KubeVirt: `-o kubevirt`, or `-o local` where
/// virt-v2v does not know that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubevirtOptions {
    /// The source; it is not changed.
    pub input: Input,
    /// Directory with a link to each disk (`NAME-sda`, ...), through which virt-v2v writes; it gets `NAME.yaml`, too.
    pub out_dir: PathBuf,
    /// Name of the links.
    pub name: String,
    /// Whether virt-v2v is told the name; without it, it takes the source's.
    pub names_output: bool,
    /// The rest.
    pub settings: Settings,
}

/// A conversion of the disks themselves with virt-v2v-in-place. If it fails, their state is
/// unknown: give it overlays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPlaceOptions {
    /// The disks.
    pub input: Input,
    /// Where to write what was found (2.7.4 and later).
    pub output_xml: Option<PathBuf>,
    /// The rest.
    pub settings: Settings,
}

/// A run of virt-v2v-inspector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectorOptions {
    /// The source; it is not changed.
    pub input: Input,
    /// Where to write what was found; standard output if `None`.
    pub output_xml: Option<PathBuf>,
    /// The rest.
    pub settings: Settings,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_as_virt_v2v_writes_them() {
        let key: Key = "/dev/sda2:key:a:b c".parse().unwrap();
        assert_eq!(key.id, "/dev/sda2");
        assert!(
            key.source == KeySource::Secret("a:b c".into()),
            "colons belong to the secret"
        );
        assert!(!format!("{key:?}").contains("a:b"));
        let key: Key = "all:file:/root/k".parse().unwrap();
        assert_eq!(format!("{key:?}"), "all:file:/root/k");
        assert!("all:clevis".parse::<Key>().is_ok());
        for bad in [
            "",
            "all",
            "all:key:",
            ":key:x",
            "all:clevis:x",
            "all:tpm:x",
            "geheim",
        ] {
            let error = bad.parse::<Key>().unwrap_err().to_string();
            assert!(!error.contains("geheim"));
        }
    }
}
