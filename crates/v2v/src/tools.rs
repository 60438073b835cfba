//! Finding virt-v2v and its relatives.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::errors::{ConvertError, ErrorKind};

/// A snapshot of the environment variables: what tools are looked for with, and run with.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// This process's own environment.
    #[must_use]
    pub fn current() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
        }
    }

    /// The same environment with one variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// A variable's value, if it is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value.as_os_str())
    }

    /// All variables.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.variables.iter()
    }

    /// The first executable of this name in `PATH`.
    #[must_use]
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.get("PATH")?)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(name))
            .find(|path| is_executable(path))
    }
}

impl fmt::Debug for Environment {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Which of the three programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `virt-v2v`: converts and copies.
    Convert,
    /// `virt-v2v-in-place`: converts the given disks themselves.
    InPlace,
    /// `virt-v2v-inspector`: converts a throw-away overlay and describes the guest.
    Inspector,
}

impl Kind {
    /// The program's name.
    #[must_use]
    pub fn program_name(self) -> &'static str {
        match self {
            Self::Convert => "virt-v2v",
            Self::InPlace => "virt-v2v-in-place",
            Self::Inspector => "virt-v2v-inspector",
        }
    }
}

/// An installed program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Which of the three it is.
    pub kind: Kind,
    /// Where it is.
    pub path: PathBuf,
}

#[cfg(test)]
impl Program {
    /// A shell script that stands for virt-v2v, in `dir`. A child writes it: a test beside this one that starts a program
    /// meanwhile would hold the file open, and the kernel starts nothing that is being written.
    pub(crate) fn script(dir: &Path, text: &str) -> Self {
        let path = dir.join("virt-v2v");
        let status = std::process::Command::new("sh")
            .args([
                "-ec",
                r#"printf '#!/bin/sh\n%s\n' "$1" > "$0"; chmod +x "$0""#,
            ])
            .args([path.as_os_str(), text.as_ref()])
            .status();
        assert!(status.unwrap().success());
        let kind = Kind::Convert;
        Self { kind, path }
    }
}

/// The programs that are installed, and the environment that they are run with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// `virt-v2v`; `REFIT_VIRT_V2V` may name another file.
    pub convert: Option<Program>,
    /// `virt-v2v-in-place`, since virt-v2v 2.0.
    pub in_place: Option<Program>,
    /// `virt-v2v-inspector`, since virt-v2v 2.1.10.
    pub inspector: Option<Program>,
    pub(crate) env: Environment,
}

impl Tools {
    /// Looks in `PATH`.
    #[must_use]
    pub fn find(env: &Environment) -> Self {
        let find = |kind: Kind| {
            let path = match (kind, env.get("REFIT_VIRT_V2V")) {
                (Kind::Convert, Some(path)) => Some(PathBuf::from(path)),
                _ => env.find_program(kind.program_name()),
            };
            path.map(|path| Program { kind, path })
        };
        Self {
            convert: find(Kind::Convert),
            in_place: find(Kind::InPlace),
            inspector: find(Kind::Inspector),
            env: env.clone(),
        }
    }

    /// One program.
    ///
    /// # Errors
    /// [`ErrorKind::ToolMissing`] if it is not installed.
    pub fn get(&self, kind: Kind) -> Result<&Program, ConvertError> {
        let program = match kind {
            Kind::Convert => &self.convert,
            Kind::InPlace => &self.in_place,
            Kind::Inspector => &self.inspector,
        };
        program.as_ref().ok_or_else(|| {
            ConvertError::new(
                ErrorKind::ToolMissing {
                    name: kind.program_name().to_owned(),
                },
                format!("there is no {} in PATH", kind.program_name()),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executables_in_absolute_directories_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("virt-v2v");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        let env = Environment::default().with("PATH", dir.path());
        assert_eq!(env.find_program("virt-v2v"), None, "not executable");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(env.find_program("virt-v2v"), Some(program));

        let tools = Tools::find(&env);
        assert!(tools.get(Kind::Convert).is_ok());
        let error = tools.get(Kind::InPlace).unwrap_err();
        assert_eq!(error.kind.id(), "tool-missing");
        assert!(error.to_string().contains("virt-v2v-in-place"), "{error}");
    }

    #[test]
    fn values_are_not_debugged() {
        let env = Environment::default().with("TOKEN", "geheim");
        assert!(!format!("{env:?}").contains("geheim"));
    }
}
