//! The first-boot service of Windows guests, under Wine: its registry, its services, its file system.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use refit_tests::{Wine, firstboot, must, refit, root, run, windows};

const PROGRAM: &str = "refit-firstboot.exe";
const FOLDER: &str = "C:\\Program Files\\refit\\firstboot";
/// Longest wait for something that takes a second.
const LIMIT: Duration = Duration::from_secs(120);

/// The folder above `tasks` with the program in it.
struct Folder<'w> {
    wine: &'w Wine,
    path: PathBuf,
}

impl<'w> Folder<'w> {
    fn new(wine: &'w Wine) -> Self {
        let path = wine.c("Program Files/refit/firstboot");
        fs::create_dir_all(path.join("tasks")).unwrap();
        fs::create_dir_all(path.join("files")).unwrap();
        fs::copy(
            firstboot(wine.arch()).unwrap(),
            path.join("refit-firstboot.exe"),
        )
        .unwrap();
        Self { wine, path }
    }

    fn task(&self, name: &str, lines: &str) {
        let text = format!("refit-task 1\n{lines}\n");
        fs::write(self.path.join("tasks").join(name), text).unwrap();
    }

    fn script(&self, name: &str, lines: &str) {
        fs::write(
            self.path.join("files").join(name),
            lines.replace('\n', "\r\n"),
        )
        .unwrap();
    }

    /// A task that runs a script of these lines.
    fn scripted(&self, task: &str, keys: &str, lines: &str) {
        let script = format!("{task}.cmd");
        self.script(&script, &format!("@echo off\n{lines}\n"));
        self.task(
            &format!("{task}.task"),
            &format!("kind script\ninterpreter cmd\nscript %Refit%\\files\\{script}\n{keys}"),
        );
    }

    /// One boot in the console; its exit code, of which Unix sees the lowest byte.
    fn boot(&self) -> i32 {
        let program = format!("{FOLDER}\\refit-firstboot.exe");
        let words = [
            &program, "run", FOLDER, "--pause", "0", "--settle", "1", "--peer", "1",
        ];
        let output = self.wine.run(&words).output().unwrap();
        // Shown if the test fails.
        println!("{}", String::from_utf8_lossy(&output.stdout));
        println!("{}", String::from_utf8_lossy(&output.stderr));
        output.status.code().unwrap()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path.join(name)).unwrap_or_default()
    }

    /// Each task's result, without its message.
    fn results(&self) -> Vec<String> {
        let result = self.read("complete");
        let words = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        result.lines().map(words).collect()
    }

    /// What is in it, without the program: Wine removes that whenever it starts anew.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != PROGRAM)
            .collect();
        names.sort();
        names
    }
}

/// What Unix sees of 3010.
const RESTART: i32 = 3010 & 0xff;

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < LIMIT, "{what}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn tasks_of_every_kind_are_done_in_order() {
    let wine = Wine::new().unwrap();
    let folder = Folder::new(&wine);
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

    assert_eq!(folder.boot(), RESTART, "{}", folder.read("log.txt"));
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
    assert!(said.contains(FOLDER), "{said}");
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
    let folder = Folder::new(&wine);
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

    assert_eq!(folder.boot(), RESTART, "{}", folder.read("log.txt"));
    assert_eq!(folder.boot(), RESTART);
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
    let folder = Folder::new(&wine);
    // The script waits until the power is off, unless it has waited before.
    let waits = "if exist \"%~dpn0.once\" exit /b 0\necho x> \"%~dpn0.once\"\n:again\ngoto again";
    folder.scripted("10-a", "attempts 2", waits);
    folder.scripted("20-b", "attempts 2", waits);
    folder.scripted("30-never", "attempts 2", ":again\ngoto again");
    folder.scripted("40-c", "attempts 2", waits);
    let program = format!("{FOLDER}\\refit-firstboot.exe");
    for attempt in 1..=5 {
        let words = [&program, "run", FOLDER, "--pause", "0", "--settle", "1"];
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
    let folder = Folder::new(&wine);
    folder.scripted("10-a", "reboot always", "exit /b 0");
    for (boot, expected) in [(1, RESTART), (2, 1)] {
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

fn service(wine: &Wine) {
    wine.registry(concat!(
        "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\refit-firstboot]\n",
        "\"Type\"=dword:00000010\n\"Start\"=dword:00000002\n\"ErrorControl\"=dword:00000001\n",
        "\"ImagePath\"=\"\\\"C:\\\\Program Files\\\\refit\\\\firstboot\\\\refit-firstboot.exe\\\" service\"\n",
        "\"DisplayName\"=\"refit first-boot service\"\n\"ObjectName\"=\"LocalSystem\"\n",
    ))
    .unwrap();
}

fn exists(wine: &Wine, service: &str) -> bool {
    let key = format!("HKLM\\SYSTEM\\CurrentControlSet\\Services\\{service}");
    wine.query(&key).unwrap().is_some()
}

#[test]
fn both_services_run_at_boot_virt_v2vs_first_and_remove_themselves() {
    let wine = Wine::new().unwrap();
    let folder = Folder::new(&wine);
    let port = serial_port(&wine);
    folder.scripted("70-a", "title Ours", "echo refit>> C:\\order.txt");
    virt_v2v(&wine);
    service(&wine);
    wine.power_off().unwrap();

    wine.power_on().unwrap();
    wait_for("the result", || folder.path.join("complete").exists());
    wait_for("the service's end", || !exists(&wine, "refit-firstboot"));
    wait_for("virt-v2v's service's end", || !exists(&wine, "firstboot"));

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
        !folder.path.join(PROGRAM).exists(),
        "a start later the program is gone"
    );
}

#[test]
fn virt_v2vs_service_without_progress_is_switched_off() {
    let wine = Wine::new().unwrap();
    let folder = Folder::new(&wine);
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
    assert_eq!(folder.boot(), RESTART, "{}", folder.read("log.txt"));
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
    wait_for("the service's end", || !exists(&wine, "any"));
    assert!(run(&["-s", "any", "uninstall"]), "what is gone is gone");
    assert!(!run(&["-s", "any\\thing", "install"]));
    assert!(!run(&["--help"]));
}

/// The first network interface of this host with a static look: address, length and hardware address.
fn host_interface() -> Option<(String, String)> {
    let output = Command::new("ip")
        .args(["-4", "-o", "addr", "show", "scope", "global"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.lines().next()?.split_whitespace();
    let name = words.nth(1)?;
    let address = words.nth(1)?.to_owned();
    let mac = fs::read_to_string(Path::new("/sys/class/net").join(name).join("address")).ok()?;
    Some((mac.trim().to_owned(), address))
}

const OLD: &str = "{AAAAAAAA-1111-2222-3333-444444444444}";
const INTERFACES: &str =
    "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters\\Interfaces";

/// An interface that the machine had, with a static address.
fn earlier_interface(wine: &Wine) {
    wine.registry(&format!(
        "[{INTERFACES}\\{OLD}]\n\"EnableDHCP\"=dword:0\n\"IPAddress\"=hex(7):{}\n\"SubnetMask\"=hex(7):{}\n\"NameServer\"=\"192.0.2.53\"\n\"Domain\"=\"example.com\"",
        multi("198.51.100.10"),
        multi("255.255.255.0"),
    ))
    .unwrap();
}

#[test]
fn settings_of_an_interface_are_found_by_its_hardware_address() {
    let Some((mac, address)) = host_interface() else {
        println!("this host has no network interface that Wine could show");
        return;
    };
    let wine = Wine::new().unwrap();
    let folder = Folder::new(&wine);
    earlier_interface(&wine);
    // The addresses that it has, by Wine's netsh, which changes nothing.
    folder.task(
        "40-same.task",
        &format!("kind network\nmac {mac}\naddress {address}\nattempts 1"),
    );
    // Addresses that netsh does not set.
    folder.task(
        "41-other.task",
        &format!("kind network\nmac {mac}\naddress 198.51.100.9/24\nattempts 1\ntimeout 2"),
    );
    folder.task(
        "42-none.task",
        "kind network\nmac 02:00:00:00:00:99\ndhcp4 yes\nattempts 1\ntimeout 1",
    );
    folder.task(
        "43-present.task",
        &format!("kind network\nmac {mac}\nfrom-interface {OLD}\nattempts 1\ntimeout 2"),
    );
    assert_eq!(folder.boot(), 1, "{}", folder.read("log.txt"));
    assert_eq!(
        folder.results(),
        [
            "done 40-same.task",
            "failed 41-other.task",
            "failed 42-none.task",
            "failed 43-present.task"
        ]
    );
    let log = folder.read("log.txt");
    for line in [
        "source=static address=198.51.100.9 mask=255.255.255.0 gateway=none",
        "source=static address=198.51.100.10 mask=255.255.255.0 gateway=none",
        "no network interface with the address 02:00:00:00:00:99",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[test]
fn without_netsh_the_registry_is_written_for_the_next_start() {
    let Some((mac, _)) = host_interface() else {
        println!("this host has no network interface that Wine could show");
        return;
    };
    let wine = Wine::new().unwrap();
    let folder = Folder::new(&wine);
    earlier_interface(&wine);
    // Without a netsh that works, the registry is written and a restart asked for.
    let netsh = wine.c("windows/system32/netsh.exe");
    fs::remove_file(&netsh).unwrap();
    fs::write(&netsh, "no program").unwrap();
    fs::create_dir_all(folder.path.join("tasks")).unwrap();
    folder.task(
        "44-move.task",
        &format!("kind network\nmac {mac}\nfrom-interface {OLD}"),
    );
    assert_eq!(folder.boot(), RESTART, "{}", folder.read("log.txt"));
    let all = wine.query(INTERFACES).unwrap().unwrap();
    let (old, new): (Vec<&str>, Vec<&str>) = all.split("\n\n").partition(|key| key.contains(OLD));
    let (old, new) = (old.join("\n"), new.join("\n"));
    for value in [
        "IPAddress    REG_MULTI_SZ    198.51.100.10",
        "255.255.255.0",
        "192.0.2.53",
        "example.com",
    ] {
        assert!(new.contains(value), "{value}: {all}");
    }
    assert!(
        old.contains("EnableDHCP    REG_DWORD    0x1") && !old.contains("198.51.100.10"),
        "{all}"
    );
    assert_eq!(folder.boot(), 0, "{}", folder.read("log.txt"));
}

#[test]
fn windows_xp_64_is_served_without_netsh_and_newer_functions() {
    before_vista(&Wine::new().unwrap(), "winxp64");
}

#[test]
fn windows_xp_32_is_served_without_netsh_and_newer_functions() {
    before_vista(&Wine::new_32().unwrap(), "winxp");
}

/// Wine as Windows XP: the program takes the ways that it takes there.
fn before_vista(wine: &Wine, version: &str) {
    let folder = Folder::new(wine);
    wine.registry(&format!(
        "[HKEY_CURRENT_USER\\Software\\Wine]\n\"Version\"=\"{version}\""
    ))
    .unwrap();
    wine.registry("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Old\\a\\b\\c]\n\"x\"=\"y\"")
        .unwrap();
    // As a service, at the start of the system.
    folder.scripted("71-service", "", "exit /b 0");
    service(wine);
    wine.power_off().unwrap();
    wine.power_on().unwrap();
    wait_for("the service's end", || !exists(wine, "refit-firstboot"));
    wait_for("the files' removal", || folder.names().len() <= 2);
    assert_eq!(folder.results(), ["done 71-service.task"]);

    // In the console, several boots.
    let folder = Folder::new(wine);
    fs::remove_file(folder.path.join("complete")).unwrap();
    // Its netsh knows other words, so none is started.
    fs::remove_file(wine.c("windows/system32/netsh.exe")).unwrap();
    folder.task("20-wait.task", "kind wait-pnp\ntimeout 30");
    folder.task(
        "35-registry.task",
        "kind registry\nkey HKLM\\SOFTWARE\\Old\\a\\b\ndelete-key yes",
    );
    folder.task("50-disks.task", "kind online-disks\ntimeout 2");
    folder.scripted("70-script", "", "exit /b 0");
    let mut expected = vec!["done 20-wait.task", "done 35-registry.task"];
    let mut boots = vec![0];
    let interface = host_interface();
    if let Some((mac, _)) = &interface {
        earlier_interface(wine);
        folder.task(
            "40-move.task",
            &format!(
                "kind network\nmac {mac}\nfrom-interface {OLD}\ngateway 198.51.100.1\n\
                 route 10.0.0.0/8 198.51.100.2\nwins 192.0.2.60\ntimeout 5"
            ),
        );
        folder.task(
            "41-six.task",
            &format!("kind network\nmac {mac}\naddress 2001:db8::1/64\nattempts 1\ntimeout 5"),
        );
        expected.extend(["done 40-move.task", "failed 41-six.task"]);
        boots = vec![RESTART, 1];
    }
    expected.extend(["done 50-disks.task", "done 70-script.task"]);
    for code in boots {
        assert_eq!(folder.boot(), code, "{}", folder.read("log.txt"));
    }
    assert_eq!(folder.results(), expected, "{}", folder.read("complete"));
    assert_eq!(wine.query("HKLM\\SOFTWARE\\Old\\a\\b").unwrap(), None);
    assert!(wine.query("HKLM\\SOFTWARE\\Old\\a").unwrap().is_some());
    if interface.is_some() {
        let all = wine.query(INTERFACES).unwrap().unwrap();
        let (old, new): (Vec<&str>, Vec<&str>) =
            all.split("\n\n").partition(|key| key.contains(OLD));
        let (old, new) = (old.join("\n"), new.join("\n"));
        for value in [
            "EnableDHCP    REG_DWORD    0x0",
            "IPAddress    REG_MULTI_SZ    198.51.100.10",
            "SubnetMask    REG_MULTI_SZ    255.255.255.0",
            "DefaultGateway    REG_MULTI_SZ    198.51.100.1",
            "NameServer    REG_SZ    192.0.2.53",
            "Domain    REG_SZ    example.com",
        ] {
            assert!(new.contains(value), "{value}: {all}");
        }
        assert!(!old.contains("198.51.100.10"), "released: {all}");
        let parameters = INTERFACES.trim_end_matches("\\Interfaces");
        let routes = wine.query(&format!("{parameters}\\PersistentRoutes"));
        let routes = routes.unwrap().unwrap();
        assert!(
            routes.contains("10.0.0.0,255.0.0.0,198.51.100.2,1"),
            "{routes}"
        );
        let log = folder.read("log.txt");
        assert!(!log.contains("netsh"), "{log}");
        assert!(
            log.contains("IPv6 cannot be set on Windows before Vista"),
            "{log}"
        );
    }
}

/// One string as the bytes of a `REG_MULTI_SZ`, as `.reg` files have them.
fn multi(text: &str) -> String {
    let units = text.encode_utf16().chain([0, 0]).flat_map(u16::to_le_bytes);
    units
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(",")
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
