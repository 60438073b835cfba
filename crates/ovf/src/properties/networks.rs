//! What is known of the networks, in place of vCenter's address pools.

use serde::{Deserialize, Serialize};

/// Settings of one network, by which properties with VMware's qualifiers (`Netmask("VM Network")`) and
/// macros (`${gateway:VM Network}`) get their values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSettings {
    /// Name of the network on the new platform, where it has another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Addresses to hand out, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The network's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// Its mask, `255.255.255.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netmask: Option<String>,
    /// The gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Name servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<String>,
    /// Domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Domains to look names up in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search_path: Vec<String>,
    /// Prefix of generated host names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_prefix: Option<String>,
    /// HTTP proxy, `HOST:PORT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_proxy: Option<String>,
}

/// Who gives addresses (vSphere's IP allocation policy).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpAllocation {
    /// The answers, and the networks' lists of addresses.
    #[default]
    Fixed,
    /// A DHCP server: properties that take an address from a network are left empty.
    Dhcp,
}
