//! Disks, their overlays and the commit, on real images with the real qemu-img: killed at every step and at
//! random, and with disks that are not what they should be.
//!
//! A commit that is to be killed runs in a process of its own: this test binary, started again with
//! [`support::CHILD`] in its environment, which makes [`child`] (a test that does nothing otherwise) do the work.

#![allow(clippy::unwrap_used)]

mod all_or_none;
mod killed;
mod places;
mod refused;
mod support;

use std::{env, fs, path::PathBuf};

use refit_engine::disks::{Options, Step, recover};

use support::{CHILD, change, open, qemu_io};

/// The other process; see the head of this file.
#[test]
fn child() {
    let Ok(command) = env::var(CHILD) else { return };
    let mut words = command.lines();
    match words.next() {
        Some("commit") => {
            let step = words.next().unwrap().to_owned();
            let disks: Vec<_> = words.map(PathBuf::from).collect();
            let overlays = open(&disks);
            change(&overlays);
            let mut abort_at = |now: Step| {
                if format!("{now:?}") == step {
                    std::process::abort();
                }
            };
            overlays.commit(&mut abort_at).unwrap();
        }
        Some("large") => {
            let overlays = open(&words.map(PathBuf::from).collect::<Vec<_>>());
            for image in overlays.images() {
                qemu_io(image, "qcow2", "write -P 0x77 16M 64M");
            }
            // The test kills us from here on.
            let mark = overlays
                .bases()
                .next()
                .unwrap()
                .path()
                .with_extension("ready");
            fs::write(mark, "").unwrap();
            overlays.commit(&mut |_| ()).unwrap();
        }
        Some("hold") => {
            let overlays = open(&words.map(PathBuf::from).collect::<Vec<_>>());
            let mark = overlays
                .bases()
                .next()
                .unwrap()
                .path()
                .with_extension("ready");
            fs::write(mark, "").unwrap();
            let _ = std::io::stdin().read_line(&mut String::new());
        }
        Some("recover") => {
            let disks: Vec<_> = words.map(PathBuf::from).collect();
            recover(&disks, &Options::default()).unwrap();
        }
        other => panic!("{other:?}"),
    }
}
