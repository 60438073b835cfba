//! Security descriptors: shared by keys, counted, in one ring.

use crate::edit::Editor;
use crate::image::NIL;
use crate::record::sk;

impl Editor<'_> {
    /// One more key uses a descriptor.
    pub(super) fn share_security(&mut self, offset: u32) {
        if offset == NIL {
            return;
        }
        let count = self.security.entry(offset).or_default();
        *count += 1;
        self.image.set_u32(offset, sk::REFERENCES, *count);
    }

    /// One key less uses a descriptor; the last one takes it along.
    pub(super) fn release_security(&mut self, offset: u32) {
        let Some(count) = self.security.get_mut(&offset) else {
            return;
        };
        *count = count.saturating_sub(1);
        self.image.set_u32(offset, sk::REFERENCES, *count);
        if *count > 0 {
            return;
        }
        self.security.remove(&offset);
        let next = self.image.u32(offset, sk::NEXT).unwrap_or(NIL);
        let previous = self.image.u32(offset, sk::PREVIOUS).unwrap_or(NIL);
        let linked = |cell, at| {
            self.image
                .cell(cell)
                .is_some_and(|cell| cell.starts_with(sk::SIGNATURE))
                && self.image.u32(cell, at) == Some(offset)
        };
        // In a ring that is broken already the cell stays, unused, rather than leave a link to nowhere.
        if next != offset && linked(next, sk::PREVIOUS) && linked(previous, sk::NEXT) {
            self.image.set_u32(previous, sk::NEXT, next);
            self.image.set_u32(next, sk::PREVIOUS, previous);
            self.free(offset);
        }
    }
}
