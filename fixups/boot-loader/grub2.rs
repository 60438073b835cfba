//! GRUB 2: scripts and environment blocks.

use super::{Carrier, CommandLine, first_word, lines, trimmed};

/// Commands that load a Linux kernel with its arguments; `module` does so under Xen.
const COMMANDS: [&str; 5] = ["linux", "linux16", "linuxefi", "module", "module2"];
/// How the names of variables end that hold kernel arguments: `kernelopts` and `default_kernelopts`
/// (Red Hat 8), `tuned_params`, `photon_cmdline`.
const VARIABLES: [&str; 3] = ["opts", "params", "cmdline"];

/// The command lines of a script.
pub(super) fn script(text: &str) -> Vec<CommandLine> {
    let mut found = Vec::new();
    for (start, line) in lines(text) {
        let Some((command, after)) = first_word(line) else {
            continue;
        };
        let rest = &line[after..];
        if COMMANDS.contains(&command) {
            if let Some((kernel, after_kernel)) = file(rest) {
                found.push(CommandLine {
                    carrier: Carrier::Entry {
                        number: found.len(),
                        kernel: kernel.to_owned(),
                    },
                    range: trimmed(start + after + after_kernel, &rest[after_kernel..]),
                });
            }
        } else if command == "set" {
            let begin = trimmed(0, rest).start;
            found.extend(variable(start + after + begin, &rest[begin..]));
        }
    }
    found
}

/// The command lines of an environment block.
pub(super) fn environment(text: &str) -> Vec<CommandLine> {
    let lines = lines(text).filter(|(_, line)| !line.starts_with('#'));
    lines
        .filter_map(|(start, line)| variable(start, line))
        .collect()
}

/// The file that a command loads, behind its options, and where what follows begins.
pub(super) fn file(rest: &str) -> Option<(&str, usize)> {
    let mut at = 0;
    loop {
        let (word, after) = first_word(&rest[at..])?;
        at += after;
        if !word.starts_with("--") {
            return Some((word, at));
        }
    }
}

/// `NAME=VALUE` with a value that a kernel gets.
fn variable(start: usize, assignment: &str) -> Option<CommandLine> {
    let (name, value) = assignment.split_once('=')?;
    if !VARIABLES.iter().any(|end| name.ends_with(end)) {
        return None;
    }
    let begin = start + name.len() + 1;
    let inside = ['"', '\''].iter().find_map(|&quote| {
        let inside = value.strip_prefix(quote)?;
        Some(
            inside
                .split_once(quote)
                .map_or(inside, |(inside, _)| inside),
        )
    });
    Some(CommandLine {
        carrier: Carrier::Variable(name.to_owned()),
        range: match inside {
            Some(inside) => trimmed(begin + 1, inside),
            None => trimmed(begin, value),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::shown;

    #[test]
    fn commands_and_variables_of_a_script() {
        let text = "set root='hd0,msdos1'\n\
                    set default_kernelopts=\"root=UUID=1 ro\"\n\
                    if [ x ]; then\n\
                    \tlinux\t/vmlinuz-6 root=UUID=1 ro  quiet\n\
                    \tlinux16 /memtest86+.bin\n\
                    \tmultiboot2 /xen.gz dom0_mem=1\n\
                    \tmodule2 --nounzip /vmlinuz-6 root=UUID=1\n\
                    \t# linux /vmlinuz a\n\
                    \tsearch --set=root 1\n\
                    \tset gfxpayload=keep\n\
                    linux\n\
                    fi\n";
        assert_eq!(
            shown(Format::GrubScript, text),
            [
                "$default_kernelopts: root=UUID=1|ro",
                "1 /vmlinuz-6: root=UUID=1|ro|quiet",
                "2 /memtest86+.bin: ",
                "3 /vmlinuz-6: root=UUID=1",
            ]
        );
    }

    #[test]
    fn variables_of_an_environment() {
        let text = "# GRUB Environment Block\nsaved_entry=a root=/dev/sda1\nkernelopts=root=UUID=1 ro \n####";
        assert_eq!(
            shown(Format::GrubEnvironment, text),
            ["$kernelopts: root=UUID=1|ro"]
        );
    }
}
