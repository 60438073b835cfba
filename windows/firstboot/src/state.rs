//! What has been done, as a file that survives power loss.

use std::fmt::Write as _;
use std::str::FromStr;

const HEADER: &str = "refit-firstboot-state 1";
/// Longest message that is kept, in characters.
const MAX_MESSAGE: usize = 400;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// To be done, for the first time or again.
    Pending,
    /// An attempt has begun; found at the start, it was cut short.
    Running,
    /// Done, or unnecessary.
    Done,
    /// No attempt is left.
    Failed,
    /// Its file was not understood.
    Refused,
}

const STATUSES: [(Status, &str); 5] = [
    (Status::Pending, "pending"),
    (Status::Running, "running"),
    (Status::Done, "done"),
    (Status::Failed, "failed"),
    (Status::Refused, "refused"),
];

impl Status {
    /// Its word in files.
    pub fn word(self) -> &'static str {
        STATUSES
            .iter()
            .find(|(status, _)| *status == self)
            .map_or("", |(_, word)| word)
    }
}

/// One task's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its file's name.
    pub file: String,
    /// Its file's content, to tell a new task of the same name.
    pub digest: u64,
    /// How far it is.
    pub status: Status,
    /// Attempts begun.
    pub attempts: u32,
    /// Number of the first boot in which it may be tried.
    pub not_before: u32,
    /// What the last attempt said; one line.
    pub message: String,
}

/// Everything that is remembered from boot to boot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Starts of the service.
    pub boots: u32,
    /// Restarts that it asked for.
    pub restarts: u32,
    /// Whether a finished task needs a restart that has not happened.
    pub restart_wanted: bool,
    /// Scripts of virt-v2v that were left at the last start.
    pub peer_left: u32,
    /// Starts since their number last changed.
    pub peer_stuck: u32,
    /// Tasks, in the order of their names.
    pub records: Vec<Record>,
}

impl State {
    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{HEADER}\nboots {}\nrestarts {}\nrestart-wanted {}\npeer-left {}\npeer-stuck {}\n",
            self.boots,
            self.restarts,
            u8::from(self.restart_wanted),
            self.peer_left,
            self.peer_stuck
        );
        for record in &self.records {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "task {} {:016x} {} {} {} {}",
                record.file,
                record.digest,
                record.status.word(),
                record.attempts,
                record.not_before,
                record.message
            );
        }
        text + "end\n"
    }
}

/// A message as one line of bounded length.
pub fn one_line(message: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = message.chars().map(plain).take(MAX_MESSAGE).collect();
    line.trim().to_owned()
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let body = text
            .strip_prefix(HEADER)
            .and_then(|rest| rest.strip_prefix('\n'))
            .and_then(|rest| rest.strip_suffix("end\n"))
            .ok_or("it is not whole")?;
        let mut state = Self::default();
        for line in body.lines() {
            let wrong = || format!("not understood: {line}");
            let (key, value) = line.split_once(' ').ok_or_else(wrong)?;
            let count = || value.parse().map_err(|_| wrong());
            match key {
                "boots" => state.boots = count()?,
                "restarts" => state.restarts = count()?,
                "restart-wanted" => state.restart_wanted = count()? != 0,
                "peer-left" => state.peer_left = count()?,
                "peer-stuck" => state.peer_stuck = count()?,
                "task" => state.records.push(record(value).ok_or_else(wrong)?),
                _ => return Err(wrong()),
            }
        }
        Ok(state)
    }
}

fn record(text: &str) -> Option<Record> {
    let mut words = text.splitn(6, ' ');
    let mut word = || words.next();
    let record = Record {
        file: word()?.to_owned(),
        digest: u64::from_str_radix(word()?, 16).ok()?,
        status: {
            let name = word()?;
            STATUSES.iter().find(|(_, word)| *word == name)?.0
        },
        attempts: word()?.parse().ok()?,
        not_before: word()?.parse().ok()?,
        message: word()?.to_owned(),
    };
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> State {
        State {
            boots: 3,
            restarts: 2,
            restart_wanted: true,
            peer_left: 1,
            peer_stuck: 4,
            records: vec![
                Record {
                    file: "20-a.task".into(),
                    digest: u64::MAX,
                    status: Status::Failed,
                    attempts: 3,
                    not_before: 2,
                    message: "exit code 1603, see the log".into(),
                },
                Record {
                    file: "40-b.task".into(),
                    digest: 0,
                    status: Status::Pending,
                    attempts: 0,
                    not_before: 0,
                    message: String::new(),
                },
            ],
        }
    }

    #[test]
    fn written_and_read() {
        assert_eq!(sample().to_text().parse(), Ok(sample()));
        for (status, _) in STATUSES {
            let mut state = sample();
            state.records[0].status = status;
            assert_eq!(state.to_text().parse(), Ok(state));
        }
    }

    #[test]
    fn what_is_cut_is_refused() {
        let text = sample().to_text();
        for length in 0..text.len() {
            assert!(text[..length].parse::<State>().is_err(), "{length}");
        }
        assert!(text.replace("failed", "nonsense").parse::<State>().is_err());
        assert!(text.replace("boots 3", "boots x").parse::<State>().is_err());
    }

    #[test]
    fn messages_are_one_line() {
        assert_eq!(one_line(" a\r\nb\0 "), "a  b");
        assert_eq!(one_line(&"ä".repeat(1000)).chars().count(), MAX_MESSAGE);
    }
}
