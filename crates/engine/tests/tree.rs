//! Staging, applying and undoing on a real directory tree.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use refit_engine::backend::RootBackend;
use refit_engine::{
    Change, Fixup, Guest, GuestPath, Hints, Info, InitramfsFile, Job, Phase, Proposal, Request,
    Selection, UndoFile, Verdict, VerdictKind, fix, plan_guest,
};

/// Proposes the given changes until the guest looks as if they were made.
struct Fixed {
    info: Info,
    changes: Vec<Change>,
    done: fn(&Guest<'_>) -> anyhow::Result<bool>,
}

impl Fixed {
    fn new(id: &str, changes: Vec<Change>, done: fn(&Guest<'_>) -> anyhow::Result<bool>) -> Self {
        let info = Info {
            id: id.to_owned(),
            summary: String::new(),
            phase: Phase::Network,
            parameters: BTreeMap::new(),
        };
        Self {
            info,
            changes,
            done,
        }
    }
}

impl Fixup for Fixed {
    fn info(&self) -> &Info {
        &self.info
    }

    fn plan(&self, guest: &Guest<'_>, _: &Request) -> anyhow::Result<Proposal> {
        let reason = "as asked".to_owned();
        Ok(match (self.done)(guest)? {
            true => Verdict::Fine { reason },
            false => Verdict::Change {
                reason,
                changes: self.changes.clone(),
            },
        }
        .into())
    }
}

/// Everything about a tree that undo must bring back: kind, mode, owner, times, content.
fn snapshot(root: &Path) -> BTreeMap<String, String> {
    fn walk(root: &Path, dir: &Path, into: &mut BTreeMap<String, String>) {
        let mut paths: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.push(dir.to_owned());
        for path in paths {
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_symlink() {
                fs::read_link(&path).unwrap().to_string_lossy().into_owned()
            } else if meta.is_file() {
                format!("{:?}", fs::read(&path).unwrap())
            } else {
                if path != dir {
                    walk(root, &path, into);
                }
                String::new()
            };
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let times = meta.mtime_nsec();
            into.insert(
                name,
                format!(
                    "{:o} {} {} {times} {content}",
                    meta.mode(),
                    meta.uid(),
                    meta.gid()
                ),
            );
        }
    }
    let mut tree = BTreeMap::new();
    walk(root, root, &mut tree);
    tree
}

fn guest_tree() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let etc = root.path().join("etc");
    fs::create_dir_all(etc.join("old/deep")).unwrap();
    fs::create_dir_all(root.path().join("boot")).unwrap();
    fs::write(etc.join("os-release"), "ID=debian\nVERSION_ID=\"12\"\n").unwrap();
    fs::write(etc.join("fstab"), "old\n").unwrap();
    fs::set_permissions(etc.join("fstab"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(etc.join("old/deep/\u{fc}ber"), "x").unwrap();
    symlink("deep", etc.join("old/link")).unwrap();
    symlink("../etc", root.path().join("boot/escape")).unwrap();
    fs::write(root.path().join("boot/initrd.img-6.1.0"), vec![0xfd; 1001]).unwrap();
    root
}

fn changes() -> Vec<Change> {
    vec![
        Change::Write {
            path: "/etc/fstab".into(),
            content: b"new\n".to_vec(),
            mode: None,
        },
        Change::Write {
            path: "/etc/made/by/us".into(),
            content: b"us\n".to_vec(),
            mode: Some(0o600),
        },
        Change::Remove {
            path: "/etc/old".into(),
        },
        Change::Write {
            path: "/etc/old/again".into(),
            content: b"again".to_vec(),
            mode: None,
        },
        Change::Link {
            path: "/etc/os-release".into(),
            target: b"fstab".to_vec(),
        },
        Change::Chmod {
            path: "/boot".into(),
            mode: 0o700,
        },
        Change::InitramfsAppend {
            path: "/boot/initrd.img-6.1.0".into(),
            files: vec![InitramfsFile {
                path: "/etc/x".into(),
                mode: 0o644,
                content: b"x".to_vec(),
            }],
        },
    ]
}

fn is_done(guest: &Guest<'_>) -> anyhow::Result<bool> {
    guest.exists("/etc/made/by/us")
}

fn job<'j>(fixups: &'j [&'j dyn Fixup], selection: &'j Selection, request: &'j Request) -> Job<'j> {
    Job {
        fixups,
        selection,
        request,
    }
}

#[test]
fn a_fix_is_applied_checked_and_undone_to_the_last_attribute() {
    let root = guest_tree();
    let before = snapshot(root.path());
    let mut backend = RootBackend::open(root.path()).unwrap();
    let fixup = Fixed::new("test", changes(), is_done);
    let (selection, request) = Default::default();
    let fixups: [&dyn Fixup; 1] = [&fixup];
    let job = job(&fixups, &selection, &request);
    let undo_dir = tempfile::tempdir().unwrap();
    let undo = undo_dir.path().join("undo.json");

    let planned = plan_guest(&backend, &Hints::default(), job).unwrap();
    assert_eq!(planned.fixups[0].changes.len(), 7);
    assert_eq!(snapshot(root.path()), before, "planning writes nothing");

    let report = fix(&mut backend, &Hints::default(), job, &undo, &mut |_| {}).unwrap();
    assert_eq!((report.applied, report.checked), (true, Some(true)));
    let read = |path: &str| fs::read_to_string(root.path().join(path)).unwrap();
    assert_eq!(read("etc/fstab"), "new\n");
    assert_eq!(
        fs::metadata(root.path().join("etc/fstab")).unwrap().mode() & 0o7777,
        0o640
    );
    assert_eq!(read("etc/made/by/us"), "us\n");
    assert_eq!(
        fs::read_dir(root.path().join("etc/old")).unwrap().count(),
        1
    );
    assert_eq!(
        fs::read_link(root.path().join("etc/os-release")).unwrap(),
        Path::new("fstab")
    );
    let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    let appended = guest
        .initramfs_appended(&GuestPath::new("/boot/initrd.img-6.1.0"))
        .unwrap();
    assert_eq!(appended.len(), 1);
    assert_eq!(fs::metadata(&undo).unwrap().mode() & 0o777, 0o600);

    let again = fix(
        &mut backend,
        &Hints::default(),
        job,
        &undo_dir.path().join("two"),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(again.fixups[0].verdict, VerdictKind::Fine);
    assert!(again.undo.is_none() && !undo_dir.path().join("two").exists());

    UndoFile::load(&undo)
        .unwrap()
        .restore(&mut backend, false)
        .unwrap();
    assert_eq!(snapshot(root.path()), before);
    let twice = UndoFile::load(&undo)
        .unwrap()
        .restore(&mut backend, false)
        .unwrap();
    assert!(
        twice.restored.is_empty(),
        "a second undo finds nothing to do"
    );
}

#[test]
fn changes_of_one_path_add_up_and_are_undone() {
    let path = |path: &str| GuestPath::new(path);
    let write = |path: &str, content: &[u8], mode| Change::Write {
        path: path.into(),
        content: content.to_vec(),
        mode,
    };
    let chown = |path: &str, uid, gid| Change::Chown {
        path: path.into(),
        uid,
        gid,
    };
    let chmod = |path: &str, mode| Change::Chmod {
        path: path.into(),
        mode,
    };
    let mkdir = |path: &str, mode| Change::Mkdir {
        path: path.into(),
        mode,
    };
    let image = "/boot/initrd.img-6.1.0";
    let append = |name: &str| Change::InitramfsAppend {
        path: image.into(),
        files: vec![InitramfsFile {
            path: name.into(),
            mode: 0o644,
            content: b"x".to_vec(),
        }],
    };
    let changes = vec![
        // A new file of somebody else, in a directory that is; chown takes the set-user-ID bit.
        mkdir("/var/lib/x", 0o750),
        chown("/var/lib/x", 101, 102),
        write("/var/lib/x/new", b"x", Some(0o4755)),
        chown("/var/lib/x/new", 101, 102),
        // Attributes alone, and after other content; the last word counts.
        mkdir("/etc/old", 0o700),
        chown("/etc/old/deep", 1, 1),
        chmod("/etc/old/deep", 0o2755),
        write("/etc/fstab", b"new\n", None),
        chown("/etc/fstab", 1, 2),
        chmod("/etc/fstab", 0o2640),
        chown("/etc/os-release", 3, 4),
        // A file in the place of a link, a directory in the place of a file, and the reverse.
        Change::Remove {
            path: path("/etc/old/link"),
        },
        write("/etc/old/link", b"file", None),
        Change::Remove {
            path: path("/etc/old/deep/\u{fc}ber"),
        },
        mkdir("/etc/old/deep/\u{fc}ber", 0o711),
        Change::Remove {
            path: path("/boot/escape"),
        },
        // Whatever was to be appended to the old image goes with it.
        append("/one"),
        write(image, &[0xfd; 502], None),
        append("/two"),
    ];
    let root = guest_tree();
    let before = snapshot(root.path());
    let mut backend = RootBackend::open(root.path()).unwrap();
    let fixup = Fixed::new("test", changes, |guest| guest.exists("/var/lib/x"));
    let (selection, request) = Default::default();
    let fixups: [&dyn Fixup; 1] = [&fixup];
    let undo_dir = tempfile::tempdir().unwrap();
    let undo = undo_dir.path().join("undo.json");
    let job = job(&fixups, &selection, &request);
    fix(&mut backend, &Hints::default(), job, &undo, &mut |_| {}).unwrap();

    let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    for (path, mode, owner) in [
        ("/var/lib", 0o755, (0, 0)),
        ("/var/lib/x", 0o750, (101, 102)),
        ("/var/lib/x/new", 0o755, (101, 102)),
        ("/etc/old", 0o700, (0, 0)),
        ("/etc/old/deep", 0o2755, (1, 1)),
        ("/etc/fstab", 0o2640, (1, 2)),
        ("/etc/os-release", 0o644, (3, 4)),
        ("/etc/old/link", 0o644, (0, 0)),
        ("/etc/old/deep/\u{fc}ber", 0o711, (0, 0)),
    ] {
        let stat = guest.stat(path).unwrap().unwrap();
        assert_eq!((stat.mode, stat.owner()), (mode, owner), "{path}");
    }
    assert!(!guest.exists("/boot/escape").unwrap());
    let link = fs::symlink_metadata(root.path().join("etc/old/link")).unwrap();
    assert!(link.is_file());
    let appended = guest.initramfs_appended(&image.into()).unwrap();
    let appended: Vec<_> = appended.iter().map(|file| file.path.clone()).collect();
    assert_eq!(appended, [path("/two")]);

    let restored = UndoFile::load(&undo)
        .unwrap()
        .restore(&mut backend, false)
        .unwrap();
    assert_eq!(restored.overwritten, []);
    assert_eq!(snapshot(root.path()), before);
}

#[test]
fn undo_refuses_what_was_changed_again() {
    let root = guest_tree();
    let mut backend = RootBackend::open(root.path()).unwrap();
    let fixup = Fixed::new("test", changes(), is_done);
    let (selection, request) = Default::default();
    let fixups: [&dyn Fixup; 1] = [&fixup];
    let undo_dir = tempfile::tempdir().unwrap();
    let undo = undo_dir.path().join("undo.json");
    fix(
        &mut backend,
        &Hints::default(),
        job(&fixups, &selection, &request),
        &undo,
        &mut |_| {},
    )
    .unwrap();

    fs::write(root.path().join("etc/fstab"), "edited later\n").unwrap();
    let before = snapshot(root.path());
    let error = UndoFile::load(&undo)
        .unwrap()
        .restore(&mut backend, false)
        .unwrap_err();
    assert!(
        error.to_string().contains("/etc/fstab") && error.to_string().contains("--force"),
        "{error}"
    );
    assert_eq!(snapshot(root.path()), before, "nothing was restored");
    let restored = UndoFile::load(&undo)
        .unwrap()
        .restore(&mut backend, true)
        .unwrap();
    assert_eq!(restored.overwritten, [GuestPath::new("/etc/fstab")]);
    assert_eq!(
        fs::read_to_string(root.path().join("etc/fstab")).unwrap(),
        "old\n"
    );
}

#[test]
fn one_failing_fixup_costs_only_itself() {
    let root = guest_tree();
    let backend = RootBackend::open(root.path()).unwrap();
    let crash = Fixed::new("crash", Vec::new(), |_| panic!("oh no"));
    let error = Fixed::new("error", Vec::new(), |_| anyhow::bail!("no way"));
    let nonsense = Fixed::new(
        "nonsense",
        vec![Change::Remove {
            path: "/nowhere".into(),
        }],
        |_| Ok(false),
    );
    let good = Fixed::new(
        "good",
        vec![Change::Remove {
            path: "/etc/fstab".into(),
        }],
        |_| Ok(false),
    );
    let fixups: [&dyn Fixup; 4] = [&crash, &error, &nonsense, &good];
    let (selection, request) = Default::default();
    let report = plan_guest(
        &backend,
        &Hints::default(),
        job(&fixups, &selection, &request),
    )
    .unwrap();
    let verdicts: Vec<_> = report
        .fixups
        .iter()
        .map(|planned| (planned.verdict, planned.reason.as_str()))
        .collect();
    assert_eq!(
        verdicts[0],
        (VerdictKind::Failed, "the fixup crashed: oh no")
    );
    assert_eq!(verdicts[1], (VerdictKind::Failed, "no way"));
    assert_eq!(verdicts[2].0, VerdictKind::Failed);
    assert!(verdicts[2].1.contains("/nowhere"), "{}", verdicts[2].1);
    assert_eq!(verdicts[3].0, VerdictKind::Change);
}

#[test]
fn a_fixup_that_is_never_content_fails_the_check() {
    let root = guest_tree();
    let mut backend = RootBackend::open(root.path()).unwrap();
    let restless = Fixed::new(
        "restless",
        vec![Change::Chmod {
            path: "/boot".into(),
            mode: 0o711,
        }],
        |_| Ok(false),
    );
    let fixups: [&dyn Fixup; 1] = [&restless];
    let (selection, request) = Default::default();
    let undo_dir = tempfile::tempdir().unwrap();
    let error = fix(
        &mut backend,
        &Hints::default(),
        job(&fixups, &selection, &request),
        &undo_dir.path().join("undo.json"),
        &mut |_| {},
    )
    .unwrap_err();
    assert!(
        error.written && error.to_string().contains("restless"),
        "{error}"
    );
}

#[test]
fn links_lead_nowhere_outside_the_guest() {
    let root = guest_tree();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "host\n").unwrap();
    let etc = root.path().join("etc");
    symlink(outside.path().join("secret"), etc.join("absolute")).unwrap();
    symlink(
        "../../../../../../../..".to_owned() + outside.path().to_str().unwrap() + "/secret",
        etc.join("relative"),
    )
    .unwrap();
    symlink(outside.path(), etc.join("dir")).unwrap();
    symlink("loop", etc.join("loop")).unwrap();
    symlink("/etc/fstab", etc.join("good")).unwrap();
    let mut backend = RootBackend::open(root.path()).unwrap();
    {
        let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
        for path in [
            "/etc/absolute",
            "/etc/relative",
            "/etc/dir/secret",
            "/etc/loop",
            "/../etc/absolute",
        ] {
            assert_eq!(guest.read(path).unwrap(), None, "{path}");
        }
        assert_eq!(guest.read("/etc/good").unwrap().unwrap(), b"old\n");
        assert_eq!(guest.read("/boot/escape/fstab").unwrap().unwrap(), b"old\n");
    }
    let write = |path: &str| {
        vec![Change::Write {
            path: path.into(),
            content: b"escaped".to_vec(),
            mode: None,
        }]
    };
    let (selection, request) = Default::default();
    for path in ["/etc/dir/new", "/etc/absolute", "/etc/relative"] {
        let fixup = Fixed::new("hostile", write(path), |_| Ok(false));
        let fixups: [&dyn Fixup; 1] = [&fixup];
        let undo = tempfile::tempdir().unwrap();
        let _ = fix(
            &mut backend,
            &Hints::default(),
            job(&fixups, &selection, &request),
            &undo.path().join("undo"),
            &mut |_| {},
        );
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "{path}");
        assert_eq!(
            fs::read(outside.path().join("secret")).unwrap(),
            b"host\n",
            "{path}"
        );
    }
}
