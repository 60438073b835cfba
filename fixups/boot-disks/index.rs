//! The indexes by which modprobe(8) and udev find modules, for a part of a kernel's modules.
//!
//! An initramfs holds few of a kernel's modules, and indexes of those alone: `modules.dep` and
//! `modules.alias` as text, and as `.bin`, which is what libkmod reads. When modules are added,
//! they are written anew, as depmod(8) would write them in the image. The paths are the image's
//! own: some tools unpack compressed modules when they build one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::modules::Modules;

/// `INDEX_MAGIC` and version 2.1 (kmod `libkmod/libkmod-index.h`).
const HEADER: [u8; 8] = [0xb0, 0x07, 0xf4, 0x57, 0, 2, 0, 1];
/// Flags in the upper bits of a node's offset.
const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_VALUES: u32 = 0x4000_0000;
const HAS_CHILDREN: u32 = 0x2000_0000;
/// Offsets must leave the flags alone.
const SIZE_LIMIT: usize = 0x1000_0000;
/// Longer keys are no modaliases, and would make the trie too deep.
const KEY_LIMIT: usize = 1024;

/// The indexes of the modules in `paths` (path in the image by name), by file name.
pub(super) fn indexes(
    modules: &Modules,
    paths: &BTreeMap<String, String>,
) -> Vec<(&'static str, Vec<u8>)> {
    let (mut dep, mut dep_trie) = (String::new(), Trie::default());
    let mut priorities = BTreeMap::new();
    for (priority, module) in (0..).zip(&modules.entries) {
        let Some(path) = paths.get(&module.name) else {
            continue;
        };
        if priorities.contains_key(module.name.as_str()) {
            continue;
        }
        let mut line = format!("{path}:");
        for need in &module.needs {
            let path = paths.get(need).map(String::as_str);
            let path = path.or_else(|| modules.get(need).map(|module| module.path.as_str()));
            // Writing to a string cannot fail.
            let _ = write!(line, " {}", path.unwrap_or(need));
        }
        dep.push_str(&line);
        dep.push('\n');
        dep_trie.insert(module.name.as_bytes(), priority, &line);
        priorities.insert(module.name.as_str(), priority);
    }
    let (mut alias, mut alias_trie) = (String::new(), Trie::default());
    for line in modules.aliases.lines() {
        let mut words = line.split(' ');
        let (word, pattern, name) = (words.next(), words.next(), words.next());
        if let (Some("alias"), Some(pattern), Some(name)) = (word, pattern, name) {
            let Some(&priority) = priorities.get(name) else {
                continue;
            };
            if let Some(key) = normalised(pattern) {
                alias_trie.insert(key.as_bytes(), priority, name);
            }
        } else if !line.starts_with('#') {
            continue;
        }
        alias.push_str(line);
        alias.push('\n');
    }
    vec![
        ("modules.alias", alias.into_bytes()),
        ("modules.alias.bin", alias_trie.to_bytes()),
        ("modules.dep", dep.into_bytes()),
        ("modules.dep.bin", dep_trie.to_bytes()),
    ]
}

/// An alias with `_` for `-`, except in brackets; `None` if these do not match.
fn normalised(alias: &str) -> Option<String> {
    let mut bracket = false;
    let key: Option<String> = alias
        .chars()
        .map(|c| match (c, bracket) {
            ('-', false) => Some('_'),
            ('[', false) => {
                bracket = true;
                Some(c)
            }
            (']', false) => None,
            (']', true) => {
                bracket = false;
                Some(c)
            }
            _ => Some(c),
        })
        .collect();
    key.filter(|_| !bracket)
}

/// A radix tree of ASCII keys.
#[derive(Debug, Default)]
struct Trie {
    /// What all keys below have in common, after the byte that led here.
    prefix: Vec<u8>,
    children: BTreeMap<u8, Trie>,
    /// By priority; a lower one is found first.
    values: BTreeSet<(u32, Vec<u8>)>,
}

impl Trie {
    /// Keys that cannot be in an index are left out.
    fn insert(&mut self, key: &[u8], priority: u32, value: &str) {
        if key.len() > KEY_LIMIT || !key.iter().all(|b| (1..0x80).contains(b)) {
            return;
        }
        let value = (priority, value.as_bytes().to_vec());
        let (mut node, mut rest) = (self, key);
        loop {
            let common = node
                .prefix
                .iter()
                .zip(rest)
                .take_while(|(a, b)| a == b)
                .count();
            if common < node.prefix.len() {
                let byte = node.prefix[common];
                let lower = Self {
                    prefix: node.prefix[common + 1..].to_vec(),
                    children: std::mem::take(&mut node.children),
                    values: std::mem::take(&mut node.values),
                };
                node.prefix.truncate(common);
                node.children.insert(byte, lower);
            }
            rest = &rest[common..];
            let Some((&byte, after)) = rest.split_first() else {
                node.values.insert(value);
                return;
            };
            rest = after;
            node = node.children.entry(byte).or_insert_with(|| Self {
                prefix: after.to_vec(),
                ..Self::default()
            });
        }
    }

    /// The file: children before their parents, the root's offset after the header.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = HEADER.to_vec();
        out.extend_from_slice(&[0; 4]);
        let root = self.write(&mut out);
        out[HEADER.len()..HEADER.len() + 4].copy_from_slice(&root.to_be_bytes());
        out
    }

    /// Writes the node and gives its offset with its flags; 0, which means none, beyond what an
    /// offset can hold.
    fn write(&self, out: &mut Vec<u8>) -> u32 {
        let children: BTreeMap<u8, u32> = self
            .children
            .iter()
            .map(|(&byte, child)| (byte, child.write(out)))
            .collect();
        if out.len() >= SIZE_LIMIT {
            return 0;
        }
        let mut offset = u32::try_from(out.len()).unwrap_or_default();
        if !self.prefix.is_empty() {
            offset |= HAS_PREFIX;
            out.extend_from_slice(&self.prefix);
            out.push(0);
        }
        if let (Some((&first, _)), Some((&last, _))) =
            (children.first_key_value(), children.last_key_value())
        {
            offset |= HAS_CHILDREN;
            out.extend([first, last]);
            for byte in first..=last {
                let child = children.get(&byte).copied().unwrap_or_default();
                out.extend_from_slice(&child.to_be_bytes());
            }
        }
        if !self.values.is_empty() {
            offset |= HAS_VALUES;
            let count = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&count.to_be_bytes());
            for (priority, value) in &self.values {
                out.extend_from_slice(&priority.to_be_bytes());
                out.extend_from_slice(value);
                out.push(0);
            }
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn aliases_are_normalised_outside_of_brackets() {
        for (alias, key) in [
            ("pci:v00001AF4d*", Some("pci:v00001AF4d*")),
            ("net-pf-10", Some("net_pf_10")),
            ("of:N*[0-9]-x", Some("of:N*[0-9]_x")),
            ("a[b", None),
            ("a]b", None),
        ] {
            assert_eq!(normalised(alias).as_deref(), key, "{alias}");
        }
    }

    /// What depmod(8) writes is the rule, to the byte.
    #[test]
    fn the_indexes_are_those_of_depmod() {
        let dir = tempfile::tempdir().unwrap();
        let modules = dir.path().join("lib/modules/6.1.0");
        let kernel = modules.join("kernel");
        fs::create_dir_all(&kernel).unwrap();
        // depmod reads section .modinfo of ELF files; it takes the smallest ones that have it.
        for (name, info) in [
            ("virtio", "alias=virtio:d*-x\0"),
            (
                "virtio-blk",
                "alias=virtio:d00000002v*\0alias=a-b[c-d]\0depends=virtio\0",
            ),
            (
                "virtio_net",
                "alias=virtio:d00000001v*\0alias=virtio:d*\0depends=virtio\0",
            ),
            ("vir", "alias=virtio:d*\0alias=v\0"),
        ] {
            fs::write(kernel.join(format!("{name}.ko")), elf(info)).unwrap();
        }
        let status = std::process::Command::new("depmod")
            .arg("-b")
            .arg(dir.path())
            .arg("6.1.0")
            .status()
            .unwrap();
        assert!(status.success());
        let found = compare(&modules);
        assert_eq!(found.entries.len(), 4);
        let only = BTreeMap::from([("virtio".to_owned(), "kernel/virtio.ko".to_owned())]);
        let part = indexes(&found, &only);
        assert_eq!(part[2], ("modules.dep", b"kernel/virtio.ko:\n".to_vec()));
        assert!(!String::from_utf8_lossy(&part[0].1).contains("virtio_blk"));
    }

    /// The indexes of all modules below `dir`, compared with those in it.
    fn compare(dir: &Path) -> Modules {
        let text = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        let release = dir.file_name().unwrap().to_str().unwrap();
        let mut found = Modules::parse(release, &text("modules.dep"), "");
        found.aliases = text("modules.alias");
        let paths = found.entries.iter();
        let paths = paths
            .map(|one| (one.name.clone(), one.path.clone()))
            .collect();
        for (name, content) in indexes(&found, &paths) {
            // Not assert_eq: a failure would print all of it.
            assert!(
                content == fs::read(dir.join(name)).unwrap(),
                "{name} of {release}"
            );
        }
        found
    }

    #[test]
    fn so_they_are_for_the_kernels_of_this_machine() {
        for entry in fs::read_dir("/lib/modules").into_iter().flatten() {
            let dir = entry.unwrap().path();
            if dir.join("modules.dep.bin").exists() {
                let found = compare(&dir);
                println!("{}: {} modules", found.release, found.entries.len());
            }
        }
    }

    /// A relocatable object (elf(5)) with one section, `.modinfo`.
    fn elf(info: &str) -> Vec<u8> {
        let names = b"\0.modinfo\0.shstrtab\0.symtab\0.strtab\0";
        let (info_at, names_at) = (64, 64 + info.len());
        let symbols_at = (names_at + names.len()).next_multiple_of(8);
        let strings_at = symbols_at + 24;
        let sections_at = (strings_at + 1).next_multiple_of(8);
        let mut out = b"\x7fELF\x02\x01\x01".to_vec();
        out.resize(16, 0);
        for half in [1_u16, 62] {
            out.extend_from_slice(&half.to_le_bytes());
        }
        out.extend_from_slice(&1_u32.to_le_bytes());
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&(sections_at as u64).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for half in [64_u16, 0, 0, 64, 5, 2] {
            out.extend_from_slice(&half.to_le_bytes());
        }
        out.extend_from_slice(info.as_bytes());
        out.extend_from_slice(names);
        out.resize(sections_at, 0);
        let sections = [
            (0, 0, 0, 0, 0, 0),
            (1, 1, info_at, info.len(), 0, 0),
            (10, 3, names_at, names.len(), 0, 0),
            (20, 2, symbols_at, 24, 4, 24),
            (28, 3, strings_at, 1, 0, 0),
        ];
        for (name, kind, at, size, link, entry) in sections {
            for word in [name, kind] {
                out.extend_from_slice(&u32::to_le_bytes(word));
            }
            out.extend_from_slice(&[0; 16]);
            for long in [at, size] {
                out.extend_from_slice(&(long as u64).to_le_bytes());
            }
            for word in [link, 1] {
                out.extend_from_slice(&u32::to_le_bytes(word));
            }
            for long in [1_u64, entry] {
                out.extend_from_slice(&long.to_le_bytes());
            }
        }
        out
    }
}
