//! A shell behind a login prompt on the serial console.
//!
//! A terminal mixes what is typed, what is printed and what the kernel says. So every command is
//! framed by marks that the shell puts together: the typed line contains `""` in the middle of each,
//! and its echo, however broken, is never taken for the mark itself.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::console::Console;
use crate::serial::{Serial, Stop};
use crate::{CommandReport, Login};

/// Time for each step of the dialogue. Under TCG a first login takes ten seconds.
const STEP: Duration = Duration::from_secs(60);
/// A shell that is still starting may throw away what was typed; after this it is typed again.
const RETYPE: Duration = Duration::from_secs(4);
/// A line that has not changed for this long is complete.
const QUIET: Duration = Duration::from_secs(3);
/// Output kept of one command, in bytes.
const MAX_OUTPUT: usize = 64 << 10;

/// A shell that takes commands.
#[derive(Debug)]
pub(crate) struct Shell<'s, 'c> {
    serial: &'s mut Serial<'c>,
    nonce: String,
    commands: u32,
}

impl<'s, 'c> Shell<'s, 'c> {
    /// Answers a login prompt that is on the console. On a busy host agetty's or login's own time may run
    /// out, or a service's line may fall into an answer: then the next prompt is answered.
    ///
    /// # Errors
    /// [`Stop::Guest`] if the guest refuses, [`Stop::Silent`] if it does not answer, twice.
    pub fn log_in(serial: &'s mut Serial<'c>, login: &Login) -> Result<Self, Stop> {
        let (nonce, commands) = match enter(serial, login) {
            Err(Stop::Guest(reason) | Stop::Silent(reason)) => {
                tracing::warn!("{reason}; logging in again");
                serial.send("")?;
                serial.wait("login prompt", Instant::now() + STEP, |console| {
                    let partial = console.partial();
                    partial.trim_end().ends_with("login:").then_some(())
                })?;
                enter(serial, login)?
            }
            entered => entered?,
        };
        Ok(Self {
            serial,
            nonce,
            commands,
        })
    }

    /// Types a mark until the shell prints it.
    fn reach(&mut self, user: &str) -> Result<(), Stop> {
        let end = Instant::now() + STEP;
        let position = self.serial.console.position();
        self.commands += 1;
        let (typed, mark) = self.mark("ready");
        loop {
            let retype = Instant::now() + RETYPE;
            self.serial.send(&format!("echo {typed}"))?;
            let answer = self.serial.wait("shell", retype.min(end), |console| {
                let mut lines = console.since(position);
                if lines.any(|line| line.ends_with(&mark)) {
                    return Some(true);
                }
                let refused = console
                    .since(position)
                    .any(|line| line.contains("ncorrect"));
                refused.then_some(false)
            });
            match answer {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    return Err(Stop::Guest(format!(
                        "the guest refused the password of {user}"
                    )));
                }
                Err(Stop::Silent(_)) if Instant::now() < end => {}
                Err(stop) => return Err(stop),
            }
        }
    }

    /// Runs a command under `sh -c`, without input.
    ///
    /// # Errors
    /// [`Stop`] if the machine is gone; a command that does not end within `limit` is interrupted and
    /// has no status.
    pub fn run(&mut self, command: &str, limit: Duration) -> Result<CommandReport, Stop> {
        self.commands += 1;
        let (typed_begin, begin) = self.mark("begin");
        let (typed_end, end) = self.mark("end");
        let quoted = command.replace('\'', r"'\''");
        let mut position = self.serial.console.position();
        self.serial.send(&format!(
            " echo {typed_begin}; sh -c '{quoted}' </dev/null 2>&1; r=$?; echo; echo {typed_end} $r"
        ))?;

        let mut output = Output::new(begin, end);
        let status = self
            .serial
            .wait("end of the command", Instant::now() + limit, |console| {
                let status = console.since(position).find_map(|line| output.take(line));
                position = console.position();
                status
            });
        let status = match status {
            Ok(status) => status,
            Err(Stop::Silent(_)) => {
                self.serial.send("\u{3}")?;
                None
            }
            Err(stop) => return Err(stop),
        };
        Ok(CommandReport {
            command: command.to_owned(),
            status,
            output: output.text(),
        })
    }

    /// Lets the guest go on for a while.
    ///
    /// # Errors
    /// [`Stop`] if the machine is gone.
    pub fn pause(&mut self, time: Duration) -> Result<(), Stop> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if !self.serial.pump()? {
                return Err(Stop::Guest("the machine went off".into()));
            }
        }
        Ok(())
    }

    /// A mark as it is typed, and as it is printed.
    fn mark(&self, what: &str) -> (String, String) {
        let rest = format!("{}-{}-{what}", self.nonce, self.commands);
        (format!("REFIT\"\"-{rest}"), format!("REFIT-{rest}"))
    }
}

/// From the login prompt to a known shell; its nonce, and how many commands it has had.
fn enter(serial: &mut Serial<'_>, login: &Login) -> Result<(String, u32), Stop> {
    serial.send(&login.user)?;
    await_password_prompt(serial)?;
    serial.send(&login.password)?;

    let mut shell = Shell {
        serial,
        nonce: nonce(),
        commands: 0,
    };
    shell.reach(&login.user)?;
    // One known shell, without prompt, echo, start-up file and kernel messages in between.
    shell
        .serial
        .send("exec env -u ENV PS1= PS2= TERM=dumb PATH=\"$PATH:/usr/sbin:/sbin\" /bin/sh")?;
    shell.reach(&login.user)?;
    shell.serial.send("stty -echo; dmesg -n 1 2>/dev/null")?;
    shell.reach(&login.user)?;
    Ok((shell.nonce, shell.commands))
}

/// Text that no program in the guest prints by chance.
fn nonce() -> String {
    format!("{:08x}", RandomState::new().hash_one("nonce") as u32)
}

/// Waits until the guest asks for the password. A service may be writing to the same console, so a
/// line that ends in a colon is a prompt, in whatever language, only if it stays like that.
fn await_password_prompt(serial: &mut Serial<'_>) -> Result<(), Stop> {
    let end = Instant::now() + STEP;
    let position = serial.console.position();
    loop {
        let before = serial.console.partial();
        let quiet = (Instant::now() + QUIET).min(end);
        let asked = serial.wait("password prompt", quiet, |console| {
            asks_password(console, position)
        });
        match asked {
            Ok(()) => return Ok(()),
            Err(Stop::Silent(_)) if Instant::now() < end => {
                let partial = serial.console.partial();
                if partial == before && is_prompt(&partial) {
                    return Ok(());
                }
            }
            Err(stop) => return Err(stop),
        }
    }
}

fn asks_password(console: &Console, position: u64) -> Option<()> {
    let asks = |line: &str| line.contains("assword:");
    (asks(&console.partial()) || console.since(position).any(asks)).then_some(())
}

fn is_prompt(partial: &str) -> bool {
    partial.trim_end().ends_with(':') && !partial.contains("login:")
}

/// What a command printed, between its marks.
struct Output {
    begin: String,
    end: String,
    lines: Option<String>,
}

impl Output {
    fn new(begin: String, end: String) -> Self {
        Self {
            begin,
            end,
            lines: None,
        }
    }

    /// Takes one line; the exit status (if it can be read) once the end is reached.
    fn take(&mut self, line: &str) -> Option<Option<i32>> {
        let Some(lines) = &mut self.lines else {
            if line.ends_with(&self.begin) {
                self.lines = Some(String::new());
            }
            return None;
        };
        if let Some(at) = line.find(&self.end) {
            return Some(line[at + self.end.len()..].trim().parse().ok());
        }
        if lines.len() + line.len() < MAX_OUTPUT {
            lines.push_str(line);
            lines.push('\n');
        }
        None
    }

    fn text(self) -> String {
        self.lines
            .unwrap_or_default()
            .trim_end_matches('\n')
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_what_stands_between_the_marks() {
        let mut output = Output::new("REFIT-n-1-begin".into(), "REFIT-n-1-end".into());
        for line in [
            " echo REFIT\"\"-n-1-begin; sh -c 'x'; echo REFIT\"\"-n-1-end $r",
            "noise",
        ] {
            assert_eq!(output.take(line), None, "an echo is no mark: {line}");
        }
        for line in ["$ REFIT-n-1-begin", "one", "", "two", ""] {
            assert_eq!(output.take(line), None);
        }
        assert_eq!(output.take("REFIT-n-1-end 3"), Some(Some(3)));
        assert_eq!(output.text(), "one\n\ntwo");
    }

    #[test]
    fn output_is_bounded() {
        let mut output = Output::new("b".into(), "e-n-d".into());
        output.take("b");
        for _ in 0..10_000 {
            output.take(&"x".repeat(100));
        }
        assert_eq!(output.take("e-n-d 0"), Some(Some(0)));
        assert!(output.text().len() <= MAX_OUTPUT);
    }

    #[test]
    fn password_prompts() {
        for (text, asks, looks_like_one) in [
            ("web1 login: root\r\nPassword: ", true, true),
            ("web1 login: root\r\nPasswort: ", false, true),
            (
                "web1 login: root\r\nPassword: [ 9.1] random: x\n",
                true,
                false,
            ),
            ("web1 login: root\r\n[ 9.1] x.sh[396]:", false, true),
            ("web1 login: ", false, false),
        ] {
            let mut console = Console::default();
            console.feed(text.as_bytes());
            assert_eq!(asks_password(&console, 0).is_some(), asks, "{text:?}");
            assert_eq!(is_prompt(&console.partial()), looks_like_one, "{text:?}");
        }
    }
}
