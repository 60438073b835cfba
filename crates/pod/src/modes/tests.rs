//! The contract's table of command lines, and where ours differ.

use std::path::PathBuf;

use refit_v2v::{Capabilities, Input};

use super::*;

/// A pod with these files, and these variables.
struct Pod {
    root: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Pod {
    fn new(files: &[&str], env: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "secret").unwrap();
        }
        let mut env: Vec<(String, String)> = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        env.push((
            "REFIT_POD_ROOT".to_owned(),
            root.path().display().to_string(),
        ));
        Self { root, env }
    }

    fn settings(&self) -> Settings {
        Settings::read(self.env.clone(), []).unwrap()
    }

    /// The line with the places as they are in a pod.
    fn shown(&self, line: Vec<OsString>) -> String {
        let words: Vec<String> = line
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let root = self.root.path().display().to_string();
        words.join(" ").replace(&root, "")
    }
}

/// virt-v2v 2.12, which has all options.
fn current() -> Capabilities {
    Capabilities::with_options(
        "2.12.0",
        &["output:kubevirt", "input:disk", "customize-ops"],
        &["--memsize", "--smp", "--no-fstrim", "--hostname"],
    )
}

/// Debian 12's.
fn old() -> Capabilities {
    Capabilities::with_options("2.2.0", &["output:local"], &[])
}

const VSPHERE: &[(&str, &str)] = &[
    ("V2V_source", "vSphere"),
    ("V2V_vmName", "Web 1"),
    ("V2V_libvirtURL", "esx://root@esx?no_verify=1"),
    ("V2V_fingerprint", "AA:BB"),
];

fn with<'e>(base: &[(&'e str, &'e str)], more: &[(&'e str, &'e str)]) -> Vec<(&'e str, &'e str)> {
    [base, more].concat()
}

#[test]
fn copying_from_vsphere() {
    let vddk = "opt/vmware-vix-disklib-distrib/lib64/libvixDiskLib.so";
    let conf = "mnt/vddk-conf/vddk-config-file";
    for (files, env, expected) in [
        (
            vec![],
            with(VSPHERE, &[]),
            "-v -x -o kubevirt -os /var/tmp/v2v -i libvirt -ic esx://root@esx?no_verify=1 \
             -ip /etc/secret/secretKey --root first -- Web 1",
        ),
        (
            vec!["etc/luks/..data/a", "etc/luks/b", "etc/luks/a"],
            with(
                VSPHERE,
                &[
                    ("V2V_NewName", "web-1"),
                    ("V2V_HOSTNAME", "web"),
                    ("V2V_RootDisk", "/dev/sdb"),
                    ("V2V_memSize", "4096"),
                    ("V2V_smp", "2"),
                    (
                        "V2V_staticIPs",
                        "00:50:56:AA:bb:01:ip:1.2.3.4,,24_00:50:56:aa:bb:02:ip:fe::1,,64,f::2",
                    ),
                    ("V2V_extra_args", r#"["--a","b c"]"#),
                ],
            ),
            "-v -x -o kubevirt -os /var/tmp/v2v -on web-1 -i libvirt -ic esx://root@esx?no_verify=1 \
             -ip /etc/secret/secretKey --hostname web --root /dev/sdb --memsize 4096 --smp 2 \
             --mac 00:50:56:AA:bb:01:ip:1.2.3.4,,24 --mac 00:50:56:aa:bb:02:ip:fe::1,,64,f::2 \
             --key all:file:/etc/luks/a --key all:file:/etc/luks/b --a b c -- Web 1",
        ),
        (
            vec![vddk, conf],
            with(VSPHERE, &[("V2V_NBDE_CLEVIS", "true")]),
            "-v -x -o kubevirt -os /var/tmp/v2v -i libvirt -ic esx://root@esx?no_verify=1 \
             -ip /etc/secret/secretKey --root first --key all:clevis -it vddk \
             -io vddk-libdir=/opt/vmware-vix-disklib-distrib -io vddk-thumbprint=AA:BB \
             -io vddk-config=/mnt/vddk-conf/vddk-config-file -- Web 1",
        ),
        (
            vec![vddk, conf],
            with(VSPHERE, &[("V2V_extra_args", r#"["--x"]"#)]),
            "-v -x -o kubevirt -os /var/tmp/v2v -i libvirt -ic esx://root@esx?no_verify=1 \
             -ip /etc/secret/secretKey --root first --x -it vddk \
             -io vddk-libdir=/opt/vmware-vix-disklib-distrib -io vddk-thumbprint=AA:BB -- Web 1",
        ),
        (
            vec![vddk],
            with(VSPHERE, &[("V2V_extra_args", "nonsense")]),
            "-v -x -o kubevirt -os /var/tmp/v2v -i libvirt -ic esx://root@esx?no_verify=1 \
             -ip /etc/secret/secretKey --root first -it vddk \
             -io vddk-libdir=/opt/vmware-vix-disklib-distrib -io vddk-thumbprint=AA:BB -- Web 1",
        ),
    ] {
        let pod = Pod::new(&files, &env);
        let settings = pod.settings();
        let keys = crate::keys::Keys::read(&settings).unwrap().v2v;
        let line = vsphere_options(&settings, &keys)
            .command_line(&current())
            .unwrap();
        assert_eq!(pod.shown(line), expected);
    }
}

#[test]
fn copying_from_an_ova_and_from_hyper_v() {
    let ova = [
        ("V2V_source", "ova"),
        ("V2V_vmName", "web1"),
        ("V2V_diskPath", "/ova/a.ova"),
    ];
    let hyperv = [
        ("V2V_source", "hyperv"),
        ("V2V_vmName", "web1"),
        ("V2V_diskPath", "/hyperv/a.vhdx, /hyperv/b.vhdx,"),
        ("V2V_extra_args", r#"["--x"]"#),
        ("V2V_HOSTNAME", "h"),
    ];
    let pod = Pod::new(&[], &ova);
    let line = |pod: &Pod, capabilities: &Capabilities| {
        let input = Input::Ova(PathBuf::from("/ova/a.ova"));
        let options = ova_options(&pod.settings(), &[], input);
        pod.shown(options.command_line(capabilities).unwrap())
    };
    // The contract's has no -on without a new name, and no --root.
    assert_eq!(
        line(&pod, &current()),
        "-v -x -o kubevirt -os /var/tmp/v2v -on web1 -i ova --root first /ova/a.ova"
    );
    assert_eq!(
        line(&pod, &old()),
        "-v -x -o local -os /var/tmp/v2v -of raw -on web1 -i ova --root first /ova/a.ova"
    );
    for (more, name) in [(vec![], "web1"), (vec![("V2V_NewName", "new")], "new")] {
        let pod = Pod::new(&[], &with(&hyperv, &more));
        let line = hyperv_options(&pod.settings(), &[])
            .command_line(&current())
            .unwrap();
        assert_eq!(
            pod.shown(line),
            format!(
                "-v -x -o kubevirt -os /var/tmp/v2v -on {name} -i disk --root first \
                 /hyperv/a.vhdx /hyperv/b.vhdx"
            )
        );
    }
}

#[test]
fn in_place() {
    let env = [
        ("V2V_source", "ec2"),
        ("V2V_vmName", "web1"),
        ("V2V_inPlace", "1"),
        ("V2V_extra_args", r#"["--x"]"#),
    ];
    let links = || vec!["/w/web1-sda".into(), "/w/web1-sdb".into()];
    for (more, capabilities, overlays, expected) in [
        (
            vec![],
            current(),
            true,
            "-v -x -i disk --root first --no-fstrim --x /w/web1-sda /w/web1-sdb",
        ),
        (
            vec![],
            old(),
            true,
            "-v -x -i disk --root first --x /w/web1-sda /w/web1-sdb",
        ),
        // A guest could write a header of another format into its raw disk.
        (
            vec![("V2V_xfsCompatibility", "true")],
            current(),
            false,
            "-v -x -i disk -if raw --root first --x /w/web1-sda /w/web1-sdb",
        ),
    ] {
        let pod = Pod::new(&[], &with(&env, &more));
        let options = disks_options(&pod.settings(), &[], links(), overlays);
        assert_eq!(
            pod.shown(options.command_line(&capabilities).unwrap()),
            expected
        );
    }
    let pod = Pod::new(&[], &env);
    let options = domain_options(&pod.settings(), &[], Path::new("/tmp/input.xml"));
    assert_eq!(
        pod.shown(options.command_line(&current()).unwrap()),
        "-v -x -i libvirtxml --root first --no-fstrim --x /tmp/input.xml"
    );
}

#[test]
fn remote_inspection() {
    let env = with(
        VSPHERE,
        &[
            ("V2V_remoteInspection", "true"),
            ("V2V_remoteInspectDisk_10", "[ds] c.vmdk"),
            ("V2V_remoteInspectDisk_2", "[ds] b.vmdk"),
            ("V2V_HOSTNAME", "h"),
            ("V2V_inspector_extra_args", r#"["--x"]"#),
        ],
    );
    let pod = Pod::new(&["opt/vmware-vix-disklib-distrib/x"], &env);
    let line = remote_options(&pod.settings(), &[])
        .command_line(&current())
        .unwrap();
    // The contract's has extra arguments behind the name, where they are positional.
    assert_eq!(
        pod.shown(line),
        "-v -x -io vddk-file=[ds] b.vmdk -io vddk-file=[ds] c.vmdk -i libvirt \
         -ic esx://root@esx?no_verify=1 -ip /etc/secret/secretKey --hostname h --root first -it vddk \
         -io vddk-libdir=/opt/vmware-vix-disklib-distrib -io vddk-thumbprint=AA:BB --no-fstrim --x -- Web 1"
    );
}
