//! Network adapters in the environment.

use std::str::FromStr;

use refit_machine::Mac;

/// One adapter of the new machine: scripts find the NIC of a network by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Its hardware address on the new machine.
    pub mac: Mac,
    /// The network's name, as the descriptor has it.
    pub network: String,
}

/// A text that is no `MAC=NETWORK`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form MAC=NETWORK, such as 52:54:00:12:34:56=VM Network")]
pub struct ParseAdapterError(String);

impl FromStr for Adapter {
    type Err = ParseAdapterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseAdapterError(text.to_owned());
        let (mac, network) = text.split_once('=').ok_or_else(error)?;
        Ok(Self {
            mac: mac.trim().parse().map_err(|_| error())?,
            network: network.to_owned(),
        })
    }
}
