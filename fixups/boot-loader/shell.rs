//! Files of assignments that a shell reads: settings for the boot entries that are made next.

use super::{Carrier, CommandLine, trimmed};
use crate::assignments::assignments;

/// Settings whose value is that of one kernel parameter: Alpine's `root`, initramfs-tools'
/// `RESUME`.
const SETTINGS: [&str; 3] = ["root", "resume", "RESUME"];

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
