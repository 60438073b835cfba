//! The source's disks, ready to be read.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use refit_engine::disks::{Access, DiskSpec, Format, Image, ImageOptions};
use refit_image::{Member, qemu};
use refit_machine::ova;
use refit_v2v::Input;

use crate::hardware::Source;

/// One disk of the source.
#[derive(Debug)]
pub(crate) enum SourceDisk {
    /// What qemu opens under this name: a path, or the description of a part of an archive.
    Stored {
        name: PathBuf,
        format: Format,
        size: u64,
    },
    /// A disk of this many bytes that nothing was ever written to.
    Blank { size: u64 },
}

impl SourceDisk {
    /// Size of the disk as the guest sees it, in bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Stored { size, .. } | Self::Blank { size } => *size,
        }
    }

    /// Puts an empty qcow2 overlay over the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn overlay(&self, path: &Path) -> anyhow::Result<()> {
        match self {
            Self::Stored { name, format, .. } => qemu::create(path, name, *format),
            Self::Blank { size } => qemu::create_blank(path, *size),
        }
        .context("making an overlay of the source")
    }
}

/// Looks at all disks of the source; they are only read. `described` is the source's description.
///
/// # Errors
/// For a disk that is missing, damaged, in use, or not to be trusted; for an archive that cannot be read where
/// it lies.
pub(crate) fn disks(
    input: &Input,
    described: &Source,
    options: &ImageOptions,
) -> anyhow::Result<Vec<SourceDisk>> {
    if let Input::Disk { path, format } = input {
        return Ok(vec![stored(path, format.as_deref(), options)?]);
    }
    let path = input.path();
    let Some(machine) = &described.machine else {
        bail!(
            "{}: {}; without virt-v2v, refit must be able to read it. If it is a packed archive, unpack it \
             and give its directory",
            path.display(),
            described.warning.as_deref().unwrap_or_default()
        );
    };
    if machine.disks.is_empty() {
        bail!("{} describes a machine without disks", path.display());
    }
    let place = match input {
        Input::Ova(path) if path.is_dir() => Place::Directory(path),
        Input::Ova(path) if !is_descriptor(path) => Place::Archive {
            path,
            members: ova::members(path)?,
        },
        _ => Place::Directory(path.parent().unwrap_or(Path::new("."))),
    };
    let confined = matches!(input, Input::Ova(_)) && !options.allow_outside;
    machine
        .disks
        .iter()
        .map(|disk| match (disk.path.as_str(), disk.capacity) {
            ("", Some(size)) => Ok(SourceDisk::Blank { size }),
            ("", None) => bail!("a disk without a file and without a size"),
            (name, _) => match &place {
                Place::Archive { path, members } => member(path, members, name),
                Place::Directory(dir) => {
                    let file = dir.join(name);
                    if confined {
                        refuse_outside(dir, &file)?;
                    }
                    // An OVF's format is an address of whoever wrote it; what the file is, is looked at.
                    let format = match input {
                        Input::Ova(_) => None,
                        _ => disk.format.as_deref(),
                    };
                    stored(&file, format, options)
                }
            },
        })
        .collect::<anyhow::Result<_>>()
        .with_context(|| format!("checking the disks of {}", path.display()))
}

/// Where the files are that a description names.
enum Place<'i> {
    Directory(&'i Path),
    Archive {
        path: &'i Path,
        members: Vec<ova::Member>,
    },
}

fn is_descriptor(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("ovf"))
}

fn stored(path: &Path, format: Option<&str>, options: &ImageOptions) -> anyhow::Result<SourceDisk> {
    let format = format
        .map(|name| name.parse().map_err(anyhow::Error::msg))
        .transpose()?;
    let spec = DiskSpec {
        path: path.to_owned(),
        format,
    };
    let image = Image::probe(&spec, Access::Read, options)?;
    Ok(SourceDisk::Stored {
        name: image.path().to_owned(),
        format: image.format(),
        size: image.virtual_size(),
    })
}

fn member(archive: &Path, members: &[ova::Member], name: &str) -> anyhow::Result<SourceDisk> {
    let member = find(members, name)
        .with_context(|| format!("looking for {name:?} in {}", archive.display()))?;
    let image = Member::probe(archive, name, member.offset, member.size)?;
    Ok(SourceDisk::Stored {
        name: image.filename().to_owned(),
        format: Format::Vmdk,
        size: image.virtual_size(),
    })
}

/// The one member with this name; whatever directory it is in, since names in a description go from its own.
fn find<'m>(members: &'m [ova::Member], name: &str) -> anyhow::Result<&'m ova::Member> {
    let file_name = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let exact = |member: &&ova::Member| member.name.trim_start_matches("./") == name;
    let mut found: Vec<_> = members.iter().filter(exact).collect();
    if found.is_empty() {
        let alike = |member: &&ova::Member| file_name(&member.name) == file_name(name);
        found = members.iter().filter(alike).collect();
    }
    match found.as_slice() {
        [member] => Ok(member),
        [] => bail!("there is no such file; fetch the archive again"),
        _ => bail!("there are several files of that name"),
    }
}

/// An appliance comes from anywhere: what its description names lies in its own directory.
fn refuse_outside(dir: &Path, file: &Path) -> anyhow::Result<()> {
    let reading = || format!("looking for {}", file.display());
    let dir = fs::canonicalize(dir).with_context(reading)?;
    let real = fs::canonicalize(file).with_context(reading)?;
    if !real.starts_with(&dir) {
        bail!(
            "{} is outside of the appliance's directory; if you trust it, allow it with --allow-outside",
            real.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use refit_machine::{Disk, Machine};

    fn with_disks(disks: Vec<Disk>) -> Source {
        Source {
            machine: Some(Machine {
                disks,
                ..Machine::default()
            }),
            warning: None,
        }
    }

    #[test]
    fn members_by_the_descriptions_names() {
        let members: Vec<ova::Member> = ["./a.vmdk", "sub/b.vmdk", "x/c.vmdk", "y/c.vmdk"]
            .into_iter()
            .zip(0..)
            .map(|(name, offset)| ova::Member {
                name: name.to_owned(),
                offset,
                size: 1,
            })
            .collect();
        for (name, offset) in [
            ("a.vmdk", Some(0)),
            ("b.vmdk", Some(1)),
            ("c.vmdk", None),
            ("y/c.vmdk", Some(3)),
            ("d.vmdk", None),
        ] {
            let found = find(&members, name).ok().map(|member| member.offset);
            assert_eq!(found, offset, "{name}");
        }
    }

    #[test]
    fn what_an_appliance_may_name() {
        let dir = tempfile::tempdir().unwrap();
        let ova = dir.path().join("ova");
        fs::create_dir(&ova).unwrap();
        fs::write(dir.path().join("outside.img"), [0; 4096]).unwrap();
        fs::write(ova.join("inside.img"), [0; 4096]).unwrap();
        std::os::unix::fs::symlink("../outside.img", ova.join("link.img")).unwrap();
        let input = Input::Ova(ova.clone());
        let open = |name: &str, capacity, allow_outside| {
            let described = with_disks(vec![Disk {
                path: name.to_owned(),
                capacity,
                ..Disk::default()
            }]);
            disks(&input, &described, &ImageOptions { allow_outside })
                .map_err(|error| format!("{error:#}"))
        };
        assert!(matches!(
            open("inside.img", None, false).as_deref(),
            Ok([SourceDisk::Stored {
                format: Format::Raw,
                ..
            }])
        ));
        assert!(matches!(
            open("", Some(1 << 30), false).as_deref(),
            Ok([SourceDisk::Blank { size: 0x4000_0000 }])
        ));
        for name in ["../outside.img", "link.img"] {
            let message = open(name, None, false).unwrap_err();
            assert!(message.contains("--allow-outside"), "{message}");
            open(name, None, true).unwrap();
        }
        for (name, capacity) in [("missing.img", None), ("", None)] {
            open(name, capacity, false).unwrap_err();
        }
        let none = disks(&input, &with_disks(Vec::new()), &ImageOptions::default());
        assert!(none.unwrap_err().to_string().contains("without disks"));
        let unread = disks(&input, &Source::default(), &ImageOptions::default());
        assert!(unread.unwrap_err().to_string().contains("unpack"));
    }
}
