//! The disks of an appliance, where they lie or unpacked.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use refit_engine::disks::{Format, ImageOptions};
use refit_image::Piece;
use refit_machine::Machine;
use refit_ovf::archive::{self, Kind, UnpackError};
use refit_ovf::descriptor::Attached;
use refit_ovf::{Compression, File, Member};
use refit_v2v::CancelToken;

use super::Appliance;
use crate::source::{self, SourceDisk};

/// How the disks are read.
pub(crate) struct Reading<'r> {
    pub(crate) options: &'r ImageOptions,
    /// A directory for lists of pieces and unpacked disks, which must stay for as long as the disks are used.
    pub(crate) scratch: &'r Path,
    pub(crate) cancel: &'r CancelToken,
}

impl Appliance {
    /// Whether one of its disks has to be unpacked.
    pub(crate) fn is_compressed(&self) -> bool {
        let mut files = self.files().into_iter();
        files.any(|file| self.is_packed(file))
    }

    /// Whether a file is compressed with gzip: the descriptor says so, or its content does. No disk starts with
    /// gzip's magic bytes, neither with a boot sector nor with an image's header.
    fn is_packed(&self, file: &File) -> bool {
        let content = || {
            let pieces = self.package.pieces(file).ok()?;
            archive::is_gzip(pieces.first()?).ok()
        };
        file.compression == Compression::Gzip || content().unwrap_or(false)
    }

    /// Its disks, ready to be read: where they lie, or unpacked.
    ///
    /// # Errors
    /// For a disk that is missing, damaged, in use, not to be trusted, or stored in a way that is not read.
    pub(crate) fn disks(
        &self,
        machine: &Machine,
        reading: &Reading<'_>,
    ) -> anyhow::Result<Vec<SourceDisk>> {
        if machine.disks.is_empty() {
            bail!(
                "{} describes a machine without disks",
                self.package.path().display()
            );
        }
        self.disks
            .iter()
            .zip(&machine.disks)
            .enumerate()
            .map(|(index, (attached, disk))| self.disk(index, attached, disk.capacity, reading))
            .collect::<anyhow::Result<_>>()
            .with_context(|| format!("checking the disks of {}", self.package.path().display()))
    }

    fn disk(
        &self,
        index: usize,
        attached: &Attached,
        capacity: Option<u64>,
        reading: &Reading<'_>,
    ) -> anyhow::Result<SourceDisk> {
        let entry = attached
            .disk
            .as_deref()
            .and_then(|id| self.envelope.disk(id));
        if let Some(parent) = entry.and_then(|entry| entry.parent.as_deref()) {
            bail!(
                "the disk {:?} holds the differences to {parent:?}; export the machine without snapshots",
                attached.disk.as_deref().unwrap_or_default()
            );
        }
        let Some(file) = attached
            .file
            .as_deref()
            .and_then(|id| self.envelope.file(id))
        else {
            let size = capacity.context(
                "a disk without a file and without a size (if it is a property, it must have a value)",
            )?;
            return Ok(SourceDisk::Blank { size });
        };
        let stored = self.stored(index, file, capacity, reading)?;
        Ok(stored.at_least(capacity))
    }

    fn stored(
        &self,
        index: usize,
        file: &File,
        capacity: Option<u64>,
        reading: &Reading<'_>,
    ) -> anyhow::Result<SourceDisk> {
        if let Compression::Other(name) = &file.compression {
            bail!(
                "the disk {:?} is compressed with {name:?}, which is not read; unpack the appliance into a \
                 directory, uncompress the disk there, take ovf:compression out of the descriptor, and give the \
                 directory",
                file.href
            );
        }
        if self.is_packed(file) {
            let unpacked = reading.scratch.join(format!("unpacked{index}"));
            return self.unpacked(file, capacity, &unpacked, reading.cancel);
        }
        if self.package.kind() == Kind::Directory && file.chunk_size.is_none() {
            return self.beside(file, reading.options);
        }
        let pieces = self.package.pieces(file)?;
        let image = match pieces.as_slice() {
            [piece] => {
                refit_image::Member::probe(&piece.path, &piece.name, piece.offset, piece.size)?
            }
            pieces => {
                let pieces: Vec<Piece> = pieces
                    .iter()
                    .map(|piece| Piece {
                        path: piece.path.clone(),
                        offset: piece.offset,
                        size: piece.size,
                    })
                    .collect();
                let list = reading.scratch.join(format!("pieces{index}"));
                refit_image::Member::probe_pieces(&pieces, &file.href, &list)?
            }
        };
        Ok(inside(&image))
    }

    /// The disk, unpacked to `target`; it stays there for the engine that may be asked after this one.
    fn unpacked(
        &self,
        file: &File,
        capacity: Option<u64>,
        target: &Path,
        cancel: &CancelToken,
    ) -> anyhow::Result<SourceDisk> {
        let unpacking = || format!("unpacking the disk {:?}", file.href);
        if !target.exists() {
            let pieces: Vec<Member> = self.package.pieces(file)?;
            let limit = largest_image(capacity.with_context(|| {
                format!(
                    "{}: the descriptor does not say how large it is",
                    unpacking()
                )
            })?);
            let part = target.with_extension("part");
            let mut output = fs::File::create(&part).with_context(unpacking)?;
            archive::unpack(&pieces, &mut output, limit, &|| cancel.is_cancelled()).map_err(
                |error| match error {
                    UnpackError::Interrupted => anyhow::Error::msg("interrupted"),
                    error => anyhow::Error::new(error).context(unpacking()),
                },
            )?;
            fs::rename(&part, target).with_context(unpacking)?;
        }
        let size = fs::metadata(target).with_context(unpacking)?.len();
        Ok(inside(&refit_image::Member::probe(
            target, &file.href, 0, size,
        )?))
    }

    /// A file of its own, which may be of any format and refer to others beside it.
    fn beside(&self, file: &File, options: &ImageOptions) -> anyhow::Result<SourceDisk> {
        match self.package.pieces(file) {
            Ok(pieces) => {
                let path = pieces.first().map_or(Path::new(""), |piece| &piece.path);
                source::stored(path, None::<Format>, options)
            }
            // What lies elsewhere, or behind a link, is for those who trust it.
            Err(_) if options.allow_outside => {
                let path = self.package.path();
                let dir = if path.is_dir() {
                    path
                } else {
                    path.parent().unwrap_or(Path::new("."))
                };
                source::stored(&dir.join(&file.href), None, options)
            }
            Err(error) => Err(error).context(
                "a disk of an appliance is a regular file below its directory; if you trust another, allow it \
                 with --allow-outside",
            ),
        }
    }
}

fn inside(image: &refit_image::Member) -> SourceDisk {
    SourceDisk::Stored {
        name: image.filename().to_owned(),
        format: image.format(),
        size: image.virtual_size(),
        own_size: image.virtual_size(),
    }
}

/// Most bytes that the image of a disk of this size can have. Data that cannot be compressed make a stream-optimized
/// VMDK larger than the disk: by a header for each grain of 64 KiB, and by its tables, which is less than an eighth;
/// and small disks have a grain table and several headers all the same.
fn largest_image(capacity: u64) -> u64 {
    capacity
        .saturating_add(capacity / 8)
        .saturating_add(16 << 20)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::Command;

    use flate2::write::GzEncoder;

    use super::super::tests::descriptor;
    use super::super::{Selection, read};
    use super::*;

    #[test]
    fn what_an_appliance_may_name() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("ova");
        fs::create_dir(&dir).unwrap();
        fs::write(outer.path().join("outside.img"), [0; 4096]).unwrap();
        fs::write(dir.join("inside.img"), [0; 4096]).unwrap();
        std::os::unix::fs::symlink("../outside.img", dir.join("link.img")).unwrap();
        let open = |href: &str, allow_outside| {
            fs::write(dir.join("a.ovf"), descriptor(href, &["vm"])).unwrap();
            opened(&dir, &ImageOptions { allow_outside }, outer.path())
        };
        // As large as the descriptor says.
        assert!(matches!(
            open("inside.img", false).as_deref(),
            Ok([SourceDisk::Stored {
                format: Format::Raw,
                size: 8192,
                own_size: 4096,
                ..
            }])
        ));
        for href in ["../outside.img", "link.img"] {
            let message = open(href, false).unwrap_err();
            assert!(message.contains("--allow-outside"), "{message}");
            open(href, true).unwrap();
        }
        for href in ["missing.img", "http://example.org/d.img"] {
            open(href, false).unwrap_err();
        }
    }

    fn opened(
        dir: &Path,
        options: &ImageOptions,
        scratch: &Path,
    ) -> Result<Vec<SourceDisk>, String> {
        let source = read(dir, &Selection::default()).unwrap();
        let machine = source.machine.unwrap();
        assert_eq!(machine.memory, 3 << 30);
        let reading = Reading {
            options,
            scratch,
            cancel: &CancelToken::default(),
        };
        let appliance = source.appliance.unwrap();
        appliance
            .disks(&machine, &reading)
            .map_err(|error| format!("{error:#}"))
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    /// A stream-optimized VMDK of 1 MiB as qemu-img writes it, of data that cannot be compressed.
    fn vmdk(dir: &Path) -> (Vec<u8>, Vec<u8>) {
        let mut state = 1_u64;
        let data: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .take(1 << 20)
        .collect();
        let (raw, image) = (dir.join("raw"), dir.join("image"));
        fs::write(&raw, &data).unwrap();
        let converted = Command::new("qemu-img")
            .args([
                "convert",
                "-f",
                "raw",
                "-O",
                "vmdk",
                "-o",
                "subformat=streamOptimized",
            ])
            .args([&raw, &image])
            .status()
            .unwrap();
        assert!(converted.success());
        (data, fs::read(&image).unwrap())
    }

    #[test]
    fn compressed_disks_are_unpacked() {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("app");
        let scratch = outer.path().join("scratch");
        fs::create_dir(&dir).unwrap();
        let (data, image) = vmdk(outer.path());
        let stored = gzip(&image);
        let capacity = data.len().to_string();
        let file = |attributes: &str| {
            descriptor("d.vmdk", &["vm"])
                .replace("id='f'", &format!("id='f' {attributes}"))
                .replace("8192", &capacity)
        };
        let options = ImageOptions::default();
        let chunk = 100_000;
        let chunked = format!("compression='gzip' chunkSize='{chunk}'");
        for (attributes, pieces) in [
            ("compression='gzip'", 1),
            // What the content is counts.
            ("", 1),
            (chunked.as_str(), chunk),
        ] {
            fs::write(dir.join("a.ovf"), file(attributes)).unwrap();
            let _ = fs::remove_dir_all(&scratch);
            fs::create_dir(&scratch).unwrap();
            if pieces == 1 {
                fs::write(dir.join("d.vmdk"), &stored).unwrap();
            } else {
                fs::remove_file(dir.join("d.vmdk")).unwrap();
                for (number, piece) in stored.chunks(pieces).enumerate() {
                    fs::write(dir.join(format!("d.vmdk.{number:09}")), piece).unwrap();
                }
            }
            // A second engine finds it unpacked.
            for _ in 0..2 {
                let disks = opened(&dir, &options, &scratch).unwrap();
                let [
                    SourceDisk::Stored {
                        name, format, size, ..
                    },
                ] = disks.as_slice()
                else {
                    panic!("{disks:?}");
                };
                assert_eq!((*format, *size), (Format::Vmdk, data.len() as u64));
                let target = outer.path().join("copy");
                refit_image::copy(
                    (name, *format),
                    (&target, Format::Raw),
                    &mut |_| {},
                    &|| false,
                )
                .unwrap();
                assert!(fs::read(&target).unwrap() == data, "{attributes}");
                fs::remove_file(target).unwrap();
            }
        }
        for (number, _) in stored.chunks(chunk).enumerate() {
            fs::remove_file(dir.join(format!("d.vmdk.{number:09}"))).unwrap();
        }
        fs::remove_dir_all(&scratch).unwrap();
        fs::create_dir(&scratch).unwrap();
        let bomb = gzip(&vec![0; 64 << 20]);
        let plain = b"KDMV".as_slice();
        for (content, attributes, words) in [
            (
                bomb.as_slice(),
                "compression='gzip'",
                "more than 17956864 bytes come out",
            ),
            (
                &stored[..stored.len() / 2],
                "compression='gzip'",
                "not sound gzip data",
            ),
            (plain, "compression='gzip'", "not compressed with gzip"),
            (plain, "compression='bzip2'", "\"bzip2\", which is not read"),
        ] {
            fs::write(dir.join("a.ovf"), file(attributes)).unwrap();
            fs::write(dir.join("d.vmdk"), content).unwrap();
            let error = opened(&dir, &options, &scratch).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        // As it is.
        fs::write(dir.join("a.ovf"), file("compression='identity'")).unwrap();
        fs::write(dir.join("d.vmdk"), &image).unwrap();
        opened(&dir, &options, &scratch).unwrap();
    }
}
