//! The lines of `refit/fixup/v1`.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use refit_engine::backend::FileKind;
use refit_engine::{
    Change, Evidence, Facts, GuestPath, Info, InitramfsFile, Proposal, Request, ValueJson, Verdict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registry::{NamedValue, WireHive, WireKey};

/// The name and version of the protocol. A later version that old programs would misread gets
/// another name; keys may be added to this one.
pub(crate) const PROTOCOL: &str = "refit/fixup/v1";

/// refit's first line: what the program is asked.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Task<'t> {
    /// `refit/fixup/v1`.
    #[schemars(extend("const" = PROTOCOL))]
    protocol: &'static str,
    /// The fixup.
    id: &'t str,
    /// The facts, as `refit inspect --json` gives them under `guest`.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    guest: &'t Facts,
    /// The values of the fixup's parameters. One that has no default and was not given is absent.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    parameters: BTreeMap<String, toml::Value>,
    /// The NICs that the guest will have, in hardware order.
    nics: Vec<TaskNic>,
}

/// One NIC of the machine.
#[derive(Debug, Serialize, JsonSchema)]
struct TaskNic {
    /// Hardware address, such as `00:50:56:aa:bb:01`.
    mac: String,
    /// Addresses with prefix, such as `192.0.2.10/24`, as far as they were given.
    addresses: Vec<String>,
    /// Default gateways.
    gateways: Vec<String>,
    /// Name servers.
    dns: Vec<String>,
}

impl<'t> Task<'t> {
    pub(crate) fn new(
        guest: &'t Facts,
        request: &Request,
        info: &'t Info,
        parameters: BTreeMap<String, toml::Value>,
    ) -> Self {
        fn texts<T: ToString>(list: &[T]) -> Vec<String> {
            list.iter().map(ToString::to_string).collect()
        }
        let nics = request.nics.iter().map(|nic| TaskNic {
            mac: nic.mac.to_string(),
            addresses: texts(&nic.addresses),
            gateways: texts(&nic.gateways),
            dns: texts(&nic.dns),
        });
        Self {
            protocol: PROTOCOL,
            id: &info.id,
            guest,
            parameters,
            nics: nics.collect(),
        }
    }
}

/// A program's question about the guest. In paths of files, links in directories are followed, inside the guest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "ask", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Question {
    /// The content of a regular file of at most 16 MiB; a link is followed.
    Read {
        /// The file.
        path: WirePath,
    },
    /// The names in a directory; a link is followed.
    List {
        /// The directory.
        path: WirePath,
    },
    /// The attributes of what is there; a link is followed.
    Stat {
        /// Anything.
        path: WirePath,
    },
    /// Where a symbolic link leads.
    Readlink {
        /// The link.
        path: WirePath,
    },
    /// The values of a registry key and the names of the keys below it.
    Registry {
        /// The hive.
        hive: WireHive,
        /// The key; empty for the hive's root.
        #[serde(default)]
        key: WireKey,
    },
    /// The hives of users, that of new users among them.
    Users,
}

/// refit's answer to a question.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub(crate) enum Answer {
    /// A file's content; `content_base64` if it is not UTF-8.
    Read(Content),
    /// The names in a directory, sorted.
    List {
        /// One for each name.
        entries: Vec<ListEntry>,
    },
    /// Attributes.
    Stat {
        /// What it is.
        kind: Kind,
        /// Permission bits in octal, such as `0644`.
        mode: String,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Bytes.
        size: u64,
    },
    /// A link's target, as it is written.
    Readlink {
        /// The target.
        target: String,
    },
    /// A registry key.
    Registry {
        /// The names of the keys below it.
        keys: Vec<String>,
        /// Its values.
        values: Vec<NamedValue>,
    },
    /// Hives of users.
    Users {
        /// Their paths, which name them in questions and changes.
        hives: Vec<String>,
    },
    /// There is no such file, directory, link, hive or key.
    Nothing,
    /// It cannot be told.
    Error {
        /// Why.
        error: String,
    },
}

/// A name in a directory.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct ListEntry {
    /// The name. One that is not UTF-8 is left out of the list.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

impl From<FileKind> for Kind {
    fn from(kind: FileKind) -> Self {
        match kind {
            FileKind::File => Self::File,
            FileKind::Dir => Self::Dir,
            FileKind::Symlink => Self::Symlink,
            FileKind::Other => Self::Other,
        }
    }
}

/// The program's last line: what it says of the guest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Proposed {
    /// What it says.
    verdict: ProposedVerdict,
    /// Why, in one sentence.
    reason: String,
    /// What is to be done, in order; for verdict `change` at least one, else none.
    #[serde(default)]
    changes: Vec<ProposedChange>,
    /// What it concludes from: objects of texts, such as `{"file": "/etc/motd"}`.
    #[serde(default)]
    evidence: Vec<BTreeMap<String, String>>,
    /// What it left alone although it may matter, and why.
    #[serde(default)]
    warnings: Vec<String>,
}

/// The words for verdicts. A program that fails ends with a status other than 0 instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProposedVerdict {
    /// Something must change.
    Change,
    /// Already right.
    Fine,
    /// Nothing to do with this guest.
    NotApplicable,
    /// It would matter, but cannot be done.
    Blocked,
}

/// One change, in the form in which `refit plan --json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum ProposedChange {
    /// Create a regular file, or replace the content of one. Missing directories are made.
    Write {
        /// The file; a link is followed.
        path: WirePath,
        /// Permission bits in octal; an existing file keeps its own if none are given, a new one
        /// gets 0644.
        mode: Option<Mode>,
        /// Its whole new content, if that is UTF-8.
        content: Option<String>,
        /// Its whole new content in Base64.
        content_base64: Option<String>,
    },
    /// Remove a file, a link, or a directory with all that is in it.
    Remove {
        /// What goes.
        path: WirePath,
    },
    /// Create a symbolic link, replacing a file or link of that name.
    Link {
        /// The link.
        path: WirePath,
        /// Where it leads, as it is to be written.
        target: String,
    },
    /// Set permission bits.
    Chmod {
        /// The file or directory.
        path: WirePath,
        /// The new bits.
        mode: Mode,
    },
    /// Create a directory.
    Mkdir {
        /// The directory.
        path: WirePath,
        /// Its permission bits.
        mode: Mode,
    },
    /// Set owner and group.
    Chown {
        /// The file or directory.
        path: WirePath,
        /// User, by number.
        uid: u32,
        /// Group, by number.
        gid: u32,
    },
    /// Append files to an initramfs.
    InitramfsAppend {
        /// The initramfs image.
        path: WirePath,
        /// The files.
        files: Vec<ProposedFile>,
    },
    /// Set a registry value. Missing keys are made.
    RegistrySet {
        /// The hive.
        hive: WireHive,
        /// The key.
        key: WireKey,
        /// The value's name; empty for the default value.
        name: String,
        /// Its type, such as `REG_DWORD`.
        #[serde(rename = "type")]
        kind: String,
        /// Its data: a text, a list of texts, a number, or hexadecimal digits, as its type is.
        #[serde(default)]
        data: serde_json::Value,
        /// Its bytes in hexadecimal digits, instead of `data`.
        data_hex: Option<String>,
    },
    /// Remove a registry value, or a key with all that is below it.
    RegistryDelete {
        /// The hive.
        hive: WireHive,
        /// The key.
        key: WireKey,
        /// The value's name; without it the whole key goes.
        name: Option<String>,
    },
    /// Create a registry key.
    RegistryCreate {
        /// The hive.
        hive: WireHive,
        /// The key.
        key: WireKey,
    },
}

/// One file for an initramfs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProposedFile {
    /// Where early user space finds it.
    path: WirePath,
    /// Permission bits.
    mode: Mode,
    /// Its content, if that is UTF-8.
    content: Option<String>,
    /// Its content in Base64.
    content_base64: Option<String>,
}

/// Content in an answer.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Content {
    /// Text.
    Content(String),
    /// Anything, in Base64.
    ContentBase64(String),
}

impl Content {
    pub(crate) fn new(content: Vec<u8>) -> Self {
        match String::from_utf8(content) {
            Ok(text) => Self::Content(text),
            Err(error) => Self::ContentBase64(
                base64::engine::general_purpose::STANDARD.encode(error.into_bytes()),
            ),
        }
    }
}

/// An absolute path in the guest, without `..`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("pattern" = "^/"))]
pub(crate) struct WirePath(#[schemars(with = "String")] pub(crate) GuestPath);

impl TryFrom<String> for WirePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |why: &str| {
            let shown: String = text.chars().take(200).collect();
            Err(format!("the path {shown:?} {why}"))
        };
        if !text.starts_with('/') {
            return wrong("is not absolute");
        }
        if text.contains('\0') || text.len() > 4095 {
            return wrong("is no path: it is too long, or has a NUL");
        }
        if text.split('/').any(|part| part == "..") {
            return wrong("has `..` in it");
        }
        Ok(Self(GuestPath::new(text)))
    }
}

/// Permission bits as octal text, such as `0644`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("pattern" = "^[0-7]{3,4}$"))]
pub(crate) struct Mode(#[schemars(with = "String")] u32);

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if octal => Ok(Self(mode)),
            _ => Err(format!(
                "the mode {text:?} must be three or four octal digits, such as \"0644\""
            )),
        }
    }
}

impl Proposed {
    /// Checks it and makes it the engine's.
    pub(crate) fn into_proposal(self) -> anyhow::Result<Proposal> {
        let reason = self.reason;
        ensure!(
            !reason.trim().is_empty(),
            "the program's verdict has no reason"
        );
        let changes = self
            .changes
            .into_iter()
            .enumerate()
            .map(|(index, change)| {
                change
                    .into_change()
                    .with_context(|| format!("reading changes[{index}] of the program's verdict"))
            })
            .collect::<anyhow::Result<Vec<Change>>>()?;
        let verdict = match (self.verdict, changes.is_empty()) {
            (ProposedVerdict::Change, false) => Verdict::Change { reason, changes },
            (ProposedVerdict::Change, true) => {
                bail!("the program's verdict is `change`, but it proposes none")
            }
            (ProposedVerdict::Fine, true) => Verdict::Fine { reason },
            (ProposedVerdict::NotApplicable, true) => Verdict::NotApplicable { reason },
            (ProposedVerdict::Blocked, true) => Verdict::Blocked { reason },
            (_, false) => bail!("the program proposes changes, but its verdict is not `change`"),
        };
        let evidence = self.evidence.into_iter().map(|facts| {
            Evidence(
                facts
                    .into_iter()
                    .map(|(key, value)| (key.into(), value))
                    .collect(),
            )
        });
        Ok(Proposal {
            verdict,
            evidence: evidence.collect(),
            warnings: self.warnings,
        })
    }
}

impl ProposedChange {
    fn into_change(self) -> anyhow::Result<Change> {
        Ok(match self {
            Self::Write {
                path,
                mode,
                content,
                content_base64,
            } => Change::Write {
                path: path.0,
                content: bytes(content, content_base64)?,
                mode: mode.map(|mode| mode.0),
            },
            Self::Remove { path } => Change::Remove { path: path.0 },
            Self::Link { path, target } => Change::Link {
                path: path.0,
                target: target.into_bytes(),
            },
            Self::Chmod { path, mode } => Change::Chmod {
                path: path.0,
                mode: mode.0,
            },
            Self::Mkdir { path, mode } => Change::Mkdir {
                path: path.0,
                mode: mode.0,
            },
            Self::Chown { path, uid, gid } => Change::Chown {
                path: path.0,
                uid,
                gid,
            },
            Self::InitramfsAppend { path, files } => Change::InitramfsAppend {
                path: path.0,
                files: files
                    .into_iter()
                    .map(|file| {
                        Ok(InitramfsFile {
                            path: file.path.0,
                            mode: file.mode.0,
                            content: bytes(file.content, file.content_base64)?,
                        })
                    })
                    .collect::<anyhow::Result<_>>()?,
            },
            Self::RegistrySet {
                hive,
                key,
                name,
                kind,
                data,
                data_hex,
            } => {
                let value = ValueJson {
                    kind,
                    data,
                    data_hex,
                };
                Change::RegistrySet {
                    hive: hive.0,
                    key: key.not_root()?,
                    value: value
                        .value()
                        .with_context(|| format!("reading the value {name:?}"))?,
                    name,
                }
            }
            Self::RegistryDelete { hive, key, name } => Change::RegistryDelete {
                hive: hive.0,
                key: key.not_root()?,
                name,
            },
            Self::RegistryCreate { hive, key } => Change::RegistryCreate {
                hive: hive.0,
                key: key.not_root()?,
            },
        })
    }
}

fn bytes(content: Option<String>, base64: Option<String>) -> anyhow::Result<Vec<u8>> {
    match (content, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(text)) => base64::engine::general_purpose::STANDARD
            .decode(text)
            .context("reading content_base64"),
        _ => bail!("a file needs `content` or `content_base64`, and not both"),
    }
}

/// Every line of the protocol, for its schema.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "refit/fixup/v1")]
#[expect(dead_code, reason = "its schema is what matters")]
pub(crate) enum Line<'t> {
    /// From refit, first.
    Task(Task<'t>),
    /// From the program, any number of times.
    #[serde(skip_serializing)]
    Question(Question),
    /// From refit, one for each question.
    Answer(Answer),
    /// From the program, last.
    #[serde(skip_serializing)]
    Verdict(Proposed),
}
