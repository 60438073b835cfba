//! The GUID of an interface.

use std::fmt;
use std::str::FromStr;

/// A GUID in braces, as the registry writes it. What is none cannot become part of a key's path or of a
/// task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Guid(String);

/// The text is no GUID.
#[derive(Debug)]
pub(crate) struct NoGuid;

impl FromStr for Guid {
    type Err = NoGuid;

    fn from_str(text: &str) -> Result<Self, NoGuid> {
        let inner = text
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
            .ok_or(NoGuid)?;
        let lengths = [8, 4, 4, 4, 12];
        let mut groups = inner.split('-');
        let sound = lengths.iter().all(|length| {
            groups.next().is_some_and(|group| {
                group.len() == *length && group.bytes().all(|b| b.is_ascii_hexdigit())
            })
        });
        if !sound || groups.next().is_some() {
            return Err(NoGuid);
        }
        Ok(Self(text.to_ascii_uppercase()))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_guids() {
        let guid: Guid = "{c43669b3-ab3e-4d0e-8fde-69579925a20f}".parse().unwrap();
        assert_eq!(guid.to_string(), "{C43669B3-AB3E-4D0E-8FDE-69579925A20F}");
        for text in [
            "",
            "{}",
            "c43669b3-ab3e-4d0e-8fde-69579925a20f",
            "{c43669b3-ab3e-4d0e-8fde-69579925a20g}",
            "{c43669b3ab3e-4d0e-8fde-6957-9925a20f}",
            r"{c43669b3-ab3e-4d0e-8fde-69579925a20f}\..\x",
            "{c43669b3-ab3e-4d0e-8fde-69579925a20f-}",
        ] {
            assert!(text.parse::<Guid>().is_err(), "{text}");
        }
    }
}
