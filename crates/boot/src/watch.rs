//! What the console says about the boot: which texts mean what. Pure.
//!
//! The texts are those of the programs themselves: SeaBIOS, edk2's BdsDxe, GRUB, Linux,
//! initramfs-tools, dracut, systemd, agetty.

use crate::Outcome;
use crate::console::Console;

/// A decisive sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sight {
    pub outcome: Outcome,
    /// For people: what was seen, and the likely reason.
    pub message: String,
    /// The host name in a login prompt.
    pub hostname: Option<String>,
}

/// Reads a console from line to line.
#[derive(Debug)]
pub(crate) struct Watch {
    marker: Option<String>,
    seen: u64,
}

/// Texts of the firmware when nothing is left to boot.
const NO_BOOT_DEVICE: [&str; 5] = [
    "No bootable device",
    "No bootable option or device was found",
    "Operating system not found",
    "Missing operating system",
    "UEFI Interactive Shell",
];

/// The firmware's reason for each boot option that Secure Boot refuses (`EFI_SECURITY_VIOLATION`).
const SECURE_BOOT: &str = ": Security Violation";

/// systemd's sulogin banners.
const EMERGENCY: [&str; 2] = ["You are in emergency mode", "You are in rescue mode"];

/// dracut's, on the way to its shell. initramfs-tools' shell is known by its prompt.
const DRACUT_SHELL: [&str; 2] = [
    "Generating \"/run/initramfs/rdsosreport.txt\"",
    "Entering emergency mode. Exit the shell to continue",
];

/// Lines that usually say why, best first.
const REASONS: [&str; 8] = [
    "ALERT!",
    "does not exist",
    "Failed to mount",
    "Timed out waiting for device",
    "Dependency failed for",
    "Cannot open root device",
    "error: ",
    "Boot failed: ",
];

impl Watch {
    /// With a marker, a login prompt is no outcome.
    pub fn new(marker: Option<String>) -> Self {
        Self { marker, seen: 0 }
    }

    /// Looks at what came since the last look.
    pub fn look(&mut self, console: &Console) -> Option<Sight> {
        let lines: Vec<&str> = console.since(self.seen).collect();
        self.seen = console.position();
        let partial = console.partial();
        lines
            .into_iter()
            .find_map(|line| self.judge(line, console))
            .or_else(|| self.judge(&partial, console))
            .or_else(|| judge_prompt(partial.trim(), console))
    }

    fn judge(&self, line: &str, console: &Console) -> Option<Sight> {
        if let Some(marker) = self
            .marker
            .as_ref()
            .filter(|marker| line.contains(marker.as_str()))
        {
            return Some(sight(
                Outcome::Marker,
                format!("the guest printed {marker:?}"),
            ));
        }
        if let Some(at) = line.find("Kernel panic - not syncing") {
            return Some(sight(
                Outcome::Panic,
                format!("the kernel panicked: {}", &line[at..]),
            ));
        }
        if EMERGENCY.iter().any(|text| line.contains(text)) {
            let message = "systemd gave up and went to emergency mode, most often for a mount in /etc/fstab whose device is not there";
            return Some(sight(Outcome::Emergency, with_reason(message, console)));
        }
        if DRACUT_SHELL.iter().any(|text| line.contains(text)) {
            return Some(initramfs(console));
        }
        if let Some(text) = NO_BOOT_DEVICE.iter().find(|text| line.contains(**text)) {
            let reason = match console.since(0).any(|line| line.contains(SECURE_BOOT)) {
                true => {
                    "Secure Boot refused the boot loader, as no key that it knows has signed it"
                }
                false => "wrong firmware (BIOS or UEFI), wrong disk order, or no boot loader",
            };
            let message = format!("the firmware found nothing to boot ({text}): {reason}");
            return Some(sight(Outcome::NoBootDevice, message));
        }
        let hostname = login_prompt(line).filter(|_| self.marker.is_none())?;
        Some(Sight {
            outcome: Outcome::Login,
            message: "a login prompt appeared on the serial console".into(),
            hostname: Some(hostname.to_owned()).filter(|name| !name.is_empty()),
        })
    }
}

/// Prompts count only where the cursor stands: the same text in the middle is somebody's message.
fn judge_prompt(partial: &str, console: &Console) -> Option<Sight> {
    match partial {
        "(initramfs)" | "dracut:/#" => Some(initramfs(console)),
        "grub>" | "grub rescue>" => {
            let message =
                "GRUB stopped at its own prompt: it did not find its configuration or modules";
            Some(sight(Outcome::BootLoader, with_reason(message, console)))
        }
        _ => None,
    }
}

fn initramfs(console: &Console) -> Sight {
    let message = "the initramfs did not find the root file system and started its shell, most often for want of the disk's driver";
    sight(Outcome::InitramfsShell, with_reason(message, console))
}

fn sight(outcome: Outcome, message: impl Into<String>) -> Sight {
    Sight {
        outcome,
        message: message.into(),
        hostname: None,
    }
}

fn with_reason(message: &str, console: &Console) -> String {
    let reason = REASONS
        .iter()
        .find_map(|text| console.since(0).rev().find(|line| line.contains(text)));
    match reason {
        Some(line) => format!("{message}. It said: {}", line.trim()),
        None => message.to_owned(),
    }
}

/// The host name before agetty's `login:`. Kernel messages may follow on the same line, but nothing
/// except one word may stand before it: `Last login: ...` is none.
fn login_prompt(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("login:")?;
    let word = before.strip_suffix(' ').unwrap_or(before);
    let is_prompt = !word.contains(char::is_whitespace)
        && word != "Last"
        && (word.is_empty() || before.ends_with(' '))
        && (after.trim().is_empty() || after.trim_start().starts_with('['));
    is_prompt.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str, marker: Option<&str>) -> Option<Sight> {
        let mut console = Console::default();
        console.feed(text.as_bytes());
        Watch::new(marker.map(str::to_owned)).look(&console)
    }

    #[test]
    fn texts_and_what_they_mean() {
        use Outcome::*;
        let table = [
            (
                "\r\nDebian GNU/Linux 12 web1 ttyS0\r\n\r\nweb1 login: ",
                Login,
            ),
            ("localhost login: [   12.3] random: crng init done\n", Login),
            ("login: ", Login),
            (
                "[ 2.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n",
                Panic,
            ),
            (
                "You are in emergency mode. After logging in, type \"journalctl -xb\"\n",
                Emergency,
            ),
            (
                "ALERT!  UUID=1 does not exist.  Dropping to a shell!\n\n(initramfs) ",
                InitramfsShell,
            ),
            (
                "Generating \"/run/initramfs/rdsosreport.txt\"\n",
                InitramfsShell,
            ),
            (
                "error: no such device: 1.\nEntering rescue mode...\ngrub rescue> ",
                BootLoader,
            ),
            (
                "Booting from Hard Disk...\nNo bootable device.\n",
                NoBootDevice,
            ),
            (
                "BdsDxe: No bootable option or device was found.\n",
                NoBootDevice,
            ),
        ];
        for (text, outcome) in table {
            assert_eq!(
                look(text, None).map(|sight| sight.outcome),
                Some(outcome),
                "{text:?}"
            );
        }
    }

    #[test]
    fn what_only_looks_like_it() {
        for text in [
            "Last login: Mon Jan 1 on ttyS0\n",
            "systemd-logind[1]: New login: root\n",
            "sshd: failed login: x\n",
            "typing (initramfs) here\n",
            "press c for grub> prompt\n",
            "Welcome to GRUB!\n",
        ] {
            assert_eq!(look(text, None), None, "{text:?}");
        }
    }

    #[test]
    fn a_marker_replaces_the_prompt() {
        assert_eq!(look("web1 login: ", Some("READY")), None);
        assert_eq!(
            look("svc READY now", Some("READY")).unwrap().outcome,
            Outcome::Marker
        );
        assert_eq!(
            look("Kernel panic - not syncing: x\n", Some("READY"))
                .unwrap()
                .outcome,
            Outcome::Panic
        );
    }

    #[test]
    fn messages_give_name_and_reason() {
        assert_eq!(
            look("web1 login: ", None).unwrap().hostname.as_deref(),
            Some("web1")
        );
        assert_eq!(look("login: ", None).unwrap().hostname, None);
        let message = look("ALERT!  UUID=1 does not exist.\n(initramfs) ", None)
            .unwrap()
            .message;
        assert!(
            message.ends_with("It said: ALERT!  UUID=1 does not exist."),
            "{message}"
        );
    }

    #[test]
    fn secure_boot_is_named() {
        let text = "BdsDxe: failed to load Boot0001 \"UEFI\" from Pci: Security Violation\nBdsDxe: No bootable option or device was found.\n";
        assert!(
            look(text, None)
                .unwrap()
                .message
                .contains("Secure Boot refused")
        );
        assert!(
            !look("No bootable device.\n", None)
                .unwrap()
                .message
                .contains("Secure Boot")
        );
    }

    #[test]
    fn a_line_is_judged_once_it_is_there_however_it_arrives() {
        let mut console = Console::default();
        let mut watch = Watch::new(None);
        for (piece, seen) in [("web1 lo", false), ("gin:", true)] {
            console.feed(piece.as_bytes());
            assert_eq!(watch.look(&console).is_some(), seen, "{piece}");
        }
    }
}
