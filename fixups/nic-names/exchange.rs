//! Names of the kernel that cards have to exchange (`eth0`, `eth1`).
//!
//! udev from 197 on gives a card only a name that is free, so that two cards cannot exchange
//! theirs (systemd.link(5), `Name=`). A service does, before the network comes up.

use refit_engine::{Change, Guest};

use super::write::Wanted;
use crate::network::kernel_names;

const SCRIPT: &str = "/usr/local/sbin/refit-nic-names";
const UNIT: &str = "/etc/systemd/system/refit-nic-names.service";
const ENABLED: &str = "/etc/systemd/system/sysinit.target.wants/refit-nic-names.service";
/// Where ip(8) is.
const IP: [&str; 4] = ["/usr/sbin/ip", "/usr/bin/ip", "/sbin/ip", "/bin/ip"];

/// network-pre.target is what everything that configures networks waits for (systemd.special(7)).
const SERVICE: &str = "\
# Written by refit: the cards of this machine have names that udev cannot exchange.
[Unit]
Description=Exchange names of network cards
DefaultDependencies=no
After=systemd-udevd.service systemd-udev-trigger.service systemd-remount-fs.service
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /usr/local/sbin/refit-nic-names

[Install]
WantedBy=sysinit.target
";

const SCRIPT_HEAD: &str = "\
#!/bin/sh
# Written by refit: gives network cards their names by MAC address, through names that nobody uses.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
cards='
";

const SCRIPT_TAIL: &str = r#"'

# The name that the card with this MAC address has now.
name_of() {
    for card in /sys/class/net/*; do
        [ -e "$card/device" ] && [ "$(cat "$card/address")" = "$1" ] && echo "${card##*/}"
    done
}

rename() {
    ip link set dev "$1" down && ip link set dev "$1" name "$2"
}

udevadm settle --timeout=60

moved=0
echo "$cards" | while read -r mac name; do
    [ "$mac" ] || continue
    now=$(name_of "$mac")
    [ "$now" ] && [ "$now" != "$name" ] && rename "$now" "refit$moved" && moved=$((moved + 1))
done

echo "$cards" | while read -r mac name; do
    [ "$mac" ] || continue
    now=$(name_of "$mac")
    [ "$now" ] && [ "$now" != "$name" ] || continue
    if [ -e "/sys/class/net/$name" ]; then    # a card that may have any name
        free=0
        while [ -e "/sys/class/net/eth$free" ] || echo "$cards" | grep -q " eth$free\$"; do free=$((free + 1)); done
        rename "$name" "eth$free"
    fi
    rename "$now" "$name"
done
"#;

/// The changes that give the cards in `wanted` those names that are the kernel's; none if the
/// guest does so already, and `None` if it has no systemd or no ip(8).
///
/// # Errors
/// If a file of the guest cannot be read.
pub(super) fn plan(guest: &Guest<'_>, wanted: &[Wanted]) -> anyhow::Result<Option<Vec<Change>>> {
    let mut has_ip = false;
    for path in IP {
        has_ip |= guest.exists(path)?;
    }
    if guest.facts().systemd.is_none() || !has_ip {
        return Ok(None);
    }
    let mut script = SCRIPT_HEAD.to_owned();
    for Wanted { mac, name } in wanted.iter().filter(|wanted| is_kernels(wanted)) {
        script.push_str(&format!("{mac} {name}\n"));
    }
    script.push_str(SCRIPT_TAIL);
    let mut changes = Vec::new();
    for (path, content, mode) in [(SCRIPT, script.as_str(), 0o755), (UNIT, SERVICE, 0o644)] {
        if guest.read(path)?.as_deref() != Some(content.as_bytes()) {
            changes.push(Change::Write {
                path: path.into(),
                content: content.as_bytes().to_vec(),
                mode: Some(mode),
            });
        }
    }
    if !guest.exists(ENABLED)? {
        changes.push(Change::Link {
            path: ENABLED.into(),
            target: UNIT.as_bytes().to_vec(),
        });
    }
    Ok(Some(changes))
}

/// Whether the name is one that the kernel gives.
pub(super) fn is_kernels(wanted: &Wanted) -> bool {
    kernel_names::number(&wanted.name).is_some()
}

/// What remains to be said where [`plan`] can do nothing.
pub(super) fn advice(wanted: &[Wanted]) -> String {
    let mut order: Vec<(usize, &Wanted)> = wanted
        .iter()
        .filter_map(|wanted| Some((kernel_names::number(&wanted.name)?, wanted)))
        .collect();
    order.sort_by_key(|(number, _)| *number);
    let order: Vec<String> = order
        .iter()
        .map(|(number, wanted)| format!("eth{number} {}", wanted.mac))
        .collect();
    format!(
        "the kernel calls the first card eth0, the second eth1, and udev cannot exchange such names: \
         attach the cards to the new machine in the order of their names ({})",
        order.join(", ")
    )
}
