//! Settings of a card's hardware that virtio's does not have (ethtool(8)).
//!
//! NetworkManager, udev and initscripts only note a setting that the card refuses, and go on. For
//! ifupdown a command that fails is the end of bringing the card up.

use refit_engine::GuestPath;

use super::edit::{Edits, Files};
use crate::network::sources::ifupdown::stanza::{self, Directive, StanzaOption};
use crate::network::sources::{ifcfg, ifupdown, keyfile, unit_file};

/// Longest queue of a virtio card (`VIRTQUEUE_MAX_SIZE` in QEMU; virtio specification 2.7 allows
/// more). VMware's has up to 4096.
const RING_LIMIT: u32 = 1024;

/// Options of ethtool for what a virtio card refuses, or does only on some hosts: rings, coalescing,
/// pause frames, filters.
const DOUBTFUL: [&str; 11] = [
    "-G",
    "--set-ring",
    "-C",
    "--coalesce",
    "-A",
    "--pause",
    "-N",
    "-U",
    "--config-ntuple",
    "--config-nfc",
    "--set-priv-flags",
];

/// Makes ifupdown go on where such a command fails, and warns of rings that are too long. Gives back
/// how many commands are changed.
///
/// # Errors
/// If a directory cannot be read.
pub(super) fn correct(files: &mut Files<'_, '_>) -> anyhow::Result<usize> {
    let mut count = 0;
    for path in ifupdown::files(files.guest)? {
        let Some(text) = files.text(&path)? else {
            continue;
        };
        let mut edits = Edits::default();
        for option in commands(&text) {
            let written = &text[option.bytes.clone()];
            let end = option.bytes.start + written.trim_end().len();
            edits.insert(end, " || true");
            count += 1;
        }
        files.edit(&path, edits)?;
    }
    warn_of_rings(files)?;
    Ok(count)
}

/// The commands that may fail on a virtio card, and whose failure nothing takes care of.
fn commands(text: &str) -> Vec<StanzaOption> {
    let statements = stanza::parse(text).into_iter();
    let options = statements.flat_map(|statement| match statement.directive {
        Directive::Interface(stanza) => stanza.options,
        _ => Vec::new(),
    });
    options
        .filter(|option| {
            let runs_first = matches!(option.key.as_str(), "pre-up" | "up" | "post-up");
            runs_first && is_doubtful(&option.value)
        })
        .collect()
}

/// Whether the command is ethtool alone, with an option that may be refused.
fn is_doubtful(command: &str) -> bool {
    let is_simple = !command.contains(['|', ';', '&', '#', '\'', '"', '`', '(']);
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    let is_ethtool = program.rsplit('/').next() == Some("ethtool");
    is_simple
        && is_ethtool
        && words
            .next()
            .is_some_and(|option| DOUBTFUL.contains(&option))
}

fn warn_of_rings(files: &mut Files<'_, '_>) -> anyhow::Result<()> {
    let mut found: Vec<(GuestPath, String)> = Vec::new();
    for path in keyfile::files(files.guest)? {
        let text = files.text(&path)?.unwrap_or_default();
        for place in keyfile::places(&text) {
            let key = place.key.unwrap_or_default();
            if place.group == "ethtool" && key.starts_with("ring-") && is_long(&text[place.value]) {
                found.push((path.clone(), key));
            }
        }
    }
    for path in super::pins::networkd_files(files.guest)? {
        let text = files.text(&path)?.unwrap_or_default();
        for place in unit_file::places(&text) {
            let key = place.key.unwrap_or_default();
            if place.section.0 == "Link" && key.ends_with("BufferSize") && is_long(&place.value) {
                found.push((path.clone(), key));
            }
        }
    }
    for (_, path) in ifcfg::files(files.guest)? {
        let text = files.text(&path)?.unwrap_or_default();
        for one in ifcfg::assignments(&text) {
            // As it is written: it mostly has `${DEVICE}` in it.
            let value = text[one.bytes.clone()].trim_matches(['"', '\'']);
            let is_own = matches!(one.name.as_str(), "ETHTOOL_OPTS" | "ETHTOOL_OPTIONS");
            if is_own && has_long_ring(value) {
                found.push((path.clone(), one.name));
            }
        }
    }
    for (path, key) in found {
        files.warnings.push(format!(
            "{path}: {key} asks for a longer ring than a virtio card has ({RING_LIMIT} at most); it has no effect"
        ));
    }
    Ok(())
}

fn is_long(value: &str) -> bool {
    value
        .trim()
        .parse::<u32>()
        .is_ok_and(|size| size > RING_LIMIT)
}

/// Whether one of the commands, separated by `;`, sets a ring that is too long.
fn has_long_ring(options: &str) -> bool {
    options.split(';').any(|command| {
        let mut words = command.split_whitespace();
        words.any(|word| matches!(word, "-G" | "--set-ring")) && words.any(is_long)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_may_fail() {
        for command in [
            "ethtool -G eth0 rx 4096",
            "/sbin/ethtool -C $IFACE rx-usecs 0",
        ] {
            assert!(is_doubtful(command), "{command}");
        }
        for command in [
            "ethtool -G eth0 rx 4096 || true",
            "ethtool -K eth0 tso off",
            "ip link set eth0 up",
            "sh -c 'ethtool -G eth0 rx 4096'",
            "ethtool eth0",
        ] {
            assert!(!is_doubtful(command), "{command}");
        }
    }

    #[test]
    fn rings_that_are_too_long() {
        for (options, expected) in [
            ("-G ${DEVICE} rx 4096", true),
            ("-K eth0 gro off; -G eth0 rx 2048 tx 512", true),
            ("-G eth0 rx 1024", false),
            ("speed 10000 duplex full", false),
            ("-K eth0 gro off; -C eth0 rx-usecs 4096", false),
        ] {
            assert_eq!(has_long_ring(options), expected, "{options}");
        }
    }
}
