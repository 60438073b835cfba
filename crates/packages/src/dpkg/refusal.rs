//! When dpkg would not remove a package, or the guest would be worse without it.

use super::relation;
use crate::package::{Package, Source};

/// Why these packages have to stay.
pub(super) fn refusal(all: &[Package], chosen: &[usize]) -> Option<String> {
    let mut reasons = Vec::new();
    for &index in chosen {
        let package = &all[index];
        let Source::Dpkg(details) = &package.source else {
            continue;
        };
        if details.unmanaged {
            reasons.push(format!(
                "{} is part of an image that no dpkg manages",
                package.name
            ));
        } else if package.is_installed() && package.essential {
            reasons.push(format!("{} is essential", package.label()));
        } else if details.reinstall {
            reasons.push(format!(
                "{} is damaged and has to be installed again before dpkg would remove it",
                package.label()
            ));
        }
    }
    let stays = |index: usize| !chosen.contains(&index) && all[index].is_installed();
    for dependent in (0..all.len()).filter(|&index| stays(index)) {
        let dependent = &all[dependent];
        for requirement in &dependent.requires {
            let lost = chosen.iter().map(|&index| &all[index]).find(|package| {
                package.is_installed() && relation::satisfies(package, requirement, dependent)
            });
            let Some(lost) = lost else { continue };
            let kept = (0..all.len())
                .filter(|&index| stays(index))
                .any(|index| relation::satisfies(&all[index], requirement, dependent));
            if !kept {
                reasons.push(format!(
                    "{} needs {} ({requirement})",
                    dependent.label(),
                    lost.label()
                ));
            }
        }
        if let Source::Dpkg(details) = &dependent.source {
            for &index in chosen {
                if details.awaits.contains(&all[index].name) {
                    reasons.push(format!(
                        "{} waits for triggers of {}: let dpkg --configure -a finish in the guest first",
                        dependent.label(),
                        all[index].label()
                    ));
                }
            }
        }
    }
    reasons.dedup();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}
