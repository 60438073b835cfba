//! HTTP/1.1 for small answers from memory, to clients that nobody vouches for.
//!
//! Each connection has one request: what a client does with its connection then delays nobody, and "answered" is
//! the same as "the connection is closed".

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// A client that opens more connections only takes its own older ones.
const CONNECTIONS: usize = 64;
/// Bytes of a request without its body. hyper answers 431 beyond.
const HEAD_LIMIT: usize = 16 << 10;
/// Bytes of a request's body, which is read and thrown away: with unread data, closing would be a reset, and the
/// client could lose its answer.
const BODY_LIMIT: usize = 64 << 10;
/// For a request's head, and for its body.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// For a whole connection.
const CONNECTION_TIME: Duration = Duration::from_secs(120);
/// For answers that are under way when the server ends.
const GRACE: Duration = Duration::from_secs(3);
/// Before accepting again when accepting failed: usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client gets.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(&'static str, &'static str)>,
    body: Bytes,
    is_last: bool,
}

impl Answer {
    /// 200, with a body.
    pub fn ok(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status: StatusCode::OK,
            headers: vec![(CONTENT_TYPE.as_str(), content_type)],
            body: body.into(),
            is_last: false,
        }
    }

    /// 204.
    pub fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            headers: Vec::new(),
            body: Bytes::new(),
            is_last: false,
        }
    }

    /// An error in the form in which Go's `http.Error` gives it: a line of text.
    pub fn error(status: StatusCode, text: &str) -> Self {
        Self {
            status,
            body: format!("{text}\n").into(),
            ..Self::ok("text/plain; charset=utf-8", "").header("x-content-type-options", "nosniff")
        }
    }

    /// The same with another header.
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The same; and when it was sent, the server ends.
    pub fn last(mut self) -> Self {
        self.is_last = true;
        self
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Gives the answer to a request, whose body is gone.
pub type Handler = Arc<dyn Fn(&Request<()>) -> Answer + Send + Sync>;

/// Listens on an address. "All addresses" of IPv6 are those of IPv4, too, and on a host without IPv6 only these.
///
/// # Errors
/// If the address is taken or not of this host. `what` names the service in the message.
pub fn bind(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    let result = match TcpListener::bind(address) {
        Err(error)
            if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).map_err(|_| error)
        }
        result => result,
    };
    let listener = result.map_err(|error| {
        let taken = error.kind() == io::ErrorKind::AddrInUse;
        let error = anyhow::Error::new(error);
        if taken {
            error.context("another process of this pod or host listens there: end it first")
        } else {
            error
        }
    });
    let listener = listener.with_context(|| format!("listening on {address} for {what}"))?;
    listener
        .set_nonblocking(true)
        .with_context(|| format!("listening on {address} for {what}"))?;
    Ok(listener)
}

/// A runtime that uses the thread which asks it to.
///
/// # Errors
/// If the kernel has no event queue for us.
pub fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("preparing network input and output")
}

/// Answers until `until` is ready, or an answer was the [last](Answer::last). Answers that are under way then have
/// some seconds to end; a client that does not even ask is not waited for.
///
/// # Errors
/// If the listener cannot be used.
pub async fn serve(
    listener: TcpListener,
    handler: Handler,
    until: impl Future<Output = ()>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let last = Arc::new(Notify::new());
    let mut connections: VecDeque<Connection> = VecDeque::new();
    tokio::pin!(until);
    loop {
        tokio::select! {
            () = &mut until => break,
            () = last.notified() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.retain(|connection| !connection.task.is_finished());
                    if connections.len() >= CONNECTIONS
                        && let Some(oldest) = connections.pop_front()
                    {
                        oldest.task.abort();
                    }
                    connections.push_back(Connection::start(stream, &handler, &last));
                }
                Err(error) => {
                    tracing::debug!("accepting a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let deadline = Instant::now() + GRACE;
    for mut connection in connections {
        if connection.asked.load(Ordering::Relaxed) {
            // Whether it came to its end in time makes no difference.
            let _ = timeout_at(deadline, &mut connection.task).await;
        }
        connection.task.abort();
    }
    Ok(())
}

struct Connection {
    task: JoinHandle<()>,
    /// A whole request is there.
    asked: Arc<AtomicBool>,
}

impl Connection {
    fn start(stream: TcpStream, handler: &Handler, last: &Arc<Notify>) -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        let (handler, last, asking) = (Arc::clone(handler), Arc::clone(last), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &handler, &last, &asking));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(REQUEST_TIME)
                .keep_alive(false)
                .max_buf_size(HEAD_LIMIT)
                .serve_connection(TokioIo::new(stream), service);
            match timeout(CONNECTION_TIME, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!("a client's connection: {error}"),
                Err(_) => tracing::debug!("a client that took too long was cut off"),
            }
        });
        Self { task, asked }
    }
}

async fn answer(
    request: Request<Incoming>,
    handler: &Handler,
    last: &Notify,
    asked: &AtomicBool,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    let answer = match timeout(REQUEST_TIME, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(_)) => handler(&Request::from_parts(parts, ())),
        Ok(Err(_)) => Answer::error(StatusCode::PAYLOAD_TOO_LARGE, "no such body is wanted"),
        Err(_) => Answer::error(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
    };
    asked.store(true, Ordering::Relaxed);
    if answer.is_last {
        last.notify_one();
    }
    Ok(answer.into_response())
}
