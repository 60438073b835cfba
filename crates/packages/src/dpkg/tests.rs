use std::fs;
use std::path::Path;

use refit_engine::backend::RootBackend;
use refit_engine::{Change, Hints};

use super::*;
use crate::packages::Packages;
use crate::removal::Removal;

const STATUS_TEXT: &str = "\
Package: libfoo
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 1.0-1

Package: libfoo
Status: install ok installed
Architecture: i386
Multi-Arch: same
Version: 1.0-1

Package: app
Status: hold ok installed
Architecture: i386
Version: 2
Depends: libfoo (>= 1),
 tool:any | nothing
Conffiles:
 /etc/app.conf 0123456789abcdef0123456789abcdef
 /etc/with space 0123456789abcdef0123456789abcdef obsolete
Description: one
 two

Package: tool
Status: install ok half-configured
Architecture: amd64
Multi-Arch: allowed
Version: 3

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 4

Package: wanted
Status: install ok not-installed
Architecture: all

Package: broken
Status: install reinstreq half-installed
Architecture: all
Version: 5

Package: waits
Status: install ok triggers-awaited
Architecture: all
Version: 6
Triggers-Awaited: tool

Package: ../../etc
Status: install ok installed
Architecture: all
Version: 7
";

fn write(path: impl AsRef<Path>, content: &str) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn with_tree<T>(files: &[(&str, &str)], look: impl FnOnce(&Guest<'_>) -> T) -> T {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        write(root.path().join(path), content);
    }
    let backend = RootBackend::open(root.path()).unwrap();
    look(&Guest::inspect(&backend, &Hints::default()).unwrap())
}

fn with_status<T>(look: impl FnOnce(&Guest<'_>, &Packages) -> T) -> T {
    let files = [
        ("var/lib/dpkg/status", STATUS_TEXT),
        (
            "var/lib/dpkg/info/libfoo:amd64.list",
            "/.\n/usr\n/usr/lib/amd64/foo\n/usr/share/foo\n",
        ),
        (
            "var/lib/dpkg/info/libfoo:i386.list",
            "/.\n/usr\n/usr/lib/i386/foo\n/usr/share/foo\n",
        ),
        ("var/lib/dpkg/info/app.list", "/.\n/etc/app.conf\n"),
        ("var/lib/dpkg/info/app.postrm", ""),
        ("var/lib/dpkg/info/app.data.list", ""),
        ("usr/lib/i386/foo", ""),
        ("usr/share/foo", ""),
        ("etc/app.conf", ""),
        ("etc/with space", ""),
    ];
    with_tree(&files, |guest| {
        look(guest, &Packages::read(guest).unwrap().unwrap())
    })
}

fn blocked(removal: Removal) -> String {
    match removal {
        Removal::Blocked { reason } => reason,
        Removal::Changes { .. } => String::new(),
    }
}

#[test]
fn states_and_fields_are_those_of_the_status_file() {
    with_status(|_, packages| {
        let found: Vec<_> = packages
            .all()
            .iter()
            .map(|package| (package.label(), package.state))
            .collect();
        let expected = [
            ("libfoo:amd64", State::Installed),
            ("libfoo:i386", State::Installed),
            ("app", State::Installed),
            ("tool", State::Unfinished),
            ("gone", State::ConfigFiles),
            ("broken", State::Unfinished),
            ("waits", State::Unfinished),
        ]
        .map(|(label, state)| (label.to_owned(), state));
        assert_eq!(found, expected);
        let app = packages.get("app").unwrap();
        assert!(app.held && !packages.get("tool").unwrap().held);
        assert_eq!(app.requires, ["libfoo (>= 1)", "tool:any | nothing"]);
        assert_eq!(
            app.config_files,
            ["/etc/app.conf".into(), "/etc/with space".into()]
        );
        assert_eq!(app.scripts, ["postrm"]);
        assert_eq!(
            packages.get("libfoo:i386").unwrap().arch.as_deref(),
            Some("i386")
        );
        assert!(packages.get("libfoo:arm64").is_none());
    });
}

#[test]
fn architectures_count_in_dependencies() {
    with_status(|guest, packages| {
        let removal = |names: &[&str]| packages.removal(guest, names).unwrap();
        assert_eq!(
            blocked(removal(&["libfoo:i386"])),
            "app needs libfoo:i386 (libfoo (>= 1))"
        );
        assert_eq!(blocked(removal(&["libfoo:amd64"])), "");
        assert_eq!(
            blocked(removal(&["tool"])),
            "app needs tool (tool:any | nothing); waits waits for triggers of tool: let dpkg \
             --configure -a finish in the guest first"
        );
        assert!(blocked(removal(&["broken"])).contains("installed again"));
    });
}

#[test]
fn one_architecture_leaves_what_the_other_shares() {
    with_status(|guest, packages| {
        let Removal::Changes { changes, notes } =
            packages.removal(guest, &["libfoo:i386", "app"]).unwrap()
        else {
            panic!("nothing else needs them");
        };
        let mut removed: Vec<String> = changes
            .iter()
            .filter(|change| matches!(change, Change::Remove { .. }))
            .map(|change| change.path().unwrap().to_string())
            .collect();
        removed.sort();
        assert_eq!(
            removed,
            [
                "/etc/app.conf",
                "/etc/with space",
                "/usr/lib/i386/foo",
                "/var/lib/dpkg/info/app.list",
                "/var/lib/dpkg/info/app.postrm",
                "/var/lib/dpkg/info/libfoo:i386.list",
            ]
        );
        let Some(Change::Write { content, .. }) = changes
            .iter()
            .find(|change| change.path() == Some(&STATUS.into()))
        else {
            panic!("the status file changes");
        };
        let second =
            STATUS_TEXT.find("Package: libfoo\nStatus: install ok installed\nArchitecture: i386");
        let tool = STATUS_TEXT.find("Package: tool");
        let expected = [
            &STATUS_TEXT[..second.unwrap()],
            &STATUS_TEXT[tool.unwrap()..],
        ]
        .concat();
        assert_eq!(String::from_utf8_lossy(content), expected);
        assert!(
            notes
                .iter()
                .any(|note| note.contains("app: its postrm is not run")),
            "{notes:?}"
        );
        assert!(
            notes.iter().any(|note| note == "app was on hold"),
            "{notes:?}"
        );
    });
}

#[test]
fn images_without_dpkg_are_read_and_left_alone() {
    let files = [
        (
            "var/lib/dpkg/status.d/base",
            "Package: base-files\nVersion: 12\nArchitecture: amd64\n",
        ),
        (
            "var/lib/dpkg/status.d/base.md5sums",
            "0123456789abcdef0123456789abcdef  usr/lib/os-release\n",
        ),
    ];
    with_tree(&files, |guest| {
        let packages = Packages::read(guest).unwrap().unwrap();
        let owners = packages.owners(guest, "/usr/lib/os-release").unwrap();
        assert_eq!(owners[0].name, "base-files");
        assert!(blocked(packages.removal(guest, &["base-files"]).unwrap()).contains("no dpkg"));
    });
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let bytes = STATUS_TEXT.as_bytes();
    for end in 0..bytes.len() {
        let mut flipped = bytes.to_vec();
        flipped[end] ^= 0x8a;
        for text in [&bytes[..end], &flipped] {
            for stanza in stanza::parse(text).unwrap_or_default() {
                assert!(stanza.range.end <= text.len());
                let _ = package(&stanza, &BTreeSet::new());
            }
        }
    }
    for diversions in ["/a\n/b\n", "/a\n"] {
        let files = [("var/lib/dpkg/diversions", diversions)];
        assert!(with_tree(&files, super::diversions).is_err());
    }
}

#[test]
fn a_damaged_database_beside_the_systems_own_costs_a_warning() {
    let status =
        "Package: base-files\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n";
    let mut files = vec![
        ("var/lib/dpkg/status", status),
        ("var/lib/rpm/rpmdb.sqlite", "nonsense"),
    ];
    assert!(with_tree(&files, Packages::read).is_err());
    files.push(("var/lib/dpkg/info/base-files.list", "/usr/lib/os-release\n"));
    assert!(with_tree(&files, Packages::read).unwrap().is_some());
}
