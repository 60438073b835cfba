//! What files on NTFS have beside their content: security descriptors, DOS attributes, time of creation.
//!
//! ntfs-3g shows them as extended attributes that it does not list (its wiki, "Extended Attributes"). Mounted
//! without a mapping of users, as libguestfs does, it gives everybody full control of what it creates.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};

use super::{GuestfsBackend, kit};
use crate::backend::{FileKind, Xattrs};
use crate::path::GuestPath;

/// A self-relative security descriptor ([MS-DTYP] 2.4.6).
const ACL: &str = "system.ntfs_acl";

/// DOS attributes: hidden, system, read-only... Big-endian, so that an undo file is the same from every machine.
const ATTRIBUTES: &str = "system.ntfs_attrib_be";

/// The times of creation, modification, access and change, in units of 100 ns since 1601, big-endian.
const TIMES: &str = "system.ntfs_times_be";

/// The first of them alone. It can be set; asked for its size, ntfs-3g gives that of all four, which
/// libguestfs takes for an error.
const CREATION: &str = "system.ntfs_crtime_be";

/// ENODATA and EOPNOTSUPP: what is no file of Windows' own making may lack an attribute.
const ABSENT: [i32; 2] = [61, 95];

/// Longest script for the appliance's shell: Linux takes 128 KiB in one argument.
const SCRIPT: usize = 64 * 1024;

/// Whether ntfs-3g makes this attribute up.
pub(super) fn is_ntfs(name: &[u8]) -> bool {
    name.starts_with(b"system.ntfs_")
}

impl GuestfsBackend {
    /// Whether the guest's root is NTFS.
    pub(super) fn is_on_ntfs(&self) -> bool {
        *self.on_ntfs.get_or_init(|| {
            let mounted = self.handle.mountpoints().unwrap_or_default();
            let root = mounted.into_iter().find(|(_, at)| at == b"/");
            root.is_some_and(|(device, _)| {
                self.handle
                    .vfs_type(&device)
                    .is_ok_and(|kind| kind == "ntfs")
            })
        })
    }

    /// The attributes that make a file what it was.
    pub(super) fn ntfs_xattrs(&self, path: &GuestPath) -> anyhow::Result<Xattrs> {
        let mut found = Xattrs::new();
        for (name, known_as) in [(ACL, ACL), (ATTRIBUTES, ATTRIBUTES), (TIMES, CREATION)] {
            match self.handle.lgetxattr(path.as_bytes(), name) {
                Ok(mut value) => {
                    if name == TIMES {
                        value.truncate(8);
                    }
                    found.push((known_as.as_bytes().to_vec(), value));
                }
                Err(error) if error.errno().is_some_and(|errno| ABSENT.contains(&errno)) => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("reading {name} of {path}"));
                }
            }
        }
        Ok(found)
    }

    /// Sets one of them. libguestfs passes values on as strings, so this goes by the appliance's shell.
    pub(super) fn set_ntfs_xattr(
        &self,
        path: &GuestPath,
        name: &[u8],
        value: &[u8],
    ) -> anyhow::Result<()> {
        let mut script = set_function("give", std::str::from_utf8(name)?, value);
        call(&mut script, "give", path);
        self.set_in_appliance(&script)
    }

    /// Gives new files and directories a descriptor by which only administrators can change them.
    pub(super) fn protect_on_ntfs(&self, paths: &[&GuestPath]) -> anyhow::Result<()> {
        let functions = [
            set_function("file", ACL, &descriptor(FileKind::File)),
            set_function("dir", ACL, &descriptor(FileKind::Dir)),
        ]
        .concat();
        let mut script = functions.clone();
        for path in paths {
            let function = match crate::backend::Backend::lstat(self, path)?.map(|stat| stat.kind) {
                Some(FileKind::File) => "file",
                Some(FileKind::Dir) => "dir",
                _ => continue,
            };
            call(&mut script, function, path);
            if script.len() > SCRIPT {
                self.set_in_appliance(&script)?;
                script.clone_from(&functions);
            }
        }
        if script.len() > functions.len() {
            self.set_in_appliance(&script)
                .context("setting the security descriptors of new files")?;
        }
        Ok(())
    }

    /// Runs a script of calls that set attributes, each of which says when it fails.
    fn set_in_appliance(&self, script: &[u8]) -> anyhow::Result<()> {
        let answer = self.handle.appliance_sh(script)?;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(answer.trim().is_empty(), "{}", answer.trim());
        Ok(())
    }
}

/// A shell function that gives its argument, a path of the guest, this attribute.
fn set_function(function: &str, name: &str, value: &[u8]) -> Vec<u8> {
    let hex = value.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!("{function}() {{ setfattr -h -n {name} -v 0x{hex} \"/sysroot$1\" 2>&1; }}\n")
        .into_bytes()
}

fn call(script: &mut Vec<u8>, function: &str, path: &GuestPath) {
    script.extend_from_slice(function.as_bytes());
    script.push(b' ');
    script.extend(kit::quote(path.as_bytes()));
    script.push(b'\n');
}

/// Well-known SIDs ([MS-DTYP] 2.4.2.4), as authority and sub-authorities.
const SYSTEM: &[u32] = &[18];
const ADMINISTRATORS: &[u32] = &[32, 544];
const USERS: &[u32] = &[32, 545];

/// Rights to a file ([MS-DTYP] 2.4.3, and the access masks of files): everything; reading and executing.
const FULL: u32 = 0x001f_01ff;
const READ_EXECUTE: u32 = 0x0012_00a9;

/// The descriptor of a new file or directory: it belongs to Administrators, these and Local System have full
/// control, users may read and execute. What is later made in a directory inherits that.
fn descriptor(kind: FileKind) -> Vec<u8> {
    // OBJECT_INHERIT_ACE and CONTAINER_INHERIT_ACE.
    let flags = if kind == FileKind::Dir { 3 } else { 0 };
    let mut entries = Vec::new();
    for (rights, who) in [
        (FULL, SYSTEM),
        (FULL, ADMINISTRATORS),
        (READ_EXECUTE, USERS),
    ] {
        let sid = sid(who);
        // ACCESS_ALLOWED_ACE_TYPE; the size counts this header, too.
        entries.extend([0, flags]);
        entries.extend(length(8 + sid.len()).to_le_bytes());
        entries.extend(rights.to_le_bytes());
        entries.extend(sid);
    }
    let owner = sid(ADMINISTRATORS);
    const HEADER: usize = 20;
    let mut descriptor = vec![1, 0];
    // SE_SELF_RELATIVE, SE_DACL_PRESENT and SE_DACL_PROTECTED.
    descriptor.extend(0x9004_u16.to_le_bytes());
    let group_at = HEADER + owner.len();
    let list_at = group_at + owner.len();
    for offset in [HEADER, group_at, 0, list_at] {
        descriptor.extend(u32::from(length(offset)).to_le_bytes());
    }
    descriptor.extend(&owner);
    descriptor.extend(&owner);
    // ACL_REVISION, size, number of entries.
    descriptor.extend([2, 0]);
    descriptor.extend(length(8 + entries.len()).to_le_bytes());
    descriptor.extend([3, 0, 0, 0]);
    descriptor.extend(entries);
    descriptor
}

/// A SID of the NT authority.
fn sid(sub_authorities: &[u32]) -> Vec<u8> {
    let count = u8::try_from(sub_authorities.len()).unwrap_or(u8::MAX);
    let mut sid = vec![1, count, 0, 0, 0, 0, 0, 5];
    for part in sub_authorities {
        sid.extend(part.to_le_bytes());
    }
    sid
}

/// Lengths here are far below 64 KiB.
fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_well_formed() {
        let file = descriptor(FileKind::File);
        let at = |offset: usize| -> usize {
            u32::from_le_bytes(file[offset..offset + 4].try_into().unwrap()) as usize
        };
        let administrators = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0];
        assert_eq!(file[at(4)..][..16], administrators);
        assert_eq!(file[at(8)..][..16], administrators);
        assert_eq!(at(12), 0, "no SACL");
        let list = &file[at(16)..];
        assert_eq!(
            usize::from(u16::from_le_bytes([list[2], list[3]])),
            list.len()
        );
        assert_eq!(list[4], 3);
        let mut entries = Vec::new();
        let mut rest = &list[8..];
        while !rest.is_empty() {
            let size = usize::from(u16::from_le_bytes([rest[2], rest[3]]));
            let rights = u32::from_le_bytes(rest[4..8].try_into().unwrap());
            entries.push((rest[0], rest[1], rights, rest[8..size].to_vec()));
            rest = &rest[size..];
        }
        assert_eq!(
            entries,
            [
                (0, 0, FULL, sid(SYSTEM)),
                (0, 0, FULL, sid(ADMINISTRATORS)),
                (0, 0, READ_EXECUTE, sid(USERS)),
            ]
        );
        assert_eq!(descriptor(FileKind::Dir)[at(16) + 9], 3, "inherited");
    }
}
