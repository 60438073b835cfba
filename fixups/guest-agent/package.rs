//! Installing the agent from a package file, without a network.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use refit_engine::{Guest, GuestCommand, RehearseError, Verdict};

/// No package of the agent is longer, in bytes; real ones have less than one million.
const LIMIT: u64 = 64 << 20;
/// A package manager needs seconds; this is for an emulated machine.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Lines of what the package manager said that the report shows.
const SAID: usize = 8;

/// A kind of package: what a file begins with, its suffix in the guest, and the command that
/// installs it.
struct Kind {
    format: &'static str,
    magic: &'static [u8],
    command: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        format: "rpm",
        magic: &[0xed, 0xab, 0xee, 0xdb],
        command: "rpm -U --nosignature",
    },
    Kind {
        format: "dpkg",
        magic: b"!<arch>\ndebian-binary",
        command: "dpkg -i",
    },
    // gzip: the signature, the control data and the files of version 2, one after another.
    Kind {
        format: "apk",
        magic: &[0x1f, 0x8b],
        command: "apk add --no-network --allow-untrusted",
    },
];

/// Installs `file` by the guest's own package manager on a throw-away view of the guest; what
/// changes there is what is proposed.
///
/// # Errors
/// If the file is no package for this guest, or running the package manager fails half-way.
pub(super) fn install(guest: &Guest<'_>, file: &Path) -> anyhow::Result<Verdict> {
    let format = guest.facts().package_format.as_deref();
    let Some(kind) = KINDS.iter().find(|kind| Some(kind.format) == format) else {
        return Ok(Verdict::Blocked {
            reason: format!(
                "{} cannot be installed: the guest has no rpm, dpkg or apk",
                file.display()
            ),
        });
    };
    let content = read(file, kind)
        .with_context(|| format!("reading the guest agent's package {}", file.display()))?;
    let command = GuestCommand {
        argv: ["sh", "-c", &script(kind)].map(str::to_owned).to_vec(),
        stdin: content,
        env: BTreeMap::from([("DEBIAN_FRONTEND".to_owned(), "noninteractive".to_owned())]),
        timeout: TIMEOUT,
    };
    let rehearsal = match guest.rehearse(&command) {
        Ok(rehearsal) => rehearsal,
        Err(RehearseError::Unavailable { reason }) => {
            return Ok(Verdict::Blocked {
                reason: format!(
                    "{} cannot be installed, for the guest's programs cannot be run here ({reason}); \
                     with --set guest-agent.install=firstboot the guest does it",
                    file.display()
                ),
            });
        }
        Err(error) => {
            return Err(anyhow::Error::new(error)
                .context(format!("installing {} in the guest", file.display())));
        }
    };
    if rehearsal.status != 0 || rehearsal.changes.is_empty() {
        let lines = rehearsal.output.lines().map(str::trim);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        let said = lines[lines.len().saturating_sub(SAID)..].join("; ");
        return Ok(Verdict::Blocked {
            reason: format!(
                "the guest's package manager does not install {} (status {}): {said}",
                file.display(),
                rehearsal.status
            ),
        });
    }
    Ok(Verdict::Change {
        reason: format!("the QEMU guest agent is installed from {}", file.display()),
        changes: rehearsal.changes,
    })
}

/// Installs the package that is on standard input, and enables what it brought.
fn script(kind: &Kind) -> String {
    format!(
        "package=/refit-guest-agent.{} && cat >\"$package\" && {} \"$package\"; status=$?; rm -f \"$package\"\n\
         if [ $status = 0 ]; then\n\
         if command -v systemctl >/dev/null; then systemctl enable qemu-guest-agent\n\
         elif command -v rc-update >/dev/null; then rc-update add qemu-guest-agent default\n\
         elif command -v chkconfig >/dev/null; then chkconfig qemu-ga on; fi\n\
         fi\n\
         exit $status\n",
        if kind.format == "dpkg" {
            "deb"
        } else {
            kind.format
        },
        kind.command
    )
}

fn read(file: &Path, kind: &Kind) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    let opened = File::open(file)?;
    let metadata = opened.metadata()?;
    ensure!(metadata.is_file(), "it is no regular file");
    opened.take(LIMIT + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LIMIT {
        bail!("it is longer than {LIMIT} bytes");
    }
    ensure!(
        content.starts_with(kind.magic),
        "it is no package that the guest's {} installs",
        kind.format
    );
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use refit_engine::Hints;
    use refit_engine::backend::RootBackend;

    /// What is said of a package file with `content` for a Debian guest in a directory.
    fn said(content: &[u8]) -> anyhow::Result<Verdict> {
        let root = tempfile::tempdir()?;
        for (path, text) in [
            ("etc/debian_version", "12.5\n"),
            ("var/lib/dpkg/status", ""),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap())?;
            std::fs::write(path, text)?;
        }
        let file = root.path().join("agent.deb");
        std::fs::write(&file, content)?;
        let backend = RootBackend::open(root.path())?;
        let guest = Guest::inspect(&backend, &Hints::default())?;
        install(&guest, &file)
    }

    #[test]
    fn a_guest_in_a_directory_is_never_run() {
        let verdict = said(b"!<arch>\ndebian-binary   ").unwrap();
        let Verdict::Blocked { reason } = verdict else {
            panic!("{verdict:?}");
        };
        assert!(reason.contains("install=firstboot"), "{reason}");
    }

    #[test]
    fn another_kind_of_file_is_an_error() {
        let error = format!("{:#}", said(&[0xed, 0xab, 0xee, 0xdb]).unwrap_err());
        assert!(
            error.contains("no package that the guest's dpkg installs"),
            "{error}"
        );
    }
}
