//! A tree as apk leaves it. There is no apk in Debian: the database is written here in the form of
//! apk 2.14.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use refit_packages::{Format, Removal};
use support::{differences, plan, purge, tree, with_packages, write};

const BUSYBOX: &str = "C:Q1AAA=\nP:busybox\nV:1.36.1-r29\nA:x86_64\nD:so:libc.musl-x86_64.so.1\n\
p:/bin/sh cmd:sh=1.36.1-r29\nF:bin\nR:busybox\na:0:0:755\nZ:Q1BBB=\nF:etc\nF:usr\nF:usr/share\n\n";
const TOOLS: &str = "C:Q1TTT=\nP:open-vm-tools\nV:12.3.5-r3\nA:x86_64\nD:/bin/sh\n\
p:cmd:vmtoolsd=12.3.5-r3\nF:etc\nF:etc/init.d\nR:open-vm-tools\na:0:0:755\nZ:Q1CCC=\n\
F:etc/vmware-tools\nR:tools.conf\nZ:Q1DDD=\nF:usr\nF:usr/bin\nR:vmtoolsd\na:0:0:755\nZ:Q1EEE=\n\n";
const PLUGIN: &str = "C:Q1PPP=\nP:open-vm-tools-vix\nV:12.3.5-r3\nA:x86_64\n\
D:cmd:vmtoolsd open-vm-tools=12.3.5-r3 !other\nF:usr\nF:usr/lib\nR:vix.so\nZ:Q1FFF=\n\n";
const MUSL: &str = "C:Q1MMM=\nP:musl\nV:1.2.5-r0\nA:x86_64\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld.so\nZ:Q1GGG=\n\n";

fn alpine(root: &Path, db: &str) {
    let db = root.join(db);
    write(
        db.join("installed"),
        &[BUSYBOX, TOOLS, PLUGIN, MUSL].concat(),
    );
    write(
        db.join("triggers"),
        "Q1AAA= /bin /usr/bin\nQ1TTT= /usr/lib/open-vm-tools\n",
    );
    write(db.join("scripts.tar"), "");
    write(
        root.join("etc/apk/world"),
        "alpine-base\nopen-vm-tools>12\nopen-vm-tools-vix@edge\n",
    );
    for (path, content) in [
        ("bin/busybox", ""),
        ("etc/init.d/open-vm-tools", ""),
        ("etc/vmware-tools/tools.conf", "changed"),
        ("usr/bin/vmtoolsd", ""),
        ("usr/lib/vix.so", ""),
        ("lib/ld.so", ""),
    ] {
        write(root.join(path), content);
    }
    fs::create_dir_all(root.join("etc/runlevels/default")).unwrap();
    symlink(
        "/etc/init.d/open-vm-tools",
        root.join("etc/runlevels/default/open-vm-tools"),
    )
    .unwrap();
}

#[test]
fn packages_go_with_their_place_in_world_and_runlevels() {
    for db in ["lib/apk/db", "usr/lib/apk/db"] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        alpine(root, db);
        let before = tree(root);
        with_packages(root, |guest, packages| {
            assert_eq!(packages.format(), Format::Apk);
            let owners = packages.owners(guest, "/usr/bin/vmtoolsd").unwrap();
            assert_eq!(owners[0].name, "open-vm-tools");
        });
        assert_eq!(
            plan(root, &["open-vm-tools"]),
            Removal::Blocked {
                reason: "open-vm-tools-vix needs open-vm-tools (cmd:vmtoolsd); \
                         open-vm-tools-vix needs open-vm-tools (open-vm-tools=12.3.5-r3)"
                    .to_owned()
            }
        );
        let undo = purge(root, &["open-vm-tools", "open-vm-tools-vix"]);
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        assert_eq!(read(&format!("{db}/installed")), [BUSYBOX, MUSL].concat());
        assert_eq!(read(&format!("{db}/triggers")), "Q1AAA= /bin /usr/bin\n");
        assert_eq!(read("etc/apk/world"), "alpine-base\n");
        let after = tree(root);
        for gone in [
            "etc/init.d",
            "etc/vmware-tools",
            "usr/bin",
            "usr/lib/vix.so",
            "etc/runlevels/default/open-vm-tools",
        ] {
            assert!(!after.contains_key(gone), "{gone}");
        }
        for kept in ["bin/busybox", "lib/ld.so", "etc/runlevels/default"] {
            assert!(after.contains_key(kept), "{kept}");
        }
        let mut backend = refit_engine::backend::RootBackend::open(root).unwrap();
        undo.restore(&mut backend, false).unwrap();
        assert_eq!(differences(&tree(root), &before), Vec::<String>::new());
    }
}
