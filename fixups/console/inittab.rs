//! inittab(5) of System V init, and that of BusyBox.

use super::{PORT, SPEED, XEN_CONSOLES};

/// Identifiers for a serial getty, as distributions' own examples have them.
const IDENTIFIERS: [&str; 4] = ["S0", "T0", "s0", "rS0"];

/// One entry: `id:runlevels:action:process`.
struct Entry<'t> {
    id: &'t str,
    levels: &'t str,
    action: &'t str,
    process: &'t str,
}

impl<'t> Entry<'t> {
    fn parse(line: &'t str) -> Option<Self> {
        let line = line.trim();
        let mut fields = line.splitn(4, ':');
        let entry = Self {
            id: fields.next()?,
            levels: fields.next()?,
            action: fields.next()?,
            process: fields.next()?,
        };
        (!line.starts_with('#')).then_some(entry)
    }

    fn is_getty(&self) -> bool {
        let program = self.process.split_whitespace().next().unwrap_or_default();
        self.action == "respawn" && program.ends_with("getty")
    }

    fn mentions(&self, terminal: &str) -> bool {
        self.id == terminal
            || self
                .process
                .split([' ', '\t', '/'])
                .any(|word| word == terminal)
    }
}

/// The text with a getty on the serial port: in the place of one on Xen's console, else behind
/// the last other one. `None` if the port is in use already. `program` starts one, if the guest has
/// one that can.
pub(super) fn with_getty(text: &str, program: Option<&str>) -> Option<String> {
    let entries: Vec<Entry<'_>> = text.lines().filter_map(Entry::parse).collect();
    if entries.iter().any(|entry| entry.mentions(PORT)) {
        return None;
    }
    let xen = |entry: &Entry<'_>| XEN_CONSOLES.into_iter().find(|name| entry.mentions(name));
    if entries.iter().any(|entry| xen(entry).is_some()) {
        let mut replaced = false;
        let lines = text.split_inclusive('\n').filter_map(|line| {
            match Entry::parse(line).as_ref().and_then(xen) {
                None => Some(line.to_owned()),
                // One getty is enough.
                Some(_) if replaced => None,
                Some(name) => {
                    replaced = true;
                    Some(line.replace(name, PORT))
                }
            }
        });
        return Some(lines.collect());
    }
    let program = program?;
    // BusyBox takes the terminal as identifier, and has no runlevels.
    let busybox = entries.iter().any(|entry| entry.id.is_empty());
    let getty = entries.iter().rfind(|entry| entry.is_getty());
    let (id, levels) = if busybox {
        (PORT, "")
    } else {
        let free = |id: &&str| entries.iter().all(|entry| entry.id != *id);
        let levels = getty.map_or("2345", |entry| entry.levels);
        (IDENTIFIERS.into_iter().find(free)?, levels)
    };
    let new = format!("{id}:{levels}:respawn:{program} -L {SPEED} {PORT} vt100\n");
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let last = lines
        .iter()
        .rposition(|line| Entry::parse(line).is_some_and(|entry| entry.is_getty()));
    let at = last.map_or(lines.len(), |at| at + 1);
    let needs_newline = at > 0 && !lines[at - 1].ends_with('\n');
    if needs_newline {
        lines.insert(at, "\n");
    }
    lines.insert(at + usize::from(needs_newline), &new);
    Some(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_getty_is_added_once() {
        for (text, expected) in [
            (
                "id:3:initdefault:\n1:2345:respawn:/sbin/mingetty tty1\nx:5:respawn:/etc/X11/prefdm\n",
                Some(
                    "id:3:initdefault:\n1:2345:respawn:/sbin/mingetty tty1\n\
                     S0:2345:respawn:/sbin/agetty -L 115200 ttyS0 vt100\nx:5:respawn:/etc/X11/prefdm\n",
                ),
            ),
            (
                "S0:23:respawn:/sbin/getty tty1\n#T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100",
                Some(
                    "S0:23:respawn:/sbin/getty tty1\n\
                     T0:23:respawn:/sbin/agetty -L 115200 ttyS0 vt100\n\
                     #T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100",
                ),
            ),
            (
                "::sysinit:/sbin/openrc sysinit\ntty1::respawn:/sbin/getty 38400 tty1",
                Some(
                    "::sysinit:/sbin/openrc sysinit\ntty1::respawn:/sbin/getty 38400 tty1\n\
                     ttyS0::respawn:/sbin/agetty -L 115200 ttyS0 vt100\n",
                ),
            ),
            (
                "co:2345:respawn:/sbin/agetty xvc0 9600 vt100-nav\nh0:2345:respawn:/sbin/agetty hvc0\n",
                Some("co:2345:respawn:/sbin/agetty ttyS0 9600 vt100-nav\n"),
            ),
            ("ups:2345:respawn:/usr/sbin/upsd /dev/ttyS0\n", None),
            ("ttyS0::respawn:/sbin/getty -L 0 ttyS0\n", None),
        ] {
            assert_eq!(
                with_getty(text, Some("/sbin/agetty")).as_deref(),
                expected,
                "{text}"
            );
        }
        assert_eq!(
            with_getty("1:2345:respawn:/sbin/mingetty tty1\n", None),
            None
        );
    }
}
