//! Blocks that VMware's installer adds to other programs' files, between two comments.

const BEGIN: &[u8] = b"# Beginning of the block added by the VMware software";
const END: &[u8] = b"# End of the block added by the VMware software";

/// `content` without the blocks; `None` if there is none, or if one has no end.
pub(super) fn without(content: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(content.len());
    let (mut inside, mut any) = (false, false);
    for line in content.split_inclusive(|&b| b == b'\n') {
        // An editor may have lost the end of the line before the block.
        let begin = line.windows(BEGIN.len()).position(|part| part == BEGIN);
        match begin {
            Some(at) if !inside => {
                (inside, any) = (true, true);
                out.extend_from_slice(&line[..at]);
                if at > 0 {
                    out.push(b'\n');
                }
            }
            _ if inside => inside = !line.starts_with(END),
            _ => out.extend_from_slice(line),
        }
    }
    (any && !inside).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_go_and_the_rest_stays() {
        for (content, expected) in [
            ("a\n", None),
            (
                "a\n# Beginning of the block added by the VMware software\n.host:/ /mnt/hgfs vmhgfs\n# End of the block added by the VMware software\nb",
                Some("a\nb"),
            ),
            (
                "a# Beginning of the block added by the VMware software - DO NOT EDIT\nx\n# End of the block added by the VMware software\n",
                Some("a\n"),
            ),
            (
                "a\n# Beginning of the block added by the VMware software\nb\n",
                None,
            ),
        ] {
            let without = without(content.as_bytes());
            let without = without.map(|content| String::from_utf8(content).unwrap());
            assert_eq!(without.as_deref(), expected, "{content}");
        }
    }
}
