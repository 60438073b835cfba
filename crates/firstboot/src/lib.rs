//! A script that the guest runs once, at its next boot.
//!
//! Written are the script, a runner that counts attempts, keeps a log and removes it all afterwards,
//! and what the guest's init needs to start the runner. A mark tells later plans how it ended.

mod init;

use std::collections::BTreeMap;

use refit_engine::{Change, Guest, GuestPath, Os, Verdict};

/// The directories of programs that a script searches.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the marks are.
const STATE: &str = "/var/lib/refit/firstboot";
/// Where the runner and the script are: under every SELinux policy, init may start what is here.
const PROGRAMS: &str = "/usr/local/sbin";
/// The part of the runner that does not depend on the fixup.
const RUNNER: &str = include_str!("runner.sh");

/// The script and how it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstBoot {
    /// The script itself, with its first line.
    pub text: Vec<u8>,
    /// Whether it needs the network.
    pub network: bool,
    /// How often it is tried until it ends with status 0.
    pub attempts: u32,
    /// Seconds that it may take, where the guest's init can see to that (systemd).
    pub timeout: u64,
    /// The fixup whose script must have ended first, where the guest's init can see to that (systemd). Other inits
    /// go by the names.
    pub after: Option<String>,
}

/// Whose script it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner<'o> {
    /// The fixup's identifier, in the names of all that is written.
    pub id: &'o str,
    /// What the script does, for the verdict.
    pub summary: &'o str,
    /// Variables that it gets.
    pub variables: BTreeMap<String, String>,
}

/// Something that must be in the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    File {
        path: GuestPath,
        content: Vec<u8>,
        mode: u32,
    },
    Link {
        path: GuestPath,
        target: String,
    },
}

impl Wanted {
    fn path(&self) -> &GuestPath {
        match self {
            Self::File { path, .. } | Self::Link { path, .. } => path,
        }
    }

    /// The change that brings it about; `None` if it is so already.
    fn change(&self, guest: &Guest<'_>) -> anyhow::Result<Option<Change>> {
        Ok(match self {
            Self::File {
                path,
                content,
                mode,
            } => {
                let same = guest.read(path)?.as_ref() == Some(content)
                    && guest.stat(path)?.is_some_and(|stat| stat.mode == *mode);
                (!same).then(|| Change::Write {
                    path: path.clone(),
                    content: content.clone(),
                    mode: Some(*mode),
                })
            }
            Self::Link { path, target } => {
                let same = guest.read_link(path)?.as_deref() == Some(target.as_bytes());
                (!same).then(|| Change::Link {
                    path: path.clone(),
                    target: target.clone().into_bytes(),
                })
            }
        })
    }
}

impl FirstBoot {
    /// Installs the script, unless it is there or has run.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub fn plan(&self, guest: &Guest<'_>, owner: &Owner<'_>) -> anyhow::Result<Verdict> {
        let facts = guest.facts();
        if facts.os != Some(Os::Linux) {
            return Ok(Verdict::NotApplicable {
                reason: "the guest is no Linux".to_owned(),
            });
        }
        let id = owner.id;
        if let Some(when) = mark(guest, id, "done")? {
            return Ok(Verdict::Fine {
                reason: format!("the script ran in the guest ({when})"),
            });
        }
        if let Some(when) = mark(guest, id, "failed")? {
            return Ok(Verdict::Blocked {
                reason: format!(
                    "the script failed in the guest ({when}): see /var/log/refit-firstboot-{id}.log \
                     there; once {STATE}/{id}.failed is removed, it is installed again"
                ),
            });
        }
        let name = format!("refit-firstboot-{id}");
        let runner = GuestPath::new(format!("{PROGRAMS}/{name}"));
        let script = GuestPath::new(format!("{PROGRAMS}/{name}.script"));
        let init = match init::start(guest, &name, &runner, self)? {
            Ok(init) => init,
            Err(reason) => return Ok(Verdict::Blocked { reason }),
        };
        let mut wanted = vec![Wanted::File {
            path: script.clone(),
            content: self.text.clone(),
            mode: 0o700,
        }];
        let installed: Vec<&GuestPath> = init
            .iter()
            .map(Wanted::path)
            .chain([&script, &runner])
            .collect();
        wanted.push(Wanted::File {
            path: runner.clone(),
            content: self.runner(owner, &script, &installed).into_bytes(),
            mode: 0o700,
        });
        wanted.extend(init);
        let mut changes = Vec::new();
        for one in &wanted {
            changes.extend(one.change(guest)?);
        }
        Ok(if changes.is_empty() {
            Verdict::Fine {
                reason: "the script waits for the guest's next boot".to_owned(),
            }
        } else {
            Verdict::Change {
                reason: format!("{} (at the guest's next boot)", owner.summary),
                changes,
            }
        })
    }

    fn runner(&self, owner: &Owner<'_>, script: &GuestPath, installed: &[&GuestPath]) -> String {
        use std::fmt::Write as _;

        let installed: Vec<String> = installed.iter().map(ToString::to_string).collect();
        let mut text = format!(
            "#!/bin/sh\n\
             # Written by refit: runs {script} at the next boot, and then removes it and itself.\n\
             export PATH={PATH}\n\
             id={}\n\
             attempts={}\n\
             script={script}\n\
             installed='{}'\n",
            owner.id,
            self.attempts,
            installed.join(" "),
        );
        for (name, value) in &owner.variables {
            let _ = writeln!(text, "export {name}={}", quoted(value));
        }
        text.push_str(RUNNER);
        text
    }
}

/// When the runner left this mark; `None` if it did not.
fn mark(guest: &Guest<'_>, id: &str, how: &str) -> anyhow::Result<Option<String>> {
    let mark = guest.read_start(format!("{STATE}/{id}.{how}").as_str(), 64)?;
    if mark.is_empty() && !guest.exists(format!("{STATE}/{id}.{how}").as_str())? {
        return Ok(None);
    }
    let when = String::from_utf8_lossy(&mark);
    Ok(Some(when.lines().next().unwrap_or_default().to_owned()))
}

/// `text` as one word of the shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::process::Command;

    use refit_engine::Hints;
    use refit_engine::backend::RootBackend;

    fn owner() -> Owner<'static> {
        Owner {
            id: "one",
            summary: "x",
            variables: BTreeMap::from([("REFIT_PARAM_TEXT".to_owned(), "it's".to_owned())]),
        }
    }

    fn plan(root: &Path) -> Verdict {
        let backend = RootBackend::open(root).unwrap();
        let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
        let fixup = FirstBoot {
            text: b"#!/bin/sh\ntrue\n".to_vec(),
            network: true,
            attempts: 2,
            timeout: 600,
            after: None,
        };
        fixup.plan(&guest, &owner()).unwrap()
    }

    /// Paths with their content.
    type Files = &'static [(&'static str, &'static str)];

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in [("etc/os-release", "ID=x\n"), ("etc/fstab", "")]
            .iter()
            .chain(files)
        {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    /// Where each init is recognised by, and what must be written for it.
    #[test]
    fn each_init_starts_it_in_its_own_way() {
        let cases: [(Files, &[&str]); 4] = [
            (
                &[("usr/lib/systemd/systemd", ""), ("sbin/init", "")],
                &[
                    "/etc/systemd/system/refit-firstboot-one.service",
                    "/etc/systemd/system/multi-user.target.wants/refit-firstboot-one.service",
                ],
            ),
            (
                &[
                    ("etc/inittab", ""),
                    ("sbin/init", ""),
                    ("etc/rc3.d/README", ""),
                    ("etc/rc5.d/README", ""),
                ],
                &[
                    "/etc/init.d/refit-firstboot-one",
                    "/etc/rc3.d/S99refit-firstboot-one",
                    "/etc/rc5.d/S99refit-firstboot-one",
                ],
            ),
            (
                &[("etc/init/rcS.conf", ""), ("etc/inittab", "")],
                &["/etc/init/refit-firstboot-one.conf"],
            ),
            (
                &[
                    ("sbin/openrc", ""),
                    ("sbin/openrc-run", ""),
                    ("etc/runlevels/default/x", ""),
                    ("sbin/init", ""),
                ],
                &[
                    "/etc/init.d/refit-firstboot-one",
                    "/etc/runlevels/default/refit-firstboot-one",
                ],
            ),
        ];
        for (files, expected) in cases {
            let root = tree(files);
            let verdict = plan(root.path());
            let Verdict::Change { changes, .. } = verdict else {
                panic!("{files:?}: {verdict:?}");
            };
            let paths: Vec<String> = changes
                .iter()
                .filter_map(|c| c.path())
                .map(ToString::to_string)
                .collect();
            assert_eq!(
                paths[..2],
                [
                    "/usr/local/sbin/refit-firstboot-one.script",
                    "/usr/local/sbin/refit-firstboot-one"
                ],
                "{files:?}"
            );
            assert_eq!(paths[2..], *expected, "{files:?}");
            let Change::Write { content, .. } = &changes[1] else {
                panic!("{changes:?}")
            };
            let runner = String::from_utf8(content.clone()).unwrap();
            assert!(
                runner.contains("export REFIT_PARAM_TEXT='it'\\''s'\n"),
                "{runner}"
            );
            for path in &paths {
                assert!(
                    runner.contains(path.as_str()),
                    "{path} is left behind: {runner}"
                );
            }
        }
    }

    #[test]
    fn marks_and_unknown_inits_are_heeded() {
        let systemd = ("usr/lib/systemd/systemd", "");
        let done = tree(&[systemd, ("var/lib/refit/firstboot/one.done", "Mon\n")]);
        assert!(matches!(plan(done.path()), Verdict::Fine { reason } if reason.contains("(Mon)")));
        let failed = tree(&[systemd, ("var/lib/refit/firstboot/one.failed", "Tue\n")]);
        assert!(matches!(plan(failed.path()), Verdict::Blocked { .. }));
        let unknown = tree(&[]);
        assert!(matches!(plan(unknown.path()), Verdict::Blocked { .. }));
    }

    /// The runner itself, with its paths moved to a directory of the test.
    #[test]
    fn the_runner_tries_often_enough_and_cleans_up() {
        let cases = [
            // What the script does, attempts before, then: status, mark, attempts in the log.
            ("exit 0", None, 0, "done", 1),
            (
                "[ -e \"$0.second\" ] || { : >\"$0.second\"; exit 1; }",
                None,
                0,
                "done",
                2,
            ),
            ("exit 7", None, 1, "failed", 2),
            ("exit 7", Some("1"), 1, "failed", 1),
            ("exit 0", Some("2"), 1, "failed", 0),
        ];
        for (body, tries, status, mark, attempts) in cases {
            let dir = tempfile::tempdir().unwrap();
            let dir = dir.path();
            let state = dir.join("var/lib/refit/firstboot");
            fs::create_dir_all(&state).unwrap();
            fs::create_dir_all(dir.join("var/log")).unwrap();
            if let Some(tries) = tries {
                fs::write(state.join("one.tries"), tries).unwrap();
            }
            let script = dir.join("script");
            fs::write(&script, format!("#!/bin/sh\n{body}\n")).unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
            let fixup = FirstBoot {
                text: Vec::new(),
                network: false,
                attempts: 2,
                timeout: 600,
                after: None,
            };
            let path = GuestPath::new(script.to_str().unwrap());
            let runner = fixup
                .runner(&owner(), &path, &[&path])
                .replace("/var/l", &format!("{}/var/l", dir.display()))
                .replace("sleep 10", "sleep 0");
            let ended = Command::new("sh").args(["-c", &runner]).status().unwrap();
            assert_eq!(ended.code(), Some(status), "{body}");
            assert!(state.join(format!("one.{mark}")).exists(), "{body}");
            assert!(!state.join("one.tries").exists(), "{body}");
            assert!(!script.exists(), "{body}");
            let log = fs::read_to_string(dir.join("var/log/refit-firstboot-one.log")).unwrap();
            assert_eq!(log.matches(": attempt ").count(), attempts, "{body}: {log}");
        }
    }
}
