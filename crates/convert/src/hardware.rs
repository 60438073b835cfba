//! The source machine's hardware, as far as its own description tells.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use refit_engine::{Nic, nic};
use refit_machine::{Mac, Machine, libvirt, vmx};
use refit_v2v::Input;
use sha2::{Digest, Sha256};

use crate::appliance::{self, Appliance, Selection};

/// What could be learnt of the source.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) machine: Option<Machine>,
    /// The appliance that the machine is of.
    pub(crate) appliance: Option<Appliance>,
    /// What is wrong with its description.
    pub(crate) warnings: Vec<String>,
    /// What the machine will lack.
    pub(crate) notes: Vec<String>,
}

/// Reads the source's own description, if it has one. `selection` says what to take of an appliance.
///
/// # Errors
/// For a description that is none: virt-v2v would go through it all the same, and fail in ways that do not tell
/// why, or convert something else.
pub(crate) fn read_source(input: &Input, selection: &Selection) -> anyhow::Result<Source> {
    let reading = || format!("reading {}", input.path().display());
    let known = |machine| Source {
        machine: Some(machine),
        ..Source::default()
    };
    Ok(match input {
        // These say nothing of their own.
        Input::Disk { .. } | Input::Disks { .. } | Input::Libvirt(_) => Source::default(),
        Input::Vmx(path) => known(read_vmx(path)?),
        Input::LibvirtXml(path) => {
            let text = String::from_utf8(read_limited(path, libvirt::MAX_SIZE, "domain XML")?);
            known(libvirt::parse(&text.with_context(reading)?).with_context(reading)?)
        }
        Input::Ova(path) => appliance::read(path, selection)?,
    })
}

/// Reads a VMX file.
///
/// # Errors
/// If it cannot be read, is too long for one, or is none.
pub fn read_vmx(path: &Path) -> anyhow::Result<Machine> {
    let text = read_limited(path, vmx::MAX_SIZE, "VMX file")?;
    vmx::parse(&text).with_context(|| format!("reading {}", path.display()))
}

fn read_limited(path: &Path, limit: u64, what: &str) -> anyhow::Result<Vec<u8>> {
    let name = path.display();
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut content))
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => anyhow!("{name}: there is no such file; check the path"),
            _ => anyhow::Error::from(error).context(format!("reading {name}")),
        })?;
    anyhow::ensure!(
        content.len() as u64 <= limit,
        "{name} has more than {limit} bytes: this is no {what}"
    );
    Ok(content)
}

/// Fills in what virt-v2v does not carry over. Every NIC gets an address that stays the same
/// wherever the machine is defined, because NIC names are bound to it: the source's, or if that
/// names none, one made from the machine's name.
pub(crate) fn complete(machine: &mut Machine, source: Option<&Machine>, name: &str) {
    if let Some(source) = source {
        machine.uuid = machine.uuid.take().or_else(|| source.uuid.clone());
        machine.serial = machine.serial.take().or_else(|| source.serial.clone());
        if machine.nics.len() == source.nics.len() {
            for (nic, original) in machine.nics.iter_mut().zip(&source.nics) {
                nic.mac = nic.mac.or(original.mac);
            }
        }
    }
    for (index, nic) in machine.nics.iter_mut().enumerate() {
        nic.mac.get_or_insert_with(|| generated_mac(name, index));
    }
}

/// Gives the NICs that are to replace others their own addresses.
pub(crate) fn replace_macs(machine: &mut Machine, nics: &[Nic]) {
    for nic in &mut machine.nics {
        let replacing = nics
            .iter()
            .find(|one| one.replaces.is_some() && one.replaces == nic.mac);
        nic.mac = replacing.map(|one| one.mac).or(nic.mac);
    }
}

/// The resulting machine's NICs, with what the source's description knows of each.
pub(crate) fn nics(machine: &Machine, source: Option<&Machine>) -> Vec<Nic> {
    let known = source
        .map(|source| nic::from_machine(source, "the source's hardware"))
        .unwrap_or_default();
    nic::from_machine(machine, "the converted machine")
        .into_iter()
        .map(|nic| {
            known
                .iter()
                .find(|known| known.mac == nic.mac)
                .cloned()
                .unwrap_or(nic)
        })
        .collect()
}

/// The machine with its NICs on libvirt's own network: the source's networks ("VM Network") exist on
/// no KVM host, and libvirt would define the machine but never start it.
pub(crate) fn on_default_network(machine: &Machine, notes: &mut Vec<String>) -> Machine {
    let mut machine = machine.clone();
    for (index, nic) in machine.nics.iter_mut().enumerate() {
        if let Some(network) = nic
            .network
            .replace("default".to_owned())
            .filter(|network| network != "default")
        {
            notes.push(format!(
                "libvirt: NIC {} was on {network:?}; the domain has it on the network \"default\"",
                index + 1
            ));
        }
        nic.bridge = false;
    }
    machine
}

/// An address in the range that KVM uses (52:54:00), the same for the same machine every time.
fn generated_mac(name: &str, index: usize) -> Mac {
    let digest = Sha256::digest(format!("refit {index} {name}"));
    Mac([0x52, 0x54, 0x00, digest[0], digest[1], digest[2]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use refit_machine::Nic;

    #[test]
    fn nics_get_the_sources_address_or_a_stable_one() {
        let mac = "00:50:56:aa:bb:01".parse().unwrap();
        let source = Machine {
            nics: vec![Nic {
                mac: Some(mac),
                ..Nic::default()
            }],
            ..Machine::default()
        };
        let mut machine = Machine {
            nics: vec![Nic::default()],
            ..Machine::default()
        };
        complete(&mut machine, Some(&source), "web1");
        assert_eq!(machine.nics[0].mac, Some(mac));

        let replacing = "00:50:56:aa:bb:01=>52:54:00:00:00:01".parse().unwrap();
        replace_macs(&mut machine, &[replacing]);
        assert_eq!(
            machine.nics[0].mac.unwrap().to_string(),
            "52:54:00:00:00:01"
        );

        let made = |name| {
            let mut machine = Machine {
                nics: vec![Nic::default(), Nic::default()],
                ..Machine::default()
            };
            complete(&mut machine, None, name);
            machine
                .nics
                .iter()
                .map(|nic| nic.mac.unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(made("a"), made("a"));
        assert_ne!(made("a"), made("b"));
        assert_ne!(made("a")[0], made("a")[1]);
        assert!(made("a")[0].to_string().starts_with("52:54:00:"));
    }
}
