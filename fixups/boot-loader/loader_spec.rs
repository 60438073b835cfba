//! Entries of the Boot Loader Specification (type 1): systemd-boot, and GRUB 2 on Red Hat since 8.

use super::{Carrier, CommandLine, first_word, lines, trimmed};

/// The `options` of an entry; there may be several, which are joined.
pub(super) fn command_lines(text: &str) -> Vec<CommandLine> {
    let keys: Vec<(usize, &str, &str)> = lines(text)
        .filter_map(|(start, line)| {
            let (key, after) = first_word(line)?;
            Some((start + after, key, &line[after..]))
        })
        .collect();
    let kernel = keys
        .iter()
        .find(|(_, key, _)| *key == "linux")
        .map(|(_, _, value)| value.trim().to_owned())
        .unwrap_or_default();
    keys.into_iter()
        .filter(|(_, key, _)| *key == "options")
        .map(|(start, _, value)| CommandLine {
            carrier: Carrier::Entry {
                number: 0,
                kernel: kernel.clone(),
            },
            range: trimmed(start, value),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::shown;

    #[test]
    fn options_of_an_entry() {
        let text = "title Red Hat\n# options x\noptions root=UUID=1 ro $tuned_params\n\
                    linux /vmlinuz-5\noptions quiet\n";
        assert_eq!(
            shown(Format::LoaderSpec, text),
            [
                "0 /vmlinuz-5: root=UUID=1|ro|$tuned_params",
                "0 /vmlinuz-5: quiet"
            ]
        );
    }
}
