//! virt-v2v's script that starts the uninstaller of VMware Tools at first boot. Without its files that can only fail.

use refit_engine::Guest;

use super::edits::Edits;

/// virt-v2v's folder of scripts; it has no other.
const SCRIPTS: &str = "/Program Files/Guestfs/Firstboot/scripts";
/// What virt-v2v calls the script, as it spells that in a file's name: other characters than letters, digits and `_`
/// are `-`. Before it are its priority and its number ("firstboot.ml" of libguestfs-common).
const NAME: &str = "uninstall-vmware-tools";
/// So much of a script is read; virt-v2v's has five lines.
const LONGEST: usize = 64 * 1024;
/// A line that the script has in every version.
const LINE: &str = "echo uninstalling VMware Tools";

/// Removes the script, if its name and content are virt-v2v's.
///
/// # Errors
/// If the guest's files cannot be read.
pub(crate) fn remove(guest: &Guest<'_>, edits: &mut Edits) -> anyhow::Result<()> {
    for path in guest.files(SCRIPTS, is_script)? {
        let text = guest.read_start(&path, LONGEST)?;
        let text = String::from_utf8_lossy(&text);
        if text.lines().any(|line| line.trim() == LINE) {
            let path = guest.resolve_parent(&path)?.unwrap_or(path);
            edits.remove(path);
        }
    }
    Ok(())
}

/// `5000-0003-uninstall-VMware-Tools.bat`
fn is_script(name: &str) -> bool {
    let name = name.to_lowercase();
    let Some(numbers) = name
        .strip_suffix(".bat")
        .and_then(|name| name.strip_suffix(NAME))
    else {
        return false;
    };
    let numbers = numbers.trim_end_matches('-');
    !numbers.is_empty() && numbers.chars().all(|c| c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("5000-0003-uninstall-VMware-Tools.bat", true),
            ("5000-uninstall-VMware-Tools.bat", true),
            ("5000-0003-uninstall-Parallels-tools.bat", false),
            ("uninstall-VMware-Tools.bat", false),
            ("5000-my-uninstall-VMware-Tools.bat", false),
        ] {
            assert_eq!(is_script(name), expected, "{name}");
        }
    }
}
