//! The labels of some files, from which the others are judged.

use std::collections::BTreeSet;

use refit_engine::{Evidence, FileContexts, Guest, GuestPath};

/// Files without whose labels a guest with SELinux does not come up, or nobody can log in.
const IMPORTANT: [&str; 13] = [
    "/etc/fstab",
    "/etc/group",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/passwd",
    "/etc/resolv.conf",
    "/etc/shadow",
    "/etc/ssh/sshd_config",
    "/usr/bin/bash",
    "/usr/bin/login",
    "/usr/lib/systemd/systemd",
    "/usr/sbin/init",
    "/usr/sbin/sshd",
];
/// Most names of files in one message.
const SHOWN: usize = 5;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    /// How many files were looked at.
    seen: usize,
    /// Those that have no label.
    without: Vec<GuestPath>,
    /// Those that the plan writes, with a label of another type than the policy's: label and type.
    other: Vec<(GuestPath, String, String)>,
}

impl Labels {
    /// Looks at important files, and at all that the plan writes.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub(super) fn read(guest: &Guest<'_>, policy: &str) -> anyhow::Result<Self> {
        let contexts = FileContexts::read(guest, policy)?;
        let mut paths = BTreeSet::new();
        for path in IMPORTANT {
            paths.extend(guest.resolve(&path.into())?);
        }
        let planned: BTreeSet<GuestPath> = guest.planned_files().cloned().collect();
        paths.extend(planned.iter().cloned());
        let mut labels = Self::default();
        for path in paths {
            let Some(label) = guest.selinux_label(&path)? else {
                continue;
            };
            labels.seen += 1;
            if label.is_empty() {
                labels.without.push(path);
                continue;
            }
            let Some(stat) = guest.stat(&path)? else {
                continue;
            };
            let wanted = contexts.label(&path, stat.kind).unwrap_or_default();
            let wanted = String::from_utf8_lossy(&wanted)
                .trim_end_matches('\0')
                .to_owned();
            if let (Some(has), Some(wants)) = (type_of(&label), type_of(&wanted))
                && planned.contains(&path)
                && has != wants
            {
                let wants = wants.to_owned();
                labels.other.push((path, label, wants));
            }
        }
        Ok(labels)
    }

    /// Whether labels can be seen here at all.
    fn are_visible(&self) -> bool {
        self.without.len() < self.seen
    }

    /// Why the guest must relabel itself, if it must.
    pub(super) fn why_relabel(&self) -> Option<String> {
        if !self.are_visible() {
            Some(format!(
                "none of the {} files looked at has a label that can be seen here",
                self.seen
            ))
        } else if self.without.is_empty() {
            None
        } else {
            Some(format!("{} without a label", shown(&self.without)))
        }
    }

    /// What the user should know if nothing is done.
    pub(super) fn warning(&self) -> Option<String> {
        let unlabelled = self.are_visible() && !self.without.is_empty();
        unlabelled.then(|| {
            format!(
                "{} without a SELinux label, so that services may not be able to read them; --set \
                 selinux.relabel=request makes the guest label all its files at its next boot",
                shown(&self.without)
            )
        })
    }

    /// In words, if nothing is to be done.
    pub(super) fn fine(&self) -> String {
        if !self.are_visible() {
            return "files carry no labels that can be seen here; new ones are labelled as the policy \
                    says where the file system keeps labels"
                .to_owned();
        }
        let mut reason =
            "new files get the labels of the guest's policy, all others keep theirs".to_owned();
        for (path, label, wants) in &self.other {
            reason.push_str(&format!("; {path} keeps {label} ({wants} in the policy)"));
        }
        reason
    }

    /// For the report.
    pub(super) fn evidence(&self, policy: &str) -> Evidence {
        Evidence::from([
            ("policy", policy.to_owned()),
            ("files_looked_at", self.seen.to_string()),
            ("without_label", self.without.len().to_string()),
        ])
    }
}

/// The type in `user:role:type:range`.
fn type_of(label: &str) -> Option<&str> {
    label.split(':').nth(2).filter(|name| !name.is_empty())
}

fn shown(paths: &[GuestPath]) -> String {
    let names: Vec<String> = paths.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = match paths.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let verb = if paths.len() == 1 { "is" } else { "are" };
    format!("{}{more} {verb}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relabel_is_needed_where_files_have_no_label() {
        let labels = |seen, without: &[&str]| Labels {
            seen,
            without: without.iter().map(GuestPath::new).collect(),
            other: Vec::new(),
        };
        assert_eq!(labels(3, &[]).why_relabel(), None);
        assert_eq!(labels(3, &[]).warning(), None);
        let some = labels(3, &["/etc/passwd"]);
        assert_eq!(
            some.why_relabel().as_deref(),
            Some("/etc/passwd is without a label")
        );
        assert!(some.warning().unwrap().contains("relabel=request"));
        let none = labels(2, &["/a", "/b"]);
        assert!(none.why_relabel().unwrap().contains("can be seen here"));
        assert_eq!(none.warning(), None);
    }

    #[test]
    fn many_files_are_counted() {
        let paths: Vec<GuestPath> = (0..7).map(|n| GuestPath::new(format!("/{n}"))).collect();
        assert_eq!(shown(&paths), "/0, /1, /2, /3, /4 and 2 more are");
        assert_eq!(type_of("system_u:object_r:etc_t:s0"), Some("etc_t"));
        assert_eq!(type_of("unlabeled"), None);
    }
}
