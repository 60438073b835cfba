//! Port 2112.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use hyper::StatusCode;
use tokio::sync::Notify;

use super::Metrics;
use crate::http::{self, Answer};

/// The content type of text format 0.0.4, as Prometheus' own libraries give it.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves `/metrics` on a thread of its own until it is dropped; then the port is free again, which tells a
/// controller that there is no more to hear.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsServer {
    /// Where the controller looks: port 2112 of all addresses.
    pub const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 2112);

    /// Starts to answer on `address`.
    ///
    /// # Errors
    /// If the address is taken. That is no reason to give up a conversion: nobody sees its progress, that is all.
    pub fn start(metrics: Metrics, address: SocketAddr) -> anyhow::Result<Self> {
        let listener = http::bind(address, "metrics")?;
        let address = listener
            .local_addr()
            .context("asking for the port of metrics")?;
        let runtime = http::runtime()?;
        let stop = Arc::new(Notify::new());
        let stopped = Arc::clone(&stop);
        let handler: http::Handler = Arc::new(move |request| match request.uri().path() {
            "/metrics" => Answer::ok(TEXT, metrics.render()),
            _ => Answer::error(StatusCode::NOT_FOUND, "there is only /metrics"),
        });
        let thread = std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                let serving = http::serve(listener, handler, stopped.notified());
                if let Err(error) = runtime.block_on(serving) {
                    tracing::warn!("metrics cannot be served: {error}");
                }
            })
            .context("starting the thread of metrics")?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there has cost us the metrics, which is not worth more than its own message.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: pod\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn serves_what_is_known_until_it_is_dropped() {
        let metrics = Metrics::new();
        let server = MetricsServer::start(metrics.clone(), ANY_PORT).unwrap();
        let address = server.address();
        let _silent = TcpStream::connect(address).unwrap();
        metrics.disk_started(1, 1);
        metrics.disk_percent(1, 42.0);
        let answer = get(address, "/metrics");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let content_type = "\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n";
        assert!(answer.contains(content_type), "{answer}");
        assert!(
            answer.contains("\nv2v_disk_transfers{disk_id=\"1\"} 42\n"),
            "{answer}"
        );
        assert!(get(address, "/").starts_with("HTTP/1.1 404 "));
        let error = MetricsServer::start(metrics.clone(), address).unwrap_err();
        assert_eq!(
            format!("{error:#}").split(": Address").next().unwrap(),
            format!(
                "listening on {address} for metrics: another process of this pod or host listens there: end it first"
            )
        );
        drop(server);
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        MetricsServer::start(metrics, address).unwrap();
    }

    #[test]
    fn all_addresses_are_those_of_ipv4_too() {
        let mut any = MetricsServer::ADDRESS;
        any.set_port(0);
        let server = MetricsServer::start(Metrics::new(), any).unwrap();
        let address = (Ipv4Addr::LOCALHOST, server.address().port()).into();
        assert!(get(address, "/metrics").starts_with("HTTP/1.1 200 "));
    }
}
