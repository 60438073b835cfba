//! Stanzas of a control file, deb822(5), with where they stand.

use std::ops::Range;

use anyhow::ensure;

/// A Debian release has some 60,000 packages; more stanzas than this are not a status file.
const STANZA_LIMIT: usize = 200_000;

/// One stanza.
#[derive(Debug)]
pub(crate) struct Stanza {
    /// Its bytes in the file, up to the beginning of the next one: without them the file is whole.
    pub range: Range<usize>,
    fields: Vec<(String, String)>,
}

impl Stanza {
    /// The value of a field, white space around it removed; following lines are kept as they are.
    pub(crate) fn get(&self, field: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(field))
            .map(|(_, value)| value.trim())
    }
}

/// All stanzas of `file`, in its order.
pub(crate) fn parse(file: &[u8]) -> anyhow::Result<Vec<Stanza>> {
    let mut stanzas: Vec<Stanza> = Vec::new();
    let mut offset = 0;
    let mut inside = false;
    for line in file.split_inclusive(|&b| b == b'\n') {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']);
        if text.trim().is_empty() {
            inside = false;
        } else {
            if !inside {
                ensure!(stanzas.len() < STANZA_LIMIT, "it has too many stanzas");
                if let Some(previous) = stanzas.last_mut() {
                    previous.range.end = offset;
                }
                stanzas.push(Stanza {
                    range: offset..file.len(),
                    fields: Vec::new(),
                });
                inside = true;
            }
            let Some(stanza) = stanzas.last_mut() else {
                continue;
            };
            if text.starts_with([' ', '\t']) {
                if let Some((_, value)) = stanza.fields.last_mut() {
                    value.push('\n');
                    value.push_str(text);
                }
            } else if let Some((name, value)) = text.split_once(':') {
                stanza.fields.push((name.to_owned(), value.to_owned()));
            } else {
                ensure!(text.starts_with('#'), "a line is no field: {text:.80}");
            }
        }
        offset += line.len();
    }
    Ok(stanzas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_have_fields_and_places() {
        let file = b"Package: a\nDescription: one\n two\n .\n three\n\nPackage: b\nVersion:1\n\n\nPackage: c\n";
        let stanzas = parse(file).unwrap();
        let names: Vec<_> = stanzas.iter().map(|s| s.get("package").unwrap()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(
            stanzas[0].get("Description").unwrap(),
            "one\n two\n .\n three"
        );
        assert_eq!(
            &file[stanzas[1].range.clone()],
            b"Package: b\nVersion:1\n\n\n"
        );
        assert_eq!(stanzas[2].range.end, file.len());
    }

    #[test]
    fn what_is_no_control_file_is_refused() {
        assert!(parse(b"\x7fELF\x01\x02").is_err());
        assert!(parse(b"").unwrap().is_empty());
    }
}
