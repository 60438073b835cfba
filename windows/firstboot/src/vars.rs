//! The names of folders that task files may use.

/// The names, in the order of [`Folders::values`].
const NAMES: [&str; 4] = ["%SystemRoot%", "%SystemDrive%", "%ProgramFiles%", "%Refit%"];

/// Where the running system has them, without a backslash at the end.
#[derive(Debug, Clone, Default)]
pub struct Folders {
    /// `C:\Windows`
    pub system_root: String,
    /// `C:`
    pub system_drive: String,
    /// `C:\Program Files`
    pub program_files: String,
    /// The folder above `tasks`.
    pub refit: String,
}

impl Folders {
    fn values(&self) -> [&str; 4] {
        [
            &self.system_root,
            &self.system_drive,
            &self.program_files,
            &self.refit,
        ]
    }

    /// Replaces the names in `text`, once: what they stand for is not looked at again.
    pub fn expand(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            expanded.push_str(&rest[..at]);
            rest = &rest[at..];
            match known(rest) {
                Some(index) => {
                    expanded.push_str(self.values()[index]);
                    rest = &rest[NAMES[index].len()..];
                }
                None => {
                    expanded.push('%');
                    rest = &rest[1..];
                }
            }
        }
        expanded + rest
    }
}

/// What follows the name that `text` begins with.
pub fn strip(text: &str) -> Option<&str> {
    known(text).map(|index| &text[NAMES[index].len()..])
}

fn known(text: &str) -> Option<usize> {
    NAMES.iter().position(|name| {
        text.get(..name.len())
            .map_or(false, |start| start.eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_replaced_once() {
        let folders = Folders {
            system_root: "C:\\Windows".into(),
            system_drive: "C:".into(),
            program_files: "C:\\%Refit%".into(),
            refit: "C:\\r".into(),
        };
        for (text, expected) in [
            ("%SYSTEMROOT%\\x", "C:\\Windows\\x"),
            ("/l*v %Refit%\\a.log", "/l*v C:\\r\\a.log"),
            ("%ProgramFiles%", "C:\\%Refit%"),
            ("100 % of %TEMP%%systemdrive%", "100 % of %TEMP%C:"),
            ("%é%Refit%", "%éC:\\r"),
            ("%", "%"),
        ] {
            assert_eq!(folders.expand(text), expected);
        }
        assert_eq!(strip("%refit%\\x"), Some("\\x"));
        assert_eq!(strip("x%refit%"), None);
    }
}
