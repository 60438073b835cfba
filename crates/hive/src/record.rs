//! Where the fields of each record are, from the start of a cell's contents, in bytes.
//!
//! The names are those of the regf specification, section "Cell".

/// A key node, `nk`.
pub(crate) mod nk {
    pub(crate) const SIGNATURE: &[u8] = b"nk";
    pub(crate) const FLAGS: usize = 2;
    pub(crate) const WRITTEN: usize = 4;
    pub(crate) const PARENT: usize = 16;
    pub(crate) const SUBKEYS: usize = 20;
    pub(crate) const SUBKEY_LIST: usize = 28;
    pub(crate) const VOLATILE_LIST: usize = 32;
    pub(crate) const VALUES: usize = 36;
    pub(crate) const VALUE_LIST: usize = 40;
    pub(crate) const SECURITY: usize = 44;
    pub(crate) const CLASS: usize = 48;
    /// 16 bits: since Vista the upper half holds flags.
    pub(crate) const MAX_SUBKEY_NAME: usize = 52;
    pub(crate) const MAX_CLASS: usize = 56;
    pub(crate) const MAX_VALUE_NAME: usize = 60;
    pub(crate) const MAX_VALUE_DATA: usize = 64;
    pub(crate) const NAME_LENGTH: usize = 72;
    pub(crate) const CLASS_LENGTH: usize = 74;
    pub(crate) const NAME: usize = 76;

    pub(crate) const FLAG_ROOT: u16 = 0x04;
    pub(crate) const FLAG_NO_DELETE: u16 = 0x08;
    pub(crate) const FLAG_LATIN_NAME: u16 = 0x20;
}

/// A value, `vk`.
pub(crate) mod vk {
    pub(crate) const SIGNATURE: &[u8] = b"vk";
    pub(crate) const NAME_LENGTH: usize = 2;
    pub(crate) const DATA_SIZE: usize = 4;
    pub(crate) const DATA: usize = 8;
    pub(crate) const KIND: usize = 12;
    pub(crate) const FLAGS: usize = 16;
    pub(crate) const NAME: usize = 20;

    pub(crate) const FLAG_LATIN_NAME: u16 = 0x01;
    /// In the data size: up to four bytes of data stand in the field for its offset.
    pub(crate) const INLINE: u32 = 1 << 31;
}

/// A security descriptor, `sk`.
pub(crate) mod sk {
    pub(crate) const SIGNATURE: &[u8] = b"sk";
    pub(crate) const NEXT: usize = 4;
    pub(crate) const PREVIOUS: usize = 8;
    pub(crate) const REFERENCES: usize = 12;
    pub(crate) const LENGTH: usize = 16;
    pub(crate) const DESCRIPTOR: usize = 20;
}

/// Lists of subkeys: leaves `li`, `lf`, `lh`, and `ri`, the list of leaves.
pub(crate) mod list {
    pub(crate) const COUNT: usize = 2;
    pub(crate) const ENTRIES: usize = 4;
}

/// Data in segments, `db`, in versions above 1.3.
pub(crate) mod db {
    pub(crate) const SIGNATURE: &[u8] = b"db";
    pub(crate) const SEGMENTS: usize = 2;
    pub(crate) const LIST: usize = 4;
    /// Bytes of data in each segment but the last; longer data is stored so.
    pub(crate) const SEGMENT: usize = 16344;
}
