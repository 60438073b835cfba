//! Reading what a program wrote into the upper layers of overlayfs.
//!
//! The kernel's documentation of overlayfs says what is in such a layer: what is new or changed as
//! it is, a *whiteout* (a character device 0/0) for what is gone, and the attribute
//! `trusted.overlay.opaque` on a directory that hides the one below it.

use std::collections::BTreeMap;
use std::io::Read;
use std::rc::Rc;

use anyhow::{Context as _, bail, ensure};

use crate::path::GuestPath;
use crate::rehearsal::{EFFECT_LIMIT, Node, OUTPUT_LIMIT, Trace, Traces};

const OPAQUE: &[u8] = b"trusted.overlay.opaque";
/// overlayfs's own attributes, not the program's.
const OVERLAY: &[u8] = b"trusted.overlay.";

/// Reads the archive of `effect/` that the script leaves; `mounts` are the mount points by number,
/// the root first. Every name in it is the guest's choice.
pub(super) fn read(archive: impl Read, mounts: &[GuestPath]) -> anyhow::Result<Traces> {
    let mut traces = Traces::default();
    let mut attributes = Vec::new();
    // By name in the archive, as hard links refer to it.
    let mut contents: BTreeMap<Vec<u8>, Rc<Vec<u8>>> = BTreeMap::new();
    let mut left = EFFECT_LIMIT;
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path_bytes().into_owned();
        let name = name.strip_prefix(b"./").unwrap_or(&name).to_vec();
        let header = entry.header().clone();
        let kind = header.entry_type();
        let mut content = |limit: u64| -> anyhow::Result<Vec<u8>> {
            let size = entry.size();
            ensure!(size <= limit, "the effect is larger than {limit} bytes");
            let mut content = Vec::new();
            entry.by_ref().take(size).read_to_end(&mut content)?;
            ensure!(content.len() as u64 == size, "the archive is cut short");
            Ok(content)
        };
        match name.as_slice() {
            b"status" => {
                let text = content(16)?;
                traces.status = std::str::from_utf8(&text)?.trim().parse()?;
                continue;
            }
            b"output" => {
                traces.output = content(OUTPUT_LIMIT)?;
                continue;
            }
            b"attributes" => {
                attributes = content(EFFECT_LIMIT)?;
                continue;
            }
            _ => {}
        }
        let Some(path) = guest_path(&name, mounts)? else {
            continue;
        };
        let node = match kind {
            tar::EntryType::Regular => {
                let content = Rc::new(content(left)?);
                left -= content.len() as u64;
                contents.insert(trimmed(&name).to_vec(), Rc::clone(&content));
                Node::File(content)
            }
            tar::EntryType::Directory => Node::Dir { opaque: false },
            tar::EntryType::Symlink => {
                let target = entry.link_name_bytes().context("a link without a target")?;
                Node::Link(target.into_owned())
            }
            tar::EntryType::Link => {
                let target = entry.link_name_bytes().context("a link without a target")?;
                let target = target.strip_prefix(b"./").unwrap_or(&target);
                match contents.get(target) {
                    Some(content) => Node::File(Rc::clone(content)),
                    // Symbolic links can have several names, too.
                    None => {
                        let other = guest_path(target, mounts)?;
                        let other = other.and_then(|path| traces.nodes.get(&path));
                        match other.map(|trace| &trace.node) {
                            Some(Node::Link(target)) => Node::Link(target.clone()),
                            _ => bail!("{path} is a hard link to something unknown"),
                        }
                    }
                }
            }
            tar::EntryType::Char
                if (header.device_major()?, header.device_minor()?) == (Some(0), Some(0)) =>
            {
                Node::Gone
            }
            _ => Node::Other,
        };
        let trace = Trace {
            node,
            mode: header.mode()? & 0o7777,
            owner: (u32::try_from(header.uid()?)?, u32::try_from(header.gid()?)?),
            xattrs: Vec::new(),
        };
        traces.nodes.insert(path, trace);
    }
    read_attributes(&attributes, mounts, &mut traces).context("reading extended attributes")?;
    Ok(traces)
}

/// `NUMBER/PATH` in the archive as a path in the guest; `None` for what is beside the layers, and
/// for what lies under another mount point and is not seen.
fn guest_path(name: &[u8], mounts: &[GuestPath]) -> anyhow::Result<Option<GuestPath>> {
    let name = trimmed(name);
    let (number, rest) = match name.iter().position(|&b| b == b'/') {
        Some(slash) => (&name[..slash], &name[slash + 1..]),
        None => (name, &b""[..]),
    };
    if number.is_empty() || number == b"." {
        return Ok(None);
    }
    let index: usize = std::str::from_utf8(number)?.parse()?;
    let mount = mounts.get(index).context("an unknown layer")?;
    let path = rest
        .split(|&b| b == b'/')
        .filter(|step| !step.is_empty())
        .try_fold(mount.clone(), |path, step| {
            ensure!(
                step != b"." && step != b"..",
                "a name leads out of the tree"
            );
            Ok(path.join(step))
        })?;
    let hidden = mounts
        .iter()
        .any(|other| other != mount && other.starts_with(mount) && path.starts_with(other));
    Ok((!hidden).then_some(path))
}

fn trimmed(name: &[u8]) -> &[u8] {
    name.strip_suffix(b"/").unwrap_or(name)
}

/// Reads what `getfattr --dump --encoding=hex` (getfattr(1)) prints: `# file: NAME`, then
/// `ATTRIBUTE=0xHEX` in lines. Line ends and backslashes in names are octal escapes.
fn read_attributes(text: &[u8], mounts: &[GuestPath], traces: &mut Traces) -> anyhow::Result<()> {
    let mut current = None;
    for line in text.split(|&b| b == b'\n') {
        if let Some(name) = line.strip_prefix(b"# file: ") {
            current = guest_path(&unescape(name)?, mounts)?;
            continue;
        }
        let (Some(path), Some(equals)) = (&current, line.iter().position(|&b| b == b'=')) else {
            continue;
        };
        let name = unescape(&line[..equals])?;
        let value = line[equals + 1..]
            .strip_prefix(b"0x")
            .context("a value is not in hexadecimal")?;
        let trace = traces.nodes.get_mut(path).context("an unknown file")?;
        if name == OPAQUE {
            if let Node::Dir { opaque } = &mut trace.node {
                *opaque = true;
            }
        } else if !name.starts_with(OVERLAY) {
            trace.xattrs.push((name, hex(value)?));
        }
    }
    Ok(())
}

fn unescape(text: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'\\' {
            let digits = tail.get(..3).context("an escape is cut short")?;
            plain.push(u8::from_str_radix(std::str::from_utf8(digits)?, 8)?);
            rest = &tail[3..];
        } else {
            plain.push(byte);
        }
    }
    Ok(plain)
}

fn hex(text: &[u8]) -> anyhow::Result<Vec<u8>> {
    text.chunks(2)
        .map(|digits| Ok(u8::from_str_radix(std::str::from_utf8(digits)?, 16)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths_of_the_guest_and_never_lead_out_of_it() {
        let mounts = ["/", "/var", "/var/log"].map(GuestPath::from);
        for (name, expected) in [
            (&b"0/"[..], Some("/")),
            (b"0/etc/x", Some("/etc/x")),
            (b"1", Some("/var")),
            (b"1/lib/", Some("/var/lib")),
            (b"0/var/hidden", None),
            (b"1/log", None),
            (b"2/x", Some("/var/log/x")),
            (b"", None),
            (b".", None),
        ] {
            let path = guest_path(name, &mounts).unwrap();
            assert_eq!(path, expected.map(GuestPath::from), "{name:?}");
        }
        for name in [&b"3/x"[..], b"x/y", b"0/../x", b"0/a/../../x"] {
            assert!(guest_path(name, &mounts).is_err(), "{name:?}");
        }
    }

    #[test]
    fn attributes_are_read_with_their_escapes() {
        let mut traces = Traces::default();
        for path in ["/a\nb\\", "/d"] {
            let trace = Trace {
                node: Node::Dir { opaque: false },
                mode: 0o755,
                owner: (0, 0),
                xattrs: Vec::new(),
            };
            traces.nodes.insert(path.into(), trace);
        }
        let text = b"# file: 0/a\\012b\\134\nsecurity.capability=0x0100000a\nuser.e=0x\n\n\
                     # file: 0/d\ntrusted.overlay.opaque=0x79\ntrusted.overlay.origin=0x00\n\n";
        read_attributes(text, &[GuestPath::root()], &mut traces).unwrap();
        assert_eq!(
            traces.nodes[&"/a\nb\\".into()].xattrs,
            [
                (b"security.capability".to_vec(), vec![1, 0, 0, 10]),
                (b"user.e".to_vec(), vec![])
            ]
        );
        let opaque = &traces.nodes[&"/d".into()];
        assert_eq!(opaque.node, Node::Dir { opaque: true });
        assert!(opaque.xattrs.is_empty());
        for text in [
            &b"# file: 0/x\na=0x00\n"[..],
            b"# file: 0/d\na=00\n",
            b"# file: 0/d\na=0xg\n",
            b"# file: \\9",
        ] {
            let read = read_attributes(text, &[GuestPath::root()], &mut traces);
            assert!(read.is_err(), "{text:?}");
        }
    }
}
