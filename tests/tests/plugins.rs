//! Users' own fixups: the examples as they are shipped, and ones that are broken or misbehave.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use refit_tests::{booted, fixup, guest, must, refit, root, run, snapshot, system_disk_with};
use serde_json::Value;

/// A copy of the examples that nobody but its owner may write to, whatever the checkout's umask was.
fn examples(dir: &Path) -> PathBuf {
    let copy = dir.join("examples");
    let source = root().join("fixups/examples");
    must(Command::new("cp").arg("-r").arg(source).arg(&copy)).unwrap();
    must(Command::new("chmod").args(["-R", "go-w"]).arg(&copy)).unwrap();
    copy
}

/// A folder with a program as a fixup.
fn program(dir: &Path, id: &str, script: &str) {
    let folder = dir.join(id);
    fs::create_dir_all(&folder).unwrap();
    let toml = format!("id = \"{id}\"\nsummary = \"x\"\n[program]\nrun = \"go\"\ntimeout = 2\n");
    fs::write(folder.join("fixup.toml"), toml).unwrap();
    fs::write(folder.join("go"), format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(folder.join("go"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// A guest's root directory with little in it.
fn small_root(dir: &Path) -> PathBuf {
    let root = dir.join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(
        root.join("etc/os-release"),
        "ID=debian\nVERSION_ID=\"12\"\n",
    )
    .unwrap();
    fs::write(root.join("etc/hosts"), "192.0.2.10 db1\n").unwrap();
    root
}

#[test]
fn the_examples_do_what_their_cases_say() {
    let dir = tempfile::tempdir().unwrap();
    let examples = examples(dir.path());
    let checked = run(refit()
        .args(["fixups", "check", "--json", "--accel", "tcg"])
        .arg(&examples))
    .unwrap();
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let checked = checked.json().unwrap();
    let mut kinds: Vec<&str> = Vec::new();
    for fixup in checked["fixups"].as_array().unwrap() {
        kinds.push(fixup["kind"].as_str().unwrap());
        let cases = fixup["cases"].as_array().unwrap();
        assert!(cases.len() > 1, "{fixup:#}");
        assert!(
            cases.iter().all(|case| case["outcome"] == "passed"),
            "{fixup:#}"
        );
    }
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "firstboot",
            "program",
            "program",
            "rules",
            "rules",
            "script"
        ]
    );
    assert_eq!(checked["problems"], Value::Array(Vec::new()));

    let listed = run(refit().args(["fixups", "list", "--fixups"]).arg(&examples)).unwrap();
    assert!(
        listed.stdout.contains("renumber-hosts") && listed.stdout.contains("(program, "),
        "{listed:?}"
    );
}

/// What a new user does first: the commands of the README, as they stand there.
#[test]
fn the_tutorial_works() {
    let readme = fs::read_to_string(root().join("fixups/README.md")).unwrap();
    let tutorial = readme
        .split("\n## ")
        .find(|section| section.starts_with("Ten minutes"))
        .unwrap();
    let mut script = String::from("umask 022\n");
    let mut commands = false;
    for line in tutorial.lines() {
        match line.trim() {
            "```sh" => commands = true,
            "```" => commands = false,
            _ if commands => {
                script.push_str(line.strip_prefix("   ").unwrap_or(line));
                script.push('\n');
            }
            _ => {}
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let built = PathBuf::from(refit().get_program());
    let path = format!("{}:/usr/bin:/bin", built.parent().unwrap().display());
    let done = run(Command::new("sh")
        .args(["-eu", "-c", &script])
        .current_dir(dir.path())
        .env("PATH", path))
    .unwrap();
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.stdout.matches("passed debian").count(), 2, "{done:?}");
    assert!(
        done.stdout
            .contains("login-banner: change: the banner is another one")
            && done
                .stdout
                .contains("+ This machine belongs to the night shift."),
        "{done:?}"
    );
}

#[test]
fn a_wrong_case_is_explained_by_a_diff() {
    let dir = tempfile::tempdir().unwrap();
    let examples = examples(dir.path()).join("renumber-hosts");
    let hosts = examples.join("cases/old-addresses/guest/etc/hosts");
    fs::write(&hosts, "192.0.2.11 db2\n").unwrap();
    let checked = run(refit().args(["fixups", "check"]).arg(&examples)).unwrap();
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(
        checked.stdout.contains("FAILED old-addresses")
            && checked
                .stdout
                .contains("+      \"content\": \"198.51.100.11 db2\\n\""),
        "{checked:?}"
    );
}

#[test]
fn one_that_misbehaves_costs_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let examples = examples(dir.path());
    let own = dir.path().join("own");
    program(&own, "hangs", "sleep 86394");
    program(&own, "crashes", "kill -SEGV $$");
    program(&own, "babbles", "yes nonsense");
    let change = r#"{"kind":"write","path":"/etc/../../escape","content":"x"}"#;
    program(
        &own,
        "lies",
        &format!(r#"echo '{{"verdict":"change","reason":"r","changes":[{change}]}}'"#),
    );
    let root = small_root(dir.path());
    let done = run(refit()
        .args([
            "fix",
            "--json",
            "--only",
            "hangs,crashes,babbles,lies,renumber-hosts",
        ])
        .arg("--undo-dir")
        .arg(dir.path())
        .arg("--fixups")
        .arg(&own)
        .arg("--fixups")
        .arg(&examples)
        .arg("--root")
        .arg(&root))
    .unwrap();
    assert_eq!(done.code, Some(3), "{done:?}");
    let report = done.json().unwrap();
    for (id, reason) in [
        ("hangs", "longer than 2 s"),
        ("crashes", "without a verdict"),
        ("babbles", "is no JSON"),
        ("lies", "has `..` in it"),
    ] {
        let planned = fixup(&report, id);
        assert_eq!(planned["verdict"], "failed", "{planned:#}");
        let said = planned["reason"].as_str().unwrap();
        assert!(said.contains(reason), "{said}");
    }
    assert_eq!(fixup(&report, "renumber-hosts")["verdict"], "change");
    assert_eq!(report["checked"], true);
    let hosts = fs::read_to_string(root.join("etc/hosts")).unwrap();
    assert_eq!(hosts, "198.51.100.10 db1\n");
    assert!(!dir.path().join("escape").exists());
    let left = run(Command::new("pgrep").args(["-f", "^sleep 86394$"])).unwrap();
    assert_eq!(left.code, Some(1), "{left:?}");
}

#[test]
fn a_broken_folder_is_wrong_usage_and_nothing_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("own");
    let started = dir.path().join("started");
    program(&own, "good", &format!("touch {}", started.display()));
    fs::create_dir(own.join("broken")).unwrap();
    fs::write(
        own.join("broken/fixup.toml"),
        "id = \"broken\"\nsumary = \"x\"\n",
    )
    .unwrap();
    let root = small_root(dir.path());
    let before = snapshot(&root).unwrap();
    for command in ["plan", "fix"] {
        let done = run(refit()
            .args([command, "--json", "--fixups"])
            .arg(&own)
            .arg("--root")
            .arg(&root))
        .unwrap();
        assert_eq!(done.code, Some(2), "{done:?}");
        let error = done.json().unwrap()["error"].to_string();
        assert!(
            error.contains("broken/fixup.toml:2: unknown field `sumary`"),
            "{error}"
        );
    }
    let checked = run(refit().args(["fixups", "check"]).arg(&own)).unwrap();
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.stdout.contains("good (program): ok"), "{checked:?}");
    assert!(!started.exists());
    assert_eq!(snapshot(&root).unwrap(), before);
}

#[test]
fn parameters_are_those_of_a_built_in_fixup() {
    let dir = tempfile::tempdir().unwrap();
    let examples = examples(dir.path());
    let table = dir.path().join("table.csv");
    fs::write(&table, "old,new\n192.0.2.10,203.0.113.7\n").unwrap();
    let root = small_root(dir.path());
    let plan = |setting: &str| {
        run(refit()
            .args([
                "plan",
                "--json",
                "--only",
                "renumber-hosts",
                "--set",
                setting,
                "--fixups",
            ])
            .arg(&examples)
            .arg("--root")
            .arg(&root))
        .unwrap()
    };
    let planned = plan(&format!("renumber-hosts.map={}", table.display()));
    assert_eq!(planned.code, Some(0), "{planned:?}");
    let planned = planned.json().unwrap();
    let change = &fixup(&planned, "renumber-hosts")["changes"][0];
    assert_eq!(change["content"], "203.0.113.7 db1\n");
    assert_eq!(plan("renumber-hosts.mpa=x").code, Some(2));
}

#[test]
fn a_script_is_rehearsed_applied_and_undone_on_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let examples = examples(dir.path());
    let disk = system_disk_with(dir.path(), "small", |tree| {
        // Where a running system has its devices; the script says `2>/dev/null`.
        fs::create_dir(tree.join("dev"))?;
        fs::copy("/bin/busybox", tree.join("bin/busybox"))?;
        for applet in ["sh", "cat", "grep", "cut", "mkdir", "chown"] {
            std::os::unix::fs::symlink("busybox", tree.join("bin").join(applet))?;
        }
        fs::write(
            tree.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nops:x:1000:1001::/home/ops:/bin/sh\n",
        )?;
        Ok(())
    })
    .unwrap();
    let fixed = run(refit()
        .args(["fix", "--json", "--accel", "tcg", "--only", "login-key"])
        .args(["--set", "login-key.account=ops"])
        .args(["--set", "login-key.key=ssh-ed25519 AAAA site"])
        .arg("--fixups")
        .arg(&examples)
        .arg(&disk))
    .unwrap();
    assert_eq!(fixed.code, Some(0), "{fixed:?}");
    let fixed = fixed.json().unwrap();
    let ours = fixup(&fixed, "login-key");
    assert_eq!(ours["verdict"], "change", "{ours:#}");
    let changes = ours["changes"].as_array().unwrap();
    let keys = "/home/ops/.ssh/authorized_keys";
    let written = changes
        .iter()
        .find(|change| change["kind"] == "write" && change["path"] == keys)
        .unwrap();
    assert_eq!(written["content"], "ssh-ed25519 AAAA site\n");
    let owned = changes
        .iter()
        .find(|change| change["kind"] == "chown" && change["path"] == keys)
        .unwrap();
    assert_eq!((&owned["uid"], &owned["gid"]), (&1000.into(), &1001.into()));
    assert_eq!(fixed["checked"], true);

    let undo = fixed["undo"].as_str().unwrap();
    let undone = run(refit().args(["undo", "--accel", "tcg", undo]).arg(&disk)).unwrap();
    assert_eq!(undone.code, Some(0), "{undone:?}");
}

#[test]
fn a_first_boot_script_runs_once_in_a_guest_that_boots() {
    const MAC: &str = "00:50:56:aa:bb:01";
    let dir = tempfile::tempdir().unwrap();
    let examples = examples(dir.path());
    let disk = guest(&[]).unwrap().copy(dir.path()).unwrap();
    let nic = format!("{MAC}=10.0.2.15/24");
    let fixed = run(refit()
        .args(["fix", "--json", "--accel", "tcg", "--nic", &nic])
        .args(["--only", "nic-names,arrival-report", "--fixups"])
        .arg(&examples)
        .arg(&disk))
    .unwrap();
    assert_eq!(fixed.code, Some(0), "{fixed:?}");
    let fixed = fixed.json().unwrap();
    assert_eq!(fixup(&fixed, "arrival-report")["verdict"], "change");
    assert_eq!(fixed["checked"], true);

    let done = "/var/lib/refit/firstboot/arrival-report.done";
    let wait = format!("for i in $(seq 120); do [ -e {done} ] && break; sleep 2; done; cat {done}");
    let mut arguments = vec!["--nic", MAC];
    for command in [
        wait.as_str(),
        "cat /var/log/arrival-report.txt",
        "cat /var/log/refit-firstboot-arrival-report.log",
        "find /etc /usr/local -name '*refit-firstboot*'",
    ] {
        arguments.extend(["--run", command]);
    }
    let booted = booted(&[&disk], &arguments);
    let output = |index: usize| {
        let command = &booted["commands"][index];
        assert_eq!(command["status"], 0, "{command:#}");
        command["output"].as_str().unwrap().trim().to_owned()
    };
    assert!(!output(0).is_empty());
    let report = output(1);
    assert!(
        report.contains("Arrived on QEMU") && report.contains("10.0.2.15"),
        "{report}"
    );
    let log = output(2);
    assert!(
        log.contains("attempt 1 of 3") && log.contains("ended with status 0"),
        "{log}"
    );
    assert_eq!(output(3), "", "it removes itself");
    assert_eq!(booted["failed_units"], Value::Array(Vec::new()));
}
