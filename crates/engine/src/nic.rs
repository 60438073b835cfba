//! What is known of the machine's NICs beside the guest itself.

use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use ipnet::IpNet;
use refit_machine::{Mac, Machine};

/// One NIC of the machine that the guest will run on, with what is known of it on the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// Its hardware address on the new machine; unless [`replaces`](Self::replaces) says otherwise,
    /// it had the same on the old one.
    pub mac: Mac,
    /// The hardware address that the card had on the old machine.
    pub replaces: Option<Mac>,
    /// Addresses that it has had on the old machine, or is to have.
    pub addresses: Vec<IpNet>,
    /// Default gateways.
    pub gateways: Vec<IpAddr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// VMware's slot number (`ethernetN.pciSlotNumber`).
    pub pci_slot: Option<u32>,
    /// Where this was learnt: `--nic`, a VMX or OVF file, virt-v2v's output.
    pub origin: String,
}

impl Nic {
    /// A NIC of which nothing but its hardware address is known.
    #[must_use]
    pub fn new(mac: Mac, origin: impl Into<String>) -> Self {
        Self {
            mac,
            replaces: None,
            addresses: Vec::new(),
            gateways: Vec::new(),
            dns: Vec::new(),
            pci_slot: None,
            origin: origin.into(),
        }
    }

    fn absorb(&mut self, other: Self) {
        self.replaces = self.replaces.or(other.replaces);
        extend(&mut self.addresses, other.addresses);
        extend(&mut self.gateways, other.gateways);
        extend(&mut self.dns, other.dns);
        self.pci_slot = self.pci_slot.or(other.pci_slot);
    }
}

fn extend<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

/// `[OLD=>]MAC[=IP/PREFIX[,GATEWAY[,DNS...]]]`, the form of `--nic`. `OLD` is the hardware address
/// that the card had on the old machine.
impl FromStr for Nic {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (old, new) = match text.split_once("=>") {
            Some((old, new)) => (Some(old.parse::<Mac>()?), new),
            None => (None, text),
        };
        let (mac, rest) = match new.split_once('=') {
            Some((mac, rest)) => (mac, Some(rest)),
            None => (new, None),
        };
        let mut nic = Self::new(mac.parse()?, "--nic");
        nic.replaces = old.filter(|old| *old != nic.mac);
        let Some(rest) = rest else { return Ok(nic) };
        let mut words = rest.split(',');
        let address = words.next().unwrap_or_default();
        nic.addresses
            .push(network(address).with_context(|| format!("{text:?}"))?);
        for (index, word) in words.enumerate() {
            let ip = word
                .parse()
                .with_context(|| format!("{text:?}: {word:?} is not an IP address"))?;
            if index == 0 {
                &mut nic.gateways
            } else {
                &mut nic.dns
            }
            .push(ip);
        }
        Ok(nic)
    }
}

fn network(text: &str) -> anyhow::Result<IpNet> {
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| anyhow::anyhow!("{text:?} is not an address such as 192.0.2.10/24"))
}

/// Parses Forklift's `V2V_staticIPs`: `MAC:ip:IP[,GATEWAY[,PREFIX[,DNS...]]]`, joined with `_`.
///
/// # Errors
/// If a part has another form.
pub fn parse_static_ips(text: &str) -> anyhow::Result<Vec<Nic>> {
    let mut nics = Vec::new();
    for part in text.split('_').filter(|part| !part.is_empty()) {
        let parsing = || format!("--static-ips: {part:?}");
        let (mac, rest) = part
            .split_once(":ip:")
            .with_context(parsing)
            .context("expected MAC:ip:ADDRESS,...")?;
        let mut nic = Nic::new(mac.parse().with_context(parsing)?, "--static-ips");
        let mut words = rest.split(',');
        let ip: IpAddr = words
            .next()
            .unwrap_or_default()
            .parse()
            .with_context(parsing)?;
        // An empty gateway stands where there is none.
        if let Some(gateway) = words.next().filter(|word| !word.is_empty()) {
            nic.gateways.push(gateway.parse().with_context(parsing)?);
        }
        nic.addresses
            .push(match words.next().filter(|word| !word.is_empty()) {
                Some(prefix) => {
                    IpNet::new(ip, prefix.parse().with_context(parsing)?).with_context(parsing)?
                }
                None => IpNet::from(ip),
            });
        for word in words.filter(|word| !word.is_empty()) {
            nic.dns.push(word.parse().with_context(parsing)?);
        }
        nics.push(nic);
    }
    ensure!(!nics.is_empty(), "--static-ips: no NIC is given");
    Ok(nics)
}

/// The NICs of a machine's description that have a hardware address.
#[must_use]
pub fn from_machine(machine: &Machine, origin: &str) -> Vec<Nic> {
    let known = |nic: &refit_machine::Nic| {
        Some(Nic {
            pci_slot: nic.pci_slot,
            ..Nic::new(nic.mac?, origin)
        })
    };
    machine.nics.iter().filter_map(known).collect()
}

/// Joins what several sources say of the same NICs, in the order in which they are first named. What
/// one says of a hardware address that another replaces (`--vmx`, with `--nic OLD=>NEW`) is said
/// of the new one.
///
/// # Errors
/// If two NICs are said to have the same address, or if hardware addresses are passed on from one
/// NIC to another: on a guest that was fixed already, the next run would pass them on again.
pub fn merge(sources: impl IntoIterator<Item = Nic>) -> anyhow::Result<Vec<Nic>> {
    let mut nics: Vec<Nic> = Vec::new();
    let sources: Vec<Nic> = sources.into_iter().collect();
    let replaced: Vec<(Mac, Mac)> = sources
        .iter()
        .filter_map(|nic| Some((nic.replaces?, nic.mac)))
        .collect();
    for (index, (old, new)) in replaced.iter().enumerate() {
        for (other_old, other_new) in &replaced {
            if old == other_new {
                bail!(
                    "{old} is the old MAC of one NIC and the new one of another; move them one after the other, \
                     by way of a MAC that no NIC has"
                );
            }
            if new == other_new && old != other_old {
                bail!("{new} cannot replace both {old} and {other_old}");
            }
        }
        if let Some((_, other)) = replaced[..index]
            .iter()
            .find(|(same, other)| same == old && other != new)
        {
            bail!("{old} cannot be replaced by both {other} and {new}");
        }
    }
    for mut nic in sources {
        if let Some((_, new)) = replaced.iter().find(|(old, _)| *old == nic.mac) {
            nic.mac = *new;
        }
        match nics.iter_mut().find(|known| known.mac == nic.mac) {
            Some(known) => known.absorb(nic),
            None => nics.push(nic),
        }
    }
    for (index, nic) in nics.iter().enumerate() {
        for other in &nics[index + 1..] {
            let shared = nic
                .addresses
                .iter()
                .find(|a| other.addresses.iter().any(|b| a.addr() == b.addr()));
            if let Some(address) = shared {
                bail!(
                    "{} and {} cannot both have the address {}",
                    nic.mac,
                    other.mac,
                    address.addr()
                );
            }
        }
    }
    Ok(nics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_nic() {
        let nic: Nic = "00:50:56:AA:BB:01=192.0.2.10/24,192.0.2.1,192.0.2.2,2001:db8::2"
            .parse()
            .unwrap();
        assert_eq!(nic.mac.to_string(), "00:50:56:aa:bb:01");
        assert_eq!(nic.addresses, ["192.0.2.10/24".parse().unwrap()]);
        assert_eq!(nic.gateways, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(nic.dns.len(), 2);
        let alone: Nic = "00:50:56:aa:bb:01".parse().unwrap();
        assert!(alone.addresses.is_empty());
        let v6: Nic = "00:50:56:aa:bb:01=2001:db8::10/64".parse().unwrap();
        assert_eq!(v6.addresses[0].prefix_len(), 64);
        let replacing: Nic = "00:0C:29:00:00:01=>00:50:56:aa:bb:01=192.0.2.10/24"
            .parse()
            .unwrap();
        assert_eq!(replacing.mac, nic.mac);
        assert_eq!(replacing.replaces, Some(Mac([0x00, 0x0c, 0x29, 0, 0, 1])));
        assert_eq!(replacing.addresses, nic.addresses);
        let same: Nic = "00:50:56:AA:BB:01=>00:50:56:aa:bb:01".parse().unwrap();
        assert_eq!(same.replaces, None);
        for text in [
            "",
            "x",
            "=>00:50:56:aa:bb:01",
            "00:50:56:aa:bb:01=>",
            "00:50:56:aa:bb:01=>00:50:56:aa:bb:02=>00:50:56:aa:bb:03",
            "00:50:56:aa:bb:01=",
            "00:50:56:aa:bb:01=1.2.3",
            "00:50:56:aa:bb:01=1.2.3.4/33",
            "00:50:56:aa:bb:01=1.2.3.4/24,x",
        ] {
            assert!(text.parse::<Nic>().is_err(), "{text}");
        }
    }

    #[test]
    fn forklifts_form() {
        let nics = parse_static_ips(
            "00:50:56:aa:bb:01:ip:192.0.2.10,192.0.2.1,24,192.0.2.2,192.0.2.3_00:50:56:aa:bb:02:ip:2001:db8::5,,64",
        )
        .unwrap();
        assert_eq!(nics.len(), 2);
        assert_eq!(nics[0].addresses, ["192.0.2.10/24".parse().unwrap()]);
        assert_eq!(nics[0].dns.len(), 2);
        assert_eq!(nics[1].addresses, ["2001:db8::5/64".parse().unwrap()]);
        assert!(nics[1].gateways.is_empty());
        for text in [
            "",
            "x",
            "00:50:56:aa:bb:01:ip:",
            "00:50:56:aa:bb:01:ip:1.2.3.4,,99",
        ] {
            assert!(parse_static_ips(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sources_of_one_nic_are_joined() {
        let slot = Nic {
            pci_slot: Some(192),
            ..Nic::new("00:50:56:aa:bb:01".parse().unwrap(), "vmx")
        };
        let address: Nic = "00:50:56:aa:bb:01=192.0.2.10/24".parse().unwrap();
        let merged = merge([address.clone(), slot, address]).unwrap();
        assert_eq!(merged.len(), 1);
        assert_eq!(
            (merged[0].pci_slot, merged[0].addresses.len()),
            (Some(192), 1)
        );
        let twice = [
            "00:50:56:aa:bb:01=192.0.2.10/24",
            "00:50:56:aa:bb:02=192.0.2.10/24",
        ];
        assert!(merge(twice.map(|text| text.parse().unwrap())).is_err());
    }

    #[test]
    fn what_is_known_of_an_old_mac_is_known_of_the_new_one() {
        let parse = |text: &str| text.parse::<Nic>().unwrap();
        let slot = Nic {
            pci_slot: Some(192),
            ..Nic::new("00:50:56:aa:bb:01".parse().unwrap(), "--vmx")
        };
        let merged = merge([slot, parse("00:50:56:aa:bb:01=>52:54:00:00:00:01")]).unwrap();
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].mac.to_string(), "52:54:00:00:00:01");
        assert_eq!(
            merged[0].replaces,
            Some("00:50:56:aa:bb:01".parse().unwrap())
        );
        assert_eq!(merged[0].pci_slot, Some(192));
        for contradicting in [
            // Exchanged, passed on, from two, to two.
            [
                "00:50:56:aa:bb:01=>00:50:56:aa:bb:02",
                "00:50:56:aa:bb:02=>00:50:56:aa:bb:01",
            ],
            [
                "00:50:56:aa:bb:01=>00:50:56:aa:bb:02",
                "00:50:56:aa:bb:02=>00:50:56:aa:bb:03",
            ],
            [
                "00:50:56:aa:bb:01=>00:50:56:aa:bb:03",
                "00:50:56:aa:bb:02=>00:50:56:aa:bb:03",
            ],
            [
                "00:50:56:aa:bb:01=>00:50:56:aa:bb:02",
                "00:50:56:aa:bb:01=>00:50:56:aa:bb:03",
            ],
        ] {
            assert!(
                merge(contradicting.map(parse)).is_err(),
                "{contradicting:?}"
            );
        }
    }
}
