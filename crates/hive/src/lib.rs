//! Registry hives of Windows: read, edited, and recovered from their transaction logs.
//!
//! A hive (`regf`, versions 1.3 to 1.6: NT 4 to Windows 11) is a file of cells that refer to one another by offset. This
//! crate keeps the file in memory, [checks all of it](Hive::parse) before anything else, and edits it in place. A guest's
//! hive is hostile: whatever is in it, nothing here panics, runs without end, or takes more memory than a small multiple
//! of the file. Each cell may have one owner, so a walk meets none twice; a walk uses a list of what is left to visit, no
//! recursion; a size is believed only after it was compared with the cell's.
//!
//! The facts of the format are Maxim Suhanov's ("Windows registry file format specification",
//! <https://github.com/msuhanov/regf>), held against hives of Windows XP to 10 and against what libhivex,
//! python-registry and regipy make of them (`tests/readers.rs`). The specification is the reference where those differ:
//! libhivex ignores logs and the last bytes of long data, python-registry knows Windows-1252 where the kernel has Latin-1,
//! and regipy replays two logs in the order of its arguments.
//!
//! # Why a crate of our own
//!
//! - libguestfs's `hivex_*` calls work in the appliance only, need a round trip for each key, cannot delete one value, and
//!   ignore transaction logs, so that what they write makes Windows throw away what the logs hold.
//! - libhivex on the host would parse hostile files in our process, in C; it never reuses free cells, does not sort by
//!   Unicode, and leaves counters (the longest name, the keys of a security descriptor) to chance.
//! - The crates that there are read only (`nt-hive`, `notatin`), have a licence that does not suit, or are so young that
//!   they, too, would first have to be proved.
//!
//! # Edits
//!
//! The same edits of the same hive give the same bytes. So the clock stays out of it: keys that change are stamped with
//! the time of last writing in the hive's header (unless theirs is later), and that time is kept. With the first edit the
//! header's sequence numbers go one up, both, as after a completed write. Setting what is there already changes no byte.
//! A deleted cell is wiped, joined with free neighbours, and used again.
//!
//! New keys get their parent's security descriptor, by reference, without looking at inheritance flags.
//!
//! # Dirty hives
//!
//! Since Windows 8.1 writes go to the logs first, and reach the hive up to an hour later, or after a start that was no
//! "fast" one. [`Hive::parse`] refuses such a hive; [`Hive::recover`] replays its logs, completely or not at all.
//!
//! ```
//! use refit_hive::{Hive, Value};
//!
//! let mut hive = Hive::new();
//! hive.set_value(r"ControlSet001\Services\viostor", "Start", &Value::dword(0))?;
//! hive.check()?;
//! let again = Hive::parse(hive.into_bytes())?;
//! let key = again.key(r"controlset001\services\VIOSTOR").unwrap();
//! assert_eq!(key.value("start").unwrap().as_dword(), Some(0));
//! # Ok::<(), refit_hive::HiveError>(())
//! ```

#![forbid(unsafe_code)]

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
