//! `rpm -e` rehearsed in the appliance, on a guest with a real rpm. Needs root, as mmdebstrap does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use refit_engine::backend::GuestfsBackend;
use refit_engine::{Guest, Hints, Os};
use refit_guestfs::{AddDrive, Handle};
use refit_packages::{Format, Packages, Removal};
use support::{purge_from, run, write};

const SPEC: &str = "\
Name: tools
Version: 12.2
Release: 3
Summary: test
License: MIT
BuildArch: noarch
%description
test
%package plugin
Summary: test
Requires: tools = %{version}
%description plugin
test
%install
mkdir -p %{buildroot}/etc/tools %{buildroot}/usr/share/tools
echo a > %{buildroot}/etc/tools/tools.conf
echo b > %{buildroot}/usr/share/tools/file
echo c > %{buildroot}/usr/share/plugin
%preun
echo removed > /etc/by-preun
%files
%config(noreplace) /etc/tools/tools.conf
/usr/share/tools
%dir /etc/tools
%files plugin
/usr/share/plugin
";

/// A Debian that knows its packages by rpm alone.
fn tree(dir: &Path) -> std::path::PathBuf {
    let root = dir.join("root");
    run(Command::new("mmdebstrap")
        .args(["--quiet", "--variant=essential", "--include=rpm"])
        .arg("bookworm")
        .arg(&root));
    fs::remove_dir_all(root.join("var/lib/dpkg")).unwrap();
    fs::remove_dir_all(root.join("var/cache/apt")).unwrap();
    fs::remove_dir_all(root.join("var/lib/apt")).unwrap();
    // Debian's rpm keeps its database in the user's home directory.
    write(root.join("etc/rpm/macros"), "%_dbpath /var/lib/rpm\n");
    for path in ["proc", "sys", "run", "root", "boot"] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    write(dir.join("tools.spec"), SPEC);
    run(Command::new("rpmbuild")
        .arg("-bb")
        .arg("--define")
        .arg(format!("_topdir {}", dir.display()))
        .args(["--define", "_binary_payload w1.gzdio"])
        .arg(dir.join("tools.spec")));
    let packages = fs::read_dir(dir.join("RPMS/noarch")).unwrap();
    let packages: Vec<_> = packages.map(|entry| entry.unwrap().path()).collect();
    run(Command::new("rpm")
        .arg("--root")
        .arg(&root)
        .args(["--dbpath", "/var/lib/rpm", "-i", "--nodeps"])
        .args(packages));
    root
}

fn open(dir: &Path) -> GuestfsBackend {
    let image = dir.join("disk.img");
    run(Command::new("mkfs.ext4")
        .args(["-q", "-E", "root_owner=0:0", "-d"])
        .arg(tree(dir))
        .arg(&image)
        .arg("900M"));
    let handle = Handle::new().unwrap();
    handle.set_backend("direct").unwrap();
    // A machine may have a KVM that does not work.
    handle.set_backend_setting("force_tcg", "1").unwrap();
    handle
        .add_drive(&image, &AddDrive::new().format("raw"))
        .unwrap();
    handle.launch().unwrap();
    handle.mount("/dev/sda", "/").unwrap();
    GuestfsBackend::new(handle, "the test guest".to_owned())
}

#[test]
fn rpm_removes_what_nobody_needs() {
    let dir = tempfile::tempdir().unwrap();
    let mut backend = open(dir.path());
    let hints = Hints {
        os: Some(Os::Linux),
        ..Hints::default()
    };
    {
        let guest = Guest::inspect(&backend, &hints).unwrap();
        let packages = Packages::read(&guest).unwrap().unwrap();
        assert_eq!(packages.format(), Format::Rpm);
        let owners = packages.owners(&guest, "/usr/share/tools/file").unwrap();
        assert_eq!(owners[0].name, "tools");
        let Removal::Blocked { reason } = packages.removal(&guest, &["tools"]).unwrap() else {
            panic!("its plugin needs it");
        };
        assert!(reason.contains("tools-plugin"), "{reason}");
    }
    let undo = purge_from(&mut backend, &hints, &["tools", "tools-plugin"]);
    {
        let guest = Guest::inspect(&backend, &hints).unwrap();
        for gone in ["/usr/share/tools", "/usr/share/plugin", "/etc/tools"] {
            assert!(!guest.exists(gone).unwrap(), "{gone}");
        }
        assert_eq!(guest.read("/etc/by-preun").unwrap().unwrap(), b"removed\n");
        assert!(Packages::read(&guest).unwrap().is_none(), "none is left");
    }
    undo.restore(&mut backend, false).unwrap();
    let guest = Guest::inspect(&backend, &hints).unwrap();
    let packages = Packages::read(&guest).unwrap().unwrap();
    assert!(packages.get("tools").is_some() && guest.exists("/usr/share/tools/file").unwrap());
    assert!(!guest.exists("/etc/by-preun").unwrap());
    drop(guest);
    backend.close().unwrap();
}
