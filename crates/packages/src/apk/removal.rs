//! What `apk del --purge` would leave, without running a script or trigger.

use anyhow::Context as _;
use refit_engine::{Guest, GuestPath};

use super::{paragraphs, place};
use crate::dependents;
use crate::package::{Package, Source};
use crate::packages::Packages;
use crate::removal::{Removal, Sweep, without_lines};
use crate::services;

/// The packages that the administrator asked for, one on each line (apk-world(5)).
const WORLD: &str = "/etc/apk/world";

/// See [`Packages::removal`].
pub(crate) fn removal(
    packages: &Packages,
    guest: &Guest<'_>,
    chosen: &[usize],
) -> anyhow::Result<Removal> {
    let all = packages.all();
    if let Some(reason) = dependents::refusal(all, chosen, bare) {
        return Ok(Removal::Blocked { reason });
    }
    let removed: Vec<&Package> = chosen.iter().map(|&index| &all[index]).collect();
    let mut sweep = Sweep::new(guest, packages.owner_index(guest)?, chosen);
    let mut listed = Vec::new();
    for package in &removed {
        listed.extend(package.files(guest)?.iter().cloned());
    }
    sweep.files(&listed)?;
    services::disable(guest, &mut sweep)?;
    sweep.dirs(&listed)?;

    let place = place(guest)?.context("the database of apk has disappeared")?;
    installed(guest, &mut sweep, &place, &removed)?;
    triggers(guest, &mut sweep, &place, &removed)?;
    world(guest, &mut sweep, &removed)?;
    if ["scripts.tar", "scripts.tar.gz"]
        .iter()
        .any(|name| guest.exists(place.join(name)).is_ok_and(|there| there))
    {
        sweep.note(
            "scripts of the packages are not run; if there are any, they stay in apk's archive of \
             scripts until the next apk command writes it anew"
                .to_owned(),
        );
    }
    Ok(sweep.finish())
}

/// A dependency without version and repository: `name>=1.2`, `name~1`, `name@edge`.
fn bare(requirement: &str) -> &str {
    requirement
        .split(['<', '>', '=', '~', '@'])
        .next()
        .unwrap_or_default()
}

/// The database without the packages, every other byte as it was.
fn installed(
    guest: &Guest<'_>,
    sweep: &mut Sweep<'_>,
    place: &GuestPath,
    removed: &[&Package],
) -> anyhow::Result<()> {
    let path = place.join("installed");
    let text = guest
        .read(&path)?
        .with_context(|| format!("{path} has disappeared"))?;
    let mut kept = Vec::with_capacity(text.len());
    for paragraph in paragraphs(&text) {
        let is_removed = super::package(&text[paragraph.clone()])?
            .is_some_and(|found| removed.iter().any(|package| package.name == found.name));
        if !is_removed {
            kept.extend_from_slice(&text[paragraph]);
        }
    }
    sweep.write(path, kept);
    Ok(())
}

/// `triggers` has a line for each package with triggers: its checksum and the paths it watches.
fn triggers(
    guest: &Guest<'_>,
    sweep: &mut Sweep<'_>,
    place: &GuestPath,
    removed: &[&Package],
) -> anyhow::Result<()> {
    let path = place.join("triggers");
    let text = guest.read(&path)?.unwrap_or_default();
    let kept = without_lines(&text, |line| {
        let first = line.split(|&b| b == b' ').next().unwrap_or_default();
        removed.iter().any(|package| {
            matches!(&package.source, Source::Apk { checksum }
                if !checksum.is_empty() && checksum.as_bytes() == first)
        })
    });
    if kept != text {
        sweep.write(path, kept);
    }
    Ok(())
}

/// What the administrator asked for, without the packages: else the next apk command would bring
/// them back.
fn world(guest: &Guest<'_>, sweep: &mut Sweep<'_>, removed: &[&Package]) -> anyhow::Result<()> {
    let text = guest.read(WORLD)?.unwrap_or_default();
    let kept = without_lines(&text, |line| {
        let line = String::from_utf8_lossy(line);
        removed
            .iter()
            .any(|package| package.name == bare(line.trim()))
    });
    if kept != text {
        sweep.write(WORLD.into(), kept);
    }
    Ok(())
}
