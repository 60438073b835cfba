//! What an appliance asks for at deployment, and the answers.
//!
//! [`Rules`] says what a property takes, [`Answers`] collects what the user gives from several places,
//! and [`resolve()`] puts both together for one deployment: all values of all systems, or everything that is
//! wrong at once. No value of a secret is ever part of a message or of `Debug`.

mod answers;
mod check;
mod distance;
mod macros;
mod networks;
mod nodes;
mod qualifiers;
mod resolve;
mod rules;
mod violation;

pub use answers::{Answer, Answers, Origin};
pub use check::Broken;
pub use networks::{IpAllocation, NetworkSettings};
pub use qualifiers::{Qualifier, Qualifiers};
pub use resolve::{Assigned, Policy, Resolved, ResolvedSystem, resolve};
pub use rules::{Kind, NetworkRole, Role, Rules};
pub use violation::{Violation, Violations};
