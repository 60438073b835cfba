//! HTTP as Go's default client speaks it: HTTP/1.1, one connection for several requests.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Go's would wait for ever.
const LIMIT: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// The body.
    pub body: String,
}

/// A client of one server.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// Connects at the first request.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connection: None,
        }
    }

    /// GET.
    ///
    /// # Errors
    /// `ConnectionRefused`, `UnexpectedEof` if the server went away before it answered, `InvalidData` if
    /// it does not speak HTTP.
    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.request("GET", path, "")
    }

    /// POST without a body, of type `application/json`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn post(&mut self, path: &str) -> io::Result<Answer> {
        self.request(
            "POST",
            path,
            "Content-Length: 0\r\nContent-Type: application/json\r\n",
        )
    }

    fn request(&mut self, method: &str, path: &str, headers: &str) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(TcpStream::connect_timeout(&self.address, LIMIT)?),
        };
        connection.get_ref().set_read_timeout(Some(LIMIT))?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Go-http-client/1.1\r\n{headers}\
             Accept-Encoding: gzip\r\n\r\n",
            self.address
        );
        connection.get_mut().write_all(request.as_bytes())?;
        let (answer, stays) = answer(&mut connection)?;
        if stays {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

fn line(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// An answer, and whether the connection may be used again.
fn answer(connection: &mut BufReader<TcpStream>) -> io::Result<(Answer, bool)> {
    let status = line(connection)?;
    let status = status
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or_else(|| invalid(&status))?;
    let (mut length, mut content_type) = (None, None);
    let (mut chunked, mut stays) = (false, true);
    loop {
        let header = line(connection)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(|| invalid(&header))?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                length = Some(value.parse().map_err(|_| invalid(&header))?);
            }
            "content-type" => content_type = Some(value.to_owned()),
            "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
            "connection" => stays = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let mut body = Vec::new();
    if status == 204 {
        // There is none.
    } else if chunked {
        loop {
            let size = line(connection)?;
            let size = u64::from_str_radix(&size, 16).map_err(|_| invalid(&size))?;
            connection.take(size).read_to_end(&mut body)?;
            line(connection)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = length {
        connection.take(length).read_to_end(&mut body)?;
        if body.len() as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    } else {
        stays = false;
        connection.read_to_end(&mut body)?;
    }
    let body = String::from_utf8(body).map_err(|_| invalid("a body that is no text"))?;
    let answer = Answer {
        status,
        content_type,
        body,
    };
    Ok((answer, stays))
}
