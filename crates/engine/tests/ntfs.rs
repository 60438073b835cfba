//! A Windows guest on NTFS, in the appliance: what is created there, what undo brings back, and what must not
//! be written to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Instant;

use refit_engine::backend::{Backend as _, GuestfsBackend};
use refit_engine::{
    Change, Fixup, Guest, GuestPath, Hints, HiveName, Info, Job, Phase, Proposal, Request,
    Selection, UndoFile, Verdict, fix,
};
use refit_guestfs::{AddDrive, Handle, Mkfs};
use refit_hive::{Hive, Value};

/// The access of everybody in a descriptor as ntfs-3g makes it: an entry for S-1-1-0.
const EVERYONE: [u8; 12] = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];

/// Registry and files of a driver, until it is there.
struct Driver(Info);

impl Fixup for Driver {
    fn info(&self) -> &Info {
        &self.0
    }

    fn plan(&self, guest: &Guest<'_>, _: &Request) -> anyhow::Result<Proposal> {
        let reason = "a driver".to_owned();
        if guest.exists("/Program Files/Refit/it's/a.exe")? {
            return Ok(Verdict::Fine { reason }.into());
        }
        let write = |path: &str| Change::Write {
            path: path.into(),
            content: b"MZ".to_vec(),
            mode: None,
        };
        Ok(Verdict::Change {
            reason,
            changes: vec![
                write("/windows/SYSTEM32/drivers/new.sys"),
                write("/program files/Refit/it's/a.exe"),
                Change::Remove {
                    path: "/Windows/old.sys".into(),
                },
                Change::RegistrySet {
                    hive: HiveName::System,
                    key: "ControlSet001\\Services\\new".to_owned(),
                    name: "Start".to_owned(),
                    value: Value::dword(0),
                },
            ],
        }
        .into())
    }
}

/// 16 MiB, as a real one has.
fn system() -> Vec<u8> {
    let mut hive = Hive::new();
    hive.set_value("Select", "Current", &Value::dword(1))
        .unwrap();
    for number in 0..1040 {
        let key = format!("ControlSet001\\Services\\s{number}");
        hive.set_value(&key, "Blob", &Value::binary(vec![number as u8; 15 * 1024]))
            .unwrap();
    }
    hive.into_bytes()
}

/// A directory that leads to another ([MS-FSCC] 2.1.2.5).
fn junction(target: &str) -> Vec<u8> {
    let name: Vec<u8> = target.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let len = name.len() as u16;
    let mut data = 0xa000_0003_u32.to_le_bytes().to_vec();
    // Length, reserved; substitute name and print name, each with offset and length.
    for field in [8 + len + 4, 0, 0, len, len + 2, 0] {
        data.extend(field.to_le_bytes());
    }
    data.extend(name);
    data.extend([0; 4]);
    data
}

type Found = BTreeMap<GuestPath, (Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>, (i64, i64))>;

/// Every path with content, attributes and time.
fn everything(backend: &GuestfsBackend) -> Found {
    let mut found = Found::new();
    let mut pending = vec![GuestPath::root()];
    while let Some(dir) = pending.pop() {
        for entry in backend.list(&dir).unwrap().unwrap() {
            let path = dir.join(&entry.name);
            let stat = backend.lstat(&path).unwrap().unwrap();
            let content = match entry.kind {
                refit_engine::backend::FileKind::Dir => {
                    pending.push(path.clone());
                    Vec::new()
                }
                refit_engine::backend::FileKind::Symlink => backend.read_link(&path).unwrap(),
                _ => backend.read(&path).unwrap(),
            };
            let xattrs = backend.xattrs(&path).unwrap();
            found.insert(path, (content, xattrs, stat.mtime));
        }
    }
    found
}

fn acl(backend: &GuestfsBackend, path: &str) -> Vec<u8> {
    let xattrs = backend.xattrs(&path.into()).unwrap();
    let acl = xattrs
        .into_iter()
        .find(|(name, _)| name == b"system.ntfs_acl");
    acl.unwrap().1
}

fn sh(handle: &Handle, command: &str) -> String {
    String::from_utf8(handle.appliance_sh(command).unwrap()).unwrap()
}

#[test]
fn on_ntfs() {
    let scratch = tempfile::tempdir().unwrap();
    let disk = scratch.path().join("disk.img");
    File::create(&disk).unwrap().set_len(256 << 20).unwrap();
    let handle = Handle::new().unwrap();
    handle.set_backend_setting("force_tcg", "1").unwrap();
    handle
        .add_drive(&disk, &AddDrive::new().format("raw"))
        .unwrap();
    handle.launch().unwrap();
    // Not by a shell command: in there the disk may have another name.
    handle.part_disk("/dev/sda", "mbr").unwrap();
    handle.mkfs("ntfs", "/dev/sda1", &Mkfs::new()).unwrap();
    handle.mount("/dev/sda1", "/").unwrap();
    for dir in [
        "/Windows",
        "/Windows/System32",
        "/Windows/System32/config",
        "/Windows/System32/drivers",
        "/Program Files",
    ] {
        handle.mkdir(dir).unwrap();
    }
    handle.write("/Windows/old.sys", b"MZ old").unwrap();
    // Hidden, system and read-only, with a descriptor that only this file has.
    sh(
        &handle,
        "cd /sysroot/Windows && setfattr -n system.ntfs_attrib_be -v 0x00000027 old.sys && \
         getfattr -h -e hex -n system.ntfs_acl --only-values . > /dev/null && \
         setfattr -n system.ntfs_acl -v 0x$(getfattr -e hex -n system.ntfs_acl /sysroot/Windows 2>/dev/null \
         | sed -n 's/^system.ntfs_acl=0x//p' | sed 's/ff011f00/a9001200/') old.sys",
    );
    handle.mkdir("/Junction").unwrap();
    let reparse: String = junction("\\??\\C:\\Windows")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    sh(
        &handle,
        &format!("setfattr -h -n system.ntfs_reparse_data -v 0x{reparse} /sysroot/Junction 2>&1"),
    );
    // The kernel remembers that it was a directory.
    handle.umount_all().unwrap();
    handle.mount("/dev/sda1", "/").unwrap();
    let mut backend = GuestfsBackend::new(handle, "disk.img".to_owned());
    let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    assert_eq!(
        guest.resolve(&"/junction/SYSTEM32".into()).unwrap(),
        Some("/Windows/System32".into())
    );
    drop(guest);
    let hive = "/Windows/System32/config/SYSTEM".into();
    let clock = Instant::now();
    backend.write(&hive, &system()).unwrap();
    let whole = clock.elapsed();
    backend.sync().unwrap();
    let before = everything(&backend);
    assert!(
        acl(&backend, "/Windows/System32")
            .windows(12)
            .any(|part| part == EVERYONE)
    );

    let fixup = Driver(Info {
        id: "driver".to_owned(),
        summary: String::new(),
        phase: Phase::Drivers,
        parameters: BTreeMap::new(),
    });
    let job = Job {
        fixups: &[&fixup],
        selection: &Selection::default(),
        request: &Request::default(),
    };
    let undo = scratch.path().join("undo.json");
    let report = fix(&mut backend, &Hints::default(), job, &undo, &mut |_| {}).unwrap();
    assert_eq!(report.checked, Some(true), "{report:?}");
    eprintln!(
        "the whole hive was written in {whole:?}, the plan in {} s; the undo file has {} bytes",
        report.timings["apply"],
        undo.metadata().unwrap().len()
    );
    for new in [
        "/Windows/System32/drivers/new.sys",
        "/Program Files/Refit",
        "/Program Files/Refit/it's",
        "/Program Files/Refit/it's/a.exe",
    ] {
        let acl = acl(&backend, new);
        assert!(
            !acl.windows(12).any(|part| part == EVERYONE),
            "{new}: {acl:02x?}"
        );
    }
    assert!(
        backend
            .lstat(&"/Windows/System32/drivers/new.sys".into())
            .unwrap()
            .is_some()
    );
    assert!(backend.lstat(&"/Windows/old.sys".into()).unwrap().is_none());
    let written = Hive::parse(backend.read(&hive).unwrap()).unwrap();
    assert!(written.key("ControlSet001\\Services\\new").is_some());

    UndoFile::load(&undo)
        .unwrap()
        .restore(&mut backend, false)
        .unwrap();
    // What the file system holds, not what it remembers.
    let handle = backend.unmount().unwrap();
    handle.mount("/dev/sda1", "/").unwrap();
    let backend = GuestfsBackend::new(handle, "disk.img".to_owned());
    let after = everything(&backend);
    let differ: Vec<_> = before
        .keys()
        .chain(after.keys())
        .filter(|path| before.get(path) != after.get(path))
        .map(|path| {
            let shown = |tree: &Found| tree.get(path).map(|(_, x, t)| format!("{x:02x?} {t:?}"));
            format!("{path}: {:?} / {:?}", shown(&before), shown(&after))
        })
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    backend.close().unwrap();
}
