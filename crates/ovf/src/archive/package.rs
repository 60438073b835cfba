//! Opens a package and finds the files in it.

use std::fs::{self, File as HostFile};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::name::{self, Href};
use super::{ArchiveError, MAX_ENTRIES, Member, Note, tar, text};
use crate::descriptor::{DescriptorError, Envelope, File, MAX_SIZE};

/// What form a package has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An OVA.
    Archive,
    /// A descriptor with files beside it.
    Directory,
}

/// An appliance: its descriptor and the files around it.
#[derive(Debug, Clone)]
pub struct Package {
    path: PathBuf,
    /// The archive, or the directory.
    place: PathBuf,
    kind: Kind,
    members: Vec<Member>,
    descriptor: usize,
    notes: Vec<Note>,
}

impl Package {
    /// Opens an OVA archive, a directory that holds one `.ovf` file, or that file itself.
    ///
    /// # Errors
    ///
    /// If it is none of these, cannot be read, is damaged, or goes beyond the limits.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let metadata = fs::metadata(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ArchiveError::Missing(path.to_owned()),
            _ => io_error(path)(error),
        })?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            let (members, notes) = list(path)?;
            return Self::new(path, path, Kind::Directory, members, notes);
        }
        // Opening a pipe would wait for a writer.
        if !kind.is_file() {
            return Err(ArchiveError::NotOva(path.to_owned()));
        }
        if metadata.len() == 0 {
            return Err(ArchiveError::Empty(path.to_owned()));
        }
        if is_descriptor(&path.to_string_lossy()) {
            let dir = match path.parent() {
                Some(dir) if !dir.as_os_str().is_empty() => dir,
                _ => Path::new("."),
            };
            // Only what belongs to it: the directory may be anybody's.
            let companions = ["mf", "cert"].map(|extension| path.with_extension(extension));
            let members = std::iter::once(path)
                .chain(companions.iter().map(PathBuf::as_path))
                .filter_map(|file| look_at(file, &file.file_name()?.to_string_lossy()))
                .collect();
            return Self::new(path, dir, Kind::Directory, members, Vec::new());
        }
        refuse_packed(path)?;
        let (members, notes) = tar::walk(path)?;
        Self::new(path, path, Kind::Archive, members, notes)
    }

    fn new(
        path: &Path,
        place: &Path,
        kind: Kind,
        members: Vec<Member>,
        mut notes: Vec<Note>,
    ) -> Result<Self, ArchiveError> {
        let found: Vec<usize> = (0..members.len())
            .filter(|&index| {
                members
                    .get(index)
                    .is_some_and(|member| is_descriptor(&member.name))
            })
            .collect();
        let descriptor = match found.as_slice() {
            [] => return Err(ArchiveError::NoDescriptor(path.to_owned())),
            [one] => *one,
            several => {
                return Err(ArchiveError::SeveralDescriptors {
                    path: path.to_owned(),
                    names: several
                        .iter()
                        .filter_map(|&index| Some(members.get(index)?.name.clone()))
                        .collect(),
                });
            }
        };
        if kind == Kind::Archive && descriptor != 0 {
            notes.push(Note::warning(
                "archive.order",
                "the descriptor is not the first file of the archive, as the standard wants"
                    .to_owned(),
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            place: place.to_owned(),
            kind,
            members,
            descriptor,
            notes,
        })
    }

    /// The path that was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The form of the package.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its files: of an archive all, in order; of a directory those that lie directly in it; of a descriptor
    /// that was opened by its name the descriptor, its manifest and certificate.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What is odd about it.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The descriptor's file.
    #[must_use]
    pub fn descriptor(&self) -> &Member {
        // Set in `new` from this list, which never changes.
        &self.members[self.descriptor]
    }

    /// The manifest: beside the descriptor, with its name and `.mf`; else the only one.
    #[must_use]
    pub fn manifest(&self) -> Option<&Member> {
        self.companion("mf")
    }

    /// The certificate with the signature of the manifest, found like it.
    #[must_use]
    pub fn certificate(&self) -> Option<&Member> {
        self.companion("cert")
    }

    fn companion(&self, extension: &str) -> Option<&Member> {
        let has = |member: &&Member| {
            extension_of(&member.name).is_some_and(|one| one.eq_ignore_ascii_case(extension))
        };
        let stem = |name: &str| {
            name.rsplit_once('.')
                .map_or("", |(stem, _)| stem)
                .to_owned()
        };
        let wanted = stem(&self.descriptor().name);
        let mut all = self.members.iter().filter(has);
        all.clone()
            .find(|member| stem(&member.name) == wanted)
            .or_else(|| {
                let first = all.next()?;
                // In a directory it may be another appliance's.
                (self.kind == Kind::Archive && all.next().is_none()).then_some(first)
            })
    }

    /// The content of a file, which must not be longer than `limit` bytes.
    ///
    /// # Errors
    ///
    /// If it is longer, or cannot be read.
    pub fn read(&self, member: &Member, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        if member.size > limit {
            return Err(ArchiveError::TooLarge {
                path: self.path.clone(),
                what: format!("{} of {} bytes", member.name, member.size),
                limit,
            });
        }
        let mut content = Vec::new();
        member
            .open()
            .and_then(|mut reader| reader.read_to_end(&mut content))
            .map_err(io_error(&member.path))?;
        Ok(content)
    }

    /// The text of the descriptor.
    ///
    /// # Errors
    ///
    /// If it cannot be read, has more than 16 MiB, or is not in the character set that it claims.
    pub fn descriptor_text(&self) -> Result<String, ArchiveError> {
        let member = self.descriptor();
        text::decode(&self.read(member, MAX_SIZE)?, &member.name)
    }

    /// Reads the descriptor, its texts in a language if it has them.
    ///
    /// # Errors
    ///
    /// [`PackageError`].
    pub fn envelope(&self, locale: Option<&str>) -> Result<Envelope, PackageError> {
        let text = self.descriptor_text()?;
        let load = |href: &str| {
            let member = self.find(href).ok()?;
            let content = self.read(&member, MAX_SIZE).ok()?;
            text::decode(&content, &member.name).ok()
        };
        Envelope::parse_localised(&text, locale, &load).map_err(|error| PackageError::Descriptor {
            name: self.descriptor().name.clone(),
            error,
        })
    }

    /// The pieces that a file of the descriptor is stored in, in order: usually one.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Reference`] if a piece is missing or has the wrong size, or the reference is not safe.
    pub fn pieces(&self, file: &File) -> Result<Vec<Member>, ArchiveError> {
        let pieces = self.located(file)?;
        check_sizes(file, &pieces)?;
        Ok(pieces)
    }

    /// The pieces of a file that are there, whatever their sizes.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Reference`] if there is none, or the reference is not safe.
    pub(crate) fn located(&self, file: &File) -> Result<Vec<Member>, ArchiveError> {
        if file.chunk_size.is_none() {
            return Ok(vec![self.find(&file.href)?]);
        }
        let mut pieces: Vec<Member> = Vec::new();
        for number in 0..MAX_ENTRIES {
            match self.find(&format!("{}.{number:09}", file.href)) {
                Ok(piece) => pieces.push(piece),
                Err(error) => {
                    // A file of less than one chunk is sometimes left as it is.
                    if pieces.is_empty() {
                        let whole = self.find(&file.href).map_err(|_| error)?;
                        return Ok(vec![whole]);
                    }
                    break;
                }
            }
        }
        Ok(pieces)
    }

    /// The one file that a reference names: relative to the descriptor, as written or percent-decoded; else the
    /// only one of this path or this name in the package, without regard to case in the end.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Reference`] if there is none, or no single one, or the reference is not safe.
    pub fn find(&self, href: &str) -> Result<Member, ArchiveError> {
        let wrong = |what: &str| ArchiveError::Reference {
            href: href.to_owned(),
            what: what.to_owned(),
        };
        let names = match name::classify(href).map_err(wrong)? {
            Href::Inside(names) => names,
            Href::Url => return Err(wrong("is an address on a network, which is not fetched")),
        };
        let base = match self.descriptor().name.rsplit_once('/') {
            Some((base, _)) => format!("{base}/"),
            None => String::new(),
        };
        let file_name = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        for name in &names {
            if self.kind == Kind::Directory
                && let Some(member) = self.below(name)
            {
                return Ok(member);
            }
            let beside = format!("{base}{name}");
            let wanted = file_name(name);
            let tests: [&dyn Fn(&Member) -> bool; 4] = [
                &|member| member.name == beside,
                &|member| member.name == *name,
                &|member| file_name(&member.name) == wanted,
                &|member| member.name.eq_ignore_ascii_case(&beside),
            ];
            for test in tests {
                let mut found = self.members.iter().filter(|member| test(member));
                if let Some(member) = found.next() {
                    return match found.next() {
                        None => Ok(member.clone()),
                        Some(_) => Err(wrong("is in the package more than once")),
                    };
                }
            }
        }
        Err(wrong("is not in the package; fetch it again"))
    }

    /// A file below the directory, without following links.
    fn below(&self, name: &str) -> Option<Member> {
        let mut path = self.place.clone();
        for part in name.split('/') {
            if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink())
                && path != self.place
            {
                return None;
            }
            path.push(part);
        }
        look_at(&path, name)
    }
}

/// Why a package's descriptor cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The package itself.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The descriptor.
    #[error("{name}: {error}")]
    Descriptor {
        /// Its name.
        name: String,
        /// What is wrong.
        error: DescriptorError,
    },
}

/// Whether the pieces have the sizes that the descriptor gives.
///
/// # Errors
///
/// [`ArchiveError::Reference`].
pub(crate) fn check_sizes(file: &File, pieces: &[Member]) -> Result<(), ArchiveError> {
    let wrong = |what: String| ArchiveError::Reference {
        href: file.href.clone(),
        what,
    };
    let total: u64 = pieces.iter().map(|piece| piece.size).sum();
    let expected = file.size.unwrap_or(total);
    let chunk = file.chunk_size.filter(|_| {
        pieces.len() > 1
            || pieces
                .iter()
                .any(|piece| piece.name.ends_with(".000000000"))
    });
    let Some(chunk) = chunk else {
        return if total == expected {
            Ok(())
        } else {
            Err(wrong(format!(
                "has {total} bytes instead of the {expected} that the descriptor gives"
            )))
        };
    };
    let last = pieces.len().saturating_sub(1);
    for (index, piece) in pieces.iter().enumerate() {
        let is_right = if index < last {
            piece.size == chunk
        } else {
            piece.size <= chunk && piece.size > 0
        };
        if !is_right {
            return Err(wrong(format!(
                "is stored in pieces of {chunk} bytes, but {} has {}",
                piece.name, piece.size
            )));
        }
    }
    if total != expected {
        return Err(wrong(format!(
            "is stored in {} pieces of {total} bytes together instead of {expected}: {}.{:09} may be missing",
            pieces.len(),
            file.href,
            pieces.len()
        )));
    }
    Ok(())
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> ArchiveError + '_ {
    |source| ArchiveError::Io {
        path: path.to_owned(),
        source,
    }
}

fn extension_of(name: &str) -> Option<&str> {
    let file = name.rsplit('/').next()?;
    // macOS puts its attributes into files with such names.
    (!file.starts_with("._")).then_some(())?;
    file.rsplit_once('.').map(|(_, extension)| extension)
}

fn is_descriptor(name: &str) -> bool {
    extension_of(name).is_some_and(|extension| extension.eq_ignore_ascii_case("ovf"))
}

/// The file at a path if it is a regular one. Links are not followed: an appliance has no use for them, and
/// they lead out of it.
fn look_at(path: &Path, name: &str) -> Option<Member> {
    let metadata = fs::symlink_metadata(path).ok()?;
    metadata.is_file().then(|| Member {
        name: name.to_owned(),
        path: path.to_owned(),
        offset: 0,
        size: metadata.len(),
    })
}

/// The regular files in a directory.
fn list(dir: &Path) -> Result<(Vec<Member>, Vec<Note>), ArchiveError> {
    let mut members = Vec::new();
    let mut notes = Vec::new();
    for (count, entry) in fs::read_dir(dir).map_err(io_error(dir))?.enumerate() {
        let entry = entry.map_err(io_error(dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if count == MAX_ENTRIES {
            return Err(ArchiveError::TooLarge {
                path: dir.to_owned(),
                what: "too many files".to_owned(),
                limit: MAX_ENTRIES as u64,
            });
        }
        if let Some(member) = look_at(&entry.path(), &name) {
            members.push(member);
        } else if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
            notes.push(Note::warning(
                "archive.kind",
                format!("{name:?} is a symbolic link, and left out"),
            ));
        }
    }
    members.sort_by(|one, other| one.name.cmp(&other.name));
    Ok((members, notes))
}

fn refuse_packed(path: &Path) -> Result<(), ArchiveError> {
    let mut start = Vec::new();
    HostFile::open(path)
        .and_then(|file| file.take(8).read_to_end(&mut start))
        .map_err(io_error(path))?;
    for (magic, form, program) in [
        (b"\x1f\x8b".as_slice(), "compressed with gzip", "gunzip -c"),
        (b"\xfd7zXZ\0", "compressed with xz", "xz -dc"),
        (b"BZh", "compressed with bzip2", "bunzip2 -c"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd", "zstd -dc"),
        (b"PK\x03\x04", "a zip archive", "unzip"),
    ] {
        if start.starts_with(magic) {
            let advice = match program {
                "unzip" => format!(
                    "unzip {} -d DIRECTORY, and give that directory",
                    path.display()
                ),
                _ => format!("{program} {} > plain.ova", path.display()),
            };
            return Err(ArchiveError::Packed {
                path: path.to_owned(),
                form,
                advice,
            });
        }
    }
    Ok(())
}
