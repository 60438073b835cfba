//! The serial console.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;

use super::Vmi;
use super::cluster::{Cluster, Console, Failure};

/// How often in a row a console may not be there.
const DOUBTS: u32 = 5;

/// Reads the console of a machine until the signal was in it. A machine that does not run yet, and a connection
/// that breaks, are tried again.
///
/// # Errors
/// If the cluster refuses us for good, or says again and again that there is no such console.
pub async fn wait_for_signal(
    cluster: &Cluster,
    vmi: &Vmi,
    signal: &str,
    pace: Duration,
) -> anyhow::Result<()> {
    let path = format!(
        "/apis/subresources.kubevirt.io/v1/namespaces/{}/virtualmachineinstances/{}/console",
        vmi.namespace, vmi.name
    );
    let mut search = Search::new(signal);
    let mut doubts = 0;
    loop {
        let opened = cluster.console(&path).await;
        doubts = match opened {
            Err(Failure::Doubtful(_)) => doubts + 1,
            _ => 0,
        };
        match opened {
            Ok(mut console) => {
                tracing::info!("connected to the serial console of VMI {vmi}");
                match follow(&mut console, &mut search).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => tracing::warn!("the console was closed; connecting again"),
                    Err(error) => {
                        tracing::warn!("the console broke off ({error}); connecting again")
                    }
                }
            }
            Err(Failure::Lasting(error)) => {
                return Err(error).context("opening the serial console");
            }
            Err(Failure::Doubtful(error)) if doubts == DOUBTS => {
                return Err(error)
                    .with_context(|| format!("opening the serial console, {DOUBTS} times"));
            }
            Err(Failure::Passing(error) | Failure::Doubtful(error)) => {
                tracing::info!("the serial console cannot be opened yet: {error:#}");
            }
        }
        tokio::time::sleep(pace).await;
    }
}

/// `false` if the other side has closed it before the signal.
async fn follow(
    console: &mut Console,
    search: &mut Search,
) -> Result<bool, tokio_tungstenite::tungstenite::Error> {
    while let Some(message) = console.next().await {
        let message = message?;
        if (message.is_binary() || message.is_text()) && search.finds_with(&message.into_data()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks for a text in what comes in pieces. Of the past it keeps what could be the text's beginning.
struct Search {
    text: Vec<u8>,
    tail: Vec<u8>,
}

impl Search {
    fn new(text: &str) -> Self {
        Self {
            text: text.as_bytes().to_vec(),
            tail: Vec::new(),
        }
    }

    fn finds_with(&mut self, piece: &[u8]) -> bool {
        self.tail.extend_from_slice(piece);
        let found = self
            .tail
            .windows(self.text.len())
            .any(|window| window == self.text);
        let excess = self.tail.len().saturating_sub(self.text.len() - 1);
        self.tail.drain(..excess);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_text_however_it_is_cut() {
        let output = "C:\\> CONVERSION CONVERSION_DONE\r\n";
        for size in 1..output.len() {
            let mut search = Search::new("CONVERSION_DONE");
            let found: Vec<bool> = output
                .as_bytes()
                .chunks(size)
                .map(|piece| search.finds_with(piece))
                .collect();
            assert_eq!(found.iter().filter(|found| **found).count(), 1, "{size}");
            assert!(search.tail.len() < 15);
        }
        assert!(!Search::new("DONE").finds_with(b"DON"));
    }
}
