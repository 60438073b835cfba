//! Commits that run to their end, and those that must not begin.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use refit_engine::disks::{
    DiskError, ImageError, Options, Overlays, PendingKind, Step, pending, recover,
};

use crate::support::*;

#[test]
fn every_format_is_committed_or_left_alone() {
    for kind in FORMATS {
        let dir = directory();
        let format = kind.split(':').next().unwrap();
        let path = disk(dir.path(), &name_for(kind), kind);
        let old = content(&path, format);
        let before = fs::read(&path).unwrap();

        let overlays = open(std::slice::from_ref(&path));
        let base = overlays.bases().next().unwrap();
        assert_eq!(base.format().as_str(), format, "{kind}");
        assert_eq!(base.virtual_size(), old.len() as u64, "{kind}");
        change(&overlays);
        overlays.discard().unwrap();
        assert_eq!(fs::read(&path).unwrap(), before, "{kind}: discarded");

        let overlays = open(std::slice::from_ref(&path));
        change(&overlays);
        overlays.commit(&mut |_| ()).unwrap();
        assert_eq!(content(&path, format), changed(&old), "{kind}: committed");
        assert!(leftovers(dir.path()).is_empty(), "{kind}");
    }
}

#[test]
fn the_steps_come_in_order_and_unchanged_disks_are_skipped() {
    let dir = directory();
    let disks = [
        disk(dir.path(), "a.qcow2", "qcow2"),
        disk(dir.path(), "b.img", "raw"),
    ];
    let overlays = open(&disks);
    let second = overlays.images().nth(1).unwrap().to_owned();
    qemu_io(&second, "qcow2", "write -P 1 0 512");
    let before = fs::metadata(&disks[0]).unwrap().modified().unwrap();
    let mut steps = Vec::new();
    overlays.commit(&mut |step| steps.push(step)).unwrap();
    let expected = [
        Step::Flushed,
        Step::Prepared { disk: 0 },
        Step::Prepared { disk: 1 },
        Step::Committing,
        Step::Copying { disk: 1 },
        Step::Copied { disk: 1 },
        Step::Committed,
        Step::Removed { disk: 1 },
        Step::Removed { disk: 0 },
    ];
    assert_eq!(steps, expected);
    assert_eq!(fs::metadata(&disks[0]).unwrap().modified().unwrap(), before);
}

#[test]
fn one_refit_at_a_time() {
    let dir = directory();
    let disks = [disk(dir.path(), "disk.img", "raw")];
    let mut other = spawn(&arguments(&["hold"], &disks));
    wait_for(&disks[0].with_extension("ready"));
    let options = Options::default();
    let busy = |result: Result<(), DiskError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, DiskError::Busy { .. }), "{error}");
        assert!(
            error.to_string().contains(&other.id().to_string()),
            "{error}"
        );
    };
    busy(Overlays::create(&specs(&disks), &options).map(drop));
    busy(recover(&disks, &options).map(drop));
    assert_eq!(
        pending(&disks[0], &options).unwrap().unwrap().kind,
        PendingKind::Busy
    );

    // Killed: what it left harms nobody.
    other.kill().unwrap();
    other.wait().unwrap();
    let found = pending(&disks[0], &options).unwrap().unwrap();
    assert!(found.is_harmless(), "{found}");
    open(&disks).discard().unwrap();
    assert_eq!(pending(&disks[0], &options).unwrap(), None);
    assert!(leftovers(dir.path()).is_empty());
}

#[test]
fn a_dropped_overlay_leaves_nothing() {
    let dir = directory();
    let disks = [disk(dir.path(), "disk.img", "raw")];
    let before = fs::read(&disks[0]).unwrap();
    let overlays = open(&disks);
    change(&overlays);
    drop(overlays);
    assert_eq!(fs::read(&disks[0]).unwrap(), before);
    assert!(leftovers(dir.path()).is_empty());
}

#[test]
fn a_base_that_others_change_or_use_is_not_written() {
    let dir = directory();
    let disks = [
        disk(dir.path(), "a.img", "raw"),
        disk(dir.path(), "b.qcow2", "qcow2"),
    ];
    let overlays = open(&disks);
    change(&overlays);
    qemu_io(&disks[1], "qcow2", "write -P 9 0 512");
    let before = [fs::read(&disks[0]).unwrap(), fs::read(&disks[1]).unwrap()];
    let error = overlays.commit(&mut |_| ()).unwrap_err();
    assert!(
        matches!(error, DiskError::Changed { .. }) && !error.base_may_have_changed(),
        "{error}"
    );
    assert_eq!(
        [fs::read(&disks[0]).unwrap(), fs::read(&disks[1]).unwrap()],
        before
    );
    assert!(leftovers(dir.path()).is_empty());

    let mut writer = Command::new("qemu-io");
    let writer = writer
        .args(["-f", "qcow2"])
        .arg(&disks[1])
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let overlays = open(&disks);
    change(&overlays);
    let mut writer = writer.spawn().unwrap();
    thread::sleep(Duration::from_millis(500));
    let error = overlays.commit(&mut |_| ()).unwrap_err();
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(
        matches!(error, DiskError::Image(ImageError::InUse { .. })),
        "{error}"
    );
    assert_eq!(fs::read(&disks[0]).unwrap(), before[0]);
}

#[test]
fn a_full_file_system_is_seen_before_the_commit() {
    let dir = directory();
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"], dir.path()) else {
        return;
    };
    let state = directory();
    let options = Options {
        state_dir: Some(state.path().into()),
        ..Options::default()
    };
    for kind in ["raw", "qcow2"] {
        let path = disk(dir.path(), "disk", kind);
        let before = fs::read(&path).unwrap();
        let filler = dir.path().join("filler");
        fs::write(&filler, vec![1; 5 << 20]).unwrap();

        let overlays = Overlays::create(&specs(std::slice::from_ref(&path)), &options).unwrap();
        change(&overlays);
        let error = overlays.commit(&mut |_| ()).unwrap_err();
        assert!(
            matches!(error, DiskError::NoSpace { .. }),
            "{kind}: {error}"
        );
        assert_eq!(fs::read(&path).unwrap(), before, "{kind}");

        // What is allocated already needs no space.
        let overlays = Overlays::create(&specs(std::slice::from_ref(&path)), &options).unwrap();
        qemu_io(
            overlays.images().next().unwrap(),
            "qcow2",
            "write -P 0x22 1M 2M",
        );
        overlays.commit(&mut |_| ()).unwrap();
        fs::remove_file(filler).unwrap();
        fs::remove_file(path).unwrap();
    }
    drop(mount);
}

/// The file system fills up after the check: the commit stops in the middle, and can be finished.
#[test]
fn a_commit_that_fails_in_the_middle_is_finished_later() {
    let dir = directory();
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "size=16m", "tmpfs"], dir.path()) else {
        return;
    };
    let state = directory();
    let options = Options {
        state_dir: Some(state.path().into()),
        ..Options::default()
    };
    let disks = [
        disk(dir.path(), "a.qcow2", "qcow2"),
        disk(dir.path(), "b.img", "raw"),
    ];
    let old = [content(&disks[0], "qcow2"), content(&disks[1], "raw")];
    let filler = dir.path().join("filler");
    let overlays = Overlays::create(&specs(&disks), &options).unwrap();
    change(&overlays);
    let error = overlays
        .commit(&mut |step| {
            if step == (Step::Copied { disk: 0 }) {
                let mut file = fs::File::create(&filler).unwrap();
                while file.write_all(&[1; 4096]).is_ok() {}
            }
        })
        .unwrap_err();
    assert!(error.base_may_have_changed(), "{error}");
    assert!(error.to_string().contains("refit recover"), "{error}");
    assert_eq!(
        pending(&disks[1], &options).unwrap().unwrap().kind,
        PendingKind::Commit
    );
    assert!(
        recover(&disks, &options)
            .unwrap_err()
            .base_may_have_changed()
    );
    fs::remove_file(filler).unwrap();
    assert_eq!(recover(&disks, &options).unwrap().finished, disks);
    assert!(content(&disks[0], "qcow2") == changed(&old[0]));
    assert!(content(&disks[1], "raw") == changed(&old[1]));
    drop(mount);
}
