//! ISO 9660 images with Joliet and Rock Ridge names: [`IsoImage`] reads them, [`image()`] writes small ones, a few files in
//! the root directory.
//!
//! In the process itself, because such an image is some tens of kilobytes of fixed structures: calling
//! xorriso would make it a dependency of every conversion, and its output differs between versions.
//! The same input always gives the same bytes.
//!
//! Sources: ECMA-119 (ISO 9660), the Joliet specification, SUSP 1.12 and RRIP 1.12 (Rock Ridge, with the
//! identifier of 1991A that every reader knows).

mod directory;
mod fields;
mod names;
mod read;
mod rock_ridge;
mod volume;

use directory::Directory;
use fields::SECTOR;
pub use read::{IsoError, IsoFile, IsoImage};

/// Longest volume label in characters: what Joliet has room for.
pub const MAX_LABEL: usize = 16;
/// Most bytes of all files together.
pub const MAX_SIZE: usize = 64 << 20;
/// Most files.
pub const MAX_FILES: usize = 16;

/// First sector of the volume descriptors (ECMA-119 6.2.1).
const DESCRIPTORS: u32 = 16;
/// Sectors of zeros at the end, as other programs leave them: the read-ahead of a system must not meet the
/// end of the medium.
const PADDING: u32 = 150;

/// What to write.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// The volume label, such as `OVF ENV`: at most [`MAX_LABEL`] printable ASCII characters. It is
    /// written as it is: ECMA-119 allows capitals, digits and `_` alone, but media with other labels are
    /// common and every system shows them.
    pub label: &'a str,
    /// Time of everything in the image: seconds since 1970-01-01 00:00 UTC. Times outside of the years 1970
    /// to 2155 become the nearest.
    pub time: i64,
    /// The files, at most [`MAX_FILES`], in the root directory.
    pub files: &'a [File<'a>],
}

/// One file.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Its name: at most 64 characters that Joliet takes, `ovf-env.xml`.
    pub name: &'a str,
    /// Its content.
    pub content: &'a [u8],
}

/// Why there is no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The label is empty, too long or has other characters.
    #[error(
        "{0:?} cannot be the label of a volume: at most {MAX_LABEL} printable ASCII characters"
    )]
    Label(String),
    /// A name that Joliet or another reader would refuse.
    #[error(
        "{0:?} cannot be the name of a file on a CD: at most 64 characters, none of * / : ; ? \\ and no \
         control characters"
    )]
    Name(String),
    /// Two files whose names are the same once they are in ISO 9660's capitals.
    #[error("the files {0:?} and {1:?} have the same name on a CD")]
    SameName(String, String),
    /// Too many files.
    #[error("{0} files are more than the {MAX_FILES} that fit into one directory here")]
    TooMany(usize),
    /// Too much content.
    #[error("the files have {0} bytes together, more than the limit of {MAX_SIZE}")]
    TooLarge(usize),
}

/// Makes the image: a whole number of sectors of 2048 bytes.
///
/// # Errors
/// If a name, the label, or the number or size of the files cannot be written.
pub fn image(image: &Image<'_>) -> Result<Vec<u8>, Error> {
    check(image)?;
    let entries = names::entries(image.files)?;
    // Two descriptors and their end, then two path tables in two byte orders each, then two directories.
    let tables = DESCRIPTORS + 3;
    let plain_at = tables + 4;
    let plain = Directory::plain(&entries, image.time);
    let joliet_at = plain_at + plain.sectors();
    let supplement = Directory::joliet(&entries, image.time);
    let mut next = joliet_at + supplement.sectors();
    let mut places = Vec::new();
    for file in image.files {
        places.push(next);
        next += fields::sectors(file.content.len());
    }
    let total = next + PADDING;

    let mut bytes = vec![0; DESCRIPTORS as usize * SECTOR];
    for joliet in [false, true] {
        bytes.extend(volume::descriptor(&volume::Volume {
            label: image.label,
            time: image.time,
            total,
            tables: tables + if joliet { 2 } else { 0 },
            root: if joliet { joliet_at } else { plain_at },
            root_size: if joliet {
                supplement.size()
            } else {
                plain.size()
            },
            joliet,
        }));
    }
    bytes.extend(volume::terminator());
    for root in [plain_at, joliet_at] {
        bytes.extend(volume::path_table(root.to_le_bytes(), 1_u16.to_le_bytes()));
        bytes.extend(volume::path_table(root.to_be_bytes(), 1_u16.to_be_bytes()));
    }
    bytes.extend(plain.bytes(plain_at, &places));
    bytes.extend(supplement.bytes(joliet_at, &places));
    for file in image.files {
        bytes.extend_from_slice(file.content);
        fields::pad(&mut bytes);
    }
    bytes.resize(total as usize * SECTOR, 0);
    Ok(bytes)
}

fn check(image: &Image<'_>) -> Result<(), Error> {
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if image.label.is_empty()
        || image.label.len() > MAX_LABEL
        || !image.label.bytes().all(printable)
    {
        return Err(Error::Label(image.label.to_owned()));
    }
    if image.files.len() > MAX_FILES {
        return Err(Error::TooMany(image.files.len()));
    }
    let size = image.files.iter().fold(0_usize, |size, file| {
        size.saturating_add(file.content.len())
    });
    if size > MAX_SIZE {
        return Err(Error::TooLarge(size));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(label: &str, name: &str) -> Result<Vec<u8>, Error> {
        image(&Image {
            label,
            time: 0,
            files: &[File {
                name,
                content: b"x",
            }],
        })
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        for label in ["", "12345678901234567", "tab\there", "\u{fc}"] {
            assert_eq!(one(label, "a"), Err(Error::Label(label.to_owned())));
        }
        let long = "x".repeat(65);
        for name in ["", ".", "..", "a/b", "a;1", "a\nb", "a:b", &long] {
            assert_eq!(one("A", name), Err(Error::Name(name.to_owned())));
        }
        let file = |name| File { name, content: b"" };
        let files = [file("a-b"), file("a_b")];
        let all = Image {
            label: "A",
            time: 0,
            files: &files,
        };
        let error = Error::SameName("a-b".to_owned(), "a_b".to_owned());
        assert_eq!(image(&all), Err(error));
        let many = vec![file("a"); 17];
        assert_eq!(
            image(&Image {
                files: &many,
                ..all
            }),
            Err(Error::TooMany(17))
        );
        let large = vec![0; MAX_SIZE + 1];
        let files = [File {
            name: "a",
            content: &large,
        }];
        let error = Error::TooLarge(MAX_SIZE + 1);
        assert_eq!(
            image(&Image {
                files: &files,
                ..all
            }),
            Err(error)
        );
    }

    #[test]
    fn descriptors_are_where_they_belong() {
        let image = one("OVF ENV", "ovf-env.xml").unwrap();
        assert_eq!(image.len() % SECTOR, 0);
        for (sector, kind) in [(16, 1), (17, 2), (18, 255)] {
            let at = sector * SECTOR;
            assert_eq!(image[at], kind);
            assert_eq!(&image[at + 1..at + 6], b"CD001");
        }
        assert_eq!(&image[16 * SECTOR + 40..][..8], b"OVF ENV ");
        assert_eq!(&image[17 * SECTOR + 40..][..14], b"\0O\0V\0F\0 \0E\0N\0V");
        let size = u32::from_le_bytes(image[16 * SECTOR + 80..][..4].try_into().unwrap());
        assert_eq!(size as usize * SECTOR, image.len());
        assert_eq!(one("OVF ENV", "ovf-env.xml").unwrap(), image);
    }
}
