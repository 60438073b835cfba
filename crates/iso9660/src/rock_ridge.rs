//! POSIX names and attributes in the system use fields of directory records (SUSP 1.12, RRIP 1.12).

use crate::fields::{Time, both32};

/// Length of a `CE` entry.
pub(crate) const CONTINUED: usize = 28;

/// Everybody may read: whoever mounts the medium decides who gets at it.
const FILE_MODE: u32 = 0o100_444;
const DIRECTORY_MODE: u32 = 0o040_555;
/// Times that a `TF` entry has: modification, access, attributes.
const TIMES: u8 = 0b1110;

/// Of the root directory: that SUSP is in use, and its attributes. A [`continued`] entry has to follow.
pub(crate) fn root(time: Time) -> Vec<u8> {
    let mut entries = entry(b"SP", &[0xbe, 0xef, 0]);
    entries.extend(parent(time));
    entries
}

/// Of the root directory's parent, which is itself.
pub(crate) fn parent(time: Time) -> Vec<u8> {
    let mut entries = attributes(DIRECTORY_MODE, 2);
    entries.extend(times(time));
    entries
}

/// Of a file.
pub(crate) fn file(name: &str, time: Time) -> Vec<u8> {
    let mut entries = attributes(FILE_MODE, 1);
    entries.extend(times(time));
    let mut named = vec![0];
    named.extend_from_slice(name.as_bytes());
    entries.extend(entry(b"NM", &named));
    entries
}

/// Where the entries go on: at the beginning of that sector.
pub(crate) fn continued(sector: u32, len: usize) -> Vec<u8> {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    entry(b"CE", &[both32(sector), both32(0), both32(len)].concat())
}

/// The entry that says which extension this is, with the texts that the protocol prescribes.
pub(crate) fn reference() -> Vec<u8> {
    let texts: [&[u8]; 3] = [
        b"RRIP_1991A",
        b"THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS",
        b"PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY \
          VOLUME DESCRIPTOR FOR CONTACT INFORMATION.",
    ];
    let mut data: Vec<u8> = texts
        .iter()
        .map(|text| u8::try_from(text.len()).unwrap_or(u8::MAX))
        .collect();
    data.push(1);
    data.extend(texts.concat());
    entry(b"ER", &data)
}

fn attributes(mode: u32, links: u32) -> Vec<u8> {
    let root = both32(0);
    entry(b"PX", &[both32(mode), both32(links), root, root].concat())
}

fn times(time: Time) -> Vec<u8> {
    let mut data = vec![TIMES];
    data.extend(time.short().repeat(3));
    entry(b"TF", &data)
}

/// One entry: signature, length, version, data.
fn entry(signature: &[u8; 2], data: &[u8]) -> Vec<u8> {
    let mut entry = signature.to_vec();
    entry.push(u8::try_from(4 + data.len()).unwrap_or(u8::MAX));
    entry.push(1);
    entry.extend_from_slice(data);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_protocol() {
        let time = Time::new(0);
        assert_eq!(root(time).len(), 7 + 36 + 26);
        assert_eq!(file("ovf-env.xml", time).len(), 36 + 26 + 5 + 11);
        assert_eq!(continued(20, 5).len(), CONTINUED);
        assert_eq!(reference().len(), 237);
        assert_eq!(&reference()[..8], b"ER\xed\x01\x0a\x54\x87\x01");
    }
}
