//! A client for qemu's control socket, QMP: one JSON document a line
//! (<https://www.qemu.org/docs/master/interop/qmp-spec.html>).

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Error;

/// How long qemu may take to answer: a screenshot of a busy machine takes a second or two.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// No answer that we ask for comes near this.
const MAX_LINE: usize = 1 << 20;

/// A connection on which commands can be given.
#[derive(Debug)]
pub(crate) struct Qmp {
    stream: UnixStream,
    buffer: Vec<u8>,
    /// qemu's version: major, minor.
    pub version: (u64, u64),
}

impl Qmp {
    /// Reads the greeting and leaves negotiation mode.
    ///
    /// # Errors
    /// [`Error::Qmp`] or [`Error::Io`] if that is not what happens.
    pub fn connect(stream: UnixStream) -> Result<Self, Error> {
        let configure = stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .and_then(|()| stream.set_write_timeout(Some(ANSWER_TIMEOUT)));
        configure.map_err(Error::io("configuring qemu's control socket"))?;
        let mut qmp = Self {
            stream,
            buffer: Vec::new(),
            version: (0, 0),
        };
        let greeting = qmp.read_until(|message| message.get("QMP").is_some())?;
        let version = &greeting["QMP"]["version"]["qemu"];
        qmp.version = (
            version["major"].as_u64().unwrap_or(0),
            version["minor"].as_u64().unwrap_or(0),
        );
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Gives a command and waits for its answer; events in between are passed over.
    ///
    /// # Errors
    /// [`Error::Qmp`] with qemu's own words if it refuses, or if it does not answer in time.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, Error> {
        tracing::debug!(command, "qmp");
        let request = format!("{}\n", json!({"execute": command, "arguments": arguments}));
        self.stream
            .write_all(request.as_bytes())
            .map_err(Error::io(format!("giving qemu the command {command}")))?;
        let mut answer = self.read_until(|message| {
            message.get("return").is_some() || message.get("error").is_some()
        })?;
        match answer["error"]["desc"].as_str() {
            Some(refusal) => Err(Error::Qmp(format!("{command}: {refusal}"))),
            None => Ok(answer["return"].take()),
        }
    }

    fn read_until(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value, Error> {
        let end = Instant::now() + ANSWER_TIMEOUT;
        loop {
            while let Some(line) = take_line(&mut self.buffer) {
                let message: Value = serde_json::from_slice(&line)
                    .map_err(|error| Error::Qmp(format!("not JSON: {error}")))?;
                if wanted(&message) {
                    return Ok(message);
                }
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Error::Qmp("an answer without end".into()));
            }
            if Instant::now() > end {
                return Err(Error::Qmp(format!(
                    "no answer within {} s",
                    ANSWER_TIMEOUT.as_secs()
                )));
            }
            let mut chunk = [0; 8192];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Error::Qmp("qemu hung up".into())),
                Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(Error::io("reading qemu's control socket")(error)),
            }
        }
    }
}

fn take_line(buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = buffer.iter().position(|byte| *byte == b'\n')?;
    Some(buffer.drain(..=end).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::thread;

    /// A peer that greets, then answers each line it reads with the next of `answers`.
    fn peer(answers: &'static [&'static str]) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            let mut writer = theirs.try_clone().unwrap();
            writer.write_all(b"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 2, \"minor\": 1, \"major\": 7}}, \"capabilities\": []}}\r\n").unwrap();
            for (_, answer) in BufReader::new(theirs).lines().zip(answers) {
                writer.write_all(answer.as_bytes()).unwrap();
            }
        });
        ours
    }

    #[test]
    fn events_are_passed_over() {
        let stream = peer(&[
            "{\"return\": {}}\r\n",
            "{\"event\": \"RESUME\"}\r\n{\"return\": {\"status\": \"running\"}}\r\n",
        ]);
        let mut qmp = Qmp::connect(stream).unwrap();
        assert_eq!(qmp.version, (7, 1));
        assert_eq!(
            qmp.execute("query-status", json!({})).unwrap()["status"],
            "running"
        );
    }

    #[test]
    fn refusals_keep_qemus_words() {
        let stream = peer(&[
            "{\"return\": {}}\r\n",
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no surface\"}}\r\n",
        ]);
        let mut qmp = Qmp::connect(stream).unwrap();
        let message = qmp
            .execute("screendump", json!({}))
            .unwrap_err()
            .to_string();
        assert_eq!(message, "talking to qemu: screendump: no surface");
    }

    #[test]
    fn a_peer_that_hangs_up_is_an_error() {
        let stream = peer(&[]);
        assert!(
            Qmp::connect(stream)
                .unwrap_err()
                .to_string()
                .contains("hung up")
        );
    }
}
