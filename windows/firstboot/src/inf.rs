//! Which devices an INF file is for, as far as Windows before Vista has to be told.

/// The text of an INF file: UTF-16 with its mark, else one byte for each character.
fn text(content: &[u8]) -> String {
    match content.strip_prefix(&[0xff, 0xfe]) {
        Some(rest) => {
            let units: Vec<u16> = rest
                .chunks_exact(2)
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16_lossy(&units)
        }
        None => content.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// The hardware and compatible ids among `ids` that an INF file names, in the order of `ids`. Windows
/// itself reads the file and decides; this keeps it from being asked about every device there is.
pub fn named<'i>(content: &[u8], ids: &'i [String]) -> Vec<&'i str> {
    let text = text(content).to_ascii_uppercase();
    // A models section has `%name% = section, id, id`; strings of other sections name no ids.
    let words: Vec<&str> = text
        .lines()
        .map(|line| line.split(';').next().unwrap_or_default())
        .flat_map(|line| line.split([',', '=']))
        .map(|word| word.trim().trim_matches('"'))
        .filter(|word| word.contains('\\') || word.starts_with('*'))
        .collect();
    ids.iter()
        .map(String::as_str)
        .filter(|id| words.iter().any(|word| word.eq_ignore_ascii_case(id)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_whole_words_of_the_models() {
        let inf = "[Manufacturer]\r\n%RH% = Models\r\n[Models]\r\n%NetKVM% = NetKVM.ndi, PCI\\VEN_1AF4&DEV_1000&SUBSYS_00011AF4, \"pci\\ven_1af4&dev_1001\"\r\n;%x% = y, PCI\\VEN_1AF4&DEV_1002\r\n";
        let ids = [
            "PCI\\VEN_1AF4&DEV_1001",
            "PCI\\VEN_1AF4&DEV_1000",
            "PCI\\VEN_1AF4&DEV_1000&SUBSYS_00011AF4",
            "PCI\\VEN_1AF4&DEV_1002",
        ]
        .map(str::to_owned);
        let expected = [&ids[0], &ids[2]];
        assert_eq!(named(inf.as_bytes(), &ids), expected);
        let wide: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain(inf.encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        assert_eq!(named(&wide, &ids), expected);
        assert_eq!(named(&[0xff, 0xfe, 0x41], &ids), Vec::<&str>::new());
    }
}
