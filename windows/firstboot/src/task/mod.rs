//! Task files: `TASKS.md` says what is in them.
//!
//! They are written by refit, but come from a disk: everything is bounded, and what is not understood
//! refuses the whole task.

mod fields;
mod kinds;
mod network;
mod registry;

use std::time::Duration;

use self::fields::Fields;
pub use self::kinds::{Driver, Interpreter, Kind, Letter, OnlineDisks, Partition, Program, Script};
pub use self::network::{Gateway, Netbios, Network, Prefix};
pub use self::registry::{Data, Edit};

/// First line of every file.
const HEADER: &str = "refit-task 1";
/// Largest file, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// Most tasks in one folder.
pub const MAX_TASKS: usize = 200;
/// What the names of task files end in.
pub const EXTENSION: &str = ".task";

/// When a failed task is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// In the same boot.
    Now,
    /// After a restart.
    Reboot,
}

/// Whether success asks for a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reboot {
    /// If Windows or the exit code says so.
    IfNeeded,
    /// Not even then.
    Never,
    /// Once, whatever they say.
    Always,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// One line for people.
    pub title: String,
    /// How often it is tried.
    pub attempts: u32,
    /// Limit of one attempt.
    pub timeout: Duration,
    /// When it is tried again.
    pub retry: Retry,
    /// Whether success asks for a restart.
    pub reboot: Reboot,
    /// Services that make it unnecessary.
    pub unless_services: Vec<String>,
    /// Files that make it unnecessary.
    pub unless_files: Vec<String>,
    /// What to do.
    pub kind: Kind,
}

impl Task {
    /// Reads a task from the content of its file.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn parse(name: &str, content: &[u8]) -> Result<Self, String> {
        let id = id(name).ok_or("the file's name is not NN-id.task")?;
        let mut fields = Fields::read(content)?;
        let kind = fields.kind()?;
        let title = fields.one("title")?.unwrap_or_else(|| id.to_owned());
        if title.chars().count() > 200 {
            return Err("title: more than 200 characters".into());
        }
        let attempts = fields.number("attempts", 1, 10)?.unwrap_or(3);
        let timeout = fields.number("timeout", 1, 7200)?.unwrap_or(600);
        let retry = match fields.one("retry")?.as_deref() {
            None | Some("now") => Retry::Now,
            Some("reboot") => Retry::Reboot,
            Some(other) => return Err(format!("retry: neither now nor reboot: {other}")),
        };
        let reboot = match fields.one("reboot")?.as_deref() {
            None | Some("if-needed") => Reboot::IfNeeded,
            Some("never") => Reboot::Never,
            Some("always") => Reboot::Always,
            Some(other) => {
                return Err(format!("reboot: not if-needed, never or always: {other}"));
            }
        };
        let unless_services = fields.many("unless-service");
        for name in &unless_services {
            if name.is_empty() || name.len() > 256 || name.contains(['\\', '/']) {
                return Err(format!("unless-service: no name of a service: {name}"));
            }
        }
        let unless_files = fields.paths("unless-file")?;
        let kind = Kind::parse(&kind, &mut fields)?;
        fields.finish()?;
        Ok(Self {
            title,
            attempts,
            timeout: Duration::from_secs(timeout.into()),
            retry,
            reboot,
            unless_services,
            unless_files,
            kind,
        })
    }
}

/// The id in a file's name, if it is one of a task.
pub fn id(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(EXTENSION)?;
    let (order, id) = stem.split_once('-')?;
    let digits = order.len() == 2 && order.bytes().all(|byte| byte.is_ascii_digit());
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (digits && (1..=64).contains(&id.len()) && id.bytes().all(plain)).then_some(id)
}

/// Tells one content of a task from another (FNV-1a): a changed task is a new one.
pub fn digest(content: &[u8]) -> u64 {
    content.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &str) -> Result<Task, String> {
        Task::parse("10-a.task", format!("refit-task 1\n{lines}").as_bytes())
    }

    #[test]
    fn names() {
        assert_eq!(id("20-virtio-win.task"), Some("virtio-win"));
        for name in [
            "20-.task",
            "2-a.task",
            "200-a.task",
            "20-A.task",
            "20_a.task",
            "20-a.tasks",
            "20-a b.task",
            "20-..\\a.task",
            "-a.task",
            ".task",
        ] {
            assert_eq!(id(name), None, "{name}");
        }
        assert!(id(&format!("20-{}.task", "a".repeat(64))).is_some());
        assert!(id(&format!("20-{}.task", "a".repeat(65))).is_none());
    }

    #[test]
    fn defaults_and_common_keys() {
        let task = parse("kind wait-pnp\n").unwrap();
        assert_eq!((task.title.as_str(), task.attempts), ("a", 3));
        assert_eq!(task.timeout, Duration::from_secs(600));
        assert_eq!((task.retry, task.reboot), (Retry::Now, Reboot::IfNeeded));
        let task = parse(
            "kind wait-pnp\r\n\r\n# why\r\ntitle Wärme, 100 %\r\nattempts 10\r\ntimeout 7200\r\nretry reboot\r\nreboot always\r\nunless-service QEMU-GA\r\nunless-file C:\\x",
        )
        .unwrap();
        assert_eq!(task.title, "Wärme, 100 %");
        assert_eq!((task.retry, task.reboot), (Retry::Reboot, Reboot::Always));
        assert_eq!(task.unless_services, ["QEMU-GA"]);
        assert_eq!(task.unless_files, ["C:\\x"]);
    }

    #[test]
    fn what_is_not_understood_refuses_the_task() {
        let long = format!("kind wait-pnp\ntitle {}", "x".repeat(5000));
        for (lines, reason) in [
            ("", "no kind"),
            ("title a\nkind wait-pnp", "kind"),
            ("kind nonsense", "unknown kind"),
            ("kind wait-pnp\nkind wait-pnp", "kind"),
            ("kind wait-pnp\nextra 1", "line 3: unknown key: extra"),
            ("kind wait-pnp\nattempts 0", "attempts"),
            ("kind wait-pnp\nattempts 11", "attempts"),
            ("kind wait-pnp\nattempts +1", "attempts"),
            (
                "kind wait-pnp\nattempts 1\nattempts 1",
                "attempts: more than once",
            ),
            ("kind wait-pnp\ntimeout 99999999999999999999", "timeout"),
            ("kind wait-pnp\nretry later", "retry"),
            ("kind wait-pnp\nreboot", "line 3"),
            ("kind wait-pnp\nreboot ", "line 3"),
            ("kind wait-pnp\ntitle a\u{7}b", "line 3"),
            ("kind wait-pnp\ntitle a\u{0}b", "line 3"),
            ("kind wait-pnp\ntitle a ", "line 3"),
            ("kind wait-pnp\n title a", "line 3"),
            ("kind wait-pnp\ntitle\ta", "line 3"),
            ("kind wait-pnp\nunless-file ..\\x", "unless-file"),
            ("kind wait-pnp\nunless-service a\\b", "unless-service"),
            (&long, "line 3"),
        ] {
            let error = parse(lines).unwrap_err();
            assert!(error.contains(reason), "{lines:?}: {error}");
        }
        for content in [
            &b""[..],
            b"refit-task 2\nkind wait-pnp",
            b"\xef\xbb\xbfrefit-task 1\nkind wait-pnp",
            b"refit-task 1\nkind wait-pnp\ntitle \xff",
            &[b'\n'; MAX_BYTES + 1],
            format!("refit-task 1\nkind wait-pnp\n{}", "\n".repeat(2000)).as_bytes(),
        ] {
            assert!(Task::parse("10-a.task", content).is_err());
        }
    }

    #[test]
    fn digests_differ() {
        assert_eq!(digest(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(digest(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_ne!(digest(b"ab"), digest(b"ba"));
    }
}
