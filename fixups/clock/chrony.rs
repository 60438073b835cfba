//! Hardware clocks in chrony.conf(5).
//!
//! chronyd ends with a fatal error if it cannot open the device of a `refclock PHC`, so that the
//! guest's time is no longer kept at all.

use refit_engine::{Change, Evidence, Guest, GuestPath};

use super::Found;

const FILES: [&str; 2] = ["/etc/chrony.conf", "/etc/chrony/chrony.conf"];
const DIRECTORIES: [&str; 3] = [
    "/etc/chrony.d",
    "/etc/chrony/conf.d",
    "/etc/chrony/sources.d",
];
/// Where modules are listed that are loaded at boot.
const MODULE_DIRECTORIES: [&str; 2] = ["/etc/modules-load.d", "/usr/lib/modules-load.d"];
/// Only Hyper-V has it; a rule of udev makes the name.
const HYPERV: &str = "/dev/ptp_hyperv";
/// Directives that name other sources of time.
const SOURCES: [&str; 4] = ["server", "pool", "peer", "refclock"];

/// Turns refclocks of the old hypervisor into comments.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn plan(guest: &Guest<'_>, found: &mut Found) -> anyhow::Result<()> {
    let mut paths: Vec<GuestPath> = FILES.map(GuestPath::from).to_vec();
    for dir in DIRECTORIES {
        paths.extend(guest.files(dir, |name| {
            name.ends_with(".conf") || name.ends_with(".sources")
        })?);
    }
    let modules = modules(guest)?;
    let loads = |name: &str| modules.iter().any(|module| module == name);
    let mut sources = 0;
    let mut takes_away = false;
    for path in paths {
        let text = match guest.read(&path)?.map(String::from_utf8) {
            None => continue,
            Some(Ok(text)) => text,
            Some(Err(_)) => {
                let warning = format!("{path} is left alone: it is no text in UTF-8");
                found.warnings.push(warning);
                continue;
            }
        };
        let mut new = String::with_capacity(text.len());
        let mut gone = Vec::new();
        for line in text.split_inclusive('\n') {
            let is_source = directive(line).is_some_and(|word| SOURCES.contains(&word.as_str()));
            let device = hardware_clock(line);
            if let Some(device) = device {
                found.evidence.push(Evidence::from([
                    ("clock", device.to_owned()),
                    ("source", path.to_string()),
                ]));
            }
            match device {
                Some(HYPERV) => {
                    gone.push(HYPERV);
                    new.push('#');
                }
                Some(device) if device.starts_with("/dev/ptp") && loads("ptp_vmw") => {
                    gone.push(device);
                    new.push('#');
                }
                Some(device) if device.starts_with("/dev/ptp") && !loads("ptp_kvm") => {
                    sources += 1;
                    found.warnings.push(format!(
                        "{path} takes the time from {device}, and chronyd does not start without it: \
                         load ptp_kvm in the guest, or take the line away, if this is a clock of the old \
                         hypervisor"
                    ));
                }
                _ => sources += usize::from(is_source),
            }
            new.push_str(line);
        }
        if !gone.is_empty() {
            takes_away = true;
            gone.dedup();
            found.reasons.push(format!(
                "{path} no longer asks for {}, without which chronyd does not start",
                gone.join(", ")
            ));
            found.changes.push(Change::Write {
                path,
                content: new.into_bytes(),
                mode: None,
            });
        }
    }
    if takes_away && sources == 0 {
        found.warnings.push(
            "chronyd has no other source of time: name a server in the guest, or load ptp_kvm and take \
             the time from /dev/ptp0"
                .to_owned(),
        );
    }
    Ok(())
}

/// The first word of a line that is no comment, in lower case, as chronyd compares it.
fn directive(line: &str) -> Option<String> {
    let line = line.trim();
    let word = line.split_whitespace().next()?;
    (!line.starts_with(['!', ';', '#', '%'])).then(|| word.to_ascii_lowercase())
}

/// The device of a `refclock PHC DEVICE[:OPTIONS]`.
fn hardware_clock(line: &str) -> Option<&str> {
    if directive(line)? != "refclock" {
        return None;
    }
    let mut words = line.split_whitespace().skip(1);
    let driver = words.next()?;
    let device = words.next()?.split(':').next()?;
    (driver == "PHC").then_some(device)
}

/// modules-load.d(5) and modules(5): one module in each line.
fn modules(guest: &Guest<'_>) -> anyhow::Result<Vec<String>> {
    let mut paths = vec![GuestPath::from("/etc/modules")];
    for dir in MODULE_DIRECTORIES {
        paths.extend(guest.files(dir, |name| name.ends_with(".conf"))?);
    }
    let mut modules = Vec::new();
    for path in paths {
        let text = guest.read_text(&path)?.unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        let names = lines.filter(|name| !name.starts_with(['#', ';']));
        modules.extend(names.map(|name| name.replace('-', "_")));
    }
    Ok(modules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_clocks() {
        for (line, device) in [
            (
                "refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0",
                Some("/dev/ptp_hyperv"),
            ),
            (" REFCLOCK PHC /dev/ptp0:extpps poll 0\n", Some("/dev/ptp0")),
            ("#refclock PHC /dev/ptp0", None),
            ("! refclock PHC /dev/ptp0", None),
            ("refclock SHM 0", None),
            ("refclock PHC", None),
            ("server ntp.example.org", None),
        ] {
            assert_eq!(hardware_clock(line), device, "{line}");
        }
    }
}
