//! The API server of the cluster that this pod is in.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, HOST, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::trust;

/// From the connection to the head of the answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Bytes of an answer: a VMI has some ten thousand.
const BODY_LIMIT: usize = 4 << 20;
/// Bytes of a file that says who we are.
const FILE_LIMIT: u64 = 1 << 20;
/// Bytes of one message of a console.
const MESSAGE_LIMIT: usize = 1 << 20;

/// What `KubeVirt` calls a console without a protocol of its own.
const PLAIN: &str = "plain.kubevirt.io";

/// What it says of a machine that is there and has not started yet.
const NOT_RUNNING: &str = "VMI is not running";

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It will not be better next time: we are not who may ask, or the server is not who it must be.
    #[error("{0:#}")]
    Lasting(anyhow::Error),
    /// There is no such machine, or it has no such console. It may come yet, but if that takes more than a few tries it
    /// will not.
    #[error("{0:#}")]
    Doubtful(anyhow::Error),
    /// The cluster is busy, or the machine is not there yet.
    #[error("{0:#}")]
    Passing(anyhow::Error),
}

/// A console: binary messages.
pub type Console = WebSocketStream<TokioIo<Upgraded>>;

/// How the API server is reached.
pub struct Cluster {
    host: String,
    port: u16,
    name: ServerName<'static>,
    tls: TlsConnector,
    token: PathBuf,
}

impl Cluster {
    /// As every pod finds it: an address in the environment, a token and the cluster's certificate authorities in the
    /// directory of its service account.
    ///
    /// # Errors
    /// If something of this is missing or makes no sense: then this is no pod, or one without a service account.
    pub fn of_pod(
        variable: &dyn Fn(&str) -> Option<String>,
        service_account: &Path,
    ) -> anyhow::Result<Self> {
        let given = |name: &str| {
            let value = variable(name).filter(|value| !value.is_empty());
            value.with_context(|| format!("{name} is not set: this is no pod of a cluster"))
        };
        let host = given("KUBERNETES_SERVICE_HOST")?;
        let port = given("KUBERNETES_SERVICE_PORT")?;
        let port = port
            .parse()
            .with_context(|| format!("reading KUBERNETES_SERVICE_PORT={port:?}"))?;
        let name = ServerName::try_from(host.clone())
            .with_context(|| format!("reading KUBERNETES_SERVICE_HOST={host:?}"))?;
        let authorities = service_account.join("ca.crt");
        let cluster = Self {
            host,
            port,
            name,
            tls: read(&authorities)
                .and_then(|text| trust::connector(&text))
                .with_context(|| format!("reading certificates from {}", authorities.display()))?,
            token: service_account.join("token"),
        };
        cluster.token()?;
        Ok(cluster)
    }

    /// GET of a path.
    ///
    /// # Errors
    /// [`Failure`]; any answer but 200 is one.
    pub async fn get(&self, path: &str) -> Result<Bytes, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = self.ask(path, headers).await?;
        if response.status() != StatusCode::OK {
            return Err(refusal(response).await);
        }
        body(response).await.map_err(Failure::Passing)
    }

    /// Opens the websocket at a path, with `KubeVirt`'s plain protocol.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn console(&self, path: &str) -> Result<Console, Failure> {
        let key = generate_key();
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PLAIN));
        let value = HeaderValue::from_str(&key);
        let value = value.map_err(|error| Failure::Lasting(error.into()))?;
        headers.insert(SEC_WEBSOCKET_KEY, value);
        let response = self.ask(path, headers).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(refusal(response).await);
        }
        let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT);
        if accepted.map(HeaderValue::as_bytes) != Some(derive_accept_key(key.as_bytes()).as_bytes())
        {
            return Err(Failure::Passing(anyhow!(
                "the answer is not to our websocket"
            )));
        }
        let stream = hyper::upgrade::on(response)
            .await
            .context("opening the websocket")
            .map_err(Failure::Passing)?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT));
        Ok(
            WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Client, Some(limits))
                .await,
        )
    }

    async fn ask(&self, path: &str, mut headers: HeaderMap) -> Result<Response<Incoming>, Failure> {
        let host = if self
            .host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_ipv6())
        {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        };
        let mut request = Request::get(path)
            .header(USER_AGENT, concat!("refit/", env!("CARGO_PKG_VERSION")))
            .header(HOST, &host)
            // Again and again: the kubelet replaces it within the hour.
            .header(AUTHORIZATION, self.token().map_err(Failure::Lasting)?)
            .body(Empty::<Bytes>::new())
            .with_context(|| format!("asking for {path}"))
            .map_err(Failure::Lasting)?;
        request.headers_mut().extend(headers.drain());
        match timeout(ANSWER_TIME, self.send(request)).await {
            Ok(result) => result.map_err(|error| match trust::is_distrust(&error) {
                true => Failure::Lasting(error.context(format!("asking {host}"))),
                false => Failure::Passing(error.context(format!("asking {host}"))),
            }),
            Err(_) => Err(Failure::Passing(anyhow!("{host} does not answer"))),
        }
    }

    async fn send(&self, request: Request<Empty<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // A console may be silent for long, and a server that has vanished says nothing either.
        sockopt::set_socket_keepalive(&stream, true)?;
        sockopt::set_tcp_keepidle(&stream, Duration::from_secs(30))?;
        sockopt::set_tcp_keepintvl(&stream, Duration::from_secs(10))?;
        sockopt::set_tcp_keepcnt(&stream, 3)?;
        let stream = self.tls.connect(self.name.clone(), stream).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!("the connection to the API server: {error}");
            }
        });
        Ok(sender.send_request(request).await?)
    }

    fn token(&self) -> anyhow::Result<HeaderValue> {
        let context = || {
            format!(
                "reading the service account's token from {}",
                self.token.display()
            )
        };
        let text = String::from_utf8(read(&self.token).with_context(context)?);
        // The errors of these would show a part of it.
        let value = text
            .ok()
            .filter(|text| !text.trim().is_empty())
            .and_then(|text| HeaderValue::try_from(format!("Bearer {}", text.trim())).ok());
        let mut value = value
            .context("there is no token in it")
            .with_context(context)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_LIMIT + 1)
        .read_to_end(&mut bytes)?;
    ensure!(
        bytes.len() as u64 <= FILE_LIMIT,
        "it has more than {FILE_LIMIT} bytes"
    );
    Ok(bytes)
}

async fn body(response: Response<Incoming>) -> anyhow::Result<Bytes> {
    let body = Limited::new(response.into_body(), BODY_LIMIT).collect();
    match timeout(ANSWER_TIME, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => Err(anyhow!("reading the answer: {error}")),
        Err(_) => Err(anyhow!("the answer has no end")),
    }
}

/// What Kubernetes answers instead of what was asked for.
async fn refusal(response: Response<Incoming>) -> Failure {
    #[derive(serde::Deserialize)]
    struct Status {
        message: String,
    }

    let code = response.status();
    let text = body(response).await.unwrap_or_default();
    let message = match serde_json::from_slice::<Status>(&text) {
        Ok(status) => status.message,
        Err(_) => String::from_utf8_lossy(&text).into_owned(),
    };
    let message: String = message.trim().chars().take(300).collect();
    let error = anyhow!("the API server answers {code}: {}", message.escape_debug());
    match code {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Failure::Lasting(error.context("this pod's service account may not do that"))
        }
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND if !message.contains(NOT_RUNNING) => {
            Failure::Doubtful(error)
        }
        _ => Failure::Passing(error),
    }
}
