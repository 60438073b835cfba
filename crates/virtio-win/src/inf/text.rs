//! From the bytes of an INF file to its text.

use super::InfError;

/// Larger than any INF file of a driver; the largest of Windows itself has 1 MiB.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// Decodes by byte order mark; without one, text in which every other byte is zero is UTF-16, and the
/// rest is UTF-8 or, failing that, Latin-1: code pages differ only in comments and in strings that
/// are shown.
pub(super) fn decode(bytes: &[u8]) -> Result<String, InfError> {
    if bytes.len() > MAX_BYTES {
        return Err(InfError::TooLarge { limit: MAX_BYTES });
    }
    if let Some(rest) = bytes.strip_prefix(b"\xef\xbb\xbf") {
        return Ok(String::from_utf8_lossy(rest).into_owned());
    }
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return Ok(utf16(rest, u16::from_le_bytes));
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return Ok(utf16(rest, u16::from_be_bytes));
    }
    let sample = &bytes[..bytes.len().min(64)];
    let zeros = |start: usize| sample.iter().skip(start).step_by(2).all(|byte| *byte == 0);
    if sample.len() >= 4 && zeros(1) {
        return Ok(utf16(bytes, u16::from_le_bytes));
    }
    if sample.len() >= 4 && zeros(0) {
        return Ok(utf16(bytes, u16::from_be_bytes));
    }
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    })
}

/// A half unit at the end is dropped, as is what is no character.
fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units)
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "[Version]\r\nProvider=\"Ré\"";
        let le: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let latin1: Vec<u8> = text.chars().map(|c| c as u8).collect();
        let cases = [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [b"\xff\xfe".as_slice(), &le].concat(),
            [b"\xfe\xff".as_slice(), &be].concat(),
            le,
            be,
            latin1,
        ];
        for bytes in cases {
            assert_eq!(decode(&bytes).unwrap(), text, "{bytes:02x?}");
        }
    }

    #[test]
    fn odd_and_broken_input_is_text_of_some_kind() {
        assert_eq!(decode(b"").unwrap(), "");
        assert_eq!(decode(b"\xff\xfea\0b").unwrap(), "a");
        assert_eq!(decode(b"\xff\xfe\x00\xd8").unwrap(), "\u{fffd}");
        assert!(matches!(
            decode(&vec![b' '; MAX_BYTES + 1]),
            Err(InfError::TooLarge { .. })
        ));
    }
}
