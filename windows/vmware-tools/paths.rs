//! Paths as the registry writes them.

use std::fmt;

use refit_engine::{GuestPath, WindowsFacts};
use refit_hive::Hive;

use super::reg;

/// An absolute path of the guest: lower case, `c:\windows\system32\x.dll`, without `.` and `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WinPath(String);

impl WinPath {
    /// Its parts, the drive (`c:`) first.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('\\')
    }

    /// The last part.
    pub(crate) fn name(&self) -> &str {
        self.0.rsplit('\\').next().unwrap_or_default()
    }

    /// The folder that it is in.
    pub(crate) fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once('\\')
            .map(|(parent, _)| Self(parent.to_owned()))
    }

    /// It, and every folder that it is in.
    pub(crate) fn and_above(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// Whether it is `folder` or below it.
    pub(crate) fn is_in(&self, folder: &Self) -> bool {
        self.0
            .strip_prefix(&folder.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('\\'))
    }

    /// This path with `name` appended.
    pub(crate) fn join(&self, name: &str) -> Self {
        Self(format!("{}\\{}", self.0, name.to_lowercase()))
    }

    /// How many parts it has beyond the drive.
    pub(crate) fn depth(&self) -> usize {
        self.parts().count() - 1
    }
}

/// As people write it, but in lower case.
impl fmt::Display for WinPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where this Windows has its folders.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    drive: String,
    system_root: String,
    variables: Vec<(String, String)>,
}

impl Places {
    /// Of the system whose facts and `SOFTWARE` are given. What they do not say is where Windows puts it.
    pub(crate) fn new(windows: &WindowsFacts, software: &Hive) -> Self {
        let current = "Microsoft\\Windows NT\\CurrentVersion";
        let drive = format!(
            "{}:",
            windows.system_drive.unwrap_or('c').to_ascii_lowercase()
        );
        let root = windows
            .system_root
            .to_string()
            .to_lowercase()
            .replace('/', "\\");
        let root = format!("{drive}{root}");
        let folders = "Microsoft\\Windows\\CurrentVersion";
        let known = |name: &str, default: &str| {
            reg::text_at(software, folders, name)
                .map(|path| path.trim_end_matches('\\').to_lowercase())
                .filter(|path| is_drive(path.get(..2).unwrap_or_default()) && path.len() > 3)
                .unwrap_or_else(|| format!("{drive}\\{default}"))
        };
        let all_users = reg::text_at(software, &format!("{current}\\ProfileList"), "ProgramData");
        let program_data = all_users
            .map(|path| path.to_lowercase().replace("%systemdrive%", &drive))
            .filter(|path| is_drive(path.get(..2).unwrap_or_default()))
            .unwrap_or_else(|| format!("{drive}\\programdata"));
        let old_all_users = format!("{drive}\\documents and settings\\all users");
        let has_program_data =
            reg::text_at(software, &format!("{current}\\ProfileList"), "ProgramData").is_some();
        let variables = vec![
            ("%systemroot%".to_owned(), root.clone()),
            ("%windir%".to_owned(), root.clone()),
            ("%systempath%".to_owned(), root.clone()),
            ("%systemdrive%".to_owned(), drive.clone()),
            (
                "%programfiles%".to_owned(),
                known("ProgramFilesDir", "program files"),
            ),
            (
                "%programfiles(x86)%".to_owned(),
                known("ProgramFilesDir (x86)", "program files (x86)"),
            ),
            (
                "%commonprogramfiles%".to_owned(),
                known("CommonFilesDir", "program files\\common files"),
            ),
            (
                "%commonprogramfiles(x86)%".to_owned(),
                known("CommonFilesDir (x86)", "program files (x86)\\common files"),
            ),
            (
                "%allusersprofile%".to_owned(),
                if has_program_data {
                    program_data.clone()
                } else {
                    old_all_users
                },
            ),
            ("%programdata%".to_owned(), program_data),
        ];
        Self {
            drive,
            system_root: root,
            variables,
        }
    }

    /// The drive that Windows is on: `c:`.
    pub(crate) fn drive(&self) -> &str {
        &self.drive
    }

    /// A folder below the system's (`system32\drivers`), or the system's own if it is empty.
    pub(crate) fn system(&self, folder: &str) -> WinPath {
        let root = WinPath(self.system_root.clone());
        folder
            .split('\\')
            .filter(|part| !part.is_empty())
            .fold(root, |path, part| path.join(part))
    }

    /// Whether a folder is Windows's own or everybody's, or has such a one in it.
    pub(crate) fn is_common(&self, folder: &WinPath) -> bool {
        let users = [
            format!("{}\\users", self.drive),
            format!("{}\\documents and settings", self.drive),
        ];
        let common = self.variables.iter().map(|(_, path)| path);
        folder.is_in(&WinPath(self.system_root.clone()))
            || common
                .chain(&users)
                .any(|path| WinPath(path.clone()).is_in(folder))
    }

    /// Where in the guest it is; `None` if that is another drive, which nobody has mounted.
    pub(crate) fn in_guest(&self, path: &WinPath) -> Option<GuestPath> {
        let rest = path.0.strip_prefix(self.drive.as_str())?;
        Some(GuestPath::new(rest.replace('\\', "/")))
    }

    /// The file that a value names: with variables, a kernel's prefix, a resource id, or only a name, which
    /// is then in System32. `None` if it is none.
    pub(crate) fn file(&self, text: &str) -> Option<WinPath> {
        let text = text.trim().trim_matches('"').trim();
        let text = text.strip_prefix('@').unwrap_or(text);
        let text = text.split(['\0', ',', '|', '<', '>', '*']).next()?.trim();
        let mut text = text.replace('/', "\\").to_lowercase();
        if text.is_empty() || text.starts_with('{') {
            return None;
        }
        for (variable, value) in &self.variables {
            text = text.replace(variable.as_str(), value);
        }
        for prefix in ["\\??\\", "\\\\?\\", "\\\\.\\"] {
            if let Some(rest) = text.strip_prefix(prefix) {
                text = rest.to_owned();
            }
        }
        if let Some(rest) = text.strip_prefix("\\systemroot\\") {
            text = format!("{}\\{rest}", self.system_root);
        } else if ["system32\\", "syswow64\\"]
            .iter()
            .any(|folder| text.starts_with(folder))
        {
            text = format!("{}\\{text}", self.system_root);
        } else if text.starts_with("\\\\") || text.contains('%') {
            return None;
        } else if text.starts_with('\\') {
            text = format!("{}{text}", self.drive);
        } else if !text.contains('\\') && !text.contains(':') {
            text = format!("{}\\system32\\{text}", self.system_root);
        }
        let (drive, rest) = text.split_at_checked(2)?;
        if !is_drive(drive) || !(rest.is_empty() || rest.starts_with('\\')) {
            return None;
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in rest.split('\\') {
            match part.trim_end_matches([' ', '.']) {
                "" if part == ".." => drop(parts.pop()),
                "" => {}
                part => parts.push(part),
            }
        }
        Some(
            parts
                .iter()
                .fold(WinPath(drive.to_owned()), |path, part| path.join(part)),
        )
    }

    /// The program of a command line, without its arguments. Of `rundll32`, the library that it runs.
    pub(crate) fn program(&self, command: &str) -> Option<WinPath> {
        let command = command.trim();
        let (program, rest) = match command.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => split_unquoted(command),
        };
        let program = self.file(program)?;
        if program.name() == "rundll32.exe" || program.name() == "rundll32" {
            let library = rest.trim();
            let library = match library.strip_prefix('"') {
                Some(quoted) => quoted.split('"').next().unwrap_or_default(),
                None => split_unquoted(library).0,
            };
            return self.file(library).or(Some(program));
        }
        Some(program)
    }

    /// Where a 32-bit program of a 64-bit Windows finds `path`.
    pub(crate) fn wow64(&self, path: &WinPath) -> WinPath {
        let system32 = format!("{}\\system32\\", self.system_root);
        match path.0.strip_prefix(&system32) {
            Some(rest) => WinPath(format!("{}\\syswow64\\{rest}", self.system_root)),
            None => path.clone(),
        }
    }
}

/// A command line without quotes: Windows takes the shortest beginning that is a program.
fn split_unquoted(command: &str) -> (&str, &str) {
    let lower = command.to_ascii_lowercase();
    let mut end = command.len();
    for extension in [".exe", ".sys", ".dll", ".com", ".bat", ".cmd", ".cpl"] {
        let mut from = 0;
        while let Some(at) = lower[from..].find(extension) {
            let after = from + at + extension.len();
            if lower[after..]
                .chars()
                .next()
                .is_none_or(|c| c.is_whitespace() || c == ',')
            {
                end = end.min(after);
                break;
            }
            from = after;
        }
    }
    command.split_at(end)
}

fn is_drive(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let windows = WindowsFacts {
            system_root: "/Windows".into(),
            ..WindowsFacts::default()
        };
        Places::new(&windows, &Hive::new())
    }

    #[test]
    fn programs() {
        for (command, expected) in [
            (
                r#""C:\Program Files\VMware\VMware Tools\vmtoolsd.exe" -n vmusr"#,
                r"c:\program files\vmware\vmware tools\vmtoolsd.exe",
            ),
            (
                r"C:\Program Files\VMware\VMware Tools\vmtoolsd.exe -n vmusr",
                r"c:\program files\vmware\vmware tools\vmtoolsd.exe",
            ),
            (
                r"\SystemRoot\system32\DRIVERS\vm3dmp.sys",
                r"c:\windows\system32\drivers\vm3dmp.sys",
            ),
            (
                r"system32\DRIVERS\vmci.sys",
                r"c:\windows\system32\drivers\vmci.sys",
            ),
            (
                r"\??\C:\Program Files\Common Files\VMware\Drivers\memctl\vmmemctl.sys",
                r"c:\program files\common files\vmware\drivers\memctl\vmmemctl.sys",
            ),
            (
                r"%SystemRoot%\system32\vm3dservice.exe",
                r"c:\windows\system32\vm3dservice.exe",
            ),
            (
                r"C:\Windows\system32\dllhost.exe /Processid:{26FE4608}",
                r"c:\windows\system32\dllhost.exe",
            ),
            (r#"rundll32.exe "C:\X\y.dll",Entry"#, r"c:\x\y.dll"),
            (r"C:\a\..\Windows\.\x.exe", r"c:\windows\x.exe"),
        ] {
            let found = places().program(command).map(|path| path.to_string());
            assert_eq!(found.as_deref(), Some(expected), "{command}");
        }
    }

    #[test]
    fn files() {
        for (text, expected) in [
            (
                "vm3dc003.dll,Entry",
                Some(r"c:\windows\system32\vm3dc003.dll"),
            ),
            (
                "%SystemPath%/system32/DRIVERS/vmci.sys",
                Some(r"c:\windows\system32\drivers\vmci.sys"),
            ),
            ("@C:\\x\\y.dll,-100", Some(r"c:\x\y.dll")),
            ("\\\\server\\share\\x.dll", None),
            ("%Unknown%\\x.dll", None),
            ("{26FE4608-7034-49DE-B40F-56C7E1B17473}", None),
            ("", None),
            ("D:\\", Some("d:")),
            ("C:\\..\\..\\Windows", Some(r"c:\windows")),
        ] {
            let found = places().file(text).map(|path| path.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn below() {
        let path = |text| places().file(text).unwrap();
        assert!(path("C:\\a\\b").is_in(&path("c:\\A")));
        assert!(path("C:\\a").is_in(&path("c:\\a")));
        assert!(!path("C:\\ab").is_in(&path("c:\\a")));
    }
}
