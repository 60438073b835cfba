//! Whether KVM really runs code here.
//!
//! That `/dev/kvm` opens and even creates virtual machines proves little: on some cloud machines and
//! under some nested hypervisors guests then hang at their first instruction. So the probe runs one.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use std::fmt;

use serde::Serialize;

use crate::options::spelt;
use crate::process::{self, QEMU};

/// Enough for the probe on a loaded machine; a working KVM answers in a quarter of a second.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// What runs a guest's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Accel {
    /// Hardware virtualisation.
    Kvm,
    /// qemu's translator: works everywhere, many times slower.
    Tcg,
}

impl Accel {
    /// Virtual CPUs if none are asked for. Emulated ones that run side by side have races in qemu which
    /// stop guests, and on a busy host several of them start no guest sooner than one.
    #[must_use]
    pub fn vcpus(self) -> u32 {
        match self {
            Self::Kvm => 2,
            Self::Tcg => 1,
        }
    }
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

spelt! {
    /// Which accelerator to use.
    AccelChoice, "accelerator" {
        /// KVM if [`probe`] says that it works, else TCG.
        #[default]
        Auto = "auto",
        /// KVM, or an error.
        Kvm = "kvm",
        /// TCG.
        Tcg = "tcg",
    }
}

/// The probe's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "reason", rename_all = "lowercase")]
pub enum Kvm {
    /// A guest ran code under KVM.
    Works,
    /// There is no KVM here, or it must not be used; why.
    Missing(String),
    /// KVM is there, but a guest did not run; what happened.
    Broken(String),
}

impl Kvm {
    /// Whether guests can run under KVM.
    pub fn works(&self) -> bool {
        matches!(self, Self::Works)
    }

    /// The best accelerator that works.
    pub fn accel(&self) -> Accel {
        if self.works() { Accel::Kvm } else { Accel::Tcg }
    }
}

impl fmt::Display for Kvm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => f.write_str("KVM works"),
            Self::Missing(reason) => write!(f, "no KVM: {reason}"),
            Self::Broken(reason) => write!(f, "KVM is there but does not run code: {reason}"),
        }
    }
}

/// What the boot sector writes to the exit device, and what qemu makes of it: `(value << 1) | 1`
/// (qemu's `isa-debug-exit`). Neither 0 nor 1, which qemu uses itself.
const EXIT_VALUE: u8 = 0x15;
const EXIT_STATUS: i32 = ((EXIT_VALUE as i32) << 1) | 1;
const EXIT_PORT: u16 = 0x501;

/// A boot sector that ends qemu with [`EXIT_STATUS`].
fn boot_sector() -> [u8; 512] {
    let [port_low, port_high] = EXIT_PORT.to_le_bytes();
    let code = [
        0xba, port_low, port_high, // mov dx, EXIT_PORT
        0xb0, EXIT_VALUE, // mov al, EXIT_VALUE
        0xee,       // out dx, al
        0xf4,       // hlt          (not reached)
        0xeb, 0xfd, // jmp the hlt
    ];
    let mut sector = [0; 512];
    sector[..code.len()].copy_from_slice(&code);
    sector[510..].copy_from_slice(&[0x55, 0xaa]); // the mark of a bootable disk
    sector
}

/// Runs a boot sector under KVM. Takes at most about `timeout`, and never fails: what keeps it from
/// working is the answer.
pub fn probe(timeout: Duration) -> Kvm {
    if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        return Kvm::Missing(match error.kind() {
            io::ErrorKind::NotFound => "there is no /dev/kvm (no hardware virtualisation, or the kvm modules are not loaded)".into(),
            io::ErrorKind::PermissionDenied => "no permission to open /dev/kvm (is the user in the group kvm?)".into(),
            _ => format!("cannot open /dev/kvm: {error}"),
        });
    }
    run_sector(Accel::Kvm, timeout)
}

/// The probe itself; with TCG it shows (in the tests) that the sector is right.
fn run_sector(accel: Accel, timeout: Duration) -> Kvm {
    match try_sector(accel, timeout) {
        Ok(answer) => answer,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Kvm::Missing(format!("{QEMU} is not installed, so KVM cannot be tried"))
        }
        Err(error) => Kvm::Broken(format!("the probe could not be run: {error}")),
    }
}

fn try_sector(accel: Accel, timeout: Duration) -> io::Result<Kvm> {
    let mut disk = tempfile::NamedTempFile::new()?;
    disk.write_all(&boot_sector())?;
    let mut errors = tempfile::tempfile()?;
    let path = disk
        .path()
        .to_str()
        .ok_or_else(|| io::Error::other("the temporary directory's name is not UTF-8"))?;
    let drive = format!(
        "if=ide,format=raw,snapshot=on,file={}",
        path.replace(',', ",,")
    );
    let mut qemu = process::command()
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-machine",
            "pc",
            "-m",
            "16",
        ])
        .args(["-accel", &accel.to_string(), "-drive", &drive])
        .args([
            "-device",
            &format!("isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors.try_clone()?)
        .spawn()
        .map(process::KillOnDrop)?;

    let end = Instant::now() + timeout;
    while Instant::now() < end {
        let Some(status) = qemu.0.try_wait()? else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        return Ok(match status.code() {
            Some(EXIT_STATUS) => Kvm::Works,
            _ => Kvm::Broken(format!(
                "qemu said: {}",
                process::last_words(&mut errors, status)
            )),
        });
    }
    Ok(Kvm::Broken(format!(
        "a guest of five instructions did not end within {:.1} s",
        timeout.as_secs_f32()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sector_is_bootable() {
        let sector = boot_sector();
        assert_eq!(
            &sector[..9],
            &[0xba, 0x01, 0x05, 0xb0, 0x15, 0xee, 0xf4, 0xeb, 0xfd]
        );
        assert_eq!(&sector[510..], &[0x55, 0xaa]);
    }

    #[test]
    fn answers_are_plain() {
        assert_eq!(Kvm::Works.accel(), Accel::Kvm);
        let broken = Kvm::Broken("it hung".into());
        assert_eq!(broken.accel(), Accel::Tcg);
        assert_eq!(
            broken.to_string(),
            "KVM is there but does not run code: it hung"
        );
        assert_eq!(
            serde_json::to_value(&broken).unwrap(),
            serde_json::json!({"state": "broken", "reason": "it hung"})
        );
        assert_eq!(
            serde_json::to_value(Kvm::Works).unwrap(),
            serde_json::json!({"state": "works"})
        );
    }

    #[test]
    fn the_sector_runs_where_code_runs() {
        // TCG always runs code; without qemu there is nothing to be shown.
        match run_sector(Accel::Tcg, Duration::from_secs(20)) {
            Kvm::Works | Kvm::Missing(_) => {}
            broken => panic!("{broken}"),
        }
    }
}
