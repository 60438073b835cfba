//! Trees that the real dpkg made, and what it says of them after a removal.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use refit_packages::Removal;
use support::{differences, plan, purge, run, tree, with_packages, write};

fn dpkg(root: &Path) -> Command {
    let mut command = Command::new("dpkg");
    command
        .arg(format!("--root={}", root.display()))
        .args(["--force-not-root", "--log=/dev/null"])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C");
    command
}

/// Builds a package out of control fields and files and installs it into the tree.
fn install(root: &Path, control: &str, files: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write(
        tree.join("DEBIAN/control"),
        &format!("{control}\nMaintainer: Nobody <nobody@example.org>\nDescription: a test\n"),
    );
    for (path, content) in files {
        match content.strip_prefix("-> ") {
            Some(target) => {
                fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
                symlink(target, tree.join(path)).unwrap();
            }
            None if path.ends_with('/') => fs::create_dir_all(tree.join(path)).unwrap(),
            None => write(tree.join(path), content),
        }
    }
    let deb = dir.path().join("package.deb");
    run(Command::new("dpkg-deb")
        .args(["--build", "-Zgzip"])
        .arg(&tree)
        .arg(&deb));
    run(dpkg(root).arg("--install").arg(&deb));
}

/// A merged `/usr` with three packages, `tools` among them with all that dpkg itself takes away.
fn small_tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for path in [
        "usr/bin",
        "usr/lib",
        "var/lib/dpkg/info",
        "var/lib/dpkg/updates",
        "etc",
    ] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    symlink("usr/bin", root.join("bin")).unwrap();
    symlink("usr/lib", root.join("lib")).unwrap();
    write(root.join("var/lib/dpkg/status"), "");
    install(
        root,
        "Package: base\nVersion: 1\nArchitecture: all\nEssential: yes",
        &[
            ("usr/bin/sh", "sh"),
            ("usr/share/shared/base", ""),
            ("usr/bin/thing", "theirs"),
        ],
    );
    install(
        root,
        "Package: tools\nVersion: 2:12.2-1\nArchitecture: all\nDepends: base (>= 1)\nProvides: vm-tools (= 12.2)",
        &[
            ("bin/tool", "tool"),
            ("etc/tools/tools.conf", "conf"),
            ("etc/init.d/tools", "#!/bin/sh"),
            ("lib/systemd/system/tools.service", "[Unit]"),
            ("usr/share/shared/tools", ""),
            ("usr/share/tools/deep/er/file", ""),
            ("usr/share/tools-link", "-> tools"),
            ("var/lib/tools/", ""),
            (
                "DEBIAN/conffiles",
                "/etc/tools/tools.conf\n/etc/init.d/tools\n",
            ),
            (
                "DEBIAN/triggers",
                "interest-noawait /usr/share/modules\ninterest tools-refresh\n",
            ),
        ],
    );
    install(
        root,
        "Package: last\nVersion: 1\nArchitecture: all\nConflicts: nobody",
        &[
            ("usr/share/last/file", ""),
            ("bin/last", ""),
            ("lib/last", ""),
            ("etc/last", ""),
            ("DEBIAN/triggers", "interest-noawait /usr/share/shared\n"),
        ],
    );
    dir
}

fn copy(root: &Path) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    run(Command::new("cp")
        .arg("-a")
        .arg(root)
        .arg(dir.path().join("copy")));
    let path = dir.path().join("copy");
    (dir, path)
}

/// What dpkg says of a tree when nothing is wrong.
fn assert_content(root: &Path) {
    assert_eq!(run(dpkg(root).arg("--audit")), "");
    assert_eq!(run(dpkg(root).arg("--verify")), "");
}

#[test]
fn a_removal_leaves_what_a_purge_leaves() {
    let dir = small_tree();
    let root = dir.path();
    write(
        root.join("etc/tools/tools.conf"),
        "changed by the administrator",
    );
    write(root.join("etc/tools/tools.conf.dpkg-old"), "old");
    write(
        root.join("usr/share/tools/deep/made-later"),
        "not the package's",
    );
    let before = tree(root);
    let (_keep, expected) = copy(root);
    run(dpkg(&expected).args(["--purge", "tools"]));

    let undo = purge(root, &["tools"]);
    assert_content(root);
    let ignored = |difference: &String| !difference.starts_with("var/lib/dpkg/status-old");
    let found: Vec<String> = differences(&tree(root), &tree(&expected))
        .into_iter()
        .filter(ignored)
        .collect();
    assert_eq!(found, Vec::<String>::new());
    assert!(root.join("usr/share/tools/deep/made-later").exists());
    assert!(!root.join("usr/bin/tool").exists() && !root.join("etc/tools").exists());

    let mut backend = refit_engine::backend::RootBackend::open(root).unwrap();
    undo.restore(&mut backend, false).unwrap();
    assert_eq!(differences(&tree(root), &before), Vec::<String>::new());
}

#[test]
fn a_package_that_dpkg_has_removed_loses_its_configuration() {
    let dir = small_tree();
    let root = dir.path();
    run(dpkg(root).args(["--remove", "tools"]));
    with_packages(root, |_, packages| {
        assert!(packages.get("tools").is_none());
        assert_eq!(packages.residual().count(), 1);
    });
    let (_keep, expected) = copy(root);
    run(dpkg(&expected).args(["--purge", "tools"]));
    purge(root, &["tools"]);
    assert_content(root);
    let mut found = differences(&tree(root), &tree(&expected));
    found.retain(|difference| !difference.starts_with("var/lib/dpkg/status-old"));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn services_diversions_and_overrides_go_with_their_package() {
    let dir = small_tree();
    let root = dir.path();
    run(Command::new("dpkg-divert")
        .arg(format!("--root={}", root.display()))
        .args(["--package", "tools", "--add", "--rename"])
        .args(["--divert", "/usr/bin/thing.distrib", "/usr/bin/thing"])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"));
    install(
        root,
        "Package: tools\nVersion: 3\nArchitecture: all",
        &[
            ("usr/bin/thing", "ours"),
            ("lib/systemd/system/tools.service", "[Unit]"),
            ("etc/init.d/tools", "#!/bin/sh"),
            ("DEBIAN/conffiles", "/etc/init.d/tools\n"),
        ],
    );
    assert_eq!(
        fs::read_to_string(root.join("usr/bin/thing")).unwrap(),
        "ours"
    );
    with_packages(root, |guest, packages| {
        for (path, owner) in [
            ("/usr/bin/thing", "tools"),
            ("/bin/thing.distrib", "base"),
            ("/usr/lib/systemd/system/tools.service", "tools"),
            ("/lib/systemd/system/tools.service", "tools"),
            ("/bin/sh", "base"),
        ] {
            let owners = packages.owners(guest, path).unwrap();
            let names: Vec<_> = owners.iter().map(|package| package.name.as_str()).collect();
            assert_eq!(names, [owner], "{path}");
        }
        assert!(
            packages
                .owners(guest, "/usr/bin/nothing")
                .unwrap()
                .is_empty()
        );
        assert_eq!(packages.owners(guest, "/usr/bin").unwrap().len(), 2);
    });
    write(
        root.join("var/lib/dpkg/statoverride"),
        "root root 4755 /etc/init.d/tools\nroot root 755 /usr/bin/sh\n",
    );
    let wants = root.join("etc/systemd/system/multi-user.target.wants");
    let state = root.join("var/lib/systemd/deb-systemd-helper-enabled");
    fs::create_dir_all(&wants).unwrap();
    fs::create_dir_all(root.join("etc/rc2.d")).unwrap();
    symlink(
        "/lib/systemd/system/tools.service",
        wants.join("tools.service"),
    )
    .unwrap();
    symlink(
        "/lib/systemd/system/tools.service",
        root.join("etc/systemd/system/alias.service"),
    )
    .unwrap();
    symlink("../init.d/tools", root.join("etc/rc2.d/S01tools")).unwrap();
    symlink("../init.d/other", root.join("etc/rc2.d/S01other")).unwrap();
    write(
        state.join("tools.service.dsh-also"),
        "/etc/systemd/system/multi-user.target.wants/tools.service\n/etc/systemd/system/alias.service\n",
    );
    write(state.join("multi-user.target.wants/tools.service"), "");
    write(state.join("alias.service"), "");
    write(state.join("other.service.dsh-also"), "");
    let before = tree(root);

    let undo = purge(root, &["tools"]);
    assert_content(root);
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    assert_eq!(read("usr/bin/thing"), "theirs");
    assert!(!root.join("usr/bin/thing.distrib").exists());
    assert_eq!(read("var/lib/dpkg/diversions"), "");
    assert_eq!(
        read("var/lib/dpkg/statoverride"),
        "root root 755 /usr/bin/sh\n"
    );
    assert!(!wants.exists());
    let names = |dir: &Path| -> Vec<String> {
        fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(
        names(&root.join("etc/systemd/system")),
        Vec::<String>::new()
    );
    assert_eq!(names(&root.join("etc/rc2.d")), ["S01other"]);
    assert_eq!(names(&state), ["other.service.dsh-also"]);

    let mut backend = refit_engine::backend::RootBackend::open(root).unwrap();
    undo.restore(&mut backend, false).unwrap();
    assert_eq!(differences(&tree(root), &before), Vec::<String>::new());
}

#[test]
fn what_others_need_stays() {
    let dir = small_tree();
    let root = dir.path();
    let blocked = |names: &[&str]| match plan(root, names) {
        Removal::Blocked { reason } => reason,
        Removal::Changes { .. } => String::new(),
    };
    assert!(
        blocked(&["base"]).contains("base is essential"),
        "{}",
        blocked(&["base"])
    );
    install(
        root,
        "Package: needs\nVersion: 1\nArchitecture: all\nDepends: nothing | vm-tools (>= 12)",
        &[],
    );
    assert_eq!(
        blocked(&["tools"]),
        "needs needs tools (nothing | vm-tools (>= 12))"
    );
    assert_eq!(blocked(&["tools", "needs"]), "");
    install(
        root,
        "Package: other-tools\nVersion: 1\nArchitecture: all\nProvides: vm-tools (= 11)",
        &[],
    );
    assert_ne!(blocked(&["tools"]), "", "11 is not enough");
    install(
        root,
        "Package: new-tools\nVersion: 1\nArchitecture: all\nProvides: vm-tools (= 13)",
        &[],
    );
    assert_eq!(blocked(&["tools"]), "");
    assert_eq!(plan(root, &["not-there"]), Removal::default());
}

/// A real Debian with the real package: what refit leaves, dpkg would have left, but for what scripts
/// of the package and triggers of others do.
#[test]
fn open_vm_tools_of_a_real_debian() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    run(Command::new("mmdebstrap")
        .args([
            "--quiet",
            "--variant=essential",
            "--include=open-vm-tools,systemd-sysv",
        ])
        .arg("bookworm")
        .arg(&root));
    let expected = dir.path().join("expected");
    run(Command::new("cp").arg("-a").arg(&root).arg(&expected));
    run(Command::new("chroot")
        .arg(&expected)
        .args(["dpkg", "--purge", "open-vm-tools"])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C"));

    purge(&root, &["open-vm-tools"]);
    assert_content(&root);
    assert!(!root.join("usr/bin/vmtoolsd").exists());
    let logs = [
        "var/lib/dpkg/status-old",
        "var/log/",
        "var/cache/",
        "etc/ld.so.cache",
    ];
    let mut found = differences(&tree(&root), &tree(&expected));
    found.retain(|difference| !logs.iter().any(|log| difference.starts_with(log)));
    assert_eq!(found, Vec::<String>::new());
}
