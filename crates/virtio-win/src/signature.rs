//! With which digest a driver is signed: catalogs (PKCS #7) and programs (Authenticode).
//!
//! Nothing is verified: Windows does that. The question is only whether an old kernel could.

/// A digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Digest {
    /// MD5, 1.2.840.113549.2.5.
    Md5,
    /// SHA-1, 1.3.14.3.2.26.
    Sha1,
    /// SHA-256, 384 or 512, 2.16.840.1.101.3.4.2.*.
    Sha2,
    /// Any other.
    Other,
}

const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05];
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const NIST_HASHES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;

/// More signers than any file has.
const MAX_SIGNERS: usize = 16;

/// The digests of the signers of a security catalog, a DER-encoded PKCS #7 `SignedData` (RFC 2315). Empty
/// if it is none, or nobody signed it.
#[must_use]
pub fn catalog_digests(der: &[u8]) -> Vec<Digest> {
    signers(der).unwrap_or_default()
}

/// The digests of the signers of a program (PE), from its attribute certificate table. Empty if it is not
/// signed.
#[must_use]
pub fn image_digests(pe: &[u8]) -> Vec<Digest> {
    let Some(table) = certificates(pe) else {
        return Vec::new();
    };
    // WIN_CERTIFICATE: length, revision, type (2 is PKCS #7), padded to 8 bytes.
    let mut digests = Vec::new();
    let mut rest = table;
    while digests.len() < MAX_SIGNERS {
        let (Some(length), Some(kind)) = (u32_at(rest, 0), u16_at(rest, 6)) else {
            break;
        };
        let length = length as usize;
        let Some(content) = rest.get(8..length) else {
            break;
        };
        if kind == 2 {
            digests.extend(signers(content).unwrap_or_default());
        }
        match rest.get(length.next_multiple_of(8)..) {
            Some(next) => rest = next,
            None => break,
        }
    }
    digests
}

/// The attribute certificate table: data directory 4, whose address is an offset in the file.
fn certificates(pe: &[u8]) -> Option<&[u8]> {
    let header = u32_at(pe, 0x3c)? as usize;
    if pe.get(..2)? != b"MZ" || pe.get(header..header.checked_add(4)?)? != b"PE\0\0" {
        return None;
    }
    let optional = header + 24;
    let directories = match u16_at(pe, optional)? {
        0x10b => optional + 96,
        0x20b => optional + 112,
        _ => return None,
    };
    if u32_at(pe, directories - 4)? <= 4 {
        return None;
    }
    let start = u32_at(pe, directories + 32)? as usize;
    let size = u32_at(pe, directories + 36)? as usize;
    pe.get(start..start.checked_add(size)?)
        .filter(|table| !table.is_empty())
}

fn signers(der: &[u8]) -> Option<Vec<Digest>> {
    let (content_info, _) = element(der, SEQUENCE)?;
    let (kind, rest) = element(content_info, OID)?;
    if kind != SIGNED_DATA {
        return None;
    }
    let (explicit, _) = element(rest, CONTEXT_0)?;
    let (signed_data, _) = element(explicit, SEQUENCE)?;
    // Version, digest algorithms, content, certificates and revocation lists come first.
    let mut rest = signed_data;
    let mut sets = Vec::new();
    while !rest.is_empty() {
        let (tag, content, after) = any(rest)?;
        if tag == SET {
            sets.push(content);
        }
        rest = after;
    }
    // The first set has the digest algorithms, the last the signers.
    let [_, .., infos] = sets.as_slice() else {
        return None;
    };
    let mut infos = *infos;
    let mut digests = Vec::new();
    while !infos.is_empty() && digests.len() < MAX_SIGNERS {
        let (info, after) = element(infos, SEQUENCE)?;
        infos = after;
        // Version, issuer and serial number, digest algorithm.
        let (_, _, rest) = any(info)?;
        let (_, _, rest) = any(rest)?;
        let (algorithm, _) = element(rest, SEQUENCE)?;
        let (oid, _) = element(algorithm, OID)?;
        digests.push(match oid {
            MD5 => Digest::Md5,
            SHA1 => Digest::Sha1,
            _ if oid.starts_with(NIST_HASHES) => Digest::Sha2,
            _ => Digest::Other,
        });
    }
    Some(digests)
}

/// The content of the element at the start, if it has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = any(der)?;
    (found == tag).then_some((content, rest))
}

/// Tag, content and rest of the element at the start. Lengths are definite, as in DER; long tags do not
/// occur here.
fn any(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 4 {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(count)?;
        let length = bytes
            .iter()
            .fold(0usize, |length, byte| (length << 8) | usize::from(*byte));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A DER element.
    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let mut out = vec![tag, 0x82];
        out.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
        out.extend(content);
        out
    }

    fn signed(oids: &[&[u8]]) -> Vec<u8> {
        let infos: Vec<Vec<u8>> = oids
            .iter()
            .map(|oid| {
                let algorithm = der(SEQUENCE, &[&der(OID, &[oid]), &[5, 0]]);
                der(SEQUENCE, &[&[2, 1, 1], &der(SEQUENCE, &[]), &algorithm])
            })
            .collect();
        let infos: Vec<&[u8]> = infos.iter().map(Vec::as_slice).collect();
        let data = der(
            SEQUENCE,
            &[
                &[2, 1, 1],
                &der(SET, &[]),
                &der(SEQUENCE, &[]),
                &der(CONTEXT_0, &[]),
                &der(SET, &infos),
            ],
        );
        der(
            SEQUENCE,
            &[&der(OID, &[SIGNED_DATA]), &der(CONTEXT_0, &[&data])],
        )
    }

    const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

    #[test]
    fn signers_are_found() {
        assert_eq!(catalog_digests(&signed(&[SHA1])), [Digest::Sha1]);
        assert_eq!(catalog_digests(&signed(&[SHA256])), [Digest::Sha2]);
        assert_eq!(
            catalog_digests(&signed(&[MD5, SHA256, &[0x2a]])),
            [Digest::Md5, Digest::Sha2, Digest::Other]
        );
        assert_eq!(catalog_digests(&signed(&[])), []);
        assert_eq!(catalog_digests(b"stub"), []);
    }

    #[test]
    fn a_program_is_signed_in_its_certificate_table() {
        let content = signed(&[SHA256]);
        let mut pe = vec![0; 0x200];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3c] = 0x80;
        pe[0x80..0x84].copy_from_slice(b"PE\0\0");
        let optional = 0x80 + 24;
        pe[optional..optional + 2].copy_from_slice(&0x20bu16.to_le_bytes());
        pe[optional + 108] = 16;
        let length = u32::try_from(8 + content.len()).unwrap();
        pe[optional + 112 + 32..][..4].copy_from_slice(&0x200u32.to_le_bytes());
        pe[optional + 112 + 36..][..4].copy_from_slice(&length.to_le_bytes());
        assert_eq!(image_digests(&pe), [], "a table beyond the end");
        pe.extend(length.to_le_bytes());
        pe.extend([0, 2, 2, 0]);
        pe.extend(&content);
        assert_eq!(image_digests(&pe), [Digest::Sha2]);
        assert_eq!(image_digests(&pe[..0x100]), []);
        assert_eq!(image_digests(b"MZ"), []);
    }

    #[test]
    fn no_cut_and_no_flipped_byte_is_a_panic() {
        let bytes = signed(&[SHA1, SHA256]);
        for end in 0..bytes.len() {
            assert_eq!(catalog_digests(&bytes[..end]), [], "cut at {end}");
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0x84, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                assert!(catalog_digests(&bytes).len() <= MAX_SIGNERS);
            }
        }
    }
}
