//! Verification of whole packages: digests, signatures by certificates that openssl made, disks.

#![allow(clippy::unwrap_used)] // helpers of tests may panic too

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use openssl::hash::{MessageDigest, hash};
use refit_ovf::verify::{Report, verify};
use refit_ovf::{Package, Severity};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(kind: &str, data: &[u8]) -> String {
    let kind = match kind {
        "SHA1" => MessageDigest::sha1(),
        "SHA256" => MessageDigest::sha256(),
        _ => MessageDigest::sha512(),
    };
    hex(&hash(kind, data).unwrap())
}

fn descriptor(size: usize) -> String {
    format!(
        "<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1'>\
         <References><File id='f' href='d.vmdk' size='{size}'/></References>\
         <DiskSection><Info/><Disk diskId='d' fileRef='f' capacity='67108864' format='x'/></DiskSection>\
         <VirtualSystem id='s'><Info/><VirtualHardwareSection><Info/></VirtualHardwareSection>\
         </VirtualSystem></Envelope>"
    )
}

/// A stream-optimized disk, as qemu-img or another writes it.
fn disk() -> Vec<u8> {
    stream(&[(0, b"first"), (128, b"second"), (65536, b"far away")])
}

/// The form with the directory at the end and a footer (Virtual Disk Format 5.0).
fn stream(grains: &[(u64, &[u8])]) -> Vec<u8> {
    fn header(directory: u64) -> Vec<u8> {
        let mut header = vec![0; 512];
        header[..4].copy_from_slice(b"KDMV");
        header[4..8].copy_from_slice(&3_u32.to_le_bytes());
        header[8..12].copy_from_slice(&0x3_0001_u32.to_le_bytes());
        header[12..20].copy_from_slice(&131_072_u64.to_le_bytes());
        header[20..28].copy_from_slice(&128_u64.to_le_bytes());
        header[44..48].copy_from_slice(&512_u32.to_le_bytes());
        header[56..64].copy_from_slice(&directory.to_le_bytes());
        header[64..72].copy_from_slice(&1_u64.to_le_bytes());
        header
    }
    fn pad(image: &mut Vec<u8>) {
        image.resize(image.len().next_multiple_of(512), 0);
    }
    fn marker(image: &mut Vec<u8>, value: u64, kind: u32) {
        image.extend_from_slice(&value.to_le_bytes());
        image.extend_from_slice(&[0; 4]);
        image.extend_from_slice(&kind.to_le_bytes());
        pad(image);
    }
    let mut image = header(u64::MAX);
    let mut table = vec![0_u8; 2048];
    for (number, (sector, data)) in grains.iter().enumerate() {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut encoder, data).unwrap();
        let data = encoder.finish().unwrap();
        let at = u32::try_from(image.len() / 512).unwrap();
        table[4 * number..4 * number + 4].copy_from_slice(&at.to_le_bytes());
        image.extend_from_slice(&sector.to_le_bytes());
        image.extend_from_slice(&u32::try_from(data.len()).unwrap().to_le_bytes());
        image.extend_from_slice(&data);
        pad(&mut image);
    }
    marker(&mut image, 4, 1);
    let at = u32::try_from(image.len() / 512).unwrap();
    image.extend_from_slice(&table);
    marker(&mut image, 1, 2);
    let directory = image.len() as u64 / 512;
    image.extend_from_slice(&at.to_le_bytes());
    pad(&mut image);
    marker(&mut image, 1, 3);
    image.extend_from_slice(&header(directory));
    marker(&mut image, 0, 0);
    image
}

fn pack(dir: &Path, members: &[(&str, &[u8])]) -> PathBuf {
    let path = dir.join("a.ova");
    let mut builder = tar::Builder::new(fs::File::create(&path).unwrap());
    for (name, data) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(data.len() as u64);
        builder.append_data(&mut header, name, *data).unwrap();
    }
    builder.finish().unwrap();
    path
}

fn report(path: &Path, cas: &[&Path]) -> Report {
    verify(&Package::open(path).unwrap(), cas, &mut |_, _| true).unwrap()
}

fn codes(report: &Report, severity: Severity) -> Vec<&'static str> {
    let of = report
        .findings
        .iter()
        .filter(|one| one.severity == severity);
    of.map(|finding| finding.code).collect()
}

#[test]
fn manifests_of_all_kinds() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk();
    let ovf = descriptor(disk.len());
    for kind in ["SHA1", "SHA256", "SHA512"] {
        for form in ["{}({})= {}\r\n", "{} ({}) = {}\n"] {
            let line = |name: &str, data: &[u8]| {
                form.replacen("{}", kind, 1)
                    .replacen("{}", name, 1)
                    .replacen("{}", &digest(kind, data), 1)
            };
            let manifest = line("a.ovf", ovf.as_bytes()) + &line("d.vmdk", &disk);
            for last in [false, true] {
                let mut members: Vec<(&str, &[u8])> =
                    vec![("a.ovf", ovf.as_bytes()), ("d.vmdk", &disk)];
                members.insert(if last { 2 } else { 1 }, ("a.mf", manifest.as_bytes()));
                let report = report(&pack(dir.path(), &members), &[]);
                assert!(report.ok, "{kind} {:?}", report.findings);
                let warnings = codes(&report, Severity::Warning);
                assert_eq!(
                    warnings,
                    if kind == "SHA1" {
                        vec!["mf.sha1"]
                    } else {
                        vec![]
                    }
                );
                assert!(report.files.iter().all(|file| file.digests.len() == 1));
                assert_eq!(report.disks[0].grains, Some(3));
            }
            // One bit of the disk.
            let mut other = disk.clone();
            let end = other.len() - 1;
            other[end] ^= 1;
            let members: [(&str, &[u8]); 3] = [
                ("a.ovf", ovf.as_bytes()),
                ("a.mf", manifest.as_bytes()),
                ("d.vmdk", &other),
            ];
            let report = report(&pack(dir.path(), &members), &[]);
            assert_eq!(codes(&report, Severity::Error), ["mf.mismatch"], "{kind}");
            assert!(
                report.findings[report.findings.len() - 1]
                    .message
                    .contains(&digest(kind, &other))
            );
        }
    }
}

#[test]
fn what_is_missing_or_too_much() {
    let dir = tempfile::tempdir().unwrap();
    let disk = disk();
    let ovf = descriptor(disk.len());
    let right = |name: &str, data: &[u8]| format!("SHA256({name})= {}\n", digest("SHA256", data));
    let both = right("a.ovf", ovf.as_bytes()) + &right("d.vmdk", &disk);
    let only = right("a.ovf", ovf.as_bytes());
    let extra = format!("{both}{}", right("gone", b""));
    let unknown = format!("{both}MD5(a.ovf)= 00\n");
    let short = &disk[..disk.len() - 512];
    for (manifest, disk, errors, warnings) in [
        (None, Some(disk.as_slice()), vec![], vec!["mf.absent"]),
        (Some(&only), Some(&disk), vec!["mf.incomplete"], vec![]),
        (Some(&extra), Some(&disk), vec!["mf.missing"], vec![]),
        (Some(&unknown), Some(&disk), vec!["mf.unparsed"], vec![]),
        (Some(&both), None, vec!["ref.missing", "mf.missing"], vec![]),
        (
            Some(&both),
            Some(short),
            vec!["ref.size", "mf.mismatch", "disk.unreadable"],
            vec![],
        ),
    ] {
        let mut members = vec![("a.ovf", ovf.as_bytes())];
        members.extend(manifest.map(|manifest| ("a.mf", manifest.as_bytes())));
        members.extend(disk.map(|disk| ("d.vmdk", disk)));
        let report = report(&pack(dir.path(), &members), &[]);
        assert_eq!(
            codes(&report, Severity::Error),
            errors,
            "{:?}",
            report.findings
        );
        assert_eq!(codes(&report, Severity::Warning), warnings);
        assert_eq!(report.ok, errors.is_empty());
    }
    let members: [(&str, &[u8]); 3] = [("a.ovf", ovf.as_bytes()), ("d.vmdk", &disk), ("x", b"")];
    let report = report(&pack(dir.path(), &members), &[]);
    assert_eq!(
        codes(&report, Severity::Warning),
        ["mf.absent", "ref.extra"]
    );
}

#[test]
fn disks_that_are_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let whole = disk();
    let flip = |at: usize, value: u8| {
        let mut damaged = whole.clone();
        damaged[at] = value;
        damaged
    };
    for (disk, words) in [
        (whole[..1000].to_vec(), "cut off"),
        (whole[..whole.len() - 512].to_vec(), "cut off"),
        (whole[..whole.len() - 1536].to_vec(), "cut off"),
        (flip(20, 0), "impossible sizes"),
        (flip(512 + 2, 9), "none of the disk"),
        (flip(512 + 11, 9), "a grain of"),
        (flip(512 + 12, 0), "no compressed data"),
        (stream(&[(5, b"x")]), "sector 5"),
        (Vec::new(), "empty"),
    ] {
        let ovf = descriptor(disk.len());
        let members: [(&str, &[u8]); 2] = [("a.ovf", ovf.as_bytes()), ("d.vmdk", &disk)];
        let report = report(&pack(dir.path(), &members), &[]);
        let error = report.disks[0].error.clone().unwrap_or_default();
        assert!(error.contains(words), "{words}: {error:?}");
        assert!(!report.ok);
    }
    // Never a panic, whatever the damage.
    for at in 0..whole.len() {
        let damaged = flip(at, 0xff);
        let ovf = descriptor(damaged.len());
        let members: [(&str, &[u8]); 2] = [("a.ovf", ovf.as_bytes()), ("d.vmdk", &damaged)];
        if at % 61 == 0 || at < 1100 {
            report(&pack(dir.path(), &members), &[]);
        }
    }
}

fn openssl(dir: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn signatures() {
    let keys = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    openssl(
        keys.path(),
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=Maker_CA -days 9",
    );
    openssl(
        keys.path(),
        "req -newkey rsa:2048 -nodes -keyout signer.key -out signer.csr -subj /O=Maker/CN=Signer",
    );
    openssl(
        keys.path(),
        "x509 -req -in signer.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out signer.pem -days 9",
    );
    openssl(
        keys.path(),
        "x509 -req -in signer.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out late.pem -days -1",
    );
    let disk = disk();
    let ovf = descriptor(disk.len());
    let manifest = format!(
        "SHA256(a.ovf)= {}\nSHA256(d.vmdk)= {}\n",
        digest("SHA256", ovf.as_bytes()),
        digest("SHA256", &disk)
    );
    fs::write(keys.path().join("a.mf"), &manifest).unwrap();
    openssl(keys.path(), "dgst -sha256 -sign signer.key -out sig a.mf");
    let signature = hex(&fs::read(keys.path().join("sig")).unwrap());
    let pem = |name: &str| fs::read_to_string(keys.path().join(name)).unwrap();
    let cert = |pem: &str| format!("SHA256(a.mf)= {signature}\n{pem}");
    let (ca, other) = (keys.path().join("ca.pem"), keys.path().join("signer.pem"));
    let changed = manifest.replace("a.ovf", "A.OVF");
    for (manifest, cert, cas, code, words) in [
        (
            &manifest,
            cert(&pem("signer.pem")),
            vec![ca.as_path()],
            None,
            "",
        ),
        // What the user names is trusted although it is no root.
        (
            &manifest,
            cert(&pem("signer.pem")),
            vec![other.as_path()],
            None,
            "",
        ),
        (
            &manifest,
            cert(&pem("signer.pem")),
            vec![],
            Some("cert.untrusted"),
            "unable to get",
        ),
        (
            &manifest,
            cert(&pem("late.pem")),
            vec![&ca],
            Some("cert.untrusted"),
            "expired",
        ),
        (
            &changed,
            cert(&pem("signer.pem")),
            vec![&ca],
            Some("cert.signature"),
            "changed after",
        ),
        (
            &manifest,
            cert(&pem("ca.pem")),
            vec![&ca],
            Some("cert.signature"),
            "another's",
        ),
        (
            &manifest,
            pem("signer.pem"),
            vec![&ca],
            Some("cert.unreadable"),
            "no signature",
        ),
        (
            &manifest,
            cert(""),
            vec![&ca],
            Some("cert.unreadable"),
            "PEM",
        ),
    ] {
        let members: [(&str, &[u8]); 4] = [
            ("a.ovf", ovf.as_bytes()),
            ("a.mf", manifest.as_bytes()),
            ("a.cert", cert.as_bytes()),
            ("d.vmdk", &disk),
        ];
        let report = report(&pack(dir.path(), &members), &cas);
        let found = report
            .findings
            .iter()
            .find(|finding| finding.code.starts_with("cert."));
        assert_eq!(
            found.map(|finding| finding.code),
            code,
            "{:?}",
            report.findings
        );
        assert!(
            found.is_none_or(|finding| finding.message.contains(words)),
            "{found:?}"
        );
        if code.is_none() {
            let signature = report.signature.unwrap();
            assert!(signature.valid && signature.trusted && report.ok);
            assert_eq!(signature.subject, "O=Maker, CN=Signer");
            assert_eq!(signature.issuer, "CN=Maker_CA");
        }
    }
}
