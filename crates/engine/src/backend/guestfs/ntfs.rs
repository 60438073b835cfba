//! What files on NTFS have beside their content: security descriptors, DOS attributes, time of creation.
//!
//! ntfs-3g shows them as extended attributes that it does not list (its wiki, "Extended Attributes"). Mounted
//! without a mapping of users, as libguestfs does, it gives everybody full control of what it creates.

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};

use super::{GuestfsBackend, kit};
use crate::backend::{Backend as _, FileKind, Xattrs};
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

/// The target of a link as the guest has it: ntfs-3g puts the place where it is mounted before that of a
/// junction.
pub(super) fn in_guest(target: Vec<u8>) -> Vec<u8> {
    match target.strip_prefix(b"/sysroot") {
        Some([]) => b"/".to_vec(),
        Some(rest) if rest.starts_with(b"/") => rest.to_vec(),
        _ => target,
    }
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

    /// Sets one of them, by the time of the next [`flush`](Self::flush_ntfs). libguestfs passes values on as
    /// strings, so this goes by the appliance's shell, which takes long to start.
    pub(super) fn set_ntfs_xattr(
        &mut self,
        path: &GuestPath,
        name: &[u8],
        value: &[u8],
    ) -> anyhow::Result<()> {
        let name = std::str::from_utf8(name)?;
        let line = [
            format!("give {name} 0x{} ", hex(value)).as_bytes(),
            &kit::quote(path.as_bytes()),
            b"\n",
        ]
        .concat();
        self.later(&line)
    }

    /// Sets access and modification time, as [`set_ntfs_xattr`](Self::set_ntfs_xattr) does. Once an attribute
    /// has set the time of creation, ntfs-3g forgets what utimensat(2) sets afterwards.
    pub(super) fn set_ntfs_times(
        &mut self,
        path: &GuestPath,
        atime: (i64, i64),
        mtime: (i64, i64),
    ) -> anyhow::Result<()> {
        let times = [ntfs_time(mtime), ntfs_time(atime)].concat();
        let line = [
            format!("dated {} ", hex(&times)).as_bytes(),
            &kit::quote(path.as_bytes()),
            b"\n",
        ]
        .concat();
        self.later(&line)
    }

    fn later(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.attributes.extend_from_slice(line);
        if self.attributes.len() > SCRIPT {
            self.flush_ntfs()?;
        }
        Ok(())
    }

    /// Sets the attributes that are to be set.
    ///
    /// # Errors
    /// If one cannot be set; the others are.
    pub(super) fn flush_ntfs(&mut self) -> anyhow::Result<()> {
        let lines = std::mem::take(&mut self.attributes);
        if lines.is_empty() {
            return Ok(());
        }
        self.set_in_appliance(&lines)
            .context("setting attributes of files on NTFS")
    }

    /// Gives new files and directories a descriptor by which only administrators can change them.
    pub(super) fn protect_on_ntfs(&mut self, paths: &[&GuestPath]) -> anyhow::Result<()> {
        let acl = |kind| format!("give {ACL} 0x{} ", hex(&descriptor(kind)));
        let (file, dir) = (acl(FileKind::File), acl(FileKind::Dir));
        for path in paths {
            let give = match self.lstat(path)?.map(|stat| stat.kind) {
                Some(FileKind::File) => &file,
                Some(FileKind::Dir) => &dir,
                _ => continue,
            };
            let quoted = kit::quote(path.as_bytes());
            self.later(&[give.as_bytes(), &quoted, b"\n"].concat())?;
        }
        self.flush_ntfs()
    }

    /// Runs lines of `give` and `dated`, each of which says when it fails.
    fn set_in_appliance(&self, lines: &[u8]) -> anyhow::Result<()> {
        let script = [FUNCTIONS.as_bytes(), lines].concat();
        let answer = self.handle.appliance_sh(script)?;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(answer.trim().is_empty(), "{}", answer.trim());
        Ok(())
    }
}

/// `give NAME VALUE PATH`; `dated MODIFICATION-AND-ACCESS PATH`, which keeps the time of creation.
const FUNCTIONS: &str = r#"give() { setfattr -h -n "$1" -v "$2" "/sysroot$3" 2>&1; }
dated() {
    created=$(getfattr -h --absolute-names -e hex -n system.ntfs_crtime_be "/sysroot$2" 2>&1 |
        sed -n 's/^system.ntfs_crtime_be=//p')
    setfattr -h -n system.ntfs_times_be -v "$created$1" "/sysroot$2" 2>&1
}
"#;

/// A time in units of 100 ns since 1601, big-endian ([MS-DTYP] 2.3.3).
fn ntfs_time((seconds, nanoseconds): (i64, i64)) -> [u8; 8] {
    const TO_1601: i64 = 11_644_473_600;
    let units = seconds
        .saturating_add(TO_1601)
        .saturating_mul(10_000_000)
        .saturating_add(nanoseconds / 100);
    units.to_be_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
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
    fn junctions_lead_to_places_in_the_guest() {
        for (target, expected) in [
            ("/sysroot/Users", "/Users"),
            ("/sysroot", "/"),
            ("/sysroots/x", "/sysroots/x"),
            ("../Users", "../Users"),
        ] {
            assert_eq!(in_guest(target.into()), expected.as_bytes(), "{target}");
        }
    }

    #[test]
    fn times_are_counted_from_1601() {
        assert_eq!(hex(&ntfs_time((0, 0))), "019db1ded53e8000");
        assert_eq!(
            ntfs_time((1_000_000_000, 123_456_700)),
            126_444_736_001_234_567_i64.to_be_bytes()
        );
    }

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
