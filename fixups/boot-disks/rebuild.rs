//! An initramfs that nothing can be appended to, built anew by the guest's own tool.
//!
//! It takes a minute where appending takes a second, so it is the last resort. The tool runs on a
//! throw-away copy of the guest; what it built is looked at like any other image, and proposed only if
//! the drivers are in it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use refit_engine::{Change, Guest, GuestCommand, GuestPath, Kernel, RehearseError};

use super::drivers::{Outcome, examine};
use super::tool::Tool;

/// Emulated, with a slow compressor, on a busy host.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The changes that the tool makes, or why it is no help. If they would be lost at the guest's own next
/// rebuild, a warning says so.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn rehearse(
    guest: &Guest<'_>,
    tool: Tool,
    kernel: &Kernel,
    image: &GuestPath,
    modules: &[&str],
    warnings: &mut Vec<String>,
) -> anyhow::Result<Result<Vec<Change>, String>> {
    let name = |path: &GuestPath| std::str::from_utf8(path.as_bytes()).map(str::to_owned).ok();
    let (Some(file), Some(vmlinuz)) = (name(image), kernel.image.as_ref().and_then(name)) else {
        return Ok(Err("its name is not text".to_owned()));
    };
    let Some(argv) = tool.command(&kernel.release, &file, &vmlinuz, modules) else {
        return Ok(Err("no such tool was found".to_owned()));
    };
    let mut view = guest.clone();
    let mut untold = Vec::new();
    let mut changes: Vec<Change> = tool
        .include(&view, modules, &mut untold)?
        .into_iter()
        .collect();
    view.stage(&changes)?;
    let command = GuestCommand {
        argv,
        stdin: Vec::new(),
        env: BTreeMap::new(),
        timeout: TIMEOUT,
    };
    tracing::info!(image = %image, "building the initramfs anew; this takes some minutes");
    let built = match view.rehearse(&command) {
        Ok(built) => built,
        Err(RehearseError::Unavailable { reason }) => return Ok(Err(reason)),
        Err(RehearseError::Failed(error)) => return Ok(Err(format!("{error:#}"))),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let tool = &command.argv[0];
    if built.status != 0 {
        let last = built.output.lines().last().unwrap_or("nothing");
        return Ok(Err(format!(
            "{tool} ended with status {}, and said: {last}",
            built.status
        )));
    }
    view.stage(&built.changes)
        .with_context(|| format!("reading what {tool} built"))?;
    let (_, outcome) = examine(&view, kernel, image)?;
    if !matches!(outcome, Outcome::Ready { .. }) {
        return Ok(Err(format!("what {tool} built lacks the drivers, too")));
    }
    changes.extend(built.changes);
    // The tool of old systems has no file that it could be told by: the next rebuild goes by the hardware.
    warnings.append(&mut untold);
    Ok(Ok(changes))
}
