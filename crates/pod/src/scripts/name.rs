//! What a script's name says: `^[0-9]+_linux_(run|firstboot)[\w-]*.sh$` or `^[0-9]+_win_firstboot[\w-]*.ps1$`. The
//! point is any character in Forklift's rule, so it is here.

/// When and where a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// In the guest's root, now.
    LinuxRun,
    /// When Linux boots next.
    LinuxFirstBoot,
    /// When Windows boots next.
    WindowsFirstBoot,
}

/// A name that follows the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ScriptName {
    /// Its place among the others: the digits without leading zeros, and how many they are first.
    pub(super) number: (usize, String),
    pub(super) kind: Kind,
}

impl ScriptName {
    pub(super) fn parse(name: &str) -> Option<Self> {
        let digits = name.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = name.split_at_checked(digits).filter(|_| digits > 0)?;
        let (kind, rest) = [
            ("_linux_run", Kind::LinuxRun),
            ("_linux_firstboot", Kind::LinuxFirstBoot),
            ("_win_firstboot", Kind::WindowsFirstBoot),
        ]
        .into_iter()
        .find_map(|(start, kind)| Some((kind, rest.strip_prefix(start)?)))?;
        let ending = match kind {
            Kind::WindowsFirstBoot => "ps1",
            _ => "sh",
        };
        let mut middle = rest.strip_suffix(ending)?.chars();
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        middle.next_back().filter(|point| *point != '\n')?;
        if !middle.all(is_word) {
            return None;
        }
        let number = number.trim_start_matches('0').to_owned();
        Some(Self {
            number: (number.len(), number),
            kind,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forklifts_rule() {
        for (name, kind) in [
            ("01_linux_run_network.sh", Some(Kind::LinuxRun)),
            ("1_linux_run.sh", Some(Kind::LinuxRun)),
            ("1_linux_runXsh", Some(Kind::LinuxRun)),
            ("12_linux_firstboot-a_B-9.sh", Some(Kind::LinuxFirstBoot)),
            ("5_win_firstboot_x.ps1", Some(Kind::WindowsFirstBoot)),
            ("_linux_run_x.sh", None),
            ("a_linux_run_x.sh", None),
            ("1_linux_runsh", None),
            ("1_linux_run_a b.sh", None),
            ("1_linux_run_a.b.sh", None),
            ("1_linux_run_\u{e4}.sh", None),
            ("1_linux_run_x.ps1", None),
            ("1_win_run_x.ps1", None),
            ("1_win_firstboot_x.sh", None),
            ("1_linux_run_x.sh.bak", None),
            ("", None),
        ] {
            let found = ScriptName::parse(name).map(|name| name.kind);
            assert_eq!(found, kind, "{name:?}");
        }
    }

    #[test]
    fn numbers_are_numbers() {
        let mut names = ["10_linux_run.sh", "2_linux_run.sh", "007_linux_run.sh"];
        names.sort_by_key(|name| ScriptName::parse(name).unwrap().number);
        assert_eq!(
            names,
            ["2_linux_run.sh", "007_linux_run.sh", "10_linux_run.sh"]
        );
    }
}
