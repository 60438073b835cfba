//! Setting and deleting values.

use crate::data::{self, Place};
use crate::edit::Editor;
use crate::edit::space::cell_size;
use crate::error::HiveError;
use crate::image::{Image, NIL, put, put_u16, put_u32};
use crate::key::{find_value, value_cells};
use crate::name;
use crate::record::{db, nk, vk};
use crate::value::Value;

/// Longest data in one cell, in bytes: the largest cell that Windows takes for sane.
const MAX_CELL_DATA: usize = (1 << 20) - 8;

/// Refuses data that this hive cannot hold.
pub(super) fn check_length(image: &Image, value: &Value) -> Result<(), HiveError> {
    let max = match image.minor() {
        // Windows stores what is longer in segments only from version 1.4 on.
        ..=3 => MAX_CELL_DATA,
        _ => db::SEGMENT * usize::from(u16::MAX),
    };
    match value.data.len() > max {
        true => Err(HiveError::Limit("a value's data is too long for it")),
        false => Ok(()),
    }
}

/// What a value's record says of its data: size and place.
type Reference = (u32, [u8; 4]);

impl Editor<'_> {
    /// Sets a value of a key.
    pub(super) fn set_value(
        &mut self,
        key: u32,
        name: &[u16],
        value: &Value,
    ) -> Result<(), HiveError> {
        let values = value_cells(self.image, key);
        match find_value(self.image, &values, name) {
            Some(offset) => {
                let reference = self.replace_data(offset, &value.data)?;
                self.refer(offset, reference, value);
            }
            None => self.add_value(key, name, value, values)?,
        }
        self.raise(key, nk::MAX_VALUE_NAME, name.len() * 2);
        self.raise(key, nk::MAX_VALUE_DATA, value.data.len());
        self.stamp(key);
        Ok(())
    }

    fn add_value(
        &mut self,
        key: u32,
        name: &[u16],
        value: &Value,
        mut values: Vec<u32>,
    ) -> Result<(), HiveError> {
        let (bytes, latin) = name::encode(name);
        let reference = self.write_data(&value.data)?;
        let offset = self.allocate(vk::NAME + bytes.len())?;
        if let Some(cell) = self.image.cell_mut(offset) {
            put(cell, 0, vk::SIGNATURE);
            put_u16(cell, vk::NAME_LENGTH, bytes.len() as u16);
            // Windows leaves the flag off a value without a name.
            let latin = latin && !bytes.is_empty();
            put_u16(cell, vk::FLAGS, if latin { vk::FLAG_LATIN_NAME } else { 0 });
            put(cell, vk::NAME, &bytes);
        }
        self.refer(offset, reference, value);
        values.push(offset);
        self.write_values(key, &values)
    }

    /// Deletes a value of a key.
    pub(super) fn delete_value(&mut self, key: u32, value: u32) {
        let mut values = value_cells(self.image, key);
        values.retain(|offset| *offset != value);
        self.free_data(value);
        self.free(value);
        let list = self.image.u32(key, nk::VALUE_LIST).unwrap_or(NIL);
        if values.is_empty() {
            self.free(list);
            self.image.set_u32(key, nk::VALUE_LIST, NIL);
            self.image.set_u32(key, nk::MAX_VALUE_NAME, 0);
            self.image.set_u32(key, nk::MAX_VALUE_DATA, 0);
        } else if let Some(cell) = self.image.cell_mut(list) {
            cell.fill(0);
            put(cell, 0, &list_bytes(&values));
        }
        self.image.set_u32(key, nk::VALUES, values.len() as u32);
        self.stamp(key);
    }

    /// Frees the values of a key that goes away.
    pub(super) fn free_values(&mut self, key: u32) {
        let values = value_cells(self.image, key);
        for value in &values {
            self.free_data(*value);
            self.free(*value);
        }
        if !values.is_empty() {
            let list = self.image.u32(key, nk::VALUE_LIST).unwrap_or(NIL);
            self.free(list);
        }
    }

    /// Writes a key's list of values, one longer than before.
    fn write_values(&mut self, key: u32, values: &[u32]) -> Result<(), HiveError> {
        let bytes = list_bytes(values);
        let old = (values.len() > 1).then(|| self.image.u32(key, nk::VALUE_LIST).unwrap_or(NIL));
        let fits = old.filter(|old| {
            self.image
                .cell(*old)
                .is_some_and(|cell| cell.len() >= bytes.len())
        });
        let list = match fits {
            Some(list) => list,
            None => self.allocate(bytes.len() + bytes.len() / 4)?,
        };
        if let Some(cell) = self.image.cell_mut(list) {
            put(cell, 0, &bytes);
        }
        if let Some(old) = old.filter(|old| *old != list) {
            self.free(old);
        }
        self.image.set_u32(key, nk::VALUE_LIST, list);
        self.image.set_u32(key, nk::VALUES, values.len() as u32);
        Ok(())
    }

    /// Enters type, size and place of the data into a value's record.
    fn refer(&mut self, value: u32, (size, place): Reference, new: &Value) {
        if let Some(cell) = self.image.cell_mut(value) {
            put_u32(cell, vk::DATA_SIZE, size);
            put(cell, vk::DATA, &place);
            put_u32(cell, vk::KIND, new.kind.number());
        }
    }

    /// Writes new data for a value that is there, into the cell of the old if that suits.
    fn replace_data(&mut self, value: u32, data: &[u8]) -> Result<Reference, HiveError> {
        let cell = self.image.cell(value).unwrap_or_default();
        if let Some(Place::Cell { offset, .. }) = data::place(self.image, cell)
            && data.len() > 4
            && !self.is_segmented(data.len())
            && cell_size(self.image, offset) as usize == (data.len() + 4).next_multiple_of(8)
        {
            if let Some(room) = self.image.cell_mut(offset) {
                room.fill(0);
                put(room, 0, data);
            }
            return Ok((data.len() as u32, offset.to_le_bytes()));
        }
        // Written before the old is freed: a failure leaves the value as it was.
        let reference = self.write_data(data)?;
        self.free_data(value);
        Ok(reference)
    }

    fn is_segmented(&self, length: usize) -> bool {
        self.image.minor() > 3 && length > db::SEGMENT
    }

    fn write_data(&mut self, data: &[u8]) -> Result<Reference, HiveError> {
        if data.len() <= 4 {
            let mut place = [0; 4];
            put(&mut place, 0, data);
            return Ok((data.len() as u32 | vk::INLINE, place));
        }
        let offset = match self.is_segmented(data.len()) {
            true => self.write_segments(data)?,
            false => self.write_cell(data)?,
        };
        Ok((data.len() as u32, offset.to_le_bytes()))
    }

    fn write_cell(&mut self, data: &[u8]) -> Result<u32, HiveError> {
        let offset = self.allocate(data.len())?;
        if let Some(cell) = self.image.cell_mut(offset) {
            put(cell, 0, data);
        }
        Ok(offset)
    }

    fn write_segments(&mut self, data: &[u8]) -> Result<u32, HiveError> {
        let mut segments = Vec::new();
        for segment in data.chunks(db::SEGMENT) {
            // Windows makes the last as large as the others, and libhivex cuts off what lies in a cell's last bytes.
            let offset = self.allocate(db::SEGMENT)?;
            if let Some(cell) = self.image.cell_mut(offset) {
                put(cell, 0, segment);
            }
            segments.push(offset);
        }
        let list = self.write_cell(&list_bytes(&segments))?;
        let record = self.allocate(db::LIST + 4)?;
        if let Some(cell) = self.image.cell_mut(record) {
            put(cell, 0, db::SIGNATURE);
            put_u16(cell, db::SEGMENTS, segments.len() as u16);
            put_u32(cell, db::LIST, list);
        }
        Ok(record)
    }

    /// Frees the data of a value; its record still refers to it.
    fn free_data(&mut self, value: u32) {
        let cell = self.image.cell(value).unwrap_or_default();
        match data::place(self.image, cell) {
            Some(Place::Cell { offset, .. }) => self.free(offset),
            Some(Place::Segments { offset, .. }) => {
                if let Some((list, segments)) = data::segments(self.image, offset) {
                    for segment in segments {
                        self.free(segment);
                    }
                    self.free(list);
                }
                self.free(offset);
            }
            Some(Place::Inline(_)) | None => {}
        }
    }

    /// Raises a key's record of the longest name or data.
    fn raise(&mut self, key: u32, at: usize, length: usize) {
        let before = self.image.u32(key, at).unwrap_or_default();
        self.image.set_u32(key, at, before.max(length as u32));
    }
}

fn list_bytes(offsets: &[u32]) -> Vec<u8> {
    offsets
        .iter()
        .flat_map(|offset| offset.to_le_bytes())
        .collect()
}
