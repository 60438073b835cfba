//! Every kind of change, on a disk through the appliance: applied, checked, undone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use refit_engine::disks::{DiskSpec, Format};
use refit_engine::target::{self, Settings, Target};
use refit_engine::{
    Change, Fixup, Guest, Info, InitramfsFile, Job, Phase, Proposal, Request, Selection, UndoFile,
    Verdict,
};
use refit_tests::{differences, system_disk_with, tree};

/// Proposes one change of each kind, until the guest looks as if they were made.
struct EveryKind(Info);

impl Fixup for EveryKind {
    fn info(&self) -> &Info {
        &self.0
    }

    fn plan(&self, guest: &Guest<'_>, _: &Request) -> anyhow::Result<Proposal> {
        let reason = "as asked".to_owned();
        if guest.exists("/etc/made/by/us")? {
            return Ok(Verdict::Fine { reason }.into());
        }
        let long: Vec<u8> = (0..5_000_000u32)
            .flat_map(|n| n.to_le_bytes())
            .take(5_000_000)
            .collect();
        let write = |path: &str, content: &[u8], mode| Change::Write {
            path: path.into(),
            content: content.to_vec(),
            mode,
        };
        let changes = vec![
            write("/etc/fstab", b"/dev/sda / ext4 noatime 0 1\n", None),
            write("/etc/made/by/us", b"us\n", Some(0o600)),
            write("/etc/long", &long, None),
            write("/bin/first-name", b"both names change\n", None),
            Change::Remove {
                path: "/etc/old".into(),
            },
            Change::Link {
                path: "/etc/hostname".into(),
                target: b"made/by/us".to_vec(),
            },
            Change::Chmod {
                path: "/bin/helper".into(),
                mode: 0o755,
            },
            Change::InitramfsAppend {
                path: "/boot/initrd.img-6.1.0".into(),
                files: vec![InitramfsFile {
                    path: "/etc/long".into(),
                    mode: 0o644,
                    content: long,
                }],
            },
        ];
        Ok(Verdict::Change { reason, changes }.into())
    }
}

fn add(tree: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(tree.join("etc/old/deep"))?;
    fs::write(tree.join("etc/old/deep/caf\u{e9}"), "x")?;
    fs::write(tree.join("etc/old/labelled"), "x")?;
    rustix::fs::setxattr(
        tree.join("etc/old/labelled"),
        "user.note",
        b"kept",
        rustix::fs::XattrFlags::empty(),
    )?;
    symlink("deep", tree.join("etc/old/link"))?;
    fs::write(tree.join("bin/helper"), "#!/bin/sh\n")?;
    fs::set_permissions(tree.join("bin/helper"), fs::Permissions::from_mode(0o4750))?;
    fs::write(tree.join("bin/first-name"), "old\n")?;
    fs::hard_link(tree.join("bin/first-name"), tree.join("bin/second-name"))?;
    let policy = tree.join("etc/selinux/targeted/contexts/files");
    fs::create_dir_all(&policy)?;
    fs::write(
        tree.join("etc/selinux/config"),
        "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
    )?;
    fs::write(
        policy.join("file_contexts"),
        "/.*\tsystem_u:object_r:default_t:s0\n/etc(/.*)?\tsystem_u:object_r:etc_t:s0\n",
    )?;
    Ok(())
}

#[test]
fn every_kind_of_change_is_made_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk = system_disk_with(dir.path(), "every", add).unwrap();
    let before = tree(&disk, "raw").unwrap();
    let target = Target::Disks(vec![DiskSpec {
        path: disk.clone(),
        format: Some(Format::Raw),
    }]);
    let mut settings = Settings {
        os_device: None,
        keys: Vec::new(),
        force_tcg: &|| true,
        launch_limit: Duration::from_secs(300),
        in_place: false,
        disks: refit_engine::disks::Options::default(),
        on_handle: &mut |_| {},
        progress: &mut |_| {},
    };
    let info = Info {
        id: "every-kind".to_owned(),
        summary: String::new(),
        phase: Phase::User,
        parameters: BTreeMap::new(),
    };
    let fixup = EveryKind(info);
    let (fixups, selection, request): ([&dyn Fixup; 1], _, _) =
        ([&fixup], Selection::default(), Request::default());
    let job = Job {
        fixups: &fixups,
        selection: &selection,
        request: &request,
    };
    let undo = dir.path().join("undo.json");
    let report = target::fix(&target, &mut settings, job, &undo)
        .unwrap()
        .report;
    assert_eq!(report.checked, Some(true), "{report:?}");

    let after = tree(&disk, "raw").unwrap();
    let label = "selinux";
    let made = &after["./etc/made/by/us"];
    assert!(
        made.contains("600 0:0") && made.contains(label) && made.contains("etc_t"),
        "{made}"
    );
    assert!(
        after["./etc/made"].contains("etc_t"),
        "{}",
        after["./etc/made"]
    );
    assert!(
        !after["./etc/fstab"].contains(label),
        "what was there keeps what it had: {}",
        after["./etc/fstab"]
    );
    assert!(
        after["./bin/helper"].contains(" 755 "),
        "{}",
        after["./bin/helper"]
    );
    assert!(
        after["./etc/hostname"].contains("made/by/us"),
        "{}",
        after["./etc/hostname"]
    );
    assert!(!after.keys().any(|path| path.starts_with("./etc/old")));
    // One of two names of a file is rewritten, and both change. In the archive one of them is a
    // link to the other.
    let digest = |tree: &BTreeMap<String, String>| {
        let names = ["./bin/first-name", "./bin/second-name"];
        names.map(|name| tree[name].rsplit_once(' ').unwrap().1.to_owned())
    };
    let (old, new) = (digest(&before), digest(&after));
    assert_eq!(
        old.iter().zip(&new).filter(|(old, new)| old != new).count(),
        1,
        "{old:?} {new:?}"
    );
    assert!(
        after["./bin/first-name"].contains("Link") || after["./bin/second-name"].contains("Link"),
        "the two names are still one file"
    );

    target::undo(
        &target,
        &mut settings,
        &UndoFile::load(&undo).unwrap(),
        false,
    )
    .unwrap();
    assert_eq!(
        differences(&before, &tree(&disk, "raw").unwrap()),
        Vec::<String>::new()
    );
}
