//! A running qemu: its private directory, its sockets, its end.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use refit_image::{Image, qemu::create_blank};
use refit_machine::Firmware;
use serde_json::json;
use tempfile::TempDir;

use crate::process::{self, KillOnDrop};
use crate::qmp::Qmp;
use crate::{Accel, Error, Options, firmware, qemu};

/// qemu opens its sockets as soon as it has read its arguments.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A machine. Dropping it kills qemu and removes the directory, in this order.
#[derive(Debug)]
pub(crate) struct Machine {
    qemu: KillOnDrop,
    errors: File,
    directory: TempDir,
}

/// The connections to a machine that waits for its start.
#[derive(Debug)]
pub(crate) struct Wires {
    pub qmp: Qmp,
    pub serial: UnixStream,
    pub firmware: UnixStream,
}

/// How qemu ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The guest switched itself off.
    InOrder,
    /// It could not go on, and says why.
    Failed(String),
    /// A signal that nobody sent ended it, an assertion of its own as a rule; its last words.
    Crashed(String),
}

impl Machine {
    /// Makes overlays over the images and starts qemu, stopped.
    ///
    /// # Errors
    /// Whatever of firmware, programs and space is missing.
    pub fn create(options: &Options, images: &[Image], accel: Accel) -> Result<Self, Error> {
        let build = firmware::find(options.firmware)?;
        let directory = private_directory()?;
        for (index, image) in images.iter().enumerate() {
            // It names no backing file: qemu is told on the command line.
            let overlay = directory.path().join(qemu::overlay_name(index));
            create_blank(&overlay, image.virtual_size())?;
        }
        let disks: Vec<_> = images.iter().map(qemu::Disk::from).collect();
        if let Some(build) = build {
            firmware::copy_vars(build, directory.path())?;
        }
        let nics: Vec<_> = options.nics.iter().map(|nic| nic.mac).collect();
        let cdrom = options
            .cdrom
            .as_deref()
            .map(fs::canonicalize)
            .transpose()
            .map_err(Error::io("finding the ISO image"))?;
        let arguments = qemu::arguments(&qemu::Plan {
            accel,
            memory: options.memory,
            vcpus: options.vcpus.unwrap_or(accel.vcpus()),
            hardware: options.hardware,
            disk_bus: options.disk_bus,
            firmware: build,
            secure: options.firmware == Firmware::UefiSecure,
            disks: &disks,
            cdrom: cdrom.as_deref(),
            cdrom_bus: options.cdrom_bus,
            nics: &nics,
        });
        tracing::debug!(?arguments, "starting qemu");
        let errors = tempfile::tempfile_in(directory.path())
            .map_err(Error::io("creating a temporary file"))?;
        let stderr = errors
            .try_clone()
            .map_err(Error::io("sharing a temporary file"))?;
        let child = process::command()
            .args(arguments)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(Error::io("starting qemu"))?;
        Ok(Self {
            qemu: KillOnDrop(child),
            errors,
            directory,
        })
    }

    /// Connects to all sockets. Nothing if qemu ended instead: [`end`](Self::end) says why.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or [`Error::Qmp`] if qemu does not come to its senses.
    pub fn connect(&mut self, cancel: &AtomicBool) -> Result<Option<Wires>, Error> {
        // The sockets are reached through the open directory: its path may be too long for an address.
        let directory = File::open(self.directory.path())
            .map_err(Error::io("opening the temporary directory"))?;
        let through = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        let deadline = Instant::now() + START_TIMEOUT;
        let mut streams = Vec::new();
        for socket in [qemu::QMP_SOCKET, qemu::SERIAL_SOCKET, qemu::FIRMWARE_SOCKET] {
            let stream = loop {
                if let Ok(stream) = UnixStream::connect(through.join(socket)) {
                    break stream;
                }
                if self.has_ended()? {
                    return Ok(None);
                }
                if cancel.load(Ordering::Relaxed) {
                    return Err(Error::Cancelled);
                }
                if Instant::now() > deadline {
                    return Err(Error::Qmp(format!(
                        "no connection within {} s",
                        START_TIMEOUT.as_secs()
                    )));
                }
                std::thread::sleep(Duration::from_millis(20));
            };
            streams.push(stream);
        }
        let [qmp, serial, firmware]: [UnixStream; 3] = streams
            .try_into()
            .map_err(|_| Error::Qmp("a socket is missing".into()))?;
        // qemu opens the disks after its sockets: it may still end here, for a disk in use.
        let qmp = match Qmp::connect(qmp) {
            Ok(qmp) => qmp,
            Err(error) => {
                return if self.ends_soon()? {
                    Ok(None)
                } else {
                    Err(error)
                };
            }
        };
        self.unlink_overlays();
        Ok(Some(Wires {
            qmp,
            serial,
            firmware,
        }))
    }

    /// qemu holds the overlays open. Without names, their space is free again whenever it ends,
    /// even if we are killed.
    fn unlink_overlays(&self) {
        let mut index = 0;
        while std::fs::remove_file(self.directory.path().join(qemu::overlay_name(index))).is_ok() {
            index += 1;
        }
    }

    fn has_ended(&mut self) -> Result<bool, Error> {
        let status = self
            .qemu
            .0
            .try_wait()
            .map_err(Error::io("waiting for qemu"))?;
        Ok(status.is_some())
    }

    fn ends_soon(&mut self) -> Result<bool, Error> {
        for _ in 0..50 {
            if self.has_ended()? {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }

    /// How qemu ended. To be called once its sockets are closed; kills what is still there.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be waited for.
    pub fn end(&mut self) -> Result<End, Error> {
        let ended_itself = self.ends_soon()?;
        // Already gone is what we want.
        let _ = self.qemu.0.kill();
        let status = self.qemu.0.wait().map_err(Error::io("waiting for qemu"))?;
        if status.success() {
            return Ok(End::InOrder);
        }
        let words = process::last_words(&mut self.errors, status);
        Ok(if ended_itself && status.signal().is_some() {
            End::Crashed(words)
        } else {
            End::Failed(words)
        })
    }

    /// Saves the screen as PNG.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn screenshot(&self, qmp: &mut Qmp, target: &Path) -> Result<(), String> {
        const NAME: &str = "screen.png";
        if qmp.version < (7, 1) {
            let (major, minor) = qmp.version;
            return Err(format!(
                "qemu {major}.{minor} cannot write PNG, 7.1 and newer can"
            ));
        }
        qmp.execute("screendump", json!({"filename": NAME, "format": "png"}))
            .map_err(|error| error.to_string())?;
        let copied = std::fs::copy(self.directory.path().join(NAME), target);
        copied
            .map(drop)
            .map_err(|error| format!("writing {}: {error}", target.display()))
    }
}

/// Overlays grow by what the guest writes: not a place for a memory file system if it can be helped.
fn private_directory() -> Result<TempDir, Error> {
    let parent =
        std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
    tempfile::Builder::new()
        .prefix("refit-boot.")
        .tempdir_in(&parent)
        .map_err(Error::io(format!(
            "creating a directory in {}",
            parent.display()
        )))
}
