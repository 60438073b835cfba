//! GRUB 0.9x.

use super::grub2::file;
use super::{Carrier, CommandLine, first_word, lines, trimmed};

/// The command lines of a menu. Debian's update-grub keeps its own settings in comments
/// (`# kopt=root=... ro`, `# kopt_2_6=`, `# defoptions=quiet`).
pub(super) fn command_lines(text: &str) -> Vec<CommandLine> {
    let mut found = Vec::new();
    for (start, line) in lines(text) {
        if let Some((name, value)) = setting(line) {
            found.push(CommandLine {
                carrier: Carrier::Variable(name.to_owned()),
                range: trimmed(start + line.len() - value.len(), value),
            });
            continue;
        }
        let Some((command, after)) = first_word(line) else {
            continue;
        };
        if !matches!(command, "kernel" | "module") {
            continue;
        }
        if let Some((kernel, after_kernel)) = file(&line[after..]) {
            found.push(CommandLine {
                carrier: Carrier::Entry {
                    number: found.len(),
                    kernel: kernel.to_owned(),
                },
                range: trimmed(start + after + after_kernel, &line[after + after_kernel..]),
            });
        }
    }
    found
}

fn setting(line: &str) -> Option<(&str, &str)> {
    let comment = line.trim_start().strip_prefix('#')?.trim_start();
    let (name, value) = comment.split_once('=')?;
    let known = name == "kopt" || name == "defoptions" || name.starts_with("kopt_");
    (known && !name.contains(char::is_whitespace)).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::shown;

    #[test]
    fn commands_and_settings_of_update_grub() {
        let text = "default 0\n\
                    ## e.g. kopt=root=/dev/hda1 ro\n\
                    # kopt=root=/dev/sda1 ro\n\
                    # defoptions=quiet\n\
                    title CentOS\n\
                    \troot (hd0,0)\n\
                    \tkernel (hd0,0)/vmlinuz-2.6.18 ro root=LABEL=/\n\
                    \tkernel /xen.gz\n\
                    \tmodule /vmlinuz-xen root=/dev/sda1\n\
                    #\tkernel /vmlinuz-old a\n";
        assert_eq!(
            shown(Format::GrubLegacy, text),
            [
                "$kopt: root=/dev/sda1|ro",
                "$defoptions: quiet",
                "2 (hd0,0)/vmlinuz-2.6.18: ro|root=LABEL=/",
                "3 /xen.gz: ",
                "4 /vmlinuz-xen: root=/dev/sda1",
            ]
        );
    }
}
