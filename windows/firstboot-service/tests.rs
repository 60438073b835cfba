//! Finding the program.

use std::fs;
use std::path::PathBuf;

use super::program::{Arch, Missing, find};

/// The smallest file that says which machine it is for.
fn program(machine: u16) -> Vec<u8> {
    let mut content = b"MZ".to_vec();
    content.resize(0x3c, 0);
    content.extend(0x40_u32.to_le_bytes());
    content.extend(b"PE\0\0");
    content.extend(machine.to_le_bytes());
    content
}

#[test]
fn the_program_of_the_guests_architecture() {
    let dir = tempfile::tempdir().unwrap();
    let places = [PathBuf::from("/nonexistent"), dir.path().to_owned()];
    fs::write(
        dir.path().join("refit-firstboot-x86_64.exe"),
        program(0x8664),
    )
    .unwrap();
    assert_eq!(
        find(Some("x86_64"), &places),
        Ok((Arch::X86_64, program(0x8664)))
    );
    let missing = find(Some("i386"), &places).unwrap_err();
    assert!(matches!(&missing, Missing::File(name, _) if name == "refit-firstboot-i686.exe"));
    assert!(
        missing.to_string().contains("cargo xtask firstboot"),
        "{missing}"
    );
    // A build for another machine under this name.
    for wrong in [
        program(0x8664),
        b"MZ".to_vec(),
        b"\x7fELF".to_vec(),
        Vec::new(),
    ] {
        fs::write(dir.path().join("refit-firstboot-i686.exe"), wrong).unwrap();
        assert!(matches!(
            find(Some("i386"), &places),
            Err(Missing::Wrong(..))
        ));
    }
    fs::write(dir.path().join("refit-firstboot-i686.exe"), program(0x014c)).unwrap();
    assert_eq!(
        find(Some("i386"), &places),
        Ok((Arch::I686, program(0x014c)))
    );
    assert_eq!(
        find(Some("aarch64"), &places),
        Err(Missing::Arch(Some("aarch64".to_owned())))
    );
    assert_eq!(find(None, &places), Err(Missing::Arch(None)));
}
