//! The architecture that a Windows guest is made for.

use crate::guest::Guest;
use crate::path::GuestPath;

/// Programs of every Windows that are made for its own architecture, the kernel first.
const PROGRAMS: [&str; 2] = ["System32/ntoskrnl.exe", "System32/cmd.exe"];

/// As much of a program as holds its headers in practice.
const HEADERS: usize = 4096;

/// The architecture by its name in `PROCESSOR_ARCHITECTURE` ("WOW64 Implementation Details").
pub(super) fn by_name(name: &str) -> Option<&'static str> {
    match name.to_ascii_uppercase().as_str() {
        "X86" => Some("i386"),
        "AMD64" => Some("x86_64"),
        "ARM64" => Some("aarch64"),
        _ => None,
    }
}

/// The architecture that the guest's kernel is made for.
pub(super) fn architecture(
    guest: &Guest<'_>,
    system_root: &GuestPath,
) -> anyhow::Result<Option<&'static str>> {
    for program in PROGRAMS {
        let start = guest.read_start(system_root.join(program), HEADERS)?;
        if let Some(found) = machine(&start) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The machine that a program is for ("PE Format": the file header follows the signature, whose place is at
/// 0x3c; the machine types are in the table of that name).
fn machine(program: &[u8]) -> Option<&'static str> {
    let number = |offset: usize, len: usize| -> Option<usize> {
        let bytes = program.get(offset..offset.checked_add(len)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |number, &byte| number << 8 | usize::from(byte)),
        )
    };
    let header = number(0x3c, 4).filter(|_| program.starts_with(b"MZ"))?;
    let machine = number(header.checked_add(4)?, 2)?;
    if program.get(header..header + 4)? != b"PE\0\0" {
        return None;
    }
    match machine {
        0x014c => Some("i386"),
        0x8664 => Some("x86_64"),
        0xaa64 => Some("aarch64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read_from_the_header() {
        let program = |code: u16| {
            let mut program = vec![0; 256];
            program[..2].copy_from_slice(b"MZ");
            program[0x3c] = 0x80;
            program[0x80..0x84].copy_from_slice(b"PE\0\0");
            program[0x84..0x86].copy_from_slice(&code.to_le_bytes());
            program
        };
        assert_eq!(machine(&program(0x014c)), Some("i386"));
        assert_eq!(machine(&program(0x8664)), Some("x86_64"));
        assert_eq!(machine(&program(0xaa64)), Some("aarch64"));
        assert_eq!(machine(&program(0x0200)), None, "Itanium");
        assert_eq!(machine(&program(0x8664)[..0x84]), None);
        let mut far = program(0x8664);
        far[0x3c..0x40].fill(0xff);
        assert_eq!(machine(&far), None);
        assert_eq!(machine(b""), None);
    }
}
