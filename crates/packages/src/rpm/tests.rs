//! Databases that rpm, SQLite and Berkeley DB wrote, and damaged ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use refit_engine::backend::RootBackend;
use refit_engine::{Guest, Hints};

use super::*;
use crate::packages::{Format, Packages};

/// One package with long lists, so that its header does not fit in a page, and many small ones, so
/// that the table has more than one page.
const SPEC: &str = "\
Name: tools
Epoch: 2
Version: 12.2
Release: 3.el8
Summary: test
License: MIT
Vendor: Example
BuildArch: noarch
Provides: vm-tools = 12.2
Requires: base >= 1
%description
test
%{lua:for i = 1, 24 do print('%package -n many' .. i .. '\\nSummary: test\\n%description -n many' .. i .. '\\ntest\\n%files -n many' .. i .. '\\n') end}
%install
mkdir -p %{buildroot}/etc/tools %{buildroot}/usr/share/tools
echo a > %{buildroot}/etc/tools/tools.conf
for i in $(seq 600); do : > %{buildroot}/usr/share/tools/a-file-with-a-rather-long-name-$i; done
%preun
true
%files
%config(noreplace) /etc/tools/tools.conf
%ghost /etc/tools/cache
/usr/share/tools
%dir /etc/tools
";

struct Real {
    dir: tempfile::TempDir,
    /// What rpm says of it: `NAME [EPOCH:]VERSION-RELEASE ARCH`.
    listed: BTreeSet<String>,
    files: BTreeSet<String>,
    /// The headers in it.
    blobs: Vec<Vec<u8>>,
}

impl Real {
    fn database(&self) -> Vec<u8> {
        fs::read(self.dir.path().join("db/rpmdb.sqlite")).unwrap()
    }
}

fn run(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn rpm(dir: &Path) -> Command {
    let mut command = Command::new("rpm");
    command.arg("--dbpath").arg(dir.join("db"));
    command
}

/// Built once for all tests.
fn real() -> &'static Real {
    static REAL: OnceLock<Real> = OnceLock::new();
    REAL.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        fs::write(root.join("tools.spec"), SPEC).unwrap();
        run(Command::new("rpmbuild")
            .arg("-bb")
            .arg("--define")
            .arg(format!("_topdir {}", root.display()))
            .args(["--define", "_binary_payload w1.gzdio"])
            .arg(root.join("tools.spec")));
        let packages: Vec<PathBuf> = fs::read_dir(root.join("RPMS/noarch"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        run(rpm(&root)
            .args(["-i", "--justdb", "--nodeps", "--noscripts"])
            .args(packages));
        let lines = |text: String| text.lines().map(str::to_owned).collect();
        let listed = lines(run(rpm(&root).args([
            "-qa",
            "--qf",
            "%{NAME} %{EVR} %{ARCH}\n",
        ])));
        let files = lines(run(rpm(&root).args(["-ql", "tools"])));
        let mut blobs = Vec::new();
        let database = fs::read(root.join("db/rpmdb.sqlite")).unwrap();
        sqlite::read(&database.as_slice(), None, &mut |blob| {
            blobs.push(blob.to_vec());
            Ok(())
        })
        .unwrap();
        Real {
            dir,
            listed,
            files,
            blobs,
        }
    })
}

/// A tree with that file in rpm's directory.
fn tree(name: &str, content: &[u8]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("var/lib/rpm");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(name), content).unwrap();
    root
}

fn packages(root: &Path) -> anyhow::Result<Option<Packages>> {
    let backend = RootBackend::open(root).unwrap();
    let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    Packages::read(&guest)
}

/// Compares a tree's packages with what rpm said.
fn assert_same(root: &Path) {
    let backend = RootBackend::open(root).unwrap();
    let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    let packages = Packages::read(&guest).unwrap().unwrap();
    assert_eq!(packages.format(), Format::Rpm);
    let found: BTreeSet<String> = packages
        .iter()
        .map(|package| {
            let arch = package.arch.as_deref().unwrap_or_default();
            format!("{} {} {arch}", package.name, package.version)
        })
        .collect();
    assert_eq!(found, real().listed);
    let tools = packages.get("tools").unwrap();
    let files: BTreeSet<String> = tools
        .files(&guest)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(files, real().files);
    assert_eq!(tools.config_files, ["/etc/tools/tools.conf".into()]);
    assert_eq!(tools.vendor.as_deref(), Some("Example"));
    assert_eq!(tools.scripts, ["preun"]);
    assert!(tools.requires.contains(&"base >= 1".to_owned()));
    assert!(tools.provides.contains(&"vm-tools = 12.2".to_owned()));
    let owners = packages.owners(&guest, "/etc/tools/cache").unwrap();
    assert_eq!(owners.len(), 1);
}

#[test]
fn sqlite_as_rpm_writes_it() {
    assert_eq!(real().listed.len(), 25);
    assert_same(tree("rpmdb.sqlite", &real().database()).path());
}

#[test]
fn sqlite_with_a_write_ahead_log() {
    let root = tree("rpmdb.sqlite", &real().database());
    let database = root.path().join("var/lib/rpm/rpmdb.sqlite");
    // As a machine that is switched off: committed to the log, then a transaction that is not.
    let change = "
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute('PRAGMA wal_autocheckpoint=0')
db.execute('PRAGMA cache_size=1')
db.execute('BEGIN')
db.execute('DELETE FROM Packages WHERE hnum <= 10')
db.execute('COMMIT')
db.execute('BEGIN')
db.execute('DELETE FROM Packages')
db.execute('CREATE TABLE filler (a)')
db.executemany('INSERT INTO filler VALUES (?)', [('x' * 3000,)] * 100)
os._exit(0)
";
    run(Command::new("python3").args(["-c", change]).arg(&database));
    let wal = database.with_file_name("rpmdb.sqlite-wal");
    assert!(fs::metadata(&wal).unwrap().len() > 4096);
    let found = packages(root.path()).unwrap().unwrap().iter().count();
    assert_eq!(found, 25 - 10);

    // A log that is cut in the middle of a frame counts up to there: here nothing of it.
    let content = fs::read(&wal).unwrap();
    fs::write(&wal, &content[..4000]).unwrap();
    assert_same(root.path());
}

#[test]
fn berkeley_db_in_both_byte_orders() {
    for order in ["1234", "4321"] {
        let dir = tempfile::tempdir().unwrap();
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        // Number 0 holds the last number that was given.
        let mut dump = "VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END\n 00000000\n 19000000\n".to_owned();
        for (index, blob) in real().blobs.iter().enumerate() {
            let number = u32::try_from(index + 1).unwrap().to_le_bytes();
            dump += &format!(" {}\n {}\n", hex(&number), hex(blob));
        }
        dump += "DATA=END\n";
        fs::write(dir.path().join("dump"), dump).unwrap();
        run(Command::new("db5.3_load")
            .args(["-c", &format!("db_lorder={order}"), "-f"])
            .arg(dir.path().join("dump"))
            .arg(dir.path().join("Packages")));
        let content = fs::read(dir.path().join("Packages")).unwrap();
        assert_same(tree("Packages", &content).path());
        damage(&content, |bytes, visit| bdb::read(&bytes, visit));
    }
}

/// Debian's rpm cannot write this format, so real headers are laid out as its source says.
#[test]
fn ndb() {
    let slot_pages = 1_u32;
    let mut content = [*b"RpmP", [0; 4], [1, 0, 0, 0], slot_pages.to_le_bytes()].concat();
    content.resize(32, 0);
    let mut data = Vec::new();
    for (index, blob) in real().blobs.iter().enumerate() {
        let number = u32::try_from(index + 1).unwrap().to_le_bytes();
        let len = u32::try_from(blob.len()).unwrap().to_le_bytes();
        let start = u32::try_from((4096 + data.len()) / 16).unwrap();
        let before = data.len();
        data.extend([*b"BlbS", number, [0; 4], len].concat());
        data.extend_from_slice(blob);
        data.resize((data.len() + 12).next_multiple_of(16) - 12, 0);
        data.extend([[0; 4], len, *b"BlbE"].concat());
        let blocks = u32::try_from((data.len() - before) / 16).unwrap();
        content.extend([*b"Slot", number, start.to_le_bytes(), blocks.to_le_bytes()].concat());
    }
    while content.len() < 4096 {
        content.extend([*b"Slot", [0; 4], [0; 4], [0; 4]].concat());
    }
    content.extend(data);
    assert_same(tree("Packages.db", &content).path());
    damage(&content, |bytes, visit| ndb::read(&bytes, visit));
}

#[test]
fn damaged_sqlite() {
    damage(&real().database(), |bytes, visit| {
        sqlite::read(&bytes, None, visit)
    });
}

/// Reads a database cut at many places and with many bytes changed: any answer but a panic, a loop or
/// a flood will do.
fn damage(content: &[u8], read: impl Fn(&[u8], Visit<'_>) -> anyhow::Result<()>) {
    let try_it = |bytes: &[u8]| {
        let mut collector = Collector {
            found: Vec::new(),
            unread: bytes.len() as u64,
            memory: LISTS_LIMIT,
        };
        let result = read(bytes, &mut |blob| collector.add(blob));
        assert!(collector.found.len() <= bytes.len() / 8);
        result
    };
    assert!(try_it(content).is_ok());
    assert!(try_it(&content[..content.len() / 2]).is_err());
    for step in 0..50 {
        let _ = try_it(&content[..content.len() * step / 50]);
    }
    // A generator with a fixed seed, so that a failure can be looked at.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % limit as u64).unwrap()
    };
    for _ in 0..150 {
        let mut bytes = content.to_vec();
        for _ in 0..8 {
            // Structures are at the beginning of pages.
            let page = random(bytes.len() / 4096) * 4096;
            let width = [64, 4096][random(2)];
            let value = [0, 0xff, 0x7f, 1][random(4)];
            bytes[page + random(width)] = value;
        }
        let _ = try_it(&bytes);
    }
}

/// Tag, type, count, values.
type Tag<'a> = (u32, u32, u32, &'a [u8]);

/// A header with these tags.
fn header(tags: &[Tag<'_>]) -> Vec<u8> {
    let mut index = Vec::new();
    let mut store = Vec::new();
    for (tag, kind, count, values) in tags {
        let offset = u32::try_from(store.len()).unwrap();
        for word in [*tag, *kind, offset, *count] {
            index.extend(word.to_be_bytes());
        }
        store.extend_from_slice(values);
    }
    let counts = [tags.len(), store.len()].map(|n| u32::try_from(n).unwrap().to_be_bytes());
    [counts.concat(), index, store].concat()
}

#[test]
fn headers_of_rpm_3_and_what_contradicts_itself() {
    let old = header(&[
        (1000, 6, 1, b"old\0"),
        (1001, 6, 1, b"1\0"),
        (1002, 6, 1, b"2\0"),
        (1027, 8, 2, b"/etc/a\0/etc/b\0"),
        (1029, 1, 2, &[0, 2]),
    ]);
    let package = package(&Header::parse(&old).unwrap(), 1000).unwrap();
    assert_eq!(
        (package.name.as_str(), package.version.as_str()),
        ("old", "1-2")
    );
    let Files::Known(files) = &package.files else {
        panic!("rpm lists files at once");
    };
    assert_eq!(files, &["/etc/a".into()], "the other is not installed");

    let name: Tag<'_> = (1000, 6, 1, b"n\0");
    let cases: [&[Tag<'_>]; 4] = [
        // No name.
        &[(1001, 6, 1, b"1\0")],
        // More names than directories for them.
        &[
            name,
            (1117, 8, 2, b"a\0b\0"),
            (1118, 8, 1, b"/\0"),
            (1116, 4, 1, &[0; 4]),
        ],
        // A directory that is not there.
        &[
            name,
            (1117, 8, 1, b"a\0"),
            (1118, 8, 1, b"/\0"),
            (1116, 4, 1, &[0, 0, 0, 9]),
        ],
        // Too long together.
        &[
            name,
            (1117, 8, 1, b"a\0"),
            (1118, 8, 1, &[b'/'; 2000]),
            (1116, 4, 1, &[0; 4]),
        ],
    ];
    for (index, tags) in cases.iter().enumerate() {
        let blob = header(tags);
        let parsed = Header::parse(&blob).unwrap();
        assert!(super::package(&parsed, 1000).is_err(), "case {index}");
    }
    assert!(Header::parse(&old[..old.len() - 1]).is_err());
    assert!(Header::parse(&[0xff; 64]).is_err());
}
