//! The names under which refit is started in the place of other programs: links to it, as `busybox` has them.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use crate::output;

/// Forklift's name for the program that converts: `refit pod`.
const POD: &str = "virt-v2v-wrapper";
/// These programs are read in the log of a pod, where nobody asked for less.
const LOG: &str = "info";

/// If this is a link whose program is none of refit's commands: runs that program.
pub fn run_other() -> Option<ExitCode> {
    match name().to_str()? {
        "image-converter" => {
            output::log_to_stderr(LOG);
            let arguments = std::env::args_os().skip(1);
            let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
            Some(refit_pod::image_converter(arguments))
        }
        "forklift-wait-for-reboot" => {
            output::log_to_stderr(LOG);
            Some(refit_pod::wait_for_reboot())
        }
        _ => None,
    }
}

/// The command line with refit's own words in the place of the link's name.
pub fn arguments() -> Vec<OsString> {
    let given = std::env::args_os();
    if name() == POD {
        let words = ["refit", "pod"].map(OsString::from);
        words.into_iter().chain(given.skip(1)).collect()
    } else {
        given.collect()
    }
}

fn name() -> OsString {
    let path = std::env::args_os().next().unwrap_or_default();
    Path::new(&path)
        .file_name()
        .unwrap_or(OsStr::new("refit"))
        .to_owned()
}
