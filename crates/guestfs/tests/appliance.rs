//! The handle with a real appliance. One is started for all that needs one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use refit_guestfs::{
    AddDrive, CacheMode, CopyAttributes, Discard, Error, Event, EventMask, FileType, Fstrim,
    Handle, HivexOpen, Mkfs, SetTime, TarIn, TarOut, Timestamp, Xattr,
};

const MIB: u64 = 1024 * 1024;
const DISK: u64 = 512 * MIB;
const HIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/timezone.hive");

/// One appliance at a time: each takes a processor and some hundred MiB.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handle with an empty disk, not launched.
fn with_disk(directory: &Path) -> Handle {
    let disk = directory.join("disk.img");
    File::create(&disk).unwrap().set_len(DISK).unwrap();
    let guest = Handle::new().unwrap();
    guest.set_backend("direct").unwrap();
    // A machine may have a KVM that does not work.
    guest.emulate().unwrap();
    guest.set_pgroup(true).unwrap();
    let options = AddDrive::new()
        .format("raw")
        .label("scratch")
        .cachemode(CacheMode::Unsafe)
        .discard(Discard::BestEffort);
    guest.add_drive(&disk, &options).unwrap();
    guest
}

/// The appliance's kernel has heeded the options for emulation.
fn kernel(guest: &Handle) {
    let said = guest
        .appliance_sh("cat /proc/cmdline; grep -m1 '^flags' /proc/cpuinfo")
        .unwrap();
    // libguestfs writes commas twice, as qemu wants them elsewhere.
    let said = String::from_utf8(said).unwrap().replace(",,", ",");
    let words: Vec<&str> = said.split_whitespace().collect();
    for option in refit_guestfs::emulation::kernel_options("").split(' ') {
        assert!(words.contains(&option), "{option}: {said}");
    }
    assert!(words.contains(&"sse2"), "{said}");
    for feature in ["la57", "ospke", "erms", "fsrm", "rep_good"] {
        assert!(!words.contains(&feature), "{feature}: {said}");
    }
}

/// The numbers of the processes that any thread of this one has started.
fn children() -> Vec<String> {
    let mut children = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let list = fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        children.extend(list.split_whitespace().map(str::to_owned));
    }
    children
}

fn sorted(mut names: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    names.sort();
    names
}

#[test]
fn a_launch_ends_at_its_limit_and_leaves_no_process() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let guest = with_disk(directory.path());
    let limit = Duration::from_millis(500);
    let error = guest.launch_within(limit).unwrap_err();
    assert!(
        matches!(&error, Error::LaunchTimeout { limit: l, .. } if *l == limit),
        "{error:?}"
    );
    assert_eq!(children(), Vec::<String>::new());
    assert!(!guest.is_launched().unwrap());
    guest.close().unwrap();
}

#[test]
fn a_launch_can_be_cancelled() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let guest = with_disk(directory.path());
    let cancel = guest.cancel_handle();
    let ended = AtomicBool::new(false);
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                assert!(cancel.cancel());
                thread::sleep(Duration::from_millis(100));
            }
        });
        let error = guest.launch().unwrap_err();
        ended.store(true, Ordering::Relaxed);
        error
    });
    assert!(
        matches!(error, Error::Cancelled { call: "launch", .. }),
        "{error:?}"
    );
    assert_eq!(children(), Vec::<String>::new());
    drop(guest);
}

#[test]
fn a_call_that_would_go_on_is_ended_by_killing_the_appliance() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let guest = with_disk(directory.path());
    guest.launch().unwrap();
    let cancel = guest.cancel_handle();
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_secs(2));
            assert!(cancel.kill());
        });
        guest.appliance_sh("sleep 86400").unwrap_err()
    });
    assert!(matches!(error, Error::Cancelled { .. }), "{error:?}");
    guest.close().unwrap_err();
    assert_eq!(children(), Vec::<String>::new());
}

#[test]
fn a_guest_is_read_and_written() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let host = directory.path();
    let guest = with_disk(host);
    guest.launch_within(Duration::from_secs(600)).unwrap();
    kernel(&guest);
    assert!(guest.is_launched().unwrap());
    assert!(guest.get_pid().unwrap() > 1);
    let error = guest.add_drive("/dev/null", &AddDrive::new()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Call {
                call: "add_drive",
                ..
            }
        ),
        "{error:?}"
    );

    devices(&guest);
    content(&guest, host);
    names(&guest);
    metadata(&guest);
    extended_attributes(&guest);
    trees(&guest, host);
    hive(&guest);
    cancelled_upload(&guest, host);

    guest.sync().unwrap();
    guest.umount_all().unwrap();
    assert_eq!(guest.mountpoints().unwrap(), []);
    assert_eq!(guest.inspect_os().unwrap(), Vec::<Vec<u8>>::new());
    guest.close().unwrap();
    assert_eq!(children(), Vec::<String>::new());
}

fn devices(guest: &Handle) {
    let device = "/dev/sda";
    assert_eq!(guest.list_devices().unwrap(), [device]);
    assert_eq!(guest.canonical_device_name("/dev/vda").unwrap(), device);
    assert_eq!(guest.blockdev_getsize64(device).unwrap(), DISK);
    assert_eq!(guest.pread_device(device, 512, 0).unwrap(), [0; 512]);

    guest.part_init(device, "gpt").unwrap();
    guest.part_add(device, "primary", 2048, 34815).unwrap();
    guest.part_add(device, "primary", 34816, -2048).unwrap();
    let guid = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
    guest.part_set_gpt_type(device, 1, guid).unwrap();
    assert_eq!(guest.part_get_gpt_type(device, 1).unwrap(), guid);
    assert_eq!(guest.part_get_parttype(device).unwrap(), "gpt");
    let partitions = guest.part_list(device).unwrap();
    let first = partitions.first().unwrap();
    assert_eq!((first.number, first.start, first.size), (1, MIB, 16 * MIB));
    assert_eq!(partitions.len(), 2);
    guest.mkswap("/dev/sda1", Some("swapped")).unwrap();
    assert_eq!(guest.vfs_type("/dev/sda1").unwrap(), "swap");
    let tags = guest.blkid("/dev/sda1").unwrap();
    for (name, value) in [("TYPE", "swap"), ("PART_ENTRY_NUMBER", "1")] {
        let found = tags.iter().find(|(key, _)| key == name.as_bytes());
        assert_eq!(
            found.map(|(_, value)| value.as_slice()),
            Some(value.as_bytes())
        );
    }

    guest.part_disk(device, "mbr").unwrap();
    guest.part_set_bootable(device, 1, true).unwrap();
    assert!(guest.part_get_bootable(device, 1).unwrap());
    assert_eq!(guest.part_get_mbr_id(device, 1).unwrap(), 0x83);
    assert_eq!(guest.list_partitions().unwrap(), ["/dev/sda1"]);
    assert_eq!(guest.part_to_dev("/dev/sda1").unwrap(), device);
    assert_eq!(guest.part_to_partnum("/dev/sda1").unwrap(), 1);
    assert!(!guest.is_lv("/dev/sda1").unwrap());

    assert!(guest.feature_available(&["linuxxattrs", "hivex"]).unwrap());
    guest.available(&["linuxxattrs"]).unwrap();
    guest.vgscan().unwrap();
    guest.lvm_scan(true).unwrap();
    guest.vg_activate_all(true).unwrap();
    for none in [
        guest.lvs().unwrap(),
        guest.vgs().unwrap(),
        guest.list_dm_devices().unwrap(),
        guest.list_md_devices().unwrap(),
    ] {
        assert_eq!(none, Vec::<String>::new());
    }
    let error = guest
        .cryptsetup_open("/dev/sda1", b"secret", "open", &Default::default())
        .unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(guest.luks_uuid("/dev/sda1").is_err());

    guest
        .mkfs(
            "ext4",
            "/dev/sda1",
            &Mkfs::new().label("scratch").blocksize(4096),
        )
        .unwrap();
    assert_eq!(guest.vfs_label("/dev/sda1").unwrap(), b"scratch");
    assert_eq!(guest.vfs_uuid("/dev/sda1").unwrap().len(), 36);
    assert_eq!(
        guest.list_filesystems().unwrap(),
        [(b"/dev/sda1".to_vec(), "ext4".to_owned())]
    );

    guest.mount_ro("/dev/sda1", "/").unwrap();
    let error = guest.write("/file", b"").unwrap_err();
    assert_eq!(error.errno(), Some(libc::EROFS), "{error:?}");
    guest.umount("/").unwrap();
    guest.mount_options("ro", "/dev/sda1", "/").unwrap();
    guest.umount("/dev/sda1").unwrap();
    guest.mount_vfs("", "ext4", "/dev/sda1", "/").unwrap();
    guest.umount_all().unwrap();
    guest.mount("/dev/sda1", "/").unwrap();
    assert_eq!(
        guest.mountpoints().unwrap(),
        [("/dev/sda1".to_owned(), b"/".to_vec())]
    );
    let space = guest.statvfs("/").unwrap();
    assert!(space.bfree * space.frsize > DISK / 2, "{space:?}");
    guest.fstrim("/", &Fstrim::new()).unwrap();
}

fn content(guest: &Handle, host: &Path) {
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    guest.write("/binary", &bytes).unwrap();
    assert_eq!(guest.read_file("/binary").unwrap(), bytes);
    assert_eq!(guest.filesize("/binary").unwrap(), 70_000);
    assert_eq!(guest.pread("/binary", 4, 256).unwrap(), [0, 1, 2, 3]);
    assert_eq!(guest.pread("/binary", 10, 69_998).unwrap().len(), 2);
    assert_eq!(guest.pread("/binary", 10, 70_000).unwrap(), b"");
    assert_eq!(guest.pread("/binary", 10, 1 << 40).unwrap(), b"");

    // More than a message of the protocol can hold.
    let large: Vec<u8> = bytes.iter().copied().cycle().take(5_000_000).collect();
    guest.write("/large", &large).unwrap();
    assert!(guest.read_file("/large").unwrap() == large);
    guest.rm("/large").unwrap();

    guest.write("/empty", b"").unwrap();
    assert_eq!(guest.read_file("/empty").unwrap(), b"");
    assert_eq!(guest.pread("/empty", 1, 0).unwrap(), b"");
    guest.write_append("/empty", b"one\0").unwrap();
    guest.write_append("/empty", b"two").unwrap();
    assert_eq!(guest.pwrite("/empty", b"ONE", 0).unwrap(), 3);
    assert_eq!(guest.read_file("/empty").unwrap(), b"ONE\0two");
    guest.truncate_size("/empty", 3).unwrap();
    assert_eq!(guest.read_file("/empty").unwrap(), b"ONE");
    assert_eq!(
        guest.checksum("sha256", "/empty").unwrap(),
        "2192e8955d5e1ad1651f2f0c637e6f1ac82855747a5f42f978db28669595dc21"
    );

    assert_eq!(guest.read_file_within("/empty", 3).unwrap(), b"ONE");
    let error = guest.read_file_within("/empty", 2).unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 2, .. }),
        "{error:?}"
    );
    let error = guest.read_file_within("/", 100).unwrap_err();
    assert!(matches!(error, Error::NotRegular { .. }), "{error:?}");

    for error in [
        guest.read_file("/none/such").unwrap_err(),
        guest.read_file_within("/none", 1).unwrap_err(),
        guest.rm("/none").unwrap_err(),
        guest.lstatns("/none").unwrap_err(),
        guest.download("/none", host.join("none")).unwrap_err(),
    ] {
        assert_eq!(error.errno(), Some(libc::ENOENT), "{error:?}");
        assert!(error.is_not_found());
        assert!(error.path().unwrap().starts_with(b"/none"));
        assert!(error.to_string().contains("/none"), "{error}");
    }
    guest.rm_f("/none").unwrap();
    guest.rm_rf("/none").unwrap();

    guest.download("/binary", host.join("binary")).unwrap();
    assert_eq!(fs::read(host.join("binary")).unwrap(), bytes);
    guest.upload(host.join("binary"), "/again").unwrap();
    guest.copy_file_to_file("/again", "/copy").unwrap();
    assert_eq!(guest.read_file("/copy").unwrap(), bytes);
    assert!(guest.upload(host.join("missing"), "/again").is_err());
    assert!(guest.sh("true").is_err(), "there is no shell in the guest");
    assert!(guest.command(&["/bin/true"]).is_err());
    assert!(guest.file_architecture("/binary").is_err());
}

fn names(guest: &Handle) {
    let odd: &[u8] = b"/names/caf\xe9 \xff\n\x1b";
    guest.mkdir("/names").unwrap();
    guest.write(odd, b"odd").unwrap();
    assert_eq!(guest.read_file(odd).unwrap(), b"odd");
    assert!(guest.exists(odd).unwrap());
    assert!(guest.is_file(odd, false).unwrap());
    let error = guest.rmdir(odd).unwrap_err();
    assert!(!error.to_string().contains('\x1b'), "{error}");
    assert_eq!(error.errno(), Some(libc::ENOTDIR), "{error:?}");

    guest.ln_s("../binary", "/names/link").unwrap();
    guest.ln_sf(b"\xff", "/names/dangling").unwrap();
    guest.ln("/binary", "/names/hard").unwrap();
    guest.ln_f("/binary", "/names/hard").unwrap();
    assert_eq!(guest.readlink("/names/dangling").unwrap(), b"\xff");
    assert_eq!(guest.realpath("/names/link").unwrap(), b"/binary");
    assert!(guest.exists("/names/dangling").unwrap());
    assert!(guest.is_symlink("/names/dangling").unwrap());
    assert!(guest.is_file("/names/link", true).unwrap());
    assert!(!guest.is_file("/names/link", false).unwrap());
    assert!(guest.is_dir("/names", false).unwrap());

    let mut entries = guest.readdir("/names").unwrap();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let entries: Vec<_> = entries.into_iter().map(|e| (e.name, e.file_type)).collect();
    let odd_name = odd.strip_prefix(b"/names/").unwrap().to_vec();
    let expected = vec![
        (odd_name.clone(), FileType::Regular),
        (b"dangling".to_vec(), FileType::Symlink),
        (b"hard".to_vec(), FileType::Regular),
        (b"link".to_vec(), FileType::Symlink),
    ];
    assert_eq!(entries, expected);
    let listed: Vec<_> = expected.into_iter().map(|(name, _)| name).collect();
    assert_eq!(sorted(guest.ls0("/names", 1000).unwrap()), listed);
    let found = sorted(guest.find0("/", 1000).unwrap());
    assert!(
        found.contains(&[b"names/", odd_name.as_slice()].concat()),
        "{found:?}"
    );
    let error = guest.find0("/", 20).unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 20, .. }),
        "{error:?}"
    );

    let stats = guest
        .lstatnslist("/names", &["link", "none", "hard"])
        .unwrap();
    let kinds: Vec<_> = stats
        .iter()
        .map(|s| s.as_ref().map(|s| s.file_type()))
        .collect();
    assert_eq!(
        kinds,
        [Some(FileType::Symlink), None, Some(FileType::Regular)]
    );

    guest.rename("/names/hard", b"/names/\xfe").unwrap();
    guest.mv(b"/names/\xfe", "/names/moved").unwrap();
    assert_eq!(
        guest.case_sensitive_path("/NAMES/Moved").unwrap(),
        b"/names/moved"
    );
}

fn metadata(guest: &Handle) {
    guest.mkdir_p("/a/b/c").unwrap();
    guest.mkdir_mode("/a/mode", 0o700).unwrap();
    assert_eq!(guest.lstatns("/a/mode").unwrap().permissions(), 0o700);
    assert!(guest.mkdtemp("/a/XXXXXX").unwrap().starts_with(b"/a/"));
    guest.rmdir("/a/b/c").unwrap();

    guest.write("/a/file", b"12345").unwrap();
    guest.ln_s("file", "/a/link").unwrap();
    guest.chown("/a/file", 1000, u32::MAX - 1).unwrap();
    guest.chmod("/a/file", 0o4751).unwrap();
    guest.lchown("/a/link", 7, 8).unwrap();
    let time = Timestamp {
        sec: 1_700_000_000,
        nsec: 123_456_789,
    };
    guest
        .utimens("/a/file", SetTime::Now, SetTime::At(time))
        .unwrap();
    guest
        .utimens("/a/file", SetTime::At(time), SetTime::Keep)
        .unwrap();

    let link = guest.lstatns("/a/link").unwrap();
    assert_eq!(
        (link.file_type(), link.uid, link.gid),
        (FileType::Symlink, 7, 8)
    );
    let file = guest.statns("/a/link").unwrap();
    assert_eq!(
        (file.file_type(), file.size, file.nlink),
        (FileType::Regular, 5, 1)
    );
    assert_eq!(
        (file.permissions(), file.uid, file.gid),
        (0o4751, 1000, u32::MAX - 1)
    );
    assert_eq!((file.atime, file.mtime), (time, time));

    guest.write("/a/other", b"").unwrap();
    guest
        .copy_attributes("/a/file", "/a/other", &CopyAttributes::new().mode(true))
        .unwrap();
    let other = guest.lstatns("/a/other").unwrap();
    assert_eq!((other.permissions(), other.uid), (0o4751, 0));
}

fn extended_attributes(guest: &Handle) {
    guest.write("/attributes", b"").unwrap();
    assert_eq!(guest.lgetxattrs("/attributes").unwrap(), []);
    guest
        .lsetxattr("/attributes", "user.one", b"caf\xe9")
        .unwrap();
    guest.setxattr("/attributes", "user.two", b"").unwrap();
    let label = b"system_u:object_r:etc_t:s0\0";
    guest
        .lsetxattr("/attributes", "security.selinux", label)
        .unwrap();
    let mut attributes = guest.getxattrs("/attributes").unwrap();
    attributes.sort_by(|a, b| a.name.cmp(&b.name));
    let attribute = |name: &[u8], value: &[u8]| Xattr {
        name: name.to_vec(),
        value: value.to_vec(),
    };
    assert_eq!(
        attributes,
        [
            attribute(b"security.selinux", label),
            attribute(b"user.one", b"caf\xe9"),
            attribute(b"user.two", b""),
        ]
    );
    let error = guest
        .setxattr("/attributes", "user.three", b"a\0b")
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::InteriorNul {
                argument: "val",
                ..
            }
        ),
        "{error:?}"
    );
    guest.removexattr("/attributes", "user.one").unwrap();
    guest.lremovexattr("/attributes", "user.two").unwrap();
    assert_eq!(guest.lgetxattrs("/attributes").unwrap().len(), 1);
}

fn trees(guest: &Handle, host: &Path) {
    let archive = host.join("tree.tar");
    guest.lsetxattr("/a/file", "user.kept", b"yes").unwrap();
    let options = TarOut::new()
        .numericowner(true)
        .xattrs(true)
        .excludes(["other"]);
    guest.tar_out("/a", &archive, &options).unwrap();
    guest.mkdir("/unpacked").unwrap();
    guest
        .tar_in(&archive, "/unpacked", &TarIn::new().xattrs(true))
        .unwrap();
    let file = guest.lstatns("/unpacked/file").unwrap();
    assert_eq!((file.permissions(), file.uid), (0o4751, 1000));
    assert_eq!(guest.lgetxattrs("/unpacked/file").unwrap().len(), 1);
    assert_eq!(guest.readlink("/unpacked/link").unwrap(), b"file");
    assert!(!guest.exists("/unpacked/other").unwrap());

    guest.cp_a("/unpacked", "/copied").unwrap();
    assert_eq!(guest.lstatns("/copied/link").unwrap().uid, 7);
    guest.rm_rf("/copied").unwrap();
    assert!(!guest.exists("/copied").unwrap());
}

fn hive(guest: &Handle) {
    guest.upload(HIVE, "/hive").unwrap();
    assert!(guest.hivex_open("/binary", &HivexOpen::new()).is_err());

    let hive = guest
        .hivex_open("/hive", &HivexOpen::new().write(true))
        .unwrap();
    let error = guest.hivex_open("/other", &HivexOpen::new()).unwrap_err();
    assert!(matches!(error, Error::HiveOpen { .. }), "{error:?}");
    let root = hive.root().unwrap();
    let name = hive
        .node_get_value(root, "timezonekeyname")
        .unwrap()
        .unwrap();
    assert_eq!(hive.value_key(name).unwrap(), "TimeZoneKeyName");
    assert_eq!(hive.value_type(name).unwrap(), 1);
    assert_eq!(hive.value_string(name).unwrap(), "W. Europe Standard Time");
    let bias = hive.node_get_value(root, "Bias").unwrap().unwrap();
    assert_eq!(hive.value_type(bias).unwrap(), 4);
    assert_eq!(
        hive.value_value(bias).unwrap(),
        0xffff_ffc4_u32.to_le_bytes()
    );
    assert_eq!(hive.node_values(root).unwrap().len(), 10);
    assert_eq!(hive.node_get_value(root, "none").unwrap(), None);
    assert_eq!(hive.node_get_child(root, "none").unwrap(), None);

    let added = hive.node_add_child(root, "Added").unwrap();
    hive.node_set_value(added, "", 3, b"").unwrap();
    hive.node_set_value(added, "Count", 4, &1_u32.to_le_bytes())
        .unwrap();
    let doomed = hive.node_add_child(root, "Doomed").unwrap();
    hive.node_delete_child(doomed).unwrap();
    hive.commit_to("/hive-copy").unwrap();
    hive.commit().unwrap();
    hive.close().unwrap();

    for path in ["/hive", "/hive-copy"] {
        let hive = guest.hivex_open(path, &HivexOpen::new()).unwrap();
        let root = hive.root().unwrap();
        let keys = hive.node_children(root).unwrap();
        let &[added] = keys.as_slice() else {
            panic!("{keys:?}")
        };
        assert_eq!(hive.node_name(added).unwrap(), "Added");
        assert_eq!(hive.node_parent(added).unwrap(), root);
        assert_eq!(hive.node_get_child(root, "ADDED").unwrap(), Some(added));
        let count = hive.node_get_value(added, "count").unwrap().unwrap();
        assert_eq!(hive.value_value(count).unwrap(), [1, 0, 0, 0]);
        let default = hive.node_get_value(added, "").unwrap().unwrap();
        assert_eq!(hive.value_value(default).unwrap(), b"");
        // Dropped, not closed: the next one can be opened all the same.
    }
    drop(guest.hivex_open("/hive", &HivexOpen::new()).unwrap());
}

fn cancelled_upload(guest: &Handle, host: &Path) {
    let huge = host.join("huge");
    File::create(&huge).unwrap().set_len(400 * MIB).unwrap();
    let (progressed, progress) = mpsc::channel();
    let id = guest
        .on_event(EventMask::PROGRESS, move |event| {
            if let Event::Progress(progress) = event {
                progressed.send(*progress).ok();
            }
        })
        .unwrap();
    let cancel = guest.cancel_handle();
    let canceller = thread::spawn(move || {
        let progress = progress.recv().unwrap();
        assert!(cancel.cancel());
        progress
    });
    let error = guest.upload(&huge, "/huge").unwrap_err();
    assert!(
        matches!(error, Error::Cancelled { call: "upload", .. }),
        "{error:?}"
    );
    assert_eq!(error.errno(), Some(libc::EINTR));
    let progress = canceller.join().unwrap();
    assert_eq!(progress.total, 400 * MIB);
    assert!(progress.position < progress.total);
    guest.remove_event(id).unwrap();

    // The handle still works.
    guest.rm("/huge").unwrap();
    assert!(guest.exists("/binary").unwrap());
}
