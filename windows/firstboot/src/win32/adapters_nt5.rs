//! Network interfaces of Windows before Vista: IPv4 only. `GetAdaptersAddresses` has neither gateways nor
//! the lengths of prefixes there.

use std::io;
use std::net::Ipv4Addr;

use super::adapters::{self, Adapter, ERROR_BUFFER_OVERFLOW, ERROR_NO_DATA, MAX_ANSWER};
use super::check_code;
use crate::mac::Mac;
use crate::netplan::{CONNECTIONS, Interface};
use crate::task::Prefix;
use crate::win32::registry::Key;

/// `IP_ADDR_STRING`
#[repr(C)]
struct AddressNode {
    next: *const AddressNode,
    address: [u8; 16],
    mask: [u8; 16],
    context: u32,
}

/// `IP_ADAPTER_INFO`, as far as it is needed
#[repr(C)]
struct AdapterNode {
    next: *const AdapterNode,
    combo_index: u32,
    name: [u8; 260],
    description: [u8; 132],
    mac_length: u32,
    mac: [u8; 8],
    index: u32,
    kind: u32,
    dhcp: u32,
    current: *const AddressNode,
    addresses: AddressNode,
    gateways: AddressNode,
}

#[link(name = "iphlpapi")]
extern "system" {
    fn GetAdaptersInfo(buffer: *mut AdapterNode, size: *mut u32) -> u32;
}

/// All interfaces with a hardware address.
pub fn all() -> io::Result<Vec<Adapter>> {
    let mut size = 16 * 1024_u32;
    loop {
        // Eight bytes each, for the alignment.
        let mut buffer = vec![0_u64; size as usize / 8 + 1];
        let first = buffer.as_mut_ptr().cast::<AdapterNode>();
        // SAFETY: the buffer has at least `size` bytes and the alignment of the structures.
        match unsafe { GetAdaptersInfo(first, &mut size) } {
            ERROR_NO_DATA => return Ok(Vec::new()),
            ERROR_BUFFER_OVERFLOW if size <= MAX_ANSWER => continue,
            code => check_code(code)?,
        }
        let mut found = Vec::new();
        let mut node: *const AdapterNode = first;
        // SAFETY: the list and all that it points to lies in the buffer, which lives until the end of
        // the loop; every pointer is null or valid, as GetAdaptersInfo promises on success.
        while let Some(adapter) = unsafe { node.as_ref() } {
            found.extend(read(adapter));
            node = adapter.next;
        }
        return Ok(found);
    }
}

fn read(node: &AdapterNode) -> Option<Adapter> {
    if node.mac_length != 6 {
        return None;
    }
    let guid = text(&node.name);
    let connection = Key::open(&format!("{CONNECTIONS}\\{guid}\\Connection"));
    let name = connection.ok().flatten().and_then(|key| key.string("Name"));
    // An interface without an address has one of zeroes.
    let addresses: Vec<Prefix> = list(&node.addresses)
        .into_iter()
        .filter(|(address, _)| !address.is_unspecified())
        .filter_map(|(address, mask)| Prefix::from_mask(address, mask))
        .collect();
    let is_dhcp = node.dhcp != 0;
    Some(Adapter {
        mac: Mac(node.mac[..6].try_into().ok()?),
        interface: Interface {
            guid,
            name: name.unwrap_or_default(),
            index4: node.index,
            index6: 0,
            dhcp4: is_dhcp,
            // Without a link its addresses are not shown.
            up: !addresses.is_empty(),
            addresses: if is_dhcp {
                Vec::new()
            } else {
                addresses.clone()
            },
            gateways: list(&node.gateways)
                .into_iter()
                .map(|(address, _)| address)
                .filter(|address| !address.is_unspecified())
                .map(Into::into)
                .collect(),
        },
        addresses,
    })
}

/// Addresses with their masks.
fn list(first: &AddressNode) -> Vec<(Ipv4Addr, Ipv4Addr)> {
    let mut found = Vec::new();
    let mut node: *const AddressNode = first;
    // SAFETY: see `all`: a list of valid nodes that ends with null.
    while let Some(entry) = unsafe { node.as_ref() } {
        if let (Ok(address), Ok(mask)) = (text(&entry.address).parse(), text(&entry.mask).parse()) {
            found.push((address, mask));
        }
        node = entry.next;
    }
    found
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

/// Tells the interface that its settings in the registry have changed, by a restart of its device.
///
/// # Errors
/// The registry does not know the device, or Windows does not restart it.
pub fn restart(guid: &str) -> io::Result<()> {
    let key = format!("{CONNECTIONS}\\{guid}\\Connection");
    let device = Key::open(&key)?.and_then(|key| key.string("PnpInstanceID"));
    let device = device.ok_or_else(|| adapters::not_found("the interface has no device"))?;
    super::devices::restart(&device)
}
