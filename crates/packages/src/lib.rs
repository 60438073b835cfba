//! Package databases of guests, without running a guest's program.
//!
//! [`Packages::read`] finds the database of dpkg, rpm, apk or pacman and reads it through
//! [`Guest`](refit_engine::Guest), so that a directory and a disk give the same answer. Everything in
//! a database is hostile: sizes, counts and depths are bounded, names that could lead elsewhere are
//! refused, and a damaged record costs an error and never a panic.
//!
//! [`Packages::removal`] proposes what the package manager's own removal would leave behind: files,
//! and the database that no longer knows them.

mod apk;
mod dependents;
mod dpkg;
mod owners;
mod package;
mod packages;
mod pacman;
mod removal;
mod rpm;
mod services;

pub use package::{Package, State};
pub use packages::{Format, Packages};
pub use removal::Removal;
