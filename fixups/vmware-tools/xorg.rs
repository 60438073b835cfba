//! X11 configuration that names VMware's drivers.

use refit_engine::backend::FileKind;
use refit_engine::{Guest, GuestPath};

/// Where the X server's drivers are, and the kinds of them.
const DRIVERS: [&str; 4] = [
    "/usr/lib/xorg/modules",
    "/usr/lib64/xorg/modules",
    "/usr/lib/x86_64-linux-gnu/xorg/modules",
    "/usr/X11R6/lib/modules",
];

/// Files that name a driver of VMware's hardware, each with the driver and whether it is installed.
pub(super) fn named(guest: &Guest<'_>) -> anyhow::Result<Vec<(GuestPath, String, bool)>> {
    let mut files = vec![GuestPath::new("/etc/X11/xorg.conf")];
    files.extend(guest.files("/etc/X11/xorg.conf.d", |name| name.ends_with(".conf"))?);
    let mut found = Vec::new();
    for file in files {
        let stat = guest.stat(&file)?;
        if stat.is_none_or(|stat| stat.kind != FileKind::File) {
            continue;
        }
        let text = guest.read_text(&file)?.unwrap_or_default();
        for driver in drivers(&text) {
            let mut installed = false;
            for dir in DRIVERS {
                for kind in ["drivers", "input"] {
                    let path = format!("{dir}/{kind}/{driver}_drv.so");
                    installed = installed || guest.exists(path.as_str())?;
                }
            }
            found.push((file.clone(), driver, installed));
        }
    }
    Ok(found)
}

/// The drivers of VMware's hardware in lines `Driver "name"` (xorg.conf(5): words in any case,
/// `_` and white space in names do not count).
fn drivers(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| {
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace)?;
        let value = rest.trim().strip_prefix('"')?.split('"').next()?;
        let driver = value.to_ascii_lowercase();
        let is_vmware = matches!(driver.as_str(), "vmware" | "vmwlegacy" | "vmmouse");
        (word.eq_ignore_ascii_case("driver") && is_vmware).then_some(driver)
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_found_in_their_lines_alone() {
        let text = "Section \"Device\"\n  driver\t\"VMware\" # x\n# Driver \"vmmouse\"\n\
                    Identifier \"vmware\"\nEndSection\n";
        assert_eq!(drivers(text), ["vmware"]);
    }
}
