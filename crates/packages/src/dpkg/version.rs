//! The order of Debian versions: deb-version(7).

use std::cmp::Ordering;

/// Compares `[epoch:]upstream[-revision]`.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a_upstream, a_revision) = split(a);
    let (b_epoch, b_upstream, b_revision) = split(b);
    number(a_epoch, b_epoch)
        .then_with(|| part(a_upstream, b_upstream))
        .then_with(|| part(a_revision, b_revision))
}

fn split(version: &str) -> (&[u8], &[u8], &[u8]) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch.as_bytes(), upstream.as_bytes(), revision.as_bytes())
}

/// Alternates between text, where `~` sorts before the end and letters before the rest, and numbers.
fn part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        loop {
            let (x, y) = (weight(a.first()), weight(b.first()));
            if x != y {
                return x.cmp(&y);
            }
            if x == 0 {
                break;
            }
            a = &a[1..];
            b = &b[1..];
        }
        let (a_number, a_rest) = digits(a);
        let (b_number, b_rest) = digits(b);
        let order = number(a_number, b_number);
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
    Ordering::Equal
}

/// Zero for a digit and for the end: both end the text.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        None => 0,
        Some(b'0'..=b'9') => 0,
        Some(b'~') => -1,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Numbers of any length.
fn number(a: &[u8], b: &[u8]) -> Ordering {
    let strip = |digits: &[u8]| -> Vec<u8> {
        digits
            .iter()
            .copied()
            .skip_while(|&digit| digit == b'0')
            .collect()
    };
    let (a, b) = (strip(a), strip(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        let cases = [
            ("1.0", Ordering::Less, "1.1"),
            ("1.9", Ordering::Less, "1.10"),
            ("1.0~rc1", Ordering::Less, "1.0"),
            ("1.0~~", Ordering::Less, "1.0~"),
            ("1:0.1", Ordering::Greater, "2.0"),
            ("1.0-1", Ordering::Less, "1.0-1+deb12u1"),
            ("1.0-1~bpo12+1", Ordering::Less, "1.0-1"),
            ("1.0", Ordering::Equal, "0:1.0-0"),
            ("1.0a", Ordering::Less, "1.0+"),
            ("2.36-9+deb12u9", Ordering::Less, "2.36-9+deb12u10"),
            ("007", Ordering::Equal, "7"),
            ("", Ordering::Less, "1"),
        ];
        for (a, expected, b) in cases {
            assert_eq!(compare(a, b), expected, "{a} and {b}");
            assert_eq!(compare(b, a), expected.reverse(), "{b} and {a}");
            let operator = match expected {
                Ordering::Less => "lt",
                Ordering::Equal => "eq",
                Ordering::Greater => "gt",
            };
            if !a.is_empty() {
                let real = std::process::Command::new("dpkg")
                    .args(["--compare-versions", a, operator, b])
                    .status()
                    .unwrap();
                assert!(real.success(), "dpkg agrees on {a} and {b}");
            }
        }
    }
}
