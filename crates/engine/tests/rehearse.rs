//! Running programs of a guest in a real appliance, and undoing what only an appliance can do.
//!
//! One appliance is started for all. The guest is an ext4 root with a static busybox and an ext4
//! file system at /var.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use refit_engine::backend::{Backend, FileKind, GuestfsBackend, RootBackend};
use refit_engine::initramfs::{self, Packing};
use refit_engine::{
    Change, Fixup, Guest, GuestCommand, GuestPath, Hints, Info, InitramfsFile, Job, Os, Phase,
    Proposal, Rehearsal, RehearseError, Request, Selection, UndoFile, Verdict, fix, sha256_hex,
};
use refit_guestfs::{AddDrive, Handle};

const LIMIT: Duration = Duration::from_secs(120);

fn command(argv: &[&str]) -> GuestCommand {
    GuestCommand {
        argv: argv.iter().map(ToString::to_string).collect(),
        stdin: Vec::new(),
        env: BTreeMap::new(),
        timeout: LIMIT,
    }
}

fn sh(script: &str) -> GuestCommand {
    command(&["sh", "-ec", script])
}

fn run(guest: &Guest<'_>, script: &str) -> Rehearsal {
    let rehearsal = guest.rehearse(&sh(script)).unwrap();
    assert_eq!(rehearsal.status, 0, "{script}: {}", rehearsal.output);
    rehearsal
}

fn write(path: &str, content: &str, mode: Option<u32>) -> Change {
    Change::Write {
        path: path.into(),
        content: content.as_bytes().to_vec(),
        mode,
    }
}

fn remove(path: &str) -> Change {
    Change::Remove { path: path.into() }
}

fn link(path: &str, target: &str) -> Change {
    Change::Link {
        path: path.into(),
        target: target.as_bytes().to_vec(),
    }
}

fn chmod(path: &str, mode: u32) -> Change {
    Change::Chmod {
        path: path.into(),
        mode,
    }
}

fn mkdir(path: &str, mode: u32) -> Change {
    Change::Mkdir {
        path: path.into(),
        mode,
    }
}

fn chown(path: &str, uid: u32, gid: u32) -> Change {
    Change::Chown {
        path: path.into(),
        uid,
        gid,
    }
}

fn trees(dir: &Path) -> (PathBuf, PathBuf) {
    let (root, var) = (dir.join("root"), dir.join("var"));
    for name in [
        "bin",
        "boot",
        "dev",
        "etc/old/deep",
        "etc/kept",
        "proc",
        "root",
        "run",
        "sys",
        "tmp",
        "usr/lib",
        "var",
    ] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .iter()
        .find(|path| Path::new(path).exists())
        .unwrap();
    fs::copy(busybox, root.join("bin/busybox")).unwrap();
    let applets = [
        "cat", "chmod", "chown", "dd", "echo", "ln", "ls", "mkdir", "mkfifo", "mknod", "mount",
        "mv", "nc", "rm", "sh", "sleep", "stat", "test", "touch", "yes",
    ];
    for applet in applets {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    let etc = root.join("etc");
    fs::write(etc.join("os-release"), "ID=test\nVERSION_ID=1\n").unwrap();
    fs::write(etc.join("edited"), "old\n").unwrap();
    fs::write(etc.join("same"), "same\n").unwrap();
    fs::write(etc.join("moded"), "x").unwrap();
    fs::write(etc.join("owned"), "x").unwrap();
    fs::write(etc.join("old/deep/file"), "x").unwrap();
    fs::write(etc.join("old/file"), "x").unwrap();
    symlink("file", etc.join("old/link")).unwrap();
    fs::write(etc.join("kept/a"), "a").unwrap();
    fs::write(etc.join("kept/b"), "b").unwrap();
    symlink("edited", etc.join("alias")).unwrap();
    fs::write(etc.join("able"), "#!/bin/sh\n").unwrap();
    fs::write(root.join("boot/initrd.img-1"), vec![0xfd; 1001]).unwrap();
    fs::create_dir_all(var.join("lib/db")).unwrap();
    fs::write(var.join("lib/db/status"), "installed\n").unwrap();
    fs::set_permissions(&var, fs::Permissions::from_mode(0o775)).unwrap();
    (root, var)
}

fn image(tree: &Path, image: &Path) {
    let status = Command::new("mkfs.ext4")
        .args(["-q", "-E", "root_owner=0:0", "-d"])
        .arg(tree)
        .arg(image)
        .arg("96M")
        .status()
        .unwrap();
    assert!(status.success());
}

/// The guest, opened for writing, with capabilities and access control lists on /etc/able.
fn open(dir: &Path) -> GuestfsBackend {
    let (root, var) = trees(dir);
    let handle = Handle::new().unwrap();
    handle.set_backend("direct").unwrap();
    // A machine may have a KVM that does not work.
    handle.set_backend_setting("force_tcg", "1").unwrap();
    handle.set_pgroup(true).unwrap();
    for (tree, name) in [(root, "root.img"), (var, "var.img")] {
        let file = dir.join(name);
        image(&tree, &file);
        handle
            .add_drive(&file, &AddDrive::new().format("raw"))
            .unwrap();
    }
    handle.launch().unwrap();
    handle.mount("/dev/sda", "/").unwrap();
    handle.mount("/dev/sdb", "/var").unwrap();
    handle
        .appliance_sh(
            "setcap cap_net_raw=ep /sysroot/etc/able && setfacl -m u:7:rx,m::rx /sysroot/etc/able \
             && setfacl -d -m u:7:rx /sysroot/etc/kept",
        )
        .unwrap();
    GuestfsBackend::new(handle, "the test guest".to_owned())
}

fn hints() -> Hints {
    Hints {
        os: Some(Os::Linux),
        ..Hints::default()
    }
}

/// Everything that undo must bring back, by path. `busybox` is left out because it is large.
fn snapshot(backend: &dyn Backend) -> BTreeMap<GuestPath, String> {
    fn walk(backend: &dyn Backend, path: &GuestPath, into: &mut BTreeMap<GuestPath, String>) {
        let stat = backend.lstat(path).unwrap().unwrap();
        let content = match stat.kind {
            FileKind::File if stat.size < 100_000 => sha256_hex(&backend.read(path).unwrap()),
            FileKind::Symlink => format!("{:?}", backend.read_link(path).unwrap()),
            _ => String::new(),
        };
        let (kind, mode, owner, mtime) = (stat.kind, stat.mode, stat.owner(), stat.mtime);
        let xattrs = backend.xattrs(path).unwrap();
        into.insert(
            path.clone(),
            format!("{kind:?} {mode:o} {owner:?} {mtime:?} {xattrs:?} {content}"),
        );
        for entry in backend.list(path).unwrap().unwrap_or_default() {
            walk(backend, &path.join(&entry.name), into);
        }
    }
    let mut tree = BTreeMap::new();
    walk(backend, &GuestPath::root(), &mut tree);
    tree
}

fn assert_same(backend: &dyn Backend, before: &BTreeMap<GuestPath, String>, what: &str) {
    let after = snapshot(backend);
    let paths: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for path in paths {
        assert_eq!(after.get(path), before.get(path), "{what}: {path}");
    }
}

#[test]
fn programs_are_rehearsed_and_their_effect_is_applied_and_undone() {
    let dir = tempfile::tempdir().unwrap();
    let mut backend = open(dir.path());
    let before = snapshot(&backend);
    effects_become_changes(&backend);
    what_is_no_change_is_refused(&backend);
    earlier_changes_are_seen(&backend);
    nothing_is_reached_and_nothing_is_left(&backend);
    limits_hold(&backend);
    assert_same(&backend, &before, "a rehearsal changed the guest");
    let mountpoints = Guest::inspect(&backend, &hints()).unwrap();
    assert!(mountpoints.exists("/var/lib/db/status").unwrap());
    drop(mountpoints);

    let all = "mkdir -m 2750 /etc/new; chown 3:4 /etc/new; chmod 2750 /etc/new; echo 1 >/etc/new/x
        echo new >/etc/edited; chown 5:6 /etc/edited; rm -r /etc/old; rm /etc/able
        mkdir /etc/old; echo again >/etc/old/file; echo dir >/etc/old/deep; rm /etc/alias; echo file >/etc/alias
        chmod 4711 /etc/moded; chown 7:8 /etc/owned; ln -s x /etc/link
        echo removed >/var/lib/db/status; rm /etc/kept/a; echo >/var/done";
    undone(&mut backend, dir.path(), "all", vec![sh(all)], &before);
    // A change beside those of rehearsals.
    undone(&mut backend, dir.path(), "able", Vec::new(), &before);
    backend.close().unwrap();
}

fn effects_become_changes(backend: &GuestfsBackend) {
    let guest = Guest::inspect(backend, &hints()).unwrap();
    let cases: &[(&str, Vec<Change>)] = &[
        ("true", vec![]),
        (
            "touch /etc/same; echo same >/etc/same; mv /etc/same /etc/s; mv /etc/s /etc/same
             chmod 600 /etc/moded; chmod 644 /etc/moded; echo x >/tmp/x; echo x >/run/x",
            vec![],
        ),
        (
            "echo new >/etc/new; chmod 4755 /etc/new; chown 1:2 /etc/new; chmod 4755 /etc/new",
            vec![
                write("/etc/new", "new\n", Some(0o4755)),
                chown("/etc/new", 1, 2),
                chmod("/etc/new", 0o4755),
            ],
        ),
        (
            "echo new >/etc/edited; chmod 640 /etc/edited",
            vec![
                write("/etc/edited", "new\n", None),
                chmod("/etc/edited", 0o640),
            ],
        ),
        ("rm -r /etc/old", vec![remove("/etc/old")]),
        (
            "rm -r /etc/old; mkdir /etc/old; mkdir /etc/old/deep; echo x >/etc/old/deep/new
             echo -n x >/etc/old/file",
            vec![
                remove("/etc/old/link"),
                remove("/etc/old/deep/file"),
                write("/etc/old/deep/new", "x\n", Some(0o644)),
            ],
        ),
        (
            "rm /etc/alias; mkdir /etc/alias; rm -r /etc/old; echo -n >/etc/old",
            vec![
                remove("/etc/alias"),
                mkdir("/etc/alias", 0o755),
                remove("/etc/old"),
                write("/etc/old", "", Some(0o644)),
            ],
        ),
        (
            "ln -s /x /etc/link; ln -sf other /etc/alias; ln -sf a /etc/same",
            vec![
                link("/etc/alias", "other"),
                link("/etc/link", "/x"),
                link("/etc/same", "a"),
            ],
        ),
        (
            "chmod 700 /etc/moded /etc/kept; chown 7:8 /etc/owned; chmod 711 /",
            vec![
                chmod("/", 0o711),
                chmod("/etc/kept", 0o700),
                chmod("/etc/moded", 0o700),
                chown("/etc/owned", 7, 8),
            ],
        ),
        (
            "mkdir -p /etc/a/b; chmod 1777 /etc/a/b; mkfifo /etc/a/p; rm /etc/same; mkfifo /etc/same",
            vec![
                mkdir("/etc/a", 0o755),
                mkdir("/etc/a/b", 0o1777),
                remove("/etc/same"),
            ],
        ),
        (
            "echo one >/etc/1; ln /etc/1 /etc/2; echo removed >/var/lib/db/status; rm -r /var/lib
             mkdir /var/lib",
            vec![
                write("/etc/1", "one\n", Some(0o644)),
                write("/etc/2", "one\n", Some(0o644)),
                remove("/var/lib/db"),
            ],
        ),
        (
            "echo x >\"/etc/$(echo -e 'odd\\nname\\\\')\"",
            vec![write("/etc/odd\nname\\", "x\n", Some(0o644))],
        ),
    ];
    for (script, expected) in cases {
        assert_eq!(run(&guest, script).changes, *expected, "{script}");
    }
    let mut asked = command(&["busybox", "cat", "-", "a b'c"]);
    asked.stdin = b"from stdin\n".to_vec();
    let told = guest.rehearse(&asked).unwrap();
    assert_eq!(told.status, 1);
    assert!(
        told.output.starts_with("from stdin\n") && told.output.contains("a b'c"),
        "{}",
        told.output
    );
    let mut asked = sh("echo $A $HOME $LC_ALL $SYSTEMD_OFFLINE; pwd; kill -9 $$");
    asked.env = BTreeMap::from([("A".to_owned(), "it's".to_owned())]);
    let told = guest.rehearse(&asked).unwrap();
    assert_eq!(
        (told.status, told.output.as_str()),
        (137, "it's /root C 1\n/\n")
    );
    let told = guest.rehearse(&command(&["no-such-program"])).unwrap();
    assert_eq!((told.status, told.changes), (127, vec![]));
}

fn failed(guest: &Guest<'_>, command: &GuestCommand) -> String {
    match guest.rehearse(command) {
        Err(RehearseError::Failed(error)) => format!("{error:#}"),
        other => panic!("{command:?}: {other:?}"),
    }
}

fn what_is_no_change_is_refused(backend: &GuestfsBackend) {
    let guest = Guest::inspect(backend, &hints()).unwrap();
    // It inherits the directory's access control list.
    let error = failed(&guest, &sh("echo x >/etc/kept/new"));
    assert!(
        error.contains("/etc/kept/new") && error.contains("system.posix_acl_access"),
        "{error}"
    );
    assert_eq!(run(&guest, "touch /etc/able").changes, []);
    assert_eq!(
        run(&guest, "chmod 700 /etc/kept").changes,
        [chmod("/etc/kept", 0o700)]
    );
}

fn earlier_changes_are_seen(backend: &GuestfsBackend) {
    let mut guest = Guest::inspect(backend, &hints()).unwrap();
    let appended = vec![InitramfsFile {
        path: "/f".into(),
        mode: 0o644,
        content: b"y".to_vec(),
    }];
    let image = 1001
        + initramfs::segment(1001, Packing::None, &appended)
            .unwrap()
            .len();
    guest
        .stage(&[
            write("/etc/edited", "staged\n", None),
            write("/var/lib/db/new", "x\n", Some(0o600)),
            chown("/var/lib/db/new", 9, 9),
            remove("/etc/old"),
            mkdir("/etc/old", 0o700),
            write("/etc/old/it's new", "x\n", None),
            link("/etc/alias", "same"),
            chmod("/etc/moded", 0o4755),
            chown("/etc/owned", 8, 9),
            Change::InitramfsAppend {
                path: "/boot/initrd.img-1".into(),
                files: appended,
            },
        ])
        .unwrap();
    let script =
        "cat /etc/edited; stat -c '%a %u %g' /var/lib/db/new /etc/moded /etc/owned /etc/old
        ls /etc/old; cat /etc/alias; stat -c %s /boot/initrd.img-1
        touch /boot/initrd.img-1; chmod 600 /boot/initrd.img-1; chmod 644 /boot/initrd.img-1
        echo staged >/etc/edited; rm -r /etc/old; echo more >>/etc/owned";
    let rehearsal = run(&guest, script);
    assert_eq!(
        rehearsal.output,
        format!("staged\n600 9 9\n4755 0 0\n644 8 9\n700 0 0\nit's new\nsame\n{image}\n")
    );
    assert_eq!(
        rehearsal.changes,
        [remove("/etc/old"), write("/etc/owned", "xmore\n", None)]
    );
}

fn nothing_is_reached_and_nothing_is_left(backend: &GuestfsBackend) {
    let guest = Guest::inspect(backend, &hints()).unwrap();
    let script = "ls /dev
        for command in 'mknod /tmp/d b 8 0' 'mknod /etc/d b 8 0' 'mount -t tmpfs x /etc' \
                       'mount -o remount,rw /proc' 'echo x >/sys/power/state' \
                       'nc -w 1 10.0.2.2 53' 'ls /proc/1/root/' 'echo 1 >/proc/sys/kernel/panic'; do
            if sh -c \"$command\" >/dev/null 2>&1; then echo \"possible: $command\"; fi
        done
        ls /sys/class/net; echo x >/dev/sda; stat -c %F /dev/sda
        (while true; do sleep 1; echo x >>/etc/background; done) >/dev/null 2>&1 &
        sleep 2";
    let rehearsal = run(&guest, script);
    let mut devices: Vec<&str> = rehearsal.output.lines().collect();
    devices.sort_unstable();
    assert_eq!(
        devices,
        [
            "fd",
            "full",
            "lo",
            "null",
            "ptmx",
            "pts",
            "random",
            "regular file",
            "shm",
            "stderr",
            "stdin",
            "stdout",
            "tty",
            "urandom",
            "zero"
        ]
    );
    for change in &rehearsal.changes {
        assert_eq!(change.path(), Some(&"/etc/background".into()));
    }
    let processes = backend_sh(backend, "ps ax");
    assert!(
        !processes.contains("busybox") && !processes.contains("background"),
        "{processes}"
    );
    let left = backend_sh(backend, "ls /tmp; cat /proc/mounts");
    assert!(
        !left.contains("refit") && !left.contains("overlay"),
        "{left}"
    );
}

fn backend_sh(backend: &GuestfsBackend, command: &str) -> String {
    String::from_utf8(backend.handle().appliance_sh(command).unwrap()).unwrap()
}

fn limits_hold(backend: &GuestfsBackend) {
    let guest = Guest::inspect(backend, &hints()).unwrap();
    let limited = |script: &str| GuestCommand {
        timeout: Duration::from_secs(3),
        ..sh(script)
    };
    let start = Instant::now();
    let error = failed(&guest, &limited("echo x >/etc/late; sleep 1000"));
    assert!(error.contains("had not ended after 3 s"), "{error}");
    let error = failed(&guest, &limited("yes"));
    assert!(error.contains("had not ended after 3 s"), "{error}");
    assert!(start.elapsed() < LIMIT);
    let flood = run(&guest, "dd if=/dev/zero bs=1M count=8; echo end");
    assert_eq!(flood.output.len(), 64 * 1024);
    let error = failed(
        &guest,
        &sh("dd if=/dev/zero of=/etc/huge bs=1M seek=600 count=1"),
    );
    assert!(error.contains("more than can be taken over"), "{error}");
}

/// Rehearses commands, removes what rehearsals cannot, until /var/done or /etc/able says so.
struct Tried {
    info: Info,
    commands: Vec<GuestCommand>,
}

impl Fixup for Tried {
    fn info(&self) -> &Info {
        &self.info
    }

    fn plan(&self, guest: &Guest<'_>, _: &Request) -> anyhow::Result<Proposal> {
        let reason = "as asked".to_owned();
        if guest.exists("/var/done")? || !guest.exists("/etc/able")? {
            return Ok(Verdict::Fine { reason }.into());
        }
        let mut changes = Vec::new();
        for command in &self.commands {
            changes.extend(guest.rehearse(command)?.changes);
        }
        if changes.is_empty() {
            changes = vec![remove("/etc/kept"), remove("/etc/able")];
        }
        Ok(Verdict::Change { reason, changes }.into())
    }
}

/// Plans, applies, plans again (empty), undoes.
fn undone(
    backend: &mut GuestfsBackend,
    dir: &Path,
    id: &str,
    commands: Vec<GuestCommand>,
    before: &BTreeMap<GuestPath, String>,
) {
    let fixup = Tried {
        info: Info {
            id: id.to_owned(),
            summary: String::new(),
            phase: Phase::Network,
            parameters: BTreeMap::new(),
        },
        commands,
    };
    let undo = dir.join(format!("{id}.undo"));
    let job = Job {
        fixups: &[&fixup],
        selection: &Selection::default(),
        request: &Request::default(),
    };
    let report = fix(backend, &hints(), job, &undo, &mut |_| {}).unwrap();
    assert_eq!(report.checked, Some(true), "{:?}", report.fixups);
    assert_ne!(snapshot(backend), *before);
    let restored = UndoFile::load(&undo)
        .unwrap()
        .restore(backend, false)
        .unwrap();
    assert_eq!(restored.overwritten, []);
    assert_same(backend, before, id);
}

#[test]
fn a_guests_program_never_runs_on_this_host() {
    let dir = tempfile::tempdir().unwrap();
    let (root, _) = trees(dir.path());
    let backend = RootBackend::open(&root).unwrap();
    let guest = Guest::inspect(&backend, &hints()).unwrap();
    let refused = guest.rehearse(&sh("true"));
    assert!(
        matches!(refused, Err(RehearseError::Unavailable { .. })),
        "{refused:?}"
    );
}
