//! The conversion pod's image: what is in it, and that it works as a pod would run it. And what stands beside it in
//! `images`: manifests and the Containerfile, which are checked without a cluster and without a registry.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use refit_tests::{Podman, booted, guest, image, must, refit, root, run, system_disk, volume};
use serde_json::Value;

/// The validators from PyPI; in CI they must be there.
fn validator(name: &str) -> Option<PathBuf> {
    let program = root().join("target/validators/bin").join(name);
    if program.exists() {
        return Some(program);
    }
    let reason = format!("no {}: run `cargo xtask setup`", program.display());
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    println!("skipped: {reason}");
    None
}

#[test]
fn kubernetes_examples_follow_the_schemas() {
    let Some(python) = validator("python") else {
        return;
    };
    let examples = root().join("images/kubernetes");
    let validate = |files: &[PathBuf]| {
        run(Command::new(&python)
            .arg(root().join("tests/kubernetes/validate.py"))
            .args(files))
        .unwrap()
    };
    let mut files: Vec<PathBuf> = fs::read_dir(&examples)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    let said = validate(&files);
    assert_eq!(said.code, Some(0), "{said:?}");
    for kind in [
        "Pod",
        "Job",
        "PersistentVolumeClaim",
        "ConfigMap",
        "DataVolume",
        "VirtualMachine",
        "ForkliftController",
        "Plan",
    ] {
        assert!(
            said.stdout.contains(&format!("{kind}: right")),
            "no {kind}: {said:?}"
        );
    }

    // What a cluster would drop or refuse is found.
    let dir = tempfile::tempdir().unwrap();
    for (name, from, to) in [
        ("pod.yaml", "runAsNonRoot", "runAsNonRout"),
        ("job.yaml", "backoffLimit: 1", "backoffLimit: one"),
        ("plan-patch.yaml", "virtV2vImage", "virtV2VImage"),
        (
            "forkliftcontroller-patch.yaml",
            "virt_v2v_image_fqin",
            "virt_v2v_image",
        ),
        ("virtual-machine.yaml", "runStrategy", "runStrategie"),
        (
            "volumes.yaml",
            "volumeMode: Filesystem",
            "volumeMode: [Filesystem]",
        ),
    ] {
        let text = fs::read_to_string(examples.join(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        let wrong = dir.path().join(name);
        fs::write(&wrong, text.replacen(from, to, 1)).unwrap();
        let said = validate(&[wrong]);
        assert_eq!(said.code, Some(1), "{name} with {to}: {said:?}");
    }
}

#[test]
fn the_containerfile_has_no_lint() {
    let Some(hadolint) = validator("hadolint") else {
        return;
    };
    let said = run(Command::new(hadolint).arg(root().join("images/Containerfile"))).unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// Kernel command lines, and whether failures of xfs_repair are to be ignored with them.
const COMMAND_LINES: [(&str, bool); 4] = [
    ("panic=1 console=ttyS0", false),
    ("panic=1 xfs_repair_ignore=1", true),
    ("xfs_repair_ignore=1 panic=1", true),
    ("xfs_repair_ignore=10 no_xfs_repair_ignore=1", false),
];

#[test]
fn xfs_repair_fails_unless_that_is_to_be_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let script = fs::read_to_string(root().join("images/xfs_repair")).unwrap();
    let cmdline = at("cmdline");
    let script = script.replace("/proc/cmdline", cmdline.to_str().unwrap());
    for (name, text) in [
        ("xfs_repair", script.as_str()),
        (
            "xfs_repair.original",
            "#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit 3\n",
        ),
    ] {
        // Not written here: a process that another test starts meanwhile would keep it open, and so from being run.
        fs::write(at("text"), text).unwrap();
        must(Command::new("install").args([at("text"), at(name)])).unwrap();
    }
    for (line, is_ignored) in COMMAND_LINES {
        fs::write(&cmdline, format!("{line}\n")).unwrap();
        let said = run(Command::new(at("xfs_repair")).args(["-n", "a b"])).unwrap();
        assert_eq!(
            said.code,
            Some(if is_ignored { 0 } else { 3 }),
            "{line}: {said:?}"
        );
        assert_eq!(said.stdout, "-n\na b\n");
        assert_eq!(
            said.stderr.contains("exit status 3 is ignored"),
            is_ignored,
            "{said:?}"
        );
    }
}

/// Everything that the contract says of the image's content, in one container. Each line that it prints is a fault.
const INSIDE: &str = r#"
[ "$(id -un):$(id -u):$(id -g)" = qemu:107:107 ] || echo "the user is $(id)"
for program in sh chown chmod mv file curl ssh qemu-img qemu-system-x86_64 nbdkit nbdcopy nbdinfo virsh \
    virt-v2v virt-v2v-in-place virt-v2v-wrapper refit tar gzip xz; do
    command -v $program > /dev/null || echo "no $program"
done
for program in passt pasta supermin python3 perl dpkg apt-get; do
    ! command -v $program > /dev/null || echo "$program is there"
done
for link in /usr/bin/virt-v2v-wrapper /usr/local/bin/image-converter /usr/local/bin/forklift-wait-for-reboot; do
    [ "$(readlink -f $link)" = /usr/bin/refit ] || echo "$link is not refit"
done
file -E /opt/vmware-vix-disklib-distrib/lib64/libvixDiskLib.so > /dev/null && echo 'file -E finds what is not there'
file -E /usr/bin/refit > /dev/null || echo 'file -E fails'
for program in "virt-v2v --version" "virt-v2v-in-place --version" "qemu-img --version" "virsh --version" \
    "nbdkit --dump-plugin file" "nbdkit --dump-plugin curl" "nbdkit --dump-plugin ssh" "nbdkit --dump-plugin nbd" \
    "nbdkit --filter=cow --filter=cacheextents --filter=retry --filter=readahead --dump-plugin null" \
    "qemu-system-x86_64 -version"; do
    $program > /dev/null || echo "$program fails"
done
qemu-system-x86_64 -netdev help | grep -qx user || echo 'qemu has no SLIRP'
echo quit | qemu-system-x86_64 -accel tcg -nodefaults -display none -S -monitor stdio -netdev user,id=n \
    -device virtio-net-pci,netdev=n -device virtio-scsi-pci -device virtio-serial-pci > /dev/null ||
    echo 'qemu does not start'
find / -xdev -path /proc -prune -o -type f \( -perm /111 -o -name '*.so*' \) -print0 |
    xargs -0 -n 64 ldd 2> /dev/null | grep 'not found' | sort -u
find / -xdev -path /proc -prune -o -perm /6000 -print
find /etc /usr -xdev -xtype l ! -path '/usr/share/doc/*' -printf '%p leads nowhere: %l\n'
for path in kernel initrd root README.fixed; do
    [ -r "$LIBGUESTFS_PATH/$path" ] || echo "no $path in $LIBGUESTFS_PATH"
done
[ ! -e /usr/lib/x86_64-linux-gnu/guestfs/supermin.d ] || echo 'supermin would build an appliance'
for path in /usr/share/virt-tools/rhsrvany.exe /usr/lib/refit/firstboot/refit-firstboot-x86_64.exe; do
    [ "$(head -c 2 $path)" = MZ ] || echo "$path is no program for Windows"
done
touch /var/tmp/x || echo '/var/tmp cannot be written to'
! touch /usr/x 2> /dev/null || echo '/usr can be written to'
"#;

#[test]
fn the_image_works_as_a_pod_runs_it() {
    let archive = image().unwrap();
    let podman = Podman::load(&archive).unwrap();
    let dir = tempfile::tempdir_in(archive.parent().unwrap()).unwrap();
    let scratch = dir.path().join("scratch");

    let said = podman.inspect().unwrap();
    assert_eq!(said["Config"]["User"], "107:107");
    assert_eq!(
        said["Config"]["Entrypoint"],
        serde_json::json!(["/usr/bin/virt-v2v-wrapper"])
    );
    let environment = said["Config"]["Env"].to_string();
    for wanted in [
        "HOME=/home/qemu",
        "LIBGUESTFS_BACKEND=direct",
        ":/usr/libexec",
    ] {
        assert!(environment.contains(wanted), "{environment}");
    }
    assert_eq!(
        said["Config"]["Labels"]["org.opencontainers.image.licenses"],
        "Apache-2.0"
    );

    let faults = podman
        .pod(&scratch)
        .unwrap()
        .exec(&["/bin/sh", "-c", INSIDE])
        .unwrap();
    assert_eq!(
        (faults.code, faults.stdout.as_str()),
        (Some(0), ""),
        "{faults:?}"
    );
    let ends = podman
        .pod(&scratch)
        .unwrap()
        .exec(&["/bin/sh", "-c", "exit 0"])
        .unwrap();
    assert_eq!(ends.code, Some(0), "{ends:?}");
    a_pod_may_have_another_user(&podman);
    the_list_of_contents_is_whole(&podman, &scratch, &archive);

    let doctor = podman
        .pod(&scratch)
        .unwrap()
        .exec(&["refit", "doctor"])
        .unwrap();
    println!("{}{}", doctor.stdout, doctor.stderr);
    assert!(matches!(doctor.code, Some(0 | 3)), "{doctor:?}");
    a_fixup_of_a_config_map_takes_part(&podman, &scratch, dir.path());
    the_appliance_ignores_xfs_repair_if_asked(&podman, &scratch, dir.path());
    the_fixed_appliance_is_used(&podman, &scratch, dir.path());
    a_guest_is_converted_in_place(&podman, &scratch, dir.path());
}

/// OpenShift gives any user, of group 0; `fsGroup` may be any.
fn a_pod_may_have_another_user(podman: &Podman) {
    let script = "touch $HOME/x /tmp/x /var/tmp/x /opt/x";
    for user in ["1000680000:0", "107:1234"] {
        let container = podman.container(user);
        let said = container.exec(&["/bin/sh", "-c", script]).unwrap();
        assert_eq!(said.code, Some(0), "{user}: {said:?}");
    }
}

fn the_list_of_contents_is_whole(podman: &Podman, scratch: &Path, archive: &Path) {
    let script = "cat /usr/share/refit/sbom.spdx.json";
    let inside = podman
        .pod(scratch)
        .unwrap()
        .exec(&["/bin/sh", "-c", script])
        .unwrap();
    let beside = fs::read_to_string(archive.with_extension("spdx.json")).unwrap();
    assert_eq!(inside.stdout, beside);
    let document: Value = serde_json::from_str(&beside).unwrap();
    let packages = document["packages"].as_array().unwrap();
    let locator = |package: &Value| {
        let first = &package["externalRefs"][0]["referenceLocator"];
        first.as_str().unwrap_or_default().to_owned()
    };
    for wanted in [
        "pkg:deb/debian/virt-v2v@",
        "pkg:deb/debian/linux-image-",
        "pkg:deb/debian/lvm2@",
        "pkg:cargo/serde@",
    ] {
        assert!(
            packages
                .iter()
                .any(|package| locator(package).starts_with(wanted)),
            "no {wanted}"
        );
    }
    assert!(
        !packages
            .iter()
            .any(|package| package["name"] == "perl-modules-5.40")
    );
    // Every package that the image's own database names is on the list.
    let script = "sed -n 's/^Package: //p' /var/lib/dpkg/status";
    let installed = podman
        .pod(scratch)
        .unwrap()
        .exec(&["/bin/sh", "-c", script])
        .unwrap();
    assert!(installed.stdout.lines().count() > 50, "{installed:?}");
    for name in installed.stdout.lines() {
        assert!(
            packages.iter().any(|package| package["name"] == name),
            "{name} is not on the list"
        );
    }
}

/// As the kubelet lays out a ConfigMap: files are links to a directory that it can replace.
fn a_fixup_of_a_config_map_takes_part(podman: &Podman, scratch: &Path, dir: &Path) {
    let volume = dir.join("config-map");
    fs::create_dir_all(volume.join("..2026_01_01")).unwrap();
    fs::copy(
        root().join("fixups/examples/time-server/fixup.toml"),
        volume.join("..2026_01_01/fixup.toml"),
    )
    .unwrap();
    symlink("..2026_01_01", volume.join("..data")).unwrap();
    symlink("..data/fixup.toml", volume.join("fixup.toml")).unwrap();
    let listed = podman
        .pod(scratch)
        .unwrap()
        .mount(&volume, "/etc/refit/fixups.d/time-server:ro")
        .exec(&["refit", "fixups", "list"])
        .unwrap();
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(listed.stdout.contains("time-server"), "{listed:?}");
}

/// The real one, in the appliance's tree and with its shell.
fn the_appliance_ignores_xfs_repair_if_asked(podman: &Podman, scratch: &Path, dir: &Path) {
    let out = volume(&dir.join("appliance")).unwrap();
    let copied = podman
        .pod(scratch)
        .unwrap()
        .mount(&out, "/out")
        .exec(&["/bin/sh", "-c", "cp $LIBGUESTFS_PATH/root /out"])
        .unwrap();
    assert_eq!(copied.code, Some(0), "{copied:?}");
    let script = r#"
        mkdir -p proc mnt
        echo "$1" > proc/cmdline
        mount -o loop,ro root mnt
        mount --bind proc mnt/proc
        chroot mnt xfs_repair /no/device
    "#;
    for (line, is_ignored) in COMMAND_LINES {
        let said = run(Command::new("unshare")
            .args(["--mount", "sh", "-euc", script, "sh", line])
            .current_dir(&out))
        .unwrap();
        assert_eq!(said.code, Some(i32::from(!is_ignored)), "{line}: {said:?}");
        assert!(said.stderr.contains("/no/device"), "{line}: {said:?}");
    }
    fs::remove_dir_all(out).unwrap();
}

/// Its start beside that of an appliance which supermin has to build first, as in a pod without a fixed one.
fn the_fixed_appliance_is_used(podman: &Podman, scratch: &Path, dir: &Path) {
    let disks = volume(&dir.join("disks")).unwrap();
    let disk = system_disk(&disks, "web1").unwrap();
    fs::rename(disk, disks.join("disk.img")).unwrap();
    assert_eq!(
        run(Command::new("chown").args(["-R", "107:107"]).arg(&disks))
            .unwrap()
            .code,
        Some(0)
    );
    let start = Instant::now();
    let inside = podman
        .pod(scratch)
        .unwrap()
        .mount(&disks, "/mnt/disks/disk0")
        .exec(&["refit", "inspect", "--json", "/mnt/disks/disk0/disk.img"])
        .unwrap();
    let fixed = start.elapsed().as_secs_f64();
    assert_eq!(inside.code, Some(0), "{inside:?}");
    assert_eq!(
        inside.json().unwrap()["guest"]["distro"],
        "debian",
        "{inside:?}"
    );
    // supermin's cache would be there.
    let left: Vec<_> = fs::read_dir(scratch)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with(".guestfs"))
        .collect();
    for name in &left {
        let size = must(Command::new("du").arg("-sk").arg(scratch.join(name))).unwrap();
        let kib: u64 = size.split_whitespace().next().unwrap().parse().unwrap();
        assert!(kib < 1024, "{size}");
        assert!(
            !scratch.join(name).join("appliance.d").exists(),
            "supermin has built an appliance"
        );
    }

    let cache = dir.join("cache");
    fs::create_dir(&cache).unwrap();
    let start = Instant::now();
    let outside = run(refit()
        .env("LIBGUESTFS_CACHEDIR", &cache)
        .args(["inspect", "--json"])
        .arg(disks.join("disk.img")))
    .unwrap();
    assert_eq!(outside.code, Some(0), "{outside:?}");
    println!(
        "refit inspect: {fixed:.1} s in the pod with the fixed appliance, {:.1} s outside with one that supermin builds",
        start.elapsed().as_secs_f64()
    );
}

/// A guest as it comes from VMware, converted where it is, by a pod that nobody asks for results. Then it boots, and its
/// interface has the old name and address.
fn a_guest_is_converted_in_place(podman: &Podman, scratch: &Path, dir: &Path) {
    const MAC: &str = "00:50:56:aa:bb:01";
    let disks = volume(&dir.join("disk0")).unwrap();
    let disk = guest(&["--initramfs", "vmware"])
        .unwrap()
        .copy(&disks)
        .unwrap();
    must(Command::new("chown").arg("107:107").arg(&disk)).unwrap();
    let start = Instant::now();
    let converted = podman
        .pod(scratch)
        .unwrap()
        .mount(&disks, "/mnt/disks/disk0")
        .env("V2V_inPlace", "1")
        .env("V2V_source", "ec2")
        .env("V2V_vmName", "web1")
        .env("V2V_staticIPs", &format!("{MAC}:ip:10.0.2.15,10.0.2.2,24"))
        .env("LOCAL_MIGRATION", "false")
        .run()
        .unwrap();
    assert_eq!(converted.code, Some(0), "{converted:?}");
    println!(
        "converted in place in {:.0} s",
        start.elapsed().as_secs_f64()
    );
    let owner = must(Command::new("stat").args(["--format", "%u:%g"]).arg(&disk)).unwrap();
    assert_eq!(owner.trim(), "107:107");

    let report = booted(&[&disk], &["--nic", MAC]);
    let nics = report["nics"].as_array().unwrap();
    let nic = nics.iter().find(|nic| nic["mac"] == MAC).unwrap();
    assert_eq!(nic["name"], "ens192", "{report}");
    assert_eq!(nic["addresses"][0], "10.0.2.15/24", "{report}");
}
