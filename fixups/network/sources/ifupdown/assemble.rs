//! From statements to interfaces.

use std::collections::{HashMap, HashSet};

use refit_engine::GuestPath;

use super::device::{is_vlan_number, own_name, select, vlan_parent};
use super::include::Placed;
use super::options::Traits;
use super::stanza::Directive;
use crate::network::model::{Interface, Kind, Match};
use crate::network::sources::glob;
use crate::network::sources::reading::{Reading, quote};

/// Most interfaces of one guest.
const INTERFACE_LIMIT: usize = 4096;
/// Most stanzas that one takes options from, directly or not.
const ANCESTOR_LIMIT: usize = 16;

/// All interfaces, in the order in which their names first come.
pub fn interfaces(reading: &mut Reading<'_, '_>, directives: Vec<Placed>) -> Vec<Interface> {
    let mut definitions = Definitions::default();
    for placed in directives {
        definitions.add(reading, placed);
    }
    definitions.inherit();
    definitions.connect();
    definitions.into_interfaces()
}

#[derive(Default)]
struct Definitions {
    /// By name, aliases (`eth0:1`) under the name before the colon.
    named: Vec<(String, Traits)>,
    index: HashMap<String, usize>,
    /// Names that are brought up as they are.
    allowed: HashSet<String>,
    /// Which devices take the configuration of a logical interface (`auto /eth*=lan`).
    logical: HashMap<String, Vec<Match>>,
    /// Patterns for the devices whose configuration a script chooses (`mapping`).
    mapped: Vec<String>,
    /// What gets which name (`rename mac/...=lan0`), and where that is said.
    renamed: Vec<(String, Match, GuestPath)>,
}

impl Definitions {
    fn add(&mut self, reading: &mut Reading<'_, '_>, placed: Placed) {
        let Placed {
            path,
            line,
            directive,
        } = placed;
        match directive {
            Directive::Interface(stanza) => {
                let name = match stanza.name.split_once(':') {
                    Some((device, _)) => device,
                    None => &stanza.name,
                };
                if name.is_empty() {
                    reading.warn(&path, Some(line), "iface without a name");
                    return;
                }
                let traits = Traits::read(reading, &path, &stanza);
                match self.index.get(name) {
                    Some(&index) => self.named[index].1.absorb(traits),
                    None if self.named.len() >= INTERFACE_LIMIT => {
                        reading.warn(&path, Some(line), "left out: too many interfaces");
                    }
                    None => {
                        self.index.insert(name.to_owned(), self.named.len());
                        self.named.push((name.to_owned(), traits));
                    }
                }
            }
            Directive::Allow(words) => {
                for word in words {
                    self.allow(&word);
                }
            }
            Directive::Rename(words) => {
                for word in words {
                    match word.split_once('=') {
                        Some((from, to)) => {
                            let mut matches = select(from);
                            if matches.name.is_some() {
                                matches.globs = matches.name.take().into_iter().collect();
                            }
                            matches.renames = !matches.macs.is_empty();
                            matches.name = Some(to.to_owned());
                            if self.renamed.len() < INTERFACE_LIMIT {
                                self.renamed.push((to.to_owned(), matches, path.clone()));
                            }
                        }
                        None => reading.warn(&path, Some(line), "rename without a new name"),
                    }
                }
            }
            Directive::Mapping(words) => {
                let reason = format!(
                    "mapping is not followed, its script decides: {}",
                    quote(&words.join(" "))
                );
                reading.warn(&path, Some(line), reason);
                self.mapped.extend(words.into_iter().take(ANCESTOR_LIMIT));
                self.mapped.truncate(INTERFACE_LIMIT);
            }
            Directive::Stray(text) => {
                let reason = format!("not understood: {}", quote(&text));
                reading.warn(&path, Some(line), reason);
            }
            // Followed when the files were read.
            Directive::Source(_) | Directive::SourceDirectory(_) => {}
        }
    }

    fn allow(&mut self, word: &str) {
        match word.split_once('=') {
            Some((device, logical)) => {
                let uses = self.logical.entry(logical.to_owned()).or_default();
                if uses.len() < ANCESTOR_LIMIT {
                    uses.push(select(device));
                }
            }
            None => {
                self.allowed.insert(word.to_owned());
            }
        }
    }

    /// Hands down options along `inherits`.
    fn inherit(&mut self) {
        let mut full: Vec<Traits> = Vec::new();
        for (_, traits) in &self.named {
            let mut inherited = traits.clone();
            let mut pending = traits.inherits.clone();
            let mut seen = HashSet::new();
            while let Some(name) = pending.pop() {
                if seen.len() >= ANCESTOR_LIMIT || !seen.insert(name.clone()) {
                    continue;
                }
                if let Some(&index) = self.index.get(&name) {
                    let ancestor = &self.named[index].1;
                    inherited.inherit(ancestor);
                    pending.extend(ancestor.inherits.iter().take(ANCESTOR_LIMIT).cloned());
                }
            }
            full.push(inherited);
        }
        for ((_, traits), full) in self.named.iter_mut().zip(full) {
            *traits = full;
        }
    }

    /// Finds kinds by names and connects ports with what they are ports of.
    fn connect(&mut self) {
        for (name, traits) in &mut self.named {
            if name == "lo" {
                traits.kind = Some(Kind::Other("loopback".to_owned()));
            }
            let parent = vlan_parent(name);
            if traits.kind.is_none() && (parent.is_some() || is_vlan_number(name)) {
                traits.kind = Some(Kind::Vlan);
            }
            if traits.kind == Some(Kind::Vlan) && traits.lower.is_empty() {
                traits.lower.extend(parent.map(str::to_owned));
            }
            if traits.kind.is_none() && traits.bond_options && traits.upper.is_none() {
                traits.kind = Some(Kind::Bond);
            }
            if matches!(traits.kind, Some(Kind::Bond | Kind::Bridge | Kind::Vlan))
                && traits.lower.is_empty()
            {
                traits.lower = std::mem::take(&mut traits.requires);
            }
        }
        let uppers: Vec<_> = self
            .named
            .iter()
            .filter_map(|(name, traits)| Some((name.clone(), traits.upper.clone()?)))
            .collect();
        for (name, (upper, kind)) in uppers {
            if let Some(&index) = self.index.get(&upper) {
                let traits = &mut self.named[index].1;
                traits.kind.get_or_insert(kind);
                traits.lower.push(name);
            }
        }
        for (_, traits) in &mut self.named {
            let mut seen = HashSet::new();
            traits.lower.retain(|name| seen.insert(name.clone()));
        }
        let lowers: Vec<_> = self
            .named
            .iter()
            .filter_map(|(name, traits)| match &traits.kind {
                Some(kind @ (Kind::Bond | Kind::Bridge)) => Some((name, kind, &traits.lower)),
                _ => None,
            })
            .flat_map(|(name, kind, lower)| {
                lower
                    .iter()
                    .filter_map(|port| Some((*self.index.get(port)?, name.clone(), kind.clone())))
            })
            .collect();
        for (index, name, kind) in lowers {
            self.named[index].1.upper.get_or_insert((name, kind));
        }
    }

    /// Whether `name` may be no device's, but a word that a `mapping` script answers: nothing
    /// brings it up by that name, and it is no device that is mapped.
    fn is_chosen_by_script(&self, name: &str) -> bool {
        !self.mapped.is_empty()
            && name != "lo"
            && !self.allowed.contains(name)
            && !self.logical.contains_key(name)
            && !self.mapped.iter().any(|glob| glob::matches(glob, name))
    }

    fn into_interfaces(self) -> Vec<Interface> {
        let inherited: HashSet<&String> = self
            .named
            .iter()
            .flat_map(|(_, traits)| &traits.inherits)
            .collect();
        let mut interfaces = Vec::new();
        for (name, traits) in &self.named {
            let only_inherited = inherited.contains(name)
                && !self.allowed.contains(name)
                && traits.addresses.is_empty();
            if traits.template || only_inherited {
                continue;
            }
            let renamed = self.renamed.iter().find(|(new, _, _)| new == name);
            let logical = self.logical.get(name);
            if let Some(uses) = logical {
                interfaces.extend(uses.iter().map(|matches| interface(matches, traits)));
            }
            match renamed {
                Some((_, matches, _)) => interfaces.push(interface(matches, traits)),
                None if self.is_chosen_by_script(name) => {
                    let matches = Match {
                        globs: self.mapped.clone(),
                        other: Some(format!("mapping to {name}")),
                        ..Match::default()
                    };
                    interfaces.push(interface(&matches, traits));
                }
                None if logical.is_none() || self.allowed.contains(name) => {
                    interfaces.push(interface(&own_name(name), traits));
                }
                None => {}
            }
        }
        for (name, matches, path) in &self.renamed {
            if !self.index.contains_key(name) {
                let traits = Traits {
                    source: Some(path.clone()),
                    ..Traits::default()
                };
                interfaces.push(interface(matches, &traits));
            }
        }
        interfaces
    }
}

fn interface(matches: &Match, traits: &Traits) -> Interface {
    Interface {
        matches: matches.clone(),
        kind: traits.kind.clone().unwrap_or(Kind::Physical),
        addresses: traits.addresses.clone(),
        dynamic: traits.dynamic,
        lower: traits.lower.clone(),
        upper: traits.upper.as_ref().map(|(name, _)| name.clone()),
        source: traits.source.clone().unwrap_or_else(GuestPath::root),
    }
}
