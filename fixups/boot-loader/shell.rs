//! Files of assignments that a shell reads: settings for the boot entries that are made next.

use super::{Carrier, CommandLine, trimmed};

/// Settings whose value is that of one kernel parameter: Alpine's `root`, initramfs-tools'
/// `RESUME`.
const SETTINGS: [&str; 3] = ["root", "resume", "RESUME"];

/// One assignment.
#[derive(Debug, PartialEq, Eq)]
struct Assignment<'t> {
    name: &'t str,
    /// Where the value is, without its quotes.
    start: usize,
    value: &'t str,
}

/// The command lines of `GRUB_CMDLINE_*` (grub-mkconfig), `default_kernel_opts`
/// (update-extlinux) and `*_APPEND` (SUSE's perl-Bootloader).
pub(super) fn command_lines(text: &str) -> Vec<CommandLine> {
    assignments(text)
        .0
        .into_iter()
        .filter_map(|one| {
            let holds_arguments = one.name.starts_with("GRUB_CMDLINE_")
                || one.name == "default_kernel_opts"
                || one.name.ends_with("_APPEND");
            let carrier = if holds_arguments {
                Carrier::Variable(one.name.to_owned())
            } else if SETTINGS.contains(&one.name) {
                Carrier::Setting(one.name.to_owned())
            } else {
                return None;
            };
            Some(CommandLine {
                carrier,
                range: trimmed(one.start, one.value),
            })
        })
        .collect()
}

/// Whether every quoted value ends, so that a line could be added.
pub(super) fn is_complete(text: &str) -> bool {
    assignments(text).1
}

/// Every simple assignment that begins a line, and whether the last one ends. A quoted value may go
/// on over several lines; what is put together from several quoted parts is passed over.
fn assignments(text: &str) -> (Vec<Assignment<'_>>, bool) {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let line = text[at..].split('\n').next().unwrap_or_default();
        let next = at + line.len() + 1;
        let indent = line.len() - line.trim_start().len();
        let statement = line.trim_start().trim_start_matches("export ");
        let begin = at + indent + (line.trim_start().len() - statement.len());
        at = next;
        let Some((name, value)) = statement.split_once('=') else {
            continue;
        };
        let name = name.strip_suffix('+').unwrap_or(name);
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name {
            continue;
        }
        let start = begin + statement.len() - value.len();
        match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let inside = &text[start + 1..];
                let Some(length) = closing(inside, quote) else {
                    return (found, false);
                };
                let after = &inside[length + 1..];
                if after.is_empty() || after.starts_with([' ', '\t', '\r', '\n', ';', '#']) {
                    found.push(Assignment {
                        name,
                        start: start + 1,
                        value: &inside[..length],
                    });
                }
                let end = start + 1 + length + 1;
                at = text[end..]
                    .find('\n')
                    .map_or(text.len(), |rest| end + rest + 1);
            }
            _ => {
                let end = value
                    .find(|c: char| c.is_whitespace() || ";\"'`".contains(c))
                    .unwrap_or(value.len());
                if !value[end..].starts_with(['"', '\'', '`']) {
                    found.push(Assignment {
                        name,
                        start,
                        value: &value[..end],
                    });
                }
            }
        }
    }
    (found, true)
}

/// Where the quote that opened before `text` is closed.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        if escaped {
            escaped = false;
            return None;
        }
        escaped = quote == '"' && c == '\\';
        (c == quote).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::shown;

    #[test]
    fn assignments_with_arguments() {
        let text = "# GRUB_CMDLINE_LINUX=\"x\"\n\
                    GRUB_TIMEOUT=5\n\
                    GRUB_CMDLINE_LINUX_DEFAULT='quiet splash'\n\
                    export GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX a=\\\"b c\\\"\n  d\" # comment\n\
                    GRUB_CMDLINE_LINUX+=e\n\
                    GRUB_CMDLINE_XEN=\n\
                    DEFAULT_APPEND=\" resume=/dev/sda1 \"\n\
                    root=UUID=1\n\
                    RESUME=/dev/sda5\n\
                    GRUB_CMDLINE_OTHER=a\"b c\"\n\
                    if x=y; then\n\
                    GRUB_CMDLINE_OPEN=\"never closed\n";
        assert_eq!(
            shown(Format::Shell, text),
            [
                "$GRUB_CMDLINE_LINUX_DEFAULT: quiet|splash",
                "$GRUB_CMDLINE_LINUX: $GRUB_CMDLINE_LINUX|a=\\\"b c\\\"|d",
                "$GRUB_CMDLINE_LINUX: e",
                "$GRUB_CMDLINE_XEN: ",
                "$DEFAULT_APPEND: resume=/dev/sda1",
                "root=: UUID=1",
                "RESUME=: /dev/sda5",
            ]
        );
    }
}
