//! Registry hives of Windows: read, edited, recovered.

#![forbid(unsafe_code)]
#![allow(dead_code)]

mod cells;
mod data;
mod edit;
mod error;
mod header;
mod hive;
mod image;
mod key;
mod lists;
mod logs;
mod name;
mod path;
mod record;
pub mod reg;
mod survey;
mod upcase;
mod value;

pub use error::HiveError;
pub use hive::Hive;
pub use key::{Key, NamedValue};
pub use value::{Value, ValueKind};
