//! `/etc/vmware-tools/locations`: what the tarball installer of VMware Tools did, as it wrote it
//! down line by line. A later line takes an earlier one back, so that the last state counts.

use std::collections::{BTreeMap, BTreeSet};

/// Where the database is.
pub(super) const PATH: &str = "/etc/vmware-tools/locations";

/// The state at the end of the database.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Locations {
    /// Files and links that were installed, with the modification time of each (seconds since the
    /// epoch) if it was noted.
    pub(super) files: BTreeMap<String, Option<i64>>,
    /// Directories that were made.
    pub(super) dirs: BTreeSet<String>,
    /// Files that are configuration.
    pub(super) config: BTreeSet<String>,
    /// Configuration that the administrator chose to keep.
    pub(super) modified: BTreeSet<String>,
    answers: BTreeMap<String, String>,
}

impl Locations {
    /// Reads the database. Lines that are none of its kinds are passed over, as the installer
    /// does.
    pub(super) fn parse(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines() {
            let Some((word, rest)) = line.split_once(' ') else {
                continue;
            };
            let rest = rest.trim_end_matches('\r');
            match word {
                "answer" => {
                    let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
                    all.answers.insert(name.to_owned(), value.to_owned());
                }
                "remove_answer" => {
                    all.answers.remove(rest);
                }
                "file" => {
                    // A name may have spaces; what follows the last one is a time if it is a number.
                    let timed = rest.rsplit_once(' ').and_then(|(path, time)| {
                        let digits = !time.is_empty() && time.bytes().all(|b| b.is_ascii_digit());
                        Some((path, time.parse().ok().filter(|_| digits)?))
                    });
                    let (path, time) = match timed {
                        Some((path, time)) => (path, Some(time).filter(|time| *time != 0)),
                        None => (rest, None),
                    };
                    all.files.insert(path.to_owned(), time);
                }
                "remove_file" => {
                    all.files.remove(rest);
                    all.modified.remove(rest);
                    all.config.remove(rest);
                }
                "modified" => {
                    all.modified.insert(rest.to_owned());
                }
                "config" => {
                    all.config.insert(rest.to_owned());
                }
                "directory" => {
                    all.dirs.insert(rest.to_owned());
                }
                "remove_directory" => {
                    all.dirs.remove(rest);
                }
                _ => {}
            }
        }
        all
    }

    /// Files that were moved away for others of the installer, each with its backup.
    pub(super) fn backups(&self) -> Vec<(&str, &str)> {
        let names = self.answer("RESTORE_BACK_LIST").unwrap_or_default();
        let mut backups: Vec<_> = names
            .split(':')
            .filter_map(|name| {
                let file = self.answer(&format!("RESTORE_{name}"))?;
                let backup = self.answer(&format!("RESTORE_{name}_BAK"))?;
                Some((file, backup))
            })
            .collect();
        backups.sort_unstable();
        backups.dedup();
        backups
    }

    /// Files to which the installer appended a block.
    pub(super) fn appended(&self) -> impl Iterator<Item = &str> {
        let files = self.answer("APPENDED_FILES").unwrap_or_default();
        files.split(':').filter(|file| !file.is_empty())
    }

    fn answer(&self, name: &str) -> Option<&str> {
        let value = self.answers.get(name)?;
        (!value.is_empty()).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_state_counts() {
        let all = Locations::parse(
            "answer BINDIR /usr/bin\n\
             directory /usr/lib/vmware-tools\n\
             directory /usr/lib/vmware-tools/old\n\
             remove_directory /usr/lib/vmware-tools/old\n\
             file /usr/bin/vmtoolsd 1234\n\
             file /usr/bin/with space\n\
             file /usr/bin/gone 1\n\
             remove_file /usr/bin/gone\n\
             file /usr/bin/twice 5\n\
             file /usr/bin/twice 0\n\
             config /etc/vmware-tools/tools.conf\n\
             modified /etc/pam.d/vmtoolsd\n\
             nonsense\n\
             \n",
        );
        let files: Vec<(&str, Option<i64>)> = all
            .files
            .iter()
            .map(|(path, time)| (path.as_str(), *time))
            .collect();
        assert_eq!(
            files,
            [
                ("/usr/bin/twice", None),
                ("/usr/bin/vmtoolsd", Some(1234)),
                ("/usr/bin/with space", None)
            ]
        );
        assert_eq!(
            all.dirs.into_iter().collect::<Vec<_>>(),
            ["/usr/lib/vmware-tools"]
        );
        assert!(all.config.contains("/etc/vmware-tools/tools.conf"));
        assert!(all.modified.contains("/etc/pam.d/vmtoolsd"));
    }

    #[test]
    fn backups_are_pairs_of_answers() {
        let all = Locations::parse(
            "answer RESTORE_OLD_FSTAB /etc/fstab\n\
             answer RESTORE_OLD_FSTAB_BAK /etc/fstab.BeforeVMwareToolsInstall\n\
             answer RESTORE_BACK_LIST OLD_FSTAB\n\
             remove_answer RESTORE_BACK_LIST\n\
             answer RESTORE_BACK_LIST OLD_FSTAB:HALF:OLD_XORG\n\
             answer RESTORE_HALF /etc/half\n\
             answer RESTORE_OLD_XORG /etc/X11/xorg.conf\n\
             answer RESTORE_OLD_XORG_BAK /etc/X11/xorg.conf.BeforeVMwareToolsInstall\n\
             answer APPENDED_FILES /etc/modules:/etc/fstab\n",
        );
        assert_eq!(
            all.backups(),
            [
                (
                    "/etc/X11/xorg.conf",
                    "/etc/X11/xorg.conf.BeforeVMwareToolsInstall"
                ),
                ("/etc/fstab", "/etc/fstab.BeforeVMwareToolsInstall")
            ]
        );
        assert_eq!(
            all.appended().collect::<Vec<_>>(),
            ["/etc/modules", "/etc/fstab"]
        );
    }
}
