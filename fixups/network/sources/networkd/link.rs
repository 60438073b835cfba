//! `.link` files, by which udev names devices (systemd.link(5)).

use std::collections::BTreeSet;

use refit_engine::{Guest, GuestPath};
use refit_machine::Mac;

use super::matching::Selector;
use super::units;
use crate::network::model::Binding;
use crate::network::sources::reading::{Reading, quote};
use crate::network::sources::values;

/// One `.link` file that is in force, with its drop-ins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The file.
    pub path: GuestPath,
    /// Its name, which decides the order: the first that matches a device is applied, all later ones
    /// are ignored.
    pub file_name: String,
    /// The Ethernet addresses that it asks for (`MACAddress=`, `PermanentMACAddress=`).
    pub macs: Vec<Mac>,
    /// Patterns for the kernel's name that it asks for (`OriginalName=`).
    pub original_names: Vec<String>,
    /// Whether it has other selectors that an Ethernet card need not satisfy (driver, path, a
    /// product's virtualization, ...).
    pub other_match: bool,
    /// The name that it gives (`Name=`), if that is a name at all.
    pub name: Option<String>,
    /// `NamePolicy=`; the first policy that yields a name has precedence over `Name=`.
    pub name_policy: Vec<String>,
}

impl Link {
    /// The name that it gives for certain: `Name=` where no policy has precedence.
    #[must_use]
    pub fn effective_name(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| self.name_policy.is_empty())
    }

    /// Whether every Ethernet card matches.
    #[must_use]
    pub fn matches_all(&self) -> bool {
        self.macs.is_empty()
            && !self.other_match
            && (self.original_names.is_empty() || self.original_names.iter().any(|n| n == "*"))
    }
}

/// The `.link` files of `guest` in the order in which udev tries them, and warnings.
///
/// Left out: masked files, files that cannot apply in a virtual machine or to an Ethernet card, and
/// those that systemd ignores because their `[Match]` is empty.
///
/// # Errors
/// If the backend cannot be read.
pub fn links(guest: &Guest<'_>) -> anyhow::Result<(Vec<Link>, Vec<String>)> {
    let mut reading = Reading::new(guest);
    let mut links = Vec::new();
    for unit in units::load(&mut reading, ".link")? {
        let selector = Selector::read(&unit.merged, "OriginalName");
        if !selector.possible || selector.kind.is_some() {
            continue;
        }
        if selector.ignored_as_empty(guest.facts().systemd) {
            reading.warn(&unit.path, None, "ignored: its [Match] selects nothing");
            continue;
        }
        let name = unit.merged.last("Link", "Name");
        if let Some(name) = name.filter(|name| !values::is_interface_name(name)) {
            let reason = format!("Name= is no name for a device: {}", quote(name));
            reading.warn(&unit.path, None, reason);
        }
        links.push(Link {
            name: name
                .filter(|name| values::is_interface_name(name))
                .map(str::to_owned),
            name_policy: unit
                .merged
                .words("Link", "NamePolicy")
                .into_iter()
                .map(str::to_owned)
                .collect(),
            path: unit.path,
            file_name: unit.file_name,
            macs: selector.macs,
            original_names: selector.names,
            other_match: !selector.other.is_empty(),
        });
    }
    Ok((links, reading.into_warnings()))
}

/// The names that `links`, in their order, give to hardware addresses.
///
/// A file with further selectors counts too, for it named the device on the machine that it was
/// written on, but does not keep later ones from matching.
#[must_use]
pub fn bindings(links: &[Link]) -> Vec<Binding> {
    let mut bindings = Vec::new();
    let mut decided = BTreeSet::new();
    for link in links {
        if link.matches_all() {
            break;
        }
        for mac in &link.macs {
            if decided.contains(mac) {
                continue;
            }
            if let Some(name) = link.effective_name() {
                bindings.push(Binding {
                    mac: *mac,
                    name: name.to_owned(),
                    source: link.path.clone(),
                });
            }
            if !link.other_match && link.original_names.iter().all(|name| name == "*") {
                decided.insert(*mac);
            }
        }
    }
    bindings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::sources::reading::with_guest;

    const MAC1: &str = "00:50:56:aa:bb:01";

    fn named(files: &[(&str, &str)]) -> Vec<(String, String, String)> {
        with_guest(files, |guest| {
            let (links, _) = links(guest).unwrap();
            bindings(&links)
                .into_iter()
                .map(|b| (b.mac.to_string(), b.name, b.source.to_string()))
                .collect()
        })
    }

    #[test]
    fn the_first_file_by_name_wins_whatever_its_directory() {
        let low = format!("[Match]\nMACAddress={MAC1}\n[Link]\nName=low\n");
        let high = format!("[Match]\nPermanentMACAddress={MAC1}\nType=ether\n[Link]\nName=high\n");
        assert_eq!(
            named(&[
                ("etc/systemd/network/20-a.link", &low),
                ("usr/lib/systemd/network/10-b.link", &high),
            ]),
            [(
                MAC1.to_owned(),
                "high".to_owned(),
                "/usr/lib/systemd/network/10-b.link".to_owned()
            )]
        );
    }

    #[test]
    fn a_policy_has_precedence_over_a_name() {
        for (policy, expected) in [
            ("", 1),
            ("NamePolicy=", 1),
            ("NamePolicy=kernel", 0),
            ("NamePolicy=keep path\nNamePolicy=", 1),
        ] {
            let text = format!("[Match]\nMACAddress={MAC1}\n[Link]\nName=lan0\n{policy}\n");
            let found = named(&[("etc/systemd/network/10-a.link", &text)]);
            assert_eq!(found.len(), expected, "{policy}");
        }
    }

    #[test]
    fn masks_hide_and_drop_ins_override() {
        let text = format!("[Match]\nMACAddress={MAC1}\n[Link]\nName=lan0\n");
        assert_eq!(
            named(&[
                ("usr/lib/systemd/network/10-a.link", &text),
                ("etc/systemd/network/10-a.link", ""),
            ]),
            []
        );
        assert_eq!(
            named(&[
                ("usr/lib/systemd/network/10-a.link", &text),
                ("etc/systemd/network/10-a.link", "-> /dev/null"),
            ]),
            []
        );
        let found = named(&[
            ("usr/lib/systemd/network/10-a.link", &text),
            (
                "etc/systemd/network/10-a.link.d/name.conf",
                "[Link]\nName=lan1\n",
            ),
        ]);
        assert_eq!(found[0].1, "lan1");
    }

    #[test]
    fn a_file_for_all_devices_ends_the_search() {
        let all = "[Match]\nOriginalName=*\n[Link]\nNamePolicy=keep\n";
        let mine = format!("[Match]\nMACAddress={MAC1}\n[Link]\nName=lan0\n");
        assert_eq!(
            named(&[
                ("etc/systemd/network/50-all.link", all),
                ("etc/systemd/network/60-mine.link", &mine),
            ]),
            []
        );
        assert_eq!(
            named(&[
                ("etc/systemd/network/50-mine.link", &mine),
                ("usr/lib/systemd/network/99-default.link", all),
            ])
            .len(),
            1
        );
    }

    #[test]
    fn further_selectors_do_not_decide() {
        let driver = format!("[Match]\nMACAddress={MAC1}\nDriver=vmxnet3\n[Link]\nName=old\n");
        let plain = format!("[Match]\nMACAddress={MAC1}\n[Link]\nName=new\n");
        let names: Vec<_> = named(&[
            ("etc/systemd/network/10-a.link", &driver),
            ("etc/systemd/network/20-b.link", &plain),
        ])
        .into_iter()
        .map(|(_, name, _)| name)
        .collect();
        assert_eq!(names, ["old", "new"]);
    }

    #[test]
    fn names_that_are_none_are_warnings() {
        with_guest(
            &[(
                "etc/systemd/network/10-a.link",
                "[Match]\nMACAddress=00:50:56:aa:bb:01\n[Link]\nName=../../x\n",
            )],
            |guest| {
                let (links, warnings) = links(guest).unwrap();
                assert_eq!(links[0].name, None);
                assert_eq!(warnings.len(), 1, "{warnings:?}");
            },
        );
    }
}
