//! What somebody may have meant by a name that does not exist.

/// Longer names are not compared: the work grows with the square.
const MAX_LEN: usize = 256;

/// The candidate nearest to `name`, if it is near enough to be meant.
pub(crate) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let limit = (name.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, without regard to case.
fn distance(one: &str, other: &str) -> usize {
    let lower = |text: &str| -> Vec<char> { text.to_lowercase().chars().collect() };
    let (one, other) = (lower(one), lower(other));
    if one.len() > MAX_LEN || other.len() > MAX_LEN {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, a) in one.iter().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (column, b) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near() {
        let keys = ["guestinfo.hostname", "guestinfo.ipaddress", "admin"];
        assert_eq!(
            nearest("guestinfo.hostnme", keys),
            Some("guestinfo.hostname")
        );
        assert_eq!(nearest("Admin", keys), Some("admin"));
        assert_eq!(nearest("netmask", keys), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(nearest(&"x".repeat(1000), ["y"]), None);
    }
}
