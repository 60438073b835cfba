//! What the guest's files say of cards and names, from all readers.

use refit_engine::{Guest, GuestPath, Nic};
use refit_machine::Mac;

use super::evidence::Bindings;
use super::model::{Binding, Found, Interface};
use super::sources::leases::{self, Lease};
use super::sources::networkd::Link;
use super::sources::persistent_rules::{RuleBinding, SlotRule};
use super::sources::{
    cloud_init, glob, ifcfg, ifupdown, keyfile, netplan, networkd, persistent_rules, wicked,
};

/// All that the guest's files say of cards and names.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    pub interfaces: Vec<Interface>,
    pub existing: Existing,
    link_bindings: Vec<Binding>,
    rule_bindings: Vec<Binding>,
    cloud_init_bindings: Vec<Binding>,
    leases: Vec<Lease>,
    pub warnings: Vec<String>,
}

/// What names cards in the guest already, apart from the configuration.
#[derive(Debug, Default)]
pub(crate) struct Existing {
    /// `.link` files in the order in which udev tries them.
    pub links: Vec<Link>,
    /// Names by MAC in udev rules, in the order in which they apply.
    pub rules: Vec<RuleBinding>,
    /// Names by place in udev rules.
    pub slot_rules: Vec<SlotRule>,
}

type Reader = fn(&Guest<'_>) -> anyhow::Result<Found>;

impl Configuration {
    /// Reads every format. A reader that fails is a warning and costs only itself.
    pub fn read(guest: &Guest<'_>) -> Self {
        let mut all = Self::default();
        let readers: [(&str, Reader); 6] = [
            ("ifupdown", ifupdown::read),
            ("ifcfg", ifcfg::read),
            ("NetworkManager", keyfile::read),
            ("netplan", netplan::read),
            ("systemd-networkd", networkd::read),
            ("wicked", wicked::read),
        ];
        for (format, read) in readers {
            match read(guest) {
                Ok(found) => {
                    let interfaces = found.interfaces.into_iter();
                    all.interfaces.extend(interfaces.flat_map(one_by_one));
                    all.warnings.extend(found.warnings);
                }
                Err(error) => all
                    .warnings
                    .push(format!("{format} configuration: {error:#}")),
            }
        }
        match cloud_init::read(guest, &all.interfaces) {
            Ok(found) => {
                all.interfaces.extend(found.interfaces);
                all.cloud_init_bindings = found.bindings;
                all.warnings.extend(found.warnings);
            }
            Err(error) => all
                .warnings
                .push(format!("cloud-init configuration: {error:#}")),
        }
        match networkd::links(guest) {
            Ok((links, warnings)) => {
                all.link_bindings = networkd::bindings(&links);
                all.existing.links = links;
                all.warnings.extend(warnings);
            }
            Err(error) => all.warnings.push(format!(".link files: {error:#}")),
        }
        match persistent_rules::read(guest) {
            Ok(rules) => {
                let bindings = rules.bindings.iter().map(|rule| rule.binding.clone());
                all.rule_bindings = bindings.collect();
                all.existing.rules = rules.bindings;
                all.existing.slot_rules = rules.by_slot;
                all.warnings.extend(rules.warnings);
            }
            Err(error) => all.warnings.push(format!("udev rules: {error:#}")),
        }
        match leases::read(guest) {
            Ok(found) => {
                all.leases = found.leases;
                all.warnings.extend(found.warnings);
            }
            Err(error) => all.warnings.push(format!("DHCP leases: {error:#}")),
        }
        // Tables of ifrename and nameif, and what an image has in /run, are evidence; but udev
        // will not see them.
        let existing = &mut all.existing;
        existing.links.retain(|link| is_kept(&link.path));
        existing.slot_rules.retain(|rule| is_kept(&rule.source));
        existing.rules.retain(|rule| {
            let path = &rule.binding.source;
            is_kept(path) && path.file_name().ends_with(b".rules")
        });
        all
    }

    /// Takes what the files say of hardware addresses that `nics` replace as said of the new ones.
    /// What is in the files' way of naming cards ([`Existing`]) stays as it is.
    pub fn replace_macs(&mut self, nics: &[Nic]) {
        let replaced = |mac: Mac| nics.iter().find(|nic| nic.replaces == Some(mac));
        for Interface { matches, .. } in &mut self.interfaces {
            for mac in &mut matches.macs {
                if let Some(nic) = replaced(*mac) {
                    *mac = nic.mac;
                    // Not with the address that is in the file.
                    matches.renames = false;
                }
            }
        }
        // Of rules the last counts; the ones for a new address are from a boot without this fixup.
        let is_old = |rule: &Binding| replaced(rule.mac).is_some();
        self.rule_bindings.sort_by_key(is_old);
        let bindings = self.link_bindings.iter_mut();
        let bindings = bindings.chain(&mut self.rule_bindings);
        for binding in bindings.chain(&mut self.cloud_init_bindings) {
            binding.mac = replaced(binding.mac).map_or(binding.mac, |nic| nic.mac);
        }
        for mac in self
            .leases
            .iter_mut()
            .filter_map(|lease| lease.mac.as_mut())
        {
            *mac = replaced(*mac).map_or(*mac, |nic| nic.mac);
        }
    }

    pub fn bindings(&self) -> Bindings<'_> {
        Bindings {
            links: &self.link_bindings,
            rules: &self.rule_bindings,
            cloud_init: &self.cloud_init_bindings,
            leases: &self.leases,
        }
    }

    /// Whether the configuration itself renames the card with `mac` to `name` at every boot
    /// (netplan's `set-name`).
    pub fn renames(&self, mac: Mac, name: &str) -> bool {
        let mut interfaces = self.interfaces.iter().map(|interface| &interface.matches);
        interfaces.any(|matches| {
            matches.renames && matches.name.as_deref() == Some(name) && matches.macs.contains(&mac)
        })
    }
}

/// A configuration for a list of names (`Name=ens192 ens224`) as one for each.
fn one_by_one(interface: Interface) -> Vec<Interface> {
    let globs = &interface.matches.globs;
    let is_list = interface.matches.name.is_none()
        && !globs.is_empty()
        && !globs.iter().any(|glob| glob::is_pattern(glob));
    if !is_list {
        return vec![interface];
    }
    let each = globs.iter().map(|name| {
        let mut one = interface.clone();
        one.matches.name = Some(name.clone());
        one.matches.globs.clear();
        one
    });
    each.collect()
}

/// Whether a file outlives a reboot.
fn is_kept(path: &GuestPath) -> bool {
    !path.starts_with(&"/run".into())
}
