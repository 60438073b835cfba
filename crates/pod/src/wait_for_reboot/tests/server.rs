//! As much of an API server as the watch uses: TLS, a token that changes, consoles, and a VMI.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use futures_util::SinkExt as _;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::http;

/// In every token.
pub const TOKEN: &str = "s3cret-t0ken";

/// What becomes of one connection to the console.
#[derive(Debug, Clone, Copy)]
pub enum Console {
    /// An answer in Kubernetes' form.
    Refuse(u16, &'static str),
    /// Messages, and the end.
    Send(&'static [&'static str]),
    /// The connection breaks without a word.
    Break,
    /// Messages, and silence.
    Stay(&'static [&'static str]),
}

#[derive(Default)]
struct State {
    consoles: VecDeque<Console>,
    /// The last one stays.
    phases: VecDeque<String>,
    requests: Vec<String>,
}

/// It ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    directory: Arc<TempDir>,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Server {
    pub fn start(consoles: Vec<Console>, phases: &[&str]) -> Self {
        Self::start_as(Identity::signed(), consoles, phases)
    }

    pub fn start_as(identity: Identity, consoles: Vec<Console>, phases: &[&str]) -> Self {
        let directory = Arc::new(TempDir::new().unwrap());
        fs::write(directory.path().join("token"), format!("{TOKEN}-0\n")).unwrap();
        fs::write(directory.path().join("ca.crt"), &identity.authority).unwrap();
        let acceptor = identity.acceptor();
        let state = Arc::new(Mutex::new(State {
            consoles: consoles.into(),
            phases: phases.iter().map(|phase| (*phase).to_owned()).collect(),
            requests: Vec::new(),
        }));
        let listener = http::bind((Ipv4Addr::LOCALHOST, 0).into(), "a test").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (shared, account) = (Arc::clone(&state), Arc::clone(&directory));
        std::thread::spawn(move || {
            http::runtime().unwrap().block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let accepting = async {
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        let (state, account) = (Arc::clone(&shared), Arc::clone(&account));
                        tokio::spawn(connection(stream, acceptor.clone(), state, account));
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            directory,
            state,
            stop: Some(stop),
        }
    }

    pub fn variables(&self) -> BTreeMap<String, String> {
        [
            ("VMI_NAME", "win".to_owned()),
            ("VMI_NAMESPACE", "vms".to_owned()),
            // So that a test which fails does so today.
            ("TIMEOUT", "60".to_owned()),
            ("REBOOT_TIMEOUT", "60".to_owned()),
            ("KUBERNETES_SERVICE_HOST", self.address.ip().to_string()),
            ("KUBERNETES_SERVICE_PORT", self.address.port().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    pub fn service_account(&self) -> &Path {
        self.directory.path()
    }

    /// From now on its pods believe another server's authority.
    pub fn trust(&self, other: &Self) {
        let file = |server: &Self| server.service_account().join("ca.crt");
        fs::copy(file(other), file(self)).unwrap();
    }

    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Consoles and phases that nobody has asked for.
    pub fn left(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.consoles.len(), state.phases.len() - 1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

/// A server's certificate, and what its pods are to believe.
pub struct Identity {
    authority: String,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// A certificate of an authority of its own.
    fn signed() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = authority.self_signed(&key).unwrap();
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate().unwrap();
        let names = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        Self {
            authority: certificate.pem(),
            certificate: names.signed_by(&key, &issuer).unwrap().der().clone(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }

    /// A certificate that is its own authority.
    pub fn own_authority(name: &str, last_year: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(last_year, 12, 31);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            authority: certificate.pem(),
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }

    /// The same as everybody makes it.
    pub fn of_openssl() -> Self {
        let dir = TempDir::new().unwrap();
        let [key, certificate] = ["key.pem", "cert.pem"].map(|name| dir.path().join(name));
        let output = Command::new("openssl")
            .args([
                "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2",
            ])
            .args(["-subj", "/CN=kubernetes", "-addext"])
            .arg("subjectAltName=IP:127.0.0.1")
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        Self {
            authority: fs::read_to_string(&certificate).unwrap(),
            certificate: CertificateDer::from_pem_file(certificate).unwrap(),
            key: PrivateKeyDer::from_pem_file(key).unwrap(),
        }
    }

    fn acceptor(self) -> TlsAcceptor {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate], self.key)
            .unwrap();
        Arc::new(config).into()
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    state: Arc<Mutex<State>>,
    directory: Arc<TempDir>,
) {
    // A client that does not trust us goes away.
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = service_fn(|request| {
        let response = answer(request, &state, directory.path());
        async { Ok::<_, Infallible>(response) }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

fn answer(
    request: Request<Incoming>,
    state: &Mutex<State>,
    directory: &Path,
) -> Response<Full<Bytes>> {
    let mut state = state.lock().unwrap();
    let token = format!("Bearer {TOKEN}-{}", state.requests.len());
    assert_eq!(request.headers()[AUTHORIZATION], token);
    let path = request.uri().path().to_owned();
    let is_console = path.ends_with("/console");
    state.requests.push(path);
    let token = format!("{TOKEN}-{}", state.requests.len());
    fs::write(directory.join("token"), token).unwrap();
    if is_console {
        let console = state.consoles.pop_front();
        return open(request, console.unwrap_or(Console::Refuse(500, "enough")));
    }
    let phase = match state.phases.len() {
        1 => state.phases[0].clone(),
        _ => state.phases.pop_front().unwrap(),
    };
    match &*phase {
        "" => respond(200, r#"{"kind": "VirtualMachineInstance"}"#.to_owned()),
        "503" => respond(503, "busy".to_owned()),
        phase => respond(
            200,
            serde_json::json!({"status": {"phase": phase}}).to_string(),
        ),
    }
}

fn respond(code: u16, text: String) -> Response<Full<Bytes>> {
    Response::builder().status(code).body(text.into()).unwrap()
}

fn open(request: Request<Incoming>, console: Console) -> Response<Full<Bytes>> {
    if let Console::Refuse(code, message) = console {
        let status = serde_json::json!({"kind": "Status", "message": message, "code": code});
        return respond(code, status.to_string());
    }
    assert_eq!(
        request.headers()[SEC_WEBSOCKET_PROTOCOL],
        "plain.kubevirt.io"
    );
    let accept = derive_accept_key(request.headers()[SEC_WEBSOCKET_KEY].as_bytes());
    tokio::spawn(async move {
        let stream = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        let (Console::Send(messages) | Console::Stay(messages)) = console else {
            return;
        };
        for message in messages {
            socket.send(Message::binary(*message)).await.unwrap();
            socket.send(Message::Ping(Bytes::new())).await.unwrap();
        }
        match console {
            Console::Stay(_) => std::future::pending().await,
            _ => socket.close(None).await.unwrap(),
        }
    });
    Response::builder()
        .status(101)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", accept)
        .header("sec-websocket-protocol", "plain.kubevirt.io")
        .body(Full::default())
        .unwrap()
}
