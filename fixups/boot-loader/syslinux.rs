//! syslinux, isolinux and extlinux.

use std::collections::BTreeMap;

use super::{Carrier, CommandLine, first_word, lines, trimmed};

/// The arguments in `APPEND`, and those behind the kernel's name. Keywords may be written in any
/// case. What is before the first `LABEL` counts for all entries, and is an entry of its own here.
pub(super) fn command_lines(text: &str) -> Vec<CommandLine> {
    let mut number = 0;
    let mut kernels: BTreeMap<usize, String> = BTreeMap::new();
    let mut found: Vec<(usize, std::ops::Range<usize>)> = Vec::new();
    for (start, line) in lines(text) {
        let Some((keyword, after)) = first_word(line) else {
            continue;
        };
        let rest = &line[after..];
        match keyword.to_ascii_lowercase().as_str() {
            "label" => number += 1,
            "kernel" | "linux" => {
                let Some((kernel, end)) = first_word(rest) else {
                    continue;
                };
                kernels.insert(number, kernel.to_owned());
                let arguments = trimmed(start + after + end, &rest[end..]);
                if !arguments.is_empty() {
                    found.push((number, arguments));
                }
            }
            // `APPEND -` takes back what counts for all.
            "append" if rest.trim() != "-" => found.push((number, trimmed(start + after, rest))),
            _ => {}
        }
    }
    found
        .into_iter()
        .map(|(number, range)| CommandLine {
            carrier: Carrier::Entry {
                number,
                kernel: kernels.get(&number).cloned().unwrap_or_default(),
            },
            range,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::shown;

    #[test]
    fn entries_of_extlinux() {
        let text = "DEFAULT lts\nLABEL lts\n  APPEND root=UUID=1 quiet\n  LINUX vmlinuz-lts\n\
                    label other\n kernel /vmlinuz single\n append -\n# append x\n";
        assert_eq!(
            shown(Format::Syslinux, text),
            ["1 vmlinuz-lts: root=UUID=1|quiet", "2 /vmlinuz: single"]
        );
    }
}
