//! Descriptors and archives that are made to harm who reads them: limits hold, and nothing panics.

#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use refit_ovf::env::{Environment, document};
use refit_ovf::properties::{Answer, Answers, Origin, Policy, resolve};
use refit_ovf::{Envelope, Package, Severity, summary, verify};
use tar::{Builder, EntryType, Header};

fn wrapped(content: &str) -> String {
    format!(
        "<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1' \
         xmlns:ovf='http://schemas.dmtf.org/ovf/envelope/1'>{content}</Envelope>"
    )
}

fn system(product: &str) -> String {
    wrapped(&format!(
        "<VirtualSystem ovf:id='vm'><Info/><ProductSection><Info/>{product}</ProductSection></VirtualSystem>"
    ))
}

fn codes(envelope: &Envelope, severity: Severity) -> Vec<&'static str> {
    let problems = envelope.problems.iter();
    problems
        .filter(|problem| problem.severity == severity)
        .map(|problem| problem.code)
        .collect()
}

#[test]
fn bombs_of_xml() {
    let deep = |name: &str, count: usize| {
        format!(
            "{}{}",
            format!("<{name} ovf:id='x'>").repeat(count),
            format!("</{name}>").repeat(count)
        )
    };
    for (text, words) in [
        (wrapped(&deep("a", 500_000)), "levels of elements"),
        (
            wrapped(&deep("VirtualSystemCollection", 200_000)),
            "levels of elements",
        ),
        (
            // Entities that double.
            format!(
                "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>{}",
                wrapped("<Annotation>&b;</Annotation>")
            ),
            "DOCTYPE",
        ),
        (
            format!(
                "<!DOCTYPE x SYSTEM 'http://127.0.0.1:1/x.dtd'>{}",
                wrapped("")
            ),
            "DOCTYPE",
        ),
        (wrapped("<a>&b;</a>"), "entity &b;"),
        (wrapped("<a>&#0;</a>"), "line 1"),
        (wrapped("<a>&#xD800;</a>"), "line 1"),
        (wrapped("<a>&#99999999999;</a>"), "line 1"),
        (wrapped("<a b='1' b='2'/>"), "line 1"),
        (wrapped(&"<!--".repeat(100_000)), "line 1"),
        (wrapped(&"<![CDATA[".repeat(100_000)), "line 1"),
        (format!("{}<", wrapped("")), "line 1"),
    ] {
        let shown: String = text.chars().skip(100).take(60).collect();
        let error = Envelope::parse(&text).expect_err(&shown).to_string();
        assert!(error.contains(words), "{shown}: {error}");
        assert!(error.len() < 500, "{shown}: {}", error.len());
    }
    // What is deep, but not too deep, is read.
    let nested = wrapped(&deep("VirtualSystemCollection", 30));
    assert!(Envelope::parse(&nested).unwrap().systems().is_empty());
}

#[test]
fn many_properties_and_long_values() {
    let mut product = String::new();
    for number in 0..10_000 {
        let _ = write!(
            product,
            "<Property ovf:key='k{number:05}' ovf:type='string' ovf:userConfigurable='true' ovf:value='v'/>"
        );
    }
    let envelope = Envelope::parse(&system(&product)).unwrap();
    let resolved = resolve(&envelope, &Answers::default(), Policy::default()).unwrap();
    assert_eq!(resolved.systems[0].properties.len(), 10_000);
    let text = document(&Environment {
        properties: &resolved.systems[0].properties,
        ..Environment::default()
    });
    assert_eq!(text.matches("<Property oe:key=").count(), 10_000);

    let long = "x".repeat(10 << 20);
    let text = system(&format!(
        "<Property ovf:key='k' ovf:type='string' ovf:userConfigurable='true' ovf:value='{long}'/>"
    ));
    let envelope = Envelope::parse(&text).unwrap();
    let answers = Answers {
        properties: [(
            "k".to_owned(),
            Answer {
                value: long,
                origin: Origin::Private,
            },
        )]
        .into(),
        ..Answers::default()
    };
    let errors = resolve(&envelope, &answers, Policy::default()).unwrap_err();
    assert_eq!(errors.0[0].code, "prop.too-long");
    assert!(errors.to_string().len() < 2000);
}

#[test]
fn macros_that_grow_or_never_end() {
    // Each value is the one before twice: 2^40 bytes.
    let mut product = "<Property ovf:key='k0' ovf:type='string' ovf:value='xx'/>".to_owned();
    for number in 1..40 {
        let before = number - 1;
        let _ = write!(
            product,
            "<Property ovf:key='k{number}' ovf:type='string' ovf:value='${{k{before}}}${{k{before}}}'/>"
        );
    }
    let ring = "<Property ovf:key='a' ovf:type='string' ovf:value='${b}'/>\
                <Property ovf:key='b' ovf:type='string' ovf:value='${a}'/>";
    let unknown = format!(
        "<Property ovf:key='a' ovf:type='string' ovf:value='{}'/>",
        "${x}".repeat(1_000_000)
    );
    for (product, code) in [
        (product.as_str(), "prop.too-long"),
        (ring, "macro.unresolved"),
        (&unknown, "macro.unresolved"),
    ] {
        let envelope = Envelope::parse(&system(product)).unwrap();
        let errors = resolve(&envelope, &Answers::default(), Policy::default()).unwrap_err();
        assert!(errors.0.iter().any(|error| error.code == code), "{errors}");
        assert!(errors.0.len() < 100, "{}", errors.0.len());
    }
}

#[test]
fn names_and_numbers_that_are_none() {
    for (content, code) in [
        (
            "<References><File ovf:id='f' ovf:href='a'/><File ovf:id='f' ovf:href='b'/></References>",
            "ref.dup",
        ),
        (
            "<VirtualSystemCollection ovf:id='c'><VirtualSystem ovf:id='x'/><VirtualSystem ovf:id='x'/>\
             </VirtualSystemCollection>",
            "system.dup",
        ),
        (
            "<DiskSection><Disk ovf:diskId='d' ovf:capacity='18446744073709551615' \
             ovf:capacityAllocationUnits='byte * 2^60'/></DiskSection>",
            "disk.capacity",
        ),
        (
            "<DiskSection><Disk ovf:diskId='d' ovf:capacity='-1'/></DiskSection>",
            "disk.capacity",
        ),
        (
            "<DiskSection><Disk ovf:diskId='d' ovf:capacity='1' ovf:capacityAllocationUnits='byte * 2^9999'/>\
             </DiskSection>",
            "disk.capacity",
        ),
    ] {
        let envelope = Envelope::parse(&wrapped(content)).unwrap();
        let found = codes(&envelope, Severity::Error);
        assert!(found.contains(&code), "{code}: {:?}", envelope.problems);
    }
    for href in [
        "../d",
        "..",
        "a/../../d",
        "%2e%2e/d",
        "%2E%2E%2Fd",
        "..%2fd",
        "a/%2e%2e/%2e%2e/d",
        "/d",
        "%2fd",
        "//host/d",
        "\\d",
        "..\\d",
        "C:d",
        "%43:/d",
        "",
    ] {
        let content = format!("<References><File ovf:id='f' ovf:href='{href}'/></References>");
        let envelope = Envelope::parse(&wrapped(&content)).unwrap();
        let found = codes(&envelope, Severity::Error);
        assert!(
            found.iter().any(|code| code.starts_with("ref.")),
            "{href}: {:?}",
            envelope.problems
        );
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("d"), "outside").unwrap();
        fs::create_dir(dir.path().join("app")).unwrap();
        fs::write(dir.path().join("app/a.ovf"), wrapped(&content)).unwrap();
        let package = Package::open(&dir.path().join("app")).unwrap();
        assert!(package.find(href).is_err(), "{href}");
        let report = verify::verify(&package, &[], &mut |_, _| true).unwrap();
        assert!(!report.ok, "{href}");
    }
    // Elements of nobody's are not taken for those of the standard, and none is asked for by a name alone.
    for text in [
        "<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/9'/>",
        "<x:Envelope xmlns:x='urn:other'/>",
        "<y:Envelope xmlns:x='http://schemas.dmtf.org/ovf/envelope/1'/>",
        "<Other xmlns='http://schemas.dmtf.org/ovf/envelope/1'/>",
    ] {
        if let Ok(envelope) = Envelope::parse(text) {
            assert!(!codes(&envelope, Severity::Error).is_empty(), "{text}");
        }
    }
}

/// A tar header past the builder's own checks.
fn header(name: &[u8], kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    header
}

type Raw<'r> = (&'r [u8], EntryType, &'r [u8]);

fn archive(path: &Path, members: &[Raw<'_>]) {
    let mut builder = Builder::new(fs::File::create(path).unwrap());
    for (name, kind, data) in members {
        builder
            .append(&header(name, *kind, data.len() as u64), *data)
            .unwrap();
    }
    builder.finish().unwrap();
}

fn record(key: &str, value: &str) -> Vec<u8> {
    // The length counts itself (pax, POSIX.1-2008).
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length.to_string().len() + rest != length {
        length += 1;
    }
    format!("{length} {key}={value}\n").into_bytes()
}

#[test]
fn headers_before_members() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ova");
    let text = wrapped("");
    let ovf: Raw<'_> = (b"a.ovf", EntryType::Regular, text.as_bytes());
    let (pax, global, long) = (
        EntryType::XHeader,
        EntryType::XGlobalHeader,
        EntryType::GNULongName,
    );
    for (kind, data) in [
        (pax, record("path", "../../etc/passwd")),
        (pax, record("path", "/etc/passwd")),
        (pax, record("size", "-1")),
        (pax, record("size", "18446744073709551615")),
        (pax, record("size", "18446744073709551616")),
        (pax, record("size", "999999999")),
        (pax, record("GNU.sparse.major", "1")),
        (pax, record("GNU.sparse.map", "0,1")),
        (pax, b"99 path=x\n".to_vec()),
        (pax, b"nonsense".to_vec()),
        (global, record("path", "x")),
        (global, record("size", "1")),
        (long, b"../../etc/passwd\0".to_vec()),
        (long, b"/etc/passwd\0".to_vec()),
        (long, vec![b'x'; 5000]),
    ] {
        let member: Raw<'_> = (b"d.vmdk", EntryType::Regular, b"x");
        archive(&path, &[ovf, (b"extended", kind, &data), member]);
        let shown = String::from_utf8_lossy(&data).into_owned();
        let error = Package::open(&path).expect_err(&shown).to_string();
        assert!(error.len() < 600, "{shown}: {}", error.len());
    }
    // A long name that is only long.
    let name = "n".repeat(300);
    let data = record("path", &name);
    archive(
        &path,
        &[
            ovf,
            (b"extended", pax, &data),
            (b"short", EntryType::Regular, b"x"),
        ],
    );
    assert_eq!(Package::open(&path).unwrap().find(&name).unwrap().size, 1);
    // Devices, pipes and links are no files, whatever is in them.
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::new(b'Z'),
    ] {
        archive(&path, &[ovf, (b"d.vmdk", kind, b"")]);
        let package = Package::open(&path).unwrap();
        assert!(package.find("d.vmdk").is_err(), "{kind:?}");
        assert!(!package.notes().is_empty(), "{kind:?}");
    }
    // Names that play with a terminal stay data.
    archive(&path, &[ovf, (b"\x1b[2Jd.vmdk", EntryType::Regular, b"x")]);
    assert_eq!(Package::open(&path).unwrap().members().len(), 2);
}

/// All that is asked of a package, wherever the archive ends.
#[test]
fn an_archive_that_ends_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.ova");
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let text = fs::read(samples.join("virtualbox-2.0.ovf")).unwrap();
    let disk = vec![7; 3000];
    let long = record("path", "ubuntu.2.0-disk1.vmdk");
    archive(
        &path,
        &[
            (b"x.ovf", EntryType::Regular, &text),
            (b"x.mf", EntryType::Regular, b"SHA1(x.ovf)= 00\n"),
            (b"extended", EntryType::XHeader, &long),
            (b"short", EntryType::Regular, &disk),
        ],
    );
    let whole = fs::read(&path).unwrap();
    let mut opened = 0;
    for end in (0..=whole.len()).step_by(512) {
        fs::write(&path, &whole[..end]).unwrap();
        let Ok(package) = Package::open(&path) else {
            continue;
        };
        opened += 1;
        let envelope = package.envelope(None).unwrap();
        let configuration = envelope.choose_configuration(None).unwrap();
        let summary = summary::inspect(&package, &envelope, configuration);
        let is_there = summary.files.iter().all(|file| file.error.is_none());
        let report = verify::verify(&package, &[], &mut |_, _| true).unwrap();
        assert!(!report.ok);
        // Complete, or it is said what is missing.
        assert!(is_there || report.findings.iter().any(|one| one.code == "ref.missing"));
        assert_eq!(is_there, end >= whole.len() - 1024, "{end}");
    }
    assert!(opened >= 4, "{opened}");
}
