//! Removes packages, those that can go.

use refit_packages::Removal;

use crate::draft::Draft;
use crate::glob::NamePattern;

/// What became of packages that were to be removed.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Their names.
    pub(crate) names: Vec<String>,
    /// What the package manager would have done beyond that.
    pub(crate) notes: Vec<String>,
    /// Those that stay, each with the reason.
    pub(crate) blocked: Vec<(Vec<String>, String)>,
}

/// The names of installed packages that match.
pub(crate) fn installed(draft: &Draft<'_>, patterns: &[String]) -> anyhow::Result<Vec<String>> {
    let patterns = NamePattern::list(patterns)?;
    let all = draft.packages().into_iter().flat_map(|all| all.iter());
    let mut names: Vec<String> = all
        .filter(|package| NamePattern::any(&patterns, &package.name))
        .map(|package| package.name.clone())
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Removes the packages that match. If they cannot go together, as many as can go alone do.
pub(crate) fn remove(draft: &mut Draft<'_>, patterns: &[String]) -> anyhow::Result<Removed> {
    let mut removed = Removed::default();
    let Some(packages) = draft.packages() else {
        return Ok(removed);
    };
    let mut names = installed(draft, patterns)?;
    let patterns = NamePattern::list(patterns)?;
    // Those of which only the configuration is left (dpkg).
    let residual = packages
        .residual()
        .filter(|package| NamePattern::any(&patterns, &package.name));
    names.extend(residual.map(|package| package.name.clone()));
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Ok(removed);
    }
    if let Err(reason) = take(draft, &names, &mut removed)? {
        let together = vec![(names.clone(), reason)];
        let mut left = names;
        // A package may become free when one that needs it is gone.
        loop {
            let (mut progress, mut blocked) = (false, Vec::new());
            for name in std::mem::take(&mut left) {
                match take(draft, std::slice::from_ref(&name), &mut removed)? {
                    Ok(()) => progress = true,
                    Err(reason) => {
                        left.push(name.clone());
                        blocked.push((vec![name], reason));
                    }
                }
            }
            if !progress || left.is_empty() {
                let same = removed.names.is_empty();
                removed.blocked = if same { together } else { blocked };
                break;
            }
        }
    }
    Ok(removed)
}

/// Removes packages together; the inner error is why that cannot be.
fn take(
    draft: &mut Draft<'_>,
    names: &[String],
    removed: &mut Removed,
) -> anyhow::Result<Result<(), String>> {
    let Some(packages) = draft.packages() else {
        return Ok(Ok(()));
    };
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    match packages.removal(draft.guest(), &all)? {
        Removal::Blocked { reason } => Ok(Err(reason)),
        Removal::Changes { changes, mut notes } => {
            draft.push_packages(changes)?;
            removed.names.extend_from_slice(names);
            removed.notes.append(&mut notes);
            Ok(Ok(()))
        }
    }
}
