//! An empty hive.

use crate::edit::space::Space;
use crate::header;
use crate::hive::Hive;
use crate::image::{BIN_HEADER, Image, NIL, put, put_u16, put_u32, put_u64};
use crate::record::{nk, sk};
use crate::survey::{Survey, survey};

/// When every new hive was made: 2000-01-01, as a FILETIME. A constant keeps new hives reproducible.
const BIRTH: u64 = 125_911_584_000_000_000;

/// Administrators own it; they and the system may do everything, users may read; subkeys inherit that.
#[rustfmt::skip]
const DESCRIPTOR: [u8; 124] = [
    // Revision, control (DACL present, self-relative), offsets of owner, group, SACL, DACL.
    1, 0, 0x04, 0x80, 96, 0, 0, 0, 112, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,
    // DACL: revision 2, 76 bytes, 3 entries.
    2, 0, 76, 0, 3, 0, 0, 0,
    // Allow, inherited by containers, full control: S-1-5-18.
    0, 2, 20, 0, 0x3f, 0, 0x0f, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0,
    // The same for S-1-5-32-544.
    0, 2, 24, 0, 0x3f, 0, 0x0f, 0, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0,
    // Read for S-1-5-32-545.
    0, 2, 24, 0, 0x19, 0, 0x02, 0, 1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x21, 2, 0, 0,
    // Owner S-1-5-32-544, group S-1-5-18.
    1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0,
    1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0,
];

impl Default for Hive {
    fn default() -> Hive {
        Hive::new()
    }
}

impl Hive {
    /// A hive of version 1.5 with nothing but a root key: always the same bytes.
    pub fn new() -> Hive {
        const NAME: &[u8] = b"ROOT";
        let root = BIN_HEADER;
        let mut image = Image {
            bytes: header::blank(root, 5, BIRTH),
        };
        let mut bin = vec![0; 4096];
        put(&mut bin, 0, b"hbin");
        put_u32(&mut bin, 8, 4096);
        put_u64(&mut bin, 20, BIRTH);
        put_u32(&mut bin, root as usize, 4096 - root);
        image.bytes.extend(bin);
        let mut hive = Hive {
            image,
            survey: Survey::default(),
            space: None,
        };
        hive.fill(NAME);
        hive
    }

    /// Puts the root key and its security descriptor into an empty hive.
    fn fill(&mut self, name: &[u8]) {
        let image = &mut self.image;
        // Neither can fail: the one bin has room for both.
        let Ok(mut space) = Space::of(image) else {
            return;
        };
        let (Ok(root), Ok(security)) = (
            space.allocate(image, nk::NAME + name.len()),
            space.allocate(image, sk::DESCRIPTOR + DESCRIPTOR.len()),
        ) else {
            return;
        };
        if let Some(cell) = image.cell_mut(security) {
            put(cell, 0, sk::SIGNATURE);
            put_u32(cell, sk::NEXT, security);
            put_u32(cell, sk::PREVIOUS, security);
            put_u32(cell, sk::REFERENCES, 1);
            put_u32(cell, sk::LENGTH, DESCRIPTOR.len() as u32);
            put(cell, sk::DESCRIPTOR, &DESCRIPTOR);
        }
        if let Some(cell) = image.cell_mut(root) {
            put(cell, 0, nk::SIGNATURE);
            put_u16(
                cell,
                nk::FLAGS,
                nk::FLAG_ROOT | nk::FLAG_NO_DELETE | nk::FLAG_LATIN_NAME,
            );
            put_u64(cell, nk::WRITTEN, BIRTH);
            for at in [
                nk::PARENT,
                nk::SUBKEY_LIST,
                nk::VOLATILE_LIST,
                nk::VALUE_LIST,
                nk::CLASS,
            ] {
                put_u32(cell, at, NIL);
            }
            put_u32(cell, nk::SECURITY, security);
            put_u16(cell, nk::NAME_LENGTH, name.len() as u16);
            put(cell, nk::NAME, name);
        }
        header::seal(&mut image.bytes);
        if let Ok(found) = survey(image) {
            self.survey = found;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_hive_is_sound_and_always_the_same() {
        let hive = Hive::new();
        assert_eq!(hive.bytes(), Hive::new().bytes());
        let again = Hive::parse(hive.clone().into_bytes()).unwrap();
        assert_eq!(again.root().subkeys().len(), 0);
        assert_eq!(again.root().values().len(), 0);
        assert_eq!(again.survey, hive.survey);
        assert_eq!(hive.survey.security.values().collect::<Vec<_>>(), [&1]);
        assert_eq!(hive.survey.blemishes, Default::default());
    }

    #[test]
    fn the_descriptor_adds_up() {
        let size =
            |at: usize| usize::from(u16::from_le_bytes([DESCRIPTOR[at], DESCRIPTOR[at + 1]]));
        assert_eq!(
            20 + size(22),
            DESCRIPTOR[4].into(),
            "the owner follows the list"
        );
        assert_eq!(size(22), 8 + size(30) + size(50) + size(74));
        assert_eq!(
            DESCRIPTOR[8] - DESCRIPTOR[4],
            16,
            "the group follows the owner"
        );
        assert_eq!(DESCRIPTOR.len(), usize::from(DESCRIPTOR[8]) + 12);
    }
}
