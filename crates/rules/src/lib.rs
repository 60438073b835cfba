//! The declarative rules of a fixup: what `fixup.toml` can say without a program.
//!
//! A `fixup.toml` holds what a fixup is ([`Info`](refit_engine::Info)), conditions (`[when]`) and
//! any number of rules (`[[rule]]`). [`FixupToml`] reads it; [`Rules::plan`] turns the rules into
//! changes, in the way of any other fixup: it proposes what is not so yet, and nothing else.

mod document;
mod list;
mod rule;
mod when;

pub use document::{FixupToml, ParseError, Rules, fixup_toml_schema};
pub use list::List;
pub use rule::{Line, Link, Owned, Rule, Setting, Write};
pub use when::{Contains, When};
