//! Users' own fixups, loaded from folders without rebuilding refit.
//!
//! A folder with a `fixup.toml` is a fixup. What it does is one of four things: declarative rules, a
//! script that is run in the guest's root ahead of time, a script that the guest runs at its next
//! boot, or a program on this host that is asked through a line protocol. Whatever it is, it proposes
//! changes, and those go through the same plan, diff, check and undo as a built-in fixup's.

pub mod check;
#[cfg(test)]
mod documentation;
mod environment;
mod fixup;
mod load;
mod manifest;
mod problem;
mod program;
mod schema;
mod script;
mod single;
mod trusted;

pub use fixup::UserFixup;
pub use load::{Loaded, Stop, load};
pub use problem::Problem;
pub use schema::{fixup_toml_schema, protocol_schema};
pub use single::{When, single};
