//! Turns what virt-v2v says into events and facts. Pure: no process, no clock.

use std::collections::VecDeque;
use std::time::Duration;

use crate::errors::RootChoice;
use crate::event::{Event, Phase};
use crate::messages::{Level, Message};
use crate::outcome::{Outcome, Timing};
use crate::roots::{Roots, TRACE};

/// How many lines of other programs' complaints are kept for the diagnosis.
const MAX_COMPLAINTS: usize = 64;
/// How many warnings and informational messages are kept each.
const MAX_NOTES: usize = 1000;

/// libguestfs prints this when its daemon has answered.
const APPLIANCE_IS_UP: &str = "libguestfs: appliance is up";

/// Programs on the host whose lines on standard error can explain a failure. The appliance's
/// console and the guest's own words go to the same stream; they are not evidence.
const HOST_PROGRAMS: &[&str] = &[
    "virt-v2v: ",
    "virt-v2v-in-place: ",
    "virt-v2v-inspector: ",
    "qemu-nbd: ",
    "qemu-img: ",
    "qemu-system-",
    "qemu-kvm: ",
    "nbdcopy: ",
    "nbdkit: ",
    // Its newer versions add the name that virt-v2v gives them: `nbdkit[in0]: `.
    "nbdkit[",
    "libguestfs: error: ",
    // Otherwise it may be the appliance's first program, which has the same name.
    "supermin: error: ",
    "sh: ",
    "tar: ",
    "unzip: ",
    "xmllint: ",
];

/// The state of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    phase: Option<Phase>,
    appliance_up: bool,
    begun: Option<Duration>,
    disk: u32,
    disks: u32,
    percent: Option<u8>,
    error: Option<String>,
    complaints: VecDeque<String>,
    encrypted: bool,
    roots: Roots,
    outcome: Outcome,
}

impl Reader {
    /// Takes a message for machines.
    pub(crate) fn message(&mut self, message: &Message, at: Duration) -> Option<Event> {
        let text = message.text.trim();
        match message.level {
            Level::Message => {
                let phase = self.begin(text, at);
                Some(Event::Phase {
                    phase,
                    text: text.to_owned(),
                    disk: (phase == Phase::Copy).then_some((self.disk, self.disks)),
                    at,
                })
            }
            Level::Warning if is_about_debugging(text) => {
                push(&mut self.outcome.infos, text);
                Some(Event::Info(text.to_owned()))
            }
            Level::Warning => {
                if text.contains("there are no virtio drivers available") {
                    self.outcome.virtio = Some(false);
                }
                push(&mut self.outcome.warnings, text);
                Some(Event::Warning(text.to_owned()))
            }
            Level::Info => {
                match text {
                    "This guest has virtio drivers installed." => self.outcome.virtio = Some(true),
                    "This guest does not have virtio drivers installed." => {
                        self.outcome.virtio = Some(false)
                    }
                    "This guest requires UEFI on the target to boot." => {
                        self.outcome.firmware_uefi = true
                    }
                    _ => {}
                }
                push(&mut self.outcome.infos, text);
                Some(Event::Info(text.to_owned()))
            }
            Level::Error => {
                self.error = Some(text.to_owned());
                None
            }
            Level::Other => None,
        }
    }

    /// Takes a line of standard error. A bar belongs to the disk that was announced last; what
    /// other programs print meanwhile stands on the same line.
    pub(crate) fn stderr_line(&mut self, line: &str) -> Option<Event> {
        let Some((before, percent, behind)) = find_bar(line) else {
            self.text_line(line);
            return None;
        };
        self.text_line(before);
        self.text_line(behind);
        // Other steps may be announced meanwhile.
        if self.disk == 0 || self.percent == Some(percent) {
            return None;
        }
        self.percent = Some(percent);
        Some(Event::Copy {
            disk: self.disk,
            disks: self.disks,
            percent,
            bytes: None,
            total: None,
        })
    }

    fn text_line(&mut self, line: &str) {
        if line == APPLIANCE_IS_UP {
            self.appliance_up = true;
        }
        let said = without_directory(line);
        if HOST_PROGRAMS
            .iter()
            .any(|program| said.starts_with(program))
            && ![" debug: ", ": warning: "]
                .iter()
                .any(|word| said.contains(word))
        {
            if self.complaints.len() == MAX_COMPLAINTS {
                self.complaints.pop_front();
            }
            self.complaints.push_back(said.to_owned());
        }
        // blkid's answer in the appliance, on a line of its own but for what overtakes it.
        if let Some("crypto_LUKS" | "BitLocker") = line.split(TRACE).next() {
            self.encrypted = true;
        }
        self.roots.line(line);
    }

    /// Whether the appliance is being started and has not answered yet.
    pub(crate) fn is_launching(&self) -> bool {
        self.phase.is_some_and(Phase::is_launch) && !self.appliance_up
    }

    /// The step that the run is in.
    pub(crate) fn phase(&self) -> Option<Phase> {
        self.phase
    }

    /// The error that virt-v2v reported.
    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Lines of programs on the host that are not mere debugging.
    pub(crate) fn complaints(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.complaints.iter().map(String::as_str)
    }

    /// Whether a disk of the guest is encrypted.
    pub(crate) fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// The operating systems that inspection listed.
    pub(crate) fn roots(&self) -> Vec<RootChoice> {
        self.roots.found()
    }

    /// Ends the last step and gives back what was learnt.
    pub(crate) fn finish(mut self, at: Duration) -> Outcome {
        self.end_step(at);
        self.outcome
    }

    fn begin(&mut self, text: &str, at: Duration) -> Phase {
        self.end_step(at);
        let phase = Phase::of_message(text);
        self.phase = Some(phase);
        self.begun = Some(at);
        self.percent = None;
        if phase == Phase::Copy {
            (self.disk, self.disks) =
                disk_numbers(text).unwrap_or((self.disk + 1, self.disks.max(self.disk + 1)));
        }
        if phase == Phase::Convert {
            self.outcome.guest = text
                .strip_prefix("Converting ")
                .and_then(|rest| rest.strip_suffix(" to run on KVM"))
                .map(str::to_owned);
        }
        if self.outcome.timings.len() < MAX_NOTES {
            self.outcome.timings.push(Timing {
                phase,
                text: text.to_owned(),
                seconds: 0.0,
            });
        }
        phase
    }

    fn end_step(&mut self, at: Duration) {
        if let (Some(begun), Some(last)) = (self.begun.take(), self.outcome.timings.last_mut()) {
            last.seconds = at.saturating_sub(begun).as_secs_f64();
        }
    }
}

/// virt-v2v 2.5.8 and later looks for traces of customization in the guest when it is verbose, which
/// it always is here, and warns that it found none.
fn is_about_debugging(warning: &str) -> bool {
    ["log file /tmp/builder.log: ", "Guestfs.Error(\"debug: "]
        .iter()
        .any(|start| warning.starts_with(start))
        && warning.ends_with(" (ignored)")
}

fn push(notes: &mut Vec<String>, text: &str) {
    if notes.len() < MAX_NOTES {
        notes.push(text.to_owned());
    }
}

/// Programs in C call themselves what they were started as: `/usr/bin/virt-v2v: could not ...`.
fn without_directory(line: &str) -> &str {
    let program = line.split(' ').next().unwrap_or_default();
    let directory = match program.rsplit_once('/') {
        Some((directory, _)) if line.starts_with('/') => directory.len() + 1,
        _ => 0,
    };
    line.get(directory..).unwrap_or(line)
}

/// `Copying disk 2/3` and whatever may follow gives (2, 3).
pub(crate) fn disk_numbers(text: &str) -> Option<(u32, u32)> {
    let (disk, rest) = text.strip_prefix("Copying disk ")?.split_once('/')?;
    let disks = rest
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    Some((disk.parse().ok()?, disks.parse().ok()?))
}

/// Whether it is a bar and no more. One without the end of a line is known to be whole by the next that is written.
pub(crate) fn is_bar(line: &[u8]) -> bool {
    let is_no_more = |(before, _, behind): (&str, u8, &str)| {
        before.trim().chars().count() <= 1 && behind.is_empty()
    };
    line.ends_with(b"]") && find_bar(&String::from_utf8_lossy(line)).is_some_and(is_no_more)
}

/// nbdcopy's bar, `  25% [****----]`, anywhere in a line: what stands before it, such as a spinner, its percentage, and
/// what stands behind it.
fn find_bar(line: &str) -> Option<(&str, u8, &str)> {
    line.rmatch_indices("% [").find_map(|(at, mark)| {
        let (bar, behind) = line.get(at + mark.len()..)?.split_once(']')?;
        if bar.is_empty() || !bar.bytes().all(|byte| byte == b'*' || byte == b'-') {
            return None;
        }
        let (before, digits) = line.get(..at)?.rsplit_once(' ')?;
        let percent = digits.parse().ok().filter(|percent| *percent <= 100)?;
        Some((before, percent, behind))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Lines;

    fn message(level: Level, text: &str) -> Message {
        Message {
            level,
            text: text.to_owned(),
        }
    }

    /// Messages first, then standard error: as the runner does.
    fn replay(jsonl: &str, stderr: &[u8]) -> (Reader, Vec<Event>) {
        let mut reader = Reader::default();
        let mut events = Vec::new();
        let mut lines = Lines::default();
        for (second, line) in jsonl.lines().enumerate() {
            let parsed = Message::parse(line.as_bytes()).unwrap();
            let copying = parsed.text.starts_with("Copying disk");
            events.extend(reader.message(&parsed, Duration::from_secs(second as u64)));
            if copying {
                lines.push(stderr, |line| {
                    events.extend(reader.stderr_line(&String::from_utf8_lossy(line)));
                });
                lines.finish(|line| {
                    events.extend(reader.stderr_line(&String::from_utf8_lossy(line)))
                });
            }
        }
        (reader, events)
    }

    #[test]
    fn a_debian_guest_from_start_to_end() {
        for (jsonl, guest, phases) in [
            (
                include_str!("../fixtures/debian12-2.2.0.machine-readable.jsonl"),
                "12.15",
                "setup open inspect check convert trim close target target destination copy \
                 metadata finish",
            ),
            (
                include_str!("../fixtures/debian12-2.6.0.machine-readable.jsonl"),
                "12.15 (debian12)",
                "setup open inspect check convert customize customize customize trim close target \
                 target destination copy metadata finish",
            ),
            (
                include_str!("../fixtures/debian12-2.10.0.machine-readable.jsonl"),
                "12.15 (debian12)",
                "setup open fsck inspect inspect inspect check convert customize customize \
                 customize trim fsck close target target destination copy metadata finish",
            ),
        ] {
            let (reader, events) = replay(jsonl, include_bytes!("../fixtures/debian12.bars.log"));
            let percents: Vec<u8> = events
                .iter()
                .filter_map(|event| match event {
                    Event::Copy {
                        disk: 1,
                        disks: 1,
                        percent,
                        ..
                    } => Some(*percent),
                    _ => None,
                })
                .collect();
            assert_eq!(percents.first(), Some(&0));
            assert_eq!(percents.last(), Some(&100));
            assert!(percents.is_sorted_by(|a, b| a < b), "{percents:?}");
            let outcome = reader.finish(Duration::from_secs(100));
            assert_eq!(outcome.guest.as_deref(), Some(guest));
            assert_eq!(outcome.virtio, Some(true));
            for warning in &outcome.warnings {
                assert!(warning.contains("could not "), "{warning}");
            }
            let steps: Vec<&str> = outcome.timings.iter().map(|step| step.phase.id()).collect();
            assert_eq!(steps.join(" "), phases);
            assert!(outcome.timings.iter().all(|step| step.seconds >= 1.0));
        }
    }

    #[test]
    fn drivers_that_are_missing_are_noticed() {
        let (reader, events) = replay(
            include_str!("../fixtures/no-virtio-drivers.machine-readable.jsonl"),
            b"",
        );
        assert_eq!(reader.outcome.virtio, Some(false));
        assert!(reader.outcome.windows_lacks_drivers());
        assert!(events.iter().any(
            |event| matches!(event, Event::Warning(text) if text.contains("no virtio drivers"))
        ));
    }

    #[test]
    fn only_a_windows_guest_can_be_given_drivers() {
        let none = "This guest does not have virtio drivers installed.";
        let block =
            "there is no virtio block device driver for this version of Windows (6.1 x86_64).";
        let net = "there is no virtio network driver for this version of Windows (6.1 x86_64).";
        for (product, warning, info, lacks) in [
            ("Windows 7", Some(block), none, true),
            ("the guest", Some(block), none, true),
            ("Windows Server 2016 (win2k16)", None, none, true),
            (
                "Windows 7",
                Some(net),
                "This guest has virtio drivers installed.",
                false,
            ),
            ("Red Hat Enterprise Linux AS release 4", None, none, false),
            (
                "the guest",
                Some("there are no virtio drivers available for this kernel"),
                none,
                false,
            ),
        ] {
            let mut reader = Reader::default();
            let converting = format!("Converting {product} to run on KVM");
            let mut say = |level, text: &str| reader.message(&message(level, text), Duration::ZERO);
            say(Level::Message, &converting);
            warning.map(|text| say(Level::Warning, text));
            say(Level::Info, info);
            assert_eq!(reader.outcome.virtio, Some(info != none));
            assert_eq!(reader.outcome.windows_lacks_drivers(), lacks, "{product}");
        }
    }

    #[test]
    fn bars_of_several_disks() {
        let mut reader = Reader::default();
        assert_eq!(
            reader.stderr_line("▝   3% [*-------]"),
            None,
            "nothing is being copied"
        );
        reader.message(&message(Level::Message, "Copying disk 2/3"), Duration::ZERO);
        assert_eq!(
            reader.stderr_line("▃  25% [**------]"),
            Some(Event::Copy {
                disk: 2,
                disks: 3,
                percent: 25,
                bytes: None,
                total: None
            })
        );
        assert_eq!(
            reader.stderr_line("▖  25% [**------]"),
            None,
            "only the spinner moved"
        );
        reader.message(&message(Level::Message, "Doing more"), Duration::ZERO);
        assert!(reader.stderr_line(" 100% [********]").is_some());
    }

    #[test]
    fn bars_are_found_as_forklifts_monitor_finds_them() {
        for (line, expected) in [
            (" 100% [**]", Some(("", 100, ""))),
            ("nbdkit: x 10% [**--]", Some(("nbdkit: x", 10, ""))),
            ("5% [x]  7% [*-] 9% [", Some(("5% [x] ", 7, " 9% ["))),
            ("x100% [**]", None),
            (" 101% [**]", None),
            (" 300% [**]", None),
            (" 10% []", None),
            ("[   0.235524] DMA: preallocated 512 KiB 50% [ok]", None),
        ] {
            assert_eq!(find_bar(line), expected, "{line:?}");
        }
        assert!(is_bar("▝   3% [*-------]".as_bytes()));
        for line in ["▝   3% [*---", "a b  3% [*---]", "▝   3% [*---]x"] {
            assert!(!is_bar(line.as_bytes()), "{line:?}");
        }
    }

    #[test]
    fn a_disk_is_announced_with_its_number() {
        let mut reader = Reader::default();
        let mut announced =
            |text: &str| match reader.message(&message(Level::Message, text), Duration::ZERO) {
                Some(Event::Phase { disk, .. }) => disk,
                other => panic!("{other:?}"),
            };
        assert_eq!(announced("Creating an overlay"), None);
        assert_eq!(announced("Copying disk 2/3"), Some((2, 3)));
        assert_eq!(announced("Copying disk 3/4, 10 GiB"), Some((3, 4)));
        assert_eq!(announced("Copying disk unnumbered"), Some((4, 4)));
        assert_eq!(announced("Finishing off"), None);
    }

    #[test]
    fn launch_ends_with_the_daemons_answer_or_the_next_step() {
        let mut reader = Reader::default();
        assert!(!reader.is_launching());
        reader.message(
            &message(Level::Message, "Opening the source"),
            Duration::ZERO,
        );
        assert!(reader.is_launching());
        reader.stderr_line("[    0.1] console: libguestfs: appliance is up");
        assert!(reader.is_launching(), "the console cannot say so");
        reader.stderr_line(APPLIANCE_IS_UP);
        assert!(!reader.is_launching());
    }

    #[test]
    fn the_console_is_not_evidence() {
        let mut reader = Reader::default();
        for line in [
            "[    0.235524] virt-v2v: error: No space left on device",
            "guestfsd: error: x",
            "nbdkit: debug: writing",
            "supermin: mounting /proc",
            "nbdkit: file[1]: debug: No space left on device",
            "nbdkit[in0]: file[1]: debug: file: finalize",
            "/usr/bin/virt-v2v",
            "▖  75% [***-]nbdkit: file.1: error: pwrite: No space left on device",
            "▖  75% [***-]nbdkit[out0]: file.1: error: pwrite: No space left on device",
            "/opt/v2v/bin/virt-v2v: could not read key from user",
            "virt-v2v: warning: fstrim failed: No space left on device",
        ] {
            reader.stderr_line(line);
        }
        assert_eq!(
            reader.complaints().collect::<Vec<_>>(),
            [
                "nbdkit: file.1: error: pwrite: No space left on device",
                "nbdkit[out0]: file.1: error: pwrite: No space left on device",
                "virt-v2v: could not read key from user",
            ]
        );
    }
}
