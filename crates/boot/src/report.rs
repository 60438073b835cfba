//! What came up, as data.

use std::path::PathBuf;

use refit_machine::{Firmware, Mac};
use serde::Serialize;

use crate::{Accel, Hardware};

/// How a boot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A login prompt on the serial console.
    Login,
    /// The marker that was asked for.
    Marker,
    /// Neither within the time limit.
    Timeout,
    /// The kernel panicked.
    Panic,
    /// systemd gave up and went to emergency or rescue mode.
    Emergency,
    /// The initramfs found no root file system and started its shell.
    InitramfsShell,
    /// The boot loader stopped at its own prompt.
    BootLoader,
    /// The firmware found nothing to boot.
    NoBootDevice,
    /// The guest switched itself off.
    PoweredOff,
    /// qemu did not start, or died.
    QemuFailed,
}

impl Outcome {
    /// Whether the guest came up.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Login | Self::Marker)
    }
}

/// Who told the facts from inside the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactsFrom {
    /// Commands after a login on the serial console.
    Login,
}

/// What came up. Strings from the guest are bounded and have no control characters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BootReport {
    /// How it ended.
    pub outcome: Outcome,
    /// The same for people, with the likely reason.
    pub message: String,
    /// Seconds from power-on to the outcome.
    pub seconds: f64,
    /// What ran the guest's code.
    pub accel: Accel,
    /// The firmware used.
    pub firmware: Firmware,
    /// The kind of machine.
    pub hardware: Hardware,
    /// Who told the facts; absent if only the console was seen.
    pub facts_from: Option<FactsFrom>,
    /// The host name, from inside or from the login prompt.
    pub hostname: Option<String>,
    /// The kernel's release, as `uname -r` says.
    pub kernel: Option<String>,
    /// What is mounted on `/`.
    pub root_device: Option<String>,
    /// All network interfaces but loopback.
    pub nics: Vec<NicReport>,
    /// Default routes, as `ip route` prints them.
    pub routes: Vec<String>,
    /// Names of failed systemd units; absent if not known.
    pub failed_units: Option<Vec<String>>,
    /// The commands that were asked for.
    pub commands: Vec<CommandReport>,
    /// The screenshot, if one was saved.
    pub screenshot: Option<PathBuf>,
    /// The console log, if one was saved.
    pub serial_log: Option<PathBuf>,
    /// The console's last lines, if the guest did not come up or did not answer the login.
    pub console_tail: Vec<String>,
    /// What went wrong beside the boot itself.
    pub warnings: Vec<String>,
}

/// One network interface as the guest sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NicReport {
    /// The interface's name.
    pub name: String,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// The kernel's operational state (`up`, `down`, `unknown`, ...).
    pub state: String,
    /// The device's driver; absent for bonds, bridges and the like.
    pub driver: Option<String>,
    /// IPv4 and IPv6 addresses with prefix length, without IPv6 link-local ones.
    pub addresses: Vec<String>,
}

/// One command that was run in the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommandReport {
    /// The command.
    pub command: String,
    /// Its exit status; absent if it did not end in time.
    pub status: Option<i32>,
    /// What it printed (standard output and error), at most 64 KiB.
    pub output: String,
}
