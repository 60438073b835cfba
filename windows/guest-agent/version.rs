//! Versions of installers.

/// Whether version `offered` is newer than `has`; of what is no version, neither is newer.
pub(super) fn is_newer(offered: &str, has: &str) -> bool {
    match (numbers(offered), numbers(has)) {
        (Some(offered), Some(has)) => offered > has,
        _ => false,
    }
}

/// Windows Installer compares the first three (`ProductVersion`).
fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    for (index, part) in version.trim().split('.').enumerate() {
        let number = part.parse().ok()?;
        if let Some(place) = numbers.get_mut(index) {
            *place = number;
        }
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_versions() {
        for (offered, has) in [
            ("107.0.1", "107.0.0"),
            ("109.1", "99.9.9"),
            ("8.0", "7.9.9"),
        ] {
            assert!(
                is_newer(offered, has) && !is_newer(has, offered),
                "{offered} {has}"
            );
        }
        for (offered, has) in [
            ("107.0.1", "107.0.1.4"),
            ("1", "1.0.0"),
            ("x", "1"),
            ("2", ""),
            ("", "1"),
        ] {
            assert!(!is_newer(offered, has), "{offered:?} {has:?}");
        }
    }
}
