//! Commits and recoveries that are killed, and state that was tampered with.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use refit_engine::disks::{
    DiskError, ImageError, Options, Overlays, PendingKind, Recovered, Step, pending, recover,
};

use crate::support::*;

/// Waits until an orphaned qemu-img gave its lock back.
fn wait_until_free(disk: &Path) {
    for _ in 0..3000 {
        match pending(disk, &Options::default()).unwrap() {
            Some(found) if found.kind == PendingKind::Busy => {
                thread::sleep(Duration::from_millis(20));
            }
            _ => return,
        }
    }
    panic!("{} stays locked", disk.display());
}

/// Dies at each step with 1 and 3 disks, in different formats; recovered from any of the disks.
#[test]
fn killed_at_each_step() {
    for kinds in [&["qcow2"][..], &["raw", "qcow2", "vmdk"]] {
        let dir = directory();
        let make = || -> Vec<PathBuf> {
            let name = |index, kind: &str| format!("disk{index}.{kind}");
            let kinds = kinds.iter().enumerate();
            kinds
                .map(|(index, kind)| disk(dir.path(), &name(index, kind), kind))
                .collect()
        };
        let mut steps = Vec::new();
        let disks = make();
        let old: Vec<_> = disks
            .iter()
            .zip(kinds)
            .map(|(disk, kind)| content(disk, kind))
            .collect();
        let overlays = open(&disks);
        change(&overlays);
        overlays.commit(&mut |step| steps.push(step)).unwrap();
        assert!(steps.len() > 6);
        let point = steps
            .iter()
            .position(|step| *step == Step::Committing)
            .unwrap();

        for (number, step) in steps.iter().enumerate() {
            let disks = make();
            let bytes: Vec<_> = disks.iter().map(|disk| fs::read(disk).unwrap()).collect();
            let mut killed = spawn(&arguments(&["commit", &format!("{step:?}")], &disks));
            assert!(
                !killed.wait().unwrap().success(),
                "{step:?}: was not reached"
            );

            let past = number >= point;
            let written = *step == Step::Committed || matches!(step, Step::Removed { .. });
            let from = number % disks.len();
            let found = pending(&disks[from], &Options::default()).unwrap();
            let removed = matches!(step, Step::Removed { disk } if *disk <= from);
            let expected = if removed {
                None
            } else if past && !written {
                Some(PendingKind::Commit)
            } else {
                Some(PendingKind::Leftover)
            };
            assert_eq!(
                found.map(|found| found.kind),
                expected,
                "{step:?} from {from}"
            );
            if past && !written {
                let refused = Overlays::create(&specs(&disks), &Options::default()).unwrap_err();
                assert!(
                    matches!(refused, DiskError::Interrupted { .. }),
                    "{refused}"
                );
            }
            if !past {
                for (disk, bytes) in disks.iter().zip(&bytes) {
                    assert_eq!(&fs::read(disk).unwrap(), bytes, "{step:?}: not the old one");
                }
            }
            // From one disk of the run, then from all: the second finds nothing left to do.
            recover(&disks[from..=from], &Options::default()).unwrap();
            let rest = recover(&disks, &Options::default()).unwrap();
            assert!(rest.finished.is_empty() || removed, "{step:?}: {rest:?}");
            for ((disk, kind), old) in disks.iter().zip(kinds).zip(&old) {
                let expected = if past { changed(old) } else { old.clone() };
                assert!(
                    content(disk, kind) == expected,
                    "{step:?}: {}",
                    disk.display()
                );
            }
            assert!(leftovers(dir.path()).is_empty(), "{step:?}");
            let clean = recover(&disks, &Options::default()).unwrap();
            assert_eq!(
                clean,
                Recovered {
                    clean: disks,
                    ..Recovered::default()
                }
            );
        }
    }
}

/// SIGKILL at random times while 64 MiB are written to each of two disks, then recoveries that are
/// killed as well.
#[test]
fn killed_at_random() {
    let dir = directory();
    let mut seed = u64::from(std::process::id());
    let mut random = |below: u64| {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) % below
    };
    for round in 0..8 {
        let disks = [dir.path().join("a.img"), dir.path().join("b.qcow2")];
        raw_disk(&disks[0], 96 * MIB);
        let names = disks.each_ref().map(|disk| disk.to_str().unwrap());
        qemu_img(&["convert", "-f", "raw", "-O", "qcow2", names[0], names[1]]);
        let old = fs::read(&disks[0]).unwrap();
        let mut new = old.clone();
        new[16 << 20..80 << 20].fill(0x77);

        let mark = disks[0].with_extension("ready");
        let _ = fs::remove_file(&mark);
        let mut killed = spawn(&arguments(&["large"], &disks));
        wait_for(&mark);
        let delay = round * 40 + random(40);
        thread::sleep(Duration::from_millis(delay));
        killed.kill().unwrap();
        killed.wait().unwrap();
        for _ in 0..3 {
            disks.iter().for_each(|disk| wait_until_free(disk));
            let mut killed = spawn(&arguments(&["recover"], &disks));
            thread::sleep(Duration::from_millis(random(100)));
            killed.kill().unwrap();
            killed.wait().unwrap();
        }
        disks.iter().for_each(|disk| wait_until_free(disk));
        recover(&disks, &Options::default()).unwrap();
        let first = fs::read(&disks[0]).unwrap();
        let second = content(&disks[1], "qcow2");
        assert!(
            first == old || first == new,
            "round {round}, {delay} ms: a is neither"
        );
        assert!(
            first == second,
            "round {round}, {delay} ms: not all or none"
        );
        qemu_img(&["check", "-q", "-f", "qcow2", names[1]]);
        assert!(leftovers(dir.path()).is_empty());
        eprintln!(
            "round {round}: killed after {delay} ms: {}",
            if first == old { "old" } else { "new" }
        );
    }
}

/// State that somebody planted beside an image must not make recover write elsewhere.
#[test]
fn planted_state_is_refused() {
    let dir = directory();
    let disks = [
        disk(dir.path(), "a.img", "raw"),
        disk(dir.path(), "b.img", "raw"),
    ];
    let mut killed = spawn(&arguments(&["commit", "Committing"], &disks));
    assert!(!killed.wait().unwrap().success());
    let victim = disk(dir.path(), "victim.img", "raw");
    let before: Vec<_> = [&disks[0], &disks[1], &victim]
        .map(|path| fs::read(path).unwrap())
        .into();
    let state = dir.path().join(".refit-b.img");
    let overlay = state.join("overlay.qcow2");

    let saved = fs::read(&overlay).unwrap();
    let (overlay_name, victim_name) = (overlay.to_str().unwrap(), victim.to_str().unwrap());
    qemu_img(&[
        "rebase",
        "-u",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        victim_name,
        overlay_name,
    ]);
    let error = recover(&disks, &Options::default()).unwrap_err();
    assert!(matches!(error, DiskError::State { .. }), "{error}");

    fs::remove_file(&overlay).unwrap();
    let error = recover(&disks, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");

    fs::rename(&disks[1], dir.path().join("elsewhere")).unwrap();
    fs::write(&overlay, &saved).unwrap();
    let error = recover(&disks[..1], &Options::default()).unwrap_err();
    assert!(
        matches!(error, DiskError::Image(ImageError::Missing { .. })),
        "{error}"
    );
    fs::rename(dir.path().join("elsewhere"), &disks[1]).unwrap();

    let first = dir.path().join(".refit-a.img");
    fs::rename(&first, dir.path().join("hidden")).unwrap();
    let error = recover(&disks[1..], &Options::default()).unwrap_err();
    assert!(error.to_string().contains("a.img"), "{error}");
    assert!(pending(&disks[1], &Options::default()).is_err());
    fs::rename(dir.path().join("hidden"), &first).unwrap();

    let after: Vec<_> = [&disks[0], &disks[1], &victim]
        .map(|path| fs::read(path).unwrap())
        .into();
    assert!(before == after, "a refused recovery wrote");
    let done = recover(&disks, &Options::default()).unwrap();
    assert_eq!(done.finished, disks);
    assert_eq!(fs::read(&disks[1]).unwrap(), changed(&before[1]));
}
