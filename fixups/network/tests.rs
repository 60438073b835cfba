//! Interfaces built by hand, for the tests of the modules around.

use super::model::{Interface, Kind, Match};

/// A physical interface that is found by name.
pub(crate) fn interface(name: &str) -> Interface {
    virtual_interface(name, Kind::Physical, &[])
}

/// An interface of kind `kind` on top of `lower`.
pub(crate) fn virtual_interface(name: &str, kind: Kind, lower: &[&str]) -> Interface {
    Interface {
        matches: Match {
            name: Some(name.to_owned()),
            ..Match::default()
        },
        kind,
        addresses: Vec::new(),
        dynamic: false,
        lower: lower.iter().map(|name| (*name).to_owned()).collect(),
        upper: None,
        source: format!("/etc/{name}").as_str().into(),
    }
}

/// A physical interface with an address.
pub(crate) fn with_address(name: &str, address: &str) -> Interface {
    let mut interface = interface(name);
    interface.addresses = vec![address.parse().unwrap()];
    interface
}

/// A physical interface that is found by name and MAC, or MAC alone.
pub(crate) fn with_mac(name: Option<&str>, mac: &str) -> Interface {
    let mut interface = interface(name.unwrap_or("nameless"));
    interface.matches.name = name.map(str::to_owned);
    interface.matches.macs = vec![mac.parse().unwrap()];
    interface
}
