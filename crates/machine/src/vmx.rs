//! Reader of VMware's VMX files, the configuration that lies beside a virtual machine's disks.
//!
//! VMware documents no grammar; this follows the files that ESXi, Workstation and Fusion write:
//! lines of `key = "value"`, keys in any case, comments from `#`, and `|22` for a byte that could
//! not stand in a value. The line `.encoding` names the character set, in ICU's words.

use std::borrow::Cow;
use std::collections::HashMap;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use crate::{Disk, Firmware, Mac, Machine, Nic, names_windows, uuid};

/// Largest file that is read, in bytes. Real ones have a few kilobytes.
pub const MAX_SIZE: u64 = 1 << 20;

/// Controllers of one kind and units on one controller, more than any VMware product has.
const MAX_INDEX: u32 = 1024;

/// Why a VMX file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VmxError {
    /// The file is larger than [`MAX_SIZE`].
    #[error("this is no VMX file: it has {0} bytes, a VMX file has less than 1 MiB")]
    TooLarge(u64),
    /// None of the keys that every VMX file has.
    #[error(
        "this is no VMX file: it has none of the keys config.version, virtualHW.version, \
         displayName, guestOS and memsize"
    )]
    NotVmx,
    /// The machine is encrypted, so that the file hides its hardware.
    #[error(
        "the VMX file is encrypted (it has encryption.keySafe or encryption.data); \
         decrypt the virtual machine in VMware first"
    )]
    Encrypted,
}

/// Reads a VMX file.
///
/// Text that is not valid in the declared character set is replaced, not refused; a file without
/// declaration is taken for UTF-8, or else for Windows-1252. Disks come in the order of their
/// controllers and units: SCSI, SATA, IDE, NVMe. CD-ROM and floppy drives, and devices that are
/// not present, are left out.
///
/// # Errors
///
/// If the file is too large, is no VMX file at all, or is encrypted.
pub fn parse(text: &[u8]) -> Result<Machine, VmxError> {
    if text.len() as u64 > MAX_SIZE {
        return Err(VmxError::TooLarge(text.len() as u64));
    }
    let settings = Settings::read(text);
    if settings.has("encryption.keysafe") || settings.has("encryption.data") {
        return Err(VmxError::Encrypted);
    }
    let known = [
        "config.version",
        "virtualhw.version",
        "displayname",
        "guestos",
        "memsize",
    ];
    if !known.iter().any(|key| settings.has(key)) {
        return Err(VmxError::NotVmx);
    }
    let uuid = settings.get("uuid.bios").and_then(uuid::normalize);
    let guest_os = settings.get("guestos").map(str::to_owned);
    Ok(Machine {
        name: settings.get("displayname").unwrap_or_default().to_owned(),
        serial: uuid.as_deref().map(serial),
        uuid,
        memory: settings
            .number("memsize")
            .unwrap_or(0)
            .saturating_mul(1 << 20),
        vcpus: settings.small("numvcpus").unwrap_or(1),
        cores_per_socket: settings.small("cpuid.corespersocket").unwrap_or(0),
        firmware: firmware(&settings),
        clock_localtime: guest_os.as_deref().is_some_and(names_windows),
        guest_os,
        tpm: settings.is_true("vtpm.present"),
        disks: disks(&settings),
        nics: nics(&settings),
        ..Machine::default()
    })
}

/// The keys, in lower case, and values of a file.
struct Settings(HashMap<String, String>);

impl Settings {
    fn read(text: &[u8]) -> Self {
        let encoding = encoding(text);
        let (text, _, _) = encoding.decode(text);
        // Where a key is repeated, the last one counts.
        let settings = text
            .lines()
            .filter_map(|line| {
                let line = line.trim();
                if line.starts_with('#') {
                    return None;
                }
                let (key, value) = line.split_once('=')?;
                let value = value.trim();
                let value = match value.strip_prefix('"') {
                    Some(quoted) => quoted.split_once('"').map_or(quoted, |(value, _)| value),
                    None => value,
                };
                Some((
                    key.trim().to_ascii_lowercase(),
                    unescape(value, encoding).into_owned(),
                ))
            })
            .collect();
        Self(settings)
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// A value that is not empty.
    fn get(&self, key: &str) -> Option<&str> {
        self.0
            .get(key)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    fn small(&self, key: &str) -> Option<u32> {
        self.get(key)?.parse().ok()
    }

    fn is_true(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| {
            ["true", "yes", "on", "t", "y", "1"]
                .iter()
                .any(|word| value.eq_ignore_ascii_case(word))
        })
    }

    /// The numbers `N` of the keys `<prefix>N.<anything>`, ascending.
    fn indices(&self, prefix: &str) -> Vec<u32> {
        let mut found: Vec<u32> = self
            .0
            .keys()
            .filter_map(|key| {
                let (index, _) = key.strip_prefix(prefix)?.split_once('.')?;
                index.parse().ok().filter(|&index| index < MAX_INDEX)
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The character set of a file: what a byte order mark or the line `.encoding` says, where that
/// is known and can be, or what the bytes allow.
fn encoding(text: &[u8]) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(text) {
        return encoding;
    }
    let declared = text.split(|&byte| byte == b'\n').find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (key, value) = line.split_once('=')?;
        let value = value.trim().trim_matches('"');
        key.trim()
            .eq_ignore_ascii_case(".encoding")
            // ICU's names of code pages carry the year of the table: `windows-949-2000`.
            .then(|| {
                Encoding::for_label(value.as_bytes())
                    .or_else(|| Encoding::for_label(value.rsplit_once('-')?.0.as_bytes()))
            })
            .flatten()
    });
    match declared {
        // We have just read ASCII, so it cannot be UTF-16.
        Some(encoding) if encoding.is_ascii_compatible() => encoding,
        _ if std::str::from_utf8(text).is_ok() => UTF_8,
        _ => WINDOWS_1252,
    }
}

/// Replaces `|XX` by the byte of that hexadecimal number. Several in a row may be one character.
fn unescape<'a>(value: &'a str, encoding: &'static Encoding) -> Cow<'a, str> {
    if !value.contains('|') {
        return Cow::Borrowed(value);
    }
    let mut result = String::with_capacity(value.len());
    let mut bytes = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let byte = rest
            .strip_prefix('|')
            .and_then(|rest| rest.get(..2))
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = byte {
            bytes.push(byte);
            rest = rest.get(3..).unwrap_or_default();
            continue;
        }
        result.push_str(&encoding.decode_without_bom_handling(&bytes).0);
        bytes.clear();
        let mut characters = rest.chars();
        result.extend(characters.next());
        rest = characters.as_str();
    }
    result.push_str(&encoding.decode_without_bom_handling(&bytes).0);
    Cow::Owned(result)
}

/// The serial number that VMware's SMBIOS shows to the guest, as `dmidecode` prints it: the bytes
/// of `uuid.bios` as the file writes them.
fn serial(uuid: &str) -> String {
    let digits = uuid.replace('-', "");
    let mut serial = "VMware".to_owned();
    for (index, digit) in digits.chars().enumerate() {
        match index {
            0 | 16 => serial.push('-'),
            _ if index % 2 == 0 => serial.push(' '),
            _ => {}
        }
        serial.push(digit);
    }
    serial
}

fn firmware(settings: &Settings) -> Firmware {
    let efi = settings
        .get("firmware")
        .is_some_and(|firmware| firmware.eq_ignore_ascii_case("efi"));
    match (efi, settings.is_true("uefi.secureboot.enabled")) {
        (true, true) => Firmware::UefiSecure,
        (true, false) => Firmware::Uefi,
        // Secure Boot without UEFI: VMware ignores the key.
        (false, _) => Firmware::Bios,
    }
}

fn disks(settings: &Settings) -> Vec<Disk> {
    let mut disks = Vec::new();
    for bus in ["scsi", "sata", "ide", "nvme"] {
        // `scsi0:1.present`: the number before the dot holds the colon, so it takes its own scan.
        let mut units: Vec<(u32, u32)> = settings
            .0
            .keys()
            .filter_map(|key| {
                let (place, _) = key.strip_prefix(bus)?.split_once('.')?;
                let (controller, unit) = place.split_once(':')?;
                Some((controller.parse().ok()?, unit.parse().ok()?))
            })
            .collect();
        units.sort_unstable();
        units.dedup();
        for (controller, unit) in units {
            disks.extend(disk(settings, bus, &format!("{bus}{controller}:{unit}")));
        }
    }
    disks
}

/// The disk at a place such as `scsi0:1`; none if there is no device, or another one.
fn disk(settings: &Settings, bus: &str, place: &str) -> Option<Disk> {
    if !settings.is_true(&format!("{place}.present")) {
        return None;
    }
    let path = settings.get(&format!("{place}.filename"))?;
    let kind = settings
        .get(&format!("{place}.devicetype"))
        .unwrap_or("disk")
        .to_ascii_lowercase();
    // `scsi-hardDisk`, `ata-hardDisk`, `disk` (`rdm` in old files) against `cdrom-image`,
    // `atapi-cdrom`, `cdrom-raw`, and `scsi-passthru`, which is a device of the host.
    let is_disk = kind.contains("disk") || kind.contains("rdm");
    if !is_disk {
        return None;
    }
    let is_vmdk = path.to_ascii_lowercase().ends_with(".vmdk");
    Some(Disk {
        path: path.to_owned(),
        format: is_vmdk.then(|| "vmdk".to_owned()),
        bus: Some(bus.to_owned()),
        ..Disk::default()
    })
}

fn nics(settings: &Settings) -> Vec<Nic> {
    settings
        .indices("ethernet")
        .into_iter()
        .filter(|index| settings.is_true(&format!("ethernet{index}.present")))
        .map(|index| {
            let get = |key: &str| settings.get(&format!("ethernet{index}.{key}"));
            let is_static =
                get("addresstype").is_some_and(|kind| kind.eq_ignore_ascii_case("static"));
            let (first, second) = if is_static {
                ("address", "generatedaddress")
            } else {
                ("generatedaddress", "address")
            };
            Nic {
                mac: [first, second]
                    .iter()
                    .find_map(|key| get(key)?.parse::<Mac>().ok()),
                model: get("virtualdev").map(str::to_owned),
                // Workstation has no names of networks but for its own (`vmnet2`).
                network: get("networkname")
                    .or_else(|| get("vnet"))
                    .map(str::to_owned),
                bridge: false,
                // -1 stands for "to be assigned at the next start".
                pci_slot: settings.small(&format!("ethernet{index}.pcislotnumber")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The traits of an ESXi file: key case as ESXi mixes it, a snapshot's disks, an ISO, a NIC
    /// with a fixed address beside a generated one, devices that are not there.
    const ESXI: &str = r#"#!/usr/bin/vmware
.encoding = "UTF-8"
config.version = "8"
virtualHW.version = "19"
displayName = "web |22one|22 |7C prüfung"
guestOS = "rhel9-64"
memSize = "2048"
numvcpus = "4"
cpuid.coresPerSocket = "2"
firmware = "efi"
uefi.secureBoot.enabled = "TRUE"
vtpm.present = "TRUE"
uuid.bios = "42 1a 25 7b 7a 5f 17 da-f9 3d 09 01 55 61 ac 2a"
scsi0.virtualDev = "pvscsi"
scsi0.present = "TRUE"
scsi0:10.fileName = "third.vmdk"
scsi0:10.present = "TRUE"
scsi0:2.deviceType = "scsi-hardDisk"
scsi0:2.fileName = "second-000001.vmdk"
scsi0:2.present = "true"
scsi0:3.deviceType = "scsi-hardDisk"
scsi0:3.fileName = "gone.vmdk"
scsi0:3.present = "FALSE"
SATA0:0.DEVICETYPE = "cdrom-image"
sata0:0.fileName = "/vmfs/volumes/1/x.iso"
sata0:0.present = "TRUE"
sata0:1.fileName = "sata.vmdk"
sata0:1.present = "TRUE"
ide1:0.deviceType = "atapi-cdrom"
ide1:0.fileName = "auto detect"
ide1:0.present = "TRUE"
nvme0:0.fileName = "/vmfs/volumes/1/fast.vmdk"
nvme0:0.present = "TRUE"
scsi1:0.fileName = "other.vmdk"
scsi1:0.present = "TRUE"
floppy0.fileName = "x.flp"
floppy0.present = "TRUE"
ethernet10.present = "TRUE"
ethernet10.pciSlotNumber = "-1"
ethernet0.virtualDev = "vmxnet3"
ethernet0.networkName = "VM Network"
ethernet0.addressType = "vpx"
ethernet0.generatedAddress = "00:50:56:9a:2d:f1"
ethernet0.present = "TRUE"
ethernet0.pciSlotNumber = "192"
ethernet1.present = "TRUE"
ethernet1.virtualDev = "e1000"
ethernet1.addressType = "static"
ethernet1.address = "00:50:56:00:00:01"
ethernet1.generatedAddress = "00:0c:29:00:00:01"
ethernet2.generatedAddress = "00:0c:29:00:00:02"
"#;

    #[test]
    fn an_esxi_file_gives_all() {
        let machine = parse(ESXI.as_bytes()).unwrap();
        assert_eq!(machine.name, "web \"one\" | prüfung");
        assert_eq!(
            machine.uuid.as_deref(),
            Some("421a257b-7a5f-17da-f93d-09015561ac2a")
        );
        assert_eq!(
            machine.serial.as_deref(),
            Some("VMware-42 1a 25 7b 7a 5f 17 da-f9 3d 09 01 55 61 ac 2a")
        );
        assert_eq!(machine.memory, 2 << 30);
        assert_eq!((machine.vcpus, machine.cores_per_socket), (4, 2));
        assert_eq!(machine.firmware, Firmware::UefiSecure);
        assert_eq!(machine.guest_os.as_deref(), Some("rhel9-64"));
        assert!(machine.tpm && !machine.clock_localtime);
        let disks: Vec<_> = machine
            .disks
            .iter()
            .map(|disk| (disk.bus.as_deref().unwrap(), disk.path.as_str()))
            .collect();
        assert_eq!(
            disks,
            [
                ("scsi", "second-000001.vmdk"),
                ("scsi", "third.vmdk"),
                ("scsi", "other.vmdk"),
                ("sata", "sata.vmdk"),
                ("nvme", "/vmfs/volumes/1/fast.vmdk"),
            ]
        );
        assert!(
            machine
                .disks
                .iter()
                .all(|disk| disk.format.as_deref() == Some("vmdk"))
        );
        assert_eq!(
            machine.nics,
            [
                Nic {
                    mac: "00:50:56:9a:2d:f1".parse().ok(),
                    model: Some("vmxnet3".to_owned()),
                    network: Some("VM Network".to_owned()),
                    bridge: false,
                    pci_slot: Some(192),
                },
                Nic {
                    mac: "00:50:56:00:00:01".parse().ok(),
                    model: Some("e1000".to_owned()),
                    ..Nic::default()
                },
                Nic::default(),
            ]
        );
    }

    #[test]
    fn names_are_decoded_by_the_declared_character_set() {
        let file = |encoding: &str, name: &[u8]| {
            let mut text = format!(".encoding = \"{encoding}\"\r\ndisplayName = \"").into_bytes();
            text.extend(name);
            text.extend(b"\"\r\n");
            parse(&text).unwrap().name
        };
        for (encoding, bytes, name) in [
            ("UTF-8", "träge".as_bytes(), "träge"),
            ("windows-1252", b"tr\xe4ge".as_slice(), "träge"),
            // 0x7C, the escape's own byte, is the second half of the first character here.
            ("Shift_JIS", b"\x83\x7c\x83\x93\x92\xe8", "ポン定"),
            ("windows-949-2000", b"\xc7\xd1", "한"),
            ("GBK", b"\xd6\xd0|D6|D0", "中中"),
            // Wrong, unknown or impossible declarations.
            ("UTF-8", b"tr\xe4ge", "tr\u{fffd}ge"),
            ("no-such-set", b"tr\xe4ge", "träge"),
            ("UTF-16LE", "träge".as_bytes(), "träge"),
            ("UTF-8", b"50 | 60 |2", "50 | 60 |2"),
        ] {
            assert_eq!(file(encoding, bytes), name, "{encoding} {bytes:?}");
        }
    }

    #[test]
    fn firmware_and_clock() {
        for (text, firmware, localtime) in [
            ("guestOS=\"windows9-64\"", Firmware::Bios, true),
            (
                "guestOS = winNetStandard\nfirmware = bios",
                Firmware::Bios,
                true,
            ),
            (
                "guestOS=\"other\"\nFIRMWARE = \"EFI\"",
                Firmware::Uefi,
                false,
            ),
            (
                "guestOS=\"ubuntu-64\"\nuefi.secureBoot.enabled = \"TRUE\"",
                Firmware::Bios,
                false,
            ),
            (
                "guestOS=\"x\"\nfirmware=\"bios\"\nfirmware=\"efi\"",
                Firmware::Uefi,
                false,
            ),
        ] {
            let machine = parse(text.as_bytes()).unwrap();
            assert_eq!(
                (machine.firmware, machine.clock_localtime),
                (firmware, localtime),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_vmx_file_is_refused() {
        for text in [b"".as_slice(), b"\0\0\0", b"[section]\nkey = \"value\"\n"] {
            assert_eq!(parse(text).unwrap_err(), VmxError::NotVmx);
        }
        for key in ["encryption.keySafe", "encryption.data"] {
            let text = format!("displayName = \"x\"\n{key} = \"vmware:key/list\"\n");
            assert_eq!(parse(text.as_bytes()).unwrap_err(), VmxError::Encrypted);
        }
        let large = vec![b'#'; MAX_SIZE as usize + 1];
        assert_eq!(parse(&large).unwrap_err(), VmxError::TooLarge(MAX_SIZE + 1));
    }

    #[test]
    fn hostile_values_do_no_harm() {
        for line in [
            "memsize = \"18446744073709551615\"",
            "memsize = \"-1\"",
            "numvcpus = \"99999999999\"",
            "scsi4294967296:0.present = \"TRUE\"",
            "ethernet4294967295.present = \"TRUE\"",
            "ethernet.present = \"TRUE\"",
            "uuid.bios = \"é é é é é é é é é é é é é é é é\"",
            "displayName = \"|é|\"",
            "displayName = \"",
            "ethernet0.present",
        ] {
            parse(format!("guestOS = \"x\"\n{line}\n").as_bytes()).unwrap();
        }
        for end in 0..ESXI.len() {
            let _ = parse(&ESXI.as_bytes()[..end]);
        }
    }
}
