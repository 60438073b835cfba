//! What the controller asks for: environment variables, each with a flag of the same meaning that wins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::goflag::{self, FlagError, Kind, parse_bool};
use crate::handover::Variables;

/// Where the guest comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// vCenter or ESXi, through libvirt.
    VSphere,
    /// An OVA file, or the directory of an OVF.
    Ova,
    /// Disks of Hyper-V.
    HyperV,
    /// Disks that were copied from EC2.
    Ec2,
}

/// Everything that the controller says. Paths have the contract's defaults.
#[derive(Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the contract has that many switches"
)]
pub struct Settings {
    /// `V2V_source`; nothing if it is empty, or none that is known (see [`check`](Self::check)).
    pub source: Option<Source>,
    /// `V2V_source` as it was given.
    pub source_name: String,
    /// `V2V_vmName`: libvirt's name of the guest, and the prefix of disk links.
    pub vm_name: String,
    /// `V2V_NewName`: what it is called on the target, where the old name will not do.
    pub new_name: Option<String>,
    /// `V2V_libvirtURL`, without a password, which would be seen on command lines.
    pub libvirt_url: String,
    /// There was one in it.
    pub has_password_in_url: bool,
    /// `V2V_fingerprint`: the certificate's SHA-1 digest, for VDDK.
    pub fingerprint: String,
    /// `V2V_inPlace`: the disks are there already and are converted where they are.
    pub in_place: bool,
    /// `V2V_extra_args`: a JSON array; anything else counts as an empty one.
    pub extra_args: Vec<String>,
    /// `V2V_inspector_extra_args`, likewise.
    pub inspector_extra_args: Vec<String>,
    /// `V2V_RootDisk`.
    pub root_disk: Option<String>,
    /// `V2V_staticIPs`, as it is.
    pub static_ips: Option<String>,
    /// `V2V_multipleIPsPerNic` is there and not empty.
    pub multiple_ips_per_nic: bool,
    /// `V2V_HOSTNAME`.
    pub hostname: Option<String>,
    /// `V2V_diskPath`.
    pub disk_path: String,
    /// `V2V_NBDE_CLEVIS`: volumes are unlocked by Clevis; key files do not count then.
    pub nbde_clevis: bool,
    /// `V2V_memSize`, in MB.
    pub memsize_mb: Option<u32>,
    /// `V2V_smp`.
    pub smp: Option<u32>,
    /// `V2V_waitForGuestReboot`: Windows is to write its signal to COM1.
    pub wait_for_guest_reboot: bool,
    /// `V2V_vsphereVmwareDriverRemoval`.
    pub vmware_driver_removal: bool,
    /// `V2V_windowsRegistryNetworkConfig`.
    pub windows_registry_network: bool,
    /// `V2V_xfsCompatibility`.
    pub xfs_compatibility: bool,
    /// `V2V_xfsRepairIgnore`.
    pub xfs_repair_ignore: bool,
    /// `V2V_overlayEnabled`.
    pub overlay: bool,
    /// `V2V_remoteInspection`.
    pub remote_inspection: bool,
    /// `V2V_remoteInspectDisk_N`, by N.
    pub remote_inspect_disks: Vec<String>,
    /// `LOCAL_MIGRATION`: the controller fetches the results over HTTP.
    pub local_migration: bool,
    /// `VIRTIO_WIN`, or the flag `virtio-win-legacy-drivers`.
    pub virtio_win: Option<PathBuf>,
    /// Where things are.
    pub paths: Paths,
}

/// The contract's places. Each but the last has a flag; none has a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The user name for the source.
    pub access_key: PathBuf,
    /// Its password.
    pub secret_key: PathBuf,
    /// Key files of encrypted volumes.
    pub luks_dir: PathBuf,
    /// Users' scripts.
    pub dynamic_scripts_dir: PathBuf,
    /// Links to disks, results.
    pub work_dir: PathBuf,
    /// VMware's library.
    pub vddk_lib_dir: PathBuf,
    /// Its configuration.
    pub vddk_conf_file: PathBuf,
    /// What was found in the guest.
    pub inspection_output: PathBuf,
    /// The description of an in-place conversion.
    pub libvirt_domain_file: PathBuf,
    /// What all others are below, and the disks, too: `/`, or `REFIT_POD_ROOT` in tests. No flag.
    pub root: PathBuf,
}

/// Names a directory that stands for `/`, for tests.
pub(crate) const ROOT: &str = "REFIT_POD_ROOT";

impl Paths {
    /// The contract's places below `root`, which is `/` in a pod.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self {
            access_key: root.join("etc/secret/accessKeyId"),
            secret_key: root.join("etc/secret/secretKey"),
            luks_dir: root.join("etc/luks"),
            dynamic_scripts_dir: root.join("mnt/dynamic_scripts"),
            work_dir: root.join("var/tmp/v2v"),
            vddk_lib_dir: root.join("opt/vmware-vix-disklib-distrib"),
            vddk_conf_file: root.join("mnt/vddk-conf/vddk-config-file"),
            inspection_output: root.join("var/tmp/v2v/inspection.xml"),
            libvirt_domain_file: root.join("tmp/input.xml"),
            root: root.to_owned(),
        }
    }
}

/// Flags, and the variables that they stand for; empty where there is none.
const FLAGS: &[(&str, Kind, &str)] = &[
    ("local-migration", Kind::Bool, "LOCAL_MIGRATION"),
    ("in-place", Kind::Bool, "V2V_inPlace"),
    ("overlay-enabled", Kind::Bool, "V2V_overlayEnabled"),
    ("nbde-clevis", Kind::Bool, "V2V_NBDE_CLEVIS"),
    ("source", Kind::Text, "V2V_source"),
    ("libvirt-url", Kind::Text, "V2V_libvirtURL"),
    ("fingerprint", Kind::Text, "V2V_fingerprint"),
    ("new-vm-name", Kind::Text, "V2V_NewName"),
    ("vm-name", Kind::Text, "V2V_vmName"),
    ("root-disk", Kind::Text, "V2V_RootDisk"),
    ("static-ips", Kind::Text, "V2V_staticIPs"),
    ("disk-path", Kind::Text, "V2V_diskPath"),
    ("hostname", Kind::Text, "V2V_HOSTNAME"),
    ("multiple-ips-per-nic", Kind::Text, "V2V_multipleIPsPerNic"),
    ("remote-inspection", Kind::Bool, "V2V_remoteInspection"),
    ("memsize", Kind::Int, "V2V_memSize"),
    ("smp", Kind::Int, "V2V_smp"),
    (
        "vsphere-vmware-driver-removal",
        Kind::Bool,
        "V2V_vsphereVmwareDriverRemoval",
    ),
    (
        "windows-registry-network-config",
        Kind::Bool,
        "V2V_windowsRegistryNetworkConfig",
    ),
    (
        "wait-for-guest-reboot",
        Kind::Bool,
        "V2V_waitForGuestReboot",
    ),
    ("xfs-compatibility", Kind::Bool, "V2V_xfsCompatibility"),
    ("virtio-win-legacy-drivers", Kind::Text, "VIRTIO_WIN"),
    ("access-key", Kind::Text, ""),
    ("secret-key", Kind::Text, ""),
    ("luks-dir", Kind::Text, ""),
    ("dynamic-scripts-dir", Kind::Text, ""),
    ("work-dir", Kind::Text, ""),
    ("vddk-lib-dir", Kind::Text, ""),
    ("vddk-conf-file", Kind::Text, ""),
    ("inspection-output-file", Kind::Text, ""),
    ("libvirt-domain-file", Kind::Text, ""),
];

/// Prefix of the variables that name the disks of a remote inspection.
const REMOTE_DISK: &str = "V2V_remoteInspectDisk_";

/// Variables without a flag.
const OTHERS: &[&str] = &[
    "V2V_extra_args",
    "V2V_inspector_extra_args",
    "V2V_xfsRepairIgnore",
];

/// Of the controller's variables those that are read here; the others may hold anything.
pub(crate) fn without_secrets(variables: Variables) -> Variables {
    let known = variables
        .into_iter()
        .filter(|(name, _)| name.to_str().is_some_and(is_setting));
    known
        .map(|(name, value)| match value.to_str() {
            Some(url) if name == "V2V_libvirtURL" => {
                let url = without_password(url);
                (name, url.into())
            }
            _ => (name, value),
        })
        .collect()
}

fn is_setting(name: &str) -> bool {
    name.starts_with(REMOTE_DISK)
        || OTHERS.contains(&name)
        || FLAGS.iter().any(|(_, _, variable)| *variable == name)
}

/// What the controller gave by variable, overridden by flag.
struct Values {
    env: BTreeMap<String, String>,
    flags: BTreeMap<String, String>,
}

impl Values {
    fn text(&self, flag: &str) -> &str {
        if let Some(value) = self.flags.get(flag) {
            return value;
        }
        FLAGS
            .iter()
            .find(|(name, _, _)| *name == flag)
            .and_then(|(_, _, variable)| self.env.get(*variable))
            .map_or("", String::as_str)
    }

    fn optional(&self, flag: &str) -> Option<String> {
        Some(self.text(flag).to_owned()).filter(|text| !text.is_empty())
    }

    /// A value that cannot be parsed counts as none.
    fn bool(&self, flag: &str, default: bool) -> bool {
        parse_bool(self.text(flag)).unwrap_or(default)
    }

    fn env_bool(&self, variable: &str, default: bool) -> bool {
        self.env
            .get(variable)
            .and_then(|text| parse_bool(text))
            .unwrap_or(default)
    }

    /// 0 and what cannot be parsed count as none.
    fn number(&self, flag: &str) -> Option<u32> {
        self.text(flag).parse().ok().filter(|&number| number > 0)
    }

    fn json_list(&self, variable: &str) -> Vec<String> {
        self.env
            .get(variable)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }
}

impl Settings {
    /// Reads environment and arguments (without the program's name). Variables that are not known are
    /// none of ours; nothing in the environment is an error.
    ///
    /// # Errors
    /// If the arguments are wrong, in which case the contract's exit code is 2.
    pub fn read(
        env: impl IntoIterator<Item = (String, String)>,
        args: impl IntoIterator<Item = String>,
    ) -> Result<Self, FlagError> {
        let known: Vec<(&str, Kind)> = FLAGS.iter().map(|(name, kind, _)| (*name, *kind)).collect();
        let values = Values {
            env: env.into_iter().collect(),
            flags: goflag::parse(args, &known)?,
        };
        let path =
            |flag: &str, default: PathBuf| values.optional(flag).map_or(default, PathBuf::from);
        let root = values.env.get(ROOT).map_or("/", String::as_str);
        let places = Paths::below(Path::new(root));
        let mut remote_disks: Vec<(u64, &String)> = values
            .env
            .iter()
            .filter_map(|(name, value)| {
                Some((name.strip_prefix(REMOTE_DISK)?.parse().ok()?, value))
            })
            .collect();
        remote_disks.sort();
        let libvirt_url = without_password(values.text("libvirt-url"));
        Ok(Self {
            source: match values.text("source") {
                "vSphere" => Some(Source::VSphere),
                "ova" => Some(Source::Ova),
                "hyperv" => Some(Source::HyperV),
                "ec2" => Some(Source::Ec2),
                _ => None,
            },
            source_name: values.text("source").to_owned(),
            vm_name: values.text("vm-name").to_owned(),
            new_name: values.optional("new-vm-name"),
            has_password_in_url: libvirt_url != values.text("libvirt-url"),
            libvirt_url,
            fingerprint: values.text("fingerprint").to_owned(),
            in_place: values.bool("in-place", false),
            extra_args: values.json_list("V2V_extra_args"),
            inspector_extra_args: values.json_list("V2V_inspector_extra_args"),
            root_disk: values.optional("root-disk"),
            static_ips: values.optional("static-ips"),
            multiple_ips_per_nic: values.optional("multiple-ips-per-nic").is_some(),
            hostname: values.optional("hostname"),
            disk_path: values.text("disk-path").to_owned(),
            nbde_clevis: values.bool("nbde-clevis", false),
            memsize_mb: values.number("memsize"),
            smp: values.number("smp"),
            wait_for_guest_reboot: values.bool("wait-for-guest-reboot", false),
            vmware_driver_removal: values.bool("vsphere-vmware-driver-removal", false),
            windows_registry_network: values.bool("windows-registry-network-config", false),
            xfs_compatibility: values.bool("xfs-compatibility", false),
            xfs_repair_ignore: values.env_bool("V2V_xfsRepairIgnore", false),
            overlay: values.bool("overlay-enabled", true),
            remote_inspection: values.bool("remote-inspection", false),
            remote_inspect_disks: remote_disks
                .into_iter()
                .map(|(_, disk)| disk.clone())
                .collect(),
            local_migration: values.bool("local-migration", true),
            virtio_win: values
                .optional("virtio-win-legacy-drivers")
                .map(PathBuf::from),
            paths: Paths {
                access_key: path("access-key", places.access_key),
                secret_key: path("secret-key", places.secret_key),
                luks_dir: path("luks-dir", places.luks_dir),
                dynamic_scripts_dir: path("dynamic-scripts-dir", places.dynamic_scripts_dir),
                work_dir: path("work-dir", places.work_dir),
                vddk_lib_dir: path("vddk-lib-dir", places.vddk_lib_dir),
                vddk_conf_file: path("vddk-conf-file", places.vddk_conf_file),
                inspection_output: path("inspection-output-file", places.inspection_output),
                libvirt_domain_file: path("libvirt-domain-file", places.libvirt_domain_file),
                root: places.root,
            },
        })
    }

    /// Whether what the mode needs is there. An in-place conversion needs nothing.
    ///
    /// # Errors
    /// What is missing, in the variables' names.
    pub fn check(&self) -> anyhow::Result<()> {
        use anyhow::ensure;
        if self.in_place {
            return Ok(());
        }
        let has = |name: &str, value: &str| -> anyhow::Result<()> {
            ensure!(
                !value.is_empty(),
                "{name} is not set, which a conversion from {:?} needs",
                self.source_name
            );
            Ok(())
        };
        match self.source {
            Some(Source::VSphere) => {
                has("V2V_libvirtURL", &self.libvirt_url)?;
                has("V2V_vmName", &self.vm_name)?;
                ensure!(
                    self.virtio_win.is_some() || self.paths.secret_key.is_file(),
                    "{}: the file with the source's password is not there; is the secret mounted?",
                    self.paths.secret_key.display()
                );
            }
            Some(Source::Ova | Source::HyperV) => {
                has("V2V_diskPath", &self.disk_path)?;
                has("V2V_vmName", &self.vm_name)?;
            }
            Some(Source::Ec2) => anyhow::bail!(
                "V2V_source is ec2, whose disks are converted in place alone: V2V_inPlace must be 1"
            ),
            None => anyhow::bail!(
                "V2V_source is {:?}; it must be vSphere, ova or hyperv, or V2V_inPlace must be 1",
                self.source_name
            ),
        }
        Ok(())
    }

    /// The name that the guest has on the target.
    #[must_use]
    pub fn target_name(&self) -> &str {
        self.new_name.as_deref().unwrap_or(&self.vm_name)
    }
}

/// A URL without what stands behind a colon in its user information (RFC 3986, 3.2.1).
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}{path}")
        }
        _ => url.to_owned(),
    }
}

/// Little: the rest may be anything.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("source", &self.source_name)
            .field("vm_name", &self.vm_name)
            .field("in_place", &self.in_place)
            .field("remote_inspection", &self.remote_inspection)
            .field("local_migration", &self.local_migration)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(env: &[(&str, &str)], args: &[&str]) -> Settings {
        let env = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Settings::read(env, args.iter().map(|arg| (*arg).to_owned())).unwrap()
    }

    #[test]
    fn a_password_in_the_url_is_left_out() {
        for (given, kept) in [
            (
                "vpx://admin:geheim@vc/DC/h?no_verify=1",
                "vpx://admin@vc/DC/h?no_verify=1",
            ),
            (
                "vpx://ad%40min:a:b@[fd00::1]:443/DC",
                "vpx://ad%40min@[fd00::1]:443/DC",
            ),
            ("esx://root:a@b@h", "esx://root@h"),
            (
                "vpx://admin@[fd00::1]/DC:a@b",
                "vpx://admin@[fd00::1]/DC:a@b",
            ),
            ("test:///default", "test:///default"),
            ("", ""),
        ] {
            let settings = read(&[("V2V_libvirtURL", given)], &[]);
            assert_eq!(settings.libvirt_url, kept);
            assert_eq!(settings.has_password_in_url, given != kept);
        }
    }

    #[test]
    fn nothing_given_means_the_contracts_defaults() {
        let settings = read(&[], &[]);
        assert!(settings.local_migration && settings.overlay);
        assert!(!settings.in_place && !settings.nbde_clevis && !settings.remote_inspection);
        assert_eq!(settings.paths, Paths::below(Path::new("/")));
        assert_eq!(settings.source, None);
        assert!(settings.check().is_err());
    }

    #[test]
    fn variables_are_read_as_go_does() {
        let settings = read(
            &[
                ("V2V_source", "vSphere"),
                ("V2V_inPlace", "1"),
                ("LOCAL_MIGRATION", "nonsense"),
                ("V2V_overlayEnabled", "F"),
                ("V2V_memSize", "4096"),
                ("V2V_smp", "four"),
                ("V2V_extra_args", r#"["-oa","sparse"]"#),
                ("V2V_inspector_extra_args", "not json"),
                ("V2V_multipleIPsPerNic", "true"),
                ("V2V_remoteInspectDisk_10", "k"),
                ("V2V_remoteInspectDisk_2", "c"),
                ("V2V_remoteInspectDisk_x", "?"),
                ("V2V_unknown", "1"),
            ],
            &[],
        );
        assert_eq!(settings.source, Some(Source::VSphere));
        assert!(settings.in_place && settings.local_migration && !settings.overlay);
        assert_eq!((settings.memsize_mb, settings.smp), (Some(4096), None));
        assert_eq!(settings.extra_args, ["-oa", "sparse"]);
        assert!(settings.inspector_extra_args.is_empty());
        assert!(settings.multiple_ips_per_nic);
        assert_eq!(settings.remote_inspect_disks, ["c", "k"], "by number");
        settings.check().unwrap();
    }

    #[test]
    fn a_flag_wins_over_its_variable() {
        let settings = read(
            &[("V2V_source", "ova"), ("V2V_vmName", "old")],
            &[
                "--vm-name",
                "new",
                "-work-dir=/w",
                "-disk-path",
                "/ova/a.ova",
            ],
        );
        assert_eq!(settings.vm_name, "new");
        assert_eq!(settings.paths.work_dir, PathBuf::from("/w"));
        settings.check().unwrap();
    }

    #[test]
    fn what_a_mode_lacks_is_said_by_name() {
        for (env, missing) in [
            (vec![("V2V_source", "vsphere")], "\"vsphere\""),
            (vec![("V2V_source", "vSphere")], "V2V_libvirtURL"),
            (vec![("V2V_source", "ova")], "V2V_diskPath"),
            (
                vec![("V2V_source", "hyperv"), ("V2V_diskPath", "/d")],
                "V2V_vmName",
            ),
            (vec![("V2V_source", "ec2")], "V2V_inPlace"),
        ] {
            let error = read(&env, &[]).check().unwrap_err().to_string();
            assert!(error.contains(missing), "{env:?}: {error}");
        }
    }

    #[test]
    fn debug_output_has_no_secrets() {
        let settings = read(
            &[
                ("V2V_libvirtURL", "vpx://user:hunter2@vcenter/dc"),
                ("V2V_secretKey", "hunter2"),
            ],
            &[],
        );
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
