//! What networks say and hand out.

use std::collections::{BTreeMap, BTreeSet};

use super::super::answers::Answers;
use super::super::networks::NetworkSettings;
use super::super::rules::Role;
use crate::Envelope;

/// The settings, and which addresses are taken.
pub(super) struct Addresses<'r> {
    settings: &'r BTreeMap<String, NetworkSettings>,
    /// Names of all networks that the descriptor declares.
    declared: Vec<&'r str>,
    taken: BTreeSet<&'r str>,
}

impl<'r> Addresses<'r> {
    pub(super) fn new(envelope: &'r Envelope, answers: &'r Answers) -> Self {
        let answered = answers.systems.values().flat_map(BTreeMap::values);
        Self {
            settings: &answers.networks,
            declared: envelope
                .networks
                .iter()
                .map(|network| network.name.as_str())
                .collect(),
            // An address that somebody chose is not handed out.
            taken: answered
                .chain(answers.properties.values())
                .map(|answer| answer.value.as_str())
                .collect(),
        }
    }

    /// A setting of the network; of the only one, if none is named.
    pub(super) fn setting(&mut self, role: Role, network: Option<&str>) -> Option<String> {
        let name = match network.filter(|name| !name.is_empty()) {
            Some(name) => name,
            None => match (self.settings.len(), self.declared.as_slice()) {
                (1, _) => self.settings.keys().next()?.as_str(),
                (_, [only]) => only,
                _ => return None,
            },
        };
        let settings = self.settings.get(name);
        if role == Role::Net {
            let renamed = settings.and_then(|settings| settings.name.clone());
            return renamed.or_else(|| self.declared.contains(&name).then(|| name.to_owned()));
        }
        let settings = settings?;
        let listed = |list: &[String]| (!list.is_empty()).then(|| list.join(","));
        match role {
            Role::Ip | Role::AutoIp => {
                let free = settings
                    .addresses
                    .iter()
                    .find(|address| !self.taken.contains(address.as_str()))?;
                self.taken.insert(free);
                Some(free.clone())
            }
            Role::VimIp | Role::Net => None,
            Role::Subnet => settings.subnet.clone(),
            Role::Netmask => settings.netmask.clone(),
            Role::Gateway => settings.gateway.clone(),
            Role::Dns => listed(&settings.dns),
            Role::DomainName => settings.domain.clone(),
            Role::SearchPath => listed(&settings.search_path),
            Role::HostPrefix => settings.host_prefix.clone(),
            Role::HttpProxy => settings.http_proxy.clone(),
        }
    }
}
