//! Ctrl-C, SIGTERM and SIGKILL in every phase: the source stays as it is, no process stays behind,
//! and after a signal that can be caught no file either.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use refit_tests::{Guest, Run, To, Watched, guest, must, refit, run, system_disk};

const NIC: &str = "00:50:56:aa:bb:01=192.0.2.10/24";

/// How long a stop may take. What the appliance is doing is completed first, which takes its time
/// on a loaded machine without KVM; a process that was to be killed is gone much sooner.
const STOP: Duration = Duration::from_secs(240);
/// How long processes may outlive one that could not tell them to end.
const ORPHANS: Duration = Duration::from_secs(60);

fn digest(path: &Path) -> String {
    must(Command::new("sha256sum").arg(path)).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What holds for every run that was told to stop.
fn assert_stopped(run: &Run, watched: &Watched) {
    assert_eq!(run.code, Some(130), "{run:?}");
    let document = run.json().unwrap();
    assert_eq!(
        (&document["schema"], &document["changed"]),
        (&"refit/error/v1".into(), &false.into())
    );
    let lines: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.contains("error:"))
        .collect();
    assert_eq!(
        lines,
        ["error: interrupted; nothing was changed"],
        "{run:?}"
    );
    // It waits for its children before it ends.
    watched.alone(ORPHANS).unwrap();
    assert_eq!(watched.temporary_files().unwrap(), Vec::<PathBuf>::new());
}

/// The guest that all conversions and boots here share.
fn source() -> &'static (Guest, String) {
    static SOURCE: OnceLock<(Guest, String)> = OnceLock::new();
    SOURCE.get_or_init(|| {
        let guest = guest(&[]).unwrap();
        let digest = digest(guest.disk());
        (guest, digest)
    })
}

fn assert_source_untouched() {
    let (guest, before) = source();
    assert_eq!(&digest(guest.disk()), before);
}

/// Starts a conversion, lets it come to the phase that announces itself with these words, and then
/// to the condition.
fn converting(dir: &Path, phase: &str, condition: impl FnMut(&Watched) -> bool) -> Watched {
    converting_by("virt-v2v", dir, phase, condition)
}

fn converting_by(
    engine: &str,
    dir: &Path,
    phase: &str,
    condition: impl FnMut(&Watched) -> bool,
) -> Watched {
    let (source, _) = source();
    let mut command = refit();
    command
        .args(["convert", "--json", "--engine", engine, "--out"])
        .arg(dir.join("out"))
        .arg(source.disk());
    let mut watched = Watched::start(&mut command, dir).unwrap();
    watched.wait_for(phase).unwrap();
    watched.wait_until("the right moment", condition).unwrap();
    watched
}

fn appliance_runs(watched: &Watched) -> bool {
    watched
        .command_lines()
        .iter()
        .any(|line| line.contains("qemu-system"))
}

#[test]
fn a_conversion_is_stopped_while_it_opens_the_source() {
    let dir = tempfile::tempdir().unwrap();
    let mut watched = converting(dir.path(), "Opening the source", appliance_runs);
    watched.signal("INT", To::Group).unwrap();
    assert_stopped(&watched.end(STOP).unwrap(), &watched);
    assert!(!dir.path().join("out").exists());
    assert!(
        !dir.path().join("out.failed.log").exists(),
        "nothing failed"
    );
    assert_source_untouched();
}

#[test]
fn a_conversion_is_stopped_while_it_converts() {
    let dir = tempfile::tempdir().unwrap();
    let mut watched = converting(dir.path(), "] Converting", |_| true);
    watched.signal("TERM", To::Process).unwrap();
    assert_stopped(&watched.end(STOP).unwrap(), &watched);
    assert!(!dir.path().join("out").exists());
    assert_source_untouched();
}

#[test]
fn a_conversion_is_stopped_while_it_copies() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let mut watched = converting(dir.path(), "Copying disk 1 of 1", |_| true);
    watched.signal("INT", To::Group).unwrap();
    assert_stopped(&watched.end(STOP).unwrap(), &watched);
    assert_eq!(names(&out), Vec::<String>::new(), "it was there before");
    assert_source_untouched();
}

#[test]
fn a_conversion_without_virt_v2v_is_stopped_or_killed_while_it_copies() {
    for signal in ["INT", "KILL"] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let copying = |watched: &Watched| {
            let lines = watched.command_lines();
            lines.iter().any(|line| line.contains("qemu-img convert"))
        };
        let mut watched = converting_by("refit", dir.path(), "Copying disk 1 of 1", copying);
        if signal == "INT" {
            watched.signal(signal, To::Group).unwrap();
            assert_stopped(&watched.end(STOP).unwrap(), &watched);
            assert!(!out.exists());
        } else {
            watched.signal(signal, To::Process).unwrap();
            assert_eq!(watched.end(STOP).unwrap().code, None, "killed");
            watched.alone(ORPHANS).unwrap();
            assert_eq!(names(&out), [".refit-partial"]);
        }
        assert_source_untouched();
    }
}

#[test]
fn a_killed_conversion_leaves_no_process_and_the_next_one_clears_up() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut watched = converting(dir.path(), "] Converting", appliance_runs);
    watched.signal("KILL", To::Process).unwrap();
    assert_eq!(watched.end(STOP).unwrap().code, None, "killed");
    watched.alone(ORPHANS).unwrap();
    assert_eq!(
        names(&out),
        [".refit-partial"],
        "nothing under a final name"
    );
    assert_source_untouched();

    // It gets as far as virt-v2v, and fails there.
    let input = dir.path().join("empty.xml");
    let domain = "<domain type='kvm'><name>x</name><memory>1048576</memory><vcpu>1</vcpu>\
                  <os><type>hvm</type></os><devices/></domain>";
    fs::write(&input, domain).unwrap();
    let next = run(refit()
        .args(["convert", "--json", "--out"])
        .arg(&out)
        .arg(&input))
    .unwrap();
    assert_eq!(next.code, Some(1), "{next:?}");
    let message = next.json().unwrap()["error"].as_str().unwrap().to_owned();
    assert!(
        message.contains("empty.xml") && message.contains("out.failed.log"),
        "{message}"
    );
    assert_eq!(names(&out), Vec::<String>::new());
}

/// A fix of a small guest.
struct Fix {
    dir: tempfile::TempDir,
    disk: PathBuf,
    before: String,
    watched: Watched,
}

impl Fix {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("work");
        fs::create_dir(&work).unwrap();
        let disk = system_disk(&work, "disk").unwrap();
        fs::remove_dir_all(work.join("disk.tree")).unwrap();
        let before = digest(&disk);
        let mut command = refit();
        command.args(["fix", "--json", "--nic", NIC]).arg(&disk);
        let watched = Watched::start(&mut command, dir.path()).unwrap();
        Self {
            dir,
            disk,
            before,
            watched,
        }
    }

    fn assert_untouched(&self) {
        assert_eq!(digest(&self.disk), self.before);
        assert_eq!(names(&self.dir.path().join("work")), ["disk.img"]);
    }
}

#[test]
fn a_fix_is_stopped_while_the_appliance_starts() {
    let mut fix = Fix::start();
    fix.watched
        .wait_until("the appliance", appliance_runs)
        .unwrap();
    fix.watched.signal("INT", To::Group).unwrap();
    assert_stopped(&fix.watched.end(STOP).unwrap(), &fix.watched);
    fix.assert_untouched();
}

#[test]
fn a_fix_is_stopped_before_the_appliance_starts() {
    let mut fix = Fix::start();
    fix.watched
        .wait_until("the overlay", |_| {
            fix.disk.with_file_name(".refit-disk.img").exists()
        })
        .unwrap();
    fix.watched.signal("INT", To::Group).unwrap();
    assert_stopped(&fix.watched.end(STOP).unwrap(), &fix.watched);
    fix.assert_untouched();
}

#[test]
fn a_fix_is_stopped_while_it_plans() {
    let mut fix = Fix::start();
    fix.watched.wait_for("] Planning").unwrap();
    fix.watched.signal("INT", To::Group).unwrap();
    assert_stopped(&fix.watched.end(STOP).unwrap(), &fix.watched);
    fix.assert_untouched();
}

/// Past the commit point stopping would help nobody: the fix is completed, and says so.
#[test]
fn a_fix_is_completed_once_it_commits() {
    let mut fix = Fix::start();
    fix.watched.wait_for("Committing to the disks").unwrap();
    // It may be done before the signal comes.
    let _ = fix.watched.signal("INT", To::Group);
    let fixed = fix.watched.end(STOP).unwrap();
    assert_eq!(fixed.code, Some(0), "{fixed:?}");
    assert_eq!(fixed.json().unwrap()["applied"], true);
    fix.watched.alone(ORPHANS).unwrap();
    let recovered = run(refit().args(["recover", "--json"]).arg(&fix.disk)).unwrap();
    assert_eq!(
        recovered.json().unwrap()["clean"][0],
        fix.disk.to_str().unwrap(),
        "{recovered:?}"
    );
    assert_ne!(digest(&fix.disk), fix.before);
}

#[test]
fn a_killed_fix_leaves_no_process() {
    let mut fix = Fix::start();
    fix.watched
        .wait_until("the appliance", appliance_runs)
        .unwrap();
    fix.watched.signal("KILL", To::Process).unwrap();
    assert_eq!(fix.watched.end(STOP).unwrap().code, None, "killed");
    fix.watched.alone(ORPHANS).unwrap();
    let recovered = run(refit().args(["recover", "--json"]).arg(&fix.disk)).unwrap();
    assert_eq!(recovered.code, Some(0), "{recovered:?}");
    fix.assert_untouched();
}

#[test]
fn a_boot_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (source, _) = source();
    for (signal, to) in [
        ("INT", To::Group),
        ("TERM", To::Process),
        ("KILL", To::Process),
    ] {
        let mut command = refit();
        command
            .args(["boot", "--json", "--accel", "tcg"])
            .arg(source.disk());
        let mut watched = Watched::start(&mut command, dir.path()).unwrap();
        watched.wait_until("qemu", appliance_runs).unwrap();
        watched.signal(signal, to).unwrap();
        let stopped = watched.end(STOP).unwrap();
        if signal == "KILL" {
            assert_eq!(stopped.code, None, "{stopped:?}");
            watched.alone(ORPHANS).unwrap();
        } else {
            assert_stopped(&stopped, &watched);
        }
    }
    assert_source_untouched();
}
