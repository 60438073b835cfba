//! The Forklift conversion-pod contract: what a controller gives, expects and fetches.

mod disks;
mod goflag;
mod http;
mod image_converter;
pub mod init;
mod metrics;
mod server;
mod settings;
mod wait_for_reboot;

pub use disks::{Disk, discover, letters};
pub use goflag::FlagError;
pub use image_converter::image_converter;
pub use metrics::{Metrics, MetricsServer};
pub use server::{Answers, RESULTS_ADDRESS, Warning, serve};
pub use settings::{Paths, Settings, Source};
pub use wait_for_reboot::wait_for_reboot;
