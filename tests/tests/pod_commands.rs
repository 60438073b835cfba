//! `refit pod` from outside, where the source would be a vCenter: what it starts, says, leaves behind, and
//! how it ends, with stand-ins for virt-v2v that record it.
//!
//! The command lines are those of the image that it replaces; where one of them is known to be wrong, the
//! case says so and has the right one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use refit_tests::{
    Controller, Loop, Pod, PodSpec, Provider, Started, must, root, started, system_disk_with,
};

const LIMIT: Duration = Duration::from_secs(300);
const TOOLS: [&str; 4] = [
    "virt-v2v",
    "virt-v2v-in-place",
    "virt-v2v-inspector",
    "virsh",
];
const URL: &str = "vpx://admin@vcenter.example.com/DC/host/esx1.example.com?no_verify=1";
const FINGERPRINT: &str = "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD";
const FAILURE: &str = "libguestfs error: the stand-in was told to fail";

/// What nobody may find anywhere: each arrives in a file or a variable.
const SECRETS: [&str; 5] = [
    "hunter2-password",
    "hunter2-user",
    "hunter2-certificate",
    "hunter2-other-key",
    "hunter2-passphrase",
];

/// A pod with stand-ins, its secrets, and variables that it does not know.
fn pod() -> PodSpec {
    let mut pod = PodSpec::new().unwrap();
    pod.stand_ins(&TOOLS).unwrap();
    pod.volume(
        "/etc/secret",
        &[
            ("accessKeyId", SECRETS[1]),
            ("secretKey", SECRETS[0]),
            ("cacert", SECRETS[2]),
        ],
    )
    .unwrap();
    pod.env("V2V_secretKey", SECRETS[0])
        .env("V2V_accessKeyId", SECRETS[1])
        .env("V2V_cacert", SECRETS[2])
        .env("V2V_anything", SECRETS[3])
        .env("V2V_preserveStaticIPs", "true")
        .env("V2V_firmware", "uefi")
        .env("SOMETHING_ELSE", "1");
    pod
}

fn blank_disk(pod: &mut PodSpec, number: u32) {
    let disk = pod.disk(number).unwrap();
    File::create(disk).unwrap().set_len(64 << 20).unwrap();
}

/// Looks for the secrets wherever they could be found. `allowed` are names of starts that need one.
fn assert_discreet(pod: &Pod, runs: &[Started]) {
    let log = pod.log();
    for secret in SECRETS {
        assert!(!log.contains(secret), "{secret} in the log: {log}");
        assert!(!pod.termination_message().contains(secret));
        for run in runs {
            assert!(!run.line().contains(secret), "{secret} in {run:?}");
            for (name, value) in &run.environment {
                assert!(
                    !value.contains(secret),
                    "{name} is passed to {}",
                    run.argv[0]
                );
            }
        }
        for (path, bytes) in pod.left_behind().unwrap() {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(secret), "{secret} in {}", path.display());
        }
    }
}

/// One mode, and what is started for it.
struct Case {
    name: &'static str,
    set_up: fn(&mut PodSpec),
    /// All starts but virsh's, each split at spaces.
    expected: &'static str,
}

fn vsphere(pod: &mut PodSpec) {
    blank_disk(pod, 0);
    pod.env("V2V_source", "vSphere")
        .env("V2V_vmName", "web1")
        .env("V2V_libvirtURL", URL)
        .env("V2V_fingerprint", FINGERPRINT);
}

/// VMware's library and its configuration.
fn vddk(pod: &mut PodSpec) {
    let opt = pod.path().join("opt");
    fs::create_dir_all(opt.join("vmware-vix-disklib-distrib/lib64")).unwrap();
    pod.bind(&opt, "/opt");
    pod.volume("/mnt/vddk-conf", &[("vddk-config-file", "x=1\n")])
        .unwrap();
}

fn luks(pod: &mut PodSpec) {
    pod.volume("/etc/luks", &[("key0", SECRETS[4]), ("key1", SECRETS[4])])
        .unwrap();
}

const CASES: &[Case] = &[
    Case {
        name: "vSphere, nothing optional",
        set_up: vsphere,
        expected: "virt-v2v -v -x -o kubevirt -os /var/tmp/v2v -i libvirt \
                   -ic vpx://admin@vcenter.example.com/DC/host/esx1.example.com?no_verify=1 \
                   -ip /etc/secret/secretKey --root first -- web1",
    },
    Case {
        name: "vSphere, everything optional",
        set_up: |pod| {
            vsphere(pod);
            luks(pod);
            pod.env("V2V_NewName", "web-1")
                .env("V2V_HOSTNAME", "web1.example.com")
                .env("V2V_RootDisk", "/dev/sdb")
                .env("V2V_memSize", "4096")
                .env("V2V_smp", "2")
                .env(
                    "V2V_staticIPs",
                    "00:50:56:aa:bb:01:ip:192.0.2.10,192.0.2.1,24,192.0.2.53_00:50:56:aa:bb:01:ip:2001:db8::5,,64",
                )
                .env("V2V_extra_args", r#"["-oa","sparse"]"#);
        },
        expected: "virt-v2v -v -x -o kubevirt -os /var/tmp/v2v -on web-1 -i libvirt \
                   -ic vpx://admin@vcenter.example.com/DC/host/esx1.example.com?no_verify=1 \
                   -ip /etc/secret/secretKey --hostname web1.example.com --root /dev/sdb --memsize 4096 --smp 2 \
                   --mac 00:50:56:aa:bb:01:ip:192.0.2.10,192.0.2.1,24,192.0.2.53 \
                   --mac 00:50:56:aa:bb:01:ip:2001:db8::5,,64 \
                   --key all:file:/etc/luks/key0 --key all:file:/etc/luks/key1 -oa sparse -- web1",
    },
    Case {
        name: "vSphere, VDDK",
        set_up: |pod| {
            vsphere(pod);
            vddk(pod);
            pod.env("V2V_extra_args", "no json");
        },
        expected: "virt-v2v -v -x -o kubevirt -os /var/tmp/v2v -i libvirt \
                   -ic vpx://admin@vcenter.example.com/DC/host/esx1.example.com?no_verify=1 \
                   -ip /etc/secret/secretKey --root first \
                   -it vddk -io vddk-libdir=/opt/vmware-vix-disklib-distrib \
                   -io vddk-thumbprint=AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD \
                   -io vddk-config=/mnt/vddk-conf/vddk-config-file -- web1",
    },
    Case {
        name: "vSphere, VDDK: extra arguments are instead of its configuration",
        set_up: |pod| {
            vsphere(pod);
            vddk(pod);
            luks(pod);
            pod.env("V2V_extra_args", r#"["--parallel=2"]"#)
                .env("V2V_NBDE_CLEVIS", "true");
        },
        expected: "virt-v2v -v -x -o kubevirt -os /var/tmp/v2v -i libvirt \
                   -ic vpx://admin@vcenter.example.com/DC/host/esx1.example.com?no_verify=1 \
                   -ip /etc/secret/secretKey --root first --key all:clevis --parallel=2 \
                   -it vddk -io vddk-libdir=/opt/vmware-vix-disklib-distrib \
                   -io vddk-thumbprint=AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD -- web1",
    },
    Case {
        name: "Hyper-V",
        set_up: |pod| {
            blank_disk(pod, 0);
            blank_disk(pod, 1);
            for name in ["a.vhdx", "b.vhdx"] {
                let made = pod.path().join(name);
                must(
                    Command::new("qemu-img")
                        .args(["create", "-q", "-f", "vhdx"])
                        .arg(&made)
                        .arg("64M"),
                )
                .unwrap();
                pod.bind(&made, &format!("/hyperv/{name}"));
            }
            pod.env("V2V_source", "hyperv")
                .env("V2V_vmName", "web1")
                .env("V2V_diskPath", "/hyperv/a.vhdx, /hyperv/b.vhdx")
                .env("V2V_HOSTNAME", "not.used")
                .env("V2V_extra_args", r#"["--not-used"]"#)
                .env(
                    "V2V_staticIPs",
                    "00:15:5D:00:00:01:ip:192.0.2.10,192.0.2.1,24",
                );
        },
        expected: "virt-v2v -v -x -o kubevirt -os /var/tmp/v2v -on web1 -i disk --root first \
                   --mac 00:15:5D:00:00:01:ip:192.0.2.10,192.0.2.1,24 /hyperv/a.vhdx /hyperv/b.vhdx",
    },
    // Forklift gives no root, keys or addresses here, and the name only if it is a new one: virt-v2v then takes the
    // appliance's own and writes beside the links.
    Case {
        name: "OVA",
        set_up: |pod| {
            blank_disk(pod, 0);
            let ova = pod.path().join("web1.ova");
            must(
                Command::new(root().join("tests/guests/ova.sh"))
                    .arg(pod.path().join("disk0/disk.img"))
                    .arg(&ova)
                    .args(["--name", "Appliance"]),
            )
            .unwrap();
            pod.bind(&ova, "/ova/web1.ova")
                .env("V2V_source", "ova")
                .env("V2V_vmName", "web1")
                .env("V2V_diskPath", "/ova/web1.ova")
                .env("V2V_memSize", "2048");
        },
        expected: "virt-v2v -v -x -o kubevirt -os /var/tmp/v2v -on web1 -i ova --root first --memsize 2048 \
                   /ova/web1.ova",
    },
    // Forklift's lets virt-v2v guess the format, which a guest could deceive.
    Case {
        name: "in place, disks, without overlays",
        set_up: |pod| {
            blank_disk(pod, 0);
            pod.env("V2V_source", "ec2")
                .env("V2V_vmName", "web1")
                .env("V2V_inPlace", "1")
                .env("V2V_overlayEnabled", "false");
        },
        expected: "virt-v2v-in-place -v -x -i disk -if raw --root first /var/tmp/v2v/web1-sda",
    },
    Case {
        name: "in place, disks",
        set_up: |pod| {
            blank_disk(pod, 0);
            blank_disk(pod, 1);
            pod.env("V2V_source", "ec2")
                .env("V2V_vmName", "web1")
                .env("V2V_inPlace", "1")
                .env("V2V_extra_args", r#"["-oa","sparse"]"#);
        },
        expected: "virt-v2v-in-place -v -x -i disk --root first -oa sparse \
                   /var/tmp/v2v/web1-sda /var/tmp/v2v/web1-sdb",
    },
    Case {
        name: "in place, disks, a tool that can leave out trimming",
        set_up: |pod| {
            blank_disk(pod, 0);
            fs::write(pod.path().join("stand-ins/options"), "no-fstrim").unwrap();
            pod.env("V2V_source", "ec2")
                .env("V2V_vmName", "web1")
                .env("V2V_inPlace", "1");
        },
        expected: "virt-v2v-in-place -v -x -i disk --root first --no-fstrim /var/tmp/v2v/web1-sda",
    },
    Case {
        name: "in place, disks, for old XFS",
        set_up: |pod| {
            blank_disk(pod, 0);
            fs::write(pod.path().join("stand-ins/options"), "no-fstrim").unwrap();
            pod.env("V2V_source", "ec2")
                .env("V2V_vmName", "web1")
                .env("V2V_inPlace", "1")
                .env("V2V_xfsCompatibility", "true");
        },
        expected: "virt-v2v-in-place -v -x -i disk --root first /var/tmp/v2v/web1-sda",
    },
    Case {
        name: "in place, libvirt",
        set_up: |pod| {
            vsphere(pod);
            blank_disk(pod, 1);
            fs::write(pod.path().join("stand-ins/domain.xml"), DOMAIN).unwrap();
            pod.env("V2V_inPlace", "1");
        },
        expected: "virt-v2v-in-place -v -x -i libvirtxml --root first /tmp/input.xml",
    },
    // Forklift puts the extra arguments behind "--", where they are names of guests.
    Case {
        name: "remote inspection",
        set_up: |pod| {
            vsphere(pod);
            vddk(pod);
            pod.env("V2V_remoteInspection", "true")
                .env("V2V_remoteInspectDisk_10", "[ds] web1/web1_10.vmdk")
                .env("V2V_remoteInspectDisk_2", "[ds] web1/web1_2.vmdk")
                .env("V2V_inspector_extra_args", r#"["--extra"]"#)
                .env("V2V_extra_args", r#"["--not-used"]"#)
                .env("V2V_HOSTNAME", "web1.example.com");
        },
        expected: "virt-v2v-inspector -v -x -io vddk-file=[ds]·web1/web1_2.vmdk \
                   -io vddk-file=[ds]·web1/web1_10.vmdk -i libvirt \
                   -ic vpx://admin@vcenter.example.com/DC/host/esx1.example.com?no_verify=1 \
                   -ip /etc/secret/secretKey --hostname web1.example.com --root first \
                   -it vddk -io vddk-libdir=/opt/vmware-vix-disklib-distrib \
                   -io vddk-thumbprint=AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD \
                   -io vddk-config=/mnt/vddk-conf/vddk-config-file --extra -- web1",
    },
];

const DOMAIN: &str = "<domain type='vmware' xmlns:vmware='http://libvirt.org/schemas/domain/vmware/1.0'>\
    <name>web1</name><memory unit='KiB'>1048576</memory><vcpu>1</vcpu><os><type arch='x86_64'>hvm</type></os>\
    <devices>\
    <disk type='file' device='cdrom'><source file='/vmimages/tools.iso'/><target dev='hda' bus='ide'/></disk>\
    <disk type='file' device='disk'><source file='[ds] web1/web1.vmdk'/><target dev='sda' bus='scsi'/></disk>\
    <disk type='file' device='disk'><source file='[ds] web1/web1_1.vmdk'/><target dev='sdb' bus='scsi'/></disk>\
    <interface type='bridge'><mac address='00:50:56:aa:bb:01'/><source bridge='VM Network'/>\
    <model type='vmxnet3'/></interface></devices></domain>";

/// Each fails in virt-v2v, so that nothing follows.
#[test]
fn command_lines_are_the_contracts() {
    let mut wrong = Vec::new();
    for case in CASES {
        let mut spec = pod();
        (case.set_up)(&mut spec);
        let disk = spec.path().join("disk0/disk.img");
        let before = sha256(&disk);
        fs::write(spec.path().join("stand-ins/fail"), FAILURE).unwrap();
        let mut pod = spec.start().unwrap();
        // Nothing answers: the controller must never see half a result.
        let controller = Controller {
            provider: Provider::VSphere,
            transfers: true,
            disks: 2,
            look_at: Vec::new(),
        };
        let migration = controller.migrate(&mut pod).unwrap();
        let log = pod.log();
        assert_eq!(migration.exit, 1, "{}: {log}", case.name);
        assert!(!migration.fetched && migration.progress.is_empty());
        let runs = started(&pod.path().join("stand-ins")).unwrap();
        let lines: Vec<String> = runs
            .iter()
            .filter(|run| run.argv[0] != "virsh")
            .map(|run| {
                run.argv
                    .iter()
                    .map(|word| word.replace(' ', "·"))
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        if lines != [case.expected] {
            wrong.push(format!(
                "{}\n  is     {lines:#?}\n  not    {}\n{log}",
                case.name, case.expected
            ));
            continue;
        }
        // The reason is the last line, and the termination message.
        let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap();
        assert!(
            last.contains("the stand-in was told to fail"),
            "{}: {log}",
            case.name
        );
        assert!(
            pod.termination_message()
                .contains("the stand-in was told to fail")
        );
        assert_discreet(&pod, &runs);
        assert_eq!(sha256(&disk), before, "{}", case.name);
        if let Some(domain) = runs.iter().find_map(|run| run.domain.as_deref()) {
            for (old, new) in [
                ("[ds] web1/web1.vmdk", "web1-sda"),
                ("[ds] web1/web1_1.vmdk", "web1-sdb"),
            ] {
                assert!(!domain.contains(old) && domain.contains(new), "{domain}");
            }
            assert!(
                domain.contains("00:50:56:aa:bb:01") && domain.contains("qcow2"),
                "{domain}"
            );
            let virsh: Vec<&Started> = runs.iter().filter(|run| run.argv[0] == "virsh").collect();
            assert_eq!(virsh.len(), 1, "{virsh:?}");
            assert!(virsh[0].line().contains(URL) && virsh[0].line().contains("dumpxml"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

fn sha256(path: &Path) -> String {
    must(Command::new("sha256sum").arg(path)).unwrap()
}

/// Thirty volumes with file systems, two block devices among them, of which one answers late.
#[test]
fn many_disks_keep_their_order_and_late_ones_are_waited_for() {
    let mut spec = pod();
    let numbers: Vec<u32> = (0..30).collect();
    let [early, late] = [7, 28].map(|number| {
        let file = spec.path().join(format!("block{number}.img"));
        File::create(&file).unwrap().set_len(64 << 20).unwrap();
        Loop::attach(&file).unwrap()
    });
    for &number in numbers.iter().filter(|number| ![7, 28].contains(*number)) {
        blank_disk(&mut spec, number);
    }
    spec.device(7, &early.numbers().unwrap());
    // Nothing has this number: "No such device or address".
    spec.device(28, "240:77");
    spec.env("V2V_source", "ec2")
        .env("V2V_vmName", "Web 1")
        .env("V2V_NewName", "web-1")
        .env("V2V_inPlace", "1");
    fs::write(spec.path().join("stand-ins/fail"), FAILURE).unwrap();
    let mut pod = spec.start().unwrap();
    pod.wait_for("block28", LIMIT).unwrap();
    assert!(started(&pod.path().join("stand-ins")).unwrap().is_empty());
    pod.replace_device(28, &late.numbers().unwrap()).unwrap();
    assert_eq!(pod.end(LIMIT).unwrap(), 1);
    let runs = started(&pod.path().join("stand-ins")).unwrap();
    assert_eq!(runs.len(), 1, "{}", pod.log());
    let letters = |number: u32| match number {
        0..26 => char::from(b'a' + number as u8).to_string(),
        _ => format!("a{}", char::from(b'a' + (number - 26) as u8)),
    };
    let expected: Vec<String> = numbers
        .iter()
        .map(|&number| format!("/var/tmp/v2v/web-1-sd{}", letters(number)))
        .collect();
    let disks: Vec<&String> = runs[0]
        .argv
        .iter()
        .filter(|word| word.starts_with('/'))
        .collect();
    assert_eq!(disks, expected.iter().collect::<Vec<_>>());
}

#[test]
fn command_line_and_environment_are_read_as_go_reads_them() {
    // What the controller gets wrong ends with 1, what a person types wrong with 2.
    for (arguments, environment, code, said) in [
        (
            &["--bogus"][..],
            &[][..],
            2,
            "flag provided but not defined: -bogus",
        ),
        (&["-memsize", "many"], &[], 2, "memsize"),
        (&["-in-place=maybe"], &[], 2, "in-place"),
        (
            &[],
            &[("V2V_source", "vsphere"), ("V2V_vmName", "x")],
            1,
            "vsphere",
        ),
        (
            &[],
            &[("V2V_source", "ec2"), ("V2V_vmName", "x")],
            1,
            "V2V_inPlace",
        ),
        (
            &[],
            &[("V2V_source", "ova"), ("V2V_vmName", "x")],
            1,
            "V2V_diskPath",
        ),
        (&["-in-place", "-vm-name=x"], &[], 1, "no disk is mounted"),
    ] {
        let mut spec = pod();
        spec.args(arguments);
        for (name, value) in environment {
            spec.env(name, *value);
        }
        let mut pod = spec.start().unwrap();
        assert_eq!(pod.end(LIMIT).unwrap(), code, "{arguments:?} {}", pod.log());
        let log = pod.log();
        assert!(log.contains(said), "{arguments:?}: {log}");
        assert!(
            pod.termination_message().contains(said),
            "{arguments:?} {environment:?}"
        );
        let runs = started(&pod.path().join("stand-ins")).unwrap();
        assert!(runs.is_empty(), "{runs:?}");
        assert_discreet(&pod, &runs);
    }
}

/// A whole migration from a vCenter: virt-v2v is the stand-in, all else is real.
#[test]
fn a_controller_drives_a_copy_to_its_end() {
    let mut spec = pod();
    let dir = spec.path().to_owned();
    let system = system_disk_with(&dir, "web1", |tree| {
        fs::copy("/bin/busybox", tree.join("bin/sh")).unwrap();
        Ok(())
    })
    .unwrap();
    let stand_ins = dir.join("stand-ins");
    fs::rename(&system, stand_ins.join("converted.img")).unwrap();
    fs::write(stand_ins.join("slow"), "0.7").unwrap();
    vsphere(&mut spec);
    blank_disk(&mut spec, 1);
    let opt = dir.join("opt");
    fs::create_dir(&opt).unwrap();
    spec.bind(&opt, "/opt")
        .env("V2V_NewName", "web-1")
        .env("V2V_RootDisk", "/dev/sda")
        .env("LOCAL_MIGRATION", "true")
        .env(
            "V2V_staticIPs",
            "00:50:56:aa:bb:01:ip:192.0.2.10,192.0.2.1,24,192.0.2.53",
        )
        .env("V2V_extra_args", "[]");
    spec.volume(
        "/mnt/dynamic_scripts",
        &[
            ("10_linux_run_last.sh", "echo no such thing >&2\nexit 1\n"),
            ("2_linux_run_first.sh", "true\n"),
            ("notes.txt", "not a script"),
            ("3_win_firstboot_x.ps1", "exit 1"),
        ],
    )
    .unwrap();
    let mut pod = spec.start().unwrap();
    // Nobody who may look at processes reads a secret there, and process 1 waits for what others leave.
    pod.wait_for("Copying disk 1/2", LIMIT).unwrap();
    let environments = pod.environments();
    assert!(environments.len() > 2, "{environments:?}");
    for (process, environment) in environments {
        for secret in SECRETS {
            assert!(
                !environment.contains(secret),
                "{secret} in the environment of {process}"
            );
        }
    }
    assert_eq!(pod.zombies(), 0);
    let controller = Controller {
        provider: Provider::VSphere,
        transfers: true,
        disks: 2,
        look_at: vec!["/report", "/nothing"],
    };
    let migration = controller.migrate(&mut pod).unwrap();
    let log = pod.log();
    assert_eq!(migration.exit, 0, "{log}");
    assert!(migration.fetched && migration.refused > 0, "{migration:?}");
    for disk in [1, 2] {
        let progress = &migration.progress[&disk];
        assert!(progress.contains(&37.0), "disk {disk}: {progress:?}");
    }
    // Files are the same as by the real wrapper.
    let vm = migration.vm.unwrap();
    assert_eq!(
        (vm.status, vm.content_type.as_deref()),
        (200, Some("text/yaml"))
    );
    assert!(vm.body.contains("name: web-1"), "{}", vm.body);
    assert_eq!(migration.boot_disk, Some(0));
    assert_eq!(migration.system.as_deref(), Some("debian12_64Guest"));
    let inspection = &migration.seen["/inspection"];
    assert_eq!(
        (inspection.status, inspection.content_type.as_deref()),
        (200, Some("application/xml"))
    );
    let report = &migration.seen["/report"];
    assert_eq!(report.status, 200, "{report:?}");
    assert_eq!(migration.seen["/nothing"].status, 404);
    // A script that fails costs nothing but itself.
    let script = |name: &str| {
        migration
            .warnings
            .iter()
            .find(|(_, message)| message.contains(name))
    };
    let failed = script("script-10-linux-run-last: ");
    assert!(
        failed.is_some_and(|(reason, _)| reason == "CustomizationFailed"),
        "{:?}",
        migration.warnings
    );
    assert_eq!(
        script("script-2-linux-run-first: "),
        None,
        "{:?}",
        migration.warnings
    );
    let listing = |path: &str| {
        must(
            Command::new("debugfs")
                .args(["-R", &format!("cat {path}")])
                .arg(pod.path().join("disk0/disk.img")),
        )
        .unwrap()
    };
    let link = listing("/etc/systemd/network/10-refit-ens192.link");
    assert!(link.contains("00:50:56:aa:bb:01"), "{link}");
    let authorities = fs::read_link(pod.path().join("opt/ca-bundle.crt")).unwrap();
    assert_eq!(authorities, Path::new("/etc/secret/cacert"));
    // One virt-v2v is all that was started of its family.
    let runs = started(&pod.path().join("stand-ins")).unwrap();
    let names: Vec<&str> = runs.iter().map(|run| run.argv[0].as_str()).collect();
    assert_eq!(names, ["virt-v2v"]);
    assert_discreet(&pod, &runs);
}
