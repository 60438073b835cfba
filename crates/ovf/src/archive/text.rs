//! The character set of a descriptor.

use encoding_rs::{DecoderResult, Encoding, UTF_8};

use super::ArchiveError;

/// Decodes by the byte order mark, else by the XML declaration, else as UTF-8.
pub(super) fn decode(bytes: &[u8], name: &str) -> Result<String, ArchiveError> {
    let encoding = Encoding::for_bom(bytes).map_or_else(|| declared(bytes), |(found, _)| found);
    let mut decoder = encoding.new_decoder();
    let mut text = String::new();
    let needed = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
    text.reserve(needed.unwrap_or(bytes.len()));
    let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut text, true);
    if result == DecoderResult::InputEmpty {
        return Ok(text);
    }
    Err(ArchiveError::Encoding {
        name: name.to_owned(),
        encoding: encoding.name(),
        offset: read.saturating_sub(1),
    })
}

/// The character set of the XML declaration; UTF-8 if there is none, or one that cannot be: a declaration that
/// can be read as ASCII is not in UTF-16, as some producers claim.
fn declared(bytes: &[u8]) -> &'static Encoding {
    let start: String = bytes
        .iter()
        .take(256)
        .map(|byte| char::from(*byte))
        .collect();
    let label = start
        .split_once("?>")
        .and_then(|(declaration, _)| declaration.split_once("encoding="))
        .and_then(|(_, rest)| {
            let quote = rest.chars().next()?;
            rest.get(1..)?.split_once(quote)
        })
        .map(|(label, _)| label.to_owned());
    label
        .and_then(|label| Encoding::for_label(label.as_bytes()))
        .filter(|encoding| encoding.is_ascii_compatible())
        .unwrap_or(UTF_8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_mark_by_declaration_or_utf8() {
        let utf16: Vec<u8> = std::iter::once(0xfeff_u16)
            .chain("<é/>".encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        for (bytes, text) in [
            (utf16.as_slice(), "<é/>"),
            ("\u{feff}<é/>".as_bytes(), "<é/>"),
            ("<é/>".as_bytes(), "<é/>"),
            (
                b"<?xml version='1.0' encoding='ISO-8859-1'?><\xe9/>",
                "<?xml version='1.0' encoding='ISO-8859-1'?><é/>",
            ),
            (
                "<?xml version='1.0' encoding='utf-16'?><é/>".as_bytes(),
                "<?xml version='1.0' encoding='utf-16'?><é/>",
            ),
        ] {
            assert_eq!(decode(bytes, "a.ovf").unwrap(), text);
        }
        let error = decode(b"<a>\xff</a>", "a.ovf").unwrap_err().to_string();
        assert!(
            error.contains("a.ovf is not valid UTF-8 from byte 3"),
            "{error}"
        );
    }
}
