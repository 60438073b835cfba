//! The Forklift conversion-pod contract: what a controller gives, expects and fetches.

mod ca;
mod copy;
mod description;
mod disks;
mod domain;
mod environment;
mod goflag;
mod http;
mod in_place;
mod inspection;
mod keys;
mod last_words;
mod metrics;
mod modes;
mod nics;
mod osinfo;
mod refused;
mod run;
mod scripts;
mod scrub;
mod server;
mod session;
mod settings;

pub use disks::{Disk, discover, letters};
pub use environment::PodEnvironment;
pub use goflag::FlagError;
pub use metrics::{Metrics, MetricsServer};
pub(crate) use run::announce;
pub use run::{Tooling, run};
pub use scrub::{Variables, environment};
pub use server::{Answers, RESULTS_ADDRESS, Warning, serve};
pub use settings::{Paths, Settings, Source};
