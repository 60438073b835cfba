//! virt-v2v as a library: find it, learn what it can do, run it, understand what it says.
//!
//! The three programs (`virt-v2v`, `virt-v2v-in-place`, `virt-v2v-inspector`) share one runner:
//!
//! 1. [`Tools::find`] and [`Capabilities::probe`] say which programs are here and what they offer;
//!    [`checks`] says which companions are missing and what that means.
//! 2. [`ConvertOptions`], [`InPlaceOptions`] and [`InspectorOptions`] are typed command lines.
//! 3. [`run()`], [`run_kubevirt`], [`run_in_place`] and [`run_inspector`] start the program in its own process group,
//!    report [`Event`]s, watch that the appliance comes up, and return an outcome or a
//!    [`ConvertError`] in plain words. Everything that was printed is kept in one log file.

mod argv;
mod capabilities;
mod errors;
mod event;
mod firstboot;
mod lines;
mod log;
mod messages;
mod options;
mod outcome;
mod output;
mod outputs;
mod patterns;
mod plain;
mod preflight;
mod process;
mod roots;
mod run;
mod scratch;
mod secrets;
mod sockets;
mod source;
mod tools;
mod watchdog;

pub use capabilities::{Capabilities, Version};
pub use errors::{ConvertError, ErrorKind, RootChoice};
pub use event::{Event, Phase};
pub use options::{
    Accel, BlockDriver, ConvertOptions, InPlaceOptions, Input, InspectorOptions, Key,
    KubevirtOptions, LibvirtGuest, MacMap, MacTarget, NetworkMap, OutputFormat, ParseKeyError,
    Protocol, Root, Settings, Vddk,
};
pub use outcome::{Conversion, Inspection, Outcome, Timing};
pub use preflight::{Check, Severity, checks, require};
pub use process::CancelToken;
pub use run::{run, run_in_place, run_inspector, run_kubevirt};
pub use secrets::masked;
pub use tools::{Environment, Kind, Program, Tools};
