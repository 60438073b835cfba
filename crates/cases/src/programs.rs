//! Programs for guests that have none.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Where a busybox that needs no libraries may be on this host.
const PLACES: [&str; 3] = ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static"];

/// Directories of every system, where what a running one has is mounted; git keeps none of them.
const MOUNT_POINTS: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];

/// Makes a tree one in which a script can run: with mount points, and with busybox if it has no shell
/// of its own.
///
/// # Errors
/// If this host has no static busybox.
pub(crate) fn provide(root: &Path) -> Result<()> {
    for dir in MOUNT_POINTS {
        fs::create_dir_all(root.join(dir)).with_context(|| format!("making /{dir}"))?;
    }
    let shell = root.join("bin/sh");
    if shell.symlink_metadata().is_ok() {
        return Ok(());
    }
    let Some(busybox) = PLACES
        .iter()
        .map(Path::new)
        .find(|path| fs::read(path).is_ok_and(|program| is_static(&program)))
    else {
        bail!(
            "the case's guest has no /bin/sh, and this host has no static busybox to put there \
             (Debian: apt install busybox-static)"
        );
    };
    let bin = root.join("bin");
    fs::create_dir_all(&bin).context("making /bin")?;
    fs::copy(busybox, bin.join("busybox")).context("copying busybox")?;
    let listed = Command::new(busybox).arg("--list").output();
    let listed = listed.context("asking busybox for its applets")?.stdout;
    for applet in String::from_utf8_lossy(&listed).lines() {
        let link = bin.join(applet);
        if link.symlink_metadata().is_err() {
            symlink("busybox", link).context("linking busybox's applets")?;
        }
    }
    Ok(())
}

/// Whether a 64-bit ELF program names no interpreter, that is: no dynamic linker (elf(5)).
fn is_static(program: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |offset: usize, len: usize| -> Option<u64> {
        let bytes = program.get(offset..offset.checked_add(len)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |number, &byte| number << 8 | u64::from(byte)),
        )
    };
    // 64-bit, little-endian.
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return false;
    }
    let (Some(table), Some(size), Some(count)) = (number(32, 8), number(54, 2), number(56, 2))
    else {
        return false;
    };
    (0..count).all(|index| {
        table
            .checked_add(index * size)
            .and_then(|at| usize::try_from(at).ok())
            .and_then(|at| number(at, 4))
            .is_some_and(|kind| kind != u64::from(PT_INTERP))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_dynamic_linker_is_told_from_one_without() {
        // A file header of 64 bytes and one program header.
        let program = |kind: u8| {
            let mut elf = vec![0; 64 + 56];
            elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
            elf[32] = 64;
            elf[54] = 56;
            elf[56] = 1;
            elf[64] = kind;
            elf
        };
        assert!(is_static(&program(1)));
        assert!(!is_static(&program(3)));
        assert!(!is_static(b"#!/bin/sh\n"));
        assert!(!is_static(&program(1)[..70][..60]));
        let mut far = program(1);
        far[39] = 0xff;
        assert!(!is_static(&far), "a table beyond the end");
    }
}
