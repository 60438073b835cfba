//! `refit fix` and `undo` on a real Debian guest.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use refit_tests::{booted, differences, edit, fixup, guest, must, refit, run, tree};

const NIC: &str = "00:50:56:aa:bb:01=10.0.2.15/24";

#[test]
fn fixing_twice_changes_nothing_more_and_undo_brings_every_byte_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk = guest(&[]).unwrap().copy(dir.path()).unwrap();
    let before = tree(&disk, "raw").unwrap();

    let (starts, hypervisor) = counting_hypervisor(dir.path());
    let plan = run(refit()
        .args(["plan", "--json", "--nic", NIC])
        .arg(&disk)
        .env("LIBGUESTFS_HV", &hypervisor))
    .unwrap();
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert_eq!(starts(), 1, "a plan starts one appliance");
    let plan = plan.json().unwrap();
    assert_eq!(plan["schema"], "refit/plan/v1");
    assert_eq!(plan["guest"]["distro"], "debian");
    let names = fixup(&plan, "nic-names");
    assert_eq!(
        (&names["id"], &names["verdict"]),
        (&"nic-names".into(), &"change".into()),
        "{names:#}"
    );
    assert_eq!(names["evidence"][0]["name"], "ens192");
    assert_eq!(names["evidence"][0]["mac"], "00:50:56:aa:bb:01");

    let fix = run(refit()
        .args(["fix", "--json", "--nic", NIC])
        .arg(&disk)
        .env("LIBGUESTFS_HV", &hypervisor))
    .unwrap();
    assert_eq!(fix.code, Some(0), "{fix:?}");
    assert_eq!(starts(), 2, "a fix starts one appliance");
    let fix = fix.json().unwrap();
    assert_eq!(
        (&fix["applied"], &fix["checked"]),
        (&true.into(), &true.into())
    );
    assert_eq!(
        fix["fixups"], plan["fixups"],
        "a fix does what the plan says"
    );
    let fixed = tree(&disk, "raw").unwrap();
    let changed = differences(&before, &fixed);
    assert!(
        changed
            .iter()
            .any(|line| line.contains("10-refit-ens192.link")),
        "{changed:#?}"
    );
    assert!(
        changed.iter().any(|line| line.contains("initrd.img-")),
        "{changed:#?}"
    );

    let again = run(refit().args(["fix", "--json", "--nic", NIC]).arg(&disk))
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(fixup(&again, "nic-names")["verdict"], "fine");
    assert_eq!(
        fixup(&again, "nic-names")["changes"]
            .as_array()
            .map(Vec::len),
        Some(0)
    );
    assert!(again.get("undo").is_none());

    let undo = run(refit()
        .arg("undo")
        .arg(fix["undo"].as_str().unwrap())
        .arg(&disk))
    .unwrap();
    assert_eq!(undo.code, Some(0), "{undo:?}");
    assert_eq!(
        differences(&before, &tree(&disk, "raw").unwrap()),
        Vec::<String>::new()
    );

    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().starts_with(".refit")),
        "no state is left: {left:?}"
    );
}

/// A qemu for libguestfs that counts how often it boots an appliance.
fn counting_hypervisor(dir: &Path) -> (impl Fn() -> usize, std::path::PathBuf) {
    let (script, log) = (dir.join("qemu"), dir.join("starts"));
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *-kernel*) echo start >> '{}';; esac\nexec qemu-system-x86_64 \"$@\"\n",
        log.display()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    (
        move || fs::read_to_string(&log).unwrap_or_default().lines().count(),
        script,
    )
}

#[test]
fn a_killed_fix_leaves_the_old_disk_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let original = guest(&[]).unwrap();
    // From the start of the appliance to after the commit, spread over a run's usual time.
    for (round, seconds) in [2.0, 9.0, 14.0, 17.0, 19.0, 21.0, 23.0, 25.0]
        .into_iter()
        .enumerate()
    {
        let here = dir.path().join(round.to_string());
        fs::create_dir(&here).unwrap();
        let disk = original.copy(&here).unwrap();
        let mut child = refit()
            .args(["fix", "--nic", NIC])
            .arg(&disk)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_secs_f64(seconds));
        let _ = child.kill();
        child.wait().unwrap();
        let recovered = run(refit().args(["recover", "--json"]).arg(&disk)).unwrap();
        assert_eq!(recovered.code, Some(0), "{recovered:?}");
        let same = must(
            std::process::Command::new("qemu-img")
                .args(["compare", "-f", "raw", "-F", "raw"])
                .arg(original.disk())
                .arg(&disk),
        )
        .is_ok();
        if !same {
            let plan = run(refit().args(["plan", "--json", "--nic", NIC]).arg(&disk))
                .unwrap()
                .json()
                .unwrap();
            assert_eq!(
                fixup(&plan, "nic-names")["verdict"],
                "fine",
                "after {seconds} s the disk is neither old nor new"
            );
        }
        println!(
            "killed after {seconds} s: the disk is {}",
            if same { "the old one" } else { "the new one" }
        );
        fs::remove_dir_all(&here).unwrap();
    }
}

/// The old machine's rules gave the first card the name eth1 and the second eth0, and its udev could do
/// that; this one's cannot exchange names of the kernel.
#[test]
fn cards_whose_names_the_kernel_gives_the_other_way_round_keep_their_own() {
    const MACS: [&str; 2] = ["00:50:56:aa:bb:01", "00:50:56:aa:bb:02"];
    let dir = tempfile::tempdir().unwrap();
    let disk = guest(&[]).unwrap().copy(dir.path()).unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let rule = |mac, name| {
        format!(
            "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{{address}}==\"{mac}\", NAME=\"{name}\"\n"
        )
    };
    let rules = write("rules", &(rule(MACS[0], "eth1") + &rule(MACS[1], "eth0")));
    let interfaces = write(
        "interfaces",
        "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n    address 192.0.2.15/24\n\n\
         auto eth1\niface eth1 inet static\n    address 10.0.2.15/24\n    gateway 10.0.2.2\n",
    );
    edit(
        &disk,
        &format!(
            "write {rules} /etc/udev/rules.d/70-persistent-net.rules\n\
             rm /etc/network/interfaces\nwrite {interfaces} /etc/network/interfaces\n"
        ),
    )
    .unwrap();
    let nics = MACS.map(|mac| ["--nic", mac]).concat();

    let fix = run(refit().args(["fix", "--json"]).args(&nics).arg(&disk)).unwrap();
    assert_eq!(fix.code, Some(0), "{fix:?}");
    let fix = fix.json().unwrap();
    assert_eq!(fix["checked"], true);
    assert_eq!(fixup(&fix, "nic-names")["verdict"], "change");

    let nics: Vec<&str> = nics.iter().map(AsRef::as_ref).collect();
    let booted = booted(&[&disk], &nics);
    for (mac, name, address) in [
        (MACS[0], "eth1", "10.0.2.15/24"),
        (MACS[1], "eth0", "192.0.2.15/24"),
    ] {
        let nic = booted["nics"]
            .as_array()
            .unwrap()
            .iter()
            .find(|nic| nic["mac"] == mac)
            .unwrap();
        assert_eq!(nic["name"], name, "{booted:#}");
        assert!(
            nic["addresses"]
                .as_array()
                .unwrap()
                .contains(&address.into()),
            "{booted:#}"
        );
    }
    assert_eq!(booted["failed_units"], serde_json::json!([]));
}
