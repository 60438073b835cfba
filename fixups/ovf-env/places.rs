//! Where the stand-in has to be so that the guest's programs find it.

use std::collections::BTreeSet;

use refit_engine::{Guest, GuestPath};

use super::consumers::Consumer;

/// The stand-in itself: under every SELinux policy, services may start what is here.
pub(super) const PROGRAM: &str = "/usr/local/sbin/refit-guestinfo";
/// In every search path, that of cron included.
const USUAL: &str = "/usr/bin";
/// Before it in the search path of services and logins, for where a package's own program is in the
/// way.
const EARLIER: &str = "/usr/local/bin";
/// A program of an appliance is called by a path below one of these.
const ROOTS: [&str; 5] = ["/usr", "/opt", "/bin", "/sbin", "/lib"];

/// Links that lead to the stand-in.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Those to make.
    pub(super) free: Vec<GuestPath>,
    /// Those that are there.
    pub(super) ours: Vec<GuestPath>,
    /// What is in the way.
    pub(super) warnings: Vec<String>,
}

enum State {
    Free,
    Ours,
    Taken,
}

impl Places {
    /// For all programs that are asked.
    pub(super) fn find(guest: &Guest<'_>, consumers: &[Consumer]) -> anyhow::Result<Self> {
        let mut places = Self::default();
        let wanted: BTreeSet<&String> = consumers.iter().flat_map(|one| &one.programs).collect();
        let mut seen = BTreeSet::new();
        for program in wanted {
            let name = program.rsplit('/').next().unwrap_or_default();
            let by_path = program.starts_with('/')
                && ROOTS
                    .iter()
                    .any(|root| GuestPath::new(program).starts_with(&GuestPath::new(root)));
            let candidates = if by_path {
                vec![GuestPath::new(program)]
            } else {
                vec![
                    GuestPath::new(USUAL).join(name),
                    GuestPath::new(EARLIER).join(name),
                ]
            };
            let mut settled = false;
            for path in candidates {
                // `/sbin` may be a link to `/usr/sbin`, or that one to `/usr/bin`.
                let path = guest.resolve_parent(&path)?.unwrap_or(path);
                if seen.contains(&path) {
                    settled = true;
                    break;
                }
                match state(guest, &path)? {
                    State::Free => places.free.push(path.clone()),
                    State::Ours => places.ours.push(path.clone()),
                    State::Taken => continue,
                }
                seen.insert(path);
                settled = true;
                break;
            }
            if !settled {
                places.warnings.push(format!(
                    "{program} is asked for settings, and is still a program that answers nothing off VMware; \
                     remove the package that it belongs to, and run this fixup again"
                ));
            }
        }
        Ok(places)
    }
}

fn state(guest: &Guest<'_>, path: &GuestPath) -> anyhow::Result<State> {
    if let Some(target) = guest.read_link(path)? {
        return Ok(match target == PROGRAM.as_bytes() {
            true => State::Ours,
            // A link to nothing, left by what was removed, is replaced.
            false if !guest.exists(path)? => State::Free,
            false => State::Taken,
        });
    }
    Ok(match guest.exists(path)? {
        true => State::Taken,
        false => State::Free,
    })
}
