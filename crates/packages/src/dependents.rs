//! Who needs a package, where a requirement names one thing and no alternatives (apk, pacman).

use crate::package::Package;

/// Why the packages `chosen` have to stay: names and things that others need, and that no package
/// provides that stays.
///
/// `bare` gives a requirement without its version. Versions do not count: what stays was installed
/// together with the dependent by a package manager that looked at them.
pub(crate) fn refusal(all: &[Package], chosen: &[usize], bare: fn(&str) -> &str) -> Option<String> {
    let provides = |package: &Package, wanted: &str| {
        let mut provided = package.provides.iter();
        package.name == wanted || provided.any(|provided| bare(provided) == wanted)
    };
    let mut reasons = Vec::new();
    for (index, dependent) in all.iter().enumerate() {
        if chosen.contains(&index) {
            continue;
        }
        for requirement in &dependent.requires {
            // A conflict, in apk.
            if requirement.starts_with('!') {
                continue;
            }
            let wanted = bare(requirement);
            let mut lost = chosen.iter().map(|&index| &all[index]);
            let Some(lost) = lost.find(|package| provides(package, wanted)) else {
                continue;
            };
            let mut others = all.iter().enumerate();
            if !others.any(|(index, other)| !chosen.contains(&index) && provides(other, wanted)) {
                reasons.push(format!(
                    "{} needs {} ({requirement})",
                    dependent.name, lost.name
                ));
            }
        }
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}
