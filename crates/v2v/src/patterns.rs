//! What virt-v2v's errors mean: one table.

use crate::errors::{ConvertError, ErrorKind};
use crate::output::Reader;

/// Where a pattern is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the error that virt-v2v reported.
    Error,
    /// In what programs on the host printed, such as `qemu-nbd: ...`.
    Complaint,
}

/// One row: all `parts` occur in one text, in any order.
#[derive(Debug)]
struct Pattern {
    place: Place,
    parts: &'static [&'static str],
    kind: fn(&str) -> ErrorKind,
}

const fn error(parts: &'static [&'static str], kind: fn(&str) -> ErrorKind) -> Pattern {
    Pattern {
        place: Place::Error,
        parts,
        kind,
    }
}

const fn complaint(parts: &'static [&'static str], kind: fn(&str) -> ErrorKind) -> Pattern {
    Pattern {
        place: Place::Complaint,
        parts,
        kind,
    }
}

/// Starts the paragraph that names what inspection did not find out.
const FIELD: &str = "Inspection field ";

/// The first row that matches decides: causes come before consequences. Each has a sample of real
/// output in the tests.
const TABLE: &[Pattern] = &[
    // Said plainly.
    error(&["could not find key to open"], |_| {
        ErrorKind::EncryptedNoKey
    }),
    error(&["multi-boot operating systems are not supported"], |_| {
        ErrorKind::SeveralOperatingSystems { roots: Vec::new() }
    }),
    error(&["root device", "not found", "Roots found were"], |_| {
        ErrorKind::WrongRootDevice
    }),
    error(&["unknown --root option"], |_| ErrorKind::WrongRootDevice),
    // A system was found, but not one that libguestfs knows.
    error(
        &[
            "inspection could not detect the source guest",
            FIELD,
            "i_distro",
        ],
        |_| ErrorKind::UnsupportedGuest {
            guest: "an unknown distribution".to_owned(),
        },
    ),
    // A system was found, but not all of what virt-v2v must know of it.
    error(
        &["inspection could not detect the source guest", FIELD],
        |_| ErrorKind::DamagedGuest,
    ),
    error(&["inspection could not detect the source guest"], |_| {
        ErrorKind::NoOperatingSystem
    }),
    error(&["unable to convert this guest type"], |text| {
        ErrorKind::UnsupportedGuest {
            guest: between(text, '(', ')').unwrap_or("unknown").to_owned(),
        }
    }),
    error(
        &["not enough free space for conversion on filesystem"],
        |text| ErrorKind::NoSpaceGuest {
            filesystem: between(text, '‘', '’')
                .or_else(|| between(text, '\'', '\''))
                .unwrap_or("(unnamed)")
                .to_owned(),
        },
    ),
    error(
        &["insufficient free space in the conversion server temporary directory"],
        |_| ErrorKind::NoSpaceHost,
    ),
    error(&["rhsrvany.exe", "is missing"], |_| {
        ErrorKind::NoFirstbootService
    }),
    error(&["NTFS partition is in an unsafe state"], |_| {
        ErrorKind::DirtyNtfs
    }),
    error(&["Windows Hibernation"], |_| ErrorKind::DirtyNtfs),
    error(&["detected errors on the XFS filesystem"], |_| {
        ErrorKind::DamagedFilesystem
    }),
    error(&["libguestfs error: e2fsck"], |_| {
        ErrorKind::DamagedFilesystem
    }),
    error(&["Structure needs cleaning"], |_| {
        ErrorKind::DamagedFilesystem
    }),
    error(&["Hivex.Error"], |_| ErrorKind::DamagedGuest),
    error(&["filesize: /", "No such file or directory"], |_| {
        ErrorKind::DamagedGuest
    }),
    error(&["mount_stub", "No such file or directory"], |_| {
        ErrorKind::DamagedGuest
    }),
    error(
        &["unable to rebuild initrd", "not found in the guest"],
        |_| ErrorKind::DamagedGuest,
    ),
    error(&["partition outside the disk"], |_| ErrorKind::ImageBroken),
    error(&["cannot open /dev/", "Input/output error"], |_| {
        ErrorKind::ImageBroken
    }),
    error(&["access: No such file or directory"], |_| {
        ErrorKind::NotFound
    }),
    error(&["access: Permission denied"], |_| {
        ErrorKind::PermissionDenied
    }),
    error(&["output directory does not exist"], |_| {
        ErrorKind::NotFound
    }),
    error(&["unsupported file format"], |_| ErrorKind::NotADiskImage),
    error(&["unable to parse XML"], |_| ErrorKind::NotADiskImage),
    // The cause is what a program on the host said, or what virt-v2v said without a message.
    complaint(&["could not find key to open"], |_| {
        ErrorKind::EncryptedNoKey
    }),
    complaint(&["could not read key from user"], |_| {
        ErrorKind::EncryptedNoKey
    }),
    complaint(&["Failed to get", "lock"], |_| ErrorKind::ImageInUse),
    complaint(&["nbdcopy", "executable not found"], |_| {
        ErrorKind::ToolMissing {
            name: "nbdcopy".into(),
        }
    }),
    complaint(&["No space left on device"], |_| ErrorKind::NoSpaceHost),
    complaint(&["Failed to blk_new_open"], |_| ErrorKind::ImageBroken),
    complaint(&["unrecognized option"], |_| ErrorKind::BadOption),
    complaint(&["option used more than once"], |_| ErrorKind::BadOption),
    complaint(&["Exiting on signal"], |text| ErrorKind::Killed {
        signal: signal_number(text),
    }),
    // Consequences, when no cause is known.
    error(&["guestfs_launch failed"], |_| ErrorKind::ApplianceFailed),
    error(&["qemu-img info exited with error"], |_| {
        ErrorKind::ImageBroken
    }),
];

/// `Exiting on signal SIGTERM`.
fn signal_number(text: &str) -> i32 {
    match text.rsplit(' ').next() {
        Some("SIGHUP") => 1,
        Some("SIGINT") => 2,
        Some("SIGQUIT") => 3,
        _ => 15,
    }
}

/// Explains why the run failed.
pub(crate) fn classify(reader: &Reader) -> ConvertError {
    let words = own_words(reader);
    let found = TABLE.iter().find_map(|pattern| {
        let matches = |text: &&str| pattern.parts.iter().all(|part| text.contains(part));
        let text = match pattern.place {
            Place::Error => Some(words.as_str()).filter(matches),
            Place::Complaint => reader.complaints().find(matches),
        }?;
        Some(((pattern.kind)(text), text))
    });
    let Some((kind, text)) = found else {
        let text = match words.as_str() {
            "" => reader.complaints().next_back().unwrap_or_default(),
            words => words,
        };
        return ConvertError::new(ErrorKind::Other, first_paragraph(text));
    };
    // An encrypted disk without its key looks like one without an operating system.
    let kind = match kind {
        ErrorKind::NoOperatingSystem if reader.encrypted() => ErrorKind::EncryptedNoKey,
        ErrorKind::SeveralOperatingSystems { .. } => ErrorKind::SeveralOperatingSystems {
            roots: reader.roots(),
        },
        kind => kind,
    };
    ConvertError::new(kind, first_paragraph(text))
}

/// virt-v2v's own error: the message, else the line (errors about options come before there are
/// messages).
fn own_words(reader: &Reader) -> String {
    let line = || {
        reader
            .complaints()
            .rev()
            .find_map(|line| line.split_once(": error: "))
            .map(|(_, text)| text)
    };
    reader.error().or_else(line).unwrap_or_default().to_owned()
}

/// Later paragraphs are about debugging and bug reports; only one of them says more.
fn first_paragraph(text: &str) -> String {
    let mut paragraphs = text.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let first = first
        .split("\nTo see full error messages")
        .next()
        .unwrap_or_default();
    paragraphs
        .find(|paragraph| paragraph.starts_with(FIELD))
        .map_or_else(|| first.to_owned(), |field| format!("{first} {field}"))
        .trim()
        .replace('\n', " ")
}

fn between(text: &str, open: char, close: char) -> Option<&str> {
    let (_, rest) = text.split_once(open)?;
    let (inner, _) = rest.split_once(close)?;
    Some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Message;
    use std::time::Duration;

    fn read(jsonl: &str, stderr: &str) -> Reader {
        let mut reader = Reader::default();
        for line in jsonl.lines() {
            reader.message(&Message::parse(line.as_bytes()).unwrap(), Duration::ZERO);
        }
        for line in stderr.split(['\n', '\r']) {
            reader.stderr_line(line);
        }
        reader
    }

    /// Every row of the table is hit by a sample; each file names its origin.
    #[test]
    fn real_failures() {
        let mut unused: Vec<bool> = TABLE.iter().map(|_| true).collect();
        for sample in include_str!("../fixtures/failures.txt").split("\n---\n") {
            let body: Vec<&str> = sample
                .lines()
                .filter(|line| !line.starts_with('#'))
                .collect();
            let Some((expected, rest)) = body.split_first() else {
                continue;
            };
            let (jsonl, stderr): (Vec<&str>, Vec<&str>) = rest
                .iter()
                .partition(|line| line.starts_with("{ \"message\""));
            let reader = read(&jsonl.join("\n"), &stderr.join("\n"));
            let error = classify(&reader);
            assert_eq!(format!("{:?}", error.kind), *expected, "{sample}");
            assert!(!error.detail.is_empty(), "{sample}");
            let words = own_words(&reader);
            if let Some(index) = TABLE.iter().position(|pattern| {
                let matches = |text: &str| pattern.parts.iter().all(|part| text.contains(part));
                match pattern.place {
                    Place::Error => matches(&words),
                    Place::Complaint => reader.complaints().any(matches),
                }
            }) {
                unused[index] = false;
            }
        }
        let unused: Vec<&Pattern> = TABLE
            .iter()
            .zip(unused)
            .filter(|(_, unused)| *unused)
            .map(|(row, _)| row)
            .collect();
        assert!(unused.is_empty(), "rows without a sample: {unused:?}");
    }

    #[test]
    fn look_alikes_on_the_console_explain_nothing() {
        let reader = read(
            "",
            "[    0.235524] DMA: preallocated 512 KiB GFP_KERNEL pool for atomic allocations\n\
             [   12.000000] EXT4-fs error (device sda1): No space left on device\n\
             guestfsd: error: Permission denied\n\
             libguestfs: closing guestfs handle 0x56312ebac020 (state 0)\n",
        );
        assert_eq!(classify(&reader).kind, ErrorKind::Other);
    }

    #[test]
    fn several_systems_are_listed() {
        let reader = read(
            include_str!("../fixtures/two-systems.machine-readable.jsonl"),
            include_str!("../fixtures/two-systems.stderr.log"),
        );
        let ErrorKind::SeveralOperatingSystems { roots } = classify(&reader).kind else {
            panic!("wrong kind");
        };
        assert_eq!(roots.len(), 2);
    }
}
