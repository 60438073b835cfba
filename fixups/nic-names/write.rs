//! How a guest is made to name its cards: which files, and into which initramfs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use refit_engine::{Change, Guest, GuestPath, InitramfsFile};
use refit_machine::Mac;

use super::mechanism::Mechanism;
use crate::network::configuration::Existing;
use crate::network::sources::networkd::Link;
use crate::network::sources::persistent_rules::{self, RuleBinding};

/// Where the generators of udev up to 174 kept names, and where administrators still do.
const PERSISTENT_RULES: &str = "/etc/udev/rules.d/70-persistent-net.rules";
const RULES_DIR: &str = "/etc/udev/rules.d";
const LINK_DIR: &str = "/etc/systemd/network";
const MACTAB: &str = "/etc/mactab";
/// Beginnings of the names of our `.link` files; a later one is only taken where a file of the
/// guest's own would win over the earlier.
const LINK_PREFIXES: [&str; 3] = ["10-refit-", "00-refit-", "0-refit-"];
/// Where systemd-boot finds unified kernel images (Boot Loader Specification, type 2).
const UNIFIED_IMAGES: [&str; 3] = ["/boot/efi/EFI/Linux", "/efi/EFI/Linux", "/boot/EFI/Linux"];

/// A name that a card must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub mac: Mac,
    pub name: String,
}

impl Existing {
    /// The rules that name `mac`.
    fn rules_for(&self, mac: Mac) -> impl Iterator<Item = &RuleBinding> {
        let rules = self.rules.iter();
        rules.filter(move |rule| rule.binding.mac == mac)
    }

    /// The files with rules that keep the card from having its name: by giving it another, by not
    /// finding it on the new machine, or by giving the name to the card in some place.
    pub(super) fn contradicting(&self, wanted: &Wanted) -> BTreeSet<GuestPath> {
        let rules = self.rules_for(wanted.mac);
        let by_mac = rules
            .filter(|rule| rule.binding.name != wanted.name || !rule.sure)
            .map(|rule| &rule.binding.source);
        let by_slot = self.slot_rules.iter();
        let by_slot = by_slot
            .filter(|rule| rule.name == wanted.name)
            .map(|rule| &rule.source);
        by_mac.chain(by_slot).cloned().collect()
    }

    /// The file with the rule that gives the card its name, if no other contradicts it.
    fn rule(&self, wanted: &Wanted) -> Option<&GuestPath> {
        if !self.contradicting(wanted).is_empty() {
            return None;
        }
        let rule = self.rules_for(wanted.mac).last();
        rule.map(|rule| &rule.binding.source)
    }

    /// The `.link` file that certainly applies to the card, before any other that does.
    fn link(&self, mac: Mac) -> Option<&Link> {
        let any_name = |link: &Link| {
            let mut names = link.original_names.iter();
            link.original_names.is_empty() || names.any(|name| name == "*")
        };
        self.links.iter().find(|link| {
            link.matches_all() || link.macs.contains(&mac) && !link.other_match && any_name(link)
        })
    }

    /// The first `.link` file that may apply to the card.
    fn rival(&self, mac: Mac) -> Option<&Link> {
        let mut links = self.links.iter();
        links.find(|link| link.macs.is_empty() || link.macs.contains(&mac))
    }
}

/// The changes that give the cards their names; none if the guest does so already.
///
/// # Errors
/// If a file of the guest cannot be read.
pub(super) fn plan(
    guest: &Guest<'_>,
    mechanism: Mechanism,
    wanted: &[Wanted],
    existing: &Existing,
    warnings: &mut Vec<String>,
) -> anyhow::Result<Vec<Change>> {
    let mut files = match mechanism {
        Mechanism::Link => links(guest, wanted, existing, warnings)?,
        Mechanism::Rules => Files::default(),
        Mechanism::Mactab => return mactab(guest, wanted),
    };
    rules(guest, mechanism, wanted, existing, &mut files, warnings)?;
    let mut changes = files.changes;
    changes.extend(initramfs(guest, &files.early, warnings)?);
    Ok(changes)
}

/// What goes into the root file system, and what early user space needs of it.
#[derive(Debug, Default)]
struct Files {
    changes: Vec<Change>,
    early: BTreeMap<GuestPath, Vec<u8>>,
}

impl Files {
    /// A file that the root file system has already.
    fn keep(&mut self, guest: &Guest<'_>, path: &GuestPath) -> anyhow::Result<()> {
        if !self.early.contains_key(path) {
            let content = guest.read(path)?;
            let content = content.with_context(|| format!("{path} has gone"))?;
            self.early.insert(path.clone(), content);
        }
        Ok(())
    }

    fn write(&mut self, path: GuestPath, content: Vec<u8>, mode: Option<u32>) {
        self.early.insert(path.clone(), content.clone());
        self.changes.push(Change::Write {
            path,
            content,
            mode,
        });
    }
}

/// One `.link` file for each card that has none (systemd.link(5)).
fn links(
    guest: &Guest<'_>,
    wanted: &[Wanted],
    existing: &Existing,
    warnings: &mut Vec<String>,
) -> anyhow::Result<Files> {
    let mut files = Files::default();
    for wanted in wanted {
        if let Some(path) = existing.rule(wanted) {
            files.keep(guest, path)?;
            continue;
        }
        let present = existing.link(wanted.mac);
        if let Some(link) = present.filter(|link| link.effective_name() == Some(&wanted.name)) {
            files.keep(guest, &link.path)?;
            continue;
        }
        let rival = existing.rival(wanted.mac);
        let path = link_path(guest, &wanted.name, rival)?;
        if let Some(rival) = rival.filter(|rival| is_before(&rival.path, &path)) {
            warnings.push(format!(
                "{} still comes before {path} and may give {} another name than {}: remove it",
                rival.path, wanted.mac, wanted.name
            ));
        }
        files.write(path, link_file(wanted).into_bytes(), Some(0o644));
    }
    Ok(files)
}

/// Whether udev tries `.link` file `one` before `other`: directories do not count.
fn is_before(one: &GuestPath, other: &GuestPath) -> bool {
    one.file_name() < other.file_name()
}

/// A path for a new `.link` file that udev tries before `rival`.
fn link_path(guest: &Guest<'_>, name: &str, rival: Option<&Link>) -> anyhow::Result<GuestPath> {
    let dir = GuestPath::new(LINK_DIR);
    let [first, others @ ..] = LINK_PREFIXES.map(|prefix| dir.join(format!("{prefix}{name}.link")));
    for path in std::iter::once(&first).chain(&others) {
        // A link to /dev/null there is somebody's wish, and cannot be written through.
        let masked = guest
            .resolve_parent(path)?
            .is_some_and(|real| guest.resolve(path).ok().flatten() != Some(real));
        if !masked && rival.is_none_or(|rival| !is_before(&rival.path, path)) {
            return Ok(path.clone());
        }
    }
    Ok(first)
}

/// The permanent address and the type keep the file from matching VLANs, bridges and ports of
/// bonds, which share the MAC (systemd issues 9688, 11992).
fn link_file(Wanted { mac, name }: &Wanted) -> String {
    format!(
        "# Written by refit: the guest's configuration knows this card as {name}, its name on the old machine.\n\
         [Match]\n\
         PermanentMACAddress={mac}\n\
         Type=ether\n\
         \n\
         [Link]\n\
         Name={name}\n"
    )
}

/// udev rules: corrected where they contradict, since they win over `.link` files; and written for
/// cards that have none where rules are the mechanism.
fn rules(
    guest: &Guest<'_>,
    mechanism: Mechanism,
    wanted: &[Wanted],
    existing: &Existing,
    files: &mut Files,
    warnings: &mut Vec<String>,
) -> anyhow::Result<()> {
    let mut by_file: BTreeMap<GuestPath, Vec<(Mac, String)>> = BTreeMap::new();
    for wanted in wanted {
        if let Some(path) = existing.rule(wanted) {
            files.keep(guest, path)?;
            continue;
        }
        let mut stale = existing.contradicting(wanted);
        stale.retain(|path| {
            let own = path.parent() == Some(RULES_DIR.into());
            if !own {
                warnings.push(format!(
                    "{path} keeps {} from being called {}; it is no file of /etc, and left alone",
                    wanted.mac, wanted.name
                ));
            }
            own
        });
        if stale.is_empty() && mechanism == Mechanism::Rules {
            stale.insert(PERSISTENT_RULES.into());
        }
        for path in stale {
            let entry = (wanted.mac, wanted.name.clone());
            by_file.entry(path).or_default().push(entry);
        }
    }
    for (path, wanted) in by_file {
        let present = guest.read(&path)?;
        let mode = present.is_none().then_some(0o644);
        let text = present.unwrap_or_default();
        match persistent_rules::rewrite(&text, &wanted) {
            Some(content) => files.write(path, content, mode),
            None => files.keep(guest, &path)?,
        }
    }
    Ok(())
}

/// Appends `files` to each initramfs that does not hold them.
fn initramfs(
    guest: &Guest<'_>,
    files: &BTreeMap<GuestPath, Vec<u8>>,
    warnings: &mut Vec<String>,
) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    let mut seen = BTreeSet::new();
    if files.is_empty() {
        return Ok(changes);
    }
    for kernel in &guest.facts().kernels {
        let Some(image) = &kernel.initramfs else {
            warnings.push(format!(
                "kernel {} has no initramfs of its own; its cards are named from the root file system alone",
                kernel.release
            ));
            continue;
        };
        let Some(real) = guest
            .resolve(image)?
            .filter(|real| seen.insert(real.clone()))
        else {
            continue;
        };
        let present = guest
            .initramfs_appended(&real)
            .with_context(|| format!("reading the end of {image}"))?;
        let missing: Vec<InitramfsFile> = files
            .iter()
            .filter(|(path, content)| {
                let mut present = present.iter();
                !present.any(|file| file.path == **path && file.content == **content)
            })
            .map(|(path, content)| InitramfsFile {
                path: path.clone(),
                mode: 0o644,
                content: content.clone(),
            })
            .collect();
        if !missing.is_empty() {
            changes.push(Change::InitramfsAppend {
                path: image.clone(),
                files: missing,
            });
        }
    }
    for dir in UNIFIED_IMAGES {
        for path in guest.files(dir, |name| name.to_ascii_lowercase().ends_with(".efi"))? {
            warnings.push(format!(
                "{path} is a unified kernel image: its initramfs is inside and may be signed, so it is \
                 left alone, and its cards are named only when the root file system is there; rebuild \
                 the image in the guest if that is too late"
            ));
        }
    }
    Ok(changes)
}

/// `/etc/mactab`, which nameif(8) applies: a name and a MAC on each line.
fn mactab(guest: &Guest<'_>, wanted: &[Wanted]) -> anyhow::Result<Vec<Change>> {
    let present = guest.read(MACTAB)?;
    let mode = present.is_none().then_some(0o644);
    let present = present.unwrap_or_default();
    let content = mactab_with(&present, wanted);
    Ok(if content == present {
        Vec::new()
    } else {
        vec![Change::Write {
            path: MACTAB.into(),
            content,
            mode,
        }]
    })
}

/// The table without other lines for the same cards or names, and with lines for `wanted`.
fn mactab_with(present: &[u8], wanted: &[Wanted]) -> Vec<u8> {
    let mut missing: Vec<&Wanted> = wanted.iter().collect();
    let mut content = Vec::new();
    for line in present.split_inclusive(|&b| b == b'\n') {
        let text = String::from_utf8_lossy(line);
        let mut words = text.split_whitespace();
        let (name, mac) = (words.next(), words.next());
        let mac = mac.and_then(|mac| mac.parse::<Mac>().ok());
        let name = name.filter(|name| !name.starts_with('#'));
        let (Some(name), Some(mac)) = (name, mac) else {
            content.extend_from_slice(line);
            continue;
        };
        let before = missing.len();
        missing.retain(|wanted| wanted.mac != mac || wanted.name != name);
        let is_wanted = missing.len() < before;
        if is_wanted
            || wanted
                .iter()
                .all(|wanted| wanted.mac != mac && wanted.name != name)
        {
            content.extend_from_slice(line);
        }
    }
    if !missing.is_empty() && content.last().is_some_and(|&b| b != b'\n') {
        content.push(b'\n');
    }
    for Wanted { mac, name } in missing {
        content.extend_from_slice(format!("{name} {mac}\n").as_bytes());
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(mac: &str, name: &str) -> Wanted {
        Wanted {
            mac: mac.parse().unwrap(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn mactab_keeps_what_it_does_not_know() {
        let wanted = [
            wanted("00:50:56:aa:bb:01", "eth0"),
            wanted("00:50:56:aa:bb:02", "eth1"),
        ];
        let old = b"# cards\neth1 00:50:56:AA:BB:02\neth0 00:50:56:aa:bb:99\nlan 00:50:56:aa:bb:01\nwan 00:50:56:aa:bb:77";
        let new = mactab_with(old, &wanted);
        assert_eq!(
            String::from_utf8(new.clone()).unwrap(),
            "# cards\neth1 00:50:56:AA:BB:02\nwan 00:50:56:aa:bb:77\neth0 00:50:56:aa:bb:01\n"
        );
        assert_eq!(mactab_with(&new, &wanted), new);
    }
}
