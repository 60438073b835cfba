//! The first-boot service of Windows guests, under Wine: its registry, its services, its file system.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Command;

use refit_tests::{FirstBoot, Wine, firstboot, must, refit, root, run, wait_for, windows};

#[test]
fn tasks_of_every_kind_are_done_in_order() {
    let wine = Wine::new().unwrap();
    let folder = FirstBoot::new(&wine);
    wine.registry(concat!(
        "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Enum\\PCI\\VEN_15AD&DEV_07B0&SUBSYS_07B015AD&REV_01\\FF29840000]\n",
        "\"DeviceDesc\"=\"vmxnet3 Ethernet Adapter\"\n",
        "\"ClassGUID\"=\"{4d36e972-e325-11ce-bfc1-08002be10318}\"\n",
        "\"Class\"=\"Net\"\n",
        "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Old\\a\\b\\c]\n\"x\"=\"y\"\n",
    ))
    .unwrap();
    folder.task("20-wait.task", "kind wait-pnp\ntimeout 30");
    folder.task(
        "30-ghosts.task",
        "kind remove-devices\nhardware-id PCI\\VEN_15AD",
    );
    folder.task(
        "35-registry.task",
        "kind registry\nkey HKLM\\SOFTWARE\\refit test\nsz @ = a = b\nexpand-sz E = %SystemRoot%\\x\nmulti-sz M = one\nmulti-sz M = two\ndword D = 0x10\nbinary B = 00ff\nkey HKLM\\SOFTWARE\\Old\\a\\b\ndelete-key yes",
    );
    folder.task(
        "50-disks.task",
        "kind online-disks\nsan-policy 1\nletter Q mbr 1a2b3c4d 1048576\ntimeout 2",
    );
    folder.task(
        "60-run.task",
        "kind run\nprogram %SystemRoot%\\System32\\reg.exe\narg add\narg HKLM\\SOFTWARE\\refit test\narg /v\narg Q\narg /d\narg a \"b\" \\\nreboot never",
    );
    folder.task(
        "61-unless.task",
        "kind run\nprogram C:\\missing.exe\nunless-file %SystemRoot%\\System32",
    );
    folder.scripted(
        "70-script",
        "arg one\narg x=2\nreboot always",
        "echo says %1 and %~2 > \"%~dp0..\\said.txt\"\ncd >> \"%~dp0..\\said.txt\"",
    );
    fs::create_dir_all(wine.c("Old/Tools/deep")).unwrap();
    fs::write(wine.c("Old/Tools/deep/file"), "").unwrap();
    folder.task(
        "90-files.task",
        "kind remove-files\npath C:\\Old\\Tools\npath C:\\Old\\missing",
    );

    assert_eq!(
        folder.boot(),
        FirstBoot::RESTART,
        "{}",
        folder.read("log.txt")
    );
    assert!(
        !folder.path.join("complete").exists(),
        "not before the restart"
    );
    assert_eq!(folder.boot(), 0, "{}", folder.read("log.txt"));
    assert_eq!(
        folder.results(),
        [
            "done 20-wait.task",
            "done 30-ghosts.task",
            "done 35-registry.task",
            "done 50-disks.task",
            "done 60-run.task",
            "done 61-unless.task",
            "done 70-script.task",
            "done 90-files.task",
        ]
    );
    let key = wine.query("HKLM\\SOFTWARE\\refit test").unwrap().unwrap();
    for value in [
        "(Default)    REG_SZ    a = b",
        "E    REG_EXPAND_SZ    %SystemRoot%\\x",
        "M    REG_MULTI_SZ    one\\0two",
        "D    REG_DWORD    0x10",
        "B    REG_BINARY    00FF",
        "Q    REG_SZ    a \"b\" \\",
    ] {
        assert!(key.contains(value), "{value}: {key}");
    }
    assert_eq!(wine.query("HKLM\\SOFTWARE\\Old\\a\\b").unwrap(), None);
    let pci = wine
        .query("HKLM\\SYSTEM\\CurrentControlSet\\Enum\\PCI")
        .unwrap();
    assert!(
        !pci.unwrap_or_default().contains("VEN_15AD"),
        "the ghost is gone"
    );
    let policy = wine.query("HKLM\\SYSTEM\\CurrentControlSet\\Services\\partmgr\\Parameters");
    assert!(policy.unwrap().unwrap().contains("0x1"));
    let said = folder.read("said.txt");
    assert!(said.starts_with("says one and x=2"), "{said}");
    assert!(said.contains(FirstBoot::FOLDER), "{said}");
    assert!(!wine.c("Old/Tools").exists() && wine.c("Old").exists());
    assert_eq!(
        folder.names(),
        ["complete", "log.txt", "said.txt"],
        "only the result and the log stay"
    );
}

#[test]
fn failing_and_hostile_tasks_are_bounded_and_block_nobody() {
    let wine = Wine::new().unwrap();
    let folder = FirstBoot::new(&wine);
    folder.scripted("10-fails", "attempts 3", "exit /b 7");
    folder.scripted("11-hangs", "attempts 1\ntimeout 1", ":again\ngoto again");
    folder.scripted(
        "12-third-time",
        "attempts 3\nretry reboot",
        "echo x>> \"%~dp0..\\tries.txt\"\nfind /c \"x\" < nul > nul\nif exist \"%~dp0..\\second.txt\" exit /b 0\nif exist \"%~dp0..\\first.txt\" echo x> \"%~dp0..\\second.txt\"\necho x> \"%~dp0..\\first.txt\"\nexit /b 1",
    );
    folder.task(
        "13-missing.task",
        "kind run\nattempts 2\nprogram C:\\missing.exe",
    );
    folder.task(
        "14-crash.task",
        "kind run\nattempts 1\nprogram %Refit%\\files\\no-program.exe",
    );
    folder.script("no-program.exe", "MZ");
    folder.task(
        "15-kept.task",
        "kind remove-files\nattempts 1\npath C:\\Windows\\System32",
    );
    folder.task("20-unknown.task", "kind format-disk");
    folder.task("21 spaces.task", "kind wait-pnp");
    fs::write(folder.path.join("tasks/22-binary.task"), [0, 159, 146, 150]).unwrap();
    fs::write(folder.path.join("tasks/23-large.task"), vec![b'#'; 1 << 20]).unwrap();
    fs::create_dir(folder.path.join("tasks/24-folder.task")).unwrap();
    fs::write(folder.path.join("tasks/25-empty.task"), "").unwrap();
    fs::write(folder.path.join("tasks/notes.txt"), "not a task").unwrap();
    folder.scripted("90-last", "", "echo done> \"%~dp0..\\last.txt\"");

    assert_eq!(
        folder.boot(),
        FirstBoot::RESTART,
        "{}",
        folder.read("log.txt")
    );
    wait_for("the end of a script that hangs", || {
        !wine.runs("11-hangs.cmd").unwrap()
    });
    assert_eq!(folder.boot(), FirstBoot::RESTART);
    assert_eq!(folder.boot(), 1, "{}", folder.read("log.txt"));
    assert_eq!(
        folder.results(),
        [
            "failed 10-fails.task",
            "failed 11-hangs.task",
            "done 12-third-time.task",
            "failed 13-missing.task",
            "failed 14-crash.task",
            "failed 15-kept.task",
            "refused 20-unknown.task",
            "refused 21_spaces.task",
            "refused 22-binary.task",
            "refused 23-large.task",
            "refused 24-folder.task",
            "refused 25-empty.task",
            "done 90-last.task",
        ]
    );
    let log = folder.read("log.txt");
    let attempts = |task: &str| log.matches(&format!("{task}.task: failed")).count();
    assert_eq!(
        (
            attempts("10-fails"),
            attempts("11-hangs"),
            attempts("12-third-time")
        ),
        (3, 1, 2)
    );
    assert!(
        log.contains("11-hangs.task: failed: ended after 1 s"),
        "{log}"
    );
    assert!(log.contains("10-fails.task: failed: exit code 7"), "{log}");
    assert_eq!(folder.read("tries.txt").lines().count(), 3);
    assert!(wine.c("windows/system32").exists());
}

#[test]
fn a_power_loss_in_every_attempt_is_survived() {
    let wine = Wine::new().unwrap();
    let folder = FirstBoot::new(&wine);
    // The script waits until the power is off, unless it has waited before.
    let waits = "if exist \"%~dpn0.once\" exit /b 0\necho x> \"%~dpn0.once\"\n:again\ngoto again";
    folder.scripted("10-a", "attempts 2", waits);
    folder.scripted("20-b", "attempts 2", waits);
    folder.scripted("30-never", "attempts 2", ":again\ngoto again");
    folder.scripted("40-c", "attempts 2", waits);
    let program = format!("{}\\{}", FirstBoot::FOLDER, FirstBoot::PROGRAM);
    for attempt in 1..=5 {
        let words = [
            &program,
            "run",
            FirstBoot::FOLDER,
            "--pause",
            "0",
            "--settle",
            "1",
        ];
        let mut child = wine
            .run(&words)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // A task that was cut once goes through the next time, so each boot comes one further.
        let cut = ["10-a", "20-b", "30-never", "30-never", "40-c"][attempt - 1];
        let again = if attempt == 4 { 2 } else { 1 };
        wait_for(cut, || {
            folder
                .read("log.txt")
                .contains(&format!("{cut}.task: {} (attempt {again} of 2)", &cut[3..]))
                && (cut == "30-never" || folder.path.join(format!("files/{cut}.once")).exists())
        });
        wine.power_off().unwrap();
        child.wait().unwrap();
        let state = folder.read("state");
        assert!(
            state.contains(&format!("task {cut}.task")) && state.ends_with("end\n"),
            "{state}"
        );
        assert!(state.contains(" running "), "{state}");
    }
    assert_eq!(folder.boot(), 1, "{}", folder.read("log.txt"));
    assert_eq!(
        folder.results(),
        [
            "done 10-a.task",
            "done 20-b.task",
            "failed 30-never.task",
            "done 40-c.task"
        ]
    );
    assert!(
        folder
            .read("complete")
            .contains("30-never.task the attempt was cut short")
    );
}

#[test]
fn a_damaged_record_does_not_start_over_for_ever() {
    let wine = Wine::new().unwrap();
    let folder = FirstBoot::new(&wine);
    folder.scripted("10-a", "reboot always", "exit /b 0");
    for (boot, expected) in [(1, FirstBoot::RESTART), (2, 1)] {
        fs::write(
            folder.path.join("state"),
            "refit-firstboot-state 1\nboots 1\n",
        )
        .unwrap();
        assert_eq!(
            folder.boot(),
            expected,
            "{boot}: {}",
            folder.read("log.txt")
        );
    }
    assert!(
        folder.read("complete").contains("given up"),
        "{}",
        folder.read("complete")
    );
}

/// A serial port: what is written to its name can be read from the other end.
fn serial_port(wine: &Wine) -> OwnedFd {
    use rustix::pty;
    let flags = pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY;
    let master = pty::openpt(flags).unwrap();
    pty::grantpt(&master).unwrap();
    pty::unlockpt(&master).unwrap();
    let name = pty::ptsname(&master, Vec::new())
        .unwrap()
        .into_string()
        .unwrap();
    wine.registry(&format!(
        "[HKEY_LOCAL_MACHINE\\Software\\Wine\\Ports]\n\"COM1\"=\"{name}\""
    ))
    .unwrap();
    master
}

fn written(port: &OwnedFd) -> String {
    rustix::io::ioctl_fionbio(port.as_fd(), true).unwrap();
    let mut bytes = Vec::new();
    // The other end is closed, which is an error, or nothing more is there.
    let _ = fs::File::from(port.try_clone().unwrap()).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// virt-v2v's service and scripts as it writes them (virt-v2v 2.2): all scripts in one boot, then it
/// removes its service.
fn virt_v2v(wine: &Wine) {
    let dir = wine.c("Program Files/Guestfs/Firstboot");
    fs::create_dir_all(dir.join("scripts")).unwrap();
    fs::create_dir_all(dir.join("scripts-done")).unwrap();
    fs::copy(firstboot("x86_64").unwrap(), dir.join("rhsrvany.exe")).unwrap();
    let bat = concat!(
        "@echo off\r\n",
        "cd > C:\\where.txt\r\n",
        "move \"C:\\Program Files\\Guestfs\\Firstboot\\scripts\\5000-0001-a.bat\" ",
        "\"C:\\Program Files\\Guestfs\\Firstboot\\scripts-done\" > nul\r\n",
        "call \"C:\\Program Files\\Guestfs\\Firstboot\\scripts-done\\5000-0001-a.bat\"\r\n",
        "\"C:\\Program Files\\Guestfs\\Firstboot\\rhsrvany.exe\" -s firstboot uninstall\r\n",
    );
    fs::write(dir.join("firstboot.bat"), bat).unwrap();
    let script = "ping -n 3 127.0.0.1 > nul\r\necho v2v>> C:\\order.txt\r\n";
    fs::write(dir.join("scripts/5000-0001-a.bat"), script).unwrap();
    wine.registry(concat!(
        "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\firstboot]\n",
        "\"Type\"=dword:00000010\n\"Start\"=dword:00000002\n\"ErrorControl\"=dword:00000001\n",
        "\"ImagePath\"=\"C:\\\\Program Files\\\\Guestfs\\\\Firstboot\\\\rhsrvany.exe -s firstboot\"\n",
        "\"DisplayName\"=\"Virt tools firstboot service\"\n\"ObjectName\"=\"LocalSystem\"\n",
        "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\firstboot\\Parameters]\n",
        "\"CommandLine\"=\"cmd /c \\\"C:\\\\Program Files\\\\Guestfs\\\\Firstboot\\\\firstboot.bat\\\"\"\n",
        "\"PWD\"=\"C:\\\\Program Files\\\\Guestfs\\\\Firstboot\"\n",
    ))
    .unwrap();
}

#[test]
fn both_services_run_at_boot_virt_v2vs_first_and_remove_themselves() {
    let wine = Wine::new().unwrap();
    let folder = FirstBoot::new(&wine);
    let port = serial_port(&wine);
    folder.scripted("70-a", "title Ours", "echo refit>> C:\\order.txt");
    virt_v2v(&wine);
    folder.register();
    wine.power_off().unwrap();

    wine.power_on().unwrap();
    wait_for("the result", || folder.path.join("complete").exists());
    wait_for("the service's end", || {
        !wine.has_service("refit-firstboot").unwrap()
    });
    wait_for("virt-v2v's service's end", || {
        !wine.has_service("firstboot").unwrap()
    });

    let order = fs::read_to_string(wine.c("order.txt")).unwrap();
    assert_eq!(
        order.split_whitespace().collect::<Vec<_>>(),
        ["v2v", "refit"]
    );
    let place = fs::read_to_string(wine.c("where.txt")).unwrap();
    assert_eq!(place.trim(), "C:\\Program Files\\Guestfs\\Firstboot", "PWD");
    assert_eq!(folder.results(), ["done 70-a.task"]);
    let text = written(&port);
    assert!(text.contains("refit-firstboot: done 70-a.task"), "{text}");
    assert!(text.trim_end().ends_with("\nCONVERSION_DONE"), "{text}");
    wait_for("the files' removal", || folder.names().len() <= 2);
    assert_eq!(folder.names(), ["complete", "log.txt"]);

    wine.power_off().unwrap();
    wine.power_on().unwrap();
    assert!(
        !folder.path.join(FirstBoot::PROGRAM).exists(),
        "a start later the program is gone"
    );
}

#[test]
fn virt_v2vs_service_without_progress_is_switched_off() {
    let wine = Wine::new().unwrap();
    let folder = FirstBoot::new(&wine);
    virt_v2v(&wine);
    // Known to the control manager, but not started: as if each script asked for one more restart.
    wine.power_off().unwrap();
    fs::rename(
        wine.c("Program Files/Guestfs/Firstboot/rhsrvany.exe"),
        wine.c("Program Files/Guestfs/Firstboot/rhsrvany.away"),
    )
    .unwrap();
    wine.power_on().unwrap();
    // The record of eight starts, as it would be after them.
    folder.scripted("10-a", "reboot always", "exit /b 0");
    assert_eq!(
        folder.boot(),
        FirstBoot::RESTART,
        "{}",
        folder.read("log.txt")
    );
    let state = folder.read("state");
    assert!(state.contains("peer-left 1\npeer-stuck 0\n"), "{state}");
    let state = state
        .replace("peer-stuck 0", "peer-stuck 7")
        .replace(" done ", " pending ");
    fs::write(folder.path.join("state"), state).unwrap();
    folder.boot();
    assert!(
        folder.read("log.txt").contains("switched off"),
        "{}",
        folder.read("log.txt")
    );
    let key = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\firstboot";
    let values = wine.query(key).unwrap().unwrap();
    assert!(
        values.contains("Start    REG_DWORD    0x4"),
        "{values}: {}",
        folder.read("log.txt")
    );
}

#[test]
fn rhsrvany_installs_and_removes_a_service() {
    let wine = Wine::new().unwrap();
    let program = wine.c("rhsrvany.exe");
    fs::copy(firstboot("x86_64").unwrap(), &program).unwrap();
    let run = |words: &[&str]| {
        let words: Vec<&str> = ["C:\\rhsrvany.exe"].iter().chain(words).copied().collect();
        wine.run(&words).output().unwrap().status.success()
    };
    assert!(run(&[
        "-s",
        "any",
        "-c",
        "cmd /c echo ran> C:\\ran.txt",
        "-p",
        "C:\\",
        "install"
    ]));
    let key = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\any";
    let values = wine.query(key).unwrap().unwrap();
    assert!(
        values.contains("\"C:\\rhsrvany.exe\" -s \"any\""),
        "{values}"
    );
    // It starts with the system, which may be at any time that Wine starts anew.
    wine.run(&["net", "start", "any"]).output().unwrap();
    wait_for("the program", || wine.c("ran.txt").exists());
    assert!(run(&["-s", "any", "uninstall"]));
    wait_for("the service's end", || !wine.has_service("any").unwrap());
    assert!(run(&["-s", "any", "uninstall"]), "what is gone is gone");
    assert!(!run(&["-s", "any\\thing", "install"]));
    assert!(!run(&["--help"]));
}

/// The real virt-v2v on a disk that it takes for Windows, on a host without `rhsrvany.exe`.
#[test]
fn virt_v2v_converts_windows_with_our_program_as_rhsrvany() {
    let dir = tempfile::tempdir().unwrap();
    let disk = windows(dir.path(), &["--release", "server-2019"]).unwrap();
    // virt-v2v goes by the names of folders.
    let drivers = dir.path().join("virtio-win");
    for driver in ["viostor", "NetKVM"] {
        let to = drivers.join(driver).join("2k19");
        fs::create_dir_all(&to).unwrap();
        let from = root().join("crates/virtio-win/testdata/virtio-win");
        let from = from.join(driver).join("w10/amd64");
        must(Command::new("cp").arg("-r").args([&from, &to])).unwrap();
    }
    let out = dir.path().join("out");
    let converted = run(refit()
        .args([
            "convert", "--json", "--accel", "tcg", "--only", "console", "--out",
        ])
        .arg(&out)
        .arg("--virtio-win")
        .arg(&drivers)
        .arg(&disk)
        .env("VIRT_TOOLS_DATA_DIR", "/nonexistent"))
    .unwrap();
    assert_eq!(converted.code, Some(0), "{converted:?}");
    let disk = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with("-disk0.qcow2"))
        .unwrap();
    let found = dir.path().join("rhsrvany.exe");
    let name = "/Program Files/Guestfs/Firstboot/rhsrvany.exe";
    must(
        Command::new("guestfish")
            .args(["--ro", "-i", "-a"])
            .arg(&disk)
            .args(["download", name])
            .arg(&found)
            .env("LIBGUESTFS_BACKEND", "direct")
            .env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg"),
    )
    .unwrap();
    assert!(
        fs::read(found).unwrap() == fs::read(firstboot("i686").unwrap()).unwrap(),
        "virt-v2v has installed another program"
    );
}
