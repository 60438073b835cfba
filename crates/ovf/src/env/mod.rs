//! The OVF environment: the document that tells a guest its properties (DSP8027), and the medium that
//! carries it.
//!
//! Guests read the document with XML parsers, and more often with grep, awk, sed and perl, line by line. So its
//! bytes are those that vSphere writes: attributes in double quotes and in this order, one property on
//! each line, truth values as `True` and `False`, adapters after the properties.

mod adapters;
mod document;
mod guestinfo;
mod medium;

pub use adapters::{Adapter, ParseAdapterError};
pub use document::{Environment, Platform, document};
pub use guestinfo::guestinfo;
pub use medium::{FILE, GUESTINFO_FILE, LABEL, medium, medium_with};
