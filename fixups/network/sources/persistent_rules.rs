//! Names that a guest gives to hardware addresses: udev rules as udev's own generator, installers
//! and people write them (`udev(7)`), `/etc/iftab` (`iftab(5)`, `ifrename`) and `/etc/mactab`
//! (`nameif(8)`, Alpine).

mod naming;
mod rewrite;
mod syntax;
mod tables;

use std::collections::BTreeMap;
use std::ops::Range;

use refit_engine::{Guest, GuestPath};
use refit_machine::Mac;

pub use self::rewrite::rewrite;

use self::naming::Selector;
use crate::network::model::Binding;

/// Where rules are. A file hides those of the same name in directories after its own.
const DIRS: [&str; 5] = [
    "/etc/udev/rules.d",
    "/run/udev/rules.d",
    "/usr/local/lib/udev/rules.d",
    "/usr/lib/udev/rules.d",
    "/lib/udev/rules.d",
];

/// How many of [`DIRS`] an administrator writes to. Of the others, where packages have hundreds of
/// files, only those with `net` in their name are read.
const OWN_DIRS: usize = 3;

/// More files than any real guest has.
const FILE_LIMIT: usize = 2048;

/// Longer than any real rules file, in bytes.
const SIZE_LIMIT: usize = 1024 * 1024;

/// More warnings than anybody reads.
const WARNING_LIMIT: usize = 20;

/// The names that rules and tables give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Names by hardware address, in the order in which udev applies the rules: the last one for
    /// an address wins.
    pub bindings: Vec<RuleBinding>,
    /// Names by place in the machine. They break, or meet the wrong card, on a new machine.
    pub by_slot: Vec<SlotRule>,
    /// Files and lines that udev would refuse, each with the path and the reason.
    pub warnings: Vec<String>,
}

/// One rule, or line of a table, that names a hardware address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleBinding {
    /// Address, name and file.
    pub binding: Binding,
    /// First and last line of the rule, counted from 1.
    pub lines: (usize, usize),
    /// Whether the rule will name this card on any machine: it asks nothing of the card that
    /// changes with the hardware (driver, place, a name by the kernel of another kind), and has
    /// the address as the kernel writes it. Where not, the name is still what the guest's
    /// administrator meant, and mostly what the card was called.
    pub sure: bool,
}

/// One rule that names whatever card is in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRule {
    /// The place in the rule's words (`KERNELS="0000:03:00.0"`).
    pub slot: String,
    /// The name that the card there gets.
    pub name: String,
    /// The file.
    pub source: GuestPath,
    /// First and last line of the rule, counted from 1.
    pub lines: (usize, usize),
}

/// Reads the rules and tables of `guest`.
///
/// # Errors
/// If a directory cannot be read. A file that cannot is a warning.
pub fn read(guest: &Guest<'_>) -> anyhow::Result<Rules> {
    let mut rules = Rules::default();
    for path in rules_files(guest)? {
        if let Some(content) = content(guest, &path, &mut rules.warnings) {
            read_rules(&path, &content, &mut rules);
        }
    }
    for (path, parse) in [
        ("/etc/iftab", tables::parse_iftab as fn(&str) -> _),
        ("/etc/mactab", tables::parse_mactab),
    ] {
        let path = GuestPath::new(path);
        let Some(content) = content(guest, &path, &mut rules.warnings) else {
            continue;
        };
        for (line, mac, name) in parse(&String::from_utf8_lossy(&content)) {
            rules.bindings.push(RuleBinding {
                binding: Binding {
                    mac,
                    name,
                    source: path.clone(),
                },
                lines: (line, line),
                sure: true,
            });
        }
    }
    rules.warnings.truncate(WARNING_LIMIT);
    Ok(rules)
}

/// Where a rule asks for a hardware address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressMatch {
    /// The address.
    pub mac: Mac,
    /// Where the value is, without its quotes.
    pub bytes: Range<usize>,
    /// Whether the rule names the card.
    pub names: bool,
}

/// Where the rules of a file ask for hardware addresses, in rules of one line each.
#[must_use]
pub fn address_matches(content: &[u8]) -> Vec<AddressMatch> {
    let mut found = Vec::new();
    for rule in syntax::parse(content) {
        let Ok(tokens) = &rule.tokens else { continue };
        let names = tokens
            .iter()
            .any(|token| token.key == "NAME" && !token.op.is_match());
        for token in tokens {
            let is_address = matches!(token.key.as_str(), "ATTR" | "ATTRS" | "SYSFS")
                && token.attribute.as_deref() == Some("address");
            let value = token.bytes.end.saturating_sub(1 + token.value.len());
            let bytes = value..token.bytes.end.saturating_sub(1);
            let literal = content.get(bytes.clone()) == Some(token.value.as_bytes());
            if let Ok(mac) = token.value.parse()
                && is_address
                && literal
            {
                found.push(AddressMatch { mac, bytes, names });
            }
        }
    }
    found
}

/// The files that udev reads, in its order: by name, whatever the directory.
fn rules_files(guest: &Guest<'_>) -> anyhow::Result<Vec<GuestPath>> {
    let mut by_name: BTreeMap<Vec<u8>, (usize, GuestPath)> = BTreeMap::new();
    for (index, dir) in DIRS.iter().enumerate() {
        for path in guest.files(*dir, |name| name.ends_with(".rules"))? {
            by_name
                .entry(path.file_name().to_vec())
                .or_insert((index, path));
        }
    }
    Ok(by_name
        .into_iter()
        .filter(|(name, (index, _))| {
            *index < OWN_DIRS || name.windows(3).any(|part| part == b"net")
        })
        .map(|(_, (_, path))| path)
        .take(FILE_LIMIT)
        .collect())
}

/// The bytes of a file; none, with a warning where that is a fault, if there are none to be had.
fn content(guest: &Guest<'_>, path: &GuestPath, warnings: &mut Vec<String>) -> Option<Vec<u8>> {
    // Masked by a link to /dev/null, which may or may not be in the guest's tree.
    if let Ok(Some(target)) = guest.resolve(path)
        && target == GuestPath::new("/dev/null")
    {
        return None;
    }
    match guest.read(path) {
        Ok(Some(content)) if content.len() > SIZE_LIMIT => {
            warnings.push(format!("{path}: too long, more than {SIZE_LIMIT} bytes"));
            None
        }
        Ok(content) => content,
        Err(error) => {
            warnings.push(format!("{path}: {error:#}"));
            None
        }
    }
}

fn read_rules(path: &GuestPath, content: &[u8], rules: &mut Rules) {
    for rule in syntax::parse(content) {
        let tokens = match &rule.tokens {
            Ok(tokens) => tokens,
            Err(why) => {
                if rules.warnings.len() < WARNING_LIMIT {
                    rules
                        .warnings
                        .push(format!("{path}: line {}: {why}", rule.lines.0));
                }
                continue;
            }
        };
        let Some(naming) = naming::naming(tokens) else {
            continue;
        };
        match naming.selector {
            Selector::Mac(mac) => rules.bindings.push(RuleBinding {
                binding: Binding {
                    mac,
                    name: naming.name,
                    source: path.clone(),
                },
                lines: rule.lines,
                sure: naming.sure,
            }),
            Selector::Slot(slot) => rules.by_slot.push(SlotRule {
                slot,
                name: naming.name,
                source: path.clone(),
                lines: rule.lines,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read_tree(root: &Path) -> Rules {
        let backend = refit_engine::backend::RootBackend::open(root).unwrap();
        let guest = Guest::inspect(&backend, &Default::default()).unwrap();
        read(&guest).unwrap()
    }

    fn rule(mac: &str, name: &str) -> String {
        format!("SUBSYSTEM==\"net\", ATTR{{address}}==\"{mac}\", NAME=\"{name}\"\n")
    }

    #[test]
    fn files_hide_those_of_their_name_and_apply_in_order() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let link = |target: &str, path: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, path).unwrap();
        };
        let mac = |last: u8| format!("00:50:56:aa:bb:{last:02x}");
        write(
            "etc/udev/rules.d/70-persistent-net.rules",
            &format!("# c\n\n{}", rule(&mac(1), "eth0")),
        );
        write(
            "usr/lib/udev/rules.d/70-persistent-net.rules",
            &rule(&mac(2), "eth2"),
        );
        write("usr/lib/udev/rules.d/60-net.rules", &rule(&mac(3), "eth3"));
        write(
            "usr/lib/udev/rules.d/50-other.rules",
            &rule(&mac(4), "eth4"),
        );
        link("/dev/null", "etc/udev/rules.d/65-net.rules");
        write("usr/lib/udev/rules.d/65-net.rules", &rule(&mac(5), "eth5"));
        link("loop.rules", "etc/udev/rules.d/loop.rules");
        write("etc/udev/rules.d/99-net.rules.bak", &rule(&mac(6), "eth6"));
        write(
            "etc/udev/rules.d/99-mine.rules",
            &format!(
                "{}NAME=broken\nSUBSYSTEM==\"net\", KERNELS==\"0000:03:00.0\", NAME=\"eth7\"\n",
                rule("00:50:56:AA:BB:01", "lan0")
            ),
        );
        write("etc/iftab", "# x\neth8 mac 00:50:56:aa:bb:08\n");
        write("etc/mactab", "eth9 00:50:56:aa:bb:09\n");

        let rules = read_tree(root.path());

        let shown: Vec<_> = rules
            .bindings
            .iter()
            .map(|b| {
                format!(
                    "{} {} {} {:?} {}",
                    b.binding.name, b.binding.mac, b.binding.source, b.lines, b.sure
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "eth3 00:50:56:aa:bb:03 /usr/lib/udev/rules.d/60-net.rules (1, 1) true",
                "eth0 00:50:56:aa:bb:01 /etc/udev/rules.d/70-persistent-net.rules (3, 3) true",
                "lan0 00:50:56:aa:bb:01 /etc/udev/rules.d/99-mine.rules (1, 1) false",
                "eth8 00:50:56:aa:bb:08 /etc/iftab (2, 2) true",
                "eth9 00:50:56:aa:bb:09 /etc/mactab (1, 1) true",
            ]
        );
        assert_eq!(
            rules.by_slot,
            [SlotRule {
                slot: "KERNELS=\"0000:03:00.0\"".to_owned(),
                name: "eth7".to_owned(),
                source: "/etc/udev/rules.d/99-mine.rules".into(),
                lines: (3, 3),
            }]
        );
        assert_eq!(
            rules.warnings,
            ["/etc/udev/rules.d/99-mine.rules: line 2: a value without quotes"]
        );
    }

    #[test]
    fn hostile_files_are_warnings() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("etc/udev/rules.d");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("1.rules"), vec![b'x'; SIZE_LIMIT + 1]).unwrap();
        std::fs::write(dir.join("2.rules"), b"\xff\x00\n".repeat(10_000)).unwrap();
        std::fs::write(dir.join("3.rules"), rule("00:50:56:aa:bb:01", "eth0")).unwrap();
        let rules = read_tree(root.path());
        assert_eq!(rules.bindings.len(), 1);
        assert_eq!(rules.warnings.len(), WARNING_LIMIT);
        assert_eq!(
            read_tree(tempfile::tempdir().unwrap().path()),
            Rules::default()
        );
    }
}
