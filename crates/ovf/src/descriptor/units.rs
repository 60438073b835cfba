//! Units of memory and disks.

/// Bytes in a programmatic unit of DMTF DSP0004 (`byte * 2^20`, `byte*1024*1024`), or in the words of older
/// producers (`MegaBytes`, `GB`), without regard to case and spaces.
pub(crate) fn unit_bytes(unit: &str) -> Option<u64> {
    let unit: String = unit
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| character.to_ascii_lowercase())
        .collect();
    match unit.as_str() {
        "kilobytes" | "kilobyte" | "kb" | "kib" => return Some(1 << 10),
        "megabytes" | "megabyte" | "mb" | "mib" => return Some(1 << 20),
        "gigabytes" | "gigabyte" | "gb" | "gib" => return Some(1 << 30),
        "terabytes" | "terabyte" | "tb" | "tib" => return Some(1 << 40),
        _ => {}
    }
    let mut factors = unit.split('*');
    if !matches!(factors.next(), Some("byte" | "bytes")) {
        return None;
    }
    factors.try_fold(1_u64, |product, factor| {
        let factor = match factor.split_once('^') {
            Some((base, exponent)) => base
                .parse::<u64>()
                .ok()?
                .checked_pow(exponent.parse().ok()?)?,
            None => factor.parse().ok()?,
        };
        product.checked_mul(factor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_as_they_are_found() {
        for (unit, bytes) in [
            ("byte", Some(1)),
            ("byte * 2 ^ 20", Some(1 << 20)),
            ("byte*1024*1024", Some(1 << 20)),
            ("byte * 10^9", Some(1_000_000_000)),
            ("MegaBytes", Some(1 << 20)),
            ("GB", Some(1 << 30)),
            ("hertz * 10^6", None),
            ("byte * 2^64", None),
            ("byte * x", None),
            ("", None),
        ] {
            assert_eq!(unit_bytes(unit), bytes, "{unit}");
        }
    }
}
