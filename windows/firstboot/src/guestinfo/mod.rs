//! A stand-in for VMware Tools: answers `info-get guestinfo.…` from the OVF environment.
//!
//! Under a name of theirs the program is what an appliance's scripts call; `README.md` has the answers.

mod call;
mod document;
mod store;

#[cfg(windows)]
mod answer;
#[cfg(windows)]
pub use answer::run;

pub use call::PROGRAMS;

/// Labels of the medium, in capital letters and with `_` as a space.
const LABELS: [&str; 3] = ["OVF ENV", "OVFENV", "OVF-TRANSPORT"];

/// Whether a volume is the medium, by its label.
fn is_medium(label: &str) -> bool {
    let plain = label.trim_end().to_uppercase().replace('_', " ");
    LABELS.contains(&plain.as_str())
}

#[cfg(test)]
mod tests {
    use super::is_medium;

    #[test]
    fn labels() {
        for (label, expected) in [
            ("OVF ENV", true),
            ("ovf_env ", true),
            ("OVF-TRANSPORT", true),
            ("OVF ENVIRONMENT", false),
            ("", false),
        ] {
            assert_eq!(is_medium(label), expected, "{label}");
        }
    }
}
