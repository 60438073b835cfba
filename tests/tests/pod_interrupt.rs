//! `refit pod` is told to stop at moments that nobody chose: all disks are as they were, or all are done.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use refit_tests::{Pod, PodSpec, must, system_disk};

const LIMIT: Duration = Duration::from_secs(600);
/// Kubernetes sends SIGKILL 30 seconds after SIGTERM; a busy machine without KVM gets more here.
const STOP: Duration = Duration::from_secs(120);
const MIB: u64 = 1 << 20;
/// Each disk; the first has a file system at its start.
const SIZE: u64 = 160 * MIB;
/// What the stand-in for virt-v2v-in-place writes at the end of each disk.
const WRITES: u64 = 16 * MIB;
/// Chosen once, by dice.
const SEED: u64 = 0x5eed_2026_1123;
const ROUNDS: usize = 5;

/// An in-place conversion of three disks by a stand-in, with everything after it for real.
fn start() -> Pod {
    let mut spec = PodSpec::new().unwrap();
    let dir = spec.path().to_owned();
    let stand_ins = spec.stand_ins(&["virt-v2v-in-place"]).unwrap();
    fs::write(stand_ins.join("writes"), WRITES.to_string()).unwrap();
    fs::write(stand_ins.join("slow"), "0.5").unwrap();
    let system = system_disk(&dir, "web1").unwrap();
    for number in 0..3 {
        let disk = spec.disk(number).unwrap();
        if number == 0 {
            fs::rename(&system, &disk).unwrap();
        }
        let file = File::options()
            .create(true)
            .append(true)
            .open(&disk)
            .unwrap();
        file.set_len(SIZE).unwrap();
    }
    spec.env("V2V_source", "ec2")
        .env("V2V_vmName", "web1")
        .env("V2V_inPlace", "1")
        .env(
            "V2V_staticIPs",
            "00:50:56:aa:bb:01:ip:192.0.2.10,192.0.2.1,24",
        )
        .env("LOCAL_MIGRATION", "false");
    spec.start().unwrap()
}

fn disks(pod: &Pod) -> Vec<PathBuf> {
    (0..3)
        .map(|number| pod.path().join(format!("disk{number}/disk.img")))
        .collect()
}

fn digests(pod: &Pod) -> Vec<String> {
    disks(pod)
        .iter()
        .map(|disk| {
            let line = must(Command::new("sha256sum").arg(disk)).unwrap();
            line.split(' ').next().unwrap().to_owned()
        })
        .collect()
}

/// Whether the disk has what the conversion writes, all of it.
fn is_converted(disk: &Path) -> bool {
    let file = File::open(disk).unwrap();
    let mut end = vec![0; WRITES as usize];
    file.read_exact_at(&mut end, SIZE - WRITES).unwrap();
    end.iter().all(|byte| *byte == 0xaa)
}

/// Whether the first disk has what the fixups write, in a sound file system.
fn is_fixed(disk: &Path) -> bool {
    must(Command::new("e2fsck").args(["-f", "-n"]).arg(disk)).unwrap();
    let link = Command::new("debugfs")
        .args(["-R", "cat /etc/systemd/network/10-refit-ens192.link"])
        .arg(disk)
        .output()
        .unwrap();
    String::from_utf8_lossy(&link.stdout).contains("00:50:56:aa:bb:01")
}

fn assert_new(pod: &Pod) {
    for disk in disks(pod) {
        assert!(is_converted(&disk), "{}: {}", disk.display(), pod.log());
    }
    assert!(is_fixed(&disks(pod)[0]), "{}", pod.log());
}

/// As they were, or done; and nothing is left of what the work was done on. Says which.
fn assert_old_or_new(pod: &Pod, before: &[String]) -> &'static str {
    let state = if digests(pod) == before {
        "old"
    } else {
        assert_new(pod);
        "new"
    };
    for disk in disks(pod) {
        let beside = fs::read_dir(disk.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "something is left beside {}", disk.display());
    }
    for (path, _) in pod.left_behind().unwrap() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            !name.contains(".refit-") && !name.ends_with(".qcow2"),
            "{} is left behind",
            path.display()
        );
    }
    state
}

/// Marsaglia's xorshift64: parts of one.
fn dice(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as f64 / (1u64 << 53) as f64
}

#[test]
fn disks_are_old_or_new_whenever_it_is_stopped() {
    let began = Instant::now();
    let mut whole = start();
    let before = digests(&whole);
    assert_eq!(whole.end(LIMIT).unwrap(), 0, "{}", whole.log());
    let takes = began.elapsed();
    assert_eq!(assert_old_or_new(&whole, &before), "new");
    drop(whole);

    let mut seed = SEED;
    for round in 0..ROUNDS {
        let moment = takes.mul_f64(0.05 + dice(&mut seed));
        let mut pod = start();
        thread::sleep(moment);
        // It may have ended.
        let _ = pod.signal("TERM");
        let code = pod.end(STOP).unwrap();
        let state = assert_old_or_new(&pod, &before);
        println!("round {round}: SIGTERM after {moment:.1?}: exit code {code}, {state} disks");
        if state == "old" {
            assert_ne!(code, 0, "{}", pod.log());
            let log = pod.log();
            let last = log.lines().rfind(|line| !line.trim().is_empty()).unwrap();
            assert!(last.contains("interrupted"), "{log}");
            assert!(pod.termination_message().contains("interrupted"));
        }
    }

    // Past this point stopping would help nobody.
    let mut pod = start();
    pod.wait_for("Committing", LIMIT).unwrap();
    let _ = pod.signal("TERM");
    pod.end(STOP).unwrap();
    assert_eq!(assert_old_or_new(&pod, &before), "new", "{}", pod.log());
}

/// Without warning: overlays keep the disks as they were, as long as nothing is committed.
#[test]
fn a_killed_pod_has_not_touched_the_disks() {
    let mut pod = start();
    let before = digests(&pod);
    pod.wait_for("Setting up the source", LIMIT).unwrap();
    thread::sleep(Duration::from_secs(3));
    pod.signal("KILL").unwrap();
    assert_ne!(pod.end(STOP).unwrap(), 0);
    assert_eq!(digests(&pod), before);
}
