//! Choosing from real INF files, and reading images that real programs made.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Read as _;
use std::path::{Path, PathBuf};

use refit_iso9660::IsoImage;
use refit_virtio_win::{Arch, Choice, Inf, Package, ProductType, Refusal, Source, Windows, choose};

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata")
        .join(path)
}

fn source() -> Source {
    let source = Source::open(&testdata("virtio-win")).unwrap();
    assert_eq!(source.warnings(), [] as [String; 0]);
    source
}

fn windows(arch: Arch, version: (u32, u32), build: u32, product: ProductType) -> Windows {
    Windows {
        arch,
        version,
        build,
        product,
        suites: 0,
        sha2: true,
    }
}

/// The INF file that was chosen for a device, or the refusal in words.
fn chosen(choices: &[Choice<'_>], id: &str) -> String {
    let choice = choices
        .iter()
        .find(|choice| choice.device.id == id)
        .unwrap();
    match &choice.driver {
        Ok(chosen) => chosen.files.inf.clone(),
        Err(refusal) => refusal.to_string(),
    }
}

#[test]
fn each_windows_gets_its_own_drivers() {
    use Arch::{Amd64, X86};
    use ProductType::{Server, Workstation};
    let source = source();
    let cases: [(Windows, [(&str, &str); 3]); 12] = [
        (
            windows(X86, (5, 1), 2600, Workstation),
            [
                ("viostor", "viostor/xp/x86/viostor.inf"),
                ("netkvm", "NetKVM/xp/x86/netkvm.inf"),
                ("vioscsi", "its drivers are for Windows NT 6.0 and later"),
            ],
        ),
        (
            windows(X86, (5, 2), 3790, Server),
            [
                ("viostor", "viostor/2k3/x86/viostor.inf"),
                ("netkvm", "NetKVM/2k3/x86/netkvm.inf"),
                ("vioser", "vioserial/2k3/x86/vioser.inf"),
            ],
        ),
        (
            windows(Amd64, (5, 2), 3790, Server),
            [
                ("viostor", "viostor/2k3/amd64/viostor.inf"),
                ("netkvm", "its drivers are for Windows NT 6.1 and later"),
                ("vioscsi", "its drivers are for Windows NT 6.0 and later"),
            ],
        ),
        (
            windows(X86, (6, 0), 6002, Server),
            [
                ("viostor", "viostor/2k8/x86/viostor.inf"),
                ("vioscsi", "vioscsi/2k8/x86/vioscsi.inf"),
                ("viorng", "its drivers are for other architectures"),
            ],
        ),
        (
            windows(Amd64, (6, 1), 7601, Workstation),
            [
                ("viostor", "viostor/w7/amd64/viostor.inf"),
                ("vioscsi", "vioscsi/w7/amd64/vioscsi.inf"),
                ("netkvm", "NetKVM/w7/amd64/netkvm.inf"),
            ],
        ),
        (
            windows(Amd64, (6, 1), 7601, Server),
            [
                ("viostor", "viostor/2k8R2/amd64/viostor.inf"),
                ("vioscsi", "vioscsi/2k8R2/amd64/vioscsi.inf"),
                ("balloon", "Balloon/w7/amd64/balloon.inf"),
            ],
        ),
        (
            windows(Amd64, (6, 3), 9600, Workstation),
            [
                ("viostor", "viostor/w8.1/amd64/viostor.inf"),
                ("fwcfg", "fwcfg/w8.1/amd64/fwcfg.inf"),
                ("pvpanic-pci", "pvpanic/w8.1/amd64/pvpanic-pci.inf"),
            ],
        ),
        (
            windows(Amd64, (6, 2), 9200, Server),
            [
                ("viostor", "viostor/2k12/amd64/viostor.inf"),
                // Nothing of 6.2 is there: that of Windows 7 still is for it.
                ("netkvm", "NetKVM/w7/amd64/netkvm.inf"),
                ("viofs", "its drivers are for Windows NT 6.3 and later"),
            ],
        ),
        (
            windows(Amd64, (10, 0), 14393, Server),
            [
                ("viostor", "viostor/2k16/amd64/viostor.inf"),
                ("balloon", "Balloon/w8.1/amd64/balloon.inf"),
                ("viomem", "the source has no driver for it"),
            ],
        ),
        (
            windows(Amd64, (10, 0), 19045, Workstation),
            [
                ("viostor", "viostor/w10/amd64/viostor.inf"),
                ("vioscsi", "vioscsi/w11/amd64/vioscsi.inf"),
                ("qxldod", "qxldod/w10/amd64/qxldod.inf"),
            ],
        ),
        (
            windows(Amd64, (10, 0), 26100, Server),
            [
                ("viostor", "viostor/2k25/amd64/viostor.inf"),
                ("vioscsi", "vioscsi/2k25/amd64/vioscsi.inf"),
                ("netkvm", "NetKVM/w11/amd64/netkvm.inf"),
            ],
        ),
        (
            windows(Arch::Arm64, (10, 0), 26100, Workstation),
            [
                ("viostor", "its drivers are for other architectures"),
                ("netkvm", "its drivers are for other architectures"),
                ("viosock", "the source has no driver for it"),
            ],
        ),
    ];
    for (windows, expected) in cases {
        let choices = choose(&source, &windows).unwrap();
        for (id, inf) in expected {
            assert_eq!(chosen(&choices, id), inf, "{id} for {windows:?}");
        }
    }
}

#[test]
fn a_boot_driver_has_its_service_files_and_identifiers() {
    let source = source();
    let windows = windows(Arch::Amd64, (10, 0), 26100, ProductType::Server);
    let choices = choose(&source, &windows).unwrap();
    let viostor = choices[0].driver.as_ref().unwrap();
    assert_eq!(
        viostor.ids,
        [
            r"PCI\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00",
            r"PCI\VEN_1AF4&DEV_1001",
            r"PCI\VEN_1AF4&DEV_1042&SUBSYS_11001AF4&REV_01",
            r"PCI\VEN_1AF4&DEV_1042",
        ]
    );
    let service = &viostor.services[0];
    assert_eq!(
        (service.kind, service.start, service.error_control),
        (1, 0, 1)
    );
    assert_eq!(service.group.as_deref(), Some("SCSI miniport"));
    assert_eq!(service.binary, r"%13%\viostor.sys");
    assert_eq!(service.values.len(), 3);
    assert_eq!(viostor.files.package.destination("viostor.sys"), Some(13));
    assert_eq!(
        viostor.present.iter().collect::<Vec<_>>(),
        ["viostor.cat", "viostor.sys"]
    );
    assert!(viostor.missing.is_empty());
}

#[test]
fn every_inf_file_is_a_package_of_virtio_win() {
    for files in source().packages() {
        let package = &files.package;
        assert!(!package.all_models().is_empty(), "{}", files.inf);
        assert_eq!(package.class_guid.len(), 38, "{}", files.inf);
        if files.stem() != "qemufwcfg" {
            assert!(package.driver_ver.is_some(), "{}", files.inf);
            assert!(package.provider.starts_with("Red Hat"), "{}", files.inf);
        }
    }
}

/// A catalog that is signed with SHA-2 (only as far as the reader looks).
const SHA2_CATALOG: &[u8] = &[
    0x30, 0x3f, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02, 0xa0, 0x32, 0x30,
    0x30, 0x02, 0x01, 0x01, 0x31, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
    0x04, 0x02, 0x01, 0x05, 0x00, 0x30, 0x00, 0x31, 0x18, 0x30, 0x16, 0x02, 0x01, 0x01, 0x30, 0x00,
    0x30, 0x0f, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x05,
    0x00,
];

#[test]
fn windows_7_without_its_update_gets_no_driver_signed_with_sha_2_only() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, catalog) in [("new", SHA2_CATALOG), ("old", b"stub")] {
        let target = dir.path().join(folder);
        std::fs::create_dir(&target).unwrap();
        let inf =
            std::fs::read_to_string(testdata("virtio-win/viostor/w7/amd64/viostor.inf")).unwrap();
        let inf = match folder {
            "new" => inf.replace("06/07/2019,61.77", "06/07/2021,61.80"),
            _ => inf,
        };
        std::fs::write(target.join("viostor.inf"), inf).unwrap();
        std::fs::write(target.join("viostor.sys"), "").unwrap();
        std::fs::write(target.join("viostor.cat"), catalog).unwrap();
    }
    let mut windows = windows(Arch::Amd64, (6, 1), 7601, ProductType::Workstation);
    let pick = |windows: &Windows| {
        let source = Source::open(dir.path()).unwrap();
        chosen(&choose(&source, windows).unwrap(), "viostor")
    };
    assert_eq!(pick(&windows), "new/viostor.inf");
    windows.sha2 = false;
    assert_eq!(pick(&windows), "old/viostor.inf");
    std::fs::remove_dir_all(dir.path().join("old")).unwrap();
    assert!(pick(&windows).starts_with("new/viostor.inf is signed with SHA-2 only"));
    std::fs::remove_file(dir.path().join("new/viostor.sys")).unwrap();
    let source = Source::open(dir.path()).unwrap();
    assert_eq!(
        choose(&source, &windows).unwrap()[0]
            .driver
            .as_ref()
            .unwrap_err(),
        &Refusal::Incomplete {
            inf: "new/viostor.inf".to_owned(),
            file: "viostor.sys".to_owned()
        }
    );
}

fn unpack_image(name: &str) -> tempfile::NamedTempFile {
    let packed = std::fs::File::open(testdata(&format!("iso/{name}.iso.xz"))).unwrap();
    let mut image = Vec::new();
    lzma_rust2::XzReader::new(packed, false)
        .read_to_end(&mut image)
        .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), image).unwrap();
    file
}

#[test]
fn images_of_every_kind_hold_the_same_drivers() {
    for name in ["joliet", "rock-ridge", "level4", "plain", "xorriso"] {
        let image = unpack_image(name);
        let source = Source::open(image.path()).unwrap();
        assert!(source.is_iso());
        assert_eq!(source.packages().len(), 4, "{name}");
        for files in source.packages() {
            let path = files.inf.to_lowercase();
            let original = std::fs::read(testdata("virtio-win").join(&path)).unwrap();
            assert_eq!(source.read(&files.inf).unwrap(), original, "{name}: {path}");
        }
        let windows = windows(Arch::Amd64, (10, 0), 22631, ProductType::Workstation);
        let choices = choose(&source, &windows).unwrap();
        assert_eq!(
            chosen(&choices, "viostor").to_lowercase(),
            "viostor/w11/amd64/viostor.inf",
            "{name}"
        );
        assert_eq!(source.files().count(), 4 * 3 + 83, "{name}");
        if name != "plain" {
            // Names of up to 64 characters are whole in all but plain ISO 9660.
            let long = "guest-agent/file-with-a-long-name-80.txt";
            assert!(source.files().any(|path| path == long), "{name}");
        }
        let out = tempfile::tempdir().unwrap();
        source.unpack(out.path()).unwrap();
        let again = Source::open(out.path()).unwrap();
        assert_eq!(again.packages().len(), 4, "{name}");
        assert!(!out.path().join("viostor/w10/amd64/viostor.pdb").exists());
    }
}

/// A small generator of pseudo-random numbers (xorshift), so that failures can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).unwrap()
    }

    /// Changes some bytes, cuts or doubles a part.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.next(8) {
            let at = self.next(bytes.len());
            match self.next(4) {
                0 => bytes[at] = b"\"%;\\[]=,\0\xff\n"[self.next(11)],
                1 => bytes[at] = u8::try_from(self.next(256)).unwrap(),
                2 => bytes.truncate(at + 1),
                _ => {
                    let part = bytes[at..(at + 64).min(bytes.len())].to_vec();
                    bytes.splice(at..at, part);
                }
            }
        }
    }
}

#[test]
fn damaged_inf_files_are_read_or_refused() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let windows = windows(Arch::Amd64, (6, 3), 9600, ProductType::Server);
    let source = source();
    let originals: Vec<Vec<u8>> = source
        .packages()
        .iter()
        .map(|files| source.read(&files.inf).unwrap())
        .collect();
    for round in 0..2000 {
        let mut bytes = originals[round % originals.len()].clone();
        random.damage(&mut bytes);
        if let Ok(inf) = Inf::parse(&bytes) {
            let package = Package::new(inf);
            for service in package.services(&windows) {
                assert!(!service.name.contains(['\\', '/']));
                assert!(!service.binary_name().contains(['\\', '/']));
            }
            for file in package.files(&windows) {
                assert!(!file.contains(['\\', '/']));
            }
        }
    }
}

#[test]
fn damaged_images_are_read_or_refused() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for name in ["joliet", "rock-ridge", "xorriso"] {
        let original = std::fs::read(unpack_image(name).path()).unwrap();
        // Descriptors and directories are at the beginning.
        let head = original.len().min(40 * 2048);
        for _ in 0..150 {
            let mut bytes = original.clone();
            for _ in 0..=random.next(16) {
                let at = 16 * 2048 + random.next(head - 16 * 2048);
                bytes[at] = u8::try_from(random.next(256)).unwrap();
            }
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            if let Ok(image) = IsoImage::open(file.path()) {
                for file in image.files() {
                    assert!(
                        file.path
                            .split('/')
                            .all(|name| !name.is_empty() && name != "..")
                    );
                    if let Ok(content) = image.read(file, 1 << 20) {
                        assert_eq!(content.len() as u64, file.size);
                    }
                }
            }
        }
    }
}
