//! Trees that the real pacman made, and what it says of them after a removal. Needs root, as pacman
//! does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use refit_packages::{Format, Removal};
use support::{differences, plan, purge, run, tree, with_packages, write};

fn pacman(root: &Path) -> Command {
    let mut command = Command::new("pacman");
    // Nothing of the host's configuration counts.
    write(
        root.with_extension("conf"),
        "[options]\nArchitecture = any\nSigLevel = Never\nLocalFileSigLevel = Never\n",
    );
    command
        .arg("--config")
        .arg(root.with_extension("conf"))
        .arg("--root")
        .arg(root)
        .arg("--logfile=/dev/null")
        .env("LC_ALL", "C");
    command
}

fn install(root: &Path, info: &str, files: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    write(
        tree.join(".PKGINFO"),
        &format!("{info}pkgdesc = test\nsize = 1\narch = any\nbuilddate = 1\n"),
    );
    for (path, content) in files {
        write(tree.join(path), content);
    }
    let package = dir.path().join("package.pkg.tar");
    let names = fs::read_dir(&tree).unwrap();
    run(Command::new("tar")
        .arg("-cf")
        .arg(&package)
        .arg("-C")
        .arg(&tree)
        .args(names.map(|entry| entry.unwrap().file_name())));
    run(pacman(root).args(["-U", "--noconfirm"]).arg(&package));
}

#[test]
fn a_removal_leaves_what_pacman_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("var/lib/pacman")).unwrap();
    install(
        &root,
        "pkgname = base\npkgver = 1-1\n",
        &[
            ("usr/bin/sh", ""),
            ("etc/base", ""),
            ("usr/share/shared/base", ""),
        ],
    );
    install(
        &root,
        "pkgname = tools\npkgver = 2:12.2-3\ndepend = base>=1\nprovides = vm-tools=12\nbackup = etc/tools.conf\n",
        &[
            ("usr/bin/tool", ""),
            ("etc/tools.conf", "a"),
            ("usr/share/shared/tools", ""),
            ("usr/share/tools/deep/file", ""),
        ],
    );
    write(root.join("etc/tools.conf"), "changed");
    let expected = dir.path().join("expected");
    run(Command::new("cp").arg("-a").arg(&root).arg(&expected));
    run(pacman(&expected).args(["-Rn", "--noconfirm", "tools"]));

    with_packages(&root, |guest, packages| {
        assert_eq!(packages.format(), Format::Pacman);
        let tools = packages.get("tools").unwrap();
        assert_eq!(tools.version, "2:12.2-3");
        assert_eq!(tools.config_files, ["/etc/tools.conf".into()]);
        let owners = packages.owners(guest, "/usr/share/shared").unwrap();
        assert_eq!(owners.len(), 2);
    });
    let before = tree(&root);
    let undo = purge(&root, &["tools"]);
    assert_eq!(
        differences(&tree(&root), &tree(&expected)),
        Vec::<String>::new()
    );
    assert_eq!(run(pacman(&root).arg("-Q")), "base 1-1\n");
    run(pacman(&root).arg("-Qkk"));
    let mut backend = refit_engine::backend::RootBackend::open(&root).unwrap();
    undo.restore(&mut backend, false).unwrap();
    assert_eq!(differences(&tree(&root), &before), Vec::<String>::new());

    install(
        &root,
        "pkgname = needs\npkgver = 1-1\ndepend = vm-tools\n",
        &[("usr/share/needs", "")],
    );
    assert_eq!(
        plan(&root, &["tools"]),
        Removal::Blocked {
            reason: "needs needs tools (vm-tools)".to_owned()
        }
    );
}
