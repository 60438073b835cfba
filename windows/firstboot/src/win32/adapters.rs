//! Network interfaces that are present.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr::null_mut;

pub use super::adapters_nt5::restart;
use super::system::is_before_vista;
use super::{adapters_nt5, check_code, narrow};
use crate::mac::Mac;
use crate::netplan::Interface;
use crate::task::Prefix;

const INCLUDE_GATEWAYS: u32 = 0x80;
const SKIP_ANYCAST_MULTICAST_DNS: u32 = 2 | 4 | 8;
const DHCP4_ENABLED: u32 = 4;
const OPER_STATUS_UP: u32 = 1;
const ORIGIN_MANUAL: u32 = 1;
pub(super) const ERROR_BUFFER_OVERFLOW: u32 = 111;
pub(super) const ERROR_NO_DATA: u32 = 232;
/// Largest answer, in bytes.
pub(super) const MAX_ANSWER: u32 = 4 << 20;

/// `SOCKET_ADDRESS`
#[repr(C)]
struct SocketAddress {
    address: *const u8,
    length: i32,
}

/// `IP_ADAPTER_UNICAST_ADDRESS_LH`, `IP_ADAPTER_GATEWAY_ADDRESS_LH` up to what both have
#[repr(C)]
struct AddressNode {
    length: u32,
    flags: u32,
    next: *const AddressNode,
    address: SocketAddress,
}

/// `IP_ADAPTER_UNICAST_ADDRESS_LH`
#[repr(C)]
struct UnicastNode {
    node: AddressNode,
    prefix_origin: u32,
    suffix_origin: u32,
    dad_state: u32,
    lifetimes: [u32; 3],
    prefix_length: u8,
}

/// `IP_ADAPTER_ADDRESSES_LH`, as far as it is needed
#[repr(C)]
struct AdapterNode {
    length: u32,
    index4: u32,
    next: *const AdapterNode,
    name: *const u8,
    unicast: *const UnicastNode,
    anycast: *const AddressNode,
    multicast: *const AddressNode,
    dns: *const AddressNode,
    suffix: *const u16,
    description: *const u16,
    friendly_name: *const u16,
    mac: [u8; 8],
    mac_length: u32,
    flags: u32,
    mtu: u32,
    kind: u32,
    oper_status: u32,
    index6: u32,
    zones: [u32; 16],
    prefix: *const AddressNode,
    speeds: [u64; 2],
    wins: *const AddressNode,
    gateway: *const AddressNode,
}

#[link(name = "iphlpapi")]
extern "system" {
    fn GetAdaptersAddresses(
        family: u32,
        flags: u32,
        reserved: *mut u8,
        buffer: *mut AdapterNode,
        size: *mut u32,
    ) -> u32;
}

/// An interface with its hardware address.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// Its hardware address.
    pub mac: Mac,
    /// Its settings.
    pub interface: Interface,
    /// All its addresses, wherever they come from.
    pub addresses: Vec<Prefix>,
}

/// All interfaces with a hardware address.
pub fn all() -> io::Result<Vec<Adapter>> {
    if is_before_vista() {
        return adapters_nt5::all();
    }
    let mut size = 16 * 1024_u32;
    loop {
        // Eight bytes each, for the alignment.
        let mut buffer = vec![0_u64; size as usize / 8 + 1];
        let first = buffer.as_mut_ptr().cast::<AdapterNode>();
        // SAFETY: the buffer has at least `size` bytes and the alignment of the structures.
        let code = unsafe {
            GetAdaptersAddresses(
                0,
                INCLUDE_GATEWAYS | SKIP_ANYCAST_MULTICAST_DNS,
                null_mut(),
                first,
                &mut size,
            )
        };
        match code {
            ERROR_NO_DATA => return Ok(Vec::new()),
            ERROR_BUFFER_OVERFLOW if size <= MAX_ANSWER => continue,
            code => check_code(code)?,
        }
        let mut adapters = Vec::new();
        let mut node: *const AdapterNode = first;
        // SAFETY: the list and all that it points to lies in the buffer, which lives until the end of
        // the loop; every pointer is null or valid, as GetAdaptersAddresses promises on success.
        while let Some(adapter) = unsafe { node.as_ref() } {
            adapters.extend(read(adapter));
            node = adapter.next;
        }
        return Ok(adapters);
    }
}

pub(super) fn not_found(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, what)
}

fn read(node: &AdapterNode) -> Option<Adapter> {
    if node.mac_length != 6 {
        return None;
    }
    let mac = node.mac[..6].try_into().ok()?;
    let mut addresses = Vec::new();
    let mut manual = Vec::new();
    let mut unicast = node.unicast;
    // SAFETY: see `all`: a list of valid nodes that ends with null.
    while let Some(entry) = unsafe { unicast.as_ref() } {
        if let Some(address) = ip(&entry.node.address) {
            let prefix = Prefix {
                address,
                length: entry.prefix_length,
            };
            addresses.push(prefix);
            if entry.prefix_origin == ORIGIN_MANUAL {
                manual.push(prefix);
            }
        }
        unicast = entry.node.next.cast();
    }
    let mut gateways = Vec::new();
    let mut gateway = node.gateway;
    // SAFETY: as above.
    while let Some(entry) = unsafe { gateway.as_ref() } {
        gateways.extend(ip(&entry.address));
        gateway = entry.next;
    }
    Some(Adapter {
        mac: Mac(mac),
        addresses,
        interface: Interface {
            guid: ascii(node.name),
            name: text(node.friendly_name),
            index4: node.index4,
            index6: node.index6,
            dhcp4: node.flags & DHCP4_ENABLED != 0,
            up: node.oper_status == OPER_STATUS_UP,
            addresses: manual,
            gateways,
        },
    })
}

fn ip(address: &SocketAddress) -> Option<IpAddr> {
    let length = usize::try_from(address.length).ok()?;
    if address.address.is_null() || length < 16 {
        return None;
    }
    // SAFETY: the structure says that so many bytes are there, in the buffer of `all`.
    let bytes = unsafe { std::slice::from_raw_parts(address.address, length) };
    match u16::from_le_bytes([bytes[0], bytes[1]]) {
        2 => Some(Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]).into()),
        23 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?).into()),
        _ => None,
    }
}

fn ascii(start: *const u8) -> String {
    if start.is_null() {
        return String::new();
    }
    // SAFETY: a string with a zero at its end, in the buffer of `all`.
    unsafe { std::ffi::CStr::from_ptr(start.cast()) }
        .to_string_lossy()
        .into_owned()
}

fn text(start: *const u16) -> String {
    let mut units = Vec::new();
    // Names have 256 characters at most.
    for index in 0..512 {
        if start.is_null() {
            break;
        }
        // SAFETY: no unit behind the string's zero is read; it lies in the buffer of `all`.
        match unsafe { *start.add(index) } {
            0 => break,
            unit => units.push(unit),
        }
    }
    narrow(&units)
}
