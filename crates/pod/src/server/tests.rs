//! A real client, and clients that are none.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::json;

use super::*;

struct Pod {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Pod {
    fn start(answers: Answers) -> Self {
        let listener = http::bind((Ipv4Addr::LOCALHOST, 0).into(), "the results").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            serve_on(listener, &answers, &|| stopped.load(Ordering::SeqCst))
        });
        Self {
            address,
            stop,
            thread,
        }
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// Status, content type, body.
    fn ask(&self, request: &str) -> (u16, String, String) {
        read(self.send(request))
    }

    fn get(&self, path: &str) -> (u16, String, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: pod\r\n\r\n"))
    }

    /// The status of the answer to a request that is too long, or 0: the server may be done with us before we are.
    fn insist(&self, request: &str) -> u16 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let code = answer.get(9..12).map(<[u8]>::to_vec);
        code.map_or(0, |code| String::from_utf8(code).unwrap().parse().unwrap())
    }

    fn end(self) {
        self.thread.join().unwrap().unwrap();
        let error = TcpStream::connect(self.address).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}

fn read(mut stream: TcpStream) -> (u16, String, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.get(9..12).map_or(0, |code| code.parse().unwrap());
    let content_type = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "))
        .unwrap_or_default();
    (status, content_type.to_owned(), body.to_owned())
}

fn answer(status: u16, content_type: &str, body: &str) -> (u16, String, String) {
    (status, content_type.to_owned(), body.to_owned())
}

fn warning(reason: &str, message: &str) -> Warning {
    Warning {
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const SHUTDOWN: &str = "POST /shutdown HTTP/1.1\r\nHost: pod\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n";

#[test]
fn the_controllers_sequence() {
    let pod = Pod::start(Answers {
        vm: Some(b"kind: VirtualMachine\n".to_vec()),
        inspection: Some(b"<v2v-inspection/>".to_vec()),
        warnings: vec![
            warning("CustomizationFailed", "nic-names: \"eth0\" is taken"),
            warning("CustomizationFailed", "user: exit code 1"),
        ],
        report: json!({"name": "<script>alert(1)</script>"}),
        ..Answers::default()
    });
    let yaml = answer(200, "text/yaml", "kind: VirtualMachine\n");
    assert_eq!(pod.get("/vm"), yaml);
    assert_eq!(pod.get("/vm?x=1"), yaml);
    assert_eq!(pod.ask("DELETE /vm HTTP/1.0\r\n\r\n"), yaml);
    assert_eq!(
        pod.ask("HEAD /vm HTTP/1.1\r\nHost: pod\r\n\r\n"),
        answer(200, "text/yaml", "")
    );
    let with_body = "PUT /vm HTTP/1.1\r\nHost: pod\r\nContent-Length: 5\r\n\r\n12345";
    assert_eq!(pod.ask(with_body), yaml);
    assert_eq!(
        pod.get("/inspection"),
        answer(200, "application/xml", "<v2v-inspection/>")
    );
    assert_eq!(
        pod.get("/warnings"),
        answer(
            200,
            "application/json",
            r#"[{"reason":"CustomizationFailed","message":"nic-names: \"eth0\" is taken"},{"reason":"CustomizationFailed","message":"user: exit code 1"}]"#
        )
    );
    let json = "{\n  \"name\": \"<script>alert(1)</script>\"\n}";
    for path in ["/report", "/report.json"] {
        assert_eq!(pod.get(path), answer(200, "application/json", json));
    }
    let browser = "GET /report HTTP/1.1\r\nHost: pod\r\nAccept: text/HTML;q=0.9, */*\r\n\r\n";
    for (status, content_type, page) in [pod.ask(browser), pod.get("/report.html")] {
        assert_eq!((status, &*content_type), (200, "text/html; charset=utf-8"));
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
            "{page}"
        );
        assert!(!page.contains("<script"), "{page}");
    }
    for path in ["/", "/VM", "/vm/", "/../etc/passwd", "/shutdown/"] {
        assert_eq!(
            pod.get(path),
            answer(404, TEXT, "404 page not found\n"),
            "{path}"
        );
    }
    assert_eq!(pod.ask(SHUTDOWN), answer(204, "", ""));
    pod.end();
}

#[test]
fn what_is_missing_is_said_as_the_contract_says() {
    let pod = Pod::start(Answers {
        in_place: true,
        ..Answers::default()
    });
    assert_eq!(pod.get("/vm"), answer(204, "", ""));
    assert_eq!(pod.get("/warnings"), answer(204, "", ""));
    assert_eq!(pod.get("/inspection").0, 500);
    assert_eq!(pod.get("/shutdown"), answer(204, "", ""));
    pod.end();
    let pod = Pod::start(Answers::default());
    assert_eq!(
        pod.get("/vm"),
        answer(500, TEXT, "YAML file path is empty\n")
    );
    pod.stop.store(true, Ordering::SeqCst);
    pod.end();
}

#[test]
fn bad_clients_delay_nobody() {
    let pod = Pod::start(Answers {
        vm: Some(b"x".to_vec()),
        ..Answers::default()
    });
    // More than there may be at a time: the oldest make way.
    let silent: Vec<_> = (0..100).map(|_| pod.send("")).collect();
    let _half: Vec<_> = (0..10)
        .map(|_| pod.send("GET /shutdown HTTP/1.1\r\nHo"))
        .collect();
    assert_eq!(pod.get("/vm").0, 200);
    assert_eq!(pod.ask("\u{16}\u{3}\u{1} no HTTP\r\n\r\n").0, 400);
    assert_eq!(
        pod.ask("GET /vm HTTP/1.1\r\nContent-Length: -1\r\n\r\n").0,
        400
    );
    let long = "x".repeat(64 << 10);
    let head = format!("GET /vm HTTP/1.1\r\nHost: pod\r\nX: {long}\r\n\r\n");
    assert!([0, 431].contains(&pod.insist(&head)));
    let body = format!(
        "POST /shutdown HTTP/1.1\r\nHost: pod\r\nContent-Length: 99999999\r\n\r\n{long}{long}"
    );
    assert!([0, 413].contains(&pod.insist(&body)));
    let gone = pod.send("GET /vm HTTP/1.1\r\nHost: pod\r\n\r\n");
    gone.shutdown(Shutdown::Both).unwrap();
    // A body that never comes does not hold up the end either.
    let _waiting = pod.send("POST /vm HTTP/1.1\r\nHost: pod\r\nContent-Length: 9\r\n\r\n");
    assert_eq!(pod.ask(SHUTDOWN), answer(204, "", ""));
    pod.end();
    drop(silent);
}
