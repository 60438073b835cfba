//! `image-converter`: makes a raw image of the image in a volume, by way of a second volume.
//!
//! Forklift starts it in a job, with flags as Go reads them:
//! `-src-path /mnt/disk.img -dst-path /output/disk.img -src-format qcow2 -dst-format raw -volume-mode Filesystem`.
//! The result replaces the source: with volume mode `Block` it is copied back, with `Filesystem` the file is moved.
//! With neither it stays where it is.

mod replace;

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use refit_image::{Access, DiskSpec, Format, Image, ImageError, Options};

use crate::goflag::{self, FlagError, Kind};

const FLAGS: [(&str, Kind); 5] = [
    ("src-path", Kind::Text),
    ("dst-path", Kind::Text),
    ("src-format", Kind::Text),
    ("dst-format", Kind::Text),
    ("volume-mode", Kind::Text),
];
const USAGE: &str = "usage: image-converter -src-path PATH -dst-path PATH -src-format FORMAT -dst-format FORMAT \
                     [-volume-mode Block|Filesystem]";

/// The program, with its arguments without its name. Exits with 0 when the image was converted, 1 when it was not
/// (the log says what of it is where), 2 for arguments that are not understood.
#[must_use]
pub fn image_converter(args: impl Iterator<Item = String>) -> ExitCode {
    let job = match Job::parse(args) {
        Ok(job) => job,
        Err(FlagError::Help) => {
            tracing::info!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            tracing::error!("{error}; {USAGE}");
            return ExitCode::from(2);
        }
    };
    match job.run() {
        Ok(()) => {
            tracing::info!("the image was converted");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug)]
struct Job {
    source: PathBuf,
    target: PathBuf,
    source_format: String,
    target_format: String,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Block,
    Filesystem,
    /// Not said, or nothing that is known: the source stays as it is.
    Other,
}

impl Job {
    fn parse(args: impl Iterator<Item = String>) -> Result<Self, FlagError> {
        let mut given = goflag::parse(args, &FLAGS)?;
        let mut text = |name: &str| {
            let value = given.remove(name).filter(|value| !value.is_empty());
            value.ok_or_else(|| FlagError::NoValue(name.to_owned()))
        };
        Ok(Self {
            mode: match text("volume-mode").as_deref() {
                Ok("Block") => Mode::Block,
                Ok("Filesystem") => Mode::Filesystem,
                Ok(other) => {
                    tracing::warn!(
                        "volume mode {other:?} is not known: the source will stay as it is"
                    );
                    Mode::Other
                }
                Err(_) => Mode::Other,
            },
            source: text("src-path")?.into(),
            target: text("dst-path")?.into(),
            source_format: qemus_name(text("src-format")?),
            target_format: qemus_name(text("dst-format")?),
        })
    }

    fn run(&self) -> anyhow::Result<()> {
        let (source, target) = (self.source.display(), self.target.display());
        self.check()
            .context("nothing was converted, and nothing was changed")?;
        convert(
            (&self.source, &self.source_format),
            (&self.target, &self.target_format),
        )
        .with_context(|| format!("{source} was not converted, and is as it was"))?;
        match self.mode {
            Mode::Other => Ok(()),
            Mode::Block => convert(
                (&self.target, &self.target_format),
                (&self.source, &self.target_format),
            )
            .with_context(|| {
                format!(
                    "{source} is overwritten in part and must not be converted again; \
                     the whole image is in {target}: copy it from there"
                )
            }),
            Mode::Filesystem => {
                ensure!(
                    self.target.exists(),
                    "qemu-img ended without an error, but there is no {target}; {source} is as it was"
                );
                replace::replace(&self.target, &self.source)
            }
        }
    }

    /// What can be known before an hour of copying: that the image would draw in a file from elsewhere (it may come
    /// from anybody), and that a device is too small. What cannot be looked at is for qemu-img to decide.
    fn check(&self) -> anyhow::Result<()> {
        let size = match self.size() {
            Ok(Some(size)) if self.target_format == Format::Raw.as_str() => size,
            Ok(_) => return Ok(()),
            Err(error @ (ImageError::Reference { .. } | ImageError::Unsupported { .. })) => {
                return Err(error.into());
            }
            Err(error) => {
                tracing::warn!("the image cannot be checked before it is converted: {error}");
                return Ok(());
            }
        };
        let devices: &[&PathBuf] = match self.mode {
            Mode::Block => &[&self.target, &self.source],
            Mode::Filesystem | Mode::Other => &[&self.target],
        };
        for device in devices {
            fits(size, device)?;
        }
        Ok(())
    }

    /// The disk's size in bytes, as the guest sees it. Of formats that refit does not know, nothing is known.
    fn size(&self) -> Result<Option<u64>, ImageError> {
        let Ok(format) = self.source_format.parse::<Format>() else {
            return Ok(None);
        };
        refit_image::check_kind(&self.source)?;
        if format == Format::Raw {
            // What is in it is the guest's business, even if it looks like an image.
            return refit_image::inuse::length(&self.source).map(Some);
        }
        let spec = DiskSpec {
            path: self.source.clone(),
            format: Some(format),
        };
        let image = Image::probe(&spec, Access::Read, &Options::default())?;
        Ok(Some(image.virtual_size()))
    }
}

/// Converts an image, and returns when the result is on stable storage: qemu-img leaves it to the kernel, and the
/// next step destroys what it was made of.
fn convert(source: (&Path, &str), target: (&Path, &str)) -> anyhow::Result<()> {
    let (from, to) = (source.0.display(), target.0.display());
    tracing::info!(
        "running qemu-img convert -p -f {} -O {} {from} {to}",
        source.1,
        target.1
    );
    refit_image::convert(source, target, &mut |percent| {
        tracing::info!("{from} to {to}: {percent} %");
    })?;
    match File::open(target.0).and_then(|file| file.sync_all()) {
        // Whoever needs it next will say so.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.with_context(|| format!("writing {to} to stable storage")),
    }
}

/// OpenStack says `vhd` for what qemu calls `vpc`. qemu has more formats than refit: all other names are its own.
fn qemus_name(format: String) -> String {
    match &*format {
        "vhd" => Format::Vpc.as_str().to_owned(),
        _ => format,
    }
}

/// A block device cannot grow; a file can, and may not exist yet.
fn fits(size: u64, device: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;

    let is_device =
        std::fs::metadata(device).is_ok_and(|found| found.file_type().is_block_device());
    if is_device && let Ok(room) = refit_image::inuse::length(device) {
        ensure!(
            size <= room,
            "the disk has {size} bytes and {} only {room}: make the volume larger",
            device.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Job, FlagError> {
        Job::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_are_gos() {
        let job = parse(
            "-src-path=/dev/block --dst-path /dev/target -src-format qcow2 -dst-format raw -volume-mode Block",
        );
        let job = job.unwrap();
        assert_eq!(job.source, Path::new("/dev/block"));
        assert_eq!(job.target, Path::new("/dev/target"));
        assert_eq!((&*job.source_format, &*job.target_format), ("qcow2", "raw"));
        assert_eq!(job.mode, Mode::Block);
        for (mode, expected) in [("Filesystem", Mode::Filesystem), ("block", Mode::Other)] {
            let line =
                format!("-src-path a -dst-path b -src-format c -dst-format d -volume-mode {mode}");
            assert_eq!(parse(&line).unwrap().mode, expected);
        }
        let job = parse("-src-path a -dst-path b -src-format vhd -dst-format qed").unwrap();
        assert_eq!((&*job.source_format, &*job.target_format), ("vpc", "qed"));
        assert_eq!(
            parse("-src-path a -dst-path b -src-format raw").unwrap_err(),
            FlagError::NoValue("dst-format".into())
        );
    }

    #[test]
    fn exit_codes() {
        for (line, code) in [
            ("-help", ExitCode::SUCCESS),
            ("-bogus", ExitCode::from(2)),
            ("-src-path", ExitCode::from(2)),
            (
                "-src-path /nowhere -dst-path /nowhere -src-format raw -dst-format raw",
                ExitCode::FAILURE,
            ),
        ] {
            let args = line.split_whitespace().map(str::to_owned);
            assert_eq!(image_converter(args), code, "{line}");
        }
    }
}
