//! What a program was asked, by the words and names of VMware Tools.

/// A question to VMware Tools, or something told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `info-get KEY`; the key in small letters.
    Get(String),
    /// `info-set KEY VALUE`; the key in small letters.
    Set(String, String),
    /// `info-list`
    List,
    /// Any other command.
    Unknown,
    /// `--version`
    Version,
    /// Without a command: as a service or a user's agent, which have nothing to do.
    Nothing,
    /// A command is missing.
    Wrong,
}

/// Programs that this one stands in for, without `.exe`.
pub const PROGRAMS: [&str; 4] = ["vmtoolsd", "rpctool", "vmware-rpctool", "vmwareservice"];

impl Call {
    /// From a program's name, without `.exe` and in small letters, and its arguments.
    pub fn parse(program: &str, arguments: &[String]) -> Self {
        if program.ends_with("rpctool") {
            return match arguments {
                [] => Self::Wrong,
                words => Self::rpc(&words.join(" ")),
            };
        }
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if let Some(command) = argument.strip_prefix("--cmd=") {
                return Self::rpc(command);
            }
            match argument.as_str() {
                "--cmd" => {
                    return rest
                        .next()
                        .map_or(Self::Wrong, |command| Self::rpc(command));
                }
                "-v" | "--version" => return Self::Version,
                _ => {}
            }
        }
        Self::Nothing
    }

    /// Blanks around and between the words do not count; those of a value do.
    fn rpc(command: &str) -> Self {
        let (verb, rest) = word(command.trim_start());
        let (key, value) = word(rest.trim_start());
        let key = key.to_lowercase();
        match verb {
            "info-get" => Self::Get(key),
            "info-set" => Self::Set(key, value.to_owned()),
            "info-list" | "list" => Self::List,
            _ => Self::Unknown,
        }
    }
}

/// The first word, and what is behind the blank that ends it.
fn word(text: &str) -> (&str, &str) {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let rest = &text[end..];
    let blank = rest.chars().next().map_or(0, char::len_utf8);
    (&text[..end], &rest[blank..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_vmware_tools() {
        let get = |key: &str| Call::Get(key.to_owned());
        let set = |key: &str, value: &str| Call::Set(key.to_owned(), value.to_owned());
        let cases: [(&str, &[&str], Call); 14] = [
            (
                "vmtoolsd",
                &["--cmd", "info-get guestinfo.ovfEnv"],
                get("guestinfo.ovfenv"),
            ),
            (
                "vmtoolsd",
                &["--cmd=info-get  guestinfo.A "],
                get("guestinfo.a"),
            ),
            (
                "vmtoolsd",
                &["-n", "x", "--cmd", " info-set guestinfo.a  b c "],
                set("guestinfo.a", " b c "),
            ),
            (
                "vmtoolsd",
                &["--cmd", "info-set guestinfo.ovfEnv"],
                set("guestinfo.ovfenv", ""),
            ),
            ("vmtoolsd", &["--cmd", "info-get"], get("")),
            ("vmtoolsd", &["--cmd", "machine.id.get"], Call::Unknown),
            ("vmtoolsd", &["--cmd"], Call::Wrong),
            ("vmtoolsd", &["-v"], Call::Version),
            ("vmtoolsd", &["-n", "vmusr"], Call::Nothing),
            ("vmwareservice", &["--cmd", "info-list"], Call::List),
            ("rpctool", &["info-get", "guestinfo.a"], get("guestinfo.a")),
            (
                "rpctool",
                &["info-set guestinfo.a b"],
                set("guestinfo.a", "b"),
            ),
            ("vmware-rpctool", &["list"], Call::List),
            ("rpctool", &[], Call::Wrong),
        ];
        for (program, arguments, expected) in cases {
            let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(Call::parse(program, &arguments), expected, "{arguments:?}");
        }
    }
}
