//! Guest, Fixup, Verdict, Change, Plan: the engine behind every command.
//!
//! A [`Fixup`] reads a [`Guest`] and proposes [`Change`]s. The engine shows them, applies them,
//! checks them by planning again, and can undo them. It knows no distribution: that is the
//! business of the fixups.

mod apply;
pub mod backend;
mod change;
pub mod disks;
mod facts;
mod fixup;
mod guest;
pub mod initramfs;
mod keys;
pub mod nic;
mod path;
mod plan;
mod ranges;
mod registry;
mod rehearsal;
mod run;
mod selinux;
mod session;
mod stage;
pub mod target;
mod undo;

pub use apply::{Prepared, prepare};
pub use change::{Change, InitramfsFile, sha256_hex};
pub use facts::{BlockDevice, Facts, Hints, Kernel, Mount, Os, WindowsEsp, WindowsFacts};
pub use fixup::{
    Evidence, Fixup, Info, OvfEnvironment, Parameter, ParameterType, Phase, Proposal, Request,
    Verdict,
};
pub use guest::{Guest, READ_LIMIT};
pub use keys::Key;
pub use nic::Nic;
pub use path::GuestPath;
pub use plan::{Held, Planned, Selection, VerdictKind, plan};
pub use registry::{HIVE_LIMIT, HiveName, ValueJson};
pub use rehearsal::{GuestCommand, Rehearsal, RehearseError, Traces};
pub use run::{FixError, Job, Report, Step, Unsettled, fix, plan_guest};
pub use selinux::FileContexts;
pub use session::{OpenError, Root};
pub use stage::Stage;
pub use undo::{ChangedSince, Restored, UndoFile};
