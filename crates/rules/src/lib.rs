//! The declarative rules of a fixup: what `fixup.toml` can say without a program.
//!
//! A `fixup.toml` holds what a fixup is ([`Info`](refit_engine::Info)), conditions (`[when]`) and
//! any number of rules (`[[rule]]`). [`FixupToml`] reads it; [`Rules::plan`] turns the rules into
//! changes, in the way of any other fixup: it proposes what is not so yet, and nothing else.

mod check;
mod conditions;
mod document;
mod draft;
mod expand;
mod glob;
mod lines;
mod list;
mod modules;
mod packages;
mod params;
mod plan;
mod registry;
mod removal;
mod rule;
mod services;
mod version;
mod when;

pub use document::{FixupToml, ParseError, Rules, fixup_toml_schema};
pub use draft::Draft;
pub use lines::without_lines;
pub use list::List;
pub use params::Values;
pub use plan::Findings;
pub use registry::{HiveWord, Items, Registry, Set, ValueTest};
pub use removal::Kept;
pub use rule::{Line, Link, Owned, Rule, Setting, Write};
pub use when::{Contains, RegistryTest, When};
